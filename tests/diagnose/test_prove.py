"""The search for a set of interventions that suffices: it finds what is at work, and accuses nothing else.

It is tried in a made-up world, in which programs differ for known reasons and trials obey their interventions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor import compare
from auditor.diagnose import diagnose
from auditor.diagnose.attribute import attribute, rank
from auditor.diagnose.prove import LEVEL, _located, agreements
from auditor.records.comparison import Comparison
from auditor.records.config import Settings
from auditor.records.diagnosis import FACTORS, Factor, Localisation, Trial
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
    Source,
    Sources,
    StaleRead,
    Step,
    Streams,
)

STEPS = 12
LINKS = ("batch", "loss", "gradients", "parameters")
STREAM_OF: dict[str, str] = {"seed-python": "python", "seed-numpy": "numpy", "seed-torch": "torch"}


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Reason:
    """Something that differs from run to run unless ``factor`` fixes it, and acts from ``step`` on.

    ``rate`` is how often it shows: 1.0 in every run. ``matters`` False: it differs and reaches nothing. ``first``: it
    shows in the audit's first run alone, whatever is fixed. ``turns``: it shows in every second run, whatever is fixed.
    """

    factor: Factor
    step: int = 1
    rate: float = 1.0
    matters: bool = True
    first: bool = False
    turns: bool = False


@dataclass
class World:
    """A program with its reasons to differ. Chance is a digest of how often it was asked: the same in every test run.

    ``stale``: every run but the first reads what an earlier one left outside. ``startup`` is how long (ns, of a second)
    a run takes until its first step. ``tells``: runs say what the streams began with, ``all`` there is to repeat or a
    part of it.
    """

    reasons: tuple[Reason, ...]
    root: Path
    salt: int = 0
    seconds: float = 1.0
    startup: int = 8 * 10**8
    stale: bool = False
    tells: str = "nothing"
    imports: dict[str, str] = field(default_factory=dict)
    made: list[Trial] = field(default_factory=list)
    replicates: list[int] = field(default_factory=list)
    _count: int = 0
    _ran: bool = False
    _turned: bool = False

    def audit(self, replicates: int = 2) -> tuple[tuple[RunEvidence, ...], Comparison]:
        """The audit's own runs and what comparing them finds."""
        runs = tuple(self._run(number, Trial()) for number in range(1, replicates + 1))
        return runs, self.compare(runs)

    def trial(self, trial: Trial, replicate: int) -> RunEvidence:
        """One run of a diagnosis."""
        self.made.append(trial)
        self.replicates.append(replicate)
        return self._run(len(self.made), trial)

    def compare(self, runs: Sequence[RunEvidence]) -> Comparison:
        """The real comparison."""
        return compare.replicates(runs, Settings())

    def _value(self, reason: Reason, trial: Trial) -> str:
        self._count += 1
        if reason.first:
            return "usual" if self._ran else "as it was"
        if reason.turns:
            self._turned = not self._turned
            return str(self._turned)
        if reason.factor in trial.factors:
            began = dict(trial.began).get(STREAM_OF.get(reason.factor, ""))
            return began if began is not None and self.tells == "all" else f"fixed {began}"
        chance = int(digest(self.salt, self._count, reason.factor), 16) / 2**64
        return digest(self._count) if chance < reason.rate else "usual"

    def _run(self, number: int, trial: Trial) -> RunEvidence:
        values = {reason: self._value(reason, trial) for reason in self.reasons}
        stale = (_STALE,) if self.stale and self._ran else ()
        self._ran = True
        last = STEPS if trial.until is None else min(trial.until, STEPS)
        steps = tuple(self._step(n, values) for n in range(1, last + 1))
        end = digest("final", [values[reason] for reason in self.reasons if reason.matters])
        streams = {
            name: digest(name, *(values[r] for r in self.reasons if r.factor == factor))
            for factor, name in STREAM_OF.items()
        }
        trace = ProcessTrace(
            file="main.jsonl", role="main", hello=_HELLO, environment=None, torch=(), gpus=(), seeds=(),
            generators=(), loaders=(), entropy=(), stale_reads=stale, unwatched=(), unseen=(), unordered=False,
            optimizers=(_OPTIMIZER,), inits=(Init(optimizer=0, digest=digest("init"), parts="aaaabbbb"),), steps=steps,
            finals=(Final(optimizer=0, at="exit", digest=end, parts=end[:8]),) if trial.until is None else (),
            streams=Streams(states=streams, drawn=dict.fromkeys(streams, True), began=self._began(values)),
            workers=(), libraries=(),
            perturbed=tuple(Perturbed(factor=factor, how="fixed") for factor in trial.factors), faults=(),
            end=End(why="exit", steps=last, backwards=last, digested=last, probe_ns=1, ns=10**9),
            draws=tuple(self._draws()) if trial.draws else (),
            sources=(Sources(files=[Source(name, digest) for name, digest in self.imports.items()], left_out=0),),
        )  # fmt: skip
        record = RunRecord(
            number=number, seed=1, command=("python", "train.py"), executor="local", isolation=Isolation("copy"),
            image=None, varied={"PYTHONHASHSEED": str(1000 + number)}, started="", seconds=self.seconds,
            ending=Ending("ok", 0), artefacts=(),
        )  # fmt: skip
        home = self.root
        return RunEvidence(record, (trace,), home, home, home / "stdout", home / "stderr")

    def _began(self, values: dict[Reason, str]) -> dict[str, tuple[str, ...]]:
        told = {STREAM_OF[one.factor]: (value,) for one, value in values.items() if one.factor in STREAM_OF}
        return told if self.tells != "nothing" else {}

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
_STALE = StaleRead(path="/cache/features.pkl", place=Place("train.py", 5), step=0)
_OPTIMIZER = Optimizer(
    index=0, kind="SGD", names=["weight", "bias"], shapes=[[2], [2]], dtypes=["float32"] * 2, groups=1, width=4
)


ENOUGH = 1000.0
_CAN_BE_FOUND = [factor for factor in FACTORS if factor not in ("load-in-process", "no-tf32", "pin-seeds")]


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> Any:
    for name in ("stdout", "stderr"):
        (tmp_path / name).write_text("")
    return lambda *reasons, **given: World(reasons, tmp_path, **given)


def _nothing(*_: object) -> tuple[()]:
    return ()


def _no_source(_: str) -> None:
    return None


def _diagnose(world: Any, budget: float = ENOUGH, replicates: int = 2) -> Any:
    runs, comparison = world.audit(replicates)
    assert comparison.divergences, "the world does not differ"
    return diagnose(runs, comparison, world.trial, world.compare, _nothing, _no_source, budget)


def _proven(found: Any) -> set[str]:
    return {cause.intervention for cause in found.causes if cause.confidence == "proven"}


def test_one_cause_takes_two_runs_and_has_the_line_that_draws(world: Any) -> None:
    here = world(Reason("seed-torch"))
    found = _diagnose(here)
    assert [(cause.rule, cause.confidence) for cause in found.causes] == [("unseeded-torch", "proven")]
    assert (found.causes[0].location.file, found.causes[0].location.line) == ("train.py", 30)
    assert found.diagnosis.state == "proven"
    assert found.diagnosis.runs == len(here.made) == 2
    assert found.divergence.location == found.causes[0].location


def test_runs_that_begin_as_the_first_one_did_are_held_against_it(world: Any) -> None:
    here = world(Reason("seed-torch", 3), startup=0, tells="all")
    found = _diagnose(here)
    assert _proven(found) == {"seed-torch"}
    assert [(trial.until, trial.began[0][0], trial.draws) for trial in here.made] == [
        (None, "torch", True),
        (None, "torch", False),
    ]
    assert here.replicates == [2, 3]  # what the auditor varies from run to run is not as in the first one
    assert found.diagnosis.repeats
    assert "With seed-torch as in run 1, 2 further runs come out as run 1 did." in found.diagnosis.sentence


def test_one_such_run_is_enough_where_three_differed(world: Any) -> None:
    here = world(Reason("seed-torch"), tells="all")
    found = _diagnose(here, replicates=3)
    assert _proven(found) == {"seed-torch"}
    assert len(here.made) == 1
    assert "With seed-torch as in run 1, a further run comes out as run 1 did." in found.diagnosis.sentence


@pytest.mark.parametrize(
    ("text", "made"),
    [("import torch\nx = torch.rand(3)\n", 1), ("import os\nif os.path.exists('/data/last'): pass\n", 2), (None, 2)],
)
def test_one_such_run_is_enough_where_the_program_asks_for_nothing_that_an_earlier_one_left(
    world: Any, text: str | None, made: int
) -> None:
    here = world(Reason("seed-torch"), tells="all", imports={"train.py": "0" * 16})
    runs, comparison = here.audit()
    found = diagnose(runs, comparison, here.trial, here.compare, _nothing, lambda _: text, ENOUGH)
    assert _proven(found) == {"seed-torch"}
    assert len(here.made) == made


def test_what_every_run_turns_round_is_not_laid_at_a_stream_that_is_drawn_from(world: Any) -> None:
    here = world(Reason("fix-pid", turns=True), Reason("seed-numpy", matters=False), tells="all")
    assert _proven(_diagnose(here)) == set()


def test_what_a_run_cannot_repeat_of_the_first_is_shown_by_two(world: Any) -> None:
    here = world(Reason("seed-torch"), tells="part")
    found = _diagnose(here)
    assert _proven(found) == {"seed-torch"}
    assert [trial.draws for trial in here.made] == [True, False]
    assert here.replicates == [2, 1]
    assert not found.diagnosis.repeats
    assert "With seed-torch, 2 of 2 runs agree." in found.diagnosis.sentence


def test_only_a_whole_set_of_streams_is_begun_as_in_the_first_run(world: Any) -> None:
    here = world(Reason("seed-torch"), Reason("freeze-clock"), tells="all")
    assert _proven(_diagnose(here)) == {"seed-torch", "freeze-clock"}
    both = world(Reason("seed-torch"), Reason("seed-numpy", 5), tells="all")
    found = _diagnose(both)
    assert _proven(found) == {"seed-torch", "seed-numpy"}
    # Once without each, held against the run that proves.
    assert [len(trial.factors) for trial in both.made] == [2, 2, 1, 1]
    assert all(trial.began for trial in both.made)


def test_nothing_is_held_against_the_first_run_where_runs_find_what_it_left(world: Any) -> None:
    here = world(Reason("seed-torch"), tells="all", stale=True)
    _diagnose(here)
    assert not any(trial.began for trial in here.made)


def test_trials_end_where_the_runs_part_and_only_the_last_ones_go_to_the_end(world: Any) -> None:
    here = world(Reason("seed-torch", 3), startup=0)
    found = _diagnose(here)
    assert [trial.until for trial in here.made] == [3, 3, None, None]
    assert found.diagnosis.state == "proven"
    assert "up to step" not in found.diagnosis.sentence


def test_a_budget_for_short_trials_only_proves_as_far_as_they_go(world: Any) -> None:
    here = world(Reason("seed-torch", 3), startup=0, seconds=10.0)
    found = _diagnose(here, budget=25.0)
    assert [trial.until for trial in here.made] == [3, 3]
    assert _proven(found) == {"seed-torch"}
    assert "up to step 3" in found.diagnosis.sentence
    assert found.diagnosis.notes


def test_what_differs_and_reaches_nothing_is_no_cause(world: Any) -> None:
    found = _diagnose(world(Reason("seed-numpy"), Reason("seed-torch", matters=False)))
    assert _proven(found) == {"seed-numpy"}
    assert found.diagnosis.state == "proven"


def test_several_causes_are_found_with_each_one_s_share(world: Any) -> None:
    found = _diagnose(world(Reason("seed-torch", 1), Reason("seed-numpy", 4), Reason("seed-python", 9)))
    assert _proven(found) == {"seed-torch", "seed-numpy", "seed-python"}
    assert any("step 4" in cause.share for cause in found.causes if cause.rule == "unseeded-numpy-global")


def test_causes_that_act_at_the_same_step_are_found_together(world: Any) -> None:
    found = _diagnose(world(Reason("seed-torch"), Reason("fix-hash-seed")))
    assert _proven(found) == {"seed-torch", "fix-hash-seed"}


def test_the_budget_ends_the_search_and_nothing_is_proven(world: Any) -> None:
    here = world(Reason("seed-torch"), seconds=10.0)
    found = _diagnose(here, budget=15.0)
    assert len(here.made) == 1
    assert found.diagnosis.state == "unproven"
    assert not _proven(found)
    assert found.causes[0].rule == "unseeded-torch"
    assert found.causes[0].confidence == "likely"
    assert "ended after 1 run" in found.diagnosis.sentence


def test_trials_that_are_cut_off_can_be_gone_on_with_and_a_budget_that_ends_cannot(world: Any) -> None:
    here = world(Reason("seed-torch"))
    runs, comparison = here.audit()

    def cut_off(trial: Trial, replicate: int) -> RunEvidence | None:
        return None if here.made else here.trial(trial, replicate)

    found = diagnose(runs, comparison, cut_off, here.compare, _nothing, _no_source, ENOUGH)
    assert found.diagnosis.interrupted
    assert "interrupted after 1 run, and auditor run --resume goes on with them" in found.diagnosis.sentence
    assert not _diagnose(world(Reason("seed-torch")), budget=1.5).diagnosis.interrupted


def test_without_a_budget_the_evidence_alone_names_suspects(world: Any) -> None:
    here = world(Reason("seed-torch"))
    found = _diagnose(here, budget=0.0)
    assert not here.made
    assert found.causes[0].rule == "unseeded-torch"


def test_what_no_intervention_removes_is_reported_with_what_was_excluded(world: Any) -> None:
    found = _diagnose(world(Reason("no-tf32")))
    assert found.diagnosis.state == "unremovable"
    assert not _proven(found)
    assert set(found.diagnosis.excluded) >= {"seed-torch", "fix-hash-seed", "serial-threads"}


def test_what_only_later_runs_read_is_named_where_nothing_else_explains_it(world: Any) -> None:
    found = _diagnose(world(Reason("no-tf32"), stale=True))
    assert (found.causes[0].rule, found.causes[0].confidence) == ("stale-file", "likely")
    assert found.causes[0].location == Place("train.py", 5)
    explained = _diagnose(world(Reason("seed-torch"), stale=True))
    assert (explained.causes[0].rule, explained.causes[0].confidence) == ("unseeded-torch", "proven")


@pytest.mark.parametrize("factor", ["seed-torch", "fix-hash-seed", "sort-listings"])
def test_what_only_the_first_run_found_is_not_blamed_on_anything_fixed(world: Any, factor: Any) -> None:
    found = _diagnose(world(Reason(factor, first=True), Reason("seed-numpy", matters=False)))
    assert not _proven(found)
    assert found.causes[0].rule == "stale-file"
    assert found.diagnosis.state == "unproven"


MESSAGES = """import multiprocessing
queue = multiprocessing.Queue()
for _ in range(10):
    step(queue.get())
options.get("lr")
"""


@pytest.mark.parametrize(("processes", "lines"), [(2, [4]), (1, [])])
def test_messages_of_several_processes_are_suspected_where_they_are_taken(
    world: Any, processes: int, lines: list[int]
) -> None:
    runs, comparison = world(Reason("seed-torch")).audit()
    imported = Sources(files=[Source("train.py", "0" * 16)], left_out=0)
    main = msgspec.structs.replace(runs[0].processes[0], sources=(imported,))
    children = [msgspec.structs.replace(main, role=f"main/Process-{number + 1}") for number in range(processes)]
    ours = msgspec.structs.replace(runs[0], processes=(main, *children))
    found = attribute(ours, runs[1], comparison.divergences[0], lambda _: MESSAGES)
    told = [one for one in found if one.rule == "completion-order"]
    assert [one.location.line for one in told if one.location] == lines
    assert all(one.factor is None for one in told)


SETS = """for name in {"a", "b"}:
    step(name)
"""


@pytest.mark.parametrize("salt", [13, 18, 23])  # with these the trials agree
def test_luck_is_not_laid_at_a_stream_where_an_order_of_few_is_in_sight(world: Any, salt: int) -> None:
    here = world(Reason("fix-hash-seed", rate=0.5), Reason("seed-numpy", matters=False), salt=salt, tells="all")
    here.imports = {"train.py": "0" * 16}
    runs, comparison = here.audit()
    found = diagnose(runs, comparison, here.trial, here.compare, _nothing, lambda _: SETS, ENOUGH)
    assert "seed-numpy" not in _proven(found)
    assert ("fix-hash-seed",) in {one.factors for one in found.diagnosis.tried}


def test_what_the_budget_leaves_no_trial_for_is_said_not_to_be_excluded(world: Any) -> None:
    here = world(Reason("seed-numpy"), Reason("fix-hash-seed", matters=False), tells="all")
    here.imports = {"train.py": "0" * 16}
    runs, comparison = here.audit()
    for budget, notes in ((1.5, 1), (ENOUGH, 0)):
        found = diagnose(runs, comparison, here.trial, here.compare, _nothing, lambda _: SETS, budget)
        assert _proven(found) == {"seed-numpy"}
        assert len([note for note in found.diagnosis.notes if "hash-order" in note]) == notes


def test_trials_of_a_program_that_was_changed_prove_nothing(world: Any) -> None:
    here = world(Reason("seed-numpy"))
    here.imports = {"train.py": "0" * 16}
    runs, comparison = here.audit()
    here.imports = {"train.py": "1" * 16}
    found = diagnose(runs, comparison, here.trial, here.compare, _nothing, _no_source, ENOUGH)
    assert not _proven(found)
    assert len(here.made) == 1
    assert found.diagnosis.notes == ("train.py has changed since the audit's runs: no trial can tell of them any more",)


@pytest.mark.parametrize("salt", [0, 4, 7])  # with these the trials agree by luck
def test_what_differed_once_is_not_taken_for_sufficient_later(world: Any, salt: int) -> None:
    found = _diagnose(world(Reason("fix-pid"), Reason("serial-threads", rate=0.4), salt=salt))
    differed = [set(one.factors) for one in found.diagnosis.tried if one.outcome == "differ" and len(one.runs) > 1]
    agreed = [set(one.factors) for one in found.diagnosis.tried if one.outcome == "agree"]
    assert not any(one <= other for one in agreed for other in differed)


def test_a_rare_divergence_needs_more_runs_than_two(world: Any) -> None:
    here = world(Reason("serial-threads", rate=0.2), salt=3)
    found = _diagnose(here, replicates=12)
    assert found.diagnosis.state == "proven"
    assert _proven(found) == {"serial-threads"}
    assert found.diagnosis.replicates > 5


@pytest.mark.parametrize(("replicates", "differing"), [(2, 1), (5, 1), (12, 2), (12, 11), (50, 10)])
def test_as_many_runs_must_agree_as_luck_demands(replicates: int, differing: int) -> None:
    def luck(agreements: int) -> float:
        """The mean of (1 - rate)^agreements over what the rate may be, by numerical integration."""
        rates = [(i + 0.5) / 20_000 for i in range(20_000)]
        weights = [rate**differing * (1 - rate) ** (replicates - 1 - differing) for rate in rates]
        agree = sum(w * (1 - rate) ** agreements for w, rate in zip(weights, rates, strict=True))
        return agree / sum(weights)

    wanted = agreements(replicates, differing, ("serial-threads",))
    assert luck(wanted - 1) <= LEVEL < luck(wanted - 2)
    assert agreements(replicates, differing, ("seed-torch",)) == (2 if differing == replicates - 1 else wanted)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    acting=st.lists(st.sampled_from(_CAN_BE_FOUND), min_size=1, max_size=3, unique=True),
    idle=st.lists(st.sampled_from(_CAN_BE_FOUND), max_size=3, unique=True),
    steps=st.lists(st.integers(1, 12), min_size=3, max_size=3),
    tells=st.sampled_from(("nothing", "part", "all")),
)
def test_exactly_what_is_at_work_is_proven(
    world: Any, acting: list[Any], idle: list[Any], steps: list[int], tells: str
) -> None:
    at_work = [Reason(factor, step) for factor, step in zip(acting, steps, strict=False)]
    harmless = [Reason(factor, matters=False) for factor in idle if factor not in acting]
    found = _diagnose(world(*at_work, *harmless, tells=tells))
    assert _proven(found) == set(acting)
    assert found.diagnosis.state == "proven"


@pytest.mark.parametrize(
    ("text", "alike", "rules"),
    [
        ("import torch\ng = torch.Generator()\ng.seed()\n", True, ["seed-from-entropy"]),
        ("import torch\ng = torch.Generator()\ng.seed()\n", False, ["unseeded-torch", "seed-from-entropy"]),
        ("import torch\n", True, ["unstable-seed"]),
        ("import torch\n", False, ["unseeded-torch"]),
    ],
)
def test_a_generator_s_seed_is_sought_where_it_can_have_come_from(text: str, alike: bool, rules: list[str]) -> None:
    found = Localisation(
        kind="operation",
        phase="forward",
        operation="aten::randn.generator",
        location=Place("train.py", 9),
        process="main",
        step=2,
        random="torch",
        inputs_agree=True,
    )
    suspects = rank(_located([found], {"train.py": text}.get, {"main"} if alike else ()))
    assert [one.rule for one in suspects] == rules
