"""Code that is installed from a repository's branch or tag."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Document
from auditor.source.conda import packages
from auditor.source.dockerfile import commands, pip_installs
from auditor.source.pyproject import declared, requirements_in
from auditor.source.requirements import Requirement, requirement_of, requirements

_REPOSITORY = "git+https://example.org/team/layers.git"
_COMMIT = "0f2c8f3b9a1d4e5f60718293a4b5c6d7e8f90a1b"

RULE = Rule(
    id="git-install-without-commit",
    title="A package is installed from a repository without naming the commit",
    topic="environment",
    level="seed-stable",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "Without a commit, pip installs the tip of a branch: whatever was pushed last. A tag can be moved. The version "
        "number of the package seldom changes with it, so nobody sees that other code runs."
    ),
    remedy="Name the commit: package @ git+https://host/owner/repository@<commit>.",
    bad=(
        Example(f"layers @ {_REPOSITORY}\n", kind="requirements"),
        Example(f"-e {_REPOSITORY}@main#egg=layers\n", kind="requirements"),
        Example(f"FROM python:3.12.8\nRUN pip install --no-deps '{_REPOSITORY}@v1.2'\n", kind="dockerfile"),
        Example(f"dependencies:\n  - python=3.12\n  - pip:\n      - {_REPOSITORY}\n", kind="environment"),
        Example(f'[project]\nname = "train"\ndependencies = ["layers @ {_REPOSITORY}"]\n', kind="pyproject"),
    ),
    good=(
        Example(f"layers @ {_REPOSITORY}@{_COMMIT}\n{_REPOSITORY}@{_COMMIT[:10]}#egg=layers\n", kind="requirements"),
        Example("layers==1.2 # git+https://example.org/team/layers.git\n", kind="requirements"),
        Example(f"FROM python:3.12.8\nRUN pip install {_REPOSITORY}@{_COMMIT}\n", kind="dockerfile"),
        Example("FROM python:3.12.8\nARG AT\nRUN pip install git+https://example.org/x@$AT\n", kind="dockerfile"),
    ),
    sources=("https://pip.pypa.io/en/stable/topics/vcs-support/",),
)


def see_document(document: Document) -> Iterator[Sighting]:
    """Requirements that are an address at which other code may stand tomorrow."""
    for one in _installed(document):
        if one.moving:
            name = one.name or "it"
            yield Sighting(
                one.line,
                f"{name} comes from a repository and no commit is named: a branch or tag can move",
                # A package's own declarations also name what only its developers install.
                confidence="possible" if document.aside else "medium" if document.kind == "pyproject" else None,
            )


def _installed(document: Document) -> Iterator[Requirement]:
    match document.kind:
        case "requirements":
            yield from requirements(document.text)
        case "environment":
            yield from (one for one in packages(document.text) if isinstance(one, Requirement))
        case "pyproject":
            yield from requirements_in(declared(document.text), document.text)
        case "dockerfile":
            for command in commands(document.text):
                named, options = pip_installs(command) or ((), ())
                for word in (*named, *options):
                    one = requirement_of(word.text, word.line)
                    if one is not None and one.url and "`" not in one.url:
                        yield one
