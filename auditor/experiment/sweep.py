"""Results that exist already, one file per seed, taken into an evidence directory as if they had been run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from auditor.config import SEED_PLACEHOLDER, Request
from auditor.errors import UsageError
from auditor.experiment.artefacts import Change, save
from auditor.records.run import Ending, Isolation, RunRecord
from auditor.store import Store

_TAKEN = "sweep"
_WILD = re.compile(r"(\{seed\}|\*|\?)")


def find(directory: str | Path, pattern: str) -> dict[int, str]:
    """The files below ``directory`` that fit ``pattern``, by seed, each by its path relative to it.

    In the pattern ``{seed}`` is the seed, ``*`` and ``?`` are as in a shell. Raises UsageError ``bad-sweep`` where the
    pattern cannot be used or fits nothing, ``duplicate-seed`` where several files are of one seed.
    """
    root = Path(directory)
    if not root.is_dir():
        raise _bad(f"{str(directory)!r} is not a directory", "name the directory that holds the results")
    if SEED_PLACEHOLDER not in pattern:
        raise _bad(
            f"the pattern {pattern!r} has no {{seed}} in it",
            "write it where the seed stands in the path: auditor run --sweep-from DIR 'run/seed_{seed}/results.json'",
        )
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if ".." in parts or pattern.startswith("/"):
        raise _bad(f"the pattern {pattern!r} leads out of the directory", "name files below the directory")
    found: dict[int, str] = {}
    for seed, path in _matches(root, parts, None, ""):
        if seed in found:
            raise UsageError(
                "duplicate-seed",
                f"two files are of seed {seed}: {found[seed]} and {path}",
                "make the pattern fit one file per seed; a seed that is counted twice makes the spread look smaller",
            )
        found[seed] = path
    if not found:
        raise _bad(
            f"no file below {str(directory)!r} fits {pattern!r}", "compare the pattern with a path that is there"
        )
    return dict(sorted(found.items()))


def _matches(directory: Path, parts: list[str], seed: int | None, prefix: str) -> Iterator[tuple[int, str]]:
    head, *rest = parts
    expression = re.compile(_expression(head, seed))
    with os.scandir(directory) as entries:
        listed = sorted(entries, key=lambda entry: entry.name)
    for entry in listed:
        match = expression.fullmatch(entry.name)
        if match is None:
            continue
        own = int(match["seed"]) if "seed" in expression.groupindex else seed
        if rest and entry.is_dir():
            yield from _matches(Path(entry.path), rest, own, f"{prefix}{entry.name}/")
        elif not rest and entry.is_file() and own is not None:
            yield own, f"{prefix}{entry.name}"


def _expression(part: str, seed: int | None) -> str:
    """A part of a path as a regular expression; the seed is the same wherever it stands."""
    pieces = {"*": "[^/]*", "?": "[^/]"}
    said, known = [], seed is not None
    for piece in _WILD.split(part):
        if piece == SEED_PLACEHOLDER:
            said.append(f"0*{seed}" if seed is not None else "(?P=seed)" if known else r"(?P<seed>\d{1,18})")
            known = True
        else:
            said.append(pieces.get(piece) or re.escape(piece))
    return "".join(said)


def _bad(what: str, remedy: str) -> UsageError:
    return UsageError("bad-sweep", f"--sweep-from: {what}", remedy)


def take(request: Request, store: Store) -> tuple[RunRecord, ...]:
    """Take in the results of every seed that ``store`` does not hold yet; the caller holds the store.

    Returns the records there are: fewer than seeds where there is no file for some. Raises as ``find`` does, and
    AuditorError ``disk-full``.
    """
    assert request.sweep_from is not None
    root = Path(request.sweep_from)
    found = find(root, request.command[0])
    for number, seed in enumerate(request.settings.seeds, 1):
        if seed in found and number not in store.runs():
            _take_one(number, seed, found[seed], root, store)
    return tuple(store.record(number) for number in store.runs())


def _take_one(number: int, seed: int, name: str, root: Path, store: Store) -> None:
    paths = store.begin_run(number)
    artefacts, unsaved = save([Change(name, Path(os.path.realpath(root / name)), False)], paths.artefacts)
    for path in (paths.stdout, paths.stderr):
        path.touch()
    store.finish_run(
        RunRecord(
            number=number,
            seed=seed,
            command=(),
            executor=_TAKEN,
            isolation=Isolation("none", "the results were there already"),
            image=None,
            varied={},
            started="",
            seconds=0.0,
            ending=Ending("ok", None, 0, ""),
            artefacts=artefacts,
            unsaved=unsaved,
        )
    )
