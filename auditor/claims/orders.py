"""Claims that one method beats another: the difference against its noise, in each group that the claim is of."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from auditor.claims.runs import Runs, seed_list, summary
from auditor.claims.values import Outcome
from auditor.records.claims import Measured, OrderClaim, Status, ValueClaim
from auditor.statistics import order

WANTED_POWER = 0.8
_RANK: dict[Status, int] = {"contradicted": 0, "not-supported": 1, "cannot-be-checked": 2, "supported": 3}


def judge(
    claim: OrderClaim,
    groups: Mapping[str, tuple[Runs | None, Runs | None]],
    absent: str,
    lower: bool,
    alpha: float,
    deterministic: Sequence[str],
) -> Outcome:
    """Hold an order against the runs of both methods, by group; ``absent`` says why there are none.

    In several groups the order must be shown in each of them, at ``alpha`` in each (no more false passes than with
    one); it is contradicted where the contrary is shown in any, at ``alpha`` over all of them together.
    """
    if not groups:
        return Outcome("cannot-be-checked", absent, {})
    outcomes = {
        name: _in_group(claim, pair, lower, alpha, alpha / len(groups), deterministic) for name, pair in groups.items()
    }
    if len(outcomes) == 1:
        return next(iter(outcomes.values()))
    worst = min(outcomes.values(), key=lambda one: _RANK[one.status])
    reason = "; ".join(f"{name or 'all'}: {one.reason}" for name, one in outcomes.items())
    measured: dict[str, Measured] = {"groups": tuple(outcomes)}
    for name, one in outcomes.items():
        measured |= {f"{name}.{figure}": value for figure, value in one.measured.items()}
    return Outcome(worst.status, reason, measured)


def _in_group(
    claim: OrderClaim,
    pair: tuple[Runs | None, Runs | None],
    lower: bool,
    alpha: float,
    alpha_against: float,
    deterministic: Sequence[str],
) -> Outcome:
    names = (claim.better, claim.than)
    gaps: list[str] = []
    notes: list[str] = []
    for name, runs in zip(names, pair, strict=True):
        if runs is None:
            gaps.append(f"there is no result of {name}")
            continue
        gaps += [f"{name}: {one}" for one in runs.problems]
        notes += [f"{name}: {one}" for one in runs.notes]
        if len(runs.finite) == 1 and name not in deterministic:
            gaps.append(f"{name}: a single seed, whose noise cannot be known")
        elif len(runs.finite) > 1 and not runs.varies and name not in deterministic:
            gaps.append(
                f"{name}: all {len(runs.finite)} seeds have the same value; if the method depends on no seed, name it "
                "in deterministic"
            )
    better, than = pair
    if better is not None and than is not None:
        gaps += _unequal(names, (better, than), deterministic)
    sides = [_seeds(name, runs, deterministic) for name, runs in zip(names, pair, strict=True)]
    first, second = sides
    if first is None or second is None:
        return Outcome("cannot-be-checked", "; ".join(dict.fromkeys(gaps + notes)), {})
    exact = None
    if better is not None and than is not None and min(len(better.finite), len(than.finite)) > 1:
        exact = order.permutation_p(better.finite, than.finite)
    found = _compared(claim, first, second, lower, alpha, alpha_against, exact)
    reason = "; ".join(dict.fromkeys([*gaps, found.reason, *notes]))
    return Outcome("cannot-be-checked" if gaps else found.status, reason, found.measured)


def _seeds(name: str, runs: Runs | None, deterministic: Sequence[str]) -> order.Seeds | None:
    if runs is None:
        return None
    if name in deterministic and len(runs.finite) == 1:
        return order.Seeds(2, runs.finite[0], 0.0)
    return summary(runs)


def _unequal(names: tuple[str, str], pair: tuple[Runs, Runs], deterministic: Sequence[str]) -> list[str]:
    """Seeds that one method has and the other lacks, where they share any: a run that failed may not be left out."""
    seeds = [set(runs.values) | {seed for seed in runs.broken if seed is not None} for runs in pair]
    said = []
    for name, mine, other_name, others in (
        (names[0], seeds[0], names[1], seeds[1]),
        (names[1], seeds[1], names[0], seeds[0]),
    ):
        missing = others - mine
        if mine & others and missing and name not in deterministic and other_name not in deterministic:
            said.append(
                f"{name}: no result for {seed_list(missing)}, which {other_name} has (name the planned ones in seeds)"
            )
    return said


def _compared(
    claim: OrderClaim,
    first: order.Seeds,
    second: order.Seeds,
    lower: bool,
    alpha: float,
    alpha_against: float,
    exact: float | None = None,
) -> Outcome:
    """Judge by Welch's test, or Student's where that is more careful; ``exact`` is what permutation says beside it."""
    found = order.welch(first, second, alpha)
    p = order.judged_p(first, second)
    gain = -found.difference if lower else found.difference
    needed = order.seeds_needed(found.difference, first, second, alpha, WANTED_POWER)
    enough = order.enough(first, second)
    if needed is not None and (first.std > 0 or second.std > 0):
        needed = max(needed, order.LEAST)
    detectable = order.smallest_detectable(first, second, alpha, WANTED_POWER)
    measured: dict[str, Measured] = {
        "mean_better": first.mean,
        "mean_than": second.mean,
        "std_better": first.std,
        "std_than": second.std,
        "n_better": first.n,
        "n_than": second.n,
        "difference": found.difference,
        "standard_error": found.standard_error,
        "df": found.df if math.isfinite(found.df) else None,
        "p": found.p,
        "low": found.low,
        "high": found.high,
        "hedges_g": order.hedges_g(first, second),
        "smallest_detectable": detectable,
        "seeds_needed": needed,
    }
    tests = f"Welch, p = {_p(found.p)}"
    if p > found.p:
        measured["p_student"] = p
        tests += f"; Student, which counts with sizes so unequal, p = {_p(p)}"
    if exact is not None:
        measured["p_permutation"] = exact
        tests += f"; permutation, p = {_p(exact)}"
    size = abs(found.difference)
    if found.standard_error == 0:
        noise = f"{claim.better} {first.mean:.5g} against {claim.than} {second.mean:.5g}, neither of which varies"
    else:
        noise = (
            f"{claim.better} {first.mean:.5g} against {claim.than} {second.mean:.5g}: the difference {size:.3g} is "
            f"{size / found.standard_error:.2g} times its standard error {found.standard_error:.3g} "
            f"({tests})"
        )
    if not enough and p < alpha:
        few = min(first.n, second.n)
        return Outcome(
            "not-supported",
            f"{noise}; with {few} seeds of a method that may be chance, in up to one of eight pairs of equal methods: "
            f"an order takes at least {order.LEAST} seeds of each",
            measured,
        )
    if gain > 0 and p < alpha:
        return Outcome("supported", noise, measured)
    if gain < 0 and p < alpha_against:
        return Outcome("contradicted", f"the contrary is shown: {noise}", measured)
    way = "" if gain > 0 else ", and it points the other way" if gain < 0 else ""
    told = (
        f"{first.n} and {second.n} seeds tell differences from {detectable:.3g} on"
        if first.n != second.n
        else f"{first.n} seeds of each tell differences from {detectable:.3g} on"
    )
    if found.difference == 0:
        more = "there is no difference"
    elif needed is None:
        more = "a difference this small would take more than 10,000 seeds of each"
    else:
        more = f"a difference this large takes about {needed} seeds of each"
    return Outcome(
        "not-supported", f"{noise}{way}; {told}, and {more} ({WANTED_POWER:.0%} power at {alpha:g})", measured
    )


def judge_printed(claim: OrderClaim, printed: Sequence[ValueClaim], lower: bool, alpha: float) -> Outcome | None:
    """Hold an order against the printed figures alone, where a ledger has no results at all; None without both.

    Figures that nobody can compute again can undermine a claim, and not carry it.
    """
    sides = []
    for name in (claim.better, claim.than):
        fitting = [one for one in printed if one.of == {**claim.of, "method": name}]
        if len(fitting) != 1 or fitting[0].mean is None or fitting[0].n is None or fitting[0].n < 2:
            return None
        one = fitting[0]
        n = fitting[0].n
        divisor = n if one.ddof != 0 else n - 1
        if one.std is not None:
            std = float(one.std) * (1 if one.ddof != 0 else math.sqrt(n / divisor))
        elif one.sem is not None:
            std = float(one.sem) * math.sqrt(n)
        elif one.two_sem is not None:
            std = float(one.two_sem) / 2 * math.sqrt(n)
        else:
            return None
        sides.append(order.Seeds(n, float(fitting[0].mean), std))
    found = _compared(claim, sides[0], sides[1], lower, alpha, alpha)
    if found.status == "supported":
        return Outcome(
            "cannot-be-checked", f"by the printed figures, which no file bears out: {found.reason}", found.measured
        )
    return Outcome(found.status, f"by the printed figures: {found.reason}", found.measured)


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else f"{value:.0e}"
