"""The project's own source files that this process imported, and a digest of each as it lies there at the end."""

import os
import stat
import sys
from types import ModuleType

from .hashing import blake2b

# Before anything is watched or replaced.
_open = os.open
_close = os.close
_read = os.read
_fstat = os.fstat

MAXIMUM = 5000
_LARGEST = 16 << 20
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def imported(places):
    """The fields of the line: [file relative to the project, digest] by name, and how many could not be told."""
    found = {}
    left_out = 0
    for module in list(sys.modules.values()):
        path = _file(module)
        name = places.in_project(path) if path is not None else None
        if name is None or name in found:
            continue
        value = _digest(places.absolute(path)) if len(found) < MAXIMUM else None
        if value is None:
            left_out += 1
        else:
            found[name] = value
    return {"files": [[name, found[name]] for name in sorted(found)], "left_out": left_out}


def _file(module):
    # Modules may be anything that a program put there, and loading lazily they may import at a first look: not at this.
    kind = type(module)
    if kind is not ModuleType and not issubclass(kind, ModuleType):
        return None
    names = module.__dict__ if kind is ModuleType else object.__getattribute__(module, "__dict__")
    path = names.get("__file__")
    if path is None and names.get("__name__") == "__main__":
        # A script's own name is taken away when it has ended; its loader keeps it.
        path = getattr(names.get("__loader__"), "path", None)
    # Code that was made while the program ran has no file, and its name begins so.
    return path if type(path) is str and path[:1] != "<" else None


def _digest(path):
    try:
        descriptor = _open(path, _FLAGS)
    except (OSError, ValueError):
        return None
    try:
        status = _fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return None
        data = b""
        while len(data) <= _LARGEST:
            piece = _read(descriptor, 1 << 20)
            if not piece:
                return blake2b(data, digest_size=8).hexdigest()
            data += piece
        return None
    except OSError:
        return None
    finally:
        _close(descriptor)
