"""Writes what an environment should be, reads it back, and finds what a project leaves open."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from auditor.errors import EvidenceError, UsageError
from auditor.lock import distributions, environment, toml
from auditor.lock.pins import read_unpinned
from auditor.records.fingerprint import Fingerprint, Known
from auditor.records.lock import ENVIRONMENT, PYLOCK, Exactly, LeftOut, Lock
from auditor.store import open_regular, writing

LARGEST = 16 << 20
"""Bytes of a lock's file that are read: a lock of a thousand distributions for every platform has a few millions."""


class Written(msgspec.Struct, frozen=True):
    """A lock that was written: its files, how much is in them, what is left out of ``pylock.toml``, and notes."""

    files: tuple[Path, ...]
    distributions: int
    facts: int
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def write(
    described: Fingerprint,
    executable: str,
    directory: Path,
    project: Path,
    why: Callable[[str, str], str | None],
    of_a_process: Iterable[str] = (),
) -> Written:
    """Lock an interpreter that was ``described`` into two files in ``directory``, in place of earlier ones.

    ``project`` is the root to which paths in the lock may be relative; for ``why`` and ``of_a_process`` see
    ``environment.write``. Raises UsageError ``not-a-lock`` before anything is written where a file there is none of
    ours, ``distributions-not-known`` where the description has none, and what ``distributions.lock`` raises.
    """
    files = (directory / PYLOCK, directory / ENVIRONMENT)
    for path, is_ours in zip(files, (distributions.is_ours, environment.is_ours), strict=True):
        _check_ours(path, is_ours)
    installed = installed_in(described)
    if not installed:
        raise UsageError(
            "distributions-not-known",
            "the interpreter has no distributions that it tells of: there is nothing to lock",
            "name the interpreter that trains with --python",
        )
    version = described.layers.get("interpreter", {}).get("version")
    python = str(version.value) if isinstance(version, Known) else ""
    layer = distributions.lock(executable, installed, python, directory, project)
    text = environment.write(described, layer.left_out, why, of_a_process)
    with writing(directory):
        directory.mkdir(parents=True, exist_ok=True)
        for path, content in zip(files, (layer.text, text), strict=True):
            _replace(path, content)
    facts = sum(len(wanted) for wanted in environment.read(text).values())
    return Written(files, len(distributions.read(layer.text)), facts, layer.left_out, layer.notes)


def read(directory: Path) -> Lock:
    """The lock in a directory; raises UsageError ``lock-not-found``, EvidenceError ``damaged-lock``."""
    texts = []
    for name in (PYLOCK, ENVIRONMENT):
        path = directory / name
        text = _text(path)
        if text is None:
            raise UsageError(
                "lock-not-found",
                f"there is no lock in {directory}: {name} is missing",
                "write one with auditor lock where all is as it should be, or name its directory with --lock",
            )
        texts.append(text)
    try:
        name = PYLOCK
        pinned = distributions.read(texts[0])
        name = ENVIRONMENT
        facts = environment.read(texts[1])
    except toml.Damaged as error:
        raise _damaged(directory / name, error.why) from error
    return Lock(pinned, facts)


def check_same(told: Fingerprint, here: Fingerprint) -> Fingerprint:
    """What was ``told`` of a run, if it was in the interpreter that is described ``here``.

    Raises UsageError ``other-environment``: the files of another one could not be looked up.
    """
    differ = sorted(set(_identity(told)) ^ set(_identity(here)))
    if differ:
        names = ", ".join(dict.fromkeys(name for name, _ in differ))
        raise UsageError(
            "other-environment",
            f"what is to be locked did not run in this interpreter: they differ in {names[:200]}",
            "name the interpreter that it ran in with --python",
        )
    return told


def _identity(fingerprint: Fingerprint) -> list[tuple[str, str]]:
    version = fingerprint.layers.get("interpreter", {}).get("version")
    python = str(version.value) if isinstance(version, Known) else ""
    return [("python", python), *installed_in(fingerprint).items()]


def installed_in(described: Fingerprint) -> dict[str, str]:
    """The distributions in a fingerprint, by normalised name; one that names no version has an empty one."""
    facts = described.layers.get("libraries", {})
    return {
        name: str(fact.value) if isinstance(fact, Known) else ""
        for name, fact in sorted(facts.items())
        if ":" not in name and (name != "distributions" or isinstance(fact, Known))
    }


def versions_of(lock: Lock, found: Fingerprint) -> dict[str, str]:
    """The versions to pin, by normalised name: those of the lock, else those that were ``found``.

    ``python`` is among them, which conda has as a package.
    """
    versions = installed_in(found)
    python = found.layers.get("interpreter", {}).get("version")
    if isinstance(python, Known):
        versions["python"] = str(python.value)
    versions |= {pinned.name: pinned.version for pinned in lock.distributions if pinned.version}
    wanted = lock.facts.get("interpreter", {}).get("version")
    return {**versions, "python": str(wanted.value)} if isinstance(wanted, Exactly) else versions


def _check_ours(path: Path, is_ours: Callable[[str], bool]) -> None:
    text = _text(path)
    if text is not None and not is_ours(text):
        raise UsageError(
            "not-a-lock",
            f"{path} is there, and auditor lock did not write it",
            "write the lock to another directory with --out, or move that file away",
        )


def _text(path: Path) -> str | None:
    """A file's text; None where there is none. Raises EvidenceError ``damaged-lock`` where it cannot be read."""
    try:
        with open_regular(path) as file:
            data = file.read(LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _damaged(path, f"it cannot be read: {error.strerror or error}") from error
    if len(data) > LARGEST:
        raise _damaged(path, f"it is larger than {LARGEST >> 20} MiB")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise _damaged(path, "it is no UTF-8 text") from None


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _damaged(path: Path, why: str) -> EvidenceError:
    return EvidenceError("damaged-lock", f"{path}: {why}", "write it anew with auditor lock, or restore it")


__all__ = ["Written", "check_same", "installed_in", "read", "read_unpinned", "versions_of", "write"]
