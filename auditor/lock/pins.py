"""What a project's own files leave open: requirements, pyproject.toml, conda's environments and Dockerfiles."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from auditor.lock import conda, dockerfile, pyproject, requirements
from auditor.records.lock import Unpinned
from auditor.store import open_regular

DEEPEST = 3
"""How many directories below the project's root are looked into."""

LARGEST = 1 << 20
"""Bytes of a file that is read; larger ones are no such files."""

_REQUIREMENTS = re.compile(r"(?:.*[-_.])?requirements(?:[-_.].*)?\.(?:txt|in|pip)\Z", re.IGNORECASE)
_CONSTRAINTS = re.compile(r".*constraints.*", re.IGNORECASE)
_CONDA = re.compile(r"(?:environment|conda|env)(?:[-_.].*)?\.ya?ml\Z", re.IGNORECASE)
# As they are written: dockerfile.py is somebody's module, and templates are none yet.
_DOCKERFILE = re.compile(
    r"(?:Dockerfile|Containerfile)(?:[.-](?!.*(?:ignore|j2|jinja|tmpl|template|in|md|orig|bak)\Z).+)?\Z"
    r"|.+\.(?:[Dd]ockerfile|[Cc]ontainerfile)\Z"
)
_NOT_THE_PROJECTS = frozenset({"node_modules", "site-packages", "dist-packages", "__pycache__", "conda-meta"})


def read_unpinned(
    root: Path,
    installed: Mapping[str, str] = {},
) -> tuple[Unpinned, ...]:
    """What the files under ``root`` leave open, by file and line.

    Virtual environments, hidden directories and those of other package managers are not the project's own; links are
    not followed. A file that a requirements file includes is read too, where it lies inside the project.
    """
    found: list[Unpinned] = []
    read: set[Path] = set()
    for path in project_files(root):
        name = path.relative_to(root).as_posix()
        if _REQUIREMENTS.match(path.name):
            found += _requirements(root, path, installed, read)
            continue
        text = _text(path)
        if text is None:
            found.append(Unpinned(name, 1, "unreadable", "", "it cannot be read as text"))
        elif path.name == pyproject.FILE:
            if not any((path.parent / lock).is_file() for lock in pyproject.LOCKS):
                found += pyproject.unpinned_in_pyproject(text, name, installed)
        elif _CONDA.match(path.name):
            found += conda.unpinned_in_environment(text, name, installed)
        else:
            found += dockerfile.unpinned_in_dockerfile(text, name, installed)
    return tuple(sorted(set(found), key=lambda one: (one.file, one.line, one.text, one.advice)))


def project_files(root: Path) -> tuple[Path, ...]:
    """The files under ``root`` that say what to install, sorted."""
    found = []
    for directory, names, files in os.walk(root):
        here = Path(directory)
        deep = len(here.relative_to(root).parts) >= DEEPEST
        names[:] = [] if deep else sorted(name for name in names if _is_the_projects(here / name))
        for name in files:
            # What was compiled into a file beside it is not what is installed.
            compiled = name.endswith(".in") and f"{name[:-3]}.txt" in files
            if _is_named_so(name) and not compiled and not (here / name).is_symlink():
                found.append(here / name)
    return tuple(sorted(found))


def _is_named_so(name: str) -> bool:
    if name == pyproject.FILE:
        return True
    if _REQUIREMENTS.match(name):
        return not _CONSTRAINTS.match(name)
    return bool(_CONDA.match(name) or _DOCKERFILE.match(name))


def _is_the_projects(directory: Path) -> bool:
    if directory.name.startswith(".") or directory.name in _NOT_THE_PROJECTS:
        return False
    return not (directory / "pyvenv.cfg").exists() and not (directory / "conda-meta").exists()


def _requirements(root: Path, path: Path, installed: Mapping[str, str], read: set[Path]) -> list[Unpinned]:
    """One requirements file and those that it includes, each once."""
    if path in read:
        return []
    read.add(path)
    name = path.relative_to(root).as_posix()
    text = _text(path)
    if text is None:
        return [Unpinned(name, 1, "unreadable", "", "it cannot be read as text")]
    found: list[Unpinned] = []
    constrained: set[str] = set()
    for entry in requirements.parse(text):
        if entry.kind not in ("include", "constraint") or "://" in entry.text:
            continue
        other = Path(os.path.normpath(path.parent / entry.text))
        inside = other.is_relative_to(root) and other.is_file() and not other.is_symlink()
        if entry.kind == "include" and not inside:
            why = "it is not in the project, and was not read"
            found.append(Unpinned(name, entry.line, "unreadable", requirements.shown(entry.text), why))
        elif entry.kind == "include":
            found += _requirements(root, other, installed, read)
        elif inside:
            constrained |= requirements.pinned_by(_text(other) or "")
    return found + list(requirements.unpinned_in_requirements(text, name, installed, constrained))


def _text(path: Path) -> str | None:
    """The file's text without a byte order mark; None where it is no text, too large, or may not be read."""
    try:
        with open_regular(path) as file:
            data = file.read(LARGEST + 1)
        return data.decode("utf-8-sig") if len(data) <= LARGEST and b"\0" not in data else None
    except (OSError, UnicodeDecodeError, ValueError):
        return None
