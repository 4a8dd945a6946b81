"""What a run wrote or changed, brought into the evidence directory."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

import msgspec

from auditor.records.run import Artefact
from auditor.store import disk_full, sha256_of

LIMIT = 2 << 30
"""How many bytes of one run's artefacts are kept; further files are hashed only."""

_TOO_LARGE_TO_HASH = 64 << 30


class Change(msgspec.Struct, frozen=True):
    """A file that the run wrote or changed: its ``name`` in the project, where it lies, and whether it may be moved."""

    name: str
    path: Path
    movable: bool


def is_byproduct(name: str) -> bool:
    """Whether ``name`` (of one file or directory) is written by tools in passing, and never holds a result.

    That is compiled Python, and git's own directory, whose index changes when a program merely asks for its revision.
    """
    return name in ("__pycache__", ".git") or name.endswith(".pyc")


def save(
    changes: Iterable[Change], target: Path, limit: int | None = None
) -> tuple[tuple[Artefact, ...], tuple[str, ...]]:
    """Bring files under ``target``: the artefacts by name, and what could not be kept, each as ``name: why``.

    ``limit`` is the number of bytes to keep (None: ``LIMIT``); what is larger is hashed where it lies.
    Links, devices, pipes and sockets are named, never followed. Raises AuditorError ``disk-full``.
    """
    artefacts: list[Artefact] = []
    unsaved: list[str] = []
    total, limit = 0, LIMIT if limit is None else limit
    for change in sorted(changes, key=lambda c: c.name):
        shown = os.fsencode(change.name).decode("utf-8", "backslashreplace")
        try:
            found = os.lstat(change.path)
            if not stat.S_ISREG(found.st_mode):
                unsaved.append(f"{shown}: {_what(change.path, found.st_mode)}")
                continue
            if shown != change.name:
                unsaved.append(f"{shown}: its name is not UTF-8")
                continue
            if found.st_size > _TOO_LARGE_TO_HASH:
                unsaved.append(f"{shown}: {found.st_size} bytes are too many even to hash")
                continue
            path = change.path
            # A file that its owner may not read can be read by us, its owner, after a change of its mode.
            if change.movable and not found.st_mode & stat.S_IRUSR:
                os.chmod(path, found.st_mode | stat.S_IRUSR)
            if total + found.st_size > limit:
                unsaved.append(f"{shown}: hashed only, since more than {limit} bytes were written")
            else:
                total += found.st_size
                destination = target / change.name
                _bring(path, destination, change.movable)
                path = destination
            artefacts.append(Artefact(change.name, found.st_size, sha256_of(path)))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full(target) from error
            unsaved.append(f"{shown}: {error.strerror or error}")
    return tuple(artefacts), tuple(unsaved)


def _bring(source: Path, destination: Path, movable: bool) -> None:
    destination.parent.mkdir(parents=True, exist_ok=True)
    if movable:
        try:
            os.rename(source, destination)
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
    shutil.copyfile(source, destination, follow_symlinks=False)


def _what(path: Path, mode: int) -> str:
    if stat.S_ISLNK(mode):
        target = os.fsencode(os.readlink(path)).decode("utf-8", "backslashreplace")
        return f"a symbolic link to {target}, not followed"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def same_contents(one: Path, other: Path) -> bool:
    """Whether two regular files hold the same bytes; False where either cannot be read."""
    try:
        return os.lstat(one).st_size == os.lstat(other).st_size and sha256_of(one) == sha256_of(other)
    except OSError:
        return False
