"""Requirements as pip reads them, line by line, and what each leaves open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

# What may stand in a requirements file: https://pip.pypa.io/en/stable/reference/requirements-file-format/
_REQUIREMENT = re.compile(
    r"""^\s*(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*
        (?P<specifier>\(?(?:(?:===|==|~=|!=|<=|>=|<|>)\s*[^,;)\s]+\s*,?\s*)*\)?)\s*
        (?P<url>@\s*\S+)?\s*(?P<marker>;.*)?$""",
    re.VERBOSE,
)
_COMMENT = re.compile(r"(^|\s)#.*$")
_EDITABLE = re.compile(r"(?:-e|--editable)[\s=]*(\S.*)\Z")
_OPTIONS = re.compile(r"\s--?[a-zA-Z].*$")
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://|(?:git|hg|svn|bzr)\+", re.IGNORECASE)
_REPOSITORY = re.compile(r"@?\s*(?:git|hg|svn|bzr)\+", re.IGNORECASE)
_COMMIT = re.compile(r"@[0-9a-fA-F]{7,64}(?=[#&?\s]|\Z)|/[0-9a-fA-F]{40}(?=[./?#-]|\Z)")
_HASH = re.compile(r"[#&](?:sha(?:224|256|384|512)|blake2b)=[0-9a-fA-F]{32,}|\s--hash[=\s]")
_FILE = re.compile(r"\.(?:whl|zip|tar\.(?:gz|bz2|xz)|tgz)\Z", re.IGNORECASE)
_BRANCH = re.compile(r"/(?:archive|zipball|tarball)/(?:refs/heads/)?(?:main|master|dev|develop|HEAD)\b")


class Requirement(NamedTuple):
    """One requirement: its first line, the project's name, its version specifier, its address, and all its text.

    ``name`` is empty where the address does not tell one.
    """

    line: int
    name: str
    specifier: str
    url: str
    text: str

    @property
    def repository(self) -> bool:
        """Whether it is a repository of a version control system, rather than a release or a file."""
        return bool(_REPOSITORY.match(self.url))

    @property
    def moving(self) -> bool:
        """Whether other code may stand at its address tomorrow: a repository without a commit, a branch."""
        if not self.url or _HASH.search(self.text) or "$" in self.url:
            return False
        address = self.url.removeprefix("@").strip()
        if self.repository:
            return not _COMMIT.search(address.partition("://")[2])
        return bool(_BRANCH.search(address))

    @property
    def pinned(self) -> bool:
        """Whether it names one version (``==`` without a wildcard), one file or one commit."""
        if self.url:
            return not self.moving
        if _HASH.search(self.text) or "$" in self.specifier:
            return True
        exact = (part.strip() for part in self.specifier.strip(" ()").split(","))
        return any(re.fullmatch(r"={2,3}\s*[^*\s]+", part) for part in exact)

    @property
    def said(self) -> str:
        """How it is called in a message."""
        return f"{self.name}{self.specifier}" if self.specifier else f"{self.name}, any version"


def requirement_of(text: str, line: int) -> Requirement | None:
    """Parse one requirement with its options; None where it is none (an option, a comment, a path)."""
    text = _COMMENT.sub("", text).strip().rstrip("\\").strip()
    editable = _EDITABLE.match(text)
    bare = _OPTIONS.sub("", editable[1] if editable is not None else text).strip()
    if not bare or (text.startswith("-") and editable is None):
        return None
    if _ADDRESS.match(bare):
        address = bare.partition(" ;")[0].strip()
        return Requirement(line, _name_of(address), "", address, text)
    found = None if editable is not None else _REQUIREMENT.match(bare)
    if found is None or _FILE.search(bare):
        return None
    url = (found["url"] or "").removeprefix("@").strip()
    return Requirement(line, found["name"], found["specifier"].strip(), url, text)


def _name_of(address: str) -> str:
    """The project at an address: what its fragment says, else a repository's own name."""
    said = re.search(r"[#&]egg=([A-Za-z0-9][A-Za-z0-9._-]*)", address)
    if said is not None:
        return said[1]
    path = re.split(r"[@#?]", address.partition("://")[2].partition("/")[2])[0]
    return path.rstrip("/").rpartition("/")[2].removesuffix(".git")


def lines_of(text: str) -> Iterator[tuple[int, str]]:
    """A requirements file's lines without comments, continued ones joined, each with the number of its first."""
    first, parts = 0, list[str]()
    for number, line in enumerate(text.splitlines(), 1):
        first = first if parts else number
        comment = line.lstrip().startswith("#")
        if line.endswith("\\") and not comment:
            parts.append(line[:-1])
            continue
        # A comment ends what was continued.
        whole = _COMMENT.sub("", "".join([*parts, "" if comment else line])).strip()
        parts = []
        if whole:
            yield first, whole
    whole = _COMMENT.sub("", "".join(parts)).strip()
    if whole:
        yield first, whole


def requirements(text: str) -> Iterator[Requirement]:
    """The requirements of a requirements file, in order."""
    for number, line in lines_of(text):
        found = requirement_of(line, number)
        if found is not None:
            yield found


def options(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a requirements file that are options for pip, such as ``-c constraints.txt``, with their numbers."""
    for number, line in lines_of(text):
        if line.startswith("-") and _EDITABLE.match(line) is None:
            yield number, line


def constrained(text: str) -> bool:
    """Whether a requirements file leaves the versions to a file of constraints."""
    return any(re.match(r"(?:-c|--constraint)[\s=]*\S", line) for _, line in options(text))
