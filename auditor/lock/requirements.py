"""Requirements as pip reads them: which lines leave open what will be installed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Literal, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from auditor.records.lock import Unpinned
from auditor.source.requirements import lines_of

LONGEST_SHOWN = 120

# What may follow a requirement on its line: https://pip.pypa.io/en/stable/reference/requirements-file-format/
_PER_REQUIREMENT = re.compile(r"\s--?[a-zA-Z].*$")
_INCLUDE = re.compile(r"(?:-r|--requirement)[\s=]*(\S.*)\Z")
_CONSTRAINT = re.compile(r"(?:-c|--constraint)[\s=]*(\S.*)\Z")
_EDITABLE = re.compile(r"(?:-e|--editable)[\s=]*(\S.*)\Z")
_NAMED_URL = re.compile(r"\s*[A-Za-z0-9][A-Za-z0-9._-]*(?:\[[^\]]*\])?\s*@\s*(\S+)")
_VCS = re.compile(r"(?:git|hg|svn|bzr)\+", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_COMMIT = re.compile(r"@[0-9a-fA-F]{7,64}(?=[#&?]|\Z)")
_COMMIT_IN_PATH = re.compile(r"/[0-9a-fA-F]{40}(?=[./?#-]|\Z)")
_HASH_IN_FRAGMENT = re.compile(r"[#&](?:sha(?:224|256|384|512)|blake2b)=[0-9a-fA-F]{32,}")
_HASH_OPTION = re.compile(r"\s--hash[=\s]")
_FILE = re.compile(r"\.(?:whl|zip|tar\.(?:gz|bz2|xz)|tgz)(?:\[[^\]]*\])?\Z", re.IGNORECASE)
_VARIABLE = re.compile(r"\$\{?[A-Za-z_]")
_CONDA_EXPORT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)=([^=\s]+)=([^=\s]+)\Z")


class Entry(NamedTuple):
    """One logical line: where it begins, what it is, and its text (of an include or a constraint, the file's name)."""

    line: int
    kind: Literal["requirement", "include", "constraint", "option"]
    text: str


def parse(text: str) -> tuple[Entry, ...]:
    """The entries of a requirements file, in order: continued lines joined, comments removed, empty lines left out."""
    return tuple(_entry(number, line) for number, line in lines_of(text))


def unpinned_in_requirements(
    text: str,
    file: str = "requirements.txt",
    installed: Mapping[str, str] = {},
    constrained: AbstractSet[str] = frozenset(),
) -> tuple[Unpinned, ...]:
    """The lines of a requirements file that leave open what is installed.

    ``installed`` maps normalised names to the versions that are installed, for the advice; ``constrained`` are the
    normalised names that a constraints file pins. Files that this one includes are not read.
    """
    found = []
    for entry in parse(text):
        if entry.kind == "requirement":
            judged = judge(entry.text, installed, constrained)
        elif entry.kind == "include" and _URL.match(entry.text):
            judged = Judged("distribution", "a file elsewhere may change: keep a copy of it in the project")
        else:
            judged = None
        if judged is not None:
            found.append(Unpinned(file, entry.line, judged.kind, shown(entry.text), judged.advice))
    return tuple(found)


def pinned_by(text: str) -> frozenset[str]:
    """The normalised names that a constraints file holds to one version."""
    names = set()
    for entry in parse(text):
        if entry.kind == "requirement" and judge(entry.text) is None:
            name = _name(entry.text)
            if name:
                names.add(name)
    return frozenset(names)


class Judged(NamedTuple):
    """Why a requirement is not pinned: the kind of the record, and the advice."""

    kind: Literal["distribution", "unreadable"]
    advice: str


def judge(
    text: str,
    installed: Mapping[str, str] = {},
    constrained: AbstractSet[str] = frozenset(),
) -> Judged | None:
    """What is open about one requirement as pip takes it (with its options), or None where nothing is.

    Pinned are an exact version (``==`` without a star, ``===``), a hash, and an address with a hash or a commit. Files
    and directories of the project are its own, and a requirement for another platform is none of this one's.
    """
    if _HASH_OPTION.search(text) or _VARIABLE.search(text):
        # With a hash pip takes one file only; what a variable holds is not known here.
        return None
    editable = _EDITABLE.match(text)
    bare = _PER_REQUIREMENT.sub("", editable[1] if editable is not None else text).strip()
    named = _NAMED_URL.match(bare)
    address = named[1] if named is not None else bare
    if _VCS.match(address) or _URL.match(address):
        return _judge_address(bare, address, installed)
    if named is not None or editable is not None or _is_path(bare):
        return None
    try:
        requirement = Requirement(bare)
        wanted_here = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    except (ValueError, RecursionError):
        export = _CONDA_EXPORT.match(bare)
        if export is not None:
            return Judged("unreadable", f"conda wrote it and pip cannot read it; pin: {export[1]}=={export[2]}")
        return Judged("unreadable", "it cannot be read as a requirement (PEP 508)")
    name = canonicalize_name(requirement.name)
    if name in constrained or not wanted_here:
        return None
    if any(
        one.operator == "===" or (one.operator == "==" and not one.version.endswith(".*"))
        for one in requirement.specifier
    ):
        return None
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    return Judged("distribution", f"pin: {requirement.name}{extras}=={installed.get(name) or '<version>'}")


def shown(text: str) -> str:
    """A line as a report shows it: credentials of addresses left out, and no longer than it helps."""
    clean = re.sub(r"://[^/@\s]*@", "://", " ".join(text.split()))
    return clean if len(clean) <= LONGEST_SHOWN else f"{clean[: LONGEST_SHOWN - 1]}…"


def _entry(line: int, text: str) -> Entry:
    include, constraint = _INCLUDE.match(text), _CONSTRAINT.match(text)
    if include is not None:
        return Entry(line, "include", include[1].strip("\"'"))
    if constraint is not None:
        return Entry(line, "constraint", constraint[1].strip("\"'"))
    if text.startswith("-") and _EDITABLE.match(text) is None:
        return Entry(line, "option", text)
    return Entry(line, "requirement", text)


def _judge_address(requirement: str, address: str, installed: Mapping[str, str]) -> Judged | None:
    if _VCS.match(address):
        if _COMMIT.search(address.partition("://")[2]):
            return None
        return Judged("distribution", "a branch or tag can be moved: name a commit (…@<commit>)")
    if _HASH_IN_FRAGMENT.search(address) or _COMMIT_IN_PATH.search(address):
        return None
    if address.lower().startswith("file:"):
        name = _name(requirement)
        version = (installed.get(name) or "<version>") if name else ""
        return Judged("distribution", "it is on one machine only" + (f"; pin: {name}=={version}" if name else ""))
    return Judged("distribution", "what lies there may change: add #sha256=<digest>")


def _name(text: str) -> str:
    found = re.match(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?=\s*(?:[\[@<>=!~;,( ]|\Z))", text.strip())
    return canonicalize_name(found[0]) if found is not None else ""


def _is_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or bool(_FILE.search(text)) or "/" in text.partition(";")[0]
