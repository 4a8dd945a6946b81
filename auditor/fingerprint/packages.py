"""Installed distributions: what the interpreter would find, by normalised name."""

from __future__ import annotations

import re

from auditor.fingerprint.fact import fact
from auditor.fingerprint.inside import Inside
from auditor.records.fingerprint import Fact, Unknown


def facts(inside: Inside) -> dict[str, Fact]:
    """One fact per distribution: its version; ``distributions`` alone says why there are none."""
    if inside.environment is None:
        return {"distributions": Unknown(inside.absent)}
    source = "installed metadata"
    absent = "its metadata names no version"
    found = inside.environment.distributions
    return {normalised(name): fact(found[name], source, absent) for name in sorted(found)}


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 compares it: lowercase, with single dashes."""
    return re.sub(r"[-_.]+", "-", name).lower()


def version_of(inside: Inside, pattern: str) -> str | None:
    """The version of the first distribution whose normalised name matches the pattern fully, or None."""
    return next(iter(versions_of(inside, pattern)), None)


def versions_of(inside: Inside, pattern: str) -> tuple[str, ...]:
    """The versions of the distributions whose normalised names match the pattern fully, in the order of the names."""
    if inside.environment is None:
        return ()
    versions = {normalised(name): version for name, version in inside.environment.distributions.items()}
    return tuple(versions[name] for name in sorted(versions) if re.fullmatch(pattern, name))
