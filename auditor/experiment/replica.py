"""Isolation by copy: each run works in a fresh copy of the project, at one path for all runs."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from auditor.experiment.artefacts import Change, is_byproduct, same_contents

_FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file, where the file system can


class Snapshot(msgspec.Struct, frozen=True):
    """The copy before the run: each file's size, times and inode, each link's target, and virtual environments."""

    files: Mapping[str, tuple[int, int, int, int]]
    links: Mapping[str, str]
    environments: tuple[str, ...]


def replicate(project: Path, target: Path, hidden: Sequence[Path], *, link: bool = True) -> Snapshot:
    """Copy ``project`` to ``target`` (which must not exist), without ``hidden`` (absolute paths).

    Links are kept as they are; pipes, sockets and devices are left out. A virtual environment is linked to, since it
    works at its own path only and can be large; with ``link`` False its place is an empty directory, for a mount.
    Raises OSError.
    """
    links: dict[str, str] = {}
    environments: list[str] = []
    names: list[str] = []
    directories: list[tuple[Path, Path]] = []
    hiding = set(hidden)
    pending = [(project, target, "")]
    while pending:
        source, copy, prefix = pending.pop()
        copy.mkdir()
        directories.append((source, copy))
        with os.scandir(source) as entries:
            listed = sorted(entries, key=lambda e: e.name)
        for entry in listed:
            path, name = Path(entry.path), f"{prefix}{entry.name}"
            if path in hiding:
                continue
            if entry.is_symlink():
                links[name] = os.readlink(path)
                os.symlink(links[name], copy / entry.name)
            elif entry.is_dir(follow_symlinks=False):
                if (path / "pyvenv.cfg").is_file():
                    environments.append(name)
                    if link:
                        os.symlink(path, copy / entry.name)
                        links[name] = str(path)
                    else:
                        (copy / entry.name).mkdir()
                else:
                    pending.append((path, copy / entry.name, f"{name}/"))
            elif entry.is_file(follow_symlinks=False):
                _copy_file(path, copy / entry.name)
                names.append(name)
    for source, copy in reversed(directories):
        shutil.copystat(source, copy)
    return Snapshot({name: _signature(target / name) for name in names}, links, tuple(environments))


def changes(target: Path, project: Path, before: Snapshot) -> Iterator[Change]:
    """What was written or changed in the copy since ``before``."""
    pending = [(target, "")]
    while pending:
        here, prefix = pending.pop()
        with os.scandir(here) as entries:
            listed = sorted(entries, key=lambda e: e.name)
        for entry in listed:
            path, name = Path(entry.path), f"{prefix}{entry.name}"
            if is_byproduct(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                if not os.access(path, os.R_OK | os.X_OK):
                    os.chmod(path, 0o700)
                pending.append((path, f"{name}/"))
            elif entry.is_symlink():
                if before.links.get(name) != os.readlink(path):
                    yield Change(name, path, True)
            elif name not in before.files or not _unchanged(path, project / name, before.files[name]):
                yield Change(name, path, True)


def _unchanged(path: Path, original: Path, before: tuple[int, int, int, int]) -> bool:
    now = _signature(path)
    if now == before:
        return True
    # Size and time of modification alone can be set back; the time of change and the inode cannot.
    return now[:2] == before[:2] and same_contents(path, original)


def _signature(path: Path) -> tuple[int, int, int, int]:
    found = os.lstat(path)
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _copy_file(source: Path, copy: Path) -> None:
    with open(source, "rb") as original, open(copy, "wb") as new:
        try:
            fcntl.ioctl(new.fileno(), _FICLONE, original.fileno())
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            shutil.copyfileobj(original, new, 1 << 20)
    shutil.copystat(source, copy)


def environment_for(environment: Mapping[str, str], project: Path, target: Path) -> dict[str, str]:
    """The variables that must follow the project to its copy: the working directory and entries of PYTHONPATH."""
    moved = {"PWD": str(target)}
    if "PYTHONPATH" in environment:
        entries = environment["PYTHONPATH"].split(os.pathsep)
        moved["PYTHONPATH"] = os.pathsep.join(_moved(entry, project, target) for entry in entries)
    return moved


def _moved(entry: str, project: Path, target: Path) -> str:
    path = Path(entry)
    if entry and (path == project or project in path.parents):
        return str(target / path.relative_to(project))
    return entry


def escaping(command: Sequence[str], project: Path) -> tuple[str, ...]:
    """The words of a command that name the project by its absolute path, and so lead out of the copy."""
    inside = re.compile(rf"(?<![\w.\-/]){re.escape(str(project))}(?![\w.\-])")
    return tuple(word for word in command if inside.search(word))
