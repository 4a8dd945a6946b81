"""What a ``pyproject.toml`` declares that rules ask for."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from auditor.source.requirements import Requirement, requirement_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def declared(text: str) -> dict[str, Any]:
    """The document as dicts, lists and scalars. Raises ValueError where it is no TOML."""
    found: dict[str, Any] = tomllib.loads(text)
    return found


def table(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The table at a path of keys; empty where there is none."""
    found: Any = document
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def requirements_in(document: dict[str, Any], text: str) -> Iterator[Requirement]:
    """The requirements of ``project.dependencies``, the optional ones and those of dependency groups."""
    project = table(document, "project")
    groups = (table(project, "optional-dependencies"), table(document, "dependency-groups"))
    listed = [project.get("dependencies"), *(group for one in groups for group in one.values())]
    for entries in listed:
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, str):
                found = requirement_of(entry, line_of(text, entry))
                if found is not None:
                    yield found


def line_of(text: str, part: str) -> int:
    """The first line that holds a text, in quotes where it stands so; the parser does not tell where a value stood."""
    lines = list(enumerate(text.splitlines(), 1))
    for wanted in (f'"{part}"', f"'{part}'", part):
        found = next((number for number, line in lines if wanted in line), None)
        if found is not None:
            return found
    return 1
