import math

import pytest

from auditor.records.distribution import Margins, MetricSeeds
from auditor.statistics.reproduction import hold
from auditor.statistics.summaries import reference_of
from auditor.verdict import judge_distribution

# Thirty values that look normal, with mean 0 and std 1 or so.
GRID = [math.tan((index - 14.5) / 15.5) * 0.9 for index in range(30)]


def metric(name: str, shift: float = 0.0, n: int = 30, extra: tuple[float, ...] = ()) -> MetricSeeds:
    values = [value + shift for value in GRID][:: 30 // n] + list(extra)
    return hold(name, dict(enumerate(values)), reference_of(GRID), Margins(), 0)


def test_it_is_reached_where_every_metric_is() -> None:
    level = judge_distribution([metric("rmse"), metric("mae", 0.01)], [])
    assert level.verdict == "reached"
    assert level.measured["metrics"] == level.measured["reached"] == 2.0


def test_one_metric_that_differs_decides_and_is_named() -> None:
    level = judge_distribution([metric("rmse"), metric("mae", 5.0)], [])
    assert level.verdict == "not-reached" and "mae" in level.reason


@pytest.mark.parametrize("missing", [[4], [4, 7], ["seed 4: its run ended with exit code 1"]])
def test_a_missing_seed_is_named_and_never_helps_a_pass(missing: list[int | str]) -> None:
    level = judge_distribution([metric("rmse")], missing)
    assert level.verdict == "inconclusive" and "seed 4" in level.reason
    assert judge_distribution([metric("rmse", 5.0)], missing).verdict == "not-reached"


def test_a_seed_whose_metric_is_nan_is_named_and_never_helps_a_pass() -> None:
    level = judge_distribution([metric("rmse"), metric("mae", extra=(math.nan,))], [])
    assert level.verdict == "inconclusive" and "mae" in level.reason and "30" in level.reason


def test_nothing_to_judge_is_inconclusive() -> None:
    assert judge_distribution([], []).verdict == "inconclusive"


def test_a_constant_repeats_the_configuration_and_decides_nothing() -> None:
    constant = hold("epochs", dict.fromkeys(range(30), 5.0), reference_of([5.0] * 30), Margins(), 0)
    assert judge_distribution([metric("rmse"), constant], []).verdict == "reached"
    alone = judge_distribution([constant], [])
    assert alone.verdict == "inconclusive" and "same value" in alone.reason


def test_a_difference_must_hold_among_all_metrics_looked_at() -> None:
    """One of twenty metrics differs at 5 % by luck alone."""
    weak = metric("loss", 0.5)
    assert weak.calibrated.verdict == "not-reached"
    assert weak.calibrated.p_different is not None and weak.calibrated.p_different > 0.05 / 20
    assert judge_distribution([weak], []).verdict == "not-reached"
    level = judge_distribution([weak, *[metric(f"m{index}") for index in range(19)]], [])
    assert level.verdict == "inconclusive" and "20 metrics" in level.reason


def test_few_seeds_are_inconclusive_with_the_reason_of_the_first() -> None:
    level = judge_distribution([metric("rmse", n=5)], [])
    assert level.verdict == "inconclusive" and "Of rmse" in level.reason


def test_how_many_of_the_others_are_open_too_is_said() -> None:
    few = {name: metric(name, n=5) for name in ("a", "b", "c")}
    assert judge_distribution([few["a"], few["b"]], []).reason.endswith("So it is with the other metric.")
    assert judge_distribution(list(few.values()), []).reason.endswith("So it is with all 2 other metrics.")
    some = judge_distribution([few["a"], few["b"], metric("d")], [])
    assert some.reason.endswith("So it is with 1 of the 2 other metrics.")
