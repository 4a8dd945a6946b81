import math

import msgspec
import numpy as np
import pytest

from auditor.records.distribution import Curves, Margins
from auditor.statistics.curves import hold_curves, max_t
from auditor.statistics.resampling import arrangements, permuted_mean_p

POINTS = range(40)


def curves(n: int, seed: int, late: float = 0.0) -> np.ndarray:
    """Losses that fall; each seed has a level of its own; ``late`` is added in the second half."""
    generator = np.random.default_rng(seed)
    steps = np.arange(len(POINTS))
    shape = 5 * np.exp(-steps / 10) + late * (steps >= 20)
    noise = generator.standard_normal((n, 1)) + 0.5 * generator.standard_normal((n, len(POINTS)))
    return shape + 0.3 * noise


def held(new: np.ndarray, old: np.ndarray, margins: Margins | None = None) -> Curves:
    return hold_curves(dict(enumerate(new.tolist())), old.tolist(), POINTS, margins or Margins(), 0)


def test_curves_that_part_late_differ_from_there_on() -> None:
    result = held(curves(10, 1, late=2.0), curves(10, 2))
    assert result.verdict == "not-reached"
    assert result.first_different == 20.0
    assert all(point.p_adjusted > 0.05 for point in result.points[:20])


def test_curves_of_one_program_are_within_a_wide_margin_and_not_within_a_narrow_one() -> None:
    new, old = curves(30, 1), curves(30, 2)
    assert held(new, old, Margins(mean=0.6, unit="metric")).verdict == "reached"
    assert held(new, old, Margins(mean=0.05, unit="metric")).verdict == "inconclusive"


def test_three_curves_a_side_have_no_bound() -> None:
    result = held(curves(3, 1), curves(3, 2))
    assert result.verdict == "inconclusive" and result.exact and result.arrangements == 20
    assert all(point.low is None and point.high is None for point in result.points)
    assert msgspec.json.decode(msgspec.json.encode(result), type=Curves) == result


def test_a_single_point_is_the_permutation_test_of_means() -> None:
    new, old = curves(5, 1, late=0.4)[:, 30:31], curves(5, 2)[:, 30:31]
    among = arrangements(5, 5, np.random.default_rng(0))
    adjusted, _ = max_t(new, old, among, 0.05)
    assert adjusted.tolist() == permuted_mean_p(new.T, old.T, among).tolist()


def test_looking_at_more_points_makes_no_p_value_smaller() -> None:
    new, old = curves(6, 3, late=0.4), curves(6, 4)
    among = arrangements(6, 6, np.random.default_rng(0))
    all_points, some = max_t(new, old, among, 0.05), max_t(new[:, 20:], old[:, 20:], among, 0.05)
    assert (all_points[0][20:] >= some[0]).all() and all_points[1] >= some[1]


def test_true_reproductions_are_rarely_said_to_differ() -> None:
    """At 5 %, of 300 pairs 15 are expected; 25 would be 2.6 standard errors more."""
    among = arrangements(6, 6, np.random.default_rng(0))
    found = sum(max_t(curves(6, seed), curves(6, 1000 + seed), among, 0.05)[0].min() <= 0.05 for seed in range(300))
    assert found <= 25


def test_a_curve_that_is_not_finite_is_named_and_never_helps() -> None:
    new = curves(30, 1)
    new[3, 7] = math.nan
    result = held(new, curves(30, 2), Margins(mean=0.6, unit="metric"))
    assert result.verdict == "inconclusive" and result.unusable == (3,)


def test_equal_curves_throughout_show_nothing_and_others_differ() -> None:
    same = np.ones((5, len(POINTS)))
    assert held(same, same).verdict == "inconclusive"
    assert held(same, same + 1).verdict == "not-reached"


def test_curves_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError):
        hold_curves({1: [1.0, 2.0]}, [[1.0, 2.0], [1.0, 2.0]], [1, 2, 3], Margins(), 0)


def test_fewer_than_two_curves_are_inconclusive() -> None:
    assert hold_curves({1: [1.0]}, [[1.0], [2.0]], [0], Margins(), 0).verdict == "inconclusive"
    assert hold_curves({}, [], [], Margins(), 0).verdict == "inconclusive"
