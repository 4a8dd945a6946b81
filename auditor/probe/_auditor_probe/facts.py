"""Facts about the interpreter as seen from inside it: names, versions, allow-listed variables."""

import os
import sys
import time

from . import distributions

PROTOCOL = 1
_open = open  # before anything is replaced


def _listed():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "variables.txt")
    with open(path, encoding="ascii") as file:
        return frozenset(word for line in file for word in line.partition("#")[0].split())


# Read at once: a program may give up its right to read files, or leave for another root directory.
_NAMES = _listed()


def variables():
    """The environment variables that ``variables.txt`` names; never anything else, and no user of an address."""
    return {name: _without_users(os.environ[name])[:1000] for name in sorted(_NAMES.intersection(os.environ))}


def _without_users(value):
    if "://" in value and "@" in value:
        import re

        value = re.sub(r"://[^/@\s]*@", "://", value)
    return value


def arguments():
    """The interpreter's original command line; empty where it cannot be had."""
    original = getattr(sys, "orig_argv", None)
    if original:
        return list(original)
    try:
        with open("/proc/self/cmdline", "rb") as file:
            return [os.fsdecode(part) for part in file.read().split(b"\0")[:-1]]
    except OSError:
        return []


def is_helper():
    """Whether this interpreter only serves multiprocessing (it tracks resources and runs nothing of the user's)."""
    command = " ".join(arguments()[:8])
    return "multiprocessing.resource_tracker" in command or "multiprocessing.semaphore_tracker" in command


_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


def label():
    """What is run, without its arguments: the script's base name, ``-m module``, ``-c``, or ``interactive``."""
    rest = iter(arguments()[1:])
    for argument in rest:
        if argument == "-m":
            return "-m " + next(rest, "")
        if argument.startswith("-m") and not argument.startswith("--"):
            return "-m " + argument[2:]
        if argument.startswith("-c"):
            return "-c"
        if argument.endswith("--multiprocessing-fork"):
            return "spawn"
        if argument in _WITH_VALUE:
            next(rest, "")
        elif argument == "-" or not argument.startswith("-"):
            return os.path.basename(argument)
        elif not argument.startswith("--") and argument[1:].rstrip("c") != argument[1:]:
            return "-c"
    return "interactive"


def hello(kind, name, parent, child):
    """The fields of the handshake."""
    if kind == "exec" and name == "-c" and any(a == "--multiprocessing-fork" for a in arguments()):
        name = "spawn"
    return {
        "protocol": PROTOCOL,
        "kind": kind,
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "label": name,
        "python": ".".join(map(str, sys.version_info[:3])),
        "implementation": sys.implementation.name,
        "hash_seed": os.environ.get("PYTHONHASHSEED"),
        "rank": os.environ.get("RANK"),
        "local_rank": os.environ.get("LOCAL_RANK"),
        "parent": parent,
        "child": child,
        "ns": time.time_ns(),
    }


def environment():
    """The fields of the environment line, less its time."""
    import platform

    versions, origins = distributions.installed()
    flags = {
        name: int(getattr(sys.flags, name)) for name in ("optimize", "hash_randomization", "dev_mode", "utf8_mode")
    }
    return {
        "executable": sys.executable or "",
        "python": sys.version.replace("\n", " "),
        "implementation": sys.implementation.name,
        "compiler": platform.python_compiler(),
        "variables": variables(),
        "flags": flags,
        "distributions": versions,
        "origins": origins,
        "libc": _libc(),
        "locale": _locale(),
        "release": _release(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
    }


def _libc():
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, ValueError, OSError):
        return ""


def _release():
    """The text of the system's ``os-release`` file; empty where there is none to read."""
    for path in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            with _open(path, encoding="utf-8", errors="replace") as file:
                return file.read(4096)
        except OSError:
            continue
    return ""


def _locale():
    """The C library's locale as the program set it, by category; asking changes nothing."""
    try:
        import _locale as native

        return native.setlocale(native.LC_ALL, None)
    except (ImportError, AttributeError, ValueError):
        return ""
