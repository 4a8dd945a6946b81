"""The C library and the mathematical library: name, version, builds, what was mapped, and the locale."""

from __future__ import annotations

import re

from auditor.fingerprint import libraries
from auditor.fingerprint.fact import fact
from auditor.fingerprint.inside import Inside
from auditor.fingerprint.interpreter import PER_PROCESS
from auditor.records.fingerprint import Fact, Unknown

KINDS = {
    "libc": re.compile(r"(libc[-.]|ld-musl)"),
    "libm": re.compile(r"libm(vec)?[-.]"),
}
_LIBM = re.compile(r"libm[-.]")


def facts(inside: Inside) -> dict[str, Fact]:
    """``libc`` (``glibc 2.36``), ``loaded:libc``, ``loaded:libm``, ``libc:build-id``, ``libm:build-id``, ``locale``."""
    if inside.environment is None:
        found: dict[str, Fact] = {"libc": Unknown(inside.absent), "locale": Unknown(inside.absent)}
    else:
        absent = "the C library does not say which it is (musl does not)"
        found = {"libc": fact(parse_libc(inside.environment.libc), "confstr", absent)}
        locale = parse_locale(inside.environment.locale)
        found["locale"] = fact(locale, "setlocale", inside.absent) if inside.process else Unknown(PER_PROCESS)
    found.update(libraries.loaded(inside, KINDS))
    for kind, pattern in (("libc", KINDS["libc"]), ("libm", _LIBM)):
        ids = {build.id for path, build in inside.builds.items() if pattern.match(path.rpartition("/")[2])} - {""}
        reason = "its file has no build id, or was not mapped" if inside.builds else inside.absent
        found[f"{kind}:build-id"] = fact(" ".join(sorted(ids)), "its file's note", reason)
    return found


def parse_locale(text: str) -> str:
    """What ``setlocale(LC_ALL, NULL)`` says, without the categories that are ``C``; ``C`` where all are.

    It names one locale where every category has it, else each category (``LC_CTYPE=C.UTF-8;LC_NUMERIC=C;...``).
    """
    categories = [part for part in text.split(";") if not part.endswith("=C")]
    return ";".join(categories) or ("C" if text else "")


def parse_libc(text: str) -> str:
    """``glibc 2.36`` of what ``confstr(_CS_GNU_LIBC_VERSION)`` or ``platform.libc_ver`` says; empty if nothing."""
    return " ".join(text.split())
