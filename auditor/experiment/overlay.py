"""Isolation by overlay: each run sees the project at its own path, and what it writes lands elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from auditor.experiment.artefacts import Change, is_byproduct, same_contents

_OCTAL = re.compile(r"\\([0-7]{3})")


class OverlayRefused(Exception):
    """The project cannot be overlaid here; says why in words."""


class Layer(msgspec.Struct, frozen=True):
    """One overlay mount: over ``target``, with what is written to it in ``upper``; ``work`` is the kernel's."""

    target: str
    upper: str
    work: str


def nested_mounts(mountinfo: str, project: str) -> tuple[str, ...]:
    """The mount points strictly inside ``project``, by the text of ``/proc/self/mountinfo``, parents first.

    An overlay shows one file system only: each of these needs one of its own. Source: proc_pid_mountinfo(5).
    """
    points = set()
    for line in mountinfo.splitlines():
        fields = line.split(" ")
        if len(fields) > 4:
            point = _OCTAL.sub(lambda m: chr(int(m.group(1), 8)), fields[4])
            if point.startswith(project.rstrip("/") + "/"):
                points.add(point)
    return tuple(sorted(points))


def prepare(project: Path, base: Path, hidden: Sequence[Path], mounts: Sequence[str]) -> tuple[Layer, ...]:
    """Make empty upper and work directories under ``base``, and hide ``hidden`` (absolute paths) in them.

    Hiding is done as the kernel does it for a deleted file, by a whiteout: the run finds no trace of them. Raises
    OverlayRefused where a mount inside the project is not a directory or whiteouts cannot be made.
    """
    visible = [m for m in mounts if not any(_is_under(Path(m), h) for h in hidden)]
    layers = []
    for index, target in enumerate([str(project), *visible]):
        if not os.path.isdir(target):
            raise OverlayRefused(f"{os.path.relpath(target, project)} is a mount that is not a directory")
        upper, work = base / f"upper-{index}", base / f"work-{index}"
        upper.mkdir()
        work.mkdir()
        _imitate(Path(target), upper)
        layers.append(Layer(target, str(upper), str(work)))
    for path in hidden:
        if os.path.lexists(path):
            layer = max((y for y in layers if _is_under(path, Path(y.target))), key=lambda y: len(y.target))
            _white_out(path, layer)
    return tuple(layers)


def _is_under(path: Path, directory: Path) -> bool:
    return path == directory or directory in path.parents


def _imitate(lower: Path, upper: Path) -> None:
    shutil.copystat(lower, upper)
    if os.getuid() == 0:
        found = os.stat(lower)
        os.chown(upper, found.st_uid, found.st_gid)


def _white_out(path: Path, layer: Layer) -> None:
    target = Path(layer.target)
    if path == target:
        raise OverlayRefused("the evidence directory is a mount of its own inside the project")
    inner, upper = target, Path(layer.upper)
    copied = []
    for part in path.relative_to(target).parts[:-1]:
        inner, upper = inner / part, upper / part
        if not upper.exists():
            upper.mkdir()
            copied.append((inner, upper))
    try:
        os.mknod(upper / path.name, stat.S_IFCHR, os.makedev(0, 0))
    except OSError as error:
        raise OverlayRefused(f"earlier evidence cannot be hidden: {error.strerror}") from error
    # From the innermost outwards, and last of all, since making an entry changes a directory's times.
    for original, copy in [*reversed(copied), (target, Path(layer.upper))]:
        _imitate(original, copy)


def changes(layers: Sequence[Layer], project: Path) -> Iterator[Change]:
    """What was written through the layers, each by its name in the project.

    A deleted file is none; a file that was opened for writing and left as it was is none either. Everything in a
    directory that was renamed counts as written. Source: the kernel's Documentation/filesystems/overlayfs.rst.
    """
    for layer in layers:
        target = Path(layer.target)
        prefix = "" if target == project else f"{target.relative_to(project)}/"
        yield from _changes(Path(layer.upper), target, target, prefix)


def _changes(upper: Path, lower: Path | None, root: Path, prefix: str) -> Iterator[Change]:
    pending: list[tuple[Path, Path | None, str, bool]] = [(upper, lower, prefix, False)]
    while pending:
        here, below, name, renamed = pending.pop()
        seen = set()
        for entry in _entries(here):
            seen.add(entry.name)
            if is_byproduct(entry.name) or _is_whiteout(entry):
                continue
            path, inner = Path(entry.path), below / entry.name if below is not None else None
            if entry.is_dir(follow_symlinks=False):
                redirect = _attribute(path, "redirect")
                if redirect is not None:
                    source = root / redirect[1:] if redirect.startswith("/") else (below or root) / redirect
                    pending.append((path, source, f"{name}{entry.name}/", True))
                else:
                    hides = _attribute(path, "opaque") == "y" or inner is None or not _is_directory(inner)
                    pending.append((path, None if hides else inner, f"{name}{entry.name}/", renamed))
            elif renamed or inner is None or not _unchanged(path, inner):
                yield Change(f"{name}{entry.name}", path, True)
        if renamed and below is not None:
            yield from _everything(below, name, seen)


def _everything(lower: Path, name: str, except_for: set[str]) -> Iterator[Change]:
    for entry in _entries(lower):
        if entry.name in except_for or is_byproduct(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _everything(Path(entry.path), f"{name}{entry.name}/", set())
        else:
            yield Change(f"{name}{entry.name}", Path(entry.path), False)


def _unchanged(upper: Path, lower: Path) -> bool:
    try:
        now, before = os.lstat(upper), os.lstat(lower)
    except OSError:
        return False
    if stat.S_IFMT(now.st_mode) != stat.S_IFMT(before.st_mode):
        return False
    if stat.S_ISLNK(now.st_mode):
        return os.readlink(upper) == os.readlink(lower)
    return (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns) and same_contents(upper, lower)


def _is_whiteout(entry: os.DirEntry[str]) -> bool:
    found = entry.stat(follow_symlinks=False)
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def _attribute(path: Path, name: str) -> str | None:
    for space in ("trusted", "user"):
        try:
            return os.fsdecode(os.getxattr(path, f"{space}.overlay.{name}", follow_symlinks=False))
        except OSError:
            continue
    return None


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _entries(path: Path) -> list[os.DirEntry[str]]:
    # A directory that its owner may not list can be listed after a change of its mode; the run is over.
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda e: e.name)
    except PermissionError:
        os.chmod(path, 0o700)
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda e: e.name)
