"""The published rule, ±2·SEM for the mean and ±20 % for the std, and how often it passes a true reproduction."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import special

from auditor.records.distribution import PublishedRule, Reference, Summary

SEMS = 2.0
STD_SHARE = 0.2
_NODES = 200
_LISTED = 5


def chances(n: int, m: int) -> tuple[float, float, float]:
    """Return the probabilities that a true reproduction passes: of the mean, of the std, and of both.

    ``n`` new normal values and ``m`` of the reference, all from one distribution. The mean rule is a bound on Student's
    t with m − 1 degrees of freedom, since the SEM is the reference's own; the std rule is one on Fisher's F; given the
    reference's std the two are independent, and are integrated over its distribution (Gauss-Legendre, accurate to
    1e-10). Raises ValueError where either has a single value.
    """
    if n < 2 or m < 2:
        raise ValueError(f"the rule needs two values on each side, not {n} and {m}")
    bound = SEMS / math.sqrt(m) / math.sqrt(1 / n + 1 / m)
    low, high = (1 - STD_SHARE) ** 2, (1 + STD_SHARE) ** 2
    of_mean = 1 - 2 * float(special.stdtr(m - 1, -bound))
    of_std = float(special.fdtr(n - 1, m - 1, high) - special.fdtr(n - 1, m - 1, low))
    # Over the quantiles of the reference's variance, stretched so that their ends are met smoothly.
    nodes, weights = _legendre()
    u = (nodes + 1) / 2
    quantiles, density = u**3 * (10 - 15 * u + 6 * u**2), 30 * u**2 * (1 - u) ** 2
    variance = 2 * special.gammaincinv((m - 1) / 2, quantiles) / (m - 1)
    near = 1 - 2 * special.ndtr(-bound * np.sqrt(variance))
    similar = special.chdtr(n - 1, high * variance * (n - 1)) - special.chdtr(n - 1, low * variance * (n - 1))
    of_both = float((weights / 2 * density * near * similar).sum())
    return of_mean, of_std, of_both


@functools.cache
def _legendre() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return nodes, weights


def apply(
    new: Summary, reference: Reference, unusable: Sequence[int] = (), missing: Sequence[int] = ()
) -> PublishedRule:
    """Return what the published rule says of the new seeds; bounds are inclusive, as the rule has it.

    It is about all seeds that were asked for: inconclusive where a side has fewer than two values, where a new value is
    not finite (of the seeds ``unusable``), and where seeds are ``missing``.
    """
    sem = reference.std / math.sqrt(reference.n)
    mean_low, mean_high = reference.mean - SEMS * sem, reference.mean + SEMS * sem
    std_low, std_high = reference.std * (1 - STD_SHARE), reference.std * (1 + STD_SHARE)
    applies = new.n > 1 and reference.n > 1
    chance = chances(new.n, reference.n) if applies else (None, None, None)
    mean_passes = mean_low <= new.mean <= mean_high if applies and new.mean is not None else None
    std_passes = std_low <= new.std <= std_high if applies and new.std is not None else None
    if mean_passes is None or std_passes is None:
        verdict, reason = "inconclusive", "The rule needs the mean and the std of two seeds or more on each side."
    else:
        said = [
            f"the mean {new.mean:.6g} is {'' if mean_passes else 'not '}within {reference.mean:.6g} ± {SEMS * sem:.3g}",
            f"the std {new.std:.3g} is {'' if std_passes else 'not '}within {std_low:.3g} to {std_high:.3g}",
        ]
        reason = f"{said[0][:1].upper()}{said[0][1:]}, and {said[1]}."
        verdict = "reached" if mean_passes and std_passes else "not-reached"
        if chance[2] is not None:
            reason += f" With so many seeds it passes {100 * chance[2]:.0f} % of true reproductions."
    lacks = [
        *([f"the metric is not finite for {seeds_named(unusable, new.nonfinite)}"] if new.nonfinite else []),
        *([f"there is no value for {seeds_named(missing, len(missing))}"] if missing else []),
    ]
    if lacks:
        asked = new.n + new.nonfinite + len(missing)
        verdict = "inconclusive"
        reason += f" That is {new.n} of {asked} seeds, and the rule asks for all of them: {', and '.join(lacks)}."
    return PublishedRule(
        verdict=verdict,  # type: ignore[arg-type]  # one of Outcome
        reason=reason,
        mean=new.mean,
        mean_low=mean_low,
        mean_high=mean_high,
        std=new.std,
        std_low=std_low,
        std_high=std_high,
        mean_passes=mean_passes,
        std_passes=std_passes,
        chance_mean=chance[0],
        chance_std=chance[1],
        chance_both=chance[2],
    )


def seeds_named(seeds: Sequence[int], count: int) -> str:
    """``seed 3`` or ``seeds 3, 4``; how many where it is not known which."""
    if not seeds:
        return f"{count} seed{'' if count == 1 else 's'}"
    listed = ", ".join(map(str, seeds[:_LISTED])) + (
        f" and {len(seeds) - _LISTED} more" if len(seeds) > _LISTED else ""
    )
    return f"seed{'' if len(seeds) == 1 else 's'} {listed}"
