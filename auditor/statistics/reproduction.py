"""Whether fresh seeds reproduce a reference: one metric, by the published rule and by tests with known error rates."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
from scipy import special

from auditor.records.distribution import Calibrated, Margins, MetricSeeds, Part, Reference, Shown
from auditor.statistics import equivalence, planning, resampling, rule, spread
from auditor.statistics.resampling import Arrangements
from auditor.statistics.summaries import KURTOSIS, Array, Sample, published, sample, scale, summarise


@dataclass(frozen=True)
class Assessment:
    """The p values of a comparison, or of a batch of comparisons (each of the batch's shape).

    ``*_equivalent`` of mean and spread being within their margins, ``*_different`` of their differing; NaN where the
    samples are too small for the test.
    """

    mean_equivalent: Array
    mean_different: Array
    spread_equivalent: Array
    spread_different: Array

    @property
    def different(self) -> Array:
        """The p value of a difference in either, by Bonferroni's inequality (1 where neither could be tested)."""
        both = np.fmin(self.mean_different, self.spread_different)
        p: Array = np.minimum(1.0, 2 * np.where(np.isnan(both), 1.0, both))
        return p

    def reached(self, error_rate: float) -> Array:
        """Where mean and spread are both shown to be equivalent (0 or 1)."""
        both: Array = np.maximum(self.mean_equivalent, self.spread_equivalent)
        return np.where(both <= error_rate, 1.0, 0.0)

    def not_reached(self, error_rate: float) -> Array:
        """Where a difference is shown, and not equivalence (0 or 1)."""
        return np.where((self.different <= error_rate) & (self.reached(error_rate) == 0), 1.0, 0.0)


def assess(new: Sample, reference: Sample, margins: Margins, among: Arrangements | None) -> Assessment:
    """Test new seeds against a reference; ``among`` are the arrangements, which are needed where its values are known.

    A difference of means is judged by permutation; where the observed arrangement is the most extreme that there is,
    permutation cannot tell by how much, and the larger of Welch's and Student's p values stands if it is smaller. A
    difference of spreads is judged by permutation alone. Without the reference's values both are by formula.
    """
    margin, in_std = _margin(reference, margins)
    mean_different = equivalence.difference_p(new, reference)
    if reference.values is None or new.values is None:
        spread_different = spread.difference_p(new, reference)
    else:
        assert among is not None  # the caller's contract
        permuted = resampling.permuted_mean_p(new.values, reference.values, among)
        extreme = permuted <= among.floor * (1 + 1e-9)
        mean_different = np.where(extreme, np.fmin(permuted, mean_different), permuted)
        spread_different = resampling.permuted_spread_p(new.values, reference.values, among)
    return Assessment(
        mean_equivalent=equivalence.equivalence_p(new, reference, margin, in_std),
        mean_different=mean_different,
        spread_equivalent=spread.equivalence_p(new, reference, margins.spread),
        spread_different=spread_different,
    )


def hold(
    name: str,
    new: Mapping[int, float],
    reference: Reference,
    margins: Margins,
    seed: int,
    missing: Sequence[int] = (),
) -> MetricSeeds:
    """Hold one metric of the new seeds (seed: value) against its reference.

    Values that are not finite are named, enter no mean, and rule ``reached`` out, by either rule; so do seeds that were
    asked for and have no value, which are ``missing``. ``seed`` is that of the random
    arrangements, which are drawn where there are more than ``resampling.EXACT_UP_TO``; the order of the seeds does not
    matter.
    """
    ordered = dict(sorted(new.items()))
    finite = tuple(float(value) for value in ordered.values() if math.isfinite(value))
    unusable = tuple(key for key, value in ordered.items() if not math.isfinite(value))
    summary = summarise(tuple(ordered.values()))
    return MetricSeeds(
        name=name,
        values_by_seed={key: _shown(float(value)) for key, value in ordered.items()},
        new=summary,
        reference=reference,
        margins=margins,
        published=rule.apply(summary, reference, unusable, missing),
        calibrated=_complete(_calibrated(finite, unusable, reference, margins, seed), missing),
        draws=seed,
    )


def _complete(calibrated: Calibrated, missing: Sequence[int]) -> Calibrated:
    """The verdict where seeds are missing: equivalence of those that are left is not that of all."""
    if not missing or calibrated.verdict != "reached":
        return calibrated
    named = rule.seeds_named(missing, len(missing))
    reason = f"There is no value for {named}. Of the others: {calibrated.reason}"
    return msgspec.structs.replace(calibrated, verdict="inconclusive", reason=reason)


def _calibrated(
    finite: tuple[float, ...], unusable: tuple[int, ...], reference: Reference, margins: Margins, seed: int
) -> Calibrated:
    rate = margins.error_rate
    lost = resampling.shared_nonfinite_p(len(unusable), len(finite) + len(unusable), reference.n) if unusable else None
    if not finite:
        mean = _untested(_mean_bounds(reference, margins), "none: no finite value")
        like = _untested((1 / margins.spread, margins.spread), "none: no finite value")
        return _concluded(mean, like, None, lost, unusable, margins, (None, None))
    # Of the same size, so that no square leaves the floats.
    factor = scale([*finite, reference.mean, reference.std, *(reference.values or ())])
    new = sample([value / factor for value in finite])
    if reference.values is not None:
        other = sample([value / factor for value in reference.values])
    else:
        other = published(reference.mean / factor, reference.std / factor, reference.n)
    scaled = margins if margins.unit == "std" else Margins(margins.mean / factor, margins.spread, "metric", rate)
    among = None
    if reference.values is not None:
        among = resampling.arrangements(new.n, other.n, np.random.default_rng(seed))
    assessed = assess(new, other, scaled, among)
    mean = _mean_part(new, other, scaled, assessed, among, factor)
    like = _spread_part(new, other, margins, assessed, among)
    different = float(assessed.different)
    needed = planning.seeds_needed(new, other, scaled, False), planning.seeds_needed(new, other, scaled, True)
    return _concluded(mean, like, different, lost, unusable, margins, needed)


def _concluded(
    mean: Part,
    like: Part,
    different: float | None,
    lost: float | None,
    unusable: tuple[int, ...],
    margins: Margins,
    needed: tuple[int | None, int | None],
) -> Calibrated:
    rate = margins.error_rate
    if lost is not None:  # one more test to answer for
        different = min(1.0, 1.5 * different, 3 * lost) if different is not None else lost
    equivalent = mean.shown == like.shown == "equivalent"
    constant = mean.estimate == 0.0 and like.estimate is None and like.p_different == 1.0
    names = ", ".join(str(seed) for seed in unusable)
    if different is not None and different <= rate and not (equivalent and (lost is None or 3 * lost > rate)):
        verdict, reason = "not-reached", _difference_said(mean, like, different, lost, names)
    elif unusable:
        verdict = "inconclusive"
        reason = f"The metric is not finite for seed{'s' if len(unusable) > 1 else ''} {names}."
    elif equivalent:
        verdict, reason = "reached", f"{_mean_said(mean, 'within')}, and {_spread_said(like, 'within')}."
    elif constant:
        verdict = "inconclusive"
        reason = "Every seed gave the same value here and in the reference, so that nothing tells how it varies."
    else:
        verdict, reason = "inconclusive", _open_said(mean, like, needed)
    return Calibrated(
        verdict=verdict,  # type: ignore[arg-type]  # one of Outcome
        reason=reason,
        mean=mean,
        spread=like,
        p_different=different,
        error_rate=rate,
        seeds_needed=needed[0],
        seeds_needed_each=needed[1],
        unusable=unusable,
    )


def _mean_part(
    new: Sample, reference: Sample, margins: Margins, assessed: Assessment, among: Arrangements | None, factor: float
) -> Part:
    rate = margins.error_rate
    margin, in_std = _margin(reference, margins)
    difference = float(new.mean - reference.mean)
    low = high = None
    if new.n > 1 and reference.n > 1:
        degrees = float(equivalence.welch(new, reference)[2])
        if degrees > 0:
            critical = -float(special.stdtrit(degrees, rate))
            high = difference + critical * float(equivalence.equivalence_error(new, reference, 1.0, in_std))
            low = difference - critical * float(equivalence.equivalence_error(new, reference, -1.0, in_std))
    p_equivalent, p_different = _known(assessed.mean_equivalent), _known(assessed.mean_different)
    test = "Welch's and Student's t" if new.n > 1 and reference.n > 1 else "prediction interval (Student's t)"
    if among is not None:
        extreme = float(assessed.mean_different) < among.floor
        test = f"{_permutation(among)} of Welch's t" + (f", the most extreme; {test}" if extreme else "")
    detectable = planning.detectable_mean(new, reference, rate)
    return Part(
        shown=_shown_by(p_equivalent, p_different, rate),
        estimate=difference * factor,
        low=None if low is None else _finite(low * factor),
        high=None if high is None else _finite(high * factor),
        margin_low=0.0 - float(margin) * factor,
        margin_high=float(margin) * factor,
        p_equivalent=p_equivalent,
        p_different=p_different,
        detectable=None if detectable is None else _finite(detectable * factor),
        method=f"two one-sided t tests, unequal variances; difference: {test}",
    )


def _spread_part(
    new: Sample, reference: Sample, margins: Margins, assessed: Assessment, among: Arrangements | None
) -> Part:
    rate = margins.error_rate
    known = among is not None
    low, high = (0.0, math.inf) if new.n < 3 or reference.n < 3 else spread.interval(new, reference, rate)
    p_equivalent, p_different = _known(assessed.spread_equivalent), _known(assessed.spread_different)
    method = (
        f"two one-sided Brown-Forsythe tests of a ratio; difference: {_permutation(among)} of the ratio of std"
        if among is not None
        else f"two one-sided tests of log std, kurtosis of at least {KURTOSIS:g} assumed; difference: the same"
    )
    estimate = float(spread.ratio(new, reference)) if new.n > 1 and reference.n > 1 else math.nan
    return Part(
        shown=_shown_by(p_equivalent, p_different, rate),
        estimate=_finite(estimate),
        low=low if low > 0 else None,
        high=_finite(high),
        margin_low=1 / margins.spread,
        margin_high=margins.spread,
        p_equivalent=p_equivalent,
        p_different=p_different,
        detectable=planning.detectable_ratio(new, reference, rate, among.floor if known and among else 0.0),
        method=method,
    )


def _untested(bounds: tuple[float, float], method: str) -> Part:
    return Part("open", None, None, None, bounds[0], bounds[1], None, None, None, method)


def _margin(reference: Sample, margins: Margins) -> tuple[Array, float | None]:
    """The margin of the mean as a number of the metric's unit; and in std of the reference, where it is that."""
    if margins.unit == "metric":
        return np.full(np.shape(reference.mean), margins.mean), None
    return margins.mean * np.sqrt(np.where(np.isnan(reference.variance), 0.0, reference.variance)), margins.mean


def _mean_bounds(reference: Reference, margins: Margins) -> tuple[float, float]:
    margin = margins.mean * (reference.std if margins.unit == "std" else 1.0)
    return 0.0 - margin, margin


def _shown_by(p_equivalent: float | None, p_different: float | None, rate: float) -> Shown:
    """What one half shows; a difference at half the error rate, since the other half is looked at too."""
    if p_equivalent is not None and p_equivalent <= rate:
        return "equivalent"
    return "different" if p_different is not None and 2 * p_different <= rate else "open"


def _permutation(among: Arrangements) -> str:
    count = len(among.first)
    return f"exact permutation ({count:,} arrangements)" if among.exact else f"permutation ({count - 1:,} random draws)"


def _difference_said(mean: Part, like: Part, different: float, lost: float | None, names: str) -> str:
    said = []
    if mean.shown == "different":
        said.append(_mean_said(mean, "beyond"))
    if like.shown == "different":
        said.append(_spread_said(like, "beyond"))
    if lost is not None and (not said or 3 * lost <= different):
        said.append(f"the metric is not finite for seeds {names}, and is for all of the reference")
    text = "; ".join(said) or "mean and spread together differ"
    return f"{text[:1].upper()}{text[1:]} (p = {different:.2g})."


def _mean_said(mean: Part, how: str) -> str:
    assert mean.estimate is not None  # something was shown of it
    side = "above" if mean.estimate > 0 else "below"
    interval = f" ({mean.low:.3g} to {mean.high:.3g})" if mean.low is not None and mean.high is not None else ""
    text = f"The mean is {abs(mean.estimate):.3g} {side} the reference's{interval}"
    if how == "within":
        return f"{text}, shown to be within ±{mean.margin_high:.3g}"
    return f"{text}, shown to differ"


def _spread_said(like: Part, how: str) -> str:
    if like.estimate is None:
        return "the spread is shown to differ"
    interval = f" ({like.low:.3g} to {like.high:.3g})" if like.low is not None and like.high is not None else ""
    text = f"the spread is {like.estimate:.3g} times the reference's{interval}"
    if how == "within":
        return f"{text}, shown to be within {like.margin_low:.3g} to {like.margin_high:.3g}"
    return f"{text}, shown to differ"


def _open_said(mean: Part, like: Part, needed: tuple[int | None, int | None]) -> str:
    both = [name for name, part in (("the mean", mean), ("the spread", like)) if part.shown != "equivalent"]
    text = (
        f"These seeds show neither that {' and '.join(both)} {'is' if len(both) == 1 else 'are'} within the margin nor"
    )
    text += " a difference"
    if mean.detectable is not None:
        text += f"; they would have shown one of {mean.detectable:.3g} in the mean four times in five"
    new, each = needed
    if new is not None:
        return f"{text}. {new:,} new seeds in all would settle a true reproduction."
    if each is not None:
        return (
            f"{text}. No number of new seeds would settle it with so few in the reference; {each:,} on each side would."
        )
    return f"{text}."


def _known(p: Array) -> float | None:
    return None if math.isnan(float(p)) else float(p)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _shown(value: float) -> float | str:
    """A value as records hold it: JSON knows no NaN and no infinities."""
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
