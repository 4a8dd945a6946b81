"""The Python interpreters that a run starts, seen from outside: what the probe did not enter must be known of."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from auditor.experiment.processes import Stat

_NAMES = ("python", "pypy")
# They keep count of shared memory and start other processes; the probe leaves them alone, as nothing is computed there.
_TRACKERS = ("resource_tracker", "semaphore_tracker")
_FORK_SERVER = "multiprocessing.forkserver"
# Of torch.compile: they compile kernels, and see whether a library with some vector instructions can be loaded at all.
_COMPILER = re.compile(r"/torch/_inductor/.*\.py$")
_LOADS_ONLY = re.compile(
    r"(?:\s*(?:import torch|import sys|if sys\.platform|from ctypes import cdll)\b.*\n)+"
    r'\s*cdll\.LoadLibrary\("[^"\n]*"\)\s*'
)
_PATIENCE = 0.2  # seconds between two looks at least
_SHARE = 20  # a look's cost in time, and at least so many times that until the next one
_SKIP_NEXT = frozenset({"--check-hash-based-pycs"})


class Interpreter(msgspec.Struct, frozen=True):
    """A Python process that was seen in two looks: what it ran, and its pid in every namespace that it is in."""

    label: str
    pids: frozenset[int]


class Interpreters:
    """Notes the Python processes of one run while it goes."""

    def __init__(self, running: Callable[[], Mapping[int, Stat]]) -> None:
        """``running`` gives the run's processes by pid."""
        self._running = running
        self._seen: dict[tuple[int, int], str] = {}  # (pid, start) → the executable at the last look
        self._found: dict[tuple[int, int], Interpreter] = {}
        self._next = 0.0

    def look(self) -> None:
        """Look at the run's processes, unless that was done just now."""
        began = time.monotonic()
        if began < self._next:
            return
        running = self._running()
        seen = {}
        for pid, stat in running.items():
            key = (pid, stat.started)
            if key in self._found:
                continue
            executable = _executable(pid)
            if not executable.startswith(_NAMES):
                continue
            # Seen once it may be a child between fork and exec, or one into which the probe is just coming.
            if self._seen.get(key) != executable:
                seen[key] = executable
                continue
            arguments = _arguments(pid)
            if arguments and not serves(arguments, _arguments(stat.ppid)):
                self._found[key] = Interpreter(label(executable, arguments), _pids(pid))
        self._seen = seen
        ended = time.monotonic()
        self._next = ended + max(_PATIENCE, _SHARE * (ended - began))

    @property
    def found(self) -> tuple[Interpreter, ...]:
        """Those that were seen, in order of sight."""
        return tuple(self._found.values())


def without_trace(found: Sequence[Interpreter], pids: AbstractSet[int]) -> tuple[str, ...]:
    """What ran in those that are none of ``pids`` (of the processes that left a trace), in order of sight.

    Empty where none left a trace: such a run is known to have no handshake.
    """
    if not pids:
        return ()
    return tuple(dict.fromkeys(one.label for one in found if not one.pids & pids))


def label(executable: str, arguments: Sequence[str]) -> str:
    """Return what a Python process is spoken of as: ``python train.py``, ``python -m package``, ``python -c``.

    Source: https://docs.python.org/3/using/cmdline.html
    """
    name = os.path.basename(arguments[0]) if arguments else ""
    name = name if name.startswith(_NAMES) else executable
    rest = iter(arguments[1:])
    for argument in rest:
        if argument in _SKIP_NEXT:
            next(rest, None)
        elif argument.startswith("-") and argument not in ("-", "--") and not argument.startswith("--"):
            for at, letter in enumerate(argument[1:], 1):
                value = argument[at + 1 :]
                if letter == "c":
                    spawned = any("multiprocessing.spawn" in word for word in (value, *rest))
                    return f"{name} -c" + (" (a child of multiprocessing)" if spawned else "")
                if letter == "m":
                    return f"{name} -m {value or next(rest, '')}".rstrip()
                if letter in "WXQ":
                    if not value:
                        next(rest, None)
                    break
        elif not argument.startswith("--"):
            return f"{name} {os.path.basename(argument) if argument != '-' else argument}"
    return name


def serves(arguments: Sequence[str], parents: Sequence[str]) -> bool:
    """Whether a process, by its command line and its parent's, only serves others: nothing is computed there."""
    if any(tracker in word for word in arguments[1:4] for tracker in _TRACKERS):
        return True
    what, code = [*arguments[1:3], "", ""][:2]
    if _COMPILER.search(what) or (what == "-c" and _LOADS_ONLY.fullmatch(code)):
        return True
    # What the fork server forks has its command line, and is no server but one of the program's own processes.
    return any(_FORK_SERVER in word for word in arguments[1:4]) and list(arguments) != list(parents)


def _executable(pid: int) -> str:
    try:
        path = os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""  # it has ended, or is another user's
    return os.path.basename(path.removesuffix(" (deleted)"))


def _arguments(pid: int) -> list[str]:
    try:
        text = Path("/proc", str(pid), "cmdline").read_text(errors="replace")
    except OSError:
        return []  # it has ended, or is another user's
    return text.split("\0")[:-1]


def _pids(pid: int) -> frozenset[int]:
    """A process knows itself by its pid in the innermost namespace. Source: proc_pid_status(5)."""
    try:
        text = Path("/proc", str(pid), "status").read_text(errors="replace")
    except OSError:
        return frozenset({pid})
    inner = next((line.split()[1:] for line in text.splitlines() if line.startswith("NSpid:")), [])
    return frozenset({pid, *(int(word) for word in inner if word.isdigit())})
