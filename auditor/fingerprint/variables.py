"""The environment variables that may enter a fingerprint: named one by one, so that no secret can."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

_LIST = Path(__file__).parents[1] / "probe" / "_auditor_probe" / "variables.txt"


def parse_list(text: str) -> frozenset[str]:
    """The names in a list: separated by blanks, with comments after a number sign."""
    return frozenset(word for line in text.splitlines() for word in line.partition("#")[0].split())


# The probe's own list: what may enter the evidence and what may enter a fingerprint are one.
NAMES = parse_list(_LIST.read_text(encoding="ascii"))

# What belongs to one process, or to the shell that asks: a description of an interpreter must not change with it.
OF_A_PROCESS = frozenset(
    (
        "PYTHONHASHSEED",
        "PYTHONUTF8",
        "LANG",
        "LC_ALL",
        "LC_COLLATE",
        "LC_NUMERIC",
        "TZ",
        "WORLD_SIZE",
        "LOCAL_WORLD_SIZE",
    )
)

_USER = re.compile(r"://[^/@\s]*@")  # of an address, with its password
_PATHS = re.compile("[:;]")  # as ld.so takes them: an empty one is the working directory
_HOME = re.compile(r"^/(home|Users)/[^/]+|^/root(?=/|$)")
_LONGEST = 500


def allowed(variables: Mapping[str, str]) -> dict[str, str | tuple[str, ...]]:
    """The variables that may be shown, by name.

    Lists of paths are cut to what matters of them: ``LD_PRELOAD`` and ``LD_AUDIT`` to the libraries' file names,
    ``LD_LIBRARY_PATH`` to the last two parts of each directory (``cuda-12.4/lib64``). An address is given without its
    user. Empty ones say ``(empty)``.
    """
    return {name: _shown(name, variables[name]) for name in sorted(variables) if name in NAMES}


def _shown(name: str, value: str) -> str | tuple[str, ...]:
    if not value:
        return "(empty)"
    if name in ("LD_PRELOAD", "LD_AUDIT"):
        return tuple(path.rpartition("/")[2] for path in value.replace(":", " ").split())
    if name == "LD_LIBRARY_PATH":
        return tuple(_directory(path) for path in _PATHS.split(value))
    return _USER.sub("://", value)[:_LONGEST]


def _directory(path: str) -> str:
    parts = [part for part in _HOME.sub("~", path).split("/") if part]
    return "/".join(parts[-2:]) or path or "."
