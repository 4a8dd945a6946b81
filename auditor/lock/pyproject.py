"""The dependencies that a ``pyproject.toml`` declares: which of them leave open what will be installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from packaging.utils import canonicalize_name

from auditor.lock import requirements, toml
from auditor.records.lock import Unpinned

FILE = "pyproject.toml"
# Beside it, each of these pins what the dependencies lead to.
LOCKS = ("uv.lock", "poetry.lock", "pdm.lock", "pylock.toml")


def unpinned_in_pyproject(
    text: str,
    file: str = FILE,
    installed: Mapping[str, str] = {},
) -> tuple[Unpinned, ...]:
    """The run-time dependencies that are not pinned: ``project.dependencies`` and Poetry's own table.

    What builds the project, optional extras and dependency groups are not needed to train and are not judged. A file
    that is no TOML is ``unreadable``.
    """
    try:
        declared = toml.parse(text)
    except toml.Damaged as error:
        return (Unpinned(file, error.line, "unreadable", "", f"it cannot be read: {error.why}"),)
    found = []
    for requirement in _declared(declared):
        judged = requirements.judge(requirement, installed)
        if judged is not None:
            line = _line(text, requirement)
            found.append(Unpinned(file, line, judged.kind, requirements.shown(requirement), judged.advice))
    for name, constraint in _poetry(declared):
        if not _exact(constraint):
            version = installed.get(canonicalize_name(name)) or "<version>"
            advice = f'pin: {name} = "{version}"'
            found.append(Unpinned(file, _line(text, name), "distribution", f'{name} = "{constraint}"', advice))
    return tuple(sorted(found, key=lambda one: (one.line, one.text)))


def _declared(declared: Mapping[str, Any]) -> Iterator[str]:
    project = declared.get("project")
    listed = project.get("dependencies") if isinstance(project, dict) else None
    if isinstance(listed, list):
        yield from (one for one in listed if isinstance(one, str))


def _poetry(declared: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Poetry's dependencies with a version constraint; source: https://python-poetry.org/docs/dependency-specification/."""
    table: Any = declared
    for key in ("tool", "poetry", "dependencies"):
        table = table.get(key) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        return
    for name, wanted in table.items():
        if name.lower() == "python":
            continue
        if isinstance(wanted, str):
            yield name, wanted
        elif isinstance(wanted, dict) and isinstance(wanted.get("version"), str) and wanted.get("optional") is not True:
            yield name, wanted["version"]


def _exact(constraint: str) -> bool:
    """Whether Poetry takes one version only: a bare one is exact to it, as ``==`` is."""
    bare = constraint.strip().removeprefix("==").strip()
    return bool(bare) and not any(sign in bare for sign in "^~*<>!,| =")


def _line(text: str, part: str) -> int:
    """The first line that holds the text; the parser does not tell where a value stood."""
    return next((number for number, line in enumerate(text.splitlines(), 1) if part in line), 1)
