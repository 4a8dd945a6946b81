"""Following a run's traces while it goes, and comparing them with the first run's steps."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from auditor.records.trace import Hello, ProcessTrace, Role, Step, TraceLine, Unordered
from auditor.store import Process, assign_roles

StepsAgree = Callable[[Step, Step], bool]

_POOL = "PoolWorker-"  # which of them takes which task is chance: their steps are no one's in particular
_CHUNK = 8 << 20
_decoder: msgspec.json.Decoder[TraceLine] = msgspec.json.Decoder(TraceLine)


class Sight(msgspec.Struct, frozen=True):
    """How far a run has come, as in ``auditor.records.progress.Progress``."""

    steps: int = 0
    identical_until: int | None = None
    differs_at: int | None = None


class _Tail:
    """One trace file, read as far as it has been written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.position = 0
        self.rest = b""
        self.hello: Hello | None = None
        self.role: Role | None = None
        self.steps = 0
        self.pending: list[Step] = []
        self.agreed: int | None = None
        self.differs: int | None = None
        self.unordered = False

    def read(self) -> bool:
        """Take in what is new; returns whether the process's role may have changed."""
        changed = False
        with open(self.path, "rb") as file:
            file.seek(self.position)
            while chunk := file.read(_CHUNK):
                self.position += len(chunk)
                *complete, self.rest = (self.rest + chunk).split(b"\n")
                for text in complete:
                    changed |= self._take(text)
        return changed

    def _take(self, text: bytes) -> bool:
        try:
            line = _decoder.decode(text)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            return False  # said when the run has ended and its trace is read for good
        match line:
            case Step():
                self.steps = max(self.steps, line.n)
                self.pending.append(line)
            case Hello():
                self.hello = line
                return True
            case Role():
                self.role = line
                return True
            case Unordered():
                self.unordered, self.agreed, self.differs = True, None, None
        return False


class Follower:
    """Follows one run: ``look`` takes in what its processes have written since the last time.

    ``reference`` are the first run's processes, or empty in the first run.
    """

    def __init__(self, trace: Path, reference: Sequence[ProcessTrace], agree: StepsAgree) -> None:
        self._trace = trace
        self._agree = agree
        self._tails: dict[str, _Tail] = {}
        self._roles: dict[str, str] = {}
        main = next((p.hello.label for p in reference if p.role == "main"), "main")
        self._reference = {
            _unmain(p.role, main): {step.n: step for step in p.steps}
            for p in reference
            if p.steps and not p.unordered and _POOL not in p.role
        }
        self.expected = max((step.n for p in reference for step in p.steps), default=None)

    def look(self) -> Sight:
        """How far the run has come by now."""
        changed = False
        for name in _names(self._trace):
            tail = self._tails.get(name)
            if tail is None:
                tail = self._tails[name] = _Tail(self._trace / name)
            changed |= tail.read()
        if self._reference and changed:
            known = [Process(n, t.hello, t.role) for n, t in self._tails.items() if t.hello is not None]
            self._roles = assign_roles(known, call_main=False)
        for name, tail in self._tails.items():
            self._compare(name, tail)
        compared = [t for t in self._tails.values() if t.agreed is not None or t.differs is not None]
        return Sight(
            steps=max((t.steps for t in self._tails.values()), default=0),
            identical_until=min((t.agreed or 0 for t in compared), default=None),
            differs_at=min((t.differs for t in compared if t.differs is not None), default=None),
        )

    @property
    def pids(self) -> frozenset[int]:
        """The pids of the processes whose traces have begun."""
        return frozenset(t.hello.pid for t in self._tails.values() if t.hello is not None)

    def _compare(self, name: str, tail: _Tail) -> None:
        reference = self._reference.get(self._roles.get(name, ""))
        if reference is not None and tail.differs is None and not tail.unordered:
            for step in tail.pending:
                first = reference.get(step.n)
                if first is None:
                    continue  # not digested in the first run: nothing to compare with
                if not self._agree(first, step):
                    tail.differs = step.n
                    break
                tail.agreed = step.n
        tail.pending.clear()


def _unmain(role: str, label: str) -> str:
    """The role without "main": while a run goes, a further program may still start and take that name away."""
    rest = role[len("main") :]
    return label + rest if role.startswith("main") and rest[:1] in ("", "/", "#") else role


def _names(trace: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(trace) if name.endswith(".jsonl"))
    except OSError:
        return []
