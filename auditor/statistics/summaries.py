"""What a sample amounts to: its size, mean, standard deviation and interval; nothing that is not finite is dropped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from auditor.records.distribution import Reference, Summary

Array = npt.NDArray[np.float64]
# The kurtosis that is assumed at least where the reference's values are not known: a normal distribution has 3, an
# exponential one 9. docs/statistics.md says what errors follow from less.
KURTOSIS = 12.0


@dataclass(frozen=True)
class Sample:
    """One side of a comparison, or a whole batch of them at once.

    ``mean`` and ``variance`` (divided by n − 1; NaN where n is 1) have the shape of the batch, ``values`` one axis
    more, the last, of length ``n``; ``values`` is None where only mean, std and n were published.
    """

    mean: Array
    variance: Array
    n: int
    values: Array | None = None


def sample(values: npt.ArrayLike) -> Sample:
    """Return the sample that finite ``values`` (shape: batch…, n) are.

    Deviations are taken from the first value, so that a sample of equal values has a variance of exactly 0.
    """
    array = np.asarray(values, dtype=np.float64)
    n = array.shape[-1]
    first = array[..., :1]
    deviations = array - first
    centre = deviations.mean(axis=-1, keepdims=True)
    residuals = deviations - centre
    variance = (residuals**2).sum(axis=-1) / (n - 1) if n > 1 else np.full(array.shape[:-1], np.nan)
    return Sample((first + centre)[..., 0], variance, n, array)


def published(mean: npt.ArrayLike, std: npt.ArrayLike, n: int) -> Sample:
    """Return the sample of which only the mean, the std (n − 1) and the size are known."""
    variance = np.asarray(std, dtype=np.float64) ** 2 if n > 1 else np.full(np.shape(std), np.nan)
    return Sample(np.asarray(mean, dtype=np.float64), variance, n)


def summarise(values: Sequence[float], confidence: float = 0.95) -> Summary:
    """Return what ``values`` amount to; those that are not finite are counted apart.

    Figures are computed on values scaled by a power of two, so that none overflows on the way; one that does in the end
    is None. Raises ValueError for a confidence outside (0, 1).
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    finite = [float(value) for value in values if math.isfinite(value)]
    n, nonfinite = len(finite), len(values) - len(finite)
    if not n:
        return Summary(0, None, None, None, None, None, confidence, nonfinite=nonfinite)
    factor = scale(finite)
    scaled = [value / factor for value in finite]
    mean = math.fsum(value - scaled[0] for value in scaled) / n + scaled[0]
    if n == 1:
        return Summary(1, finite[0], None, None, None, None, confidence, nonfinite=nonfinite)
    shift = math.fsum(value - scaled[0] for value in scaled) / n
    std = math.sqrt(math.fsum((value - scaled[0] - shift) ** 2 for value in scaled) / (n - 1))
    sem = std / math.sqrt(n)
    half = float(special.stdtrit(n - 1, 0.5 + confidence / 2)) * sem
    return Summary(
        n=n,
        mean=_unscaled(mean, factor),
        std=_unscaled(std, factor),
        sem=_unscaled(sem, factor),
        low=_unscaled(mean - half, factor),
        high=_unscaled(mean + half, factor),
        confidence=confidence,
        nonfinite=nonfinite,
    )


def reference_of(values: Sequence[float]) -> Reference:
    """Return the reference that the finite ``values`` of its seeds are (std 0.0 for a single one).

    Raises ValueError for no values, or one that is not finite.
    """
    summary = summarise(values)
    if summary.nonfinite or summary.mean is None:
        raise ValueError("a reference needs finite values")
    return Reference(summary.mean, summary.std or 0.0, summary.n, tuple(float(value) for value in values))


def scale(values: Sequence[float]) -> float:
    """Return the power of two to divide ``values`` by: 1.0 but for magnitudes whose squares leave the floats."""
    largest = max((abs(value) for value in values), default=0.0)
    if largest == 0.0 or 1e-100 < largest < 1e100:
        return 1.0
    return math.ldexp(1.0, math.frexp(largest)[1] - 1)


def _unscaled(figure: float, factor: float) -> float | None:
    value = figure * factor
    return value if math.isfinite(value) else None
