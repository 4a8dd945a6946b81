"""A world in which programs differ for known reasons: traces made by hand, and trials that obey interventions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from auditor import compare
from auditor.records.comparison import Comparison
from auditor.records.config import Settings
from auditor.records.diagnosis import Factor, Trial
from auditor.records.evidence import RunEvidence
from auditor.records.run import Ending, Isolation, RunRecord
from auditor.records.trace import (
    Draw,
    End,
    Final,
    Hello,
    Init,
    Optimizer,
    Perturbed,
    Place,
    ProcessTrace,
    Step,
    Streams,
)

settings.register_profile("auditor", deadline=None, derandomize=True, database=None)
settings.load_profile("auditor")

STEPS = 12
LINKS = ("batch", "loss", "gradients", "parameters")
STREAM_OF: dict[str, str] = {"seed-python": "python", "seed-numpy": "numpy", "seed-torch": "torch"}


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Reason:
    """Something that differs from run to run unless ``factor`` fixes it, and acts from ``step`` on.

    ``rate`` is how often it shows: 1.0 in every run. ``matters`` False: it differs and reaches nothing.
    """

    factor: Factor
    step: int = 1
    rate: float = 1.0
    matters: bool = True


@dataclass
class World:
    """A program with its reasons to differ. Chance is a digest of how often it was asked: the same in every test run.

    ``startup`` is how long (ns, of a second) a run takes until its first step.
    """

    reasons: tuple[Reason, ...]
    root: Path
    salt: int = 0
    seconds: float = 1.0
    startup: int = 8 * 10**8
    made: list[Trial] = field(default_factory=list)
    _count: int = 0

    def audit(self, replicates: int = 2) -> tuple[tuple[RunEvidence, ...], Comparison]:
        """The audit's own runs and what comparing them finds."""
        runs = tuple(self._run(number, Trial()) for number in range(1, replicates + 1))
        return runs, self.compare(runs)

    def trial(self, trial: Trial, replicate: int) -> RunEvidence:
        """One run of a diagnosis."""
        self.made.append(trial)
        return self._run(len(self.made), trial)

    def compare(self, runs: Sequence[RunEvidence]) -> Comparison:
        """The real comparison."""
        return compare.replicates(runs, Settings())

    def _value(self, reason: Reason, trial: Trial) -> str:
        self._count += 1
        if reason.factor in trial.factors:
            return "fixed"
        chance = int(digest(self.salt, self._count, reason.factor), 16) / 2**64
        return digest(self._count) if chance < reason.rate else "usual"

    def _run(self, number: int, trial: Trial) -> RunEvidence:
        values = {reason: self._value(reason, trial) for reason in self.reasons}
        last = STEPS if trial.until is None else min(trial.until, STEPS)
        steps = tuple(self._step(n, values) for n in range(1, last + 1))
        end = digest("final", [values[reason] for reason in self.reasons if reason.matters])
        streams = {
            name: digest(name, *(values[r] for r in self.reasons if r.factor == factor))
            for factor, name in STREAM_OF.items()
        }
        trace = ProcessTrace(
            file="main.jsonl", role="main", hello=_HELLO, environment=None, torch=(), gpus=(), seeds=(),
            generators=(), loaders=(), entropy=(), stale_reads=(), unwatched=(), unseen=(), unordered=False,
            optimizers=(_OPTIMIZER,), inits=(Init(optimizer=0, digest=digest("init"), parts="aaaabbbb"),), steps=steps,
            finals=(Final(optimizer=0, at="exit", digest=end, parts=end[:8]),) if trial.until is None else (),
            streams=Streams(states=streams, drawn=dict.fromkeys(streams, True)), workers=(), libraries=(),
            perturbed=tuple(Perturbed(factor=factor, how="fixed") for factor in trial.factors), faults=(),
            end=End(why="exit", steps=last, backwards=last, digested=last, probe_ns=1, ns=10**9),
            draws=tuple(self._draws()) if trial.draws else (),
        )  # fmt: skip
        record = RunRecord(
            number=number, seed=1, command=("python", "train.py"), executor="local", isolation=Isolation("copy"),
            image=None, varied={"PYTHONHASHSEED": str(1000 + number)}, started="", seconds=self.seconds,
            ending=Ending("ok", 0), artefacts=(),
        )  # fmt: skip
        home = self.root
        return RunEvidence(record, (trace,), home, home, home / "stdout", home / "stderr")

    def _step(self, n: int, values: dict[Reason, str]) -> Step:
        acting = [values[reason] for reason in self.reasons if reason.matters and reason.step <= n]
        return Step(
            n=n, optimizer=0, batch=None, loss=None, gradients=digest("g", n, acting), gradients_parts="aaaabbbb",
            parameters=digest("p", n, acting), parameters_parts="ccccdddd", streams={}, ns=self.startup + n * 10**7,
        )  # fmt: skip

    def _draws(self) -> Iterable[Draw]:
        for at, (_, stream) in enumerate(STREAM_OF.items(), 1):
            yield Draw(stream=stream, place=Place("train.py", 10 * at), seeded=False, step=0)


_HELLO = Hello(
    protocol=1, kind="exec", pid=7, ppid=1, label="train.py", python="3.11.7", implementation="cpython",
    hash_seed="1", rank=None, local_rank=None, parent=None, child=None, ns=1,
)  # fmt: skip
_OPTIMIZER = Optimizer(
    index=0, kind="SGD", names=["weight", "bias"], shapes=[[2], [2]], dtypes=["float32"] * 2, groups=1, width=4
)


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Any:
    for name in ("stdout", "stderr"):
        (tmp_path / name).write_text("")

    def make(*reasons: Reason, **given: Any) -> World:
        return World(reasons, tmp_path, **given)

    make.reason = Reason  # type: ignore[attr-defined]
    return make
