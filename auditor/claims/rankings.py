"""Claims about many methods over many blocks: Friedman, mean ranks, pairs, agreement and critical differences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from auditor.claims import printed
from auditor.claims.runs import Runs, group_name, seed_list
from auditor.claims.values import Outcome
from auditor.records.claims import (
    AgreementClaim,
    CriticalDifferenceClaim,
    FriedmanClaim,
    Measured,
    PostHocClaim,
    RankClaim,
    Ranking,
    Status,
)
from auditor.statistics import order, ranks

WANTED_POWER = 0.8
GROUPS_ENOUGH = 6
"""Data sets with one seed each that can stand for blocks: fewer say nothing by any rank test of pairs."""

_Ranks = RankClaim | FriedmanClaim | PostHocClaim | AgreementClaim | CriticalDifferenceClaim


class Blocks(NamedTuple):
    """Methods against blocks (group × seed): the complete blocks' values, better ones lower, and what is missing.

    ``table`` has a row for each block, with a value for each of ``methods``; ``names`` are the blocks' names.
    ``groups`` counts the groups, ``seeds`` the most seeds of any. ``metric`` is whose they are.
    """

    metric: str
    methods: tuple[str, ...]
    names: tuple[str, ...]
    table: tuple[tuple[float, ...], ...]
    groups: int
    seeds: int
    gaps: tuple[str, ...]
    notes: tuple[str, ...]


def blocks_of(runs: Sequence[Runs], lower: bool, deterministic: Sequence[str]) -> Blocks:
    """Line the methods up over the blocks; a block that lacks a method is a gap, and left out of the table."""
    methods = tuple(dict.fromkeys(one.method for one in runs))
    groups: dict[str, dict[str, Runs]] = {}
    for one in runs:
        groups.setdefault(group_name(one.labels), {})[one.method] = one
    names: list[str] = []
    rows: list[tuple[float, ...]] = []
    gaps: list[str] = []
    notes: list[str] = []
    most = 0
    for name, by_method in groups.items():
        where = f" on {name}" if name else ""
        for method, one in by_method.items():
            gaps += [f"{method}{where}: {problem}" for problem in one.problems]
            notes += [f"{method}{where}: {note}" for note in one.notes]
        lacking = [method for method in methods if method not in by_method]
        if lacking:
            gaps.append(f"unbalanced: no result of {_few(lacking)}{where}")
        constant = {
            method: one.finite[0]
            for method, one in by_method.items()
            if method in deterministic and len(one.finite) == 1
        }
        seeds = sorted({seed for method, one in by_method.items() if method not in constant for seed in one.values})
        most = max(most, len(seeds))
        for seed in seeds:
            row = [
                constant.get(method, by_method[method].values.get(seed, math.nan)) if method in by_method else math.nan
                for method in methods
            ]
            if all(map(math.isfinite, row)):
                names.append(f"{name} seed {seed}" if name else f"seed {seed}")
                rows.append(tuple(row if lower else (-value for value in row)))
        for method, one in by_method.items():
            missing = [seed for seed in seeds if seed not in one.values and seed not in one.broken]
            if missing and method not in constant and not one.unseeded:
                gaps.append(f"unbalanced: no result of {method}{where} for {seed_list(missing)}")
    metric = runs[0].metric if runs else ""
    return Blocks(
        metric, methods, tuple(names), tuple(rows), len(groups), most, tuple(dict.fromkeys(gaps)), tuple(notes)
    )


def judge(claim: _Ranks, blocks: Blocks, absent: str, alpha: float) -> Outcome:
    """Hold a claim about ranks against the blocks; ``absent`` says why there are none."""
    if not blocks.methods:
        return Outcome("cannot-be-checked", absent, {})
    needs = 2 if isinstance(claim, PostHocClaim | CriticalDifferenceClaim) else 3
    gaps = list(blocks.gaps)
    if len(blocks.methods) < needs:
        gaps.append(
            f"{needs} methods are needed, and there {'is' if len(blocks.methods) == 1 else 'are'} {len(blocks.methods)}"
        )
    if blocks.seeds == 1 and blocks.groups < GROUPS_ENOUGH:
        gaps.append(
            f"a single seed: {_blocks(len(blocks.names))}, and the noise of the seeds cannot be seen "
            f"({GROUPS_ENOUGH} data sets or more could be blocks with one seed each)"
        )
    elif len(blocks.names) < 2:
        gaps.append(f"{_blocks(len(blocks.names))} with a result of every method, and a test needs two")
    measured: dict[str, Measured] = {"methods": len(blocks.methods), "blocks": len(blocks.names)}
    for name, there in (("methods", len(blocks.methods)), ("blocks", len(blocks.names))):
        if (given := getattr(claim, name, None)) is not None and there < given:
            gaps.append(f"{given} {name} are printed and the files have {there}")
    if len(blocks.names) < 2 or len(blocks.methods) < needs:
        return Outcome("cannot-be-checked", "; ".join([*gaps, *blocks.notes]), measured)
    mentioned = [getattr(claim, name, None) for name in ("best", "better", "than")]
    unknown = [name for name in mentioned if name is not None and name not in blocks.methods]
    if unknown:
        gaps.append(f"there is no result of {_few(unknown)}")
        return Outcome("cannot-be-checked", "; ".join(gaps), measured)
    try:
        outcome = _judge(claim, blocks, alpha)
    except ValueError as error:
        gaps.append(str(error))
        return Outcome("cannot-be-checked", "; ".join(gaps), measured)
    reason = "; ".join(dict.fromkeys([*gaps, outcome.reason, *blocks.notes]))
    return Outcome("cannot-be-checked" if gaps else outcome.status, reason, {**measured, **outcome.measured})


def _judge(claim: _Ranks, blocks: Blocks, alpha: float) -> Outcome:
    match claim:
        case FriedmanClaim():
            return _friedman(claim, blocks, alpha)
        case RankClaim():
            return _rank(claim, blocks, alpha)
        case PostHocClaim():
            return _post_hoc(claim, blocks, alpha)
        case AgreementClaim():
            return _agreement(claim, blocks)
        case CriticalDifferenceClaim():
            return _critical_difference(claim, blocks, alpha)


class _Check(NamedTuple):
    """One figure or statement of a claim, and how it fared."""

    status: Status
    text: str


def _together(checks: Sequence[_Check], measured: dict[str, Measured]) -> Outcome:
    order_of: dict[Status, int] = {"contradicted": 0, "not-supported": 1, "cannot-be-checked": 2, "supported": 3}
    ordered = sorted(checks, key=lambda one: order_of[one.status])
    return Outcome(ordered[0].status, "; ".join(one.text for one in ordered), measured)


def _friedman(claim: FriedmanClaim, blocks: Blocks, alpha: float) -> Outcome:
    found = ranks.friedman(blocks.table)
    means = dict(zip(blocks.methods, found.mean_ranks, strict=True))
    count, methods = len(blocks.names), len(blocks.methods)
    difference = ranks.critical_difference(count, methods, alpha)
    measured: dict[str, Measured] = {
        "statistic": found.statistic,
        "df": found.df,
        "p": found.p,
        "kendall_w": found.kendall_w,
        "iman_davenport": found.iman_davenport if math.isfinite(found.iman_davenport) else None,
        "p_iman_davenport": found.p_iman_davenport,
        "mean_ranks": _ordered(means),
        "critical_difference": difference,
    }
    level = float(claim.p_below) if claim.p_below is not None else alpha
    said = f"χ² = {found.statistic:.4g} with {found.df} degrees of freedom over {count} blocks, p = {_p(found.p)}"
    checks: list[_Check] = []
    if claim.p_below is not None:
        if found.p < level:
            checks.append(_Check("supported", said))
        else:
            needed = ranks.blocks_needed(found.kendall_w, count, methods, level, WANTED_POWER)
            measured["blocks_needed"] = needed
            measured["seeds_needed"] = math.ceil(needed / blocks.groups) if needed is not None else None
            checks.append(_Check("not-supported", f"{said}, not below {level:g}; {_needed(needed, blocks, level)}"))
    elif claim.p is None and claim.statistic is None:
        checks.append(_Check("supported", said))
    checks += _figure(
        "p", claim.p, found.p, [("the p value of the F form (Iman and Davenport)", found.p_iman_davenport)]
    )
    checks += _figure(
        "χ²", claim.statistic, found.statistic, [("the F form (Iman and Davenport)", found.iman_davenport)]
    )
    checks += _count("methods", claim.methods, methods) + _count("blocks", claim.blocks, count)
    if claim.best is not None:
        checks.append(_has_best(claim.best, means, difference))
    return _together(checks, measured)


def _needed(blocks_needed: int | None, blocks: Blocks, level: float) -> str:
    if blocks_needed is None:
        return "the blocks agree no more than by chance, so that no number of seeds can be told"
    seeds = math.ceil(blocks_needed / blocks.groups)
    return (
        f"if they agree as far as these do, about {blocks_needed} blocks ({seeds} seeds of each) are needed "
        f"({WANTED_POWER:.0%} power at {level:g})"
    )


def _has_best(best: str, means: dict[str, float], difference: float) -> _Check:
    ordered = sorted(means.items(), key=lambda one: one[1])
    lowest = ordered[0][1]
    if means[best] > lowest:
        return _Check(
            "contradicted", f"{ordered[0][0]} has the best mean rank ({lowest:.3g}), {best} has {means[best]:.3g}"
        )
    shared = [name for name, value in ordered if value == lowest and name != best]
    if shared:
        return _Check("not-supported", f"{best} shares the best mean rank ({lowest:.3g}) with {_few(shared)}")
    near = [name for name, value in ordered if name != best and value - lowest < difference]
    text = f"{best} has the best mean rank ({lowest:.3g}; the next is {ordered[1][0]} with {ordered[1][1]:.3g})"
    if near:
        text += f"; within the critical difference {difference:.3g} of it: {_few(near)}"
    return _Check("supported", text)


def _rank(claim: RankClaim, blocks: Blocks, alpha: float) -> Outcome:
    means = dict(zip(blocks.methods, ranks.mean_ranks(blocks.table), strict=True))
    count, methods = len(blocks.names), len(blocks.methods)
    difference = ranks.critical_difference(count, methods, alpha)
    best = blocks.methods.index(claim.best)
    others = [place for place in range(methods) if place != best]
    differences = [_differences(blocks, place, best) for place in others]
    adjusted = ranks.holm([ranks.wilcoxon(one).p for one in differences])
    measured: dict[str, Measured] = {
        "mean_ranks": _ordered(means),
        "critical_difference": difference,
        "p": {blocks.methods[place]: value for place, value in zip(others, adjusted, strict=True)},
    }
    first = _has_best(claim.best, means, difference)
    checks = _figure("the mean rank", claim.mean_rank, means[claim.best], [])
    if first.status != "supported":
        return _together([*checks, first], measured)
    open_to = [place for place, value in enumerate(adjusted) if value >= alpha]
    said = f"{claim.best} has the best mean rank ({means[claim.best]:.3g})"
    if not open_to:
        largest = max(adjusted)
        checks.append(
            _Check("supported", f"{said}, better than each other one (Wilcoxon, Holm: p at most {_p(largest)})")
        )
        return _together(checks, measured)
    nearest = max(open_to, key=lambda place: adjusted[place])
    name = blocks.methods[others[nearest]]
    gap = order.seeds_of(differences[nearest])
    needed = order.pairs_needed(gap.mean, gap.std, alpha / len(others), WANTED_POWER)
    measured["blocks_needed"] = needed
    measured["seeds_needed"] = math.ceil(needed / blocks.groups) if needed is not None else None
    more = (
        f"about {needed} blocks ({math.ceil(needed / blocks.groups)} seeds of each) would tell it from {name}"
        if needed is not None
        else f"no number of seeds up to 10,000 would tell it from {name}"
    )
    untold = _few([blocks.methods[others[place]] for place in open_to])
    checks.append(
        _Check(
            "not-supported",
            f"{said}, but over {count} blocks it is not told from {untold} (Wilcoxon, Holm: p up to "
            f"{_p(adjusted[nearest])}); the mean difference to {name} is {abs(gap.mean):.3g} with a standard "
            f"deviation of {gap.std:.3g} over the blocks, and {more}",
        )
    )
    return _together(checks, measured)


def _post_hoc(claim: PostHocClaim, blocks: Blocks, alpha: float) -> Outcome:
    count, methods = len(blocks.names), len(blocks.methods)
    level = float(claim.p_below) if claim.p_below is not None else alpha
    first, second = blocks.methods.index(claim.better), blocks.methods.index(claim.than)
    if claim.test == "nemenyi":
        p = ranks.nemenyi(blocks.table, first, second)
    else:
        p = ranks.wilcoxon_holm(blocks.table)[min(first, second), max(first, second)]
    means = ranks.mean_ranks(blocks.table)
    gain = means[second] - means[first]
    name = {"nemenyi": "Nemenyi", "wilcoxon-holm": "Wilcoxon signed-rank with Holm"}[claim.test]
    measured: dict[str, Measured] = {
        "p": p,
        "mean_rank_better": means[first],
        "mean_rank_than": means[second],
        "pairs": _pairs(methods),
    }
    said = (
        f"mean ranks {means[first]:.3g} and {means[second]:.3g} over {count} blocks, p = {_p(p)} "
        f"({name}, {_pairs(methods)} pairs)"
    )
    least = 1.0
    if claim.test == "nemenyi":
        difference = ranks.critical_difference(count, methods, level)
        measured["critical_difference"] = difference
        said += f"; the critical difference is {difference:.3g}"
    else:
        # The most that so many blocks can show: all differences of one sign, in the hardest place of Holm's order.
        least = min(2.0 ** (1 - count) * _pairs(methods), 1.0)
        measured["least_p"] = least
    checks = _figure("p", claim.p, p, [])
    if not claim.different:
        status: Status = "supported" if p >= level else "contradicted"
        checks.append(_Check(status, said))
    elif p >= level:
        needed = _pairs_needed(claim, blocks, level, first, second)
        measured["blocks_needed"] = needed
        measured["seeds_needed"] = math.ceil(needed / blocks.groups) if needed is not None else None
        more = (
            f"; about {needed} blocks ({math.ceil(needed / blocks.groups)} seeds of each) are needed" if needed else ""
        )
        if claim.test == "wilcoxon-holm" and least >= level:
            more = f"; {count} blocks cannot give less than {_p(least)} whatever the values{more}"
        checks.append(_Check("not-supported", f"{said}, not below {level:g}{more}"))
    elif gain > 0:
        checks.append(_Check("supported", said))
    else:
        checks.append(_Check("contradicted", f"the contrary is shown: {said}"))
    return _together(checks, measured)


def _pairs(methods: int) -> int:
    """How many pairs there are of so many methods."""
    return methods * (methods - 1) // 2


def _pairs_needed(claim: PostHocClaim, blocks: Blocks, level: float, first: int, second: int) -> int | None:
    count, methods = len(blocks.names), len(blocks.methods)
    if claim.test == "nemenyi":
        means = ranks.mean_ranks(blocks.table)
        gap = abs(means[first] - means[second])
        if gap == 0:
            return None
        # The mean difference that is seen reaches the critical difference, which falls with the root of the blocks.
        return max(math.ceil(count * (ranks.critical_difference(count, methods, level) / gap) ** 2), count + 1)
    differences = order.seeds_of(_differences(blocks, first, second))
    level = level / _pairs(methods)
    return order.pairs_needed(differences.mean, differences.std, level, WANTED_POWER)


def _agreement(claim: AgreementClaim, blocks: Blocks) -> Outcome:
    found = ranks.friedman(blocks.table)
    measured: dict[str, Measured] = {"kendall_w": found.kendall_w, "statistic": found.statistic, "p": found.p}
    checks = _figure("Kendall's W", claim.w, found.kendall_w, [])
    if claim.w_above is not None:
        text = f"Kendall's W is {found.kendall_w:.3g} over {len(blocks.names)} blocks"
        above = found.kendall_w > float(claim.w_above)
        checks.append(
            _Check("supported" if above else "contradicted", text if above else f"{text}, not above {claim.w_above}")
        )
    return _together(checks, measured)


def _critical_difference(claim: CriticalDifferenceClaim, blocks: Blocks, alpha: float) -> Outcome:
    count, methods = len(blocks.names), len(blocks.methods)
    value = ranks.critical_difference(count, methods, alpha)
    bonferroni = ranks.bonferroni_dunn_difference(count, methods, alpha)
    checks = _figure(
        "the critical difference", claim.cd, value, [("Bonferroni and Dunn's, against one control", bonferroni)]
    )
    checks += _count("methods", claim.methods, methods) + _count("blocks", claim.blocks, count)
    return _together(checks, {"critical_difference": value, "alpha": alpha})


def _ordered(means: dict[str, float]) -> dict[str, int | float | str | None]:
    """Mean ranks, the best first."""
    return {name: means[name] for name in sorted(means, key=lambda name: means[name])}


def _differences(blocks: Blocks, first: int, second: int) -> tuple[float, ...]:
    """The first method's values minus the second one's, block by block."""
    return tuple(row[first] - row[second] for row in blocks.table)


def _figure(name: str, given: Decimal | None, value: float, others: list[tuple[str, float]]) -> list[_Check]:
    if given is None:
        return []
    fit = printed.fit(given, value)
    if fit == "fits":
        return [_Check("supported", f"{name} is {printed.shown(value)}")]
    other = printed.what_else(given, [one for one in others if math.isfinite(one[1])])
    if fit == "misrounded" and not other:
        return [_Check("not-supported", printed.misrounding(name, given, value))]
    text = f"{given} is printed for {name} and the files give {printed.shown(value)}"
    return [_Check("contradicted", f"{text}: {given} is {other}" if other else text)]


def _count(name: str, given: int | None, value: int) -> list[_Check]:
    if given is None or given >= value:  # fewer than are printed are a gap, which judge has named
        return []
    return [_Check("contradicted", f"{given} {name} are printed and the files have {value}")]


def ranking(blocks: Blocks, alpha: float) -> Ranking | None:
    """Mean ranks and critical difference for a diagram; None for fewer than 3 methods or 2 complete blocks."""
    if len(blocks.names) < 2 or len(blocks.methods) < 3:
        return None
    try:
        found = ranks.friedman(blocks.table)
    except ValueError:
        return None
    count, methods = len(blocks.names), len(blocks.methods)
    difference = ranks.critical_difference(count, methods, alpha)
    ordered = sorted(zip(blocks.methods, found.mean_ranks, strict=True), key=lambda one: one[1])
    alike: list[tuple[str, ...]] = []
    furthest = -1
    for start, (_, lowest) in enumerate(ordered):
        end = max(place for place, (_, value) in enumerate(ordered) if value - lowest < difference)
        if end > start and end > furthest:
            alike.append(tuple(name for name, _ in ordered[start : end + 1]))
            furthest = end
    return Ranking(
        metric=blocks.metric,
        blocks=count,
        mean_ranks=dict(ordered),
        statistic=found.statistic,
        p=found.p,
        kendall_w=found.kendall_w,
        critical_difference=difference,
        alpha=alpha,
        alike=tuple(alike),
    )


def _few(names: Sequence[str], shown: int = 6) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def _blocks(count: int) -> str:
    return f"{count} block" if count == 1 else f"{count} blocks"


def _p(value: float) -> str:
    return f"{value:.2g}" if value >= 1e-4 else f"{value:.0e}"
