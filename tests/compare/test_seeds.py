"""The numbers of many seeds under one name each, and what they are held to."""

from __future__ import annotations

import math

import pytest

from auditor.compare import seeds
from auditor.compare.results import Results
from auditor.compare.seeds import MOST_POINTS, Reported, curves_of, gather, hold, references_of, without_seed
from auditor.config import parse_metrics
from auditor.records.config import Settings
from auditor.records.distribution import Margins, Reference
from auditor.records.run import Ending, Isolation, RunRecord
from auditor.records.study import References


def reported(seed, files=None, problems=(), output=None):
    results = {
        path: Results(numbers={leaf: list(series) for leaf, series in leaves.items()})
        for path, leaves in (files or {}).items()
    }
    return Reported(seed, results, output or {}, tuple(problems))


def study(values, path="seed_{seed}/results.json", leaf="rmse"):
    return [reported(seed, {path.format(seed=seed): {leaf: [value]}}) for seed, value in values.items()]


def record(number, seed, status="ok", replicate=1, attempt=1):
    return RunRecord(
        number, seed, (), "local", Isolation("overlay"), None, {}, "", 1.0, Ending(status, 0), (),
        replicate=replicate, attempt=attempt,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("path", "seed", "name"),
    [
        ("seed_3/results.json", 3, "seed_{seed}/results.json"),
        ("runs/seed=03/layer3.json", 3, "runs/seed={seed}/layer3.json"),
        ("Seed3.json", 3, "Seed{seed}.json"),
        ("seed_13/results.json", 3, "seed_13/results.json"),
        ("3/results.json", 3, "{seed}/results.json"),
        ("out-3-v1.3.json", 3, "out-{seed}-v1.3.json"),
        ("results.json", 3, "results.json"),
        ("2026-03-03/3.json", 3, "*/{seed}.json"),
        ("seed_123456789012/r.json", 123456789012, "seed_{seed}/r.json"),
    ],
)
def test_paths_without_their_seed(path, seed, name):
    assert without_seed(path, seed) == name


def test_files_are_found_again_under_every_seed():
    one = gather(study({1: 7.0, 2: 8.0, 11: 9.0}), Settings())
    assert [(metric.name, metric.values) for metric in one.metrics] == [
        ("seed_{seed}/results.json:rmse", {1: 7.0, 2: 8.0, 11: 9.0})
    ]
    # A name that every seed has stays as it is, whatever numbers are in it.
    same = gather(study({1: 7.0, 2: 8.0}, "fold1.json"), Settings())
    assert [metric.name for metric in same.metrics] == ["fold1.json:rmse"]
    dated = [
        reported(1, {"2026-01-01_10-00-00/r.json": {"x": [0.5]}}),
        reported(2, {"2026-01-01_10-05-00/r.json": {"x": [0.25]}}),
    ]
    assert [metric.name for metric in gather(dated, Settings()).metrics] == ["*/r.json:x"]


def test_what_decides_where_nothing_is_declared():
    leaves = {
        "rmse": lambda seed: 7.0 + seed,
        "seed": lambda seed: seed,
        "epochs": lambda seed: 3,
        "seconds": lambda seed: 0.1 * seed,
        "model.noise": lambda seed: seed / 2,
    }
    runs = [
        reported(
            seed, {"results.json": {leaf: [of(seed)] for leaf, of in leaves.items()}, "config.json": {"x": [seed]}}
        )
        for seed in (1, 2, 3)
    ]
    found = gather(runs, Settings(ignore=("*noise",)))
    assert [metric.leaf for metric in found.metrics] == ["rmse"]
    assert [metric.leaf for metric in found.constant] == ["epochs"]
    assert "seconds" in found.notes[0]
    assert [metric.leaf for metric in gather(runs, Settings(ignore=("*noise",), decide=("*seconds",))).metrics] == [
        "rmse",
        "seconds",
    ]


def test_a_seed_without_a_value_is_told():
    runs = [*study({1: 7.0, 2: 8.0}), reported(3)]
    (metric,) = gather(runs, Settings()).metrics
    assert metric.problem == "no value for seed 3"
    _, missing = hold(gather(runs, Settings()), None, Margins())
    assert missing == ("seed_{seed}/results.json:rmse: no value for seed 3",)
    damaged = [*study({1: 7.0, 2: 8.0}), reported(3, problems=["seed_3/results.json: not valid JSON"])]
    assert gather(damaged, Settings()).missing == ("seed 3: seed_3/results.json: not valid JSON",)


def test_declared_metrics():
    settings = Settings(metrics=parse_metrics(["r=*/results.json:rmse", "loss=/loss ([0-9.na]+)/"]))
    runs = [
        reported(
            seed,
            {f"seed_{seed}/results.json": {"rmse": [9.0, 7.0 + seed]}},
            output={"loss": ((3.0, 0.5 * seed), "")},
        )
        for seed in (1, 2)
    ]
    rmse, loss = gather(runs, settings).metrics
    assert (rmse.name, rmse.values, rmse.length) == ("r", {1: 8.0, 2: 9.0}, 2)
    assert loss.values == {1: 0.5, 2: 1.0}
    twice = [reported(1, {"a.json": {"rmse": [1.0]}, "b.json": {"rmse": [2.0]}}, output={"loss": ((1.0,), "")})]
    (ambiguous, _) = gather(twice, Settings(metrics=parse_metrics(["r=rmse", "loss=/x(.)/"]))).metrics
    assert "2 places" in ambiguous.problem
    (absent,) = gather(study({1: 1.0, 2: 2.0}), Settings(metrics=parse_metrics(["r=f1"]))).metrics
    assert absent.problem == "no seed has a value"


def test_numbers_that_json_holds_as_text():
    runs = [
        Reported(1, {"r.json": Results(numbers={"x": [1.0]})}, {}, ()),
        Reported(2, {"r.json": Results(words={"x": ["NaN"]})}, {}, ()),
    ]
    (metric,) = gather(runs, Settings()).metrics
    assert math.isnan(metric.values[2])


def test_too_many_numbers_to_judge_together():
    runs = [
        reported(seed, {"predictions.csv": {str(column): [seed * column] for column in range(2, 60)}})
        for seed in (1, 2, 3)
    ]
    found = gather(runs, Settings())
    assert found.metrics == ()
    assert "58 numbers" in found.missing[0]


FIGURES = References("figures that were given", {"rmse": Reference(7.5, 0.5, 5)})


def test_figures_are_found_by_the_end_of_a_name():
    runs = study({1: 7.0, 2: 8.0, 3: 7.5}, leaf="test.rmse")
    held, missing = hold(gather(runs, Settings(), ("rmse",)), FIGURES, Margins())
    (metric,) = held.values()
    assert metric.reference == "rmse"
    assert metric.held is not None
    assert metric.held.reference.mean == 7.5
    assert missing == ()


def test_a_reference_that_the_runs_have_no_metric_of():
    held, missing = hold(gather(study({1: 7.0, 2: 8.0}, leaf="mae"), Settings(), ("rmse",)), FIGURES, Margins())
    assert held == {}
    assert len(missing) == 1
    assert missing[0].startswith("the reference's rmse: the runs report no such metric")


def test_a_study_as_a_reference():
    earlier, missing = references_of(gather(study({1: 7.0, 2: 8.0, 3: 7.5}), Settings()))
    assert missing == ()
    (reference,) = earlier.values()
    assert (reference.mean, reference.values) == (7.5, (7.0, 8.0, 7.5))
    held, lacking = hold(gather(study({4: 7.1, 5: 7.9}), Settings()), References("a study", earlier), Margins())
    assert lacking == ()
    assert held["seed_{seed}/results.json:rmse"].held is not None
    # Results that were moved elsewhere are known by the last part of their name, where only one has it.
    moved = gather(study({4: 7.1, 5: 7.9}, "results/FD001/seed_{seed}/results.json"), Settings())
    held, lacking = hold(moved, References("a study", earlier), Margins())
    assert lacking == ()
    assert next(iter(held.values())).held is not None


def test_a_reference_with_nan_is_none():
    references, missing = references_of(gather(study({1: 7.0, 2: math.nan, 3: 7.5}), Settings()))
    assert references == {}
    assert missing == ("seed_{seed}/results.json:rmse is not finite for seed 2",)


def test_seeds_that_all_give_one_number_are_held_to_a_reference_that_varied():
    earlier, _ = references_of(gather(study({1: 7.0, 2: 8.0, 3: 7.5}), Settings()))
    held, _ = hold(gather(study({4: 7.5, 5: 7.5, 6: 7.5}), Settings()), References("a study", earlier), Margins())
    assert held["seed_{seed}/results.json:rmse"].held is not None
    alike, _ = references_of(gather(study({1: 7.5, 2: 7.5}), Settings()))
    held, lacking = hold(gather(study({4: 7.5, 5: 7.5}), Settings()), References("a study", alike), Margins())
    assert (held, lacking) == ({}, ())
    held, _ = hold(gather(study({4: 7.6, 5: 7.6}), Settings()), References("a study", alike), Margins())
    assert len(held) == 1


def test_nan_for_every_seed_is_no_constant():
    assert len(gather(study({1: math.nan, 2: math.nan}), Settings()).metrics) == 1


def learning(seeds, points=6, late=0.0):
    """Result files with a loss that falls, another curve for each seed, and with ``late`` higher in its middle."""
    wave = {seed: [5 / (place + 1) + 0.1 * math.sin(7 * seed + place) for place in range(points)] for seed in seeds}
    return [
        reported(
            seed,
            {"r.csv": {"loss": [value + late * (1 < place < points - 1) for place, value in enumerate(curve)]}},
        )
        for seed, curve in wave.items()
    ]


def held_curve(new, old):
    earlier = gather(old, Settings())
    references = References("a study", references_of(earlier)[0], curves=curves_of(earlier))
    held, missing = hold(gather(new, Settings()), references, Margins())
    assert missing == ()
    return held["r.csv:loss"]


def test_a_series_is_held_to_the_reference_as_a_whole_and_by_its_last_value():
    metric = held_curve(learning(range(11, 18), late=2.0), learning(range(1, 8)))
    assert metric.held.calibrated.verdict != "not-reached"  # they end alike
    assert metric.curve.verdict == "not-reached"
    assert metric.curve.first_different == 3.0  # values are counted from one
    assert [point.at for point in metric.curve.points] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    assert held_curve(learning(range(11, 18)), learning(range(1, 8))).curve.verdict != "not-reached"


def test_single_numbers_and_figures_are_no_curves():
    assert curves_of(gather(study({1: 7.0, 2: 8.0}), Settings())) == {}
    new = gather(learning((1, 2, 3)), Settings())
    held, _ = hold(new, References("figures", {"loss": Reference(1.0, 0.1, 5)}), Margins())
    assert held["r.csv:loss"].held is not None and held["r.csv:loss"].curve is None


def test_curves_of_other_lengths_or_with_nan_are_inconclusive():
    longer = held_curve(learning((4, 5, 6), points=7), learning((1, 2, 3)))
    assert longer.curve.verdict == "inconclusive" and "from 6 to 7 values" in longer.curve.reason
    broken = learning((1, 2, 3))
    broken[0].files["r.csv"].numbers["loss"][1] = math.nan
    with_nan = held_curve(learning((4, 5, 6)), broken)
    assert with_nan.curve.verdict == "inconclusive" and "from 0 to 6 values" in with_nan.curve.reason
    named = held_curve(broken, learning((4, 5, 6)))
    assert named.curve.verdict == "inconclusive" and named.curve.unusable == (1,)


def test_a_long_series_is_compared_at_points_that_are_spread_over_it():
    points = held_curve(learning((4, 5, 6), points=1000), learning((1, 2, 3), points=1000)).curve.points
    assert len(points) == MOST_POINTS
    assert (points[0].at, points[-1].at) == (1.0, 1000.0)


def test_which_runs_stand_for_a_seed():
    settings = Settings(seeds=(5, 6, 7, 8), replicates=2, retries=1)
    records = [
        record(1, 5), record(2, 5, replicate=2),
        record(3, 6, "failed"), record(11, 6, attempt=2), record(4, 6, replicate=2),
        record(5, 7, "failed"), record(13, 7, "timeout", attempt=2),
        record(7, 8), record(8, 8, "failed", replicate=2),
    ]  # fmt: skip
    groups, lost, waiting = seeds.group(records, settings)
    assert groups == {5: (1, 2), 6: (11, 4)}
    assert [(one.seed, one.attempts, one.why) for one in lost] == [(7, 2, "ran past its time limit")]
    assert waiting == (8,)
    assert seeds.missing(lost, waiting, swept=False) == (
        "seed 7 ran past its time limit in all of 2 attempts",
        "seed 8: it has not been run",
    )
