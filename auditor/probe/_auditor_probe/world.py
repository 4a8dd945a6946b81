"""Interventions in what a program sees of the world: the system's entropy, the clock, its pid, directory listings."""

import datetime
import os
import random
import sys
import threading
import time

from .callables import Changed, stand_in
from .seeding import replace_method

_STDLIB = os.path.dirname(random.Random.shuffle.__code__.co_filename)
# The standard library's modules whose reads of entropy are what the program asked them for. Others (multiprocessing's
# keys, temporary names) read for themselves.
_PROCESS = os.path.join(_STDLIB, "multiprocessing", "process.py")
_ASKED = frozenset(os.path.join(_STDLIB, name) for name in ("random.py", "secrets.py", "uuid.py"))


class SystemEntropy:
    """``fix-entropy``: ``os.urandom`` and what rests on it (``secrets``, ``SystemRandom``, ``uuid``)."""

    def __init__(self, work):
        self._work = work
        self._count = 0

    def begin(self):
        for module, name in ((os, "urandom"), (os, "getrandom"), (random, "_urandom")):
            stand_in(module, name, self._make, Changed)

    def hooks(self):
        return {"uuid": self._uuid}

    def _make(self, original):
        def urandom(size, *flags):
            if isinstance(size, int) and size > 0 and self._work.session.guard("fix-entropy", self._applies):
                return self._bytes(size)
            return original(size, *flags)

        return urandom

    def _applies(self):
        entropy = self._work.session.entropy
        if entropy is not None and entropy.muted:
            return False  # NumPy draws a seed, which is another factor's
        frame = self._work.caller()
        while frame is not None and frame.f_code.co_filename in _ASKED:
            frame = frame.f_back
        if not self._work.program_calls(frame):
            return False
        self._work.tell("fix-entropy", "a fixed sequence for the system's entropy")
        return True

    def _bytes(self, size):
        self._count += 1
        blocks = [self._work.number(512, "entropy", self._count, i) for i in range(-(-size // 64))]
        return b"".join(block.to_bytes(64, "big") for block in blocks)[:size]

    def _uuid(self, module):
        # The standard library makes these from the clock, the machine and a C library's counter.
        original = module.uuid1

        def uuid1(node=None, clock_seq=None):
            if not self._work.session.guard("fix-entropy", self._applies):
                return original(node, clock_seq)
            return module.UUID(bytes=self._bytes(16), version=1)

        self._work.session.imitate(uuid1, original)
        module.uuid1 = uuid1


LOOK_NS = 1_000_000
_EPOCH_NS = 1_700_000_000_000_000_000
_COUNTER_NS = 1_000_000_000_000
# Processes that work together watch their deadlines on a clock that must be everybody's.
_TOGETHER = os.path.join("torch", "distributed", "")


class Clock:
    """``freeze-clock``: for the program, time passes with each look at it, and while it sleeps.

    Each thread has a clock of its own, which begins where that of the thread that started it stood: which thread runs
    when says nothing. User code sees this clock in every function of ``time``; libraries see it in ``time.time`` and in
    ``datetime`` only, since the others serve them for timeouts. The standard library sees the real one: locks, queues
    and timeouts go on as they are.
    """

    def __init__(self, work):
        self._work = work
        self._passed = threading.local()

    def begin(self):
        for name in ("time", "time_ns"):
            self._fix(name, _EPOCH_NS, True)
        for name in ("perf_counter", "monotonic", "process_time", "thread_time"):
            self._fix(name, _COUNTER_NS, False)
            self._fix(name + "_ns", _COUNTER_NS, False)
        for name in ("clock_gettime", "clock_gettime_ns"):
            stand_in(time, name, self._make_of_id, Changed)
        for name in ("localtime", "gmtime", "ctime"):
            stand_in(time, name, self._make_of_seconds, Changed)
        stand_in(time, "strftime", self._make_strftime, Changed)
        stand_in(time, "asctime", self._make_asctime, Changed)
        stand_in(time, "sleep", self._make_sleep, Changed)
        self._follow_threads()
        self._fix_datetime()

    def _looks(self, libraries):
        """Nanoseconds that have passed for who calls; None where the real clock is to be read."""
        work = self._work
        frame = work.caller()
        kind = work.kind(frame)
        if kind == "library":
            if not libraries or _TOGETHER in frame.f_code.co_filename or work.session.places.at_library_import(frame):
                return None
        elif kind != "user":
            return None
        work.tell("freeze-clock", "time passes with each look")
        return self._advance(LOOK_NS)

    def _advance(self, nanoseconds):
        try:
            now = self._passed.now
        except AttributeError:
            # Asked of the table: current_thread() would enter threads that were not made by threading.
            thread = threading._active.get(threading.get_ident())
            now = getattr(thread, "_auditor_passed", 0)
        self._passed.now = now = now + nanoseconds
        return now

    def _fix(self, name, begin, libraries):
        in_seconds = not name.endswith("_ns")

        def make(original):
            def clock():
                passed = self._work.session.guard_value("freeze-clock", None, self._looks, libraries)
                if passed is None:
                    return original()
                return (begin + passed) / 1e9 if in_seconds else begin + passed

            return clock

        stand_in(time, name, make, Changed)

    def _now(self):
        """Seconds since the epoch for who calls, or None."""
        passed = self._work.session.guard_value("freeze-clock", None, self._looks, True)
        return None if passed is None else (_EPOCH_NS + passed) / 1e9

    def _make_of_id(self, original):
        def clock(which):
            passed = self._work.session.guard_value("freeze-clock", None, self._looks, False)
            if passed is None:
                return original(which)
            now = (_EPOCH_NS if which == time.CLOCK_REALTIME else _COUNTER_NS) + passed
            return now if original.__name__.endswith("_ns") else now / 1e9

        return clock

    def _make_of_seconds(self, original):
        def broken_down(seconds=None):
            return original(self._now() if seconds is None else seconds)

        return broken_down

    def _make_strftime(self, original):
        def strftime(form, *when):
            now = None if when else self._now()
            return original(form, *when) if now is None else original(form, time.localtime(now))

        return strftime

    def _make_asctime(self, original):
        def asctime(*when):
            now = None if when else self._now()
            return original(*when) if now is None else original(time.localtime(now))

        return asctime

    def _make_sleep(self, original):
        def sleep(seconds):
            original(seconds)
            if self._work.kind(self._work.caller()) in ("user", "library"):
                self._work.session.guard("freeze-clock", self._advance, int(seconds * 1e9))

        return sleep

    def _follow_threads(self):
        start = threading.Thread.start
        wait = threading.Condition.wait
        session = self._work.session
        clock = self

        def start_thread(self):
            self._auditor_passed = session.guard("freeze-clock", clock._advance, 0) or 0
            return start(self)

        def wait_watched(self, timeout=None):
            notified = wait(self, timeout)
            if timeout is not None and not notified:
                # A program that waits until a deadline, and a little each time, is to come to its end.
                session.guard("freeze-clock", clock._advance, int(max(timeout, 0) * 1e9))
            return notified

        session.imitate(start_thread, start)
        session.imitate(wait_watched, wait)
        threading.Thread.start = start_thread
        threading.Condition.wait = wait_watched

    def _fix_datetime(self):
        # today() asks time.time for its part.
        clock = self
        real = {}

        def now(cls, tz=None):
            """The time of now, in a time zone or the local one."""
            seconds = clock._now()
            return real["now"].__get__(None, cls)(tz) if seconds is None else cls.fromtimestamp(seconds, tz)

        def utcnow(cls):
            """The time of now in UTC, without a time zone."""
            seconds = clock._now()
            if seconds is None:
                return real["utcnow"].__get__(None, cls)()
            return cls.fromtimestamp(seconds, datetime.timezone.utc).replace(tzinfo=None)

        for function in (now, utcnow):
            real[function.__name__] = replace_method(datetime.datetime, function.__name__, classmethod(function))


class Pid:
    """``fix-pid``: user code that asks for the process's number gets a fixed one, which no process can have.

    Libraries and the standard library get the real one: locks, sockets and children depend on it. What the program
    sends to the fixed number arrives at the process.
    """

    _ABOVE_ALL = 1 << 22  # PID_MAX_LIMIT of Linux on 64 bits

    def __init__(self, work):
        self._work = work
        self._real = {}

    def begin(self):
        self._getpid = os.getpid
        self._getppid = os.getppid
        self._number()
        stand_in(os, "getpid", lambda original: self._make(original, "_own"), Changed)
        stand_in(os, "getppid", lambda original: self._make(original, "_parent"), Changed)
        for name in ("kill", "getpgid", "getsid", "sched_getaffinity", "sched_setaffinity", "getpriority"):
            stand_in(os, name, self._make_of_pid, Changed)

    def _number(self, parent=None):
        self._own = self._ABOVE_ALL + self._work.number(24, "pid")
        self._parent = self._ABOVE_ALL + self._work.number(24, "parent") if parent is None else parent
        self._real = {self._own: self._getpid(), self._parent: self._getppid()}

    def in_child(self):
        self._number(self._own)

    def _make(self, original, which):
        def getpid():
            if self._work.session.guard("fix-pid", self._applies):
                return getattr(self, which)
            return original()

        return getpid

    def _applies(self):
        frame = self._work.caller()
        if frame is not None and frame.f_code.co_name == "ident" and frame.f_code.co_filename == _PROCESS:
            frame = frame.f_back  # current_process().pid
        if self._work.kind(frame) != "user":
            return False
        self._work.tell("fix-pid", "a fixed number")
        return True

    def _make_of_pid(self, original):
        def real(arg):
            return self._real.get(arg, arg) if type(arg) is int else arg

        def of_pid(*args, **kwargs):
            return original(*map(real, args), **{name: real(arg) for name, arg in kwargs.items()})

        return of_pid


class Listings:
    """``sort-listings``: directories are listed in order of name, whoever asks."""

    def __init__(self, work):
        self._work = work

    def begin(self):
        stand_in(os, "listdir", self._make_listdir, Changed)
        stand_in(os, "scandir", self._make_scandir, Changed)
        # These keep references of their own, if they were imported before.
        accessor = getattr(sys.modules.get("pathlib"), "_NormalAccessor", None)
        for name in ("listdir", "scandir"):
            if hasattr(accessor, name):
                setattr(accessor, name, getattr(os, name))
        globber = getattr(sys.modules.get("glob"), "_StringGlobber", None)
        if hasattr(globber, "scandir"):
            globber.scandir = staticmethod(os.scandir)

    def _make_listdir(self, original):
        def listdir(*args, **kwargs):
            names = original(*args, **kwargs)
            return self._work.session.guard_value("sort-listings", names, self._sorted, names, lambda name: name)

        return listdir

    def _make_scandir(self, original):
        def scandir(*args, **kwargs):
            return _Sorted(self, original(*args, **kwargs))

        return scandir

    def _sorted(self, found, name_of):
        ordered = sorted(found, key=name_of)
        if ordered != found:
            frame = self._work.caller()
            while self._work.kind(frame) == "stdlib":
                frame = frame.f_back
            if self._work.program_calls(frame):
                self._work.tell("sort-listings", "in order of name")
        return ordered


class _Sorted:
    """An ``os.scandir`` iterator that gives its entries in order of name."""

    def __init__(self, listings, iterator):
        self._listings = listings
        self._iterator = iterator
        self._entries = None

    def __iter__(self):
        return self

    def __next__(self):
        if self._entries is None:
            entries = list(self._iterator)
            session = self._listings._work.session
            sort = self._listings._sorted
            self._entries = iter(session.guard_value("sort-listings", entries, sort, entries, lambda e: e.name))
        return next(self._entries)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self._iterator.close()
