"""Runs in any interpreter from 3.8 on, imports nothing but the standard library, and prints what it finds there."""

from __future__ import annotations

import os
import sys

# This file's own directory comes first on the path; it is no part of what is described.
_HERE = os.path.dirname(os.path.abspath(__file__))
_OWN = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _HERE]
# Two modules that the probe brings into a process, and that read the same here; the second argument says where.
sys.path[:] = [sys.argv[2], *_OWN]

from _auditor_probe import distributions, objects  # type: ignore[import-not-found]  # noqa: E402  found by that path

sys.path[:] = _OWN

import importlib.util  # noqa: E402  only now is the path the user's own
import json  # noqa: E402
import math  # noqa: E402, F401  brings in the mathematical library


def describe(names: list[str], flags: list[str]) -> dict[str, object]:
    """The raw facts: ``names`` are the environment variables that may be read, ``flags`` those of ``sys.flags``."""
    versions, origins = distributions.installed()
    return {
        "executable": sys.executable or "",
        "python": sys.version.replace("\n", " "),
        "implementation": sys.implementation.name,
        "variables": {name: os.environ[name] for name in names if name in os.environ},
        "flags": {name: int(getattr(sys.flags, name)) for name in flags if hasattr(sys.flags, name)},
        "distributions": versions,
        "origins": origins,
        "libc": libc(),
        "builds": builds(),
        "torch": torch_version_file(),
    }


def builds() -> dict[str, list[object]]:
    """The C libraries mapped into this interpreter: build id, size and time of modification by path."""
    names = ("libc.", "libc-", "libm.", "libm-", "ld-musl")
    paths = [path for path in objects.mapped()[0] if os.path.basename(path).startswith(names)]
    return dict(zip(map(objects.shown, paths), objects.builds(paths)))  # noqa: B905  lengths agree; strict= is 3.10


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


def plain(value: object) -> object:
    """The value with escapes for what its strings hold and text does not: names of bytes that are no text."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {plain(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _main() -> None:
    marker, _, names, flags = sys.argv[1:]
    found = describe(names.split(","), flags.split(","))
    # Whatever else the interpreter prints when it starts, this line is known by its marker.
    sys.stdout.write("\n" + marker + json.dumps(plain(found), sort_keys=True) + "\n")


if __name__ == "__main__":
    _main()
