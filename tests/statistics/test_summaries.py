import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.statistics.summaries import reference_of, sample, summarise

FINITE = st.floats(min_value=-1e6, max_value=1e6, allow_subnormal=False)


def test_the_published_example_has_its_sem() -> None:
    """7.72 ± 0.66 at n = 5 has a SEM of 0.295: values with exactly that mean and std."""
    step = 0.66 / math.sqrt(2.5)
    summary = summarise([7.72 + step * index for index in (-2, -1, 0, 1, 2)])
    assert summary.mean == pytest.approx(7.72, abs=1e-12)
    assert summary.std == pytest.approx(0.66, abs=1e-12)
    assert summary.sem == pytest.approx(0.2951609730299, abs=1e-12)
    # t(4) at 97.5 % is 2.7764451052.
    assert summary.low == pytest.approx(7.72 - 2.7764451052 * 0.2951609730299, abs=1e-9)
    assert (summary.n, summary.ddof, summary.nonfinite) == (5, 1, 0)


def test_what_is_not_finite_is_counted_and_enters_no_figure() -> None:
    summary = summarise([1.0, math.nan, 3.0, math.inf, -math.inf])
    assert (summary.n, summary.nonfinite, summary.mean) == (2, 3, 2.0)
    nothing = summarise([math.nan])
    assert (nothing.n, nothing.nonfinite, nothing.mean, nothing.std) == (0, 1, None, None)


def test_one_value_has_a_mean_and_no_std() -> None:
    summary = summarise([4.0])
    assert (summary.mean, summary.std, summary.sem, summary.low) == (4.0, None, None, None)


def test_values_near_the_ends_of_the_floats_do_not_overflow() -> None:
    large = summarise([1e308, 1.2e308, 0.8e308])
    assert large.mean == pytest.approx(1e308) and large.std == pytest.approx(2e307)
    small = summarise([1e-308, 1.2e-308, 0.8e-308])
    assert small.std == pytest.approx(2e-309, rel=1e-6)


def test_a_confidence_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError):
        summarise([1.0, 2.0], 1.0)


@given(FINITE, st.integers(2, 30))
def test_equal_values_have_no_spread_at_all(value: float, n: int) -> None:
    assert summarise([value] * n).std == 0.0
    assert summarise([value] * n).mean == value
    assert float(sample([value] * n).variance) == 0.0


@given(st.lists(FINITE, min_size=2, max_size=20), FINITE)
def test_shifting_all_values_shifts_the_mean_and_leaves_the_spread(values: list[float], shift: float) -> None:
    before, after = summarise(values), summarise([value + shift for value in values])
    assert before.mean is not None and after.mean is not None and before.std is not None and after.std is not None
    assert after.mean == pytest.approx(before.mean + shift, abs=1e-8)
    assert after.std == pytest.approx(before.std, abs=1e-8)


def test_a_reference_takes_finite_values_only() -> None:
    assert reference_of([1.0, 3.0]).std == pytest.approx(math.sqrt(2))
    for values in ([], [1.0, math.nan]):
        with pytest.raises(ValueError):
            reference_of(values)
