"""Claims of a value: every printed figure computed again, and what it is where it is not what it says."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from auditor.claims import printed
from auditor.claims.runs import Runs, seed_list
from auditor.records.claims import Measured, Status, ValueClaim
from auditor.statistics import order

_SUBSETS = 20_000


class Outcome(NamedTuple):
    """What became of a claim: its status, the reason, and what was measured."""

    status: Status
    reason: str
    measured: dict[str, Measured]


class _Figures(NamedTuple):
    """What the seeds amount to, by either divisor."""

    n: int
    mean: float
    std: float  # n − 1
    population: float  # n
    sem: float
    median: float
    values: tuple[float, ...]


class _Failure(NamedTuple):
    status: Status
    text: str


def judge(claim: ValueClaim, runs: Runs | None, absent: str) -> Outcome:
    """Hold a value claim against the runs that it is of; ``absent`` says why there are none where that is so."""
    own = _against_itself(claim)
    if runs is None or not (runs.finite or runs.broken):
        return _conclude([*own], [], [absent], [], {})
    scale = float(claim.scale)
    values = tuple(value * scale for value in runs.finite)
    gaps = list(runs.problems)
    notes = list(runs.notes)
    figures = _figures(values) if len(values) > 1 else None
    measured = _measured(runs, values, figures, claim)
    failures = list(own)
    if claim.n is not None and len(values) < claim.n:
        gaps.append(f"n = {claim.n} is printed and the files have {_counted(len(values), 'usable result')}")
    elif claim.n is not None and len(values) > claim.n:
        failures.append(_more_than_printed(claim, runs, values))
    if len(values) == 1:
        gaps.append("a single seed: it has no standard deviation, and another seed would give another number")
        if (
            claim.mean is not None
            and not (runs.problems or _of_several(claim))
            and printed.fit(claim.mean, values[0]) == "differs"
        ):
            failures.append(
                _Failure("contradicted", f"{claim.mean} is printed and the only result is {printed.shown(values[0])}")
            )
    if figures is None:
        return _conclude(failures, [], gaps, notes, measured)
    if gaps:
        if claim.mean is not None and printed.fit(claim.mean, figures.mean) == "fits":
            gaps.append(f"the printed mean is that of the {figures.n} usable results alone")
        return _conclude(own, [], gaps, notes, measured)
    fine: list[str] = []
    for found in (_mean(claim, runs, figures), _std(claim, figures), _sem(claim, figures), _two_sem(claim, figures)):
        if isinstance(found, _Failure):
            failures.append(found)
        elif found:
            fine.append(found)
    if claim.std is None and claim.sem is None and claim.two_sem is None:
        notes.append(f"no std is printed; it is {printed.shown(figures.std)}")
    return _conclude(failures, fine, gaps, notes, measured)


def _of_several(claim: ValueClaim) -> bool:
    """Whether the printed figures are of several seeds, which a single one neither bears out nor contradicts."""
    if claim.n is not None:
        return claim.n > 1
    return any(one is not None for one in (claim.std, claim.sem, claim.two_sem))


def _conclude(
    failures: Sequence[_Failure],
    fine: Sequence[str],
    gaps: Sequence[str],
    notes: Sequence[str],
    measured: dict[str, Measured],
) -> Outcome:
    parts = [one.text for one in failures] + list(gaps) + list(fine) + list(notes)
    reason = "; ".join(dict.fromkeys(part for part in parts if part))
    if any(one.status == "contradicted" for one in failures):
        return Outcome("contradicted", reason, measured)
    if gaps:
        return Outcome("cannot-be-checked", reason, measured)
    return Outcome("not-supported" if failures else "supported", reason, measured)


def _figures(values: tuple[float, ...]) -> _Figures:
    seeds = order.seeds_of(values)
    population = seeds.std * math.sqrt((seeds.n - 1) / seeds.n)
    return _Figures(
        seeds.n, seeds.mean, seeds.std, population, seeds.std / math.sqrt(seeds.n), statistics.median(values), values
    )


def _measured(
    runs: Runs, values: tuple[float, ...], figures: _Figures | None, claim: ValueClaim
) -> dict[str, Measured]:
    measured: dict[str, Measured] = {"n": len(values), "seeds": tuple(runs.values)}
    if figures is None:
        return measured | ({"mean": values[0]} if values else {})
    low, high = order.interval(order.seeds_of(values))
    measured |= {
        "mean": figures.mean,
        "std": figures.population if claim.ddof == 0 else figures.std,
        "ddof": 1 if claim.ddof is None else claim.ddof,
        "sem": figures.sem,
        "two_sem": 2 * figures.sem,
        "low": low,
        "high": high,
    }
    return measured


def _mean(claim: ValueClaim, runs: Runs, figures: _Figures) -> _Failure | str:
    if claim.mean is None:
        return ""
    match printed.fit(claim.mean, figures.mean):
        case "fits":
            return f"the mean of {seed_list(runs.values)} is {printed.shown(figures.mean)}"
        case "misrounded":
            return _Failure("not-supported", printed.misrounding("the mean", claim.mean, figures.mean))
    lowest, highest = min(figures.values), max(figures.values)
    others = [
        ("the median", figures.median),
        ("the lowest seed's value", lowest),
        ("the highest seed's value", highest),
        ("the mean times 100 (scale = 100 says so)", figures.mean * 100),
        ("the mean divided by 100 (scale = 0.01 says so)", figures.mean / 100),
    ]
    for seed, value in zip(runs.values, figures.values, strict=False):
        if figures.n > 2:
            rest = (math.fsum(figures.values) - value) / (figures.n - 1)
            others.append((f"the mean without seed {seed}", rest))
    other = printed.what_else(claim.mean, others)
    away = abs(figures.mean - float(claim.mean))
    text = f"the mean {claim.mean} is printed and the files give {printed.shown(figures.mean)}"
    if other:
        text += f": {claim.mean} is {other}"
    elif figures.sem > 0:
        text += f", {away / figures.sem:.2g} SEM away"
    return _Failure("contradicted", text)


def _std(claim: ValueClaim, figures: _Figures) -> _Failure | str:
    if claim.std is None:
        return ""
    ours, other, other_ddof = (
        (figures.population, figures.std, 1) if claim.ddof == 0 else (figures.std, figures.population, 0)
    )
    ddof = 1 - other_ddof
    fit = printed.fit(claim.std, ours)
    if fit == "fits":
        return f"the std {printed.shown(ours)} (ddof={ddof})"
    given = f"the std {claim.std} is printed and the files give {printed.shown(ours)} (ddof={ddof})"
    if claim.std != 0 and printed.fit(claim.std, other) == "fits":
        why = "the divisor is n, not n − 1" if other_ddof == 0 else "the divisor is n − 1, not n"
        # With five seeds the two are the same number: 2/√5 = √(4/5).
        also = printed.what_else(claim.std, [("2·SEM", 2 * figures.sem)])
        both = f", or {also}" if also else ""
        return _Failure("not-supported", f"{given}: {claim.std} is the std with ddof={other_ddof} ({why}){both}")
    named = printed.what_else(
        claim.std,
        [
            ("the standard error (SEM), printed as std", figures.sem),
            ("2·SEM, printed as std", 2 * figures.sem),
            ("1.96·SEM, printed as std", 1.96 * figures.sem),
            ("the half-width of the 95 % interval of the mean", _half_width(figures)),
            ("the SEM with ddof=0, printed as std", figures.population / math.sqrt(figures.n)),
            ("the variance", figures.std**2),
            ("the range", max(figures.values) - min(figures.values)),
        ],
    )
    if named:
        return _Failure("contradicted", f"{given}: {claim.std} is {named}")
    if fit == "misrounded":
        return _Failure("not-supported", printed.misrounding("the std", claim.std, ours))
    return _Failure("contradicted", given)


def _sem(claim: ValueClaim, figures: _Figures) -> _Failure | str:
    ours = figures.sem if claim.ddof != 0 else figures.population / math.sqrt(figures.n)
    others = [
        ("the std", figures.std),
        ("2·SEM", 2 * figures.sem),
        ("the SEM with ddof=0", figures.population / math.sqrt(figures.n)),
        ("the half-width of the 95 % interval of the mean", _half_width(figures)),
    ]
    return _spread("the SEM", claim.sem, ours, others)


def _two_sem(claim: ValueClaim, figures: _Figures) -> _Failure | str:
    ours = 2 * (figures.sem if claim.ddof != 0 else figures.population / math.sqrt(figures.n))
    others = [
        ("one SEM", figures.sem),
        ("the std", figures.std),
        ("1.96·SEM", 1.96 * figures.sem),
        ("2·SEM with ddof=0", 2 * figures.population / math.sqrt(figures.n)),
        ("the half-width of the 95 % interval of the mean", _half_width(figures)),
    ]
    return _spread("±2·SEM", claim.two_sem, ours, others)


def _spread(name: str, given: Decimal | None, ours: float, others: list[tuple[str, float]]) -> _Failure | str:
    if given is None:
        return ""
    fit = printed.fit(given, ours)
    if fit == "fits":
        return f"{name} is {printed.shown(ours)}"
    other = printed.what_else(given, others)
    if other or fit == "differs":
        text = f"{given} is printed for {name} and the files give {printed.shown(ours)}"
        status: Status = "not-supported" if "ddof" in other else "contradicted"
        return _Failure(status, f"{text}: {given} is {other}" if other else text)
    return _Failure("not-supported", printed.misrounding(name, given, ours))


def _half_width(figures: _Figures) -> float:
    low, high = order.interval(order.Seeds(figures.n, figures.mean, figures.std))
    return (high - low) / 2


def _more_than_printed(claim: ValueClaim, runs: Runs, values: tuple[float, ...]) -> _Failure:
    """What is wrong where the files have more seeds than the claim counts: were some chosen?"""
    n = claim.n or 0
    text = f"n = {n} is printed and the files have {_counted(len(values), 'seed')}"
    if n < 2 or claim.mean is None or runs.unseeded or math.comb(len(values), n) > _SUBSETS:
        return _Failure("not-supported", text)
    if printed.fit(claim.mean, math.fsum(values) / len(values)) == "fits":
        return _Failure("not-supported", f"{text}, of which the mean is that of all")
    fitting = []
    for chosen in itertools.combinations(range(len(values)), n):
        part = order.seeds_of([values[place] for place in chosen])
        if printed.fit(claim.mean, part.mean) == "fits" and (
            claim.std is None or printed.fit(claim.std, part.std) == "fits"
        ):
            fitting.append(chosen)
    seeds = tuple(runs.values)
    if len(fitting) == 1:
        chosen = fitting[0]
        rest = [seed for place, seed in enumerate(seeds) if place not in chosen]
        text += f": the printed figures are those of {seed_list(seeds[place] for place in chosen)}, without "
        text += f"{seed_list(rest)}"
    elif fitting:
        text += f": {len(fitting)} choices of {n} of them give the printed figures"
    return _Failure("not-supported", text)


def _against_itself(claim: ValueClaim) -> list[_Failure]:
    """What the printed figures say of one another, whatever the files say."""
    if claim.std is None or claim.n is None or claim.n < 2:
        return []
    divisor = math.sqrt(claim.n if claim.ddof != 0 else claim.n - 1)
    failures = []
    for name, given, factor in (("SEM", claim.sem, 1.0), ("±2·SEM", claim.two_sem, 2.0)):
        if given is None:
            continue
        half_std, half = float(printed.quantum(claim.std)) / 2, float(printed.quantum(given)) / 2
        sem = float(claim.std) / divisor
        low, high = ((float(claim.std) + sign * half_std) / divisor * factor for sign in (-1, 1))
        if low - half <= float(given) * (1 + 1e-12) and float(given) * (1 - 1e-12) <= high + half:
            continue
        sign = "±" if factor == 2 else ""
        text = (
            f"a std of {claim.std} over n = {claim.n} is a SEM of {sem:.3g}, so {name} is {sign}{factor * sem:.2g} "
            f"and not the {sign}{given} that is printed"
        )
        if factor == 2 and abs(float(given) - sem) <= half + half_std / divisor:
            text += " (that is one SEM)"
        failures.append(_Failure("contradicted", text))
    return failures


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count or 'no'} {noun}s"
