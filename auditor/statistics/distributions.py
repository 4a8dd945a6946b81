"""Tails and quantiles of the distributions that tests need, in plain Python: to import scipy would take longer."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable


def normal_cdf(x: float) -> float:
    """The chance that a standard normal value is at most ``x``."""
    return math.erfc(-x / math.sqrt(2)) / 2


def t_sf(t: float, df: float) -> float:
    """The chance that Student's t with ``df`` > 0 degrees of freedom (any real number) exceeds ``t``."""
    square = t * t
    tail = _beta(df / 2, 0.5, df / (df + square), square / (df + square)) / 2
    return tail if t >= 0 else 1 - tail


@functools.lru_cache(maxsize=4096)
def t_quantile(tail: float, df: float) -> float:
    """What Student's t exceeds with probability ``tail`` (above 0, at most a half)."""
    return _falling(lambda t: t_sf(t, df), tail)


def f_sf(f: float, df_above: float, df_below: float) -> float:
    """The chance that Fisher's F exceeds ``f`` ≥ 0."""
    whole = df_below + df_above * f
    return _beta(df_below / 2, df_above / 2, df_below / whole, df_above * f / whole)


def chi2_sf(x: float, df: int) -> float:
    """The chance that chi-squared with a whole number ``df`` ≥ 1 of degrees of freedom exceeds ``x``; a finite sum."""
    if x <= 0:
        return 1.0
    half = x / 2
    # Γ(s + 1, x) = s Γ(s, x) + x^s e^−x, from Γ(1, x) or Γ(1/2, x) on: all terms are positive, none cancels.
    term = math.exp(-half) if df % 2 == 0 else math.exp(-half) * math.sqrt(half) / math.gamma(1.5)
    total = 0.0 if df % 2 == 0 else math.erfc(math.sqrt(half))
    power = 0.0 if df % 2 == 0 else 0.5
    while power < df / 2 - 0.25:
        total += term
        power += 1
        term *= half / power
    return min(total, 1.0)


@functools.lru_cache(maxsize=4096)
def chi2_quantile(tail: float, df: int) -> float:
    """What chi-squared exceeds with probability ``tail``."""
    return _falling(lambda x: chi2_sf(x, df), tail)


def noncentral_chi2_sf(x: float, df: int, noncentrality: float) -> float:
    """The chance that noncentral chi-squared exceeds ``x``: the central ones, mixed as Poisson has it."""
    half = noncentrality / 2
    below, weight, seen, count = 0.0, math.exp(-half), 0.0, 0
    if weight == 0.0:
        # Beyond half = 745 nothing that a test of size 5 % could ask for is left below its critical value.
        return 1.0 if x < noncentrality / 2 else math.nan
    while seen < 1 - 1e-15 and count < 10_000:
        below += weight * (1 - chi2_sf(x, df + 2 * count))
        seen += weight
        count += 1
        weight *= half / count
        if weight < 1e-18 and count > half:
            break
    return min(max(1 - below, 0.0), 1.0)


def noncentral_t_sf(t: float, df: float, noncentrality: float) -> float:
    """The chance that noncentral t exceeds ``t`` > 0: Φ(noncentrality − t·s), integrated over s = chi / √df."""
    # Over u = log s the integrand is smooth and dies away on both sides, where the trapezoidal rule is all but exact.
    # Beyond t·s = noncentrality + 9 nothing is left of Φ.
    low = -40 / df - 12 / math.sqrt(2 * df)
    high = min(math.log1p(14 / math.sqrt(2 * df)), math.log((abs(noncentrality) + 9) / t))
    step = min(0.05, 0.25 / math.sqrt(2 * df), 0.25 / max(t * math.exp(high), 1.0))
    if high <= low:
        return 0.0
    constant = math.log(2) + df / 2 * math.log(df / 2) - math.lgamma(df / 2)
    total = 0.0
    for place in range(math.ceil((high - low) / step) + 1):
        u = low + place * step
        s = math.exp(u)
        density = math.exp(constant + df * u - df * s * s / 2)
        total += density * normal_cdf(noncentrality - t * s)
    return min(total * step, 1.0)


def studentized_range_sf(q: float, groups: int) -> float:
    """The chance that the range of ``groups`` ≥ 2 standard normal values exceeds ``q`` (known variance)."""
    if q <= 0:
        return 1.0
    # P(range <= q) = k ∫ φ(z) [Φ(z) − Φ(z − q)]^(k−1) dz, and k ∫ φ Φ^(k−1) = 1: what is lost is summed as such, so
    # that small probabilities keep their digits. The trapezoidal rule is all but exact for so smooth an integrand.
    step, total = 0.05, 0.0
    for place in range(-180, 181):
        z = place * step
        whole = normal_cdf(z)
        lost = whole ** (groups - 1) - (whole - normal_cdf(z - q)) ** (groups - 1)
        total += math.exp(-z * z / 2) * lost
    return min(max(groups * total * step / math.sqrt(2 * math.pi), 0.0), 1.0)


@functools.lru_cache(maxsize=4096)
def studentized_range_quantile(tail: float, groups: int) -> float:
    """What the range of ``groups`` standard normal values exceeds with probability ``tail``."""
    return _falling(lambda q: studentized_range_sf(q, groups), tail)


def _falling(tail_of: Callable[[float], float], tail: float) -> float:
    """Where a falling function of x ≥ 0 takes the value ``tail``, to the last digits; ValueError outside (0, 1)."""
    if not 0 < tail < 1:
        raise ValueError(f"a probability lies between 0 and 1, not {tail}")
    low, high = 0.0, 1.0
    while tail_of(high) > tail:
        low, high = high, 2 * high
    while True:
        middle = (low + high) / 2
        if middle in (low, high) or high - low < 1e-14 * high:
            return middle
        low, high = (middle, high) if tail_of(middle) > tail else (low, middle)


def _beta(a: float, b: float, x: float, rest: float) -> float:
    """The regularized incomplete beta function at ``x``, where ``rest`` is 1 − x to full precision."""
    if x <= 0:
        return 0.0
    if rest <= 0:
        return 1.0
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log(rest))
    # The continued fraction converges fast on this side of the mean, and the other side is its mirror image.
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, rest) / b


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method."""
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for part in (even, odd):
            d = 1 + part * d
            d = 1 / (d if abs(d) > tiny else tiny)
            c = 1 + part / c
            c = c if abs(c) > tiny else tiny
            value *= c * d
        if abs(c * d - 1) < 1e-16:
            break
    return value
