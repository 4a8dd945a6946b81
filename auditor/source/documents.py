"""Files that pin an environment: which a name stands for, and what a rule is given of one."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Kind = Literal["python", "requirements", "pyproject", "environment", "dockerfile"]

_REQUIREMENTS = re.compile(r"(^|[-_.])(requirements|constraints)([-_.].*)?\.(txt|in)$")
_DOCKERFILE = re.compile(r"^(Dockerfile|Containerfile)(\..+)?$|\.(dockerfile|Dockerfile)$")

_ASIDE = re.compile(
    r"(?:^|[-_./])(?:docs?|rtd|tests?|testing|ci|dev|devel|develop|lint|maint|typing|build|release)(?=[-_./]|$)"
)


class Document(NamedTuple):
    """A file that is no Python: its path relative to where checking began, what kind it is, and its text.

    ``beside`` are the names of the files in the same directory, where they are known.
    """

    path: str
    kind: Kind
    text: str
    beside: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.path.replace("\\", "/").rpartition("/")[2]

    @property
    def aside(self) -> bool:
        """Whether it is, by its name, for a project's documentation, tests or developers and not for what it runs."""
        return _ASIDE.search(self.path.lower()) is not None


def kind_of(name: str) -> Kind | None:
    """What kind of document a file is, by its name alone; None where it is none."""
    if name == "pyproject.toml":
        return "pyproject"
    if re.fullmatch(r"(.*[-_.])?(environment|env|conda)([-_.].*)?\.ya?ml", name):
        return "environment"
    if _REQUIREMENTS.search(name):
        return "requirements"
    return "dockerfile" if _DOCKERFILE.search(name) else None
