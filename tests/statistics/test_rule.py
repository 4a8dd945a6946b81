import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.records.distribution import Reference
from auditor.statistics import rule
from auditor.statistics.summaries import summarise


def test_its_chances_at_five_seeds_are_those_known_from_simulation() -> None:
    """77 % of true reproductions pass the mean rule, 30 % the std rule, 24 % both."""
    assert [round(100 * chance) for chance in rule.chances(5, 5)] == [77, 30, 24]


@pytest.mark.parametrize(("n", "m"), [(2, 2), (5, 5), (3, 20), (20, 3)])
def test_its_chances_are_what_simulation_gives(n: int, m: int) -> None:
    generator = np.random.default_rng(1)
    new, old = generator.standard_normal((100_000, n)), generator.standard_normal((100_000, m))
    std, other = new.std(axis=1, ddof=1), old.std(axis=1, ddof=1)
    near = np.abs(new.mean(axis=1) - old.mean(axis=1)) <= 2 * other / math.sqrt(m)
    similar = (std >= 0.8 * other) & (std <= 1.2 * other)
    for chance, seen in zip(rule.chances(n, m), (near.mean(), similar.mean(), (near & similar).mean()), strict=True):
        assert chance == pytest.approx(seen, abs=0.006)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 60), st.integers(2, 60))
def test_both_is_no_likelier_than_either_and_no_less_than_they_leave(n: int, m: int) -> None:
    of_mean, of_std, of_both = rule.chances(n, m)
    assert of_mean + of_std - 1 - 1e-9 <= of_both <= min(of_mean, of_std) + 1e-9


def test_a_single_seed_has_no_chance_to_be_given() -> None:
    with pytest.raises(ValueError):
        rule.chances(1, 5)


REFERENCE = Reference(mean=10.0, std=2.0, n=4)  # SEM 1: the mean from 8 to 12, the std from 1.6 to 2.4


def of(mean: float, std: float) -> rule.PublishedRule:
    """The rule on three values with that mean and std."""
    return rule.apply(summarise([mean - std, mean, mean + std]), REFERENCE)


def test_its_bounds_are_inclusive() -> None:
    assert of(12.0, 2.0).verdict == of(8.0, 2.0).verdict == of(10.0, 1.75).verdict == "reached"
    passed = of(12.0, 2.25)
    assert (passed.mean_low, passed.mean_high) == (8.0, 12.0)
    assert (passed.std_low, passed.std_high) == (1.6, 2.4)
    assert passed.chance_both == pytest.approx(rule.chances(3, 4)[2])


def test_it_says_which_half_failed() -> None:
    far, wide = of(12.5, 2.0), of(10.0, 2.5)
    assert (far.verdict, far.mean_passes, far.std_passes) == ("not-reached", False, True)
    assert (wide.verdict, wide.mean_passes, wide.std_passes) == ("not-reached", True, False)
    assert "not within 1.6 to 2.4" in wide.reason


@pytest.mark.parametrize(
    ("values", "reference"),
    [([10.0], REFERENCE), ([], REFERENCE), ([9.0, 11.0], Reference(10.0, 0.0, 1)), ([math.nan] * 3, REFERENCE)],
)
def test_it_cannot_be_applied_to_fewer_than_two_seeds(values: list[float], reference: Reference) -> None:
    result = rule.apply(summarise(values), reference)
    assert result.verdict == "inconclusive"
    assert result.std_passes is None


def test_a_seed_without_a_finite_value_cannot_help_it_pass() -> None:
    assert rule.apply(summarise([8.0, 10.0, 12.0, math.nan]), REFERENCE).verdict == "inconclusive"


def test_it_is_about_all_seeds_that_were_asked_for() -> None:
    for values in ([8.0, 10.0, 12.0], [18.0, 20.0, 22.0]):
        found = rule.apply(summarise(values), REFERENCE, missing=(3, 9))
        assert found.verdict == "inconclusive"
        assert "3 of 5 seeds, and the rule asks for all of them: there is no value for seeds 3, 9." in found.reason
    odd = rule.apply(summarise([8.0, 10.0, 12.0, math.nan]), REFERENCE, unusable=(7,))
    assert "3 of 4 seeds, and the rule asks for all of them: the metric is not finite for seed 7." in odd.reason
