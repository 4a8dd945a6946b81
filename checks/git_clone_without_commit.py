"""A repository that an image clones and takes as it then stands."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Document
from auditor.source.dockerfile import Command, commands_of, instructions

_CLONE = "FROM ubuntu:24.04\nRUN git clone https://example.org/team/layers.git && \\\n    pip install ./layers\n"

RULE = Rule(
    id="git-clone-without-commit",
    title="An image clones a repository and takes it as it then stands",
    topic="environment",
    level="seed-stable",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "git clone gives the tip of the default branch: whatever was pushed last when the image was built. Two builds "
        "of the same Dockerfile then run other code."
    ),
    remedy="Check out a commit after cloning: git clone … && git -C layers checkout <commit>.",
    bad=(Example(_CLONE, kind="dockerfile"),),
    good=(
        Example(_CLONE.replace("layers.git &&", "layers.git && git -C layers checkout 0f2c8f3 &&"), kind="dockerfile"),
        Example(
            "FROM ubuntu:24.04\nRUN git clone https://example.org/team/layers.git /layers\n"
            "WORKDIR /layers\nRUN git reset --hard 0f2c8f3\n",
            kind="dockerfile",
        ),
        # A tag seldom moves.
        Example(_CLONE.replace("clone ", "clone --depth 1 --branch v1.4.0 "), kind="dockerfile"),
    ),
    sources=("https://git-scm.com/docs/git-clone", "https://git-scm.com/docs/git-checkout"),
)

_SELECTS = frozenset({"checkout", "reset", "switch", "rebase", "submodule"})
_BRANCHES = frozenset({"main", "master", "dev", "develop", "trunk", "HEAD", "nightly"})


def see_document(document: Document) -> Iterator[Sighting]:
    """Clones that no later command of the stage moves to a commit."""
    if document.kind != "dockerfile":
        return
    waiting: list[tuple[int, str]] = []
    for instruction in instructions(document.text):
        if instruction.keyword == "FROM":
            yield from _told(waiting)
            waiting = []
        for command in commands_of(instruction) if instruction.keyword == "RUN" else ():
            if command.program != "git":
                continue
            words = [word.text for word in command.words[1:]]
            if _SELECTS & set(words) and not {"--soft", "HEAD"} & set(words):
                waiting = []  # which of the clones it is in is not followed
            elif "clone" in words and not _named(command):
                address = next((word for word in words if re.search(r"://|@[\w.-]+:", word)), "")
                if address and "$" not in address:
                    name = address.rstrip("/").rpartition("/")[2].removesuffix(".git")
                    waiting.append((command.line, name))
    yield from _told(waiting)


def _told(waiting: list[tuple[int, str]]) -> Iterator[Sighting]:
    for line, name in waiting:
        yield Sighting(line, f"git clone takes {name} as it stands on the day of the build: no commit is checked out")


def _named(command: Command) -> bool:
    """Whether a clone names a tag or a branch that is none of those that always move, or what is not known."""
    words = [word.text for word in command.words]
    for at, word in enumerate(words):
        option, equals, value = word.partition("=")
        if option in ("-b", "--branch", "--revision"):
            return (value if equals else " ".join(words[at + 1 : at + 2])) not in _BRANCHES
    return False
