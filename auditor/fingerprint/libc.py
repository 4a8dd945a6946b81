"""The C library and the mathematical library: name, version, and what was mapped."""

from __future__ import annotations

import re

from auditor.fingerprint import libraries
from auditor.fingerprint.fact import fact
from auditor.fingerprint.inside import Inside
from auditor.records.fingerprint import Fact, Unknown

KINDS = {
    "libc": re.compile(r"(libc[-.]|ld-musl)"),
    "libm": re.compile(r"libm(vec)?[-.]"),
}


def facts(inside: Inside) -> dict[str, Fact]:
    """``libc`` (``glibc 2.36``), ``loaded:libc`` and ``loaded:libm``."""
    if inside.environment is None:
        found: dict[str, Fact] = {"libc": Unknown(inside.absent)}
    else:
        absent = "the C library does not say which it is (musl does not)"
        found = {"libc": fact(parse_libc(inside.environment.libc), "confstr", absent)}
    found.update(libraries.loaded(inside, KINDS))
    return found


def parse_libc(text: str) -> str:
    """``glibc 2.36`` of what ``confstr(_CS_GNU_LIBC_VERSION)`` or ``platform.libc_ver`` says; empty if nothing."""
    return " ".join(text.split())
