"""Whole learning curves: are those of fresh seeds the reference's, with every point looked at and answered for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from auditor.records.distribution import CurvePoint, Curves, Margins
from auditor.statistics import equivalence
from auditor.statistics.resampling import CHUNK, Arrangements, arrangements, mean_statistics
from auditor.statistics.summaries import Array, sample


def hold_curves(
    new: Mapping[int, Sequence[float]],
    reference: Sequence[Sequence[float]],
    at: Sequence[float],
    margins: Margins,
    seed: int,
) -> Curves:
    """Hold the curves of new seeds (seed: one value a point) against the reference's, at the points ``at``.

    The statistic is the largest |Welch's t| over all points; arrangements of whole curves say how large it gets by
    chance, so that neighbouring points may depend on one another as they like. A margin in std is in units of the
    reference's root mean square std over the points. A curve that is not finite throughout is named and left out, and
    rules ``reached`` out. ``seed`` is that of the random arrangements.

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
    margin = margins.mean
    if margins.unit == "std":
        margin *= float(np.sqrt(second.variance.mean()))
    # Where neither side varies at a point the error is 0, whatever the critical value.
    half = np.where(error > 0, critical * np.where(error > 0, error, 1.0), 0.0)
    within = bool(margin > 0 and (np.abs(difference) + half < margin).all())
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
        widest = float((np.abs(difference) + half).max())
        bound = f"; at the widest point they may be {widest:.3g} apart" if math.isfinite(widest) else ""
        verdict = "inconclusive"
        reason = f"These seeds show neither that the curves are within ±{margin:.3g} nor that they differ{bound}."
    points = tuple(
        CurvePoint(
            at=float(at[index]),
            new_mean=float(first.mean[index]),
            reference_mean=float(second.mean[index]),
            p_adjusted=float(adjusted[index]),
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
