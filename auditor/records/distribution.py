"""What fresh seeds say of a reference: its numbers, the margins, the published rule and the calibrated verdict."""

from __future__ import annotations

import math
from typing import Literal

import msgspec

Outcome = Literal["reached", "not-reached", "inconclusive"]
Shown = Literal["equivalent", "different", "open"]


class Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a sample's finite values amount to.

    ``n`` counts the finite values, ``nonfinite`` the NaN and infinite ones, which enter no figure here and are never
    dropped in silence. ``std`` divides by n − ``ddof``; ``sem`` is ``std``/√n; ``low`` and ``high`` bound the mean by
    Student's t with ``confidence``. None where there are too few values, or where a figure would overflow.
    """

    n: int
    mean: float | None
    std: float | None
    sem: float | None
    low: float | None
    high: float | None
    confidence: float = 0.95
    ddof: int = 1
    nonfinite: int = 0


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the new seeds are held against: mean, standard deviation (n − 1) and the values where they are known.

    Raises ValueError where that cannot be: no seeds, a negative or non-finite figure, values that are not ``n`` or not
    finite.
    """

    mean: float
    std: float
    n: int
    values: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse what describes no sample."""
        if self.n < 1:
            raise ValueError(f"a reference needs at least one seed, not {self.n}")
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std >= 0):
            raise ValueError(f"a reference needs a finite mean and std, not {self.mean} ± {self.std}")
        if self.values is not None and (len(self.values) != self.n or not all(map(math.isfinite, self.values))):
            raise ValueError(f"a reference of {self.n} seeds needs as many finite values")


class Margins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far apart two distributions may be and still count as the same, and how often a verdict may be wrong.

    ``mean`` is the largest difference of means, in standard deviations of the reference, or, with ``unit`` "metric", in
    the metric's own unit. ``spread`` is the largest ratio of spreads, either way. ``error_rate`` bounds both the chance
    of rejecting a true reproduction and that of accepting one that is at a margin.

    Raises ValueError for a margin that nothing could meet, or an error rate outside (0, 0.5).
    """

    mean: float = 1.0
    spread: float = 2.0
    unit: Literal["std", "metric"] = "std"
    error_rate: float = 0.05

    def __post_init__(self) -> None:
        """Refuse margins that nothing can meet."""
        if not (math.isfinite(self.mean) and self.mean > 0):
            raise ValueError(f"the margin of the mean must be above 0, not {self.mean}")
        if not (math.isfinite(self.spread) and self.spread > 1):
            raise ValueError(f"the margin of the spread is a ratio above 1, not {self.spread}")
        if not 0 < self.error_rate < 0.5:
            raise ValueError(f"the error rate must lie between 0 and 0.5, not {self.error_rate}")


class PublishedRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rule as it stands: the new mean within ±2·SEM of the reference's, the new std within ±20 % of it.

    ``mean_low`` … ``std_high`` are the bounds (inclusive), ``mean`` and ``std`` the new seeds' figures, None where
    there are none. ``chance_*`` is the probability that a true reproduction with as many normal seeds passes: of the
    mean, of the std, of both; None where the rule cannot be applied.
    """

    verdict: Outcome
    reason: str
    mean: float | None
    mean_low: float
    mean_high: float
    std: float | None
    std_low: float
    std_high: float
    mean_passes: bool | None
    std_passes: bool | None
    chance_mean: float | None
    chance_std: float | None
    chance_both: float | None


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One half of the calibrated verdict: the mean (a difference, new − reference) or the spread (a ratio).

    ``low`` and ``high`` bound the ``estimate`` such that equivalence is shown where they lie inside the margin (two
    one-sided tests, each at the error rate). ``p_equivalent`` and ``p_different`` are the p values of equivalence and
    of a difference. ``detectable`` is the smallest difference (or ratio) that these seeds would have shown four times
    in five. ``method`` names the tests. None where it cannot be computed.
    """

    shown: Shown
    estimate: float | None
    low: float | None
    high: float | None
    margin_low: float
    margin_high: float
    p_equivalent: float | None
    p_different: float | None
    detectable: float | None
    method: str


class Calibrated(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The verdict that keeps its error rates.

    ``reached``: mean and spread are both shown to be within their margins. ``not-reached``: a difference is shown
    (``p_different``, over mean and spread together, at most the error rate). ``inconclusive``: neither.

    ``seeds_needed`` is how many new seeds (in all) would show equivalence four times in five if the reproduction is
    true and the reference stays as it is, None where no number would; ``seeds_needed_each`` where the reference gets as
    many. ``unusable`` names the seeds whose metric is NaN or infinite.
    """

    verdict: Outcome
    reason: str
    mean: Part
    spread: Part
    p_different: float | None
    error_rate: float
    seeds_needed: int | None
    seeds_needed_each: int | None
    unusable: tuple[int, ...] = ()


class MetricSeeds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One metric of the new seeds, held against its reference.

    ``values_by_seed`` has NaN and infinities as the strings ``nan``, ``inf`` and ``-inf``. ``draws`` is the seed of the
    random arrangements, where there were too many to try all of them.
    """

    name: str
    values_by_seed: dict[int, float | str]
    new: Summary
    reference: Reference
    margins: Margins
    published: PublishedRule
    calibrated: Calibrated
    draws: int


class CurvePoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two learning curves at one point: their means, and the p value adjusted for looking at every point.

    ``p_equivalent`` is that of the difference being within the margin at this point; None where it cannot be computed.
    ``low`` and ``high`` bound the difference (new − reference) simultaneously over all points; None where nothing
    bounds it.
    """

    at: float
    new_mean: float
    reference_mean: float
    p_adjusted: float
    p_equivalent: float | None
    low: float | None
    high: float | None


class Curves(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whole learning curves of new seeds held against those of a reference.

    ``p_different`` is the p value of the largest difference (Welch's t) over all points, ``first_different`` the first
    point at which the curves are shown to differ at ``error_rate``. They are ``reached`` where the difference is shown
    to be within ±``margin`` (in the metric's unit) at every single point. ``unusable`` names the seeds whose curve is
    not finite throughout.
    """

    verdict: Outcome
    reason: str
    p_different: float | None
    first_different: float | None
    margin: float
    points: tuple[CurvePoint, ...]
    error_rate: float
    arrangements: int
    exact: bool
    unusable: tuple[int, ...] = ()
