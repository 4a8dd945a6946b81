"""Is one mean below another? The difference against its noise, and how many seeds would tell."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from auditor.statistics.distributions import noncentral_t_sf, t_quantile, t_sf
from auditor.statistics.ranks import least_number

LEAST = 3
"""The seeds of each method from which on the tests of two means keep their rates, whatever the seeds' shape."""


class Seeds(NamedTuple):
    """What the seeds of one method amount to: how many, their mean and their standard deviation (n − 1)."""

    n: int
    mean: float
    std: float


class Difference(NamedTuple):
    """The first mean minus the second, by Welch's test (variances unknown and not assumed equal).

    ``p`` is two-sided, ``low`` and ``high`` bound the difference with confidence 1 − alpha. Where neither varies at all
    ``p`` is 0 for any difference and 1 for none, ``df`` infinite.
    """

    difference: float
    standard_error: float
    df: float
    p: float
    low: float
    high: float


def seeds_of(values: Sequence[float]) -> Seeds:
    """The summary of at least two finite values; raises ValueError otherwise."""
    if len(values) < 2 or not all(map(math.isfinite, values)):
        raise ValueError("at least two finite values are needed")
    mean = math.fsum(values) / len(values)
    return Seeds(len(values), mean, math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)))


def enough(first: Seeds, second: Seeds) -> bool:
    """Whether there are seeds enough of both to be told apart: ``LEAST``, or none that vary."""
    return all(one.n >= LEAST or one.std == 0 for one in (first, second))


def welch(first: Seeds, second: Seeds, alpha: float = 0.05) -> Difference:
    """Welch's t test of two summaries of at least two values each (Welch, Biometrika 34, 1947)."""
    difference = first.mean - second.mean
    error = _standard_error(first, second)
    if error == 0:
        return Difference(difference, 0.0, math.inf, 0.0 if difference else 1.0, difference, difference)
    df = _degrees(first, second)
    p = 2 * t_sf(abs(difference) / error, df)
    half = t_quantile(alpha / 2, df) * error
    return Difference(difference, error, df, p, difference - half, difference + half)


def student_p(first: Seeds, second: Seeds) -> float:
    """The two-sided p value of Student's t test, whose variances are assumed equal and pooled; both sides vary."""
    degrees = first.n + second.n - 2
    pooled = math.hypot(math.sqrt(first.n - 1) * first.std, math.sqrt(second.n - 1) * second.std) / math.sqrt(degrees)
    error = pooled * math.hypot(1 / math.sqrt(first.n), 1 / math.sqrt(second.n))
    return 2 * t_sf(abs(first.mean - second.mean) / error, degrees)


def judged_p(first: Seeds, second: Seeds) -> float:
    """What an order is judged by: Welch's p value, or Student's where that is larger.

    With as many seeds on both sides it is always Welch's. With few against many it errs more often than it promises
    where seeds are skewed: few seeds that by chance have missed the tail have a tiny variance, and Welch believes it.
    """
    p = welch(first, second).p
    return max(p, student_p(first, second)) if first.n != second.n and first.std > 0 and second.std > 0 else p


def interval(seeds: Seeds, confidence: float = 0.95) -> tuple[float, float]:
    """The interval of a mean by Student's t."""
    half = t_quantile((1 - confidence) / 2, seeds.n - 1) * seeds.std / math.sqrt(seeds.n)
    return seeds.mean - half, seeds.mean + half


def hedges_g(first: Seeds, second: Seeds) -> float | None:
    """The difference in pooled standard deviations, corrected for small samples (Hedges, 1981); None without noise."""
    df = first.n + second.n - 2
    pooled = math.sqrt(((first.n - 1) * first.std**2 + (second.n - 1) * second.std**2) / df)
    if pooled == 0:
        return None
    correction = math.exp(math.lgamma(df / 2) - math.lgamma((df - 1) / 2)) / math.sqrt(df / 2) if df > 1 else 1.0
    return correction * (first.mean - second.mean) / pooled


def power(difference: float, first: Seeds, second: Seeds, alpha: float = 0.05) -> float:
    """The chance that Welch's test finds ``difference`` in its own direction, if the standard deviations are these.

    By the noncentral t distribution, with Welch's degrees of freedom taken as known.
    """
    error = _standard_error(first, second)
    if error == 0:
        return 1.0 if difference else 0.0
    df = _degrees(first, second)
    critical = t_quantile(alpha / 2, df)
    return noncentral_t_sf(critical, df, abs(difference) / error)


def seeds_needed(
    difference: float, first: Seeds, second: Seeds, alpha: float = 0.05, wanted: float = 0.8, most: int = 10_000
) -> int | None:
    """How many seeds each side needs to find ``difference`` with probability ``wanted``; None beyond ``most``."""

    def enough(count: int) -> bool:
        return power(difference, first._replace(n=count), second._replace(n=count), alpha) >= wanted

    return None if difference == 0 else least_number(enough, most)


def smallest_detectable(first: Seeds, second: Seeds, alpha: float = 0.05, wanted: float = 0.8) -> float:
    """The difference that this many seeds find with probability ``wanted``, if the standard deviations are these."""
    error = _standard_error(first, second)
    if error == 0:
        return 0.0
    low, high = 0.0, error
    while power(high, first, second, alpha) < wanted:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle, first, second, alpha) < wanted else (low, middle)
    return high


def permutation_p(first: Sequence[float], second: Sequence[float], most: int = 20_000) -> float | None:
    """The two-sided p value of the difference of means over all ways to deal the values out to the two sides.

    None where there are more than ``most`` of them. Equal up to rounding counts as equal.
    """
    values = [*first, *second]
    if math.comb(len(values), len(first)) > most:
        return None
    total = math.fsum(values)
    centre = total * len(first) / len(values)
    seen = abs(math.fsum(first) - centre)
    slack = 1e-12 * max(math.fsum(map(abs, values)), 1e-300)
    counts = [abs(math.fsum(chosen) - centre) >= seen - slack for chosen in itertools.combinations(values, len(first))]
    return sum(counts) / len(counts)


def _standard_error(first: Seeds, second: Seeds) -> float:
    return math.hypot(first.std / math.sqrt(first.n), second.std / math.sqrt(second.n))


def _degrees(first: Seeds, second: Seeds) -> float:
    """Welch and Satterthwaite's degrees of freedom; one side at least must vary."""
    whole = _standard_error(first, second)
    # Shares of the whole, not squares of what may be tiny: those would vanish.
    shares = [(one.std / math.sqrt(one.n) / whole) ** 2 for one in (first, second)]
    return 1 / sum(share**2 / (one.n - 1) for share, one in zip(shares, (first, second), strict=True))


def pairs_needed(mean: float, std: float, alpha: float = 0.05, wanted: float = 0.8, most: int = 10_000) -> int | None:
    """How many paired differences with this mean and standard deviation show that they are not zero.

    By the power of the paired t test, divided by 3/π, what a signed-rank test keeps of it for normal differences. None
    for more than ``most``.
    """
    if mean == 0:
        return None
    if std == 0:
        return 2

    def enough(count: int) -> bool:
        critical = t_quantile(alpha / 2, count - 1)
        return noncentral_t_sf(critical, count - 1, abs(mean) / std * math.sqrt(count)) >= wanted

    found = least_number(enough, most)
    return None if found is None else math.ceil(found * math.pi / 3)
