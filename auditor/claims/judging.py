"""Every claim of a ledger held against the results: what it says, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from auditor.claims import orders, power, printed, rankings, values
from auditor.claims.results import Results
from auditor.claims.runs import Runs, cell, gather, group_name, matches, summary
from auditor.claims.values import Outcome
from auditor.records.claims import (
    AgreementClaim,
    Cell,
    Claim,
    ClaimsReport,
    CriticalDifferenceClaim,
    FriedmanClaim,
    Judged,
    Ledger,
    Observation,
    Of,
    OrderClaim,
    OrderPower,
    PostHocClaim,
    Power,
    PowerStudy,
    RankClaim,
    ValueClaim,
)
from auditor.statistics import order, ranks

_NO_METHOD = "results without a method: name it in the pattern, a column or set"


def examine(ledger: Ledger, results: Results, with_power: bool = False, seed: int = power.SEED) -> ClaimsReport:
    """Judge every claim, in the ledger's order, and sum up the results that claims are about.

    ``with_power`` adds how many seeds the claims need, simulated with ``seed``.
    """
    judged = tuple(_judge(claim, ledger, results) for claim in ledger.claim)
    metrics = tuple(dict.fromkeys(str(claim.of["metric"]) for claim in ledger.claim))
    alpha = float(ledger.alpha)
    cells: list[Cell] = []
    found_rankings = []
    for metric in metrics:
        all_runs = gather((one for one in results.observations if one.metric == metric), ledger)
        lower = metric in ledger.lower_is_better
        known = metric in (*ledger.lower_is_better, *ledger.higher_is_better) or (
            bool(ledger.lower_is_better) and not ledger.higher_is_better
        )
        cells += _cells(all_runs, lower if known else None, alpha, ledger.deterministic)
    for of in _of_ranks(ledger.claim):
        blocks, _ = _blocks(of, ledger, results)
        found = rankings.ranking(blocks, alpha)
        if found is not None and found not in found_rankings:
            found_rankings.append(found)
    notes = [*results.empty, *results.notes, *_mixed_divisors(ledger.claim, judged), *_uncorrected(ledger)]
    if any("method" not in one.labels for one in results.observations):
        notes.append(_NO_METHOD)
    return ClaimsReport(
        claims=judged,
        results=tuple(cells),
        rankings=tuple(found_rankings),
        notes=tuple(dict.fromkeys(notes)),
        lower_is_better=tuple(metric for metric in metrics if metric in ledger.lower_is_better),
        alpha=alpha,
        power=_power(ledger, results, seed) if with_power else None,
    )


def _judge(claim: Claim, ledger: Ledger, results: Results) -> Judged:
    metric = str(claim.of["metric"])
    lower = metric in ledger.lower_is_better
    alpha = _alpha(claim, ledger)
    match claim:
        case ValueClaim():
            outcome = _value(claim, ledger, results)
        case OrderClaim():
            outcome = _order(claim, ledger, results, lower, alpha)
        case _:
            blocks, absent = _blocks(claim.of, ledger, results)
            outcome = rankings.judge(claim, blocks, absent, alpha)
    if (
        results.empty
        and (outcome.status == "supported" or not isinstance(claim, ValueClaim | OrderClaim))
        and outcome.status != "cannot-be-checked"
        and not isinstance(claim.of.get("dataset"), str)
    ):
        # What the lost source held might have been a block more, which can turn any test round, or a group more.
        reason = "; ".join([*results.empty, outcome.reason])
        outcome = Outcome("cannot-be-checked", reason, outcome.measured)
    return Judged(
        kind=claim.__struct_config__.tag if isinstance(claim.__struct_config__.tag, str) else "",
        status=outcome.status,
        reason=outcome.reason,
        measured=outcome.measured,
        claim=sentence(claim),
        says=claim.says,
    )


def _alpha(claim: Claim, ledger: Ledger) -> float:
    own = getattr(claim, "alpha", None)
    return float(own if own is not None else ledger.alpha)


def _value(claim: ValueClaim, ledger: Ledger, results: Results) -> Outcome:
    found = gather(_selected(claim.of, results), ledger)
    if len(found) > 1:
        names = ", ".join(group_name(one.labels) or "no data set" for one in found[:6])
        return Outcome("cannot-be-checked", f"of names results of several groups ({names}): say which one", {})
    return values.judge(claim, found[0] if found else None, _absent(claim.of, results))


def _order(claim: OrderClaim, ledger: Ledger, results: Results, lower: bool, alpha: float) -> Outcome:
    if not ledger.results:
        told = [one for one in ledger.claim if isinstance(one, ValueClaim)]
        outcome = orders.judge_printed(claim, told, lower, alpha)
        if outcome is not None:
            return outcome
    groups = _pairs(claim, ledger, results)
    absent = _absent({**claim.of, "method": (claim.better, claim.than)}, results)
    return orders.judge(claim, groups, absent, lower, alpha, ledger.deterministic)


def _pairs(claim: OrderClaim, ledger: Ledger, results: Results) -> dict[str, tuple[Runs | None, Runs | None]]:
    groups: dict[str, tuple[Runs | None, Runs | None]] = {}
    found = gather(_selected({**claim.of, "method": (claim.better, claim.than)}, results), ledger)
    for name in dict.fromkeys(group_name(one.labels) for one in found):
        by_method = {one.method: one for one in found if group_name(one.labels) == name}
        groups[name] = by_method.get(claim.better), by_method.get(claim.than)
    return groups


def _blocks(of: Of, ledger: Ledger, results: Results) -> tuple[rankings.Blocks, str]:
    lower = str(of["metric"]) in ledger.lower_is_better
    found = gather((one for one in _selected(of, results) if "method" in one.labels), ledger)
    return rankings.blocks_of(found, lower, ledger.deterministic), _absent(of, results)


def _selected(of: Of, results: Results) -> Iterable[Observation]:
    return (one for one in results.observations if matches(of, one))


def _absent(of: Of, results: Results) -> str:
    """Why there is no result that a claim is of: the first of its labels that leaves none, with what there is."""
    if not results.observations:
        why = "; ".join([*results.empty, *results.notes]) or "the ledger names no results"
        return f"files are missing: {why}"
    left: list[Observation] = list(results.observations)
    for name in sorted(of, key=lambda name: (name != "metric", name)):
        wanted = of[name]
        fitting = [one for one in left if matches({name: wanted}, one)]
        if not fitting:
            known = list(dict.fromkeys(said for one in left if (said := _label(one, name))))
            said = ", ".join(str(one) for one in wanted) if isinstance(wanted, tuple) else str(wanted)
            near = get_close_matches(said, known, n=1)
            more = f"; did you mean {near[0]}?" if near else f" (there are: {', '.join(known[:8])})" if known else ""
            return "; ".join([f"files are missing: there is no result of {name} {said}{more}", *results.empty[:3]])
        left = fitting
    return "files are missing"


def _label(observation: Observation, name: str) -> str:
    if name == "metric":
        return observation.metric
    return str(observation.seed) if name == "seed" else observation.labels.get(name, "")


def _cells(runs: Sequence[Runs], lower: bool | None, alpha: float, deterministic: Sequence[str]) -> list[Cell]:
    """The table of results; a mean is best where Welch's test, with Holm's correction, tells it from every other one.

    Where it is not known which way is better (``lower`` is None) none is.
    """
    cells: list[Cell] = []
    for name in dict.fromkeys(group_name(one.labels) for one in runs):
        group = [one for one in runs if group_name(one.labels) == name]
        winner = None if lower is None else _best(group, lower, alpha, deterministic)
        cells += [cell(one, best=one is winner) for one in group]
    return cells


def _best(group: Sequence[Runs], lower: bool, alpha: float, deterministic: Sequence[str]) -> Runs | None:
    usable = []
    for one in group:
        seeds = summary(one)
        # A gap anywhere leaves open who is best.
        if seeds is None or one.problems or (not one.varies and one.method not in deterministic):
            return None
        usable.append((one, seeds))
    if len(usable) < 2:
        return None
    winner, first = sorted(usable, key=lambda pair: pair[1].mean if lower else -pair[1].mean)[0]
    if not all(order.enough(first, seeds) for _, seeds in usable):
        return None
    p = [order.judged_p(first, seeds) for one, seeds in usable if one is not winner]
    return winner if all(value < alpha for value in ranks.holm(p)) else None


def _of_ranks(claims: Iterable[Claim]) -> list[Of]:
    kinds = (FriedmanClaim, RankClaim, PostHocClaim, AgreementClaim, CriticalDifferenceClaim)
    found: list[Of] = []
    for claim in claims:
        if isinstance(claim, kinds) and claim.of not in found:
            found.append(claim.of)
    return found


def _mixed_divisors(claims: Sequence[Claim], judged: Sequence[Judged]) -> list[str]:
    """Whether the ledger's standard deviations divide by n here and by n − 1 there."""
    sample, population = [], []
    for number, (claim, outcome) in enumerate(zip(claims, judged, strict=True), 1):
        if not isinstance(claim, ValueClaim) or claim.std is None:
            continue
        std, n, ddof = (outcome.measured.get(name) for name in ("std", "n", "ddof"))
        if not (isinstance(std, float) and isinstance(n, int) and n > 1):
            continue
        one = std if ddof == 1 else std * (n / (n - 1)) ** 0.5
        zero = one * ((n - 1) / n) ** 0.5
        fits = [printed.fit(claim.std, value) == "fits" for value in (one, zero)]
        if fits == [True, False]:
            sample.append(number)
        elif fits == [False, True]:
            population.append(number)
    if not (sample and population):
        return []
    listed = [", ".join(map(str, numbers)) for numbers in (sample, population)]
    return [
        f"mixed ddof: the std of claim {listed[0]} divides by n − 1 (ddof=1), that of claim {listed[1]} by n (ddof=0)"
    ]


def _uncorrected(ledger: Ledger) -> list[str]:
    """How much may be chance where several claims are tests: nothing is corrected over the claims of a ledger."""
    levels = []
    for claim in ledger.claim:
        match claim:
            case OrderClaim() | RankClaim():
                levels.append(_alpha(claim, ledger))
            case FriedmanClaim(p_below=level) if level is not None:
                levels.append(float(level))
            case PostHocClaim(different=True, p_below=level):
                levels.append(float(level if level is not None else ledger.alpha))
    if len(levels) < 2:
        return []
    return [
        f"{len(levels)} claims are tests, each at its own level; nothing is corrected over them: if none of their "
        f"differences existed, the chance that one or more of them came out as shown would be up to "
        f"{min(1.0, sum(levels)):.0%}"  # the union bound
    ]


def _power(ledger: Ledger, results: Results, seed: int) -> Power:
    studies: list[PowerStudy] = []
    found_orders: list[OrderPower] = []
    notes: list[str] = []
    wanted = _of_ranks(ledger.claim)
    if not wanted:
        wanted = [{"metric": metric} for metric in dict.fromkeys(str(claim.of["metric"]) for claim in ledger.claim)]
    for of in wanted:
        blocks, absent = _blocks(of, ledger, results)
        if not blocks.methods:
            notes.append(absent)
            continue
        runs = gather((one for one in _selected(of, results) if "method" in one.labels), ledger)
        study = power.friedman_study(blocks, runs, float(ledger.alpha), seed)
        if isinstance(study, str):
            notes.append(study)
        else:
            studies.append(study)
    for claim in ledger.claim:
        if isinstance(claim, OrderClaim):
            pairs = _pairs(claim, ledger, results)
            told = power.order_power(sentence(claim), pairs, _alpha(claim, ledger))
            found_orders += told
            if len(told) < len(pairs) or not pairs:
                which = f"{len(pairs) - len(told)} of {len(pairs)} data sets" if told else "these results"
                notes.append(f"{sentence(claim)}: of {which} the noise of the seeds is not known (two of each or more)")
    most = max((len(one.values) for one in gather(results.observations, ledger)), default=0)
    rule = power.rule_curve(most, seed) if most > 1 else None
    return Power(tuple(studies), tuple(found_orders), rule, tuple(dict.fromkeys(notes)))


def sentence(claim: Claim) -> str:
    """The claim as a person would say it."""
    metric = str(claim.of["metric"])
    where = _where(claim.of)
    match claim:
        case ValueClaim():
            parts = []
            if claim.mean is not None:
                parts.append(f"{claim.mean}" + (f" ± {claim.std}" if claim.std is not None else ""))
            elif claim.std is not None:
                parts.append(f"std {claim.std}")
            if claim.sem is not None:
                parts.append(f"SEM {claim.sem}")
            if claim.two_sem is not None:
                parts.append(f"2·SEM {claim.two_sem}")
            n = f" (n = {claim.n})" if claim.n is not None else ""
            return f"{claim.of['method']}{where}: {metric} {', '.join(parts)}{n}"
        case OrderClaim():
            return f"{claim.better} beats {claim.than} in {metric}{where}"
        case RankClaim():
            return f"{claim.best} has the best mean rank in {metric}{where}"
        case FriedmanClaim():
            parts = [f"p < {claim.p_below}"] if claim.p_below is not None else []
            parts += [f"p = {claim.p}"] if claim.p is not None else []
            parts += [f"χ² = {claim.statistic}"] if claim.statistic is not None else []
            parts += [f"best {claim.best}"] if claim.best is not None else []
            return f"Friedman in {metric}{where}: {', '.join(parts)}"
        case PostHocClaim():
            verb = "beats" if claim.different else "is not told from"
            test = {"nemenyi": "Nemenyi", "wilcoxon-holm": "Wilcoxon with Holm"}[claim.test]
            return f"{claim.better} {verb} {claim.than} in {metric}{where} by {test}"
        case AgreementClaim():
            said = f"W = {claim.w}" if claim.w is not None else f"W > {claim.w_above}"
            return f"Kendall's {said} in {metric}{where}"
        case CriticalDifferenceClaim():
            return f"critical difference {claim.cd} in {metric}{where}"


def _where(of: Of) -> str:
    parts = []
    for name in sorted(set(of) - {"metric", "method"}, key=lambda name: (name != "dataset", name)):
        value = of[name]
        said = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        parts.append(said if name == "dataset" else f"{name} {said}")
    methods = of.get("method")
    among = f" among {', '.join(map(str, methods))}" if isinstance(methods, tuple) else ""
    return (f" on {', '.join(parts)}" if parts else "") + among
