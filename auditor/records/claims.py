"""A ledger of claims, what was measured for it, and what became of each claim."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import msgspec

SCHEMA = "auditor.claims/1"

Status = Literal["supported", "not-supported", "contradicted", "cannot-be-checked"]
# What a claim is about: a label (``dataset``, ``method``, ``metric``, ``seed`` or any other) and its value or values.
Of = dict[str, str | int | tuple[str | int, ...]]
Figure = int | float | str | None
Measured = int | float | str | tuple[int | float | str, ...] | dict[str, Figure] | None


class Source(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where results lie: ``files``, a pattern with ``{label}`` in it, or ``table``, one file with a column per label.

    ``metrics`` maps a metric's name to the path inside the JSON (``test.rmse``) or to a column; a table's metrics are
    columns of their own name where it is left out. ``seed`` is the path of the seed inside each file where the pattern
    has none, ``columns`` maps a label to the column that holds it, ``set`` gives labels that nothing else tells, and
    ``row`` says which row of a CSV file that ``files`` names is its result.
    """

    files: str | None = None
    table: str | None = None
    metrics: dict[str, str] = {}
    seed: str | None = None
    columns: dict[str, str] = {}
    set: dict[str, str] = {}
    row: Literal["first", "last"] | None = None


class _Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What all claims have: what they are ``of``, and where the paper ``says`` so."""

    of: Of
    says: str = ""


class ValueClaim(_Claim, frozen=True, kw_only=True, tag="value"):
    """Printed figures of one method: ``two_sem`` is what is printed for ±2·SEM, ``scale`` a factor of the values.

    The standard deviation divides by n − ``ddof``, which is 1 where it is not said.
    """

    mean: Decimal | None = None
    std: Decimal | None = None
    n: int | None = None
    sem: Decimal | None = None
    two_sem: Decimal | None = None
    ddof: Literal[0, 1] | None = None
    scale: Decimal = Decimal(1)


class OrderClaim(_Claim, frozen=True, kw_only=True, tag="order"):
    """``better`` beats ``than``, in each of the groups (data sets) that the claim is of."""

    better: str
    than: str
    alpha: Decimal | None = None


class RankClaim(_Claim, frozen=True, kw_only=True, tag="rank"):
    """``best`` has the best mean rank over the blocks, and is shown to be better than every other."""

    best: str
    mean_rank: Decimal | None = None
    alpha: Decimal | None = None


class FriedmanClaim(_Claim, frozen=True, kw_only=True, tag="friedman"):
    """The methods differ by Friedman's test: ``p_below`` a level, or printed figures; ``best`` has the best rank."""

    p_below: Decimal | None = None
    p: Decimal | None = None
    statistic: Decimal | None = None
    best: str | None = None
    methods: int | None = None
    blocks: int | None = None


class PostHocClaim(_Claim, frozen=True, kw_only=True, tag="post-hoc"):
    """``better`` and ``than`` differ (or, with ``different = false``, do not) by a corrected test of all pairs."""

    test: Literal["nemenyi", "wilcoxon-holm"]
    better: str
    than: str
    p_below: Decimal | None = None
    p: Decimal | None = None
    different: bool = True


class AgreementClaim(_Claim, frozen=True, kw_only=True, tag="kendall-w"):
    """How far the blocks agree: Kendall's W as printed, or a bound for it."""

    w: Decimal | None = None
    w_above: Decimal | None = None


class CriticalDifferenceClaim(_Claim, frozen=True, kw_only=True, tag="critical-difference"):
    """The critical difference of mean ranks that is printed, at ``alpha``."""

    cd: Decimal
    alpha: Decimal | None = None
    methods: int | None = None
    blocks: int | None = None


Claim = ValueClaim | OrderClaim | RankClaim | FriedmanClaim | PostHocClaim | AgreementClaim | CriticalDifferenceClaim


class Ledger(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an author keeps beside a paper: sources of results, and claims.

    ``lower_is_better`` and ``higher_is_better`` name metrics; with the first alone all others are better when higher.
    ``seeds`` are those that were planned: one that is missing is a gap, others are left aside and named.
    ``deterministic`` names methods that depend on no seed. ``alpha`` is the error rate where a claim names none.
    """

    claim: tuple[Claim, ...] = ()
    results: tuple[Source, ...] = ()
    lower_is_better: tuple[str, ...] = ()
    higher_is_better: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None
    deterministic: tuple[str, ...] = ()
    alpha: Decimal = Decimal("0.05")


class Observation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number of one run: ``labels`` without seed and metric, and where it was read.

    ``seed`` is None where it is not recorded, ``value`` where there is no finite number: ``problem`` says why.
    """

    labels: dict[str, str]
    seed: int | None
    metric: str
    value: float | None
    source: str
    problem: str = ""


class Cell(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One method in one group (data set): its seeds' values, and their mean and standard deviation (n − 1).

    ``low`` and ``high`` bound the mean by Student's t at 95 %. ``values`` has the reason in place of what is
    no finite number. ``gaps`` are what is missing or wrong, ``notes`` what is odd. ``best`` where the mean is better
    than that of every other method in the group and shown to be: what may be printed bold.
    """

    labels: dict[str, str]
    method: str
    metric: str
    n: int
    mean: float | None
    std: float | None
    sem: float | None
    low: float | None
    high: float | None
    values: dict[str, float | str]
    gaps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    best: bool = False


class Ranking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The methods by mean rank over the blocks of one metric (1 is best), and what Friedman and Nemenyi say of them.

    ``alike`` lists the largest sets of methods within one critical difference.
    """

    metric: str
    blocks: int
    mean_ranks: dict[str, float]
    statistic: float
    p: float
    kendall_w: float
    critical_difference: float
    alpha: float
    alike: tuple[tuple[str, ...], ...]


class Judged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What became of a claim: ``claim`` is it in a sentence, ``measured`` what was computed from the files."""

    kind: str
    status: Status
    reason: str
    measured: dict[str, Measured]
    claim: str
    says: str = ""


class PowerPoint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Friedman's test with so many seeds: ``power`` by simulation, with its Monte-Carlo standard error.

    ``p_at_agreement`` is the p value if the blocks agree as far as those measured, ``least_w`` the least Kendall's W
    that reaches ``alpha``, ``least_p`` the p value if all blocks agree. None where there is no test at all.
    """

    seeds: int
    blocks: int
    power: float | None
    standard_error: float | None
    p_at_agreement: float | None
    least_w: float | None
    least_p: float | None
    says: Literal["none", "too few", "borderline", "enough"]


class OrderPower(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The power of one order claim in one group with 3, 4, … seeds of each method, at the difference measured."""

    claim: str
    difference: float
    power: dict[str, float]
    needed: int | None


class PowerStudy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many seeds Friedman's test of one metric needs.

    ``simulations`` studies per number of seeds were drawn from normal distributions by ``generator`` with ``seed``:
    each method with the means and standard deviations measured in each group, the differences between methods shrunk by
    the part of them that is the seeds' own noise. ``enough`` is the least number of seeds with power ``wanted``.
    """

    metric: str
    methods: int
    groups: tuple[str, ...]
    measured_seeds: int
    kendall_w: float
    alpha: float
    wanted: float
    simulations: int
    generator: str
    seed: int
    points: tuple[PowerPoint, ...]
    enough: int | None
    says: str


class RuleCurve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the published rule (mean within ±2·SEM, std within ±20 %) passes, where seeds are normal.

    ``true_*`` are the chances that a true reproduction passes (its mean, its std, both), for as many seeds on both
    sides as ``seeds`` says. ``passes`` are those of ``simulations`` simulated studies with ``measured_seeds`` on
    both sides whose mean is off by ``shifts`` standard deviations, drawn by ``generator`` with ``seed``.
    """

    seeds: tuple[int, ...]
    true_mean: tuple[float, ...]
    true_std: tuple[float, ...]
    true_both: tuple[float, ...]
    measured_seeds: int
    shifts: tuple[float, ...]
    passes: tuple[float, ...]
    simulations: int
    generator: str
    seed: int


class Power(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many seeds the claims of a ledger need: tests of many methods, orders of two, and what could not be told.

    ``rule`` is the operating characteristic of the published rule for reproductions with as many seeds as these.
    """

    studies: tuple[PowerStudy, ...]
    orders: tuple[OrderPower, ...]
    rule: RuleCurve | None
    notes: tuple[str, ...]


class ClaimsReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that a report of claims says, in the ledger's order."""

    claims: tuple[Judged, ...]
    results: tuple[Cell, ...]
    rankings: tuple[Ranking, ...]
    notes: tuple[str, ...]
    lower_is_better: tuple[str, ...]
    alpha: float
    power: Power | None = None
    schema: str = SCHEMA
