"""Welch's test, its power and exact permutations against scipy and against simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from auditor.statistics import order
from auditor.statistics.order import Seeds


def test_welch_is_scipys() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        a, b = (rng.normal(rng.normal(), rng.uniform(0.1, 3), rng.integers(2, 20)) for _ in range(2))
        found = order.welch(order.seeds_of(a), order.seeds_of(b))
        expected = stats.ttest_ind(a, b, equal_var=False)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
        assert found.df == pytest.approx(expected.df, rel=1e-9)
        interval = expected.confidence_interval(0.95)
        assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_student_is_scipys_and_counts_only_with_unequal_sizes() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        a, b = (rng.normal(rng.normal(), rng.uniform(0.1, 3), rng.integers(2, 12)) for _ in range(2))
        first, second = order.seeds_of(a), order.seeds_of(b)
        student, welch = stats.ttest_ind(a, b).pvalue, stats.ttest_ind(a, b, equal_var=False).pvalue
        assert order.student_p(first, second) == pytest.approx(student, rel=1e-9)
        assert order.judged_p(first, second) == pytest.approx(max(student, welch), rel=1e-9)
        if first.n == second.n:
            assert order.judged_p(first, second) == order.welch(first, second).p
    assert (
        order.judged_p(Seeds(2, 1.0, 0.0), Seeds(9, 2.0, 0.5)) == order.welch(Seeds(2, 1.0, 0.0), Seeds(9, 2.0, 0.5)).p
    )


@pytest.mark.parametrize(("n", "m"), [(3, 3), (5, 5), (10, 10), (3, 5), (3, 10), (5, 10)])
@pytest.mark.parametrize("shape", ["normal", "exponential", "lognormal", "heavy-tailed", "two modes", "one in five"])
def test_of_equal_methods_few_are_said_to_differ(shape: str, n: int, m: int) -> None:
    """At most 5 %, whatever the seeds look like; of 20,000 pairs 0.6 more would be four standard errors."""
    rng = np.random.default_rng((7, n, m))
    draw = {
        "normal": lambda size: rng.standard_normal(size),
        "exponential": lambda size: rng.standard_exponential(size),
        "lognormal": lambda size: np.exp(0.75 * rng.standard_normal(size)),
        "heavy-tailed": lambda size: rng.standard_t(3, size),
        "two modes": lambda size: 4.0 * (rng.random(size) < 0.5) + rng.standard_normal(size),
        "one in five": lambda size: 6.0 * (rng.random(size) < 0.2) + rng.standard_normal(size),
    }[shape]
    a, b = draw((20_000, n)), draw((20_000, m))
    p = np.maximum(stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue, stats.ttest_ind(a, b, axis=1).pvalue)
    assert np.mean(p < 0.05) < 0.056
    # What was simulated is what judges.
    for row in range(20):
        assert order.judged_p(order.seeds_of(a[row]), order.seeds_of(b[row])) == pytest.approx(p[row], rel=1e-6)


def test_the_interval_of_a_mean_is_scipys() -> None:
    values = [7.1, 7.9, 8.4, 7.2, 8.0]
    expected = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert order.interval(order.seeds_of(values)) == pytest.approx(expected, rel=1e-10)


def test_tiny_and_huge_values_keep_their_degrees_of_freedom() -> None:
    for scale in (1e-170, 1e-30, 1.0, 1e100):
        found = order.welch(Seeds(5, 1.0, 2 * scale), Seeds(5, 2.0, scale))
        assert found.df == pytest.approx(order.welch(Seeds(5, 1.0, 2.0), Seeds(5, 2.0, 1.0)).df)


def test_without_any_noise_a_difference_is_a_difference() -> None:
    assert order.welch(Seeds(3, 1.0, 0.0), Seeds(3, 2.0, 0.0)).p == 0
    assert order.welch(Seeds(3, 1.0, 0.0), Seeds(3, 1.0, 0.0)).p == 1


def test_permutations_are_scipys() -> None:
    rng = np.random.default_rng(2)
    for _ in range(20):
        a, b = rng.normal(0, 1, rng.integers(2, 6)), rng.normal(0.8, 1, rng.integers(2, 6))
        expected = stats.permutation_test(
            (a, b), lambda x, y: abs(np.mean(x) - np.mean(y)), alternative="greater", n_resamples=np.inf
        )
        assert order.permutation_p(a.tolist(), b.tolist()) == pytest.approx(expected.pvalue)
    assert order.permutation_p([1.0] * 12, [2.0] * 12) is None


def test_power_is_what_simulation_gives() -> None:
    first, second = Seeds(5, 0.0, 1.0), Seeds(7, 1.5, 0.6)
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1.0, (20_000, 5)), rng.normal(1.5, 0.6, (20_000, 7))
    result = stats.ttest_ind(a, b, axis=1, equal_var=False)
    simulated = float(np.mean((result.pvalue < 0.05) & (result.statistic < 0)))
    assert order.power(-1.5, first, second) == pytest.approx(simulated, abs=0.02)


def test_seeds_needed_are_the_fewest_with_that_power() -> None:
    first, second = Seeds(5, 7.72, 0.66), Seeds(5, 7.53, 0.65)
    needed = order.seeds_needed(0.19, first, second)
    assert needed is not None
    powers = [order.power(0.19, first._replace(n=n), second._replace(n=n)) for n in (needed - 1, needed)]
    assert powers[0] < 0.8 <= powers[1]
    assert order.seeds_needed(0.0, first, second) is None
    assert order.seeds_needed(1e-6, first, second) is None


def test_the_smallest_detectable_difference_has_that_power() -> None:
    first, second = Seeds(5, 0.0, 0.66), Seeds(5, 0.0, 0.65)
    assert order.power(order.smallest_detectable(first, second), first, second) == pytest.approx(0.8, abs=1e-6)


def test_hedges_g() -> None:
    # Cohen's d of 1 with 8 degrees of freedom, corrected by about 1 − 3 / (4·8 − 1).
    assert order.hedges_g(Seeds(5, 1.0, 1.0), Seeds(5, 0.0, 1.0)) == pytest.approx(1 - 3 / 31, abs=1e-3)
    assert order.hedges_g(Seeds(5, 1.0, 0.0), Seeds(5, 0.0, 0.0)) is None


def test_pairs_needed() -> None:
    needed = order.pairs_needed(0.5, 1.0)
    # A paired t test needs 34 for this; the signed-rank test a twentieth more.
    assert needed == math.ceil(34 * math.pi / 3)
    assert order.pairs_needed(0.0, 1.0) is None
    assert order.pairs_needed(1.0, 0.0) == 2


@pytest.mark.parametrize("values", [[], [1.0], [1.0, float("nan")], [1.0, float("inf")]])
def test_no_summary_of_less_than_two_finite_values(values: list[float]) -> None:
    with pytest.raises(ValueError, match="two finite"):
        order.seeds_of(values)
