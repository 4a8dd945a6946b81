"""Several runs compared: files, metrics, gaps and notes together."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import math
import os
import pickle
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from auditor.compare import replicates
from auditor.compare.artefacts import align
from auditor.records.comparison import ArtefactDifference, Comparison, Metric
from auditor.records.config import MetricRule, Settings
from auditor.records.run import Artefact, Ending
from auditor.records.trace import Streams, Unseen

Make = SimpleNamespace
DEFAULT = Settings()


def artefact(found: Comparison, path: str) -> ArtefactDifference:
    return next(one for one in found.artefacts if one.path == path)


def metric(found: Comparison, name: str) -> Metric:
    return next(one for one in found.metrics if one.name == name)


def files(runs: Any, one: dict[str, Any], two: dict[str, Any], settings: Settings = DEFAULT, **more: Any) -> Comparison:
    return replicates([runs(1, files=one, **more), runs(2, files=two, **more)], settings)


def test_no_run_and_one_run_are_gaps(make: Make, runs: Any) -> None:
    assert replicates([], DEFAULT).gaps
    found = replicates([runs(1, make.process(3))], DEFAULT)
    assert found.gaps
    assert found.unsound
    assert found.handshake


def test_identical_runs_have_nothing_to_say(make: Make, runs: Any) -> None:
    things = {"results.json": '{"rmse": 1.5}', "log.txt": "done", "w.pkl": pickle.dumps(np.ones(3))}
    found = replicates([runs(n, make.process(4), files=things, stdout="x\n") for n in (1, 2)], DEFAULT)
    assert (found.divergences, found.gaps, found.notes, found.unsound) == ((), (), (), ())
    assert found.compared.metrics == 1
    assert found.compared.checkpoint_tensors == 1
    assert found.identical_until == 4
    assert [one.outcome for one in found.artefacts] == ["identical"] * 3


def test_comparing_changes_nothing_and_gives_the_same_twice(make: Make, runs: Any) -> None:
    evidence = [runs(n, make.process(4), files={"r.json": f'{{"a": {n}}}'}) for n in (1, 2, 3)]
    assert replicates(evidence, DEFAULT) == replicates(evidence, DEFAULT)


# -- result files -----------------------------------------------------------------------------------------------


def test_a_number_that_differs_is_a_divergence_of_its_metric(runs: Any) -> None:
    found = files(runs, {"r.json": '{"test": {"rmse": 1.5}}'}, {"r.json": '{"test": {"rmse": 1.25}}'})
    (divergence,) = found.divergences
    assert (divergence.link, divergence.step, divergence.quantity) == ("metric", None, "r.json:test.rmse")
    assert divergence.max_abs_difference == 0.25
    assert "1.5 in run 1, 1.25 in run 2" in divergence.reason
    assert artefact(found, "r.json").outcome == "differs"


def test_key_order_and_layout_do_not_count(runs: Any) -> None:
    found = files(runs, {"r.json": '{"a": 1, "b": 2.0}'}, {"r.json": '{\n "b": 2.00,\n "a": 1\n}'})
    assert (found.divergences, found.gaps) == ((), ())
    assert artefact(found, "r.json").outcome == "identical"
    assert found.compared.metrics == 2


def test_negative_zero_differs_and_nan_does_not(runs: Any) -> None:
    found = files(runs, {"r.json": '{"z": 0.0, "n": NaN}'}, {"r.json": '{"z": -0.0, "n": NaN}'})
    assert not metric(found, "r.json:z").identical
    assert metric(found, "r.json:z").max_abs_difference == 0.0
    assert metric(found, "r.json:n").identical
    assert metric(found, "r.json:n").values == (("nan",), ("nan",))
    (divergence,) = found.divergences
    assert "-0.0 in run 2" in divergence.reason


def test_times_are_volatile_only_if_they_differ_and_always_listed(runs: Any) -> None:
    found = files(runs, {"r.json": '{"rmse": 1, "seconds": 3.5}'}, {"r.json": '{"rmse": 1, "seconds": 4.5}'})
    assert found.divergences == ()
    assert "seconds" in metric(found, "r.json:seconds").volatile
    assert found.compared.metrics == 1
    one = artefact(found, "r.json")
    assert one.outcome == "volatile"
    assert "r.json:seconds" in one.detail
    equal = files(runs, {"r.json": '{"seconds": 3.5}'}, {"r.json": '{"seconds":  3.5}'})
    assert metric(equal, "r.json:seconds").volatile == ""


def test_the_user_overrules_what_is_volatile(runs: Any) -> None:
    one, two = {"r.json": '{"seconds": 3.5, "rmse": 1}'}, {"r.json": '{"seconds": 4.5, "rmse": 2}'}
    decided = files(runs, one, two, Settings(decide=("*seconds",), ignore=("r.json:rmse",)))
    assert [d.quantity for d in decided.divergences] == ["r.json:seconds"]
    assert metric(decided, "r.json:rmse").volatile == "ignored by the user"
    ignored = files(runs, one, two, Settings(ignore=("r.json",)))
    assert ignored.divergences == ()
    assert ignored.compared.metrics == 0
    assert artefact(ignored, "r.json").outcome == "volatile"
    assert artefact(ignored, "r.json").detail == "ignored by the user"


def test_texts_that_differ_are_listed_and_truth_values_decide(runs: Any) -> None:
    found = files(runs, {"r.json": '{"run": "a", "ok": true}'}, {"r.json": '{"run": "b", "ok": true}'})
    assert found.divergences == ()
    assert "1 text differs" in artefact(found, "r.json").detail
    found = files(runs, {"r.json": '{"ok": true}'}, {"r.json": '{"ok": false}'})
    assert [d.quantity for d in found.divergences] == ["r.json:ok"]
    decided = files(runs, {"r.json": '{"run": "a"}'}, {"r.json": '{"run": "b"}'}, Settings(decide=("r.json:run",)))
    assert [d.quantity for d in decided.divergences] == ["r.json:run"]


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("r.json", '{"a": 1, "b": 2}', '{"a": 1}'),
        ("r.json", '{"a": 1}', '{"a": 1, "b": 2}'),
        ("r.json", '{"a": 1}', '{"a": null}'),
        ("r.jsonl", '{"a": 1}\n{"a": 2}\n', '{"a": 1}\n'),
        ("r.csv", "a\n1\n2\n", "a\n1\n"),
        ("r.csv", "a,b\n1,\n2,5\n", "a,b\n1,5\n2,\n"),
        ("r.json", '{"a": 1}', '{"a": '),
        ("r.json", '{"a": 1}', ""),
        ("r.csv", "a\n1\n", "\xff\xfe".encode("latin-1")),
    ],
)
def test_another_structure_is_a_gap_and_no_pass(runs: Any, name: str, one: str, two: str | bytes) -> None:
    found = files(runs, {name: one}, {name: two})
    assert found.divergences == ()
    assert found.gaps
    assert found.unsound
    assert artefact(found, name).outcome == "undecided"


def test_a_result_file_that_cannot_be_read_but_is_identical_is_no_gap_and_no_evidence(runs: Any) -> None:
    found = files(runs, {"r.json": "{"}, {"r.json": "{"})
    assert (found.gaps, found.compared.metrics) == ((), 0)
    assert artefact(found, "r.json").outcome == "identical"


def test_the_configuration_repeated_is_no_evidence_but_decides(runs: Any) -> None:
    same = files(runs, {"config.json": '{"lr": 0.1}'}, {"config.json": '{"lr": 0.1}'})
    assert same.compared.metrics == 0
    other = files(runs, {"config.json": '{"lr": 0.1}'}, {"config.json": '{"lr": 0.2}'})
    assert len(other.divergences) == 1


def test_series_keep_their_order(runs: Any) -> None:
    found = files(runs, {"h.csv": "epoch,loss\n1,0.5\n2,0.25\n"}, {"h.csv": "epoch,loss\n1,0.5\n2,0.75\n"})
    loss = metric(found, "h.csv:loss")
    assert loss.values == ((0.5, 0.25), (0.5, 0.75))
    assert loss.max_abs_difference == 0.5
    assert metric(found, "h.csv:epoch").identical


def test_long_series_and_many_numbers_are_compared_whole_but_listed_short(runs: Any) -> None:
    long = [0.5] * 5000
    one = {"h.csv": "loss\n" + "\n".join(map(str, long)), "many.json": json.dumps(list(range(2000)))}
    long[10] = 0.75
    two = {"h.csv": "loss\n" + "\n".join(map(str, long)), "many.json": json.dumps(list(range(2000)), indent=1)}
    found = files(runs, one, two)
    assert len(metric(found, "h.csv:loss").values[0]) == 1000
    assert metric(found, "h.csv:loss").max_abs_difference == 0.25
    assert len([m for m in found.metrics if m.source == "many.json"]) == 500
    assert any("1500 more" in note for note in found.notes)
    assert found.compared.metrics == 2001


def test_integers_beyond_a_double_are_compared_exactly(runs: Any) -> None:
    found = files(runs, {"r.json": f'{{"n": {2**60}}}'}, {"r.json": f'{{"n": {2**60 + 1}}}'})
    assert metric(found, "r.json:n").values == ((float(2**60),), (str(2**60 + 1),))
    assert metric(found, "r.json:n").max_abs_difference == 1.0
    assert len(found.divergences) == 1


def test_event_files_are_aligned_by_their_directory_and_named_without_clock(runs: Any) -> None:
    from tests.compare.test_results import event, scalar  # type: ignore[import-not-found]  # beside this file

    one = {"tb/events.out.tfevents.1714550000.host.11.0": event(1, "loss", scalar(0.5))}
    two = {"tb/events.out.tfevents.1714550050.host.12.0": event(1, "loss", scalar(0.25), wall=9.0)}
    found = files(runs, one, two)
    assert [d.quantity for d in found.divergences] == ["tb/events.out.tfevents.*:loss"]
    moved = {"tb/events.out.tfevents.1714550050.host.12.0": event(2, "loss", scalar(0.5))}
    assert any("other rows or steps" in gap for gap in files(runs, one, moved).gaps)
    cut = {"tb/events.out.tfevents.1714550050.host.12.0": event(1, "loss", scalar(0.5))[:-1]}
    assert any("truncated" in gap for gap in files(runs, one, cut).gaps)


# -- checkpoints and other files --------------------------------------------------------------------------------


def test_checkpoints_that_differ_are_a_divergence_even_if_every_digit_agrees(make: Make, runs: Any) -> None:
    results = '{"rmse": 1.5}'
    weights = np.ones(3)
    other = weights.copy()
    other[1] = np.nextafter(1.0, 2.0)
    found = replicates(
        [
            runs(1, make.process(3), files={"w.npy": npy(weights), "r.json": results}),
            runs(2, make.process(3), files={"w.npy": npy(other), "r.json": results}),
        ],
        DEFAULT,
    )
    (divergence,) = found.divergences
    assert (divergence.link, divergence.quantity) == ("checkpoint", "w.npy:the array")
    assert divergence.max_abs_difference == pytest.approx(2.2e-16, rel=0.1)
    assert divergence.last_identical_step == 3


def npy(values: Any) -> bytes:
    import io

    stream = io.BytesIO()
    np.save(stream, values)
    return stream.getvalue()


def test_the_trace_comes_before_files_and_metrics(make: Make, runs: Any) -> None:
    steps = (make.step(1), make.step(2, parameters="0" * 16))
    found = replicates(
        [
            runs(1, make.process(2), files={"r.json": '{"a": 1}'}),
            runs(2, make.process(steps), files={"r.json": '{"a": 2}'}),
        ],
        DEFAULT,
    )
    assert [(d.link, d.step) for d in found.divergences] == [("parameters", 2)]


def test_an_unreadable_model_that_differs_is_undecided(runs: Any) -> None:
    for name in ("model.onnx", "model.h5", "model.txt", "weights.pt", "x.joblib", "booster"):
        found = files(runs, {name: b"\x01one"}, {name: b"\x01two"})
        assert artefact(found, name).outcome == "undecided", name
        assert any(name in gap for gap in found.gaps)
        assert found.unsound == ()
        same = files(runs, {name: b"\x01one"}, {name: b"\x01one"})
        assert (same.gaps, same.compared.checkpoint_tensors) == ((), 0)


def test_the_user_can_let_bytes_decide(runs: Any) -> None:
    found = files(runs, {"m.onnx": b"one"}, {"m.onnx": b"two"}, Settings(decide=("*.onnx",)))
    assert [(d.link, d.quantity) for d in found.divergences] == [("checkpoint", "m.onnx:its bytes")]
    same = files(runs, {"m.onnx": b"one"}, {"m.onnx": b"one"}, Settings(decide=("*.onnx",)))
    assert same.compared.checkpoint_tensors == 1


def test_logs_that_differ_are_volatile(runs: Any) -> None:
    found = files(runs, {"train.log": "10:00 a", "plot.png": b"1"}, {"train.log": "10:01 a", "plot.png": b"2"})
    assert (found.gaps, found.divergences) == ((), ())
    assert [one.outcome for one in found.artefacts] == ["volatile", "volatile"]
    assert all(one.detail for one in found.artefacts)


@pytest.mark.parametrize(("name", "gap"), [("w.npy", True), ("r.json", True), ("a.log", False), ("m.onnx", True)])
def test_a_file_in_one_run_only(runs: Any, name: str, gap: bool) -> None:
    data = npy(np.ones(2)) if name == "w.npy" else b'{"a": 1}'
    for one, two in (({name: data}, {}), ({}, {name: data})):
        found = files(runs, one, two)
        assert artefact(found, name).outcome == "missing"
        assert bool(found.gaps) == gap
        assert bool(found.unsound) == (name == "r.json")


def test_evidence_that_was_tampered_with_is_a_gap(runs: Any) -> None:
    one, two = runs(1, files={"r.json": '{"a": 1}'}), runs(2, files={"r.json": '{"a": 1}'})
    (two.artefacts_root / "r.json").write_text('{"a": 1, "b": 2}')
    assert any("damaged" in gap for gap in replicates([one, two], DEFAULT).gaps)
    (two.artefacts_root / "r.json").unlink()
    assert any("missing from the evidence" in gap for gap in replicates([one, two], DEFAULT).gaps)
    outside = msgspec.structs.replace(
        two, run=msgspec.structs.replace(two.run, artefacts=(Artefact("../../x.json", 1, "0"),))
    )
    found = replicates([outside, outside], DEFAULT)
    assert any("outside" in gap or "leads out" in gap for gap in found.gaps)


def test_files_only_hashed_are_equal_by_hash_and_undecided_otherwise(runs: Any) -> None:
    def hashed(number: int, digest: str) -> Any:
        evidence = runs(number, files={})
        kept = (Artefact("big.pt", 9, digest),)
        run = msgspec.structs.replace(evidence.run, artefacts=kept, unsaved=("big.pt: hashed only, too large",))
        return msgspec.structs.replace(evidence, run=run)

    same = replicates([hashed(1, "a" * 64), hashed(2, "a" * 64)], DEFAULT)
    assert (same.gaps, artefact(same, "big.pt").outcome) == ((), "identical")
    assert same.compared.checkpoint_tensors == 0
    other = replicates([hashed(1, "a" * 64), hashed(2, "b" * 64)], DEFAULT)
    assert artefact(other, "big.pt").outcome == "undecided"
    assert other.gaps


def test_alignment() -> None:
    def listed(*paths: str) -> list[Artefact]:
        return [Artefact(path, 1, path) for path in paths]

    def pairs(one: list[Artefact], two: list[Artefact]) -> list[tuple[str | None, str | None, bool]]:
        return [(p.first and p.first.path, p.second and p.second.path, p.guess) for p in align(one, two)]

    assert pairs(listed("a", "b"), listed("b", "c")) == [("a", None, False), ("b", "b", False), (None, "c", False)]
    assert pairs(listed("2024-01-01/a"), listed("2024-01-02/a")) == [("2024-01-01/a", "2024-01-02/a", False)]
    assert pairs(listed("log_12345"), listed("log_54321")) == [("log_12345", "log_54321", True)]
    assert pairs(listed("ck_1.pt"), listed("ck_2.pt")) == [("ck_1.pt", None, False), (None, "ck_2.pt", False)]
    tokens = pairs(listed("0a1b2c3d", "1a1b2c3d"), listed("2a1b2c3d", "3a1b2c3d"))
    assert [guess for _, _, guess in tokens] == [True, True]
    assert pairs(listed("0a1b2c3d"), listed("2a1b2c3d"))[0][2] is False
    several = pairs(listed("2024-01-01/a", "2024-01-02/a"), listed("2024-02-01/a", "2024-02-02/a"))
    assert not any(guess for _, _, guess in several)
    assert [(one, two) for one, two, _ in several] == [
        ("2024-01-01/a", "2024-02-01/a"),
        ("2024-01-02/a", "2024-02-02/a"),
    ]


def test_a_difference_between_files_paired_by_guess_proves_nothing(runs: Any) -> None:
    found = files(runs, {"w_12345.npy": npy(np.ones(2))}, {"w_54321.npy": npy(np.zeros(2))})
    assert found.divergences == ()
    assert any("may not be the same file" in gap for gap in found.gaps)
    found = files(runs, {"r_12345.json": '{"a": 1}'}, {"r_54321.json": '{"a": 2}'})
    assert found.divergences == ()
    assert any("may not be the same" in gap for gap in found.gaps)


# -- declared metrics -------------------------------------------------------------------------------------------


def declared(pattern: str, source: str = "file", **more: Any) -> Settings:
    return Settings(metrics=(MetricRule("rmse", source, pattern),), **more)


@pytest.mark.parametrize(
    "pattern", ["test.rmse", "results.json:test.rmse", "seed_*/results.json:test.rmse", "*:test.*"]
)
def test_a_metric_declared_by_file(runs: Any, pattern: str) -> None:
    things = {"seed_1/results.json": '{"test": {"rmse": 1.5}, "train": {"rmse": 1}}'}
    found = files(runs, things, things, declared(pattern, tolerances={"rmse": 0.5}))
    one = metric(found, "rmse")
    assert (one.declared, one.values, one.identical, one.tolerance) == (True, ((1.5,), (1.5,)), True, 0.5)
    assert not any(m.name == "seed_1/results.json:test.rmse" for m in found.metrics)
    assert any(m.name == "seed_1/results.json:train.rmse" for m in found.metrics)


def test_a_declared_metric_is_never_volatile(runs: Any) -> None:
    found = files(runs, {"r.json": '{"time": 1}'}, {"r.json": '{"time": 2}'}, declared("time", ignore=("*",)))
    assert metric(found, "rmse").volatile == ""
    assert [d.quantity for d in found.divergences] == ["rmse"]


def test_a_metric_from_output_counts_every_match_in_order(runs: Any) -> None:
    settings = declared(r"rmse (\S+)", "output")
    one, two = runs(1, stdout="10%\rrmse 1.5\r\nx rmse 2,\n"), runs(2, stdout="rmse 1.5\nrmse 2.5\n")
    found = replicates([one, two], settings)
    assert metric(found, "rmse").values == ((1.5, 2.0), (1.5, 2.5))
    assert [d.quantity for d in found.divergences] == ["rmse"]
    on_stderr = replicates([runs(1, stderr="rmse 3\n"), runs(2, stderr="rmse 3\n")], settings)
    assert metric(on_stderr, "rmse").values == ((3.0,), (3.0,))


def test_the_order_in_which_ranks_print_is_no_evidence(make: Make, runs: Any) -> None:
    settings = declared(r"rmse (\S+)", "output")
    ranks = [make.process(2, role=f"rank {n}") for n in range(2)]
    one, two = runs(1, *ranks, stdout="rmse 1\nrmse 2\n"), runs(2, *ranks, stdout="rmse 2\nrmse 1\n")
    assert metric(replicates([one, two], settings), "rmse").identical
    single = [runs(1, ranks[0], stdout="rmse 1\nrmse 2\n"), runs(2, ranks[0], stdout="rmse 2\nrmse 1\n")]
    assert not metric(replicates(single, settings), "rmse").identical


def test_a_metric_that_matches_nothing_says_what_there_is(runs: Any) -> None:
    things = {"results.json": '{"test": {"rmse": 1.5}}'}
    found = files(runs, things, things, declared("test.rsme"))
    (gap,) = [gap for gap in found.gaps if gap.startswith("metric rmse")]
    assert "results.json:test.rmse" in gap
    assert gap in found.unsound
    assert "no run wrote a result file" in files(runs, {}, {}, declared("a")).gaps[-1]
    nothing = replicates([runs(1, stdout="x"), runs(2, stdout="x")], declared(r"rmse (\S+)", "output"))
    assert any("matches nothing in the output" in gap for gap in nothing.gaps)


def test_a_metric_found_differently_often_is_a_gap(runs: Any) -> None:
    found = replicates(
        [runs(1, stdout="rmse 1\nrmse 2\n"), runs(2, stdout="rmse 1\n")], declared(r"rmse (\S+)", "output")
    )
    assert found.divergences == ()
    assert any("2 times in run 1, 1 times in run 2" in gap for gap in found.gaps)


def test_a_metric_that_is_no_number_is_a_gap(runs: Any) -> None:
    found = replicates([runs(n, stdout="rmse high\n") for n in (1, 2)], declared(r"rmse (\S+)", "output"))
    assert any("no number" in gap and "high" in gap for gap in found.gaps)


def test_tolerances_by_name_leaf_pattern_and_star(runs: Any) -> None:
    things = {"r.json": '{"a": 1, "b": 1, "test": {"c": 1}, "d": 1}'}
    settings = Settings(tolerances={"r.json:a": 1.0, "b": 2.0, "test.*": 3.0, "*": 4.0})
    found = files(runs, things, things, settings)
    assert [metric(found, f"r.json:{name}").tolerance for name in ("a", "b", "test.c", "d")] == [1.0, 2.0, 3.0, 4.0]
    assert metric(files(runs, things, things), "r.json:a").tolerance == 0.01


# -- runs together ----------------------------------------------------------------------------------------------


def test_every_replicate_is_compared_with_the_first(make: Make, runs: Any) -> None:
    values = ["1.0", "1.0", "1.5", "0.75"]
    evidence = [runs(n, make.process(3), files={"r.json": f'{{"a": {v}}}'}) for n, v in enumerate(values, 1)]
    found = replicates(evidence, Settings(replicates=4))
    assert [d.runs for d in found.divergences] == [(1, 3), (1, 4)]
    assert metric(found, "r.json:a").max_abs_difference == 0.75
    assert metric(found, "r.json:a").values == ((1.0,), (1.0,), (1.5,), (0.75,))
    assert found.compared.steps == 3
    assert artefact(found, "r.json").detail.startswith("run 3")


def test_a_replicate_that_is_not_there_is_a_gap(make: Make, runs: Any) -> None:
    found = replicates([runs(1, make.process(3)), runs(2, make.process(3))], Settings(replicates=3))
    assert "2 of 3 runs are there" in found.gaps


def test_random_streams_decide_only_where_there_is_nothing_else(make: Make, runs: Any) -> None:
    def process(state: str) -> Any:
        return make.process(0, streams=Streams({"numpy": state * 16}, {"numpy": True}))

    alone = replicates([runs(1, process("0")), runs(2, process("1"))], DEFAULT)
    assert [(d.link, d.quantity) for d in alone.divergences] == [("streams", "numpy")]
    results = {"r.json": '{"a": 1}'}
    agreeing = replicates([runs(1, process("0"), files=results), runs(2, process("1"), files=results)], DEFAULT)
    assert agreeing.divergences == ()
    assert any("random streams" in gap for gap in agreeing.gaps)
    same = replicates([runs(1, process("0")), runs(2, process("0"))], DEFAULT)
    assert (same.divergences, same.gaps, same.compared.drawn_streams) == ((), (), 1)


def test_no_trace_means_no_handshake(make: Make, runs: Any) -> None:
    assert not replicates([runs(1), runs(2)], DEFAULT).handshake
    half = replicates([runs(1, make.process(3)), runs(2)], DEFAULT)
    assert not half.handshake
    assert half.gaps


def test_output_that_differs_is_noted_where_the_results_agree(make: Make, runs: Any) -> None:
    one, two = runs(1, make.process(3), stdout="a\nsum 1.0\n"), runs(2, make.process(3), stdout="a\nsum 1.1\n")
    (note,) = replicates([one, two], DEFAULT).notes
    assert "line 2" in note


def test_a_failed_run_is_a_gap(make: Make, runs: Any) -> None:
    two = runs(2, make.process(3), ending=Ending("failed", 1))
    found = replicates([runs(1, make.process(3)), two], DEFAULT)
    assert any("run 2 failed" in gap for gap in found.gaps)


@pytest.mark.parametrize("value", [1.0, math.nan, math.inf])
def test_what_is_compared_can_be_written_and_read_back(runs: Any, value: float) -> None:
    found = files(runs, {"r.json": json.dumps({"a": value})}, {"r.json": '{"a": 2.5}'})
    assert msgspec.json.decode(msgspec.json.encode(found), type=Comparison) == found


def test_what_could_not_be_read_is_a_gap_unless_the_checkpoints_hold_it(make: Make, runs: Any) -> None:
    def found(*weights: Any) -> Comparison:
        trace = make.process(3, unseen=(Unseen(what="the final parameters of optimizer 0 (SGD)", step=3),))
        things = [{} if one is None else {"w.pkl": pickle.dumps(one)} for one in weights]
        return replicates([runs(n, trace, files=one) for n, one in enumerate(things, 1)], DEFAULT)

    said = "run 1, main: the final parameters of optimizer 0 (SGD) could not be read"
    assert said in found(None, None).gaps
    assert said in found(np.ones(3), np.zeros(3)).gaps
    agreeing = found(np.ones(3), np.ones(3))
    assert agreeing.gaps == ()
    assert said in agreeing.notes


@pytest.mark.parametrize(
    ("one", "two", "delta"),
    [
        ('{"n": 50, "accuracy": "0.75"}', '{"n": 50, "accuracy": "0.5"}', 0.25),
        ('{"n": 50, "accuracy": "tensor(0.75, dtype=torch.float64)"}', '{"n": 50, "accuracy": "tensor(0.5)"}', 0.25),
        ('{"n": 50, "accuracy": " 75 %"}', '{"n": 50, "accuracy": "50 %"}', 25.0),
    ],
)
def test_a_number_that_is_held_as_text_decides(runs: Any, one: str, two: str, delta: float) -> None:
    found = files(runs, {"results.json": one}, {"results.json": two})
    assert [(d.link, d.quantity) for d in found.divergences] == [("metric", "results.json:accuracy")]
    assert metric(found, "results.json:accuracy").max_abs_difference == delta
    assert artefact(found, "results.json").outcome == "differs"


@pytest.mark.parametrize(
    ("name", "one", "two"),
    [
        ("predictions.csv", "id,label\n1,cat\n2,dog\n", "id,label\n1,cat\n2,cat\n"),
        ("selection.json", '{"best": "svm", "n": 3}', '{"best": "knn", "n": 3}'),
        ("samples.jsonl", '{"n": 1, "text": "a b"}\n', '{"n": 1, "text": "a c"}\n'),
        ("saved.json", '{"n": 1, "weights_sha256": "4e1f0a2b9c"}', '{"n": 1, "weights_sha256": "77ab01cd2f"}'),
        ("said.json", '{"n": 1, "text": "1234 and/or 2"}', '{"n": 1, "text": "5678 and/or 2"}'),
        ("spread.json", '{"n": 1, "f1": "0.80526556401 ± 0.02"}', '{"n": 1, "f1": "0.40698362174 ± 0.02"}'),
        ("small.json", '{"n": 1, "loss": "at 1.2345678e-05"}', '{"n": 1, "loss": "at 1.9876543e-05"}'),
        ("count.json", '{"n": 1, "correct": "8123/10000"}', '{"n": 1, "correct": "8345/10000"}'),
        ("top.json", '{"n": 1, "said": "top1:62.5 top5:75.2"}', '{"n": 1, "said": "top1:62.5 top5:35.2"}'),
        ("word.json", '{"n": 1, "best": "Decoder 12"}', '{"n": 1, "best": "Decoder 15"}'),
        ("seen.json", '{"n": 1, "report": "tokens=1345678901"}', '{"n": 1, "report": "tokens=2345678901"}'),
        ("best.json", '{"n": 1, "best": "/tmp/a1b2/checkpoint-1500"}', '{"n": 1, "best": "/tmp/c3d4/checkpoint-2000"}'),
        ("step.json", '{"n": 1, "best": "out/step-1500"}', '{"n": 1, "best": "out/step-2000"}'),
        ("day.json", '{"n": 1, "predicted_day": "2026-01-02"}', '{"n": 1, "predicted_day": "2026-03-04"}'),
        ("won.json", '{"n": 1, "score": "3:12"}', '{"n": 1, "score": "2:14"}'),
        ("kept.json", '{"n": 1, "kept": ["a", "b"]}', '{"n": 1, "kept": ["a"]}'),
    ],
)
def test_texts_that_may_be_results_are_a_gap_where_they_differ(runs: Any, name: str, one: str, two: str) -> None:
    found = files(runs, {name: one}, {name: two})
    assert found.gaps and all("texts differ" in gap or "not in run" in gap for gap in found.gaps)
    assert artefact(found, name).outcome == "undecided"
    ignored = files(runs, {name: one}, {name: two}, Settings(ignore=(name,)))
    assert not ignored.gaps
    assert not files(runs, {name: one}, {name: one}).gaps


def test_texts_in_a_checkpoint_are_a_gap_where_they_may_be_results(runs: Any) -> None:
    def found(**texts: tuple[object, object]) -> Comparison:
        one, two = ({"w": np.ones(3)} | {name: pair[at] for name, pair in texts.items()} for at in (0, 1))
        return files(runs, {"out.pkl": pickle.dumps(one)}, {"out.pkl": pickle.dumps(two)})

    assert found(labels=(["cat", "dog"], ["cat", "cat"])).gaps
    assert found(best=("svm", None)).gaps
    assert not found(date=("2026-01-02", "2026-01-03"), run_id=("a1", "b2")).gaps
    assert not found(path=("/tmp/tmpab12cd34/w.pt", "/tmp/tmpzz98yy76/w.pt")).gaps


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ('{"n": 1, "started_at": "a"}', '{"n": 1, "started_at": "b"}'),
        ('{"n": 1, "done": "2026-01-02T03:04:05"}', '{"n": 1, "done": "2026-01-02T03:04:17"}'),
        ('{"n": 1, "out": "/tmp/tmpab12cd34/model.pt"}', '{"n": 1, "out": "/tmp/tmpzz98yy76/model.pt"}'),
        ('{"n": 1, "run_name": "brave-elephant"}', '{"n": 1, "run_name": "quiet-otter"}'),
        ('{"n": 1, "by": "4e1f0a2b9c"}', '{"n": 1, "by": "77ab01cd2f"}'),
        ('{"n": 1, "took": "0:00:07"}', '{"n": 1, "took": "0:00:09"}'),
    ],
)
def test_texts_that_vary_from_run_to_run_are_none(runs: Any, one: str, two: str) -> None:
    found = files(runs, {"r.json": one}, {"r.json": two})
    assert not found.gaps
    assert artefact(found, "r.json").outcome == "volatile"


def test_texts_that_spell_numbers_are_no_evidence_where_equal_and_volatile_by_name(runs: Any) -> None:
    one = {"r.json": '{"version": "2", "time_taken": "1.5", "when": "2024-05-01"}'}
    two = {"r.json": '{"version": "2", "time_taken": "1.7", "when": "2024-05-02"}'}
    found = files(runs, one, two)
    assert found.divergences == ()
    assert found.compared.metrics == 0
    assert metric(found, "r.json:time_taken").volatile


def test_a_number_that_is_text_in_one_run_and_none_in_the_other_is_a_gap(runs: Any) -> None:
    found = files(runs, {"r.json": '{"a": 1, "b": "0.5"}'}, {"r.json": '{"a": 1, "b": "failed"}'})
    assert found.gaps == ("r.json:b: it is not in run 2",)


def test_a_declared_metric_may_be_held_as_text(runs: Any) -> None:
    settings = Settings(metrics=(MetricRule(name="acc", source="file", pattern="r.json:acc"),))
    found = files(runs, {"r.json": '{"acc": "0.5"}'}, {"r.json": '{"acc": "0.5"}'}, settings)
    assert found.gaps == ()
    assert metric(found, "acc").identical


def test_a_table_of_tensors_is_a_table_of_numbers(runs: Any) -> None:
    found = files(runs, {"t.csv": "epoch,loss\n1,tensor(0.75)\n"}, {"t.csv": "epoch,loss\n1,tensor(0.5)\n"})
    assert [d.quantity for d in found.divergences] == ["t.csv:loss"]


@pytest.mark.parametrize(
    ("suffix", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress), ("GZ", gzip.compress)]
)
def test_what_is_packed_is_looked_into(runs: Any, suffix: str, pack: Any) -> None:
    def found(*texts: bytes, name: str) -> Comparison:
        return files(runs, {f"{name}.{suffix}": pack(texts[0])}, {f"{name}.{suffix}": pack(texts[1])})

    agree = found(b'{"a": 1}', b'{"a":  1}', name="results.json")
    assert (agree.divergences, agree.gaps, agree.compared.metrics) == ((), (), 1)
    assert [d.link for d in found(b'{"a": 1}', b'{"a": 2}', name="results.json").divergences] == ["metric"]
    assert [d.link for d in found(b"a\n1\n", b"a\n2\n", name="preds.csv").divergences] == ["metric"]
    one, two = (pickle.dumps(np.full(3, value)) for value in (1.0, 2.0))
    assert [d.link for d in found(one, two, name="model.pkl").divergences] == ["checkpoint"]
    assert found(b"x", b"y", name="vectors.tar").gaps
    assert found(b"x", b"y", name="train.log").gaps == ()


def test_a_packed_result_file_that_is_damaged_is_a_gap(runs: Any) -> None:
    whole = gzip.compress(b'{"a": 1}')
    found = files(runs, {"results.json.gz": whole}, {"results.json.gz": whole[:-6]})
    assert any("cannot be read in run 2" in gap for gap in found.gaps)


def test_the_same_packed_at_another_time_is_the_same(runs: Any) -> None:
    one, two = gzip.compress(b"x" * 99, mtime=1), gzip.compress(b"x" * 99, mtime=2)
    found = files(runs, {"data.tar.gz": one, "data.tar.zst": "a"}, {"data.tar.gz": two, "data.tar.zst": "b"})
    assert [gap.partition(":")[0] for gap in found.gaps] == ["data.tar.zst"]


@pytest.mark.parametrize(
    ("name", "one", "two", "gap"),
    [
        ("results.yaml", "accuracy: 0.75\n", "accuracy: 0.5\n", True),
        ("results.yml", "accuracy: 0.8052655640101304\n", "accuracy: 0.4069836217414553\n", True),
        ("metrics.md", "top5:75.2\n", "top5:35.2\n", True),
        ("results.tex", "0.75 & 2", "0.5 & 2", True),
        ("results.zip", "PK\0a", "PK\0b", True),
        ("metrics.txt", "accuracy: 0.75\ntime: 3.5\n", "accuracy: 0.75\ntime: 3.7\n", False),
        ("eval.toml", "[a]\nx = 1\n# 2024-05-01 10:20:30\n", "[a]\nx = 1\n# 2024-05-01 10:20:31\n", False),
        ("scores.xml", "<a>1</a>", "<a>2</a>", True),
        ("results.db", "\0a", "\0b", True),
        ("words.vec", "1 2\na 1 2\n", "1 2\na 1 3\n", True),
        ("notes.txt", "loss 1", "loss 2", False),
        ("mlflow.db", "\0a", "\0b", False),
        ("results.log", "loss 1", "loss 2", False),
    ],
)
def test_results_in_a_format_that_is_not_read_are_undecided(
    runs: Any, name: str, one: str, two: str, gap: bool
) -> None:
    found = files(runs, {name: one}, {name: two})
    assert bool(found.gaps) is gap
    assert found.divergences == ()


@pytest.mark.parametrize(("helper", "said"), [(0, 1), (2, 0)])
def test_another_order_of_printed_values_is_no_agreement_unless_several_processes_train(
    make: Make, runs: Any, helper: int, said: int
) -> None:
    settings = Settings(metrics=(MetricRule(name="last", source="output", pattern="loss ([0-9.]+)"),))
    traces = (make.process(2), make.process(helper, role="helper.py"))
    found = replicates(
        [runs(1, *traces, stdout="loss 1.0\nloss 2.0\n"), runs(2, *traces, stdout="loss 2.0\nloss 1.0\n")], settings
    )
    assert found.divergences == ()
    assert sum("in another order" in gap for gap in found.gaps) == said


def test_an_output_that_is_a_pipe_is_not_waited_for(make: Make, runs: Any) -> None:
    settings = Settings(metrics=(MetricRule(name="loss", source="output", pattern="loss ([0-9.]+)"),))
    evidence = [runs(n, make.process(2), stdout="loss 1.0\n") for n in (1, 2)]
    evidence[1].stdout.unlink()
    os.mkfifo(evidence[1].stdout)
    assert any("cannot be read" in gap for gap in replicates(evidence, settings).gaps)
