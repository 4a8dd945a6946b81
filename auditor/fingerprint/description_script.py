"""Runs in any interpreter from 3.8 on, imports nothing but the standard library, and prints what it finds there."""

from __future__ import annotations

import os
import sys

# This file's own directory comes first on the path; it is no part of what is described.
_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _HERE]

import importlib.util  # noqa: E402  only now is the path the user's own
import json  # noqa: E402


def describe(names: list[str], flags: list[str]) -> dict[str, object]:
    """The raw facts: ``names`` are the environment variables that may be read, ``flags`` those of ``sys.flags``."""
    return {
        "executable": sys.executable or "",
        "python": sys.version.replace("\n", " "),
        "implementation": sys.implementation.name,
        "variables": {name: os.environ[name] for name in names if name in os.environ},
        "flags": {name: int(getattr(sys.flags, name)) for name in flags if hasattr(sys.flags, name)},
        "distributions": distributions(),
        "libc": libc(),
        "torch": torch_version_file(),
    }


def distributions() -> dict[str, str]:
    """Installed distributions (name: version), from the names of their metadata folders; the first found counts."""
    found = {}  # type: dict[str, str]
    for entry in sys.path:
        try:
            names = sorted(os.listdir(entry or os.curdir))
        except OSError:
            continue
        for name in names:
            stem, _, suffix = name.rpartition(".")
            if suffix in ("dist-info", "egg-info") and "-" in stem:
                parts = stem.split("-")
                found.setdefault(parts[0].lower().replace("_", "-"), parts[1])
    return found


def libc() -> str:
    """The C library's own name and version; empty where it does not say."""
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return ""


def torch_version_file() -> str | None:
    """The text of ``torch/version.py``, found without importing torch; None where there is no torch."""
    try:
        spec = importlib.util.find_spec("torch")
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None or not spec.origin:
        return None
    try:
        with open(os.path.join(os.path.dirname(spec.origin), "version.py"), encoding="utf-8") as file:
            return file.read(4096)
    except (OSError, UnicodeDecodeError):
        return None


def _main() -> None:
    marker, names, flags = sys.argv[1:]
    found = describe(names.split(","), flags.split(","))
    # Whatever else the interpreter prints when it starts, this line is known by its marker.
    sys.stdout.write("\n" + marker + json.dumps(found, sort_keys=True) + "\n")


if __name__ == "__main__":
    _main()
