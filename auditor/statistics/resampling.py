"""Exact and random permutation tests: how often a mere rearrangement of the seeds differs as much as they do."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from auditor.statistics.summaries import Array, sample

EXACT_UP_TO = 20_000
DRAWS = 9_999
CHUNK = 4_000_000  # numbers held at a time


@dataclass(frozen=True)
class Arrangements:
    """Which of the n + m values go to the first sample, one arrangement a row (shape: arrangements, n + m; 0 or 1).

    The first row is the arrangement that was observed. ``exact`` where the rows are all arrangements that there are.
    """

    first: Array
    n: int
    m: int
    exact: bool

    @property
    def floor(self) -> float:
        """The smallest p value of a two-sided test: where the sizes are equal, swapping the samples changes nothing."""
        return (2 if self.exact and self.n == self.m else 1) / len(self.first)


def arrangements(
    n: int, m: int, generator: np.random.Generator, exact_up_to: int = EXACT_UP_TO, draws: int = DRAWS
) -> Arrangements:
    """Return all arrangements of n + m values if there are at most ``exact_up_to``, else the observed and ``draws``."""
    total = math.comb(n + m, n)
    if total <= exact_up_to:
        rows = np.zeros((total, n + m))
        chosen = np.array(list(combinations(range(n + m), n)), dtype=np.intp)
        rows[np.arange(total)[:, None], chosen] = 1.0
        return Arrangements(rows, n, m, True)
    observed = np.concatenate([np.ones(n), np.zeros(m)])
    drawn = generator.permuted(np.broadcast_to(observed, (draws, n + m)), axis=1)
    return Arrangements(np.concatenate([observed[None], drawn]), n, m, False)


def permuted_mean_p(new: Array, reference: Array, among: Arrangements) -> Array:
    """Return the two-sided p values of a difference of means, by Welch's statistic over ``among`` (shape: batch).

    ``new`` has the shape (batch…, n) and ``reference`` (batch…, m). Where samples are exchangeable the p value is exact
    whatever their distribution; being studentised, the test also holds asymptotically for unequal spreads (Chung
    and Romano 2013). With a single value on a side the pooled variance takes the place of its own.
    """
    return _p(np.concatenate([new, reference], axis=-1), among, _squared_t)


def permuted_spread_p(new: Array, reference: Array, among: Arrangements) -> Array:
    """Return the two-sided p values of a ratio of standard deviations over ``among`` (shape: batch); NaN below n = 2.

    The larger of two: of the values as they are, which is exact where the samples are exchangeable; and of their
    deviations from their own means, so that a difference of means is not taken for one of spreads.
    """
    if among.n < 2 or among.m < 2:
        return np.full(new.shape[:-1], np.nan)
    centred = [side - sample(side).mean[..., None] for side in (new, reference)]
    raw = _p(np.concatenate([new, reference], axis=-1), among, _log_ratio)
    return np.maximum(raw, _p(np.concatenate(centred, axis=-1), among, _log_ratio))


def shared_nonfinite_p(nonfinite: int, n: int, m: int) -> float:
    """Return the exact p value of all ``nonfinite`` values being among the n new seeds and none among the m others."""
    return math.comb(n, nonfinite) / math.comb(n + m, nonfinite)


class _Moments:
    """Means and variances of both samples, arrangement by arrangement (shape: arrangements, batch)."""

    def __init__(self, rows: Array, pooled: Array, n: int, m: int) -> None:
        squares = pooled**2
        sums, sums_of_squares = rows @ pooled, rows @ squares
        total, total_of_squares = pooled.sum(axis=0), squares.sum(axis=0)
        self.n, self.m = n, m
        self.mean = sums / n
        self.other_mean = (total - sums) / m
        self.within = _cleared(sums_of_squares - n * self.mean**2)
        self.other_within = _cleared(total_of_squares - sums_of_squares - m * self.other_mean**2)


def _cleared(sum_of_squares: Array) -> Array:
    """What rounding leaves of 0 is 0, or equal values would differ by arrangement; the values are at most 1."""
    return np.where(sum_of_squares < 1e-13, 0.0, sum_of_squares)


def _squared_t(moments: _Moments) -> Array:
    n, m = moments.n, moments.m
    if n > 1 and m > 1:
        error = moments.within / (n * (n - 1)) + moments.other_within / (m * (m - 1))
    else:
        error = (moments.within + moments.other_within) * (1 / n + 1 / m)
    squared = (moments.mean - moments.other_mean) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic: Array = np.where(squared == 0.0, 0.0, squared / error)
    return statistic


def _log_ratio(moments: _Moments) -> Array:
    variance, other = moments.within / (moments.n - 1), moments.other_within / (moments.m - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic: Array = np.where(variance == other, 0.0, np.abs(np.log(variance) - np.log(other)))
    return statistic


def mean_statistics(pooled: Array, among: Arrangements) -> Array:
    """Return Welch's t² of each arrangement, the observed one first (shape: arrangements, batch).

    ``pooled`` has the n new values and then the m others along its first axis (shape: n + m, batch).
    """
    return _squared_t(_Moments(among.first, _standard(pooled), among.n, among.m))


def _standard(pooled: Array) -> Array:
    """The pooled values (n + m, batch) about their mean and at most 1: neither changes a statistic, but rounding."""
    centred = pooled - pooled.mean(axis=0)
    largest = np.abs(centred).max(axis=0)
    standard: Array = centred / np.where(largest == 0.0, 1.0, largest)
    return standard


def _p(pooled: Array, among: Arrangements, statistic: Callable[[_Moments], Array]) -> Array:
    """The share of arrangements whose statistic is at least the observed one, rounding errors left aside."""
    size = among.n + among.m
    columns = _standard(pooled.reshape(-1, size).T)
    width = max(1, CHUNK // len(among.first))
    parts = []
    for start in range(0, columns.shape[1], width):
        values = statistic(_Moments(among.first, columns[:, start : start + width], among.n, among.m))
        parts.append((values >= values[0] * (1 - 1e-9) - 1e-12).mean(axis=0))
    return np.concatenate(parts).reshape(pooled.shape[:-1])
