"""Whole learning curves: are those of fresh seeds the reference's, with every point looked at and answered for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from scipy import special

from auditor.records.distribution import CurvePoint, Curves, Margins
from auditor.statistics import equivalence
from auditor.statistics.resampling import CHUNK, Arrangements, arrangements, mean_statistics
from auditor.statistics.summaries import Array, Sample, sample


def hold_curves(
    new: Mapping[int, Sequence[float]],
    reference: Sequence[Sequence[float]],
    at: Sequence[float],
    margins: Margins,
    seed: int,
) -> Curves:
    """Hold the curves of new seeds (seed: one value a point) against the reference's, at the points ``at``.

    The statistic is the largest |Welch's t| over all points; arrangements of whole curves say how large it gets by
    chance, so that neighbouring points may depend on one another as they like. Equivalence must be shown at every
    point, each at the error rate: being wrong about one is enough to be wrong, so that no correction is needed. A
    margin in std is in units of the reference's root mean square std over the points. A curve that is not finite
    throughout is named and left out, and rules ``reached`` out. ``seed`` is that of the random arrangements.

    Raises ValueError where curves have another length than ``at``, or a reference's curve is not finite.
    """
    if any(len(curve) != len(at) for curve in (*new.values(), *reference)):
        raise ValueError(f"every curve needs a value for each of the {len(at)} points")
    others = np.array(reference, dtype=np.float64).reshape(len(reference), len(at))
    if not np.isfinite(others).all():
        raise ValueError("the curves of a reference need finite values")
    usable = {key: curve for key, curve in sorted(new.items()) if all(map(math.isfinite, curve))}
    unusable = tuple(key for key in sorted(new) if key not in usable)
    rate = margins.error_rate
    if len(usable) < 2 or len(reference) < 2 or not len(at):
        reason = "Curves are compared at one point or more, with two finite curves or more on each side."
        return Curves("inconclusive", reason, None, None, 0.0, (), rate, 0, False, unusable)
    curves = np.array(list(usable.values()), dtype=np.float64)
    among = arrangements(len(curves), len(others), np.random.default_rng(seed))
    adjusted, critical = max_t(curves, others, among, rate)
    first, second = sample(curves.T), sample(others.T)
    difference, error, _ = equivalence.welch(first, second)
    # Where neither side varies at a point the error is 0, whatever the critical value.
    half = np.where(error > 0, critical * np.where(error > 0, error, 1.0), 0.0)
    margin, equivalent = equivalence_p(first, second, margins)
    within = bool((equivalent <= rate).all())
    p = float(adjusted.min())
    differing = np.flatnonzero(adjusted <= rate)
    first_different = float(at[int(differing[0])]) if differing.size else None
    if first_different is not None and not within:
        verdict = "not-reached"
        reason = (
            f"The curves are shown to differ, first at {first_different:g} (p = {p:.2g} over all {len(at):,} points)."
        )
    elif unusable:
        named = ", ".join(str(one) for one in unusable)
        verdict, reason = "inconclusive", f"The curve is not finite throughout for seed {named}."
    elif within:
        verdict = "reached"
        reason = f"The curves are shown to be within ±{margin:.3g} of one another at all {len(at):,} points."
    else:
        shown = int((equivalent <= rate).sum())
        verdict = "inconclusive"
        reason = (
            f"These seeds show no difference, and equivalence (±{margin:.3g}) at {shown:,} of {len(at):,} points only."
        )
    points = tuple(
        CurvePoint(
            at=float(at[index]),
            new_mean=float(first.mean[index]),
            reference_mean=float(second.mean[index]),
            p_adjusted=float(adjusted[index]),
            p_equivalent=_finite(equivalent[index]),
            low=_finite(difference[index] - half[index]),
            high=_finite(difference[index] + half[index]),
        )
        for index in range(len(at))
    )
    return Curves(
        verdict=verdict,  # type: ignore[arg-type]  # one of Outcome
        reason=reason,
        p_different=p,
        first_different=first_different,
        margin=margin,
        points=points,
        error_rate=rate,
        arrangements=len(among.first),
        exact=among.exact,
        unusable=unusable,
    )


def equivalence_p(new: Sample, reference: Sample, margins: Margins) -> tuple[float, Array]:
    """Return the margin in the metric's unit, and each point's p value of the means being less than that apart.

    The samples are those of the points (shape: points, seeds). A margin in std moves with the reference's curves, all
    points together; its error, and that it goes with the mean's, is in the p values as it is for a single number.
    """
    if margins.unit == "metric":
        margin = np.asarray(margins.mean)
        return margins.mean, equivalence.equivalence_p(new, reference, margin, None)
    assert new.values is not None and reference.values is not None  # curves are given by their values
    typical = float(np.sqrt(reference.variance.mean()))
    difference, error, degrees = equivalence.welch(new, reference)
    base = np.maximum(error, equivalence.pooled_error(new, reference)[0]) ** 2
    sides = []
    for sign in (1.0, -1.0):
        own, other = (_influence(side, typical, sign * margins.mean) for side in (new, reference))
        weight = np.maximum(other / (reference.n - 1), (own + other) / (new.n + reference.n - 2))
        with_margin = np.sqrt(np.maximum(base + weight * typical**2 / reference.n, 0.0))
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = (sign * difference - margins.mean * typical) / with_margin
            sides.append(np.where(error > 0, special.stdtr(degrees, statistic), 1.0))
    p: Array = np.maximum(*sides)
    return margins.mean * typical, p


def _influence(side: Sample, typical: float, in_std: float) -> Array:
    """Summed over the seeds, at each point: 2·r·φ + φ², with φ the influence of a seed's curve on the margin."""
    assert side.values is not None  # curves are given by their values
    residuals = (side.values - side.mean[:, None]) / (typical or 1.0)
    influence = in_std * ((residuals**2).mean(axis=0) - 1) / 2
    summed: Array = (2 * residuals * influence + influence**2).sum(axis=1)
    return summed


def max_t(new: Array, reference: Array, among: Arrangements, error_rate: float) -> tuple[Array, float]:
    """Return each point's p value over the largest |t| of all points, and the |t| that it exceeds at ``error_rate``.

    ``new`` has the shape (n, points) and ``reference`` (m, points). Single-step adjustment (Westfall and Young 1993):
    the family-wise error is exact where whole curves are exchangeable. The critical value is inf where the arrangements
    are too few for the rate.
    """
    pooled = np.concatenate([new, reference])
    largest, parts = np.zeros(len(among.first)), []
    width = max(1, CHUNK // len(among.first))
    for start in range(0, pooled.shape[1], width):
        squared = mean_statistics(pooled[:, start : start + width], among)
        largest = np.maximum(largest, squared.max(axis=1))
        parts.append(squared[0])
    observed, ordered = np.concatenate(parts), np.sort(largest)
    at_least = len(ordered) - np.searchsorted(ordered, observed * (1 - 1e-9) - 1e-12, side="left")
    adjusted: Array = at_least / len(ordered)
    allowed = math.floor(error_rate * len(ordered) + 1e-9)
    critical = math.inf if among.floor > error_rate else math.sqrt(float(ordered[len(ordered) - allowed]))
    return adjusted, critical


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
