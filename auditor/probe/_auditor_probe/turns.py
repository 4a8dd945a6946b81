"""The intervention in the program's own threads: they take turns, and pools have one worker."""

import sys
import threading
import time

from .callables import Changed, stand_in
from .training import change_arguments

_now = time.monotonic
_sleep = time.sleep
_join = threading.Thread.join
# A thread that computes is not interrupted for so long. A thread that turns in circles until another has done something
# keeps the other from it for as long, and no longer.
SWITCH_S = 1.0
POLL_S = 0.01
# A thread that has not run at all for this long waits for something that its starter is to bring about.
QUIET_S = 0.25
# What one thread is waited for at most, and how much of this all threads together may take that have not ended by then.
PATIENCE_S = 20.0
# A daemon is often meant to go on for ever.
PATIENCE_DAEMON_S = 2.0
WASTED_S = 20.0


class Turns:
    """``serial-threads``: whoever starts a thread or hands a task to a pool goes on when it has ended or waits.

    So does who hands something to another thread, or takes it, by a queue or an event. What cannot be put in order so:
    threads that have waited for one another otherwise (at a barrier, for a lock) and then compute at the same time in C
    code that lets others run meanwhile, and threads of a library. Nobody is waited for without limit, so that what
    needs other threads to go on does go on.
    """

    def __init__(self, work):
        self._work = work
        self._wasted = 0.0
        self._number = 0
        self._asleep = set()  # threads that are in time.sleep
        self._patient = set()  # threads that wait here for others
        self._at = {}  # the conditions that threads wait for
        self._threads = []  # the program's own, as long as they live

    def begin(self):
        sys.setswitchinterval(SWITCH_S)
        start = threading.Thread.start
        turns = self

        def start_thread(self):
            start(self)
            turns._work.session.guard("serial-threads", turns._started, self)

        self._work.session.imitate(start_thread, start)
        threading.Thread.start = start_thread
        stand_in(time, "sleep", self._make_sleep, Changed)
        self._follow_waits()
        self._hand_over(threading.Event, "set")

    def _follow_waits(self):
        original = threading.Condition.wait
        at = self._at

        def wait(self, timeout=None):
            ident = threading.get_ident()
            at[ident] = self
            try:
                return original(self, timeout)
            finally:
                at.pop(ident, None)

        self._work.session.imitate(wait, original)
        threading.Condition.wait = wait

    def _hand_over(self, kind, name):
        """Lets who calls a method by which threads come to terms go on when the others have done what follows."""
        original = getattr(kind, name)
        turns = self

        def method(*args, **kwargs):
            result = original(*args, **kwargs)
            if turns._threads:
                turns._work.session.guard("serial-threads", turns._handed_over)
            return result

        self._work.session.imitate(method, original)
        setattr(kind, name, method)

    def _handed_over(self):
        if self._work.kind(self._work.caller()) != "user" or self._wasted > WASTED_S:
            return
        me = threading.current_thread()
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        others = [thread for thread in self._threads if thread is not me]
        if others:
            self._wait(lambda: False, others, PATIENCE_DAEMON_S, lambda: _sleep(POLL_S))

    def _make_sleep(self, original):
        def sleep(seconds):
            ident = threading.get_ident()
            self._asleep.add(ident)
            try:
                original(seconds)
            finally:
                self._asleep.discard(ident)

        return sleep

    def hooks(self):
        return {
            "queue": self._fix_queue,
            "concurrent.futures._base": self._fix_futures,
            "concurrent.futures.thread": self._fix_thread_pool,
            "concurrent.futures.process": self._fix_process_pool,
            "multiprocessing.pool": self._fix_pool,
            "joblib.parallel": self._fix_joblib,
        }

    # -- threads ------------------------------------------------------------------------------------------------

    def _started(self, thread):
        if self._work.kind(self._work.caller()) != "user":
            return
        self._work.tell("serial-threads", "a thread was waited for before its starter went on")
        self._threads = [one for one in self._threads if one.is_alive()] + [thread]
        patience = PATIENCE_DAEMON_S if thread.daemon else PATIENCE_S
        self._wait(lambda: not thread.is_alive(), [thread], patience, lambda: _join(thread, POLL_S))

    def _wait(self, ended, threads, patience, pause):
        """Waits until ``ended()``, or until all of ``threads`` wait for something, or no longer."""
        ident = threading.get_ident()
        self._patient.add(ident)
        try:
            began = changed = _now()
            limit = min(patience, max(WASTED_S - self._wasted, QUIET_S))
            before = None
            while not ended() and not all(map(self._waits, threads)):
                pause()
                now = _now()
                # One that sleeps for a while waits for nobody.
                activity = [object() if t.ident in self._asleep else _activity(t) for t in threads]
                if activity != before:
                    before, changed = activity, now
                if now - changed > QUIET_S or now - began > limit:
                    self._wasted += now - began
                    return
        finally:
            self._patient.discard(ident)

    def _waits(self, thread):
        """Whether it is known of a thread that it has ended, or waits until another one does something."""
        if not thread.is_alive() or thread.ident in self._patient:
            return True
        condition = self._at.get(thread.ident)
        if condition is None:
            return False
        # Who is notified is no longer among the condition's waiters, and is here until it runs.
        return sum(other is condition for other in list(self._at.values())) <= len(condition._waiters)

    def _fix_queue(self, module):
        self._hand_over(module.Queue, "put")
        self._hand_over(module.Queue, "get")

    # -- pools --------------------------------------------------------------------------------------------------

    def _fix_futures(self, module):
        original = module.as_completed
        turns = self

        def as_completed(fs, timeout=None):
            ordered = sorted(fs, key=lambda f: getattr(f, "_auditor_number", 0)) if isinstance(fs, set) else list(fs)
            turns._work.tell("serial-threads", "futures in the order in which they were given")
            deadline = None if timeout is None else _now() + timeout
            for future in dict.fromkeys(ordered):
                try:
                    future.exception(None if deadline is None else max(deadline - _now(), 0))
                except module.CancelledError:
                    pass
                yield future

        self._work.session.imitate(as_completed, original)
        module.as_completed = as_completed
        package = sys.modules.get("concurrent.futures")
        if hasattr(package, "as_completed"):
            package.as_completed = as_completed

    def _fix_thread_pool(self, module):
        pool = module.ThreadPoolExecutor
        self._one(pool, "max_workers", 0)
        original = pool.submit
        turns = self

        def submit(self, *args, **kwargs):
            future = original(self, *args, **kwargs)
            turns._number += 1
            future._auditor_number = turns._number
            turns._work.session.guard("serial-threads", turns._submitted, self, future)
            return future

        self._work.session.imitate(submit, original)
        pool.submit = submit

    def _submitted(self, pool, future):
        if self._work.kind(self._nearest()) not in ("user", "library"):
            return
        me = threading.current_thread()
        with pool._shutdown_lock:
            workers = [thread for thread in pool._threads if thread is not me]
            if len(workers) < len(pool._threads):
                # A task that hands another one to its own pool may wait for it.
                pool._max_workers += 1
                pool._adjust_thread_count()
        self._wait(future.done, workers, PATIENCE_S, lambda: _sleep(POLL_S))
        if not future.done():
            # It waits, maybe for another task.
            pool._max_workers += 1

    def _nearest(self):
        frame = self._work.caller()
        while self._work.kind(frame) == "stdlib":
            frame = frame.f_back
        return frame

    def _fix_process_pool(self, module):
        self._one(module.ProcessPoolExecutor, "max_workers", 0)
        original = module.ProcessPoolExecutor.submit
        turns = self

        def submit(self, *args, **kwargs):
            future = original(self, *args, **kwargs)
            turns._number += 1
            future._auditor_number = turns._number
            return future

        self._work.session.imitate(submit, original)
        module.ProcessPoolExecutor.submit = submit

    def _fix_pool(self, module):
        self._one(module.Pool, "processes", 0)

        def imap_unordered(self, func, iterable, chunksize=1):
            return self.imap(func, iterable, chunksize)

        self._work.session.imitate(imap_unordered, module.Pool.imap_unordered)
        module.Pool.imap_unordered = imap_unordered

    def _fix_joblib(self, module):
        self._one(module.Parallel, "n_jobs", 0)

    def _one(self, kind, parameter, position):
        """Lets a pool be made with one worker, whatever number is asked for."""

        def changed(args, kwargs):
            self._work.tell("serial-threads", "a pool with one worker")
            itself, *rest = args
            if len(rest) > position:
                rest[position] = 1
            else:
                kwargs = dict(kwargs, **{parameter: 1})
            return (itself, *rest), kwargs

        change_arguments(self._work, "serial-threads", kind, changed)


def _activity(thread):
    """What changes while a thread runs: its processor time, and how often it was put to sleep.

    None where that is not known. Of a thread that wants to run, it is something else each time.
    """
    path = f"/proc/self/task/{thread.native_id}/"
    try:
        with open(path + "stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
        with open(path + "status", encoding="ascii", errors="replace") as file:
            switches = [line for line in file if "ctxt_switches" in line]
    except OSError:
        return None
    return object() if fields[0] in "RD" else (fields[11:13], switches)
