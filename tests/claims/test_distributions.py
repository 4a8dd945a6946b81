"""Our own tails and quantiles against those of scipy."""

from __future__ import annotations

import pytest
from scipy import special, stats

from auditor.statistics import distributions

DEGREES = [1, 2, 3.7, 4, 8, 29.5, 100, 5000]


@pytest.mark.parametrize("df", DEGREES)
def test_students_t(df: float) -> None:
    for t in (-6.0, -0.7, 0.0, 1e-6, 0.3, 1.0, 2.5, 8.0, 40.0):
        assert distributions.t_sf(t, df) == pytest.approx(stats.t.sf(t, df), rel=1e-10)
    for tail in (0.4999, 0.2, 0.025, 1e-4, 1e-9):
        assert distributions.t_quantile(tail, df) == pytest.approx(stats.t.isf(tail, df), rel=1e-9)


@pytest.mark.parametrize("df", [1, 2, 3, 8, 9, 40, 151])
def test_chi_squared(df: int) -> None:
    for x in (0.0, 1e-3, 0.5, 3.0, 15.507, 80.0, 300.0):
        assert distributions.chi2_sf(x, df) == pytest.approx(stats.chi2.sf(x, df), rel=1e-12, abs=1e-300)
    for tail in (0.9, 0.05, 1e-3):
        assert distributions.chi2_quantile(tail, df) == pytest.approx(stats.chi2.isf(tail, df), rel=1e-11)


def test_fishers_f() -> None:
    for above, below in ((2, 8), (8, 72), (3, 1.0), (1, 500)):
        for f in (0.0, 0.01, 1.0, 3.7, 60.0):
            assert distributions.f_sf(f, above, below) == pytest.approx(stats.f.sf(f, above, below), rel=1e-10)


def test_noncentral_chi_squared() -> None:
    for df, shift, x in ((8, 0.0, 15.5), (8, 15.0, 15.5), (2, 0.3, 6.0), (8, 120.0, 15.5), (4, 700.0, 9.5)):
        assert distributions.noncentral_chi2_sf(x, df, shift) == pytest.approx(stats.ncx2.sf(x, df, shift), rel=1e-9)


@pytest.mark.parametrize("df", [1, 2, 4.3, 8, 60, 2000])
def test_noncentral_t(df: float) -> None:
    for shift in (0.0, 0.5, 2.8, 9.0):
        for tail in (0.1, 0.025, 0.001):
            t = stats.t.isf(tail, df)
            expected = 1 - special.nctdtr(df, shift, t)
            assert distributions.noncentral_t_sf(t, df, shift) == pytest.approx(expected, abs=2e-9)


def test_noncentral_t_far_out_takes_no_longer() -> None:
    assert distributions.noncentral_t_sf(4.6e6, 1, 2.0) == pytest.approx(1 - special.nctdtr(1, 2.0, 4.6e6), abs=1e-9)
    assert distributions.noncentral_t_sf(1e300, 50, 2.0) == 0


@pytest.mark.parametrize("groups", [2, 3, 9, 30])
def test_studentized_range(groups: int) -> None:
    for q in (0.2, 1.0, 3.3, 4.387, 7.0):
        expected = stats.studentized_range.sf(q, groups, float("inf"))
        assert distributions.studentized_range_sf(q, groups) == pytest.approx(expected, abs=1e-11)
    assert distributions.studentized_range_quantile(0.05, groups) == pytest.approx(
        stats.studentized_range.isf(0.05, groups, float("inf")), rel=1e-9
    )


def test_the_range_of_two_keeps_its_digits_far_out() -> None:
    assert distributions.studentized_range_sf(12, 2) == pytest.approx(2 * stats.norm.sf(12 / 2**0.5), rel=1e-8)


@pytest.mark.parametrize("tail", [0.0, 1.0, -0.1])
def test_no_quantile_outside_of_zero_and_one(tail: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        distributions.t_quantile(tail, 4)
