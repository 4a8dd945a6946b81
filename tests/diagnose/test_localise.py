"""Two captured runs are held against each other: the first line or operation that differs is the planted one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auditor.diagnose.localise import HARMLESS, compared, differences, localise
from auditor.records.diagnosis import Localisation
from auditor.records.evidence import RunEvidence
from auditor.records.operations import Capture, Operation
from auditor.store import read_captures
from tests.diagnose.conftest import Captured

pytestmark = pytest.mark.programs

SCRIPT = Path(__file__).with_name("scenarios.py")
_SOURCE = SCRIPT.read_text()
# In the order in which they are run; the test imports no torch.
SCENARIOS = tuple(re.findall(r"\w+", _SOURCE.partition("\nSCENARIOS = (")[2].partition("\n)\n")[0]))


def line_of(mark: str) -> int:
    """The number of the line that a comment of this name marks."""
    (line,) = [n for n, text in enumerate(_SOURCE.splitlines(), start=1) if text.endswith(f"  # {mark}")]
    return line


class Both:
    """What both runs captured, by scenario."""

    def __init__(self, first: RunEvidence, other: RunEvidence) -> None:
        self.evidence = (first, other)
        self._captures = (read_captures(first), read_captures(other))

    def of(self, scenario: str, *more: str) -> tuple[Localisation, ...]:
        """The differences of one scenario's processes alone."""
        role = f"main/child {SCENARIOS.index(scenario) + 1}"
        roles = [r for r in self._captures[0] if r == role or r.startswith(f"{role}/") or r in more]
        mine, theirs = ({r: captures[r] for r in roles} for captures in self._captures)
        return compared(mine, theirs, {r: self._steps(r) for r in roles})

    def captures(self, scenario: str) -> tuple[Capture, Capture]:
        role = f"main/child {SCENARIOS.index(scenario) + 1}"
        return self._captures[0][role], self._captures[1][role]

    def _steps(self, role: str) -> int | None:
        (trace,) = [t for t in self.evidence[0].processes if t.role == role]
        return None if trace.end is None else trace.end.steps


@pytest.fixture(scope="module")
def both(captured: Captured) -> Both:
    return Both(*captured(SCRIPT, "{run}"))


def place(found: Localisation) -> tuple[str, int]:
    assert found.location is not None
    return found.location.file, found.location.line


def test_a_clean_program_differs_only_where_nothing_depends_on_it(both: Both) -> None:
    (clock,) = both.of("clean")
    assert clock.kind == "line" and clock.variable == "started" and HARMLESS in clock.notes
    assert both.of("unwritten") == ()


def test_an_unseeded_operation_is_told_with_its_module_and_stream(both: Both) -> None:
    found, clock = both.of("dropout")
    assert (found.kind, found.phase, found.random, found.module) == ("operation", "forward", "torch", "Dropping")
    assert found.operation.startswith("aten::bernoulli_") and found.inputs_agree and found.step is None
    assert place(found) == ("scenarios.py", line_of("dropout"))
    assert found.max_abs_difference == 1.0
    # What came first by the clock, and matters to nothing, comes last.
    assert clock.variable == "started" and HARMLESS in clock.notes


def test_numpy_in_a_worker_is_told_with_the_worker_and_the_sample(both: Both) -> None:
    found, *_ = both.of("worker")
    assert place(found) == ("scenarios.py", line_of("worker"))
    assert (found.kind, found.variable, found.worker, found.sample) == ("line", "x", 1, 3)
    assert found.process.endswith("worker 0.1") and found.step is None


@pytest.mark.parametrize(
    ("scenario", "variable", "step"),
    [
        ("clock", "rate", 1),
        ("hash_order", "word", None),
        ("address_order", "return", None),
        ("sorted_alike_at_first", "return", None),
        ("shaking", "noise", 1),
        ("recomputed", "x", 1),
        ("evaluation", "noise", None),
        ("race", "value", 1),
    ],
)
def test_a_line_outside_torch_is_told(both: Both, scenario: str, variable: str, step: int | None) -> None:
    found, *_ = both.of(scenario)
    assert place(found) == ("scenarios.py", line_of(scenario))
    assert (found.kind, found.phase, found.variable) == ("line", "python", variable)
    assert found.inputs_agree and HARMLESS not in found.notes
    assert found.step == step


def test_an_optimizer_that_draws_is_told(both: Both) -> None:
    found, *rest = both.of("unsteady")
    assert place(found) == ("scenarios.py", line_of("unsteady"))
    assert (found.operation, found.phase, found.random) == ("aten::randn_like", "optimizer", "torch")
    assert found.step == 1 and not rest


def test_autocast_does_not_hide_an_operation(both: Both) -> None:
    (found,) = both.of("autocast")
    assert place(found) == ("scenarios.py", line_of("autocast"))
    assert found.operation == "aten::rand" and "under autocast" in found.notes


def test_a_way_that_only_one_run_took_is_told_by_the_line_that_chose(both: Both) -> None:
    (found,) = both.of("branch")
    assert place(found) == ("scenarios.py", line_of("branch"))
    assert found.kind == "line" and any("different ways" in note for note in found.notes)


def test_a_difference_in_one_rank_is_not_told_of_what_the_ranks_exchange(both: Both) -> None:
    found, *rest = both.of("ranks", "rank 0", "rank 1")
    assert (place(found), found.process, found.variable) == (("scenarios.py", line_of("ranks")), "rank 1", "batch")
    assert all(HARMLESS in one.notes for one in rest)


def test_threads_that_share_work_are_matched_by_what_they_did(both: Both) -> None:
    # In which order the threads are done is chance too, and may be told as well.
    found = [one for one in both.of("pool") if place(one) == ("scenarios.py", line_of("pool"))]
    assert [one.variable for one in found] == ["x"]
    assert HARMLESS not in found[0].notes


def test_what_is_written_through_a_view_changes_the_whole(both: Both) -> None:
    found, unused = both.of("in_place")
    assert found.operation.startswith("aten::bernoulli_") and place(found)[1] == line_of("in_place")
    assert unused.operation == "aten::normal_" and HARMLESS in unused.notes


def test_the_whole_is_told_in_order_of_time_and_bounded(both: Both) -> None:
    found = differences(*both.evidence)
    assert 0 < len(found) <= 16
    assert localise(*both.evidence) == found[0]
    assert differences(both.evidence[0], both.evidence[0]) == ()


def test_backward_operations_know_their_forward_call(both: Both) -> None:
    capture, _ = both.captures("clean")
    texts, stacks, spots = capture.texts, capture.stacks, capture.spots
    nodes = {
        texts[e.node]: [spots[s].line for s in stacks[e.forward]] if e.forward >= 0 else []
        for e in capture.entries
        if isinstance(e, Operation) and e.phase == 1 and e.node >= 0
    }
    forward = line_of("forward")
    assert nodes["AddmmBackward0"][0] == nodes["PowBackward0"][0] == nodes["MeanBackward0"][0] == forward
    modules = {texts[e.module] for e in capture.entries if isinstance(e, Operation)}
    assert {"0", "1", "2"} <= modules


def test_a_window_begins_and_ends_with_steps(captured: Captured) -> None:
    first, other = captured(SCRIPT, "{run}", "clean", first=2, last=2)
    captures = read_captures(first)
    assert captures["main/child 1"].steps == 1
    kinds = [e.phase for e in captures["main/child 1"].entries if isinstance(e, Operation)]
    assert set(kinds) == {0, 1, 2}
    assert [d for d in differences(first, other) if d.process != "main"] == []
