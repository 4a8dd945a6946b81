"""What an audit was asked to do: the request, and the parsers of the command line's small languages."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Literal

import msgspec

from auditor.errors import UsageError
from auditor.records.config import MetricRule, Settings
from auditor.records.distribution import Margins, Reference

SEED_PLACEHOLDER = "{seed}"
DEFAULT_SEED = 1
DEFAULT_TOLERANCE = 0.01
FACTORS = ("hash-seed", "tmpdir", "directory-order")
ISOLATIONS = ("auto", "overlay", "copy")
REQUIRABLE = ("bit-exact", "seed-stable", "distribution-stable")
EXECUTORS = ("local", "docker", "ray", "slurm")
MOST_SEEDS = 100_000
MOST_RUNS = 999_999  # an evidence directory numbers them with six digits

Isolation = Literal["auto", "overlay", "copy"]
Executor = Literal["local", "docker", "ray", "slurm"]

_ENVIRONMENT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SEEDS = re.compile(r"(\d{1,18})(?:\s*-\s*(\d{1,18}))?\Z")
_FIGURE = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_FIGURES = re.compile(
    rf"(?P<name>[^=]+?)\s*=\s*(?P<mean>{_FIGURE})\s*(?:±|\+-|\+/-)\s*(?P<std>{_FIGURE})\s*,\s*n\s*=\s*(?P<n>\d{{1,9}})\Z"
)
_NOT_A_SEED = frozenset({"PATH", "PYTHONPATH", "PYTHONHOME", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "LD_PRELOAD"})


class Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each run is to have, and how many go at a time; None leaves it to the executor.

    ``memory`` is in GiB. ``ray_address`` is the cluster's (None: Ray is started on this machine); ``slurm`` are
    parameters of jobs, such as ``partition``.
    """

    jobs: int | None = None
    cpus: int | None = None
    gpus: int | None = None
    memory: float | None = None
    ray_address: str | None = None
    slurm: dict[str, str] = {}


_ANY = Resources()


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One audit, as asked for; ``request.json`` in the evidence directory.

    ``command`` may hold ``{seed}``; ``seed`` is the seed of every replicate, or None where the command takes none (it
    has one where ``{seed}`` occurs or ``seed_env`` names a variable). ``project`` is the absolute path of the project's
    root, ``out`` the evidence directory to make (None: ``<project>/.auditor/<audit-id>``), ``resume`` the one to go on
    with. ``timeout`` is in seconds per run. ``diagnose`` asks why, where runs differ that were to be bit-exact;
    ``diagnose_budget`` is in seconds of runs (None: as long as the audit's own runs took, at least five minutes).
    ``keep`` names the perturbations not to vary (see ``FACTORS``).
    A study (``settings.seeds``) may have a ``reference``, as given: a directory, or figures per metric; with
    ``sweep_from``, a directory, nothing is run, and ``command`` is the pattern of the results taken from there.
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
    resources: Resources = Resources()
    reference: tuple[str, ...] = ()
    sweep_from: str | None = None
    diagnose: bool = False
    diagnose_budget: float | None = None

    @property
    def is_study(self) -> bool:
        """Whether several seeds are asked for."""
        return bool(self.settings.seeds)


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


def parse_seeds(text: str) -> tuple[int, ...] | int:
    """``--seeds``: the seeds of ``11,22,33`` or ``1-10`` (or of both, mixed), as given; of ``5`` how many to choose.

    Raises UsageError ``bad-seeds``, and ``duplicate-seed`` where a seed occurs twice: it would be counted twice.
    """
    words = [word.strip() for word in text.split(",")]
    if len(words) == 1 and words[0].isdecimal():
        count = int(words[0])
        if not 2 <= count <= MOST_SEEDS:
            few = "one seed has no spread" if count else "no seeds are no study"
            raise _bad_seeds(text, few if count < 2 else f"more than {MOST_SEEDS:,} are too many")
        return count
    seeds: list[int] = []
    for word in words:
        if not (match := _SEEDS.match(word)):
            raise _bad_seeds(text, f"{word!r} is neither a seed nor a range of seeds" if word else "a seed is missing")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise _bad_seeds(text, f"the range {word} ends before it begins")
        if last - first >= MOST_SEEDS or len(seeds) > MOST_SEEDS:
            raise _bad_seeds(text, f"more than {MOST_SEEDS:,} are too many")
        seeds.extend(range(first, last + 1))
    refuse_duplicates(seeds)
    if len(seeds) < 2:
        raise _bad_seeds(text, "one seed has no spread")
    return tuple(seeds)


def refuse_duplicates(seeds: Sequence[int]) -> None:
    """Raise UsageError ``duplicate-seed`` where a seed occurs twice."""
    counts = Counter(seeds)
    twice = next((seed for seed in seeds if counts[seed] > 1), None)
    if twice is not None:
        raise UsageError(
            "duplicate-seed",
            f"--seeds names seed {twice} twice, and a seed that is counted twice makes the spread look smaller",
            "name each seed once; to run each of them twice, give --replicates 2",
        )


def _bad_seeds(text: str, why: str) -> UsageError:
    return UsageError(
        "bad-seeds",
        f"--seeds {text!r}: {why}",
        "give how many (--seeds 5), the seeds themselves (--seeds 11,22,33) or a range (--seeds 1-10)",
    )


def choose_seeds(count: int, taken: Iterable[int]) -> tuple[int, ...]:
    """The ``count`` smallest seeds from 1 that are not ``taken``."""
    avoided = set(taken)
    chosen: list[int] = []
    seed = 0
    while len(chosen) < count:
        seed += 1
        if seed not in avoided:
            chosen.append(seed)
    return tuple(chosen)


def parse_figures(text: str) -> tuple[str, Reference] | None:
    """``NAME=MEAN±STD,n=N`` (also ``+-``): the metric's name and what was published; None for what has no such form.

    Raises UsageError ``bad-reference`` where the figures describe no sample.
    """
    match = _FIGURES.match(text.strip())
    if match is None:
        return None
    mean, std, n = float(match["mean"]), float(match["std"]), int(match["n"])
    try:
        if n == 1 and std > 0:
            raise ValueError(f"a single seed has no standard deviation, and ±{match['std']} is given: write ±0")
        return match["name"].strip(), Reference(mean, std, n)
    except ValueError as error:
        raise UsageError(
            "bad-reference", f"--reference {text!r}: {error}", "give for instance --reference rmse=7.72±0.66,n=5"
        ) from error


def parse_level(text: str | None, *, one_seed: bool = False) -> str | None:
    """A level's name, or None; with ``one_seed`` of those that one seed decides.

    Raises UsageError ``unknown-level``, ``level-not-tested``.
    """
    if one_seed and text == "distribution-stable":
        raise UsageError(
            "level-not-tested",
            "--require distribution-stable needs many seeds, and what is compared here repeats one",
            f"require one of: {', '.join(REQUIRABLE[:2])}; hold many seeds to others with auditor run --reference",
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
    seeds: str | None = None,
    taken: Sequence[int] = (),
    found: Sequence[int] = (),
    replicates: int | None = None,
    retries: int | None = None,
    reference: Sequence[str] = (),
    margin: float | None = None,
    spread_margin: float | None = None,
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
    executor: str | None = None,
    resources: Resources = _ANY,
    image: str | None = None,
    network: bool = False,
    sweep_from: str | None = None,
    diagnose: bool | None = None,
    diagnose_budget: float | None = None,
) -> Request:
    """A checked request from what the command line gave; raises UsageError with a slug for what cannot be used.

    ``taken`` are the seeds of the reference; with ``sweep_from``, ``found`` are those that there are results of.
    """
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
    chosen_seeds = _chosen_seeds(seeds, seed, taken, found, takes_seed or sweep_from is not None)
    if replicates is None:
        replicates = 1 if chosen_seeds else 2
    if replicates < 2 and not chosen_seeds:
        raise _bad_number("--replicates", replicates, "2 or more: one run alone shows nothing")
    if replicates < 1:
        raise _bad_number("--replicates", replicates, "1 or more")
    if retries is not None and not 0 <= retries <= 9:
        raise _bad_number("--retries", retries, "0 to 9")
    retries = retries if retries is not None else 1 if chosen_seeds and sweep_from is None else 0
    if chosen_seeds and len(chosen_seeds) * replicates * (1 + retries) > MOST_RUNS:
        raise _bad_number("--seeds", len(chosen_seeds), f"fewer: all runs and retries may be {MOST_RUNS:,} together")
    if steps is not None and steps < 1:
        raise _bad_number("--steps", steps, "1 or more")
    if diagnose_budget is not None and not (math.isfinite(diagnose_budget) and diagnose_budget >= 0):
        raise _bad_number("--diagnose-budget", diagnose_budget, "0 seconds or more")
    if diagnose and chosen_seeds:
        raise UsageError(
            "bad-usage",
            "--diagnose is for runs of one seed, and several seeds are asked for",
            "audit one of them: give --seed N instead of --seeds",
        )
    if timeout is not None and not (math.isfinite(timeout) and timeout > 0):
        raise _bad_number("--timeout", timeout, "more than 0 seconds")
    level = parse_level(require)
    if not chosen_seeds:
        _refuse_without_seeds(level, retries, reference, margin, spread_margin, resources)
    elif fail_fast:
        raise UsageError(
            "fail-fast-answers-bit-exact-only",
            "--fail-fast ends a run at its first divergence, and a study needs what every seed ends with",
            "leave --fail-fast out",
        )
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
    where = _executor(executor, image, resources)
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
            seeds=chosen_seeds,
            retries=retries,
            margins=_margins(margin, spread_margin),
        ),
        seed=DEFAULT_SEED if takes_seed and seed is None and not chosen_seeds else seed,
        seed_env=tuple(seed_env),
        out=out,
        executor=where,
        image=image,
        network=network,
        timeout=timeout,
        isolation=msgspec.convert(chosen, Isolation),
        keep=parse_factors(keep),
        resources=resources,
        reference=tuple(reference),
        sweep_from=sweep_from,
        diagnose=diagnose if diagnose is not None else level in (None, "bit-exact") and not fail_fast,
        diagnose_budget=diagnose_budget,
    )


def _chosen_seeds(
    text: str | None, seed: int | None, taken: Sequence[int], found: Sequence[int], takes_seed: bool
) -> tuple[int, ...]:
    """The seeds of a study, none where it is no study; those that there are results of, where nothing is run."""
    if text is None:
        if found and (both := sorted(set(found) & set(taken))):
            raise _not_fresh(both)
        return tuple(sorted(found))
    if seed is not None:
        raise UsageError(
            "bad-usage", "--seed and --seeds are given both", "leave --seed out: --seeds says which seeds to run"
        )
    if not takes_seed:
        raise UsageError(
            "seed-goes-nowhere",
            f"--seeds {text} is given, but the command has no {{seed}} in it",
            "write {seed} where the command takes its seed, or name the variable that it reads with --seed-env NAME",
        )
    parsed = parse_seeds(text)
    if isinstance(parsed, int):
        if found:
            raise _bad_seeds(text, "of results that exist already the seeds are named, or left out to take all of them")
        return choose_seeds(parsed, taken)
    if both := sorted(set(parsed) & set(taken)):
        raise _not_fresh(both)
    return parsed


def _not_fresh(both: Sequence[int]) -> UsageError:
    said = ", ".join(map(str, both[:5])) + (" …" if len(both) > 5 else "")
    return UsageError(
        "seeds-not-fresh",
        f"the reference has run {'this seed' if len(both) == 1 else 'these seeds'} already: {said}",
        "name seeds that the reference does not have, or say only how many (--seeds 5): fresh ones are chosen",
    )


def _refuse_without_seeds(
    level: str | None,
    retries: int,
    reference: Sequence[str],
    margin: float | None,
    spread_margin: float | None,
    resources: Resources,
) -> None:
    given = {
        "--require distribution-stable": level == "distribution-stable",
        "--reference": bool(reference),
        "--retries": retries > 0,
        "--margin": margin is not None,
        "--spread-margin": spread_margin is not None,
        "--jobs": resources.jobs is not None,
    }
    if option := next((name for name, is_given in given.items() if is_given), None):
        raise UsageError(
            "needs-seeds", f"{option} is for several seeds, and one is run", "add --seeds 5, or name them: --seeds 1-10"
        )


def _margins(mean: float | None, spread: float | None) -> Margins:
    default = Margins()
    try:
        return Margins(default.mean if mean is None else mean, default.spread if spread is None else spread)
    except ValueError as error:
        raise UsageError("bad-number", f"{error}", "give for instance --margin 1 and --spread-margin 2") from error


def _executor(name: str | None, image: str | None, resources: Resources) -> Executor:
    """Where runs are executed; raises UsageError for what does not go together."""
    if name is None:
        name = "docker" if image is not None else "local"
    chosen = _one_of(name, EXECUTORS, "unknown-executor", "--executor", "executor")
    where: Executor = msgspec.convert(chosen, Executor)
    problem = ""
    if where == "docker" and image is None:
        problem = "--executor docker needs --image IMAGE"
    elif where != "docker" and image is not None:
        problem = f"--image is for --executor docker, not {where}"
    elif where != "ray" and resources.ray_address is not None:
        problem = "--ray-address is for --executor ray"
    elif where != "slurm" and resources.slurm:
        problem = "--slurm is for --executor slurm"
    if problem:
        raise UsageError("bad-usage", problem, "see auditor run --help")
    for option, value in (("--jobs", resources.jobs), ("--cpus", resources.cpus)):
        if value is not None and value < 1:
            raise _bad_number(option, value, "1 or more")
    if resources.gpus is not None and resources.gpus < 0:
        raise _bad_number("--gpus", resources.gpus, "0 or more")
    if resources.memory is not None and not (math.isfinite(resources.memory) and resources.memory > 0):
        raise _bad_number("--memory", resources.memory, "more than 0 GiB")
    return where


def parse_slurm(texts: Iterable[str]) -> dict[str, str]:
    """Every ``--slurm KEY=VALUE``, by key; raises UsageError ``bad-usage``."""
    parameters: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.strip().isidentifier():
            raise UsageError(
                "bad-usage", f"--slurm {text!r} is not KEY=VALUE", "give for instance --slurm partition=gpu"
            )
        parameters[key.strip()] = value.strip()
    return parameters


def _bad_number(option: str, value: float, wanted: str) -> UsageError:
    return UsageError("bad-number", f"{option} {value:g} cannot be used", f"give {wanted}")
