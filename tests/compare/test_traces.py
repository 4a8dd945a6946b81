"""The first divergence: by step, link and process, with its tensor and its size."""

from __future__ import annotations

import struct
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.compare.traces import compare_traces, steps_agree
from auditor.records.trace import End, Fault, Final, Init, StaleRead, Step, Streams, Unseen

Make = SimpleNamespace


def changed(make: Make, at: int, count: int = 5, **fields: Any) -> tuple[Step, ...]:
    """Steps of which one differs from what ``make.process(count)`` has."""
    return tuple(make.step(n, **fields) if n == at else make.step(n) for n in range(1, count + 1))


def safetensors(**tensors: list[float]) -> bytes:
    header, data = {}, b""
    for name, values in tensors.items():
        piece = struct.pack(f"<{len(values)}f", *values)
        header[name.replace("_", ":")] = {
            "dtype": "F32", "shape": [len(values)], "data_offsets": [len(data), len(data) + len(piece)],
        }  # fmt: skip
        data += piece
    encoded = msgspec.json.encode(header)
    return struct.pack("<Q", len(encoded)) + encoded + data


def test_what_is_equal_agrees_and_is_counted(make: Make, runs: Any) -> None:
    found = compare_traces(runs(1, make.process(5)), runs(2, make.process(5)))
    assert found.divergence is None
    assert found.gaps == ()
    assert found.identical_until == 5
    compared = found.compared
    assert (compared.steps, compared.batches, compared.losses, compared.gradient_digests) == (5, 5, 5, 5)
    assert compared.parameter_digests == 6  # five steps and the end
    assert compared.drawn_streams == 1


def test_losses_after_the_last_step_are_no_step(make: Make, runs: Any) -> None:
    left = make.step(6, optimizer=-1, gradients=None, parameters=None, gradients_parts="", parameters_parts="")
    lines = (*make.process(5).steps, left)
    found = compare_traces(runs(1, make.process(lines)), runs(2, make.process(lines)))
    assert (found.divergence, found.compared.steps, found.compared.losses) == (None, 5, 6)


@pytest.mark.parametrize(
    ("link", "fields", "quantity"),
    [
        ("batch", {"batch": None}, "loader 0"),
        ("loss", {"loss": None}, "loss"),
        ("gradients", {"gradients": "0" * 16, "gradients_parts": "aaaaxxxx"}, "bias"),
        ("parameters", {"parameters": "0" * 16, "parameters_parts": "xxxxdddd"}, "weight"),
    ],
)
def test_the_link_that_differs_is_named(
    make: Make, runs: Any, link: str, fields: dict[str, Any], quantity: str
) -> None:
    if "batch" in fields:
        fields = {"batch": make.batch("other")}
    if "loss" in fields:
        fields = {"loss": make.loss(9.0)}
    found = compare_traces(runs(1, make.process(5)), runs(2, make.process(changed(make, 3, **fields)))).divergence
    assert found is not None
    assert (found.step, found.link, found.process, found.quantity) == (3, link, "main", quantity)
    assert found.last_identical_step == 2
    assert found.runs == (1, 2)


def test_the_earliest_link_of_the_earliest_step_wins(make: Make, runs: Any) -> None:
    other = list(changed(make, 2, gradients="0" * 16, loss=make.loss(7.0)))
    other[3] = make.step(4, batch=make.batch("other"))
    found = compare_traces(runs(1, make.process(5)), runs(2, make.process(tuple(other)))).divergence
    assert found is not None
    assert (found.step, found.link) == (2, "loss")


def test_initial_parameters_come_before_every_step(make: Make, runs: Any) -> None:
    init = (Init(optimizer=0, digest="0" * 16, parts="eeeexxxx"),)
    other = make.process(changed(make, 1, batch=make.batch("other")), inits=init)
    found = compare_traces(runs(1, make.process(5)), runs(2, other)).divergence
    assert found is not None
    assert (found.step, found.link, found.quantity, found.last_identical_step) == (None, "init", "bias", 0)


def test_parameters_moved_after_the_last_step_are_seen_at_the_end(make: Make, runs: Any) -> None:
    other = make.process(5, finals=(Final(optimizer=0, at="exit", digest="0" * 16, parts="xxxxhhhh"),))
    found = compare_traces(runs(1, make.process(5)), runs(2, other)).divergence
    assert found is not None
    assert (found.step, found.link, found.quantity, found.last_identical_step) == (None, "final", "weight", 5)


def test_across_processes_the_smallest_step_comes_first_then_the_link(make: Make, runs: Any) -> None:
    def ranks(*others: tuple[Step, ...]) -> Any:
        return [make.process(steps, role=f"rank {rank}") for rank, steps in enumerate(others)]

    plain = changed(make, 9)
    one = runs(1, *ranks(plain, plain))
    late, early = changed(make, 4, loss=make.loss(3.0)), changed(make, 2, parameters="0" * 16)
    found = compare_traces(one, runs(2, *ranks(late, early))).divergence
    assert found is not None
    assert (found.process, found.step, found.link) == ("rank 1", 2, "parameters")
    found = compare_traces(one, runs(2, *ranks(early, changed(make, 2, loss=make.loss(3.0))))).divergence
    assert found is not None
    assert (found.process, found.link) == ("rank 1", "loss")


def test_a_loss_tells_its_difference(make: Make, runs: Any) -> None:
    found = compare_traces(
        runs(1, make.process(changed(make, 1, loss=make.loss(1.5)))),
        runs(2, make.process(changed(make, 1, loss=make.loss(1.25)))),
    ).divergence
    assert found is not None
    assert found.max_abs_difference == 0.25
    assert "1.5" in found.reason


def test_negative_zero_is_not_zero(make: Make, runs: Any) -> None:
    found = compare_traces(
        runs(1, make.process(changed(make, 1, loss=make.loss(0.0)))),
        runs(2, make.process(changed(make, 1, loss=make.loss(-0.0)))),
    ).divergence
    assert found is not None
    assert found.max_abs_difference == 0.0
    assert "sign of zero" in found.reason


def test_losses_that_are_nan_in_both_runs_are_equal(make: Make, runs: Any) -> None:
    nan = msgspec.structs.replace(make.loss(1.0), values=["nan"])
    steps = changed(make, 1, loss=nan)
    assert compare_traces(runs(1, make.process(steps)), runs(2, make.process(steps))).divergence is None


def test_a_nan_in_one_run_only_has_no_finite_difference(make: Make, runs: Any) -> None:
    nan = msgspec.structs.replace(make.loss(2.0), values=["nan"])
    found = compare_traces(runs(1, make.process(5)), runs(2, make.process(changed(make, 1, loss=nan)))).divergence
    assert found is not None
    assert found.max_abs_difference is None
    assert "not finite" in found.reason


def test_values_that_were_kept_tell_the_largest_difference(make: Make, runs: Any) -> None:
    def kept(bias: float) -> tuple[Step, ...]:
        block = safetensors(g_0=[1.0], p_0=[1.0, 2.0], p_1=[bias])
        parts = "cccc" + ("dddd" if bias == 3.0 else "xxxx")
        return changed(make, 2, parameters=make.digest(bias), parameters_parts=parts, kept=f"main.bin:3:{len(block)}")

    one = runs(
        1, make.process(kept(3.0)), tensors={"main.bin": b"pad" + safetensors(g_0=[1.0], p_0=[1.0, 2.0], p_1=[3.0])}
    )
    two = runs(
        2, make.process(kept(3.5)), tensors={"main.bin": b"pad" + safetensors(g_0=[1.0], p_0=[1.0, 2.0], p_1=[3.5])}
    )
    found = compare_traces(one, two).divergence
    assert found is not None
    assert (found.quantity, found.max_abs_difference) == ("bias", 0.5)
    assert "bias" in found.reason


@pytest.mark.parametrize(
    "place", ["gone.bin:0:10", "main.bin:0:99999", "../main.bin:0:10", "main.bin:0:9", "nonsense:x"]
)
def test_values_that_cannot_be_read_leave_the_divergence_standing(make: Make, runs: Any, place: str) -> None:
    steps = changed(make, 2, parameters="0" * 16, kept=place)
    one = runs(1, make.process(changed(make, 2, kept=place)), tensors={"main.bin": b"x" * 30})
    found = compare_traces(one, runs(2, make.process(steps), tensors={"main.bin": b"x" * 30})).divergence
    assert found is not None
    assert found.link == "parameters"
    assert found.max_abs_difference is None
    assert "cannot be read" in found.reason


def test_values_that_were_not_kept_are_said_to_be_missing(make: Make, runs: Any) -> None:
    found = compare_traces(
        runs(1, make.process(5)), runs(2, make.process(changed(make, 2, parameters="0" * 16)))
    ).divergence
    assert found is not None
    assert found.max_abs_difference is None
    assert "not kept" in found.reason


def test_tensors_that_share_a_part_are_named_as_a_range(make: Make, runs: Any) -> None:
    described = (make.optimizer(names=("a", "b", "c", "d", "e"), groups=2),)
    one = make.process(changed(make, 2, parameters_parts="aaaabbbbcccc"), optimizers=described)
    for parts, expected in (("aaaaxxxxcccc", "c … d"), ("aaaabbbbxxxx", "e"), ("xxxxxxxxxxxx", "a … b")):
        two = make.process(changed(make, 2, parameters="0" * 16, parameters_parts=parts), optimizers=described)
        found = compare_traces(runs(1, one), runs(2, two)).divergence
        assert found is not None
        assert found.quantity == expected


def test_a_source_that_differs_is_named(make: Make, runs: Any) -> None:
    one = changed(make, 2, batch=make.batch(0, ("loader 0", "Encoder"), "aaaabbbb"))
    two = changed(make, 2, batch=make.batch(1, ("loader 0", "Encoder"), "aaaaxxxx"))
    found = compare_traces(runs(1, make.process(one)), runs(2, make.process(two))).divergence
    assert found is not None
    assert found.quantity == "Encoder"
    assert found.max_abs_difference is None


def test_another_number_of_steps_is_a_difference(make: Make, runs: Any) -> None:
    found = compare_traces(runs(1, make.process(5)), runs(2, make.process(4)))
    assert found.divergence is not None
    assert (found.divergence.link, found.divergence.step, found.divergence.max_abs_difference) == ("steps", 5, 1.0)
    assert found.identical_until == 4


def test_a_run_that_was_cut_short_has_fewer_steps_but_does_not_differ(make: Make, runs: Any) -> None:
    two = make.process(4, end=None, finals=(), streams=None)
    found = compare_traces(runs(1, make.process(5)), runs(2, two))
    assert found.divergence is None
    assert any("without a last line" in gap for gap in found.gaps)
    from auditor.records.run import Ending

    stopped = runs(2, make.process(4), ending=Ending("stopped", None))
    found = compare_traces(runs(1, make.process(5)), stopped)
    assert found.divergence is None
    assert any("stopped on purpose" in gap for gap in found.gaps)
    assert found.unsound


def test_another_optimizer_at_a_step_is_a_difference(make: Make, runs: Any) -> None:
    described = (make.optimizer(0), make.optimizer(1))
    one = make.process(5, optimizers=described)
    two = make.process(changed(make, 3, optimizer=1, parameters="0" * 16), optimizers=described)
    found = compare_traces(runs(1, one), runs(2, two)).divergence
    assert found is not None
    assert (found.step, found.link, found.quantity) == (3, "steps", "which optimizer steps")


def test_optimizers_of_other_shapes_differ_from_the_start(make: Make, runs: Any) -> None:
    other = (msgspec.structs.replace(make.optimizer(), shapes=[[2], [3]]),)
    found = compare_traces(runs(1, make.process(5)), runs(2, make.process(5, optimizers=other))).divergence
    assert found is not None
    assert (found.link, found.step) == ("init", None)
    assert "shapes" in found.reason


def test_a_step_of_run_one_that_run_two_did_not_digest_is_a_gap(make: Make, runs: Any) -> None:
    sparse = tuple(make.step(n) for n in (1, 2, 4, 5))
    found = compare_traces(runs(1, make.process(5)), runs(2, make.process(sparse)))
    assert found.divergence is None
    assert any("step 3 was digested in run 1 only" in gap for gap in found.gaps)


def test_a_step_that_only_run_two_digested_is_none(make: Make, runs: Any) -> None:
    """Run two follows the union over all processes of a label, so it may digest more than this process did."""
    sparse = tuple(make.step(n) for n in (1, 2, 4, 5))
    found = compare_traces(runs(1, make.process(sparse)), runs(2, make.process(5)))
    assert found.gaps == ()
    assert found.compared.steps == 4


def test_a_link_seen_in_one_run_only_is_a_gap_and_counted_once(make: Make, runs: Any) -> None:
    blind = tuple(make.step(n, batch=None) for n in range(1, 6))
    found = compare_traces(runs(1, make.process(5)), runs(2, make.process(blind)))
    assert found.divergence is None
    assert found.compared.batches == 0
    assert [gap for gap in found.gaps if "batch" in gap] == [
        "main: the batch of 5 steps, the first of them 1, was seen in one run only"
    ]


def test_a_link_seen_in_neither_run_is_no_evidence(make: Make, runs: Any) -> None:
    blind = tuple(
        make.step(n, batch=None, loss=None, gradients=None, gradients_parts="", parameters=None, parameters_parts="")
        for n in range(1, 6)
    )
    found = compare_traces(runs(1, make.process(blind, finals=())), runs(2, make.process(blind, finals=())))
    assert found.divergence is None
    assert found.gaps == ()
    compared = found.compared
    assert (compared.batches, compared.losses, compared.gradient_digests, compared.parameter_digests) == (0, 0, 0, 0)


@pytest.mark.parametrize("swap", [False, True])
def test_a_process_in_one_run_only_is_a_gap(make: Make, runs: Any, swap: bool) -> None:
    both, single = [make.process(3), make.process(3, role="rank 1")], [make.process(3)]
    one, two = (single, both) if swap else (both, single)
    found = compare_traces(runs(1, *one), runs(2, *two))
    assert any("rank 1" in gap and f"run {2 if swap else 1} only" in gap for gap in found.gaps)


def test_a_helper_that_trains_nothing_is_only_noted(make: Make, runs: Any) -> None:
    helper = make.process(0, role="main/git", streams=None)
    found = compare_traces(runs(1, make.process(3), helper), runs(2, make.process(3)))
    assert found.gaps == ()
    assert any("main/git" in note for note in found.notes)
    alone = compare_traces(runs(1, make.process(0), helper), runs(2, make.process(0)))
    assert any("main/git" in gap for gap in alone.gaps)


def test_dataloader_workers_neither_decide_nor_leave_gaps(make: Make, runs: Any) -> None:
    worker = make.process(0, role="main/worker 0.0", end=None, streams=Streams({"torch": "1" * 16}, {"torch": True}))
    found = compare_traces(runs(1, make.process(3), worker), runs(2, make.process(3)))
    assert found.gaps == ()
    other = msgspec.structs.replace(worker, streams=Streams({"torch": "2" * 16}, {"torch": True}))
    found = compare_traces(runs(1, make.process(3), worker), runs(2, make.process(3), other))
    assert (found.divergence, found.gaps, found.streams) == (None, (), ())


def test_a_damaged_trace_and_a_probe_fault_are_gaps(make: Make, runs: Any) -> None:
    one = make.process(3, faults=(Fault("steps", "ValueError('x')", 2),))
    two = make.process(3, problem="line 7 cannot be decoded")
    found = compare_traces(runs(1, one), runs(2, two))
    assert any("probe failed in steps at step 2" in gap for gap in found.gaps)
    assert any("line 7 cannot be decoded" in gap for gap in found.gaps)


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("/home/me/runs/last.pt", True),
        ("/home/me/.cache/me/last.ckpt", True),
        ("/home/me/state.db", True),
        ("/home/me/.cache/fontlist", False),
        ("/home/me/.config/x/__pycache__/m.pyc", False),
        ("/tmp/torchinductor_me/ab/cab.py", False),
    ],
)
def test_reading_what_an_earlier_run_left_is_a_gap(make: Make, runs: Any, path: str, counts: bool) -> None:
    found = compare_traces(runs(1, make.process(3)), runs(2, make.process(3, stale_reads=(StaleRead(path, None, 0),))))
    assert bool(found.gaps) == counts
    assert bool(found.unsound) == counts


def test_what_a_run_says_is_missing_is_a_gap(make: Make, runs: Any) -> None:
    two = runs(
        2,
        make.process(3),
        missing=("stdout is not there",),
        unsaved=("big.bin: Permission denied", "l: a symbolic link to x"),
    )
    found = compare_traces(runs(1, make.process(3)), two)
    assert "run 2: stdout is not there" in found.gaps
    assert any("big.bin" in gap for gap in found.gaps)
    assert not any("symbolic link" in gap for gap in found.gaps)


def test_random_streams_are_told_but_do_not_decide(make: Make, runs: Any) -> None:
    other = make.process(
        changed(make, 2, streams={"torch": "0" * 16}), streams=Streams({"torch": "0" * 16}, {"torch": True})
    )
    found = compare_traces(runs(1, make.process(5)), runs(2, other))
    assert found.divergence is None
    assert [(one.process, one.stream) for one in found.streams] == [("main", "torch")]
    assert any("from step 2 on" in note for note in found.notes)


def test_a_stream_that_was_never_drawn_from_is_not_compared(make: Make, runs: Any) -> None:
    one = make.process(3, streams=Streams({"python": "0" * 16}, {"python": False}))
    two = make.process(3, streams=Streams({"python": "1" * 16}, {"python": False}))
    found = compare_traces(runs(1, one), runs(2, two))
    assert found.streams == ()
    assert found.compared.drawn_streams == 0


def test_steps_agree_is_about_what_both_hold(make: Make) -> None:
    assert steps_agree(make.step(3), make.step(3))
    assert steps_agree(make.step(3), make.step(3, batch=None))
    assert steps_agree(make.step(3), make.step(3, streams={}, ns=99))
    assert not steps_agree(make.step(3), make.step(3, parameters="0" * 16))
    assert not steps_agree(make.step(3), make.step(3, optimizer=1))
    assert not steps_agree(make.step(3), make.step(3, loss=make.loss(9.0)))


LINKS = st.sampled_from(["batch", "loss", "gradients", "parameters", "none"])


@given(at=st.integers(1, 6), link=LINKS, missing=st.sets(st.integers(1, 6), max_size=3), last=st.integers(3, 6))
def test_a_difference_is_found_whichever_run_comes_first(
    make: Make, at: int, link: str, missing: set[int], last: int
) -> None:
    from pathlib import Path

    from auditor.records.evidence import RunEvidence

    change: dict[str, dict[str, Any]] = {
        "batch": {"batch": make.batch("x")},
        "loss": {"loss": make.loss(42.0)},
        "gradients": {"gradients": "0" * 16},
        "parameters": {"parameters": "0" * 16},
        "none": {},
    }
    a = tuple(make.step(n) for n in range(1, 7) if n not in missing)
    b = tuple(make.step(n, **(change[link] if n == at else {})) for n in range(1, last + 1))

    def evidence(number: int, steps: tuple[Step, ...], count: int) -> RunEvidence:
        end = End(why="exit", steps=count, backwards=count, digested=len(steps), probe_ns=1, ns=1)
        trace = make.process(steps, end=end) if steps else make.process(0, end=end)
        nowhere = Path("nowhere")
        return RunEvidence(make.record(number), (trace,), nowhere, nowhere, nowhere, nowhere)

    one, two = evidence(1, a, 6), evidence(2, b, last)
    forth = compare_traces(one, two).divergence
    back = compare_traces(two, one).divergence
    assert (forth is None) == (back is None)
    if forth is not None and back is not None:
        assert (forth.step, forth.link) == (back.step, back.link)
    seen = link != "none" and at not in missing and at <= last
    assert (forth is not None) == (seen or last != 6 or len(a) == 0)
    assert compare_traces(one, evidence(2, a, 6)).divergence is None


def threads(make: Make, *models: str, lost: int = 0, **changed: Any) -> Any:
    """A process in which threads train these models, in this order."""
    count = len(models)
    return make.process(
        changed.pop("steps", 3),
        unordered=changed.pop("unordered", True),
        optimizers=tuple(make.optimizer(i) for i in range(count)),
        inits=tuple(Init(optimizer=i, digest=make.digest("init", m), parts="eeeeffff") for i, m in enumerate(models)),
        finals=tuple(
            Final(optimizer=i, at="collected", digest=make.digest("final", m), parts="gggghhhh")
            for i, m in enumerate(models[: count - lost])
        ),
        unseen=tuple(Unseen(what=f"the final parameters of optimizer {count - 1 - i}", step=3) for i in range(lost)),
        **changed,
    )


def test_what_threads_trained_is_compared_in_any_order(make: Make, runs: Any) -> None:
    found = compare_traces(runs(1, threads(make, "a", "b", "c")), runs(2, threads(make, "c", "a", "b", steps=4)))
    assert (found.divergence, found.gaps) == (None, ())
    assert (found.compared.parameter_digests, found.compared.steps) == (3, 0)
    assert any("no fixed order" in note for note in found.notes)


def test_one_run_in_which_threads_train_is_enough_to_align_no_steps(make: Make, runs: Any) -> None:
    found = compare_traces(runs(1, threads(make, "a", "b")), runs(2, threads(make, "b", "a", unordered=False, steps=2)))
    assert (found.divergence, found.gaps) == (None, ())


def test_another_model_among_those_of_threads_is_a_difference(make: Make, runs: Any) -> None:
    other = threads(make, "b", "a")
    other = msgspec.structs.replace(
        other, finals=(msgspec.structs.replace(other.finals[0], digest=make.digest("x")), other.finals[1])
    )
    found = compare_traces(runs(1, threads(make, "a", "b")), runs(2, other)).divergence
    assert found is not None
    assert (found.link, found.step) == ("final", None)
    assert found.quantity == "the parameters of the models that threads trained"


def test_a_model_that_was_lost_in_one_run_is_a_gap_and_no_difference(make: Make, runs: Any) -> None:
    found = compare_traces(runs(1, threads(make, "a", "b")), runs(2, threads(make, "b", "a", lost=1)))
    assert found.divergence is None
    assert any("cannot be matched" in gap for gap in found.gaps)
    assert found.unseen == ("run 2, main: the final parameters of optimizer 1 could not be read",)


def test_which_worker_of_a_pool_takes_which_task_does_not_matter(make: Make, runs: Any) -> None:
    def workers(*shares: str, **more: Any) -> list[Any]:
        return [
            threads(make, *share, role=f"main/ForkPoolWorker-{n}", unordered=False, **more)
            for n, share in enumerate(shares, 1)
        ]

    one, two = runs(1, make.process(2), *workers("abc", "d")), runs(2, make.process(2), *workers("d", "ca", "b"))
    found = compare_traces(one, two)
    assert (found.divergence, found.gaps) == (None, ())
    assert found.compared.parameter_digests == 3 + 4
    assert any("ForkPoolWorker-3" in note for note in found.notes)
    # A pool that is left ends its workers by force.
    found = compare_traces(one, runs(2, make.process(2), *workers("cd", "ab", end=None)))
    assert (found.divergence, found.gaps) == (None, ())
    found = compare_traces(one, runs(2, make.process(2), *workers("cd", "ab", end=None, lost=2)))
    assert found.divergence is None
    assert any("ForkPoolWorker-1: the trace ends without a last line" in gap for gap in found.gaps)
    found = compare_traces(one, runs(2, make.process(2), *workers("cd", "ax")))
    assert found.divergence is not None
    assert found.divergence.process == "main/ForkPoolWorker"


def test_an_interpreter_that_the_probe_did_not_enter_is_a_gap(make: Make, runs: Any) -> None:
    found = compare_traces(runs(1, make.process(3)), runs(2, make.process(3), unwatched=("python train.py",)))
    assert found.gaps == ("run 2: the probe did not enter python train.py",)
