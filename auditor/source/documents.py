"""Files that pin an environment, line by line: requirements, ``pyproject.toml``, ``environment.yml``, Dockerfiles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal, NamedTuple

Kind = Literal["python", "requirements", "pyproject", "environment", "dockerfile"]

_REQUIREMENTS = re.compile(r"(^|[-_.])(requirements|constraints)([-_.].*)?\.(txt|in)$")
_DOCKERFILE = re.compile(r"^(Dockerfile|Containerfile)(\..+)?$|\.(dockerfile|Dockerfile)$")
_REQUIREMENT = re.compile(
    r"""^\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*
        (?P<specifier>\(?(?:(?:===|==|~=|!=|<=|>=|<|>)\s*[^,;)\s]+\s*,?\s*)*\)?)\s*
        (?P<url>@\s*\S+)?\s*(?P<marker>;.*)?$""",
    re.VERBOSE,
)


class Document(NamedTuple):
    """A file that is no Python: its path relative to where checking began, what kind it is, and its text."""

    path: str
    kind: Kind
    text: str


class Requirement(NamedTuple):
    """One requirement: its line, the project's name as it stands, its version specifier, and what follows ``@``."""

    line: int
    name: str
    specifier: str
    url: str

    @property
    def pinned(self) -> bool:
        """Whether it names one version (``==`` without a wildcard), one file or one commit."""
        if self.url:
            return bool(re.search(r"@[0-9a-f]{40}\b|#sha256=|^@\s*file:", self.url))
        return bool(re.fullmatch(r"\(?\s*={2,3}\s*[^,*\s]+\s*\)?", self.specifier.strip()))


class Instruction(NamedTuple):
    """One instruction of a Dockerfile, continued lines joined: its first line, its keyword in capitals, the rest."""

    line: int
    keyword: str
    value: str


def kind_of(name: str) -> Kind | None:
    """What kind of document a file is, by its name alone; None where it is none."""
    if name == "pyproject.toml":
        return "pyproject"
    if re.fullmatch(r"(.*[-_.])?(environment|env|conda)([-_.].*)?\.ya?ml", name):
        return "environment"
    if _REQUIREMENTS.search(name):
        return "requirements"
    return "dockerfile" if _DOCKERFILE.search(name) else None


def requirement_of(text: str, line: int) -> Requirement | None:
    """Parse one requirement; None where it is none (an option, a comment, a path)."""
    text = re.sub(r"(^|\s)#.*", "", text).strip()
    text = re.split(r"\s--?[a-z]", text)[0].rstrip("\\").strip()
    found = _REQUIREMENT.match(text) if text and not text.startswith("-") else None
    if found is None:
        return None
    return Requirement(line, found["name"], found["specifier"].strip(), (found["url"] or "").strip())


def requirements(text: str) -> Iterator[Requirement]:
    """The requirements of a requirements file, in order."""
    for number, line in enumerate(text.splitlines(), 1):
        found = requirement_of(line, number)
        if found is not None:
            yield found


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile, in order; comments, also between continued lines, are left out."""
    started, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#") or (not line.strip() and not parts):
            continue
        started = started if parts else number
        parts.append(line.rstrip().removesuffix("\\"))
        if line.rstrip().endswith("\\"):
            continue
        keyword, _, value = " ".join(parts).strip().partition(" ")
        yield Instruction(started, keyword.upper(), value.strip())
        parts = []
    if parts:
        keyword, _, value = " ".join(parts).strip().partition(" ")
        yield Instruction(started, keyword.upper(), value.strip())
