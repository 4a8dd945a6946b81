"""What a number of seeds can show: the smallest detectable difference, and the seeds that would settle the question."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import special

from auditor.records.distribution import Margins
from auditor.statistics import equivalence, spread
from auditor.statistics.summaries import Sample

POWER = 0.8
MOST = 10_000


def detectable_mean(new: Sample, reference: Sample, error_rate: float) -> float | None:
    """Return the smallest difference of means that these seeds show with probability ``POWER``, in the metric's unit.

    A difference is shown at half the ``error_rate``, since spreads are looked at too. None where no error can be told.
    """
    if new.n > 1 and reference.n > 1:
        _, error, degrees = (float(one) for one in equivalence.welch(new, reference))
    else:
        pooled, freedom = equivalence.pooled_error(new, reference)
        error, degrees = float(pooled), float(freedom)
    if not (error > 0 and degrees > 0):
        return None
    return (_t(degrees, 1 - error_rate / 4) + _t(degrees, POWER)) * error


def detectable_ratio(new: Sample, reference: Sample, error_rate: float, floor: float) -> float | None:
    """Return the smallest ratio of spreads (above 1) that these seeds show with probability ``POWER``.

    None where the test's smallest p value, ``floor``, is above half the ``error_rate``, so that no ratio is shown, or
    where nothing varies.
    """
    if new.n < 3 or reference.n < 3 or floor > error_rate / 2:
        return None
    if not (float(new.variance) > 0 and float(reference.variance) > 0):
        return None
    log_error = math.sqrt(_log_variance(new, reference, new.n) + _log_variance(new, reference, reference.n))
    degrees = min(new.n, reference.n) - 1
    exponent = (_t(degrees, 1 - error_rate / 4) + _t(degrees, POWER)) * log_error
    return math.exp(exponent) if exponent < 100 else None


def seeds_needed(new: Sample, reference: Sample, margins: Margins, each: bool) -> int | None:
    """Return how many new seeds would show equivalence with probability ``POWER`` if the reproduction is true.

    The reference stays as it is, or, with ``each``, has as many seeds. Spread and tails are taken from the values at
    hand, alike on both sides, and are no better known than those values are few. None where the reference does not
    vary, where no error can be told, or where more than ``MOST`` would be needed.
    """
    if new.n < 3 or reference.n < 3 or not (float(new.variance) > 0 and float(reference.variance) > 0):
        return None
    std = math.sqrt(
        (float(new.variance) * (new.n - 1) + float(reference.variance) * (reference.n - 1)) / (new.n + reference.n - 2)
    )
    in_std = margins.mean if margins.unit == "std" else None
    margin = margins.mean if in_std is not None else margins.mean / std
    weights = [0.0, 0.0]
    if in_std is not None:
        weights = [float(equivalence.margin_weight(new, reference, sign, in_std)) for sign in (1.0, -1.0)]
    known = reference.values is not None
    relative = float(spread.relative_variance(new, reference)) if known else 0.0

    def enough(n: int) -> bool:
        m = n if each else reference.n
        critical = _t(n + m - 2, 1 - margins.error_rate)
        mean = -1.0
        for weight in weights:
            error = math.sqrt(max(1 / n + (1 + weight) / m, 1e-12))
            noise = math.sqrt(1 / n + 1 / m)
            mean += float(special.ndtr((margin - critical * error) / noise))
        if known:
            ratio = margins.spread
            distances = ((ratio - 1) / math.sqrt(relative * (1 / n + ratio**2 / m)),
                         (ratio - 1) / math.sqrt(relative * (ratio**2 / n + 1 / m)))  # fmt: skip
        else:
            error = math.sqrt(_log_variance(new, reference, n) + _log_variance(new, reference, m))
            distances = (math.log(margins.spread) / error,) * 2
        like = sum(float(special.ndtr(distance - critical)) for distance in distances) - 1
        return max(mean, 0.0) * max(like, 0.0) >= POWER

    return _least(enough, 3)


def _least(enough: Callable[[int], bool], start: int) -> int | None:
    """The smallest number from ``start`` on that is enough, of those up to ``MOST``."""
    if not enough(MOST):
        return None
    low, high = start - 1, MOST
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _log_variance(new: Sample, reference: Sample, n: int) -> float:
    if reference.values is None:
        return float(spread.log_variances(new, n))
    return float(spread.relative_variance(new, reference)) / n


def _t(degrees: float, probability: float) -> float:
    return float(np.asarray(special.stdtrit(degrees, probability)))
