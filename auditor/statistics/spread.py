"""Spreads: the ratio of mean absolute deviations from the median, and of published standard deviations."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import special

from auditor.statistics.summaries import KURTOSIS, Array, Sample

_NORMAL = math.pi / 2 - 1  # variance over squared mean of a normal value's absolute deviation


def ratio(new: Sample, reference: Sample) -> Array:
    """Return the ratio of spreads, new over reference: inf or NaN where the reference has none.

    Where all values are known it is that of the mean absolute deviations from the median, which one stray seed moves
    less than a standard deviation, and which is the same ratio where one distribution is the other one scaled.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if new.values is not None and reference.values is not None:
            absolute: Array = _deviations(new.values).mean(axis=-1) / _deviations(reference.values).mean(axis=-1)
            return absolute
        return np.sqrt(new.variance / reference.variance)


def ratio_statistic(new: Sample, reference: Sample, against: Array) -> tuple[Array, Array]:
    """Return the statistic of the ratio of spreads being ``against``, and its degrees of freedom; NaN below n = 3.

    With all values: Welch's statistic of the new deviations from the median and ``against`` times the reference's (the
    test of Brown and Forsythe, for a ratio that need not be 1). Else the logarithm of the ratio of standard
    deviations over an error from the kurtosis, which is the new sample's and not less than ``KURTOSIS``. Where nothing
    varies the statistic is NaN.
    """
    if new.n < 3 or reference.n < 3 or new.values is None:
        empty = np.full(np.shape(new.mean), np.nan)
        return empty, empty
    with np.errstate(divide="ignore", invalid="ignore"):
        if reference.values is None:
            first, second = log_variances(new, new.n), log_variances(new, reference.n)
            distance = np.log(ratio(new, reference)) - np.log(against)
        else:
            own, other = _deviations(new.values), _deviations(reference.values) * against[..., None]
            first, second = own.var(axis=-1, ddof=1) / new.n, other.var(axis=-1, ddof=1) / reference.n
            distance = own.mean(axis=-1) - other.mean(axis=-1)
        statistic = distance / np.sqrt(first + second)
        share = first / (first + second)
        degrees = 1 / (share**2 / (new.n - 1) + (1 - share) ** 2 / (reference.n - 1))
    return np.where(np.isfinite(statistic), statistic, np.nan), degrees


def below_p(new: Sample, reference: Sample, against: Array) -> Array:
    """Return the p value of the ratio of spreads being below ``against`` (1 where nothing varies)."""
    statistic, degrees = ratio_statistic(new, reference, against)
    return _shown(special.stdtr(degrees, statistic), new, reference)


def above_p(new: Sample, reference: Sample, against: Array) -> Array:
    """Return the p value of the ratio of spreads being above ``against`` (1 where nothing varies)."""
    statistic, degrees = ratio_statistic(new, reference, against)
    return _shown(special.stdtr(degrees, -statistic), new, reference)


def equivalence_p(new: Sample, reference: Sample, margin: float) -> Array:
    """Return the p value of the ratio of spreads lying between 1/``margin`` and ``margin`` (two one-sided tests)."""
    against = np.full(np.shape(new.mean), margin)
    p: Array = np.maximum(below_p(new, reference, against), above_p(new, reference, 1 / against))
    return p


def difference_p(new: Sample, reference: Sample) -> Array:
    """Return the two-sided p value of unequal spreads by the same statistic; the permutation test is the better one."""
    against = np.ones(np.shape(new.mean))
    p: Array = np.minimum(1.0, 2 * np.minimum(below_p(new, reference, against), above_p(new, reference, against)))
    return p


def interval(new: Sample, reference: Sample, error_rate: float) -> tuple[float, float]:
    """Return the ratios of spreads that neither one-sided test at ``error_rate`` rules out, for one pair of samples.

    The lower bound is 0 and the upper inf where no ratio is ruled out.
    """
    centre = float(ratio(new, reference))
    if not (math.isfinite(centre) and centre > 0):
        return 0.0, math.inf
    return (
        _bound(lambda against: float(above_p(new, reference, np.asarray(against))) <= error_rate, centre, -1.0),
        _bound(lambda against: float(below_p(new, reference, np.asarray(against))) <= error_rate, centre, 1.0),
    )


def relative_variance(new: Sample, reference: Sample) -> Array:
    """Return the variance over the squared mean of the absolute deviations of both samples; not less than normal."""
    sides = [_deviations(side.values) for side in (new, reference) if side.values is not None]
    with np.errstate(divide="ignore", invalid="ignore"):
        each = [side.var(axis=-1, ddof=1) / side.mean(axis=-1) ** 2 for side in sides]
    weighted = sum(np.nan_to_num(one) * side.shape[-1] for one, side in zip(each, sides, strict=True))
    variance: Array = np.maximum(weighted / sum(side.shape[-1] for side in sides), _NORMAL)
    return variance


def log_variances(new: Sample, n: int) -> Array:
    """Return the variance of log std of ``n`` values, with the kurtosis of the new ones or, if larger, ``KURTOSIS``."""
    assert new.values is not None  # the caller has looked
    std = np.sqrt(new.variance)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        residuals = np.where(std > 0, (new.values - new.mean[..., None]) / std, 0.0)
    kurtosis = np.maximum((residuals**4).sum(axis=-1) / (new.n - 1), KURTOSIS)
    logarithms: Array = (kurtosis - 1) / (4 * (n - 1))
    return logarithms


def _deviations(values: Array) -> Array:
    """Absolute deviations from the median, times n/(n − 1) since the median is fitted to the same values."""
    n = values.shape[-1]
    return np.abs(values - np.median(values, axis=-1, keepdims=True)) * (n / (n - 1) if n > 1 else 1.0)


def _shown(p: Array, new: Sample, reference: Sample) -> Array:
    if new.n < 3 or reference.n < 3:
        return p
    return np.where(np.isnan(p), 1.0, p)


def _bound(refuted: Callable[[float], bool], centre: float, direction: float) -> float:
    """The ratio nearest to ``centre`` that is refuted, by bisection of its logarithm."""
    limit = 0.0 if direction < 0 else math.inf
    far = 1.0
    while not refuted(centre * math.exp(direction * far)):
        far *= 2
        if far > 50:
            return limit
    near = 0.0
    for _ in range(60):
        middle = (near + far) / 2
        near, far = (near, middle) if refuted(centre * math.exp(direction * middle)) else (middle, far)
    return centre * math.exp(direction * far)
