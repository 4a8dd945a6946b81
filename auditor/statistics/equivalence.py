"""Means: two one-sided tests against a margin, Welch's test of a difference, and the prediction interval."""

from __future__ import annotations

import numpy as np
from scipy import special

from auditor.statistics.summaries import KURTOSIS, Array, Sample


def welch(new: Sample, reference: Sample) -> tuple[Array, Array, Array]:
    """Return the difference of means (new − reference), its standard error and Welch's degrees of freedom.

    Error and degrees are NaN where a sample has a single value; the degrees also where neither varies.
    """
    first, second = new.variance / new.n, reference.variance / reference.n
    with np.errstate(divide="ignore", invalid="ignore"):
        share = first / (first + second)
        degrees = 1 / (share**2 / max(new.n - 1, 1) + (1 - share) ** 2 / max(reference.n - 1, 1))
    return new.mean - reference.mean, np.sqrt(first + second), degrees


def pooled_error(new: Sample, reference: Sample) -> tuple[Array, int]:
    """Return the standard error of the difference under one common variance, and its degrees of freedom.

    This is the error of Student's test, and of the prediction interval for the mean of the new seeds. A sample of one
    value adds nothing to the variance; with one value on each side it is NaN.
    """
    degrees = new.n + reference.n - 2
    if degrees < 1:
        return np.full(np.shape(new.mean), np.nan), 0
    sums = [side.variance * (side.n - 1) for side in (new, reference) if side.n > 1]
    total: Array = sum(sums[1:], start=sums[0])
    return np.sqrt(total / degrees * (1 / new.n + 1 / reference.n)), degrees


def difference_p(new: Sample, reference: Sample) -> Array:
    """Return the two-sided p value of a difference of means from summaries alone: the larger of Welch's and Student's.

    Each errs where the other does not: Student's where the larger sample varies less, Welch's where the smaller sample
    has by chance missed a tail. NaN with one value on each side.
    """
    student = _two_sided(new.mean - reference.mean, *pooled_error(new, reference))
    if new.n < 2 or reference.n < 2:
        return student
    return np.maximum(_two_sided(*welch(new, reference)), student)


def equivalence_p(new: Sample, reference: Sample, margin: Array, in_std: float | None) -> Array:
    """Return the p value of the two one-sided tests that the means are less than ``margin`` apart.

    ``in_std`` is the margin in standard deviations of the reference where it is that, and None where it is a number of
    the metric's unit. NaN where a sample has fewer than two values.
    """
    if new.n < 2 or reference.n < 2:
        return np.full(np.shape(new.mean), np.nan)
    difference, _, degrees = welch(new, reference)
    sides = []
    for sign in (1.0, -1.0):
        error = equivalence_error(new, reference, sign, in_std)
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = (sign * difference - margin) / error
            # Where nothing varies there is nothing to judge an error by.
            sides.append(np.where(error > 0, special.stdtr(degrees, statistic), 1.0))
    p: Array = np.maximum(*sides)
    return p


def equivalence_error(new: Sample, reference: Sample, sign: float, in_std: float | None) -> Array:
    """Return the standard error of ``sign`` · (new − reference) − margin.

    It is the larger of Welch's and the pooled one. A margin in standard deviations is itself an estimate, which moves
    with the reference's mean where the distribution is skewed: its part is the mean square of the influence function of
    the margin and of its product with the mean's, from the residuals of the reference or of both samples, whichever is
    larger; from those of the new sample (and not less than with ``KURTOSIS``) where the reference's are not known.
    """
    error: Array = np.maximum(welch(new, reference)[1], pooled_error(new, reference)[0])
    if in_std is None:
        return error
    weight = margin_weight(new, reference, sign, in_std)
    with_margin: Array = np.sqrt(np.maximum(error**2 + reference.variance / reference.n * weight, 0.0))
    return with_margin


def margin_weight(new: Sample, reference: Sample, sign: float, in_std: float) -> Array:
    """Return what the margin's own error adds to the variance of the reference's mean, in units of that variance."""
    if new.values is None:
        return np.full(np.shape(new.mean), in_std**2 * (KURTOSIS - 1) / 4)
    own = _influence(new, sign, in_std)
    if reference.values is None:
        return np.maximum(own / (new.n - 1), in_std**2 * (KURTOSIS - 1) / 4)
    other = _influence(reference, sign, in_std)
    return np.maximum(other / (reference.n - 1), (own + other) / (new.n + reference.n - 2))


def _influence(side: Sample, sign: float, in_std: float) -> Array:
    """Summed over the values: 2·r·φ + φ², with φ the influence of a residual r (in std) on the margin."""
    assert side.values is not None  # the caller has looked
    std = np.sqrt(side.variance)[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        residuals = np.where(std > 0, (side.values - side.mean[..., None]) / std, 0.0)
    influence = sign * in_std * (residuals**2 - 1) / 2
    summed: Array = (2 * residuals * influence + influence**2).sum(axis=-1)
    return summed


def _two_sided(difference: Array, error: Array, degrees: Array | int) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.abs(difference) / error
        p = 2 * special.stdtr(np.asarray(degrees, dtype=np.float64), -statistic)
    # Without any spread equal means do not differ, and others do beyond doubt.
    return np.where(error == 0, np.where(difference == 0, 1.0, 0.0), p)
