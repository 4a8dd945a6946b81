"""Reads of the outside world by the user's own lines: the clock, the pid, the system's entropy, directory listings."""

import os
import sys
import time

from .callables import stand_in

_getframe = sys._getframe
MAXIMUM_RECORDS = 200


class Entropy:
    """Records the first read of each kind by each user line; varies the order of listings where asked to."""

    def __init__(self, session, directory_order):
        self._session = session
        self._vary = directory_order
        self._seen = set()
        self._codes = {}
        self._varied = False
        self.muted = 0  # more than 0 while NumPy draws a seed: that read is told as NumPy's

    def note(self, kind, frame, order=None, names=None):
        """Records one read, once for each user line."""
        session = self._session
        # What a library reads for itself (NumPy's generators excepted: they decide results) is its own business.
        if kind != "numpy-entropy" and not session.places.reached_from_user(frame):
            return
        place, _caller = session.places.find(frame)
        if place is None:
            return
        key = (kind, place["file"], place["line"], order)
        if key in self._seen or len(self._seen) >= MAXIMUM_RECORDS:
            return
        self._seen.add(key)
        session.send("entropy", {"kind": kind, "place": place, "step": session.step, "order": order, "names": names})

    def watch(self):
        """Begins to watch."""
        for name in ("time", "time_ns"):
            stand_in(time, name, lambda original: self._make_look(original, "clock"))
        stand_in(os, "getpid", lambda original: self._make_look(original, "pid"))
        stand_in(os, "urandom", self._make_urandom)
        stand_in(os, "listdir", self._make_listdir)
        stand_in(os, "scandir", self._make_scandir)
        # Before Python 3.11 pathlib keeps its own references to the listing functions.
        accessor = getattr(sys.modules.get("pathlib"), "_NormalAccessor", None)
        for name in ("listdir", "scandir"):
            if accessor is not None and hasattr(accessor, name):
                setattr(accessor, name, getattr(os, name))

    def watch_random(self):
        """Watches the reference to ``os.urandom`` that Python's ``random`` keeps."""
        stand_in(sys.modules["random"], "_urandom", self._make_urandom)

    def _make_look(self, original, kind):
        codes = self._codes[kind] = self._codes.get(kind, {})

        def look():
            frame = _getframe(2)
            code = frame.f_code
            # One function may look at several lines. Hashing a code object hashes all it contains: those that are known
            # are kept alive, and found by their address.
            site = id(code), frame.f_lasti
            if site not in codes:
                codes[site] = code
                if self._session.places.kind(code.co_filename) == "user":
                    self._session.guard(kind, self.note, kind, frame)
            return original()

        return look

    def _make_urandom(self, original):
        def urandom(size):
            if self.muted:
                return original(size)
            frame = _getframe(2)
            kind = "uuid" if frame.f_code.co_filename.endswith("uuid.py") else "urandom"
            self._session.guard("urandom", self.note, kind, frame)
            return original(size)

        return urandom

    def _make_listdir(self, original):
        def listdir(*args, **kwargs):
            names = original(*args, **kwargs)
            return self._session.guard_value("listdir", names, self._listed, names, _getframe(2))

        return listdir

    def _listed(self, names, frame, key=None):
        if len(names) < 2 or not self._session.places.reached_from_user(frame):
            return names
        varied = names
        if self._vary:
            varied = names[::-1]
            self._say_varied()
        from . import digest

        encoded = [os.fsencode(key(n) if key else n) for n in varied]
        self.note(
            "listing",
            frame,
            digest.of_bytes(b"\0".join(encoded)).hex(),
            digest.of_bytes(b"\0".join(sorted(encoded))).hex(),
        )
        return varied

    def _say_varied(self):
        if not self._varied:
            self._varied = True
            self._session.send("perturbed", {"factor": "directory-order", "how": "reversed"})

    def _make_scandir(self, original):
        def scandir(*args, **kwargs):
            iterator = original(*args, **kwargs)
            frame = _getframe(2)
            if not self._session.places.reached_from_user(frame):
                return iterator
            return _Scan(self, iterator, frame)

        return scandir


class _Scan:
    """An ``os.scandir`` iterator whose order is recorded and, where asked for, varied."""

    def __init__(self, entropy, iterator, frame):
        self._iterator = iterator
        self._entropy = entropy
        self._frame = frame
        self._entries = None

    def __iter__(self):
        return self

    def __next__(self):
        if self._entries is None:
            entries = list(self._iterator)
            session = self._entropy._session
            entries = session.guard_value(
                "scandir", entries, self._entropy._listed, entries, self._frame, lambda e: e.name
            )
            self._frame = None
            self._entries = iter(entries)
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self._iterator.close()
