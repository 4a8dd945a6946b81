"""A program whose dependencies are declared, and locked nowhere."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Document
from auditor.source.pyproject import declared, line_of, table
from auditor.source.requirements import requirement_of

_BAD = """[project]
name = "train"
version = "0"
dependencies = ["torch>=2.1", "numpy"]
"""

RULE = Rule(
    id="missing-lockfile",
    title="Dependencies are declared and no lock says which versions they were",
    topic="environment",
    level="seed-stable",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "A pyproject.toml declares ranges and leaves out what the dependencies themselves need. Without a lock beside "
        "it, whoever installs the project later computes with other versions than its author did."
    ),
    remedy="Write a lock and keep it with the code: auditor lock, uv lock, poetry lock or pip-compile.",
    bad=(Example(_BAD, kind="pyproject"),),
    good=(
        Example(_BAD, kind="pyproject", beside={"uv.lock": "version = 1\n"}),
        Example(_BAD, kind="pyproject", beside={"requirements.txt": "torch==2.13.0\nnumpy==2.4.6\n"}),
        Example('[tool.ruff]\nline-length = 100\n[project]\nname = "train"\n', kind="pyproject"),
        # A member of a workspace is locked where the workspace is.
        Example(_BAD + "[tool.uv.sources]\nnumpy = { workspace = true }\n", kind="pyproject"),
    ),
    sources=(
        "https://packaging.python.org/en/latest/specifications/pylock-toml/",
        "https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile",
    ),
)

_LOCKS = frozenset(
    {"uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "conda-lock.yml", "pixi.lock", "environment.toml"}
)


def see_document(document: Document) -> Iterator[Sighting]:
    """A ``pyproject.toml`` with dependencies that are open, and nothing beside it that may be their lock.

    Where it builds a package it may be a library's, which is locked by whoever uses it: that is told on request only.
    """
    if document.kind != "pyproject" or any(_lock(name) for name in document.beside):
        return
    found = declared(document.text)
    if table(found, "tool", "uv").get("workspace") or "workspace = true" in document.text:
        return
    project = table(found, "project")
    poetry = table(found, "tool", "poetry", "dependencies")
    listed = project.get("dependencies")
    open_ = [
        entry
        for entry in (listed if isinstance(listed, list) else ())
        if isinstance(entry, str) and (one := requirement_of(entry, 1)) is not None and not one.pinned
    ]
    named = [name for name in poetry if name.lower() != "python"]
    if not open_ and not named:
        return
    package = bool(table(found, "build-system")) and not _private(found)
    at = line_of(document.text, open_[0] if open_ else "[tool.poetry.dependencies]")
    count = len(listed) if isinstance(listed, list) and listed else len(named)
    yield Sighting(
        at,
        f"{count} dependencies are declared and no lock stands beside {document.name}",
        confidence="possible" if package else None,
    )


def _lock(name: str) -> bool:
    return (
        name in _LOCKS
        or (name.startswith("pylock.") and name.endswith(".toml"))
        or ("requirements" in name and name.endswith((".txt", ".lock")))
        or name.endswith((".lock", "conda-lock.yaml"))
    )


def _private(found: dict[str, object]) -> bool:
    """Whether a project says that it is no package for others."""
    classifiers = table(found, "project").get("classifiers")
    if isinstance(classifiers, list) and any(str(one).startswith("Private ::") for one in classifiers):
        return True
    return (
        table(found, "tool", "poetry").get("package-mode") is False
        or table(found, "tool", "uv").get("package") is False
    )
