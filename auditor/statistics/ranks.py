"""Rank tests of several methods over blocks: Friedman, Kendall's W, Nemenyi, Wilcoxon with Holm, and their power."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from auditor.statistics import distributions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# A row for each block, with a value for each method; lower values have lower ranks.
Table = Sequence[Sequence[float]]

_EXACT_UP_TO = 50  # pairs; beyond it the normal approximation of the signed-rank sum is good to three digits


class Friedman(NamedTuple):
    """Friedman's test: are the ranks of the methods more alike over the blocks than chance makes them?

    ``statistic`` is corrected for ties and, where the methods do not differ, about chi-squared with ``df`` degrees of
    freedom; ``p`` is by that distribution. ``iman_davenport`` and ``p_iman_davenport`` are the F form, less timid with
    few blocks. ``kendall_w`` (0 to 1) is the agreement of the blocks. ``mean_ranks`` has 1 for the lowest value.
    """

    statistic: float
    df: int
    p: float
    kendall_w: float
    iman_davenport: float
    p_iman_davenport: float
    mean_ranks: tuple[float, ...]


class SignedRank(NamedTuple):
    """Wilcoxon's signed-rank test of differences: the smaller sum of ranks, and the two-sided p value.

    ``pairs`` counts the differences that are not zero, the only ones that count. ``exact`` says whether the p value is
    by the exact distribution given the ties, or by the normal approximation.
    """

    statistic: float
    p: float
    pairs: int
    exact: bool


def midranks(values: Sequence[float]) -> list[float]:
    """Ranks from 1, in the order of ``values``; equal values share the mean of their ranks."""
    ordered = sorted(values)
    count = Counter(values)
    first: dict[float, int] = {}
    for place, value in enumerate(ordered, 1):
        first.setdefault(value, place)
    return [first[value] + (count[value] - 1) / 2 for value in values]


def mean_ranks(table: Table) -> tuple[float, ...]:
    """The mean rank of each method over the blocks."""
    rows = [midranks(row) for row in table]
    return tuple(math.fsum(column) / len(rows) for column in zip(*rows, strict=True))


def friedman(table: Table) -> Friedman:
    """Friedman's test (Friedman, 1937; the F form by Iman and Davenport, 1980).

    Raises ValueError for fewer than 3 methods or 2 blocks, values that are not finite, or blocks all of ties.
    """
    blocks, methods = _shape(table, least_methods=3)
    means = mean_ranks(table)
    ties = sum(_ties(row) for row in table)
    spread = 1 - ties / (blocks * (methods**3 - methods))
    if spread <= 0:
        raise ValueError("every block is one tie: there are no ranks to compare")
    squares = math.fsum((blocks * mean) ** 2 for mean in means)
    raw = 12 / (blocks * methods * (methods + 1)) * squares - 3 * blocks * (methods + 1)
    statistic = max(raw / spread, 0.0)
    df = methods - 1
    kendall = min(statistic / (blocks * df), 1.0)
    # Where all blocks agree the F form divides by zero: no other arrangement is as extreme.
    f = math.inf if kendall >= 1 else (blocks - 1) * kendall / (1 - kendall)
    p_f = 0.0 if math.isinf(f) else distributions.f_sf(f, df, df * (blocks - 1))
    return Friedman(statistic, df, distributions.chi2_sf(statistic, df), kendall, f, p_f, means)


def largest_statistic(blocks: int, methods: int) -> float:
    """Friedman's statistic where all blocks agree: no data of this size can give more."""
    return float(blocks * (methods - 1))


def nemenyi(table: Table, first: int, second: int) -> float:
    """The p value of two methods (columns) among all of ``table`` by Nemenyi's test.

    Their mean ranks are compared by the studentized range (Demšar, *Statistical comparisons of classifiers over
    multiple data sets*, JMLR 7, 2006). Raises ValueError as ``friedman`` does.
    """
    blocks, methods = _shape(table, least_methods=2)
    means = mean_ranks(table)
    q = abs(means[first] - means[second]) / _scale(blocks, methods) * math.sqrt(2)
    return distributions.studentized_range_sf(q, methods)


def critical_difference(blocks: int, methods: int, alpha: float = 0.05) -> float:
    """How far apart two mean ranks must be to differ at ``alpha`` by Nemenyi's test."""
    return distributions.studentized_range_quantile(alpha, methods) / math.sqrt(2) * _scale(blocks, methods)


def bonferroni_dunn_difference(blocks: int, methods: int, alpha: float = 0.05) -> float:
    """How far a mean rank must be from that of one control to differ at ``alpha`` by Bonferroni and Dunn's test."""
    # Two normal values: their range over √2 is the absolute value of one.
    z = distributions.studentized_range_quantile(alpha / (methods - 1), 2) / math.sqrt(2)
    return z * _scale(blocks, methods)


def wilcoxon(differences: Sequence[float], method: str = "auto") -> SignedRank:
    """Wilcoxon's signed-rank test, two-sided; differences of zero are left out, as he did.

    ``auto`` takes the exact distribution, given the ties, up to 50 pairs and the normal approximation (corrected for
    ties, without continuity correction) beyond; ``exact`` and ``asymptotic`` ask for one of them. Without any
    difference p is 1. Raises ValueError for values that are not finite.
    """
    if not all(map(math.isfinite, differences)):
        raise ValueError("differences must be finite")
    kept = [one for one in differences if one != 0]
    pairs = len(kept)
    if pairs == 0:
        return SignedRank(0.0, 1.0, 0, True)
    ranks = midranks([abs(one) for one in kept])
    positive = math.fsum(rank for rank, one in zip(ranks, kept, strict=True) if one > 0)
    statistic = min(positive, math.fsum(ranks) - positive)
    if method == "exact" or (method == "auto" and pairs <= _EXACT_UP_TO):
        return SignedRank(statistic, min(2 * _signed_rank_cdf(ranks, statistic), 1.0), pairs, True)
    mean = pairs * (pairs + 1) / 4
    variance = (pairs * (pairs + 1) * (2 * pairs + 1) - _ties(ranks) / 2) / 24
    z = (positive - mean) / math.sqrt(variance)
    return SignedRank(statistic, 2 * distributions.normal_cdf(-abs(z)), pairs, False)


def _signed_rank_cdf(ranks: Sequence[float], statistic: float) -> float:
    """The chance that the ranks with random signs have a positive sum of at most ``statistic``, counted exactly."""
    # The counts of sign patterns by their sum (doubled: midranks may end in a half) are the coefficients of a
    # polynomial, the product of 1 + x^rank. One whole number holds it, with room for a count (at most 2^pairs) in every
    # place.
    room = len(ranks) + 1
    counts = 1
    for rank in ranks:
        counts += counts << (room * round(2 * rank))
    low = counts & ((1 << (room * (round(2 * statistic) + 1))) - 1)
    # The sum of the digits of a number is its remainder by base − 1.
    patterns: int = low % ((1 << room) - 1)
    return patterns / (1 << len(ranks))


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Holm's adjusted p values, in the order given: the chance of any false finding among all of them stays bounded."""
    order = sorted(range(len(p)), key=lambda index: p[index])
    adjusted = [0.0] * len(p)
    largest = 0.0
    for place, index in enumerate(order):
        largest = max(largest, min((len(p) - place) * p[index], 1.0))
        adjusted[index] = largest
    return tuple(adjusted)


def wilcoxon_holm(table: Table) -> dict[tuple[int, int], float]:
    """The p values of all pairs of methods (columns, the lower one first) by Wilcoxon's test, corrected by Holm."""
    _, methods = _shape(table, least_methods=2)
    columns = list(zip(*table, strict=True))
    pairs = [(i, j) for i in range(methods) for j in range(i + 1, methods)]
    p = [wilcoxon([a - b for a, b in zip(columns[i], columns[j], strict=True)]).p for i, j in pairs]
    return dict(zip(pairs, holm(p), strict=True))


def blocks_needed(
    kendall_w: float, blocks: int, methods: int, alpha: float = 0.05, power: float = 0.8, most: int = 10_000
) -> int | None:
    """How many blocks Friedman's test needs to reject with probability ``power``, if the blocks agree as these do.

    The agreement is the mean correlation between blocks, (b·W − 1)/(b − 1), since W of few blocks is large by chance;
    the power is that of the noncentral chi-squared distribution. None where they agree no more than by chance, or
    where more than ``most`` would be needed.
    """
    if blocks < 2:
        return None
    agreement = (blocks * kendall_w - 1) / (blocks - 1)
    if agreement <= 0:
        return None
    df = methods - 1
    critical = distributions.chi2_quantile(alpha, df)

    def enough(count: int) -> bool:
        # The statistic's mean is df·(1 + (count − 1)·agreement), the distribution's is df + its noncentrality.
        return distributions.noncentral_chi2_sf(critical, df, df * (count - 1) * agreement) >= power

    return least_number(enough, most)


def least_number(enough: Callable[[int], bool], most: int) -> int | None:
    """The least number from 2 to ``most`` that is enough, where more can only help; None for no number."""
    high = 2
    while not enough(high):
        if high == most:
            return None
        high = min(2 * high, most)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def simulate_friedman(
    means: NDArray[np.float64],
    stds: NDArray[np.float64],
    seeds: int,
    simulations: int,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Friedman's statistic in simulated studies, shape (simulations,).

    ``means`` and ``stds`` have shape (groups, methods), such as data sets by methods: in every study each method gets
    ``seeds`` normal values in each group, and the blocks are group × seed. Raises ValueError for a single block.
    """
    import numpy as np

    groups, methods = means.shape
    blocks = groups * seeds
    if blocks < 2 or methods < 3:
        raise ValueError(f"at least 3 methods and 2 blocks are needed, not {methods} and {blocks}")
    drawn = generator.standard_normal((simulations, groups, seeds, methods))
    values = (means[:, None, :] + stds[:, None, :] * drawn).reshape(simulations, blocks, methods)
    # Methods that depend on no seed can tie one another; the order of the columns settles it then.
    ranks = values.argsort(axis=2, kind="stable").argsort(axis=2) + 1.0
    sums = ranks.sum(axis=1)
    statistic: NDArray[np.float64] = 12 / (blocks * methods * (methods + 1)) * (sums**2).sum(axis=1) - 3 * blocks * (
        methods + 1
    )
    return np.maximum(statistic, 0.0)


def _scale(blocks: int, methods: int) -> float:
    """The standard deviation of a difference of two mean ranks where the methods do not differ."""
    return math.sqrt(methods * (methods + 1) / (6 * blocks))


def _shape(table: Table, least_methods: int) -> tuple[int, int]:
    blocks, methods = len(table), len(table[0]) if table else 0
    if methods < least_methods or blocks < 2:
        raise ValueError(f"at least {least_methods} methods and 2 blocks are needed, not {methods} and {blocks}")
    if not all(math.isfinite(value) for row in table for value in row):
        raise ValueError("values must be finite")
    return blocks, methods


def _ties(row: Sequence[float]) -> int:
    """The sum over groups of equal values of t³ − t."""
    return sum(count**3 - count for count in Counter(row).values() if count > 1)
