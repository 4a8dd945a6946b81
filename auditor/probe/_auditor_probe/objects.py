"""The files mapped into a process: shared objects with their GNU build ids, and the data files beside them."""

import os
import stat

# Before anything is watched or replaced.
_open = os.open
_close = os.close
_read = os.read
_pread = os.pread
_fstat = os.fstat

MAXIMUM = 2000
_HEAD = 4096
_LARGEST_NOTE = 65536
_LARGEST_MAPS = 32 << 20
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
_PT_NOTE = 4
_NT_GNU_BUILD_ID = 3


def mapped(maps="/proc/self/maps"):
    """(shared objects, other files) mapped into this process: paths as the kernel gives them, each once, sorted.

    Both are empty where the system does not say. What was deleted since is left out of the other files.
    """
    objects = set()
    others = set()
    for line in _text(maps).split(b"\n"):
        slash = line.find(b"/")
        if slash >= 0:
            path = os.fsdecode(line[slash:])
            if ".so" in os.path.basename(path):
                objects.add(path)
            elif not path.endswith(" (deleted)"):
                others.add(path)
    return sorted(objects), sorted(others)


def shown(path):
    """A path as it is written into the trace: ASCII, with what is no text as escapes."""
    return path.encode("utf-8", "backslashreplace").decode("ascii", "backslashreplace")


def builds(paths):
    """[build id in hex or "", size, time of modification in ns] of each path; zeros where it cannot be read."""
    return [_build(path) if i < MAXIMUM else ["", 0, 0] for i, path in enumerate(paths)]


def _build(path):
    try:
        descriptor = _open(path, _FLAGS)
    except OSError:
        return ["", 0, 0]
    try:
        status = _fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return ["", 0, 0]
        found = build_id(lambda offset, size: _pread(descriptor, size, offset))
        return [found, status.st_size, status.st_mtime_ns]
    except (OSError, OverflowError, ValueError):
        return ["", 0, 0]
    finally:
        _close(descriptor)


def build_id(read):
    """The GNU build id of an ELF file in hexadecimal digits, or an empty string; ``read(offset, size)`` gives bytes.

    Source: https://refspecs.linuxfoundation.org/elf/gabi4+/contents.html and, for the note, the linker's --build-id.
    """
    head = read(0, _HEAD)
    if head[:4] != b"\x7fELF" or len(head) < 64 or head[4] not in (1, 2) or head[5] not in (1, 2):
        return ""
    order = "little" if head[5] == 1 else "big"

    def number(data, at, size):
        return int.from_bytes(data[at : at + size], order)

    if head[4] == 2:  # 64 bits: where the program headers are, how long each is, and how many
        table, size, count, least = number(head, 32, 8), number(head, 54, 2), number(head, 56, 2), 56
    else:
        table, size, count, least = number(head, 28, 4), number(head, 42, 2), number(head, 44, 2), 32
    if size < least:
        return ""
    length = min(count, 128) * size
    headers = head[table : table + length] if table + length <= len(head) else read(table, length)
    for at in range(0, len(headers) - size + 1, size):
        if number(headers, at, 4) != _PT_NOTE:
            continue
        if head[4] == 2:
            offset, extent, aligned = (
                number(headers, at + 8, 8),
                number(headers, at + 32, 8),
                number(headers, at + 48, 8),
            )
        else:
            offset, extent, aligned = (
                number(headers, at + 4, 4),
                number(headers, at + 16, 4),
                number(headers, at + 28, 4),
            )
        extent = min(extent, _LARGEST_NOTE)
        notes = head[offset : offset + extent] if offset + extent <= len(head) else read(offset, extent)
        found = _in_notes(notes, number, 8 if aligned == 8 else 4)
        if found:
            return found
    return ""


def _in_notes(notes, number, alignment):
    at = 0
    while at + 12 <= len(notes):
        name_size, size, kind = number(notes, at, 4), number(notes, at + 4, 4), number(notes, at + 8, 4)
        begin = at + _padded(12 + name_size, alignment)
        if kind == _NT_GNU_BUILD_ID and notes[at + 12 : at + 12 + name_size] == b"GNU\0":
            return notes[begin : begin + size].hex() if begin + size <= len(notes) and size <= 64 else ""
        at = begin + _padded(size, alignment)
    return ""


def _padded(size, alignment):
    return (size + alignment - 1) // alignment * alignment


def _text(path):
    try:
        descriptor = _open(path, _FLAGS)
    except OSError:
        return b""
    try:
        pieces = []
        total = 0
        while total < _LARGEST_MAPS:
            piece = _read(descriptor, 1 << 20)
            if not piece:
                break
            pieces.append(piece)
            total += len(piece)
        return b"".join(pieces)
    except OSError:
        return b""
    finally:
        _close(descriptor)
