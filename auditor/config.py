"""What an audit was asked to do: the request, and the parsers of the command line's small languages."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Literal

import msgspec

from auditor.errors import UsageError
from auditor.records.config import MetricRule, Settings

SEED_PLACEHOLDER = "{seed}"
DEFAULT_SEED = 1
DEFAULT_TOLERANCE = 0.01
FACTORS = ("hash-seed", "tmpdir", "directory-order")
ISOLATIONS = ("auto", "overlay", "copy")
REQUIRABLE = ("bit-exact", "seed-stable")

Isolation = Literal["auto", "overlay", "copy"]
Executor = Literal["local", "docker"]

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NOT_A_SEED = frozenset({"PATH", "PYTHONPATH", "PYTHONHOME", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD"})


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One audit, as asked for; ``request.json`` in the evidence directory.

    ``command`` may hold ``{seed}``; ``seed`` is the seed of every replicate, or None where the command takes none (it
    has one where ``{seed}`` occurs or ``seed_env`` names a variable). ``project`` is the absolute path of the project's
    root, ``out`` the evidence directory to make (None: ``<project>/.auditor/<audit-id>``), ``resume`` the one to go on
    with. ``timeout`` is in seconds per run. ``keep`` names the perturbations not to vary (see ``FACTORS``).
    """

    command: tuple[str, ...]
    project: str
    settings: Settings = Settings()
    seed: int | None = None
    seed_env: tuple[str, ...] = ()
    out: str | None = None
    executor: Executor = "local"
    image: str | None = None
    network: bool = False
    timeout: float | None = None
    isolation: Isolation = "auto"
    keep: tuple[str, ...] = ()
    resume: str | None = None


def with_seed(command: Sequence[str], seed: int | None) -> tuple[str, ...]:
    """The command with every ``{seed}`` replaced; unchanged where ``seed`` is None."""
    if seed is None:
        return tuple(command)
    return tuple(word.replace(SEED_PLACEHOLDER, str(seed)) for word in command)


def parse_metric(text: str) -> MetricRule:
    """One ``--metric``: ``NAME=GLOB:dotted.path``, ``NAME=dotted.path`` or ``NAME=/REGEX/``.

    Raises UsageError ``bad-metric``.
    """
    name, equals, pattern = text.partition("=")
    name, pattern = name.strip(), pattern.strip()
    if not equals or not name or not pattern:
        raise _bad_metric(text, "it is not of the form NAME=WHERE")
    if pattern.startswith("/") and pattern.endswith("/") and len(pattern) > 2:
        expression = pattern[1:-1]
        try:
            groups = re.compile(expression).groups
        except re.error as error:
            raise _bad_metric(text, f"the regular expression does not compile: {error}") from error
        if groups < 1:
            raise _bad_metric(text, "the regular expression has no group: put the number in parentheses")
        return MetricRule(name=name, source="output", pattern=expression)
    glob, colon, dotted = pattern.rpartition(":")
    if colon and not (glob and dotted):
        raise _bad_metric(text, "one side of the colon is empty: GLOB:dotted.path")
    return MetricRule(name=name, source="file", pattern=pattern)


def _bad_metric(text: str, why: str) -> UsageError:
    return UsageError(
        "bad-metric",
        f"--metric {text!r}: {why}",
        "give NAME=GLOB:dotted.path (a result file), NAME=dotted.path (any result file) or NAME=/REGEX/ (the output)",
    )


def parse_tolerance(text: str) -> tuple[str, float]:
    """One ``--tolerance``: ``NAME=VALUE`` or ``VALUE`` alone for every metric (named ``*``).

    The value is absolute, finite and not negative. Raises UsageError ``bad-tolerance``.
    """
    name, equals, value = text.rpartition("=")
    name = name.strip() if equals else "*"
    try:
        tolerance = float(value)
    except ValueError:
        tolerance = math.nan
    if not name or not math.isfinite(tolerance) or tolerance < 0:
        raise UsageError(
            "bad-tolerance",
            f"--tolerance {text!r} is not NAME=VALUE with a value of 0 or more",
            "give for instance --tolerance rmse=0.05, or --tolerance 0.05 for every metric",
        )
    return name, tolerance


def parse_tolerances(texts: Iterable[str]) -> dict[str, float]:
    """Every ``--tolerance``, sorted by name; raises ``bad-tolerance`` where one name is given two values."""
    tolerances: dict[str, float] = {}
    for text in texts:
        name, value = parse_tolerance(text)
        if tolerances.get(name, value) != value:
            raise UsageError(
                "bad-tolerance", f"--tolerance is given twice for {name!r}, with two values", "leave one of them out"
            )
        tolerances[name] = value
    return dict(sorted(tolerances.items()))


def parse_metrics(texts: Iterable[str]) -> tuple[MetricRule, ...]:
    """Every ``--metric``, in the order given; raises ``bad-metric`` where a name occurs twice."""
    rules: list[MetricRule] = []
    for text in texts:
        rule = parse_metric(text)
        if any(rule.name == earlier.name for earlier in rules):
            raise _bad_metric(text, f"there is already a metric named {rule.name!r}")
        rules.append(rule)
    return tuple(rules)


def parse_level(text: str | None) -> str | None:
    """A level's name, or None; raises UsageError ``unknown-level``, ``level-not-tested``."""
    if text == "distribution-stable":
        raise UsageError(
            "level-not-tested",
            "--require distribution-stable needs runs with fresh seeds, which this version does not make",
            f"require one of: {', '.join(REQUIRABLE)}",
        )
    return text if text is None else _one_of(text, REQUIRABLE, "unknown-level", "--require", "level")


def parse_factors(texts: Iterable[str]) -> tuple[str, ...]:
    """The factors of ``--keep``, sorted; raises UsageError ``unknown-factor``."""
    return tuple(sorted({_one_of(text, FACTORS, "unknown-factor", "--keep", "factor") for text in texts}))


def _one_of(text: str, known: Sequence[str], slug: str, option: str, noun: str) -> str:
    if text in known:
        return text
    near = get_close_matches(text, known, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    raise UsageError(slug, f"{option} {text!r}: there is no such {noun}", f"{hint}choose one of: {', '.join(known)}")


def make_request(
    command: Sequence[str],
    project: str,
    *,
    require: str | None = None,
    seed: int | None = None,
    seed_env: Sequence[str] = (),
    replicates: int = 2,
    steps: int | None = None,
    fail_fast: bool = False,
    timeout: float | None = None,
    metrics: Sequence[str] = (),
    tolerances: Sequence[str] = (),
    ignore: Sequence[str] = (),
    decide: Sequence[str] = (),
    keep: Sequence[str] = (),
    isolation: str = "auto",
    out: str | None = None,
    image: str | None = None,
    network: bool = False,
) -> Request:
    """A checked request from what the command line gave; raises UsageError with a slug for what cannot be used."""
    words = tuple(command)
    if not words or not words[0].strip():
        raise UsageError(
            "no-command",
            "there is no command to audit",
            "put your training command after two dashes: auditor run -- python train.py --seed {seed}",
        )
    for name in seed_env:
        if not _ENVIRONMENT_NAME.match(name):
            raise UsageError(
                "bad-seed-env", f"--seed-env {name!r} is not the name of a variable", "give for instance SEED"
            )
        if name.startswith("_AUDITOR") or name in _NOT_A_SEED:
            raise UsageError("bad-seed-env", f"--seed-env {name} would break the run", "give for instance SEED")
    takes_seed = any(SEED_PLACEHOLDER in word for word in words) or bool(seed_env)
    if seed is not None and not takes_seed:
        raise UsageError(
            "seed-goes-nowhere",
            f"--seed {seed} is given, but the command has no {{seed}} in it",
            "write {seed} where the command takes its seed, or name the variable that it reads with --seed-env NAME",
        )
    if seed is not None and seed < 0:
        raise _bad_number("--seed", seed, "0 or more")
    if replicates < 2:
        raise _bad_number("--replicates", replicates, "2 or more: one run alone shows nothing")
    if steps is not None and steps < 1:
        raise _bad_number("--steps", steps, "1 or more")
    if timeout is not None and not (math.isfinite(timeout) and timeout > 0):
        raise _bad_number("--timeout", timeout, "more than 0 seconds")
    level = parse_level(require)
    if fail_fast and level not in (None, "bit-exact"):
        raise UsageError(
            "fail-fast-answers-bit-exact-only",
            f"--fail-fast ends a run at its first divergence, which cannot answer --require {level}",
            "leave --fail-fast out, or require bit-exact",
        )
    if network and image is None:
        raise UsageError(
            "network-needs-image", "--network is for runs in a container", "add --image IMAGE, or leave --network out"
        )
    chosen = _one_of(isolation, ISOLATIONS, "unknown-isolation", "--isolation", "means of isolation")
    if image is not None and not image.strip():
        raise UsageError("bad-image", "--image is empty", "name the image as docker run would take it")
    return Request(
        command=words,
        project=project,
        settings=Settings(
            require=level,
            tolerances=parse_tolerances(tolerances),
            metrics=parse_metrics(metrics),
            ignore=tuple(ignore),
            decide=tuple(decide),
            steps=steps,
            fail_fast=fail_fast,
            replicates=replicates,
        ),
        seed=DEFAULT_SEED if takes_seed and seed is None else seed,
        seed_env=tuple(seed_env),
        out=out,
        executor="docker" if image is not None else "local",
        image=image,
        network=network,
        timeout=timeout,
        isolation=msgspec.convert(chosen, Isolation),
        keep=parse_factors(keep),
    )


def _bad_number(option: str, value: float, wanted: str) -> UsageError:
    return UsageError("bad-number", f"{option} {value:g} cannot be used", f"give {wanted}")
