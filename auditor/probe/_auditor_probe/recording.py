"""The file beside a trace that holds captured operations and lines: small, in order, bounded."""

import itertools
import json
import threading

# The clock as it was before anything was changed: an intervention may have fixed the program's.
from .channel import File
from .channel import _perf as _clock

PROTOCOL = 1
MAXIMUM_BYTES = 100 << 20
FLUSH_BYTES = 1 << 16
_ident = threading.get_ident
_quote = json.JSONEncoder(ensure_ascii=True).encode
_MASK = (1 << 64) - 1


class Recording:
    """Appends entries; keeps the tables of texts, places and stacks that entries refer to by number."""

    def __init__(self, directory, name, places, steps):
        self._file = File(directory, name)
        self._places = places
        self._began = _clock()
        self._entries = []
        self._held = 0  # bytes of entries that are not written yet
        self._late = False  # whether any entry waits for an accelerator
        self._numbers = itertools.count()
        self._texts = {}
        self._spots = {}
        self._stacks = {}
        self._threads = {}
        self._codes = {}  # kept, so that no other code takes an address that is known
        self.count = 0  # of entries, as their reader counts them: no headers and no tables
        self.written = 0
        self.full = False
        self.lost = set()
        self._append(f'["h",{PROTOCOL},{steps},{self._began}]')

    # -- tables -----------------------------------------------------------------------------------------------

    def text(self, text):
        """The number of a text."""
        number = self._texts.get(text)
        if number is None:
            number = next(self._numbers)
            self._append(f'["s",{number},{_quote(_plain(text))}]')
            self._texts[text] = number
        return number

    def spot(self, code, line):
        """The number of a line of source."""
        key = (id(code), line)
        number = self._spots.get(key)
        if number is None:
            self._codes[id(code)] = code
            place = self._places.place_at(code, line)
            function = getattr(code, "co_qualname", code.co_name)
            number = next(self._numbers)
            file = _quote(_plain(place["file"]))
            self._append(f'["p",{number},{file},{place["line"]},{_quote(_plain(function))}]')
            self._spots[key] = number
        return number

    def stack(self, key, frames):
        """The number of a stack: ``frames`` are (code, line), and ``key`` tells it from others."""
        number = self._stacks.get(key)
        if number is None:
            spots = [self.spot(code, line) for code, line in frames]
            number = next(self._numbers)
            self._append(f'["k",{number},{_quote(spots)}]')
            self._stacks[key] = number
        return number

    def watched(self, spot, kind, names, loads):
        """The number of what is looked at after a line."""
        number = next(self._numbers)
        self._append(f'["w",{number},{spot},"{kind}",{_quote(names)},{_quote(loads)}]')
        return number

    def thread(self):
        """The number of this thread: its name's."""
        known = threading._active.get(_ident())
        name = "another thread" if known is None else known.name
        number = self._threads.get(name)
        if number is None:
            number = self._threads[name] = self.text(name)
        return number

    def us(self):
        """Microseconds since the beginning."""
        return (_clock() - self._began) // 1000

    # -- entries ----------------------------------------------------------------------------------------------

    def add(self, entry, pieces=None):
        """Appends one entry: its text; or a template and the digests that it waits for, one for each ``%s``."""
        if not self.full:
            self.count += 1
            self._append(entry, pieces)

    def _append(self, entry, pieces=None):
        if self.full:
            return
        if pieces is not None:
            self._late = True
            self._entries.append((entry, pieces))
            self._held += len(entry) + 16 * len(pieces)
        else:
            self._entries.append(entry)
            self._held += len(entry) + 1
        if self._held >= FLUSH_BYTES and not self._late:
            self.flush()

    def lose(self, what):
        """Says once that something is not in the file."""
        if what not in self.lost:
            self.lost.add(what)
            self._append(f'["d",{_quote(what)}]')

    def flush(self):
        """Writes what is held; digests that an accelerator owes are fetched all together."""
        entries, self._entries = self._entries, []
        self._held = 0
        if self._late:
            self._late = False
            entries = _fetched(entries)
        if not entries:
            return
        data = ("\n".join(entries) + "\n").encode("ascii")
        if self.written + len(data) > MAXIMUM_BYTES:
            self.full = True
            data = b'["d","what came after the first 100 MB"]\n'
        self.written += len(data)
        try:
            self._file.write(data)
        except OSError:
            self.full = True  # the file has no end, which is seen

    def close(self, steps):
        """Writes the rest and the end."""
        self.add(f'["e",{steps}]')
        self.flush()
        self._file.release()

    def leave(self):
        """Drops what a forked child inherited: it is its parent's to write."""
        self._entries = []
        self._held = 0
        self._late = False
        self._file.release()


def _fetched(entries):
    remote = {}
    for entry in entries:
        if isinstance(entry, tuple):
            for piece in entry[1]:
                if not isinstance(piece, str):
                    remote[id(piece)] = piece
    known = {}
    by_device = {}
    for piece in remote.values():
        by_device.setdefault(piece.device, []).append(piece)
    for pieces in by_device.values():
        import torch

        for piece, value in zip(pieces, torch.stack(pieces).tolist()):
            known[id(piece)] = (value & _MASK).to_bytes(8, "little").hex()
    done = []
    for entry in entries:
        if isinstance(entry, tuple):
            entry = entry[0] % tuple([p if isinstance(p, str) else known[id(p)] for p in entry[1]])
        done.append(entry)
    return done


def _plain(text):
    """The text without halves of surrogate pairs, which no reader takes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8") if not text.isascii() else text
