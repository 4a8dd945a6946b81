import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.statistics.resampling import (
    arrangements,
    permuted_mean_p,
    permuted_spread_p,
    shared_nonfinite_p,
)


def exact(n: int, m: int):
    return arrangements(n, m, np.random.default_rng(0))


def by_hand(new: list[float], old: list[float], statistic) -> float:
    """The p value by enumerating with plain loops."""
    pooled = np.array(new + old)
    observed = statistic(np.array(new), np.array(old))
    counts = []
    for chosen in combinations(range(len(pooled)), len(new)):
        rest = [index for index in range(len(pooled)) if index not in chosen]
        counts.append(statistic(pooled[list(chosen)], pooled[rest]) >= observed * (1 - 1e-9) - 1e-12)
    return float(np.mean(counts))


def welch(first: np.ndarray, second: np.ndarray) -> float:
    error = first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second)
    return float((first.mean() - second.mean()) ** 2 / error)


def log_ratio(first: np.ndarray, second: np.ndarray) -> float:
    return abs(math.log(first.var(ddof=1) / second.var(ddof=1)))


def test_all_arrangements_are_tried_where_there_are_few_and_the_observed_one_comes_first() -> None:
    among = exact(3, 4)
    assert among.exact and len(among.first) == math.comb(7, 3)
    assert among.first[0].tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert len(np.unique(among.first, axis=0)) == len(among.first)
    assert among.floor == 1 / 35 and exact(3, 3).floor == 2 / 20


def test_random_arrangements_are_the_same_for_the_same_seed() -> None:
    first, again, other = (arrangements(20, 20, np.random.default_rng(seed), draws=50).first for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.shape == (51, 40) and (first.sum(axis=1) == 20).all()
    assert first[0].tolist() == [1.0] * 20 + [0.0] * 20


@pytest.mark.parametrize("seed", range(5))
def test_p_values_are_those_of_plain_loops(seed: int) -> None:
    generator = np.random.default_rng(seed)
    new, old = generator.standard_exponential(4), generator.standard_exponential(5)
    assert permuted_mean_p(new, old, exact(4, 5)) == pytest.approx(by_hand(list(new), list(old), welch))
    raw = by_hand(list(new), list(old), log_ratio)
    centred = by_hand(list(new - new.mean()), list(old - old.mean()), log_ratio)
    assert permuted_spread_p(new, old, exact(4, 5)) == pytest.approx(max(raw, centred))


def test_a_whole_batch_gives_what_each_pair_gives() -> None:
    generator = np.random.default_rng(3)
    new, old = generator.standard_normal((7, 4)), generator.standard_normal((7, 4))
    together = permuted_mean_p(new, old, exact(4, 4))
    singly = [float(permuted_mean_p(one, other, exact(4, 4))) for one, other in zip(new, old, strict=True)]
    assert together.tolist() == singly


def test_complete_separation_gives_the_smallest_p_value_that_there_is() -> None:
    p = float(permuted_mean_p(np.array([1.0, 2, 3]), np.array([11.0, 12, 13]), exact(3, 3)))
    assert p == exact(3, 3).floor == 0.1


def test_random_arrangements_come_near_to_all_of_them() -> None:
    generator = np.random.default_rng(5)
    new, old = generator.standard_normal(8), generator.standard_normal(8) + 0.8
    drawn = arrangements(8, 8, np.random.default_rng(0), exact_up_to=0, draws=20_000)
    assert permuted_mean_p(new, old, drawn) == pytest.approx(float(permuted_mean_p(new, old, exact(8, 8))), abs=0.01)


@settings(max_examples=50)
@given(st.lists(st.integers(0, 2), min_size=3, max_size=5), st.lists(st.integers(0, 2), min_size=3, max_size=5))
def test_ties_and_scale_change_no_p_value(new: list[int], old: list[int]) -> None:
    among = exact(len(new), len(old))
    first, second = np.array(new, float), np.array(old, float)
    for test in (permuted_mean_p, permuted_spread_p):
        p = float(test(first, second, among))
        assert among.floor - 1e-12 <= p <= 1.0
        assert float(test(0.1 * first + 0.7, 0.1 * second + 0.7, among)) == p
        assert float(test(second, first, exact(len(old), len(new)))) == pytest.approx(p)


def test_equal_values_throughout_show_nothing() -> None:
    same = np.full(4, 0.1 + 0.2)
    assert float(permuted_mean_p(same, same, exact(4, 4))) == 1.0
    assert float(permuted_spread_p(same, same, exact(4, 4))) == 1.0


def test_a_single_value_on_a_side_is_ranked_among_all() -> None:
    p = permuted_mean_p(np.array([100.0]), np.arange(9.0), exact(1, 9))
    assert float(p) == pytest.approx(0.1)
    assert np.isnan(permuted_spread_p(np.array([100.0]), np.arange(9.0), exact(1, 9)))


def test_where_seeds_that_gave_no_number_lie_is_a_hypergeometric_question() -> None:
    assert shared_nonfinite_p(1, 5, 5) == 0.5
    assert shared_nonfinite_p(3, 5, 5) == pytest.approx(10 / 120)
    assert shared_nonfinite_p(0, 5, 5) == 1.0
