"""Two audits of one command: what they reached together, from hand-made evidence."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from auditor import verdict
from auditor.compare import together
from auditor.compare.together import Side
from auditor.config import Request
from auditor.records.audit import LevelVerdict
from auditor.records.config import Settings
from auditor.records.environments import Difference, Prediction, Reached
from auditor.records.evidence import RunEvidence
from auditor.records.fingerprint import Fact, Fingerprint, Known
from auditor.verdict import Judgement

RESULTS = '{"test": {"rmse": %s}}'
COMMAND = ("python", "train.py", "--seed", "{seed}")


class Audits:
    """Makers of evidence, each run in a directory of its own."""

    def __init__(self, root: Path, make: SimpleNamespace, runs: Any) -> None:
        self.root, self.make, self.runs = root, make, runs
        self.count = 0

    def run(self, number: int, *processes: Any, rmse: float = 1.0, **changed: Any) -> RunEvidence:
        self.count += 1
        made: RunEvidence = type(self.runs)(self.root / str(self.count))(
            number, *(processes or (self.make.process(),)), files={"results.json": RESULTS % rmse}, **changed
        )
        return made

    def side(self, name: str, *runs: RunEvidence, **changed: Any) -> Side:
        fingerprint = changed.pop("fingerprint", Fingerprint("auditor.fingerprint/1", {}))
        fields = {"command": COMMAND, "project": "/p", "seed": 1, "settings": Settings(replicates=max(len(runs), 1))}
        return Side(name, Request(**{**fields, **changed}), runs or (self.run(1), self.run(2)), fingerprint)


@pytest.fixture
def audits(tmp_path: Path, make: SimpleNamespace, runs: Any) -> Audits:
    return Audits(tmp_path / "audits", make, runs)


def judge(first: Side, second: Side, tolerances: dict[str, float] | None = None) -> tuple[Judgement, together.Joint]:
    assert together.obstacles(first, second, tolerances) == ()
    joint = together.join(first, second, tolerances)
    records = [run.run for run in joint.runs]
    return verdict.judge_together(joint.comparison, records, joint.settings, joint.unsteady), joint


def outcome(judgement: Judgement) -> tuple[str, str]:
    return judgement.levels["bit-exact"].verdict, judgement.levels["seed-stable"].verdict


def test_equal_audits_are_bit_exact_together(audits: Audits) -> None:
    judgement, joint = judge(audits.side("a"), audits.side("b"))
    assert outcome(judgement) == ("reached", "reached")
    assert judgement.level == "bit-exact"
    assert joint.names == ("a", "a", "b", "b")
    assert [run.run.number for run in joint.runs] == [1, 2, 3, 4]
    assert joint.divergence is None
    assert (joint.digested.first, joint.digested.second, joint.digested.both) == (3, 3, 3)
    assert verdict.answer_together(("a", "b"), judgement) == "Together a and b reached bit-exact."


def test_steps_that_one_audit_passed_by_are_no_gap(audits: Audits, make: SimpleNamespace) -> None:
    sparse = make.process(tuple(make.step(n) for n in (1, 3, 5)))
    dense = make.process(tuple(make.step(n) for n in (1, 2, 3, 4, 5)))
    one = audits.side("a", audits.run(1, sparse), audits.run(2, sparse))
    two = audits.side("b", audits.run(1, dense), audits.run(2, dense))
    for first, second in ((one, two), (two, one)):
        judgement, joint = judge(first, second)
        assert outcome(judgement) == ("reached", "reached")
        assert joint.digested.both == 3
        assert joint.comparison.compared.steps == 3
        assert sorted((joint.digested.first, joint.digested.second)) == [3, 5]


def test_a_difference_at_a_step_of_one_audit_only_shows_in_what_follows(audits: Audits, make: SimpleNamespace) -> None:
    other = make.process(tuple(make.step(n) for n in (1, 3)))
    changed = make.process((make.step(1), make.step(2, loss=make.loss(9.0)), make.step(3, gradients="f" * 16)))
    judgement, joint = judge(
        audits.side("a", audits.run(1, other), audits.run(2, other)),
        audits.side("b", audits.run(1, changed), audits.run(2, changed)),
    )
    assert judgement.levels["bit-exact"].verdict == "not-reached"
    assert joint.divergence is not None
    assert (joint.divergence.step, joint.divergence.link, joint.divergence.last_identical_step) == (3, "gradients", 1)


def test_no_step_in_common_leaves_the_ends(audits: Audits, make: SimpleNamespace) -> None:
    one, two = make.process((make.step(1), make.step(4))), make.process((make.step(2), make.step(4)))
    one = make.process((make.step(1),), end=one.end)
    judgement, joint = judge(
        audits.side("a", audits.run(1, one), audits.run(2, one)),
        audits.side("b", audits.run(1, two), audits.run(2, two)),
    )
    assert joint.digested.both == joint.comparison.compared.steps == 0
    assert outcome(judgement) == ("reached", "reached")
    assert "1 parameter digest" in judgement.levels["bit-exact"].reason


def test_nothing_in_common_is_inconclusive(audits: Audits, make: SimpleNamespace) -> None:
    ends = {"finals": (), "inits": (), "end": make.process(3).end}
    sides = []
    for name, step in (("a", 1), ("b", 2)):
        runs = [
            type(audits.runs)(audits.root / name / str(n))(n, make.process((make.step(step),), **ends)) for n in (1, 2)
        ]
        sides.append(audits.side(name, *runs))
    judgement, joint = judge(*sides)
    assert joint.digested.both == 0
    assert outcome(judgement) == ("inconclusive", "inconclusive")


def test_metrics_within_tolerance_are_seed_stable(audits: Audits, make: SimpleNamespace) -> None:
    other = make.process(finals=(make.process().finals[0].__class__(0, "exit", "f" * 16, "zzzzzzzz"),))
    one = audits.side("a")
    two = audits.side("b", audits.run(1, other, rmse=1.004), audits.run(2, other, rmse=1.004))
    judgement, joint = judge(one, two)
    assert outcome(judgement) == ("not-reached", "reached")
    assert judgement.level == "seed-stable"
    assert joint.unsteady == ()
    assert verdict.answer_together(("a", "b"), judgement).startswith(
        "Together a and b reached seed-stable. They are not bit-exact: runs 1 and 3 differ"
    )
    strict, _ = judge(one, two, {"*": 0.001})
    assert outcome(strict) == ("not-reached", "not-reached")
    assert outcome(judge(two, one)[0]) == ("not-reached", "reached")


def test_an_audit_that_differs_in_itself_blames_no_machine(audits: Audits) -> None:
    one = audits.side("a", audits.run(1), audits.run(2, rmse=2.0))
    for first, second in ((one, audits.side("b")), (audits.side("b"), one)):
        judgement, joint = judge(first, second)
        assert joint.unsteady == ("a",)
        assert outcome(judgement) == ("not-reached", "not-reached")
        assert "The runs of a differ among themselves, so no machine is to blame." in (
            judgement.levels["bit-exact"].reason
        )


def test_gaps_of_either_audit_count(audits: Audits, make: SimpleNamespace) -> None:
    torn = make.process(problem="line 7 is cut off")
    one = audits.side("a", audits.run(1), audits.run(2, torn))
    for first, second in ((one, audits.side("b")), (audits.side("b"), one)):
        judgement, joint = judge(first, second)
        assert judgement.levels["bit-exact"].verdict == "inconclusive"
        assert any("line 7 is cut off" in gap for gap in joint.comparison.gaps)


def test_a_gap_within_an_audit_is_not_lost_between_two(audits: Audits, make: SimpleNamespace) -> None:
    # Within the audit, run two should have digested step 3 and did not; between the audits nobody misses it.
    whole, short = make.process(3), make.process((make.step(1), make.step(2)), end=make.process(3).end)
    one = audits.side("a", audits.run(1, whole), audits.run(2, short))
    judgement, joint = judge(one, audits.side("b", audits.run(1, whole), audits.run(2, whole)))
    assert judgement.levels["bit-exact"].verdict == "inconclusive"
    assert [gap for gap in joint.comparison.gaps if gap.startswith("a: ")] != []


def test_a_failed_audit_concludes_nothing(audits: Audits) -> None:
    failed = audits.side("a", audits.run(1, status="failed"), settings=Settings(replicates=2))
    for first, second in ((failed, audits.side("b")), (audits.side("b"), failed)):
        judgement, _ = judge(first, second)
        assert outcome(judgement) == ("inconclusive", "inconclusive")
        assert judgement.level is None


def known(value: str) -> dict[str, dict[str, Fact]]:
    return {"run": {"data": Known(value, "t"), "code": Known("c", "t")}}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"command": ("python", "train.py", "--seed", "{seed}", "--lr", "1")}, "the commands differ"),
        ({"command": ("python", "other.py", "--seed", "{seed}")}, "the commands differ (train.py and other.py)"),
        ({"command": ("torchrun", "train.py", "--seed", "{seed}")}, "the commands differ (python and torchrun)"),
        ({"seed_env": ("SEED",)}, "--seed-env"),
        ({"settings": Settings(steps=5)}, "--steps"),
        ({"settings": Settings(ignore=("a",))}, "--ignore"),
        ({"settings": Settings(decide=("a",))}, "--decide"),
        ({"settings": Settings(tolerances={"*": 1.0})}, "tolerances"),
    ],
)
def test_other_commands_and_settings_cannot_be_compared(audits: Audits, changed: dict[str, Any], said: str) -> None:
    one, two = audits.side("a"), audits.side("b", **changed)
    for pair in ((one, two), (two, one)):
        obstacles = together.obstacles(*pair, None)
        assert len(obstacles) == 1
    assert said in together.obstacles(one, two, None)[0]
    judgement = verdict.incomparable(obstacles, 4)
    assert outcome(judgement) == ("inconclusive", "inconclusive")
    assert judgement.level is None


def test_other_seeds_cannot_be_compared(audits: Audits) -> None:
    other = audits.side("b", audits.run(1, seed=2), audits.run(2, seed=2))
    assert together.obstacles(audits.side("a"), other, None) == ("the seeds differ (1 and 2)",)


def test_audits_that_are_not_there_cannot_be_compared(audits: Audits) -> None:
    whole = audits.side("a")
    alone = Side("b", None, (), whole.fingerprint)
    assert "audit.json by itself" in together.obstacles(whole, alone, None)[0]
    other = msgspec.structs.replace(alone, name="other")
    assert "are each an audit.json by itself" in together.obstacles(alone, other, None)[0]
    empty = Side("b", whole.request, (), whole.fingerprint)
    assert together.obstacles(empty, whole, None) == ("b has no complete run",)
    half = audits.side("b", audits.run(1), settings=Settings(replicates=2))
    assert together.obstacles(whole, half, None) == ("b is not complete (1 of 2 runs)",)


@pytest.mark.parametrize("name", ["python3", "python3.11", "/opt/env/bin/python", "./env/bin/python3.8"])
def test_the_interpreter_is_no_part_of_the_command(audits: Audits, name: str) -> None:
    assert together.obstacles(audits.side("a"), audits.side("b", command=(name, *COMMAND[1:])), None) == ()


def test_files_elsewhere_are_the_same_where_they_hold_the_same(audits: Audits) -> None:
    def side(name: str, path: str, data: dict[str, dict[str, Fact]]) -> Side:
        return audits.side(
            name, command=(*COMMAND, "--data", path), fingerprint=Fingerprint("auditor.fingerprint/1", data)
        )

    here = side("a", "/mnt/a", known("d"))
    assert together.obstacles(here, side("b", "/mnt/b", known("d")), None) == ()
    assert together.obstacles(here, side("b", "/mnt/b", known("e")), None) != ()
    assert together.obstacles(here, side("b", "/mnt/b", {}), None) != ()
    assert together.obstacles(here, side("b", "small", known("d")), None) != ()


def test_given_tolerances_stand_for_those_of_the_audits(audits: Audits) -> None:
    one = audits.side("a")
    two = audits.side("b", settings=Settings(replicates=2, tolerances={"*": 5.0}))
    assert together.obstacles(one, two, None) != ()
    assert together.obstacles(one, two, {"*": 0.1}) == ()


def prediction(*differences: Difference) -> Prediction:
    return verdict.foresee(differences, ())


CPU = Difference("hardware", "cpu", ("a", "b"), "at-risk", "It may.", said="a against b")
SM = Difference("hardware", "gpu:architecture", ("sm_80", "sm_90"), "rules-out", "It does.", said="sm_80 against sm_90")
CODE = Difference("run", "code", ("1", "2"), "at-risk", "It may.", said="other code", level="seed-stable")


def test_what_may_explain_an_outcome(audits: Audits, make: SimpleNamespace) -> None:
    other = make.process((make.step(1, gradients="f" * 16),))
    same, _ = judge(audits.side("a"), audits.side("b"))
    differ, _ = judge(audits.side("a", audits.run(1, make.process(1))), audits.side("b", audits.run(1, other)))
    assert verdict.explain_together(same, (), prediction()) == ""
    assert (
        verdict.explain_together(same, (), prediction(CPU)) == "What differs between the environments changed nothing."
    )
    assert "not expected: sm_80 against sm_90" in verdict.explain_together(same, (), prediction(SM))
    assert verdict.explain_together(differ, (), prediction(CPU)) == "What may explain it: a against b."
    assert "other code" in verdict.explain_together(differ, (), prediction(CODE, CPU))
    assert "no machine is to blame" in verdict.explain_together(differ, ("a",), prediction(CPU))
    assert "Nothing that is known to matter differs" in verdict.explain_together(differ, (), prediction())


def test_other_data_and_code_are_in_the_first_sentence(audits: Audits) -> None:
    judgement, _ = judge(audits.side("a"), audits.side("b"))
    data = Difference("run", "data", ("1", "2"), "at-risk", "It may.", level="seed-stable", said="other data")
    code = Difference("run", "code", ("1", "2"), "at-risk", "It may.", level="seed-stable", said="other code")
    assert verdict.answer_together(("a", "b"), judgement, prediction(data)) == (
        "Together a and b, which had other data, reached bit-exact."
    )
    assert "had other data and other code," in verdict.answer_together(("a", "b"), judgement, prediction(data, code))
    assert verdict.foresee([data], []).answer.endswith("So is seed-stable: other data.")
    assert verdict.foresee([data], []).levels["seed-stable"].prospect == "at-risk"


def reached(name: str, bit_exact: str, seed_stable: str, reason: str = "It is so.") -> Reached:
    verdicts: dict[Any, LevelVerdict] = {
        "bit-exact": LevelVerdict(bit_exact, reason),  # type: ignore[arg-type]  # a verdict
        "seed-stable": LevelVerdict(seed_stable, reason),  # type: ignore[arg-type]  # a verdict
    }
    level: Any = next((level for level, one in verdicts.items() if one.verdict == "reached"), None)
    return Reached(name, level, verdicts, None)


EXACT = ("reached", "reached")
ONLY = ("not-reached", "reached")
OPEN = ("inconclusive", "inconclusive")


@pytest.mark.parametrize(
    ("others", "said", "bit_exact"),
    [
        ((EXACT, EXACT), "All 3 audits are bit-exact with one another.", "reached"),
        (
            (EXACT, ONLY),
            "2 of 3 audits are bit-exact with one another; b1 reached seed-stable only.",
            "not-reached",
        ),
        (
            (EXACT, OPEN),
            "2 of 3 audits are bit-exact with one another; b1 cannot be told: it is so.",
            "inconclusive",
        ),
        (
            (EXACT, ("inconclusive", "reached")),
            "2 of 3 audits are bit-exact with one another; "
            "b1 reached seed-stable, and whether bit-exact cannot be told.",
            "inconclusive",
        ),
        (
            (ONLY, ("not-reached", "not-reached")),
            "None of the 2 others is bit-exact with a; b0 reached seed-stable only; b1 did not reach seed-stable.",
            "not-reached",
        ),
        (
            (OPEN, OPEN),
            "None of the 2 others is bit-exact with a, as far as can be told; b0 and b1 cannot be told: it is so.",
            "inconclusive",
        ),
    ],
)
def test_many_audits_are_told_apart_by_what_they_reached(
    others: tuple[tuple[str, str], ...], said: str, bit_exact: str
) -> None:
    found = [reached(f"b{number}", *one) for number, one in enumerate(others)]
    assert verdict.answer_reached("a", found) == said
    levels = verdict.reached_by_all("a", found)
    assert levels["bit-exact"].verdict == bit_exact
    assert (levels["seed-stable"].verdict == "reached") is all(one[1] == "reached" for one in others)
