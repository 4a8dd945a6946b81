"""Watching and ending the processes of one run: the command itself and whatever it leaves behind."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec

LEFTOVER_GRACE = 2.0
"""Seconds that processes which outlive the command have to end by themselves."""
TERM_GRACE = 5.0
"""Seconds between the request to end (SIGTERM) and the end (SIGKILL)."""
_KILL_GRACE = 5.0
_POLL = 0.02

_PR_SET_CHILD_SUBREAPER = 36
_PR_GET_CHILD_SUBREAPER = 37


class Stat(msgspec.Struct, frozen=True):
    """One process: ``state`` is its letter in ``/proc/<pid>/stat``, ``started`` in clock ticks since boot."""

    pid: int
    state: str
    ppid: int
    session: int
    started: int


class Exit(msgspec.Struct, frozen=True):
    """How the command's process ended: negative for a signal; processor time in seconds, of all it waited for."""

    code: int
    cpu_seconds: float


def parse_stat(text: str) -> Stat:
    """One ``/proc/<pid>/stat``; raises ValueError. Source: proc_pid_stat(5)."""
    # The name stands in parentheses and may itself hold spaces and parentheses: the last one ends it.
    head, _, tail = text.rpartition(")")
    fields = tail.split()
    if len(fields) < 20:
        raise ValueError("a line of /proc/<pid>/stat has more fields")
    return Stat(int(head.split(" ", 1)[0]), fields[0], int(fields[1]), int(fields[3]), int(fields[19]))


def alive() -> dict[int, Stat]:
    """Every process that is not a zombie, by pid."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = parse_stat(Path("/proc", name, "stat").read_text(errors="replace"))
            except (OSError, ValueError):
                continue  # it ended while we looked
            if stat.state not in "ZX":
                found[stat.pid] = stat
    return found


@contextmanager
def subreaper() -> Iterator[None]:
    """Adopt orphaned descendants for the time being, so that none escapes by losing its parent. Source: prctl(2)."""
    libc = ctypes.CDLL(None, use_errno=True)
    before = ctypes.c_int(0)
    libc.prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(before), 0, 0, 0)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, before.value, 0, 0, 0)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let a request to end (SIGTERM, SIGHUP) unwind like Ctrl-C, so that nothing that was started stays behind."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt(signal.Signals(number).name)

    before = {}
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:
            before[number] = signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class Watched:
    """The process of one command, started in a session of its own.

    ``marker`` is a ``NAME=value`` of its environment that no other process has. ``bystanders`` are children that we
    had before it.
    """

    def __init__(self, process: subprocess.Popen[bytes], marker: str, bystanders: frozenset[int]) -> None:
        self.process = process
        self.marker = marker.encode()
        self.bystanders = bystanders
        self.exit: Exit | None = None
        self._descriptor = _open_pidfd(process.pid)

    def wait(self, seconds: float) -> Exit | None:
        """How the process ended, or None where it still runs after ``seconds``."""
        deadline = time.monotonic() + seconds
        while self.exit is None:
            left = max(0.0, deadline - time.monotonic())
            if self._descriptor is not None:
                poll = select.poll()
                poll.register(self._descriptor, select.POLLIN)
                if not poll.poll(left * 1000):
                    return None
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                self.process.returncode = code
                self.exit = Exit(code, usage.ru_utime + usage.ru_stime)
            elif left <= 0:
                return None
            elif self._descriptor is None:
                time.sleep(min(left, _POLL))
        return self.exit

    def end(self) -> None:
        """End the command and everything it started: first by request, then by force."""
        try:
            if self.exit is None:
                _signal_group(self.process.pid, signal.SIGTERM)
                self.wait(TERM_GRACE)
        finally:  # a second Ctrl-C while waiting must not leave anything behind
            if self.exit is None:
                _signal_group(self.process.pid, signal.SIGKILL)
                self.wait(_KILL_GRACE)
            self.end_leftovers(0.0)

    def running(self) -> dict[int, Stat]:
        """The command's processes that live now, itself among them: those of its session and their descendants.

        One that left both behind is missing here; ``leftovers`` finds it, at a higher price.
        """
        processes = alive()
        me = os.getpid()
        mine = {
            pid
            for pid, stat in processes.items()
            if stat.session == self.process.pid or (stat.ppid == me and pid not in self.bystanders)
        }
        mine = _descendants(mine, processes) - {me}
        return {pid: processes[pid] for pid in mine}

    def leftovers(self) -> dict[int, Stat]:
        """The processes that belong to the command and still live, apart from itself."""
        processes = alive()
        me = os.getpid()
        mine = {
            pid
            for pid, stat in processes.items()
            if stat.session == self.process.pid
            or (stat.ppid == me and pid not in self.bystanders)
            or self.marker in _environment(pid)
        }
        mine |= _descendants(mine, processes)
        mine -= {me, self.process.pid}
        return {pid: processes[pid] for pid in mine}

    def end_leftovers(self, grace: float) -> tuple[int, int]:
        """Give what outlived the command ``grace`` seconds, then end it.

        Returns how many processes had to be ended, and how many live on even so.
        """
        left = self._wait_gone(grace)
        count = len(left)
        for number, patience in ((signal.SIGTERM, 1.0 if grace else 0.1), (signal.SIGKILL, _KILL_GRACE)):
            if not left:
                break
            for pid in left:
                _signal(pid, number)
            left = self._wait_gone(patience)
        return count, len(left)

    def close(self) -> None:
        """Give back the descriptor."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _wait_gone(self, seconds: float) -> dict[int, Stat]:
        deadline = time.monotonic() + seconds
        while True:
            left = self.leftovers()
            self._reap()
            if not left or time.monotonic() >= deadline:
                return left
            time.sleep(_POLL)

    def _reap(self) -> None:
        for pid in children(os.getpid()) - self.bystanders - {self.process.pid}:
            try:
                os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:
                continue  # somebody else has waited for it


def children(parent: int) -> frozenset[int]:
    """The pids of the direct children of ``parent``, zombies included."""
    found = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = parse_stat(Path("/proc", name, "stat").read_text(errors="replace"))
            except (OSError, ValueError):
                continue  # it ended while we looked
            if stat.ppid == parent:
                found.add(stat.pid)
    return frozenset(found)


def end_marked(marker: str) -> int:
    """End every process whose environment holds ``marker``: what an audit that was killed left running.

    Returns how many there were.
    """
    wanted = marker.encode()
    found = [pid for pid in alive() if pid != os.getpid() and wanted in _environment(pid)]
    for pid in found:
        _signal(pid, signal.SIGKILL)
    return len(found)


def poll_until(done: Callable[[], bool], seconds: float) -> bool:
    """Whether ``done`` came true within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL)
    return True


def _descendants(roots: set[int], processes: Mapping[int, Stat]) -> set[int]:
    found = set(roots)
    grown = True
    while grown:
        grown = False
        for pid, stat in processes.items():
            if pid not in found and stat.ppid in found:
                found.add(pid)
                grown = True
    return found


def _environment(pid: int) -> bytes:
    try:
        return Path("/proc", str(pid), "environ").read_bytes()
    except OSError:
        return b""  # another user's process, or one that has ended: not ours


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return  # it has ended, or changed its user; what stays is counted afterwards


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        _signal(pid, number)


def _open_pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None  # before Linux 5.3, or where a sandbox forbids it: polled instead
