"""How many seeds a claim needs: Friedman's test simulated with 1, 2, 3, … seeds, and Welch's test for each order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

from auditor.claims.rankings import GROUPS_ENOUGH, Blocks
from auditor.claims.runs import Runs, group_name, summary
from auditor.records.claims import OrderPower, PowerPoint, PowerStudy, RuleCurve
from auditor.statistics import distributions, order, ranks

SIMULATIONS = 4_000
SEED = 1
WANTED = 0.8
BORDERLINE = 0.4  # about the power where the test is expected to land on its level
_COUNTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
_MORE = (12, 15, 20, 30)


def friedman_study(
    blocks: Blocks, runs: Sequence[Runs], alpha: float, seed: int, simulations: int = SIMULATIONS
) -> PowerStudy | str:
    """The power of Friedman's test over the groups of ``runs``, by the number of seeds; or why it cannot be told."""
    methods = blocks.methods
    if len(methods) < 3:
        return f"{blocks.metric}: Friedman's test needs three methods, and there are {len(methods)}"
    if len(blocks.names) < 2:
        return f"{blocks.metric}: fewer than two blocks have a result of every method"
    groups: dict[str, dict[str, Runs]] = {}
    for one in runs:
        groups.setdefault(group_name(one.labels), {})[one.method] = one
    means: list[list[float]] = []
    stds: list[list[float]] = []
    for name, by_method in groups.items():
        found_seeds = []
        for method in methods:
            seeds = summary(by_method[method]) if method in by_method else None
            if seeds is None:
                where = f" on {name}" if name else ""
                return (
                    f"{blocks.metric}: {method} has fewer than two seeds{where}, so that the noise of its seeds is not "
                    "known; two seeds of each method would tell it"
                )
            found_seeds.append(seeds)
        means.append(_shrunk(found_seeds))
        stds.append([seeds.std for seeds in found_seeds])
    found = ranks.friedman(blocks.table)
    points = []
    for count in _COUNTS:
        points.append(_point(count, means, stds, found.kendall_w, len(blocks.names), alpha, seed, simulations))
    for count in _MORE:
        if any(one.says == "enough" for one in points):
            break
        points.append(_point(count, means, stds, found.kendall_w, len(blocks.names), alpha, seed, simulations))
    enough = next((one.seeds for one in points if one.says == "enough"), None)
    return PowerStudy(
        metric=blocks.metric,
        methods=len(methods),
        groups=tuple(groups),
        measured_seeds=blocks.seeds,
        kendall_w=found.kendall_w,
        alpha=alpha,
        wanted=WANTED,
        simulations=simulations,
        generator="numpy.random.PCG64, a stream for each number of seeds: [seed, number]",
        seed=seed,
        points=tuple(points),
        enough=enough,
        says=_sentence(points, enough, len(groups), len(methods)),
    )


def _shrunk(found: Sequence[order.Seeds]) -> list[float]:
    """The means drawn together by the part of their differences that the seeds' noise alone would make."""
    between = order.seeds_of([one.mean for one in found])
    noise = math.fsum(one.std**2 / one.n for one in found) / len(found)
    kept = math.sqrt(max(0.0, 1 - noise / between.std**2)) if between.std > 0 else 1.0
    return [between.mean + kept * (one.mean - between.mean) for one in found]


def _point(
    count: int,
    means: Sequence[Sequence[float]],
    stds: Sequence[Sequence[float]],
    kendall_w: float,
    measured_blocks: int,
    alpha: float,
    seed: int,
    simulations: int,
) -> PowerPoint:
    import numpy as np

    groups, methods = len(means), len(means[0])
    blocks, df = groups * count, methods - 1
    if blocks < 2:
        return PowerPoint(count, blocks, None, None, None, None, None, "none")
    agreement = (measured_blocks * kendall_w - 1) / (measured_blocks - 1)
    critical = distributions.chi2_quantile(alpha, df)
    expected = df * max(1 + (blocks - 1) * agreement, 0.0)
    least_w = critical / (blocks * df)
    generator = np.random.Generator(np.random.PCG64([seed, count]))
    found = ranks.simulate_friedman(np.array(means), np.array(stds), count, simulations, generator)
    power = float(np.mean(found > critical))
    says: Literal["none", "too few", "borderline", "enough"]
    if count == 1 and groups < GROUPS_ENOUGH:
        says = "none"  # as claims have it: the noise of the seeds cannot be seen, whatever the ranks say
    elif power >= WANTED:
        says = "enough"
    else:
        says = "borderline" if power >= BORDERLINE else "too few"
    return PowerPoint(
        seeds=count,
        blocks=blocks,
        power=power,
        standard_error=math.sqrt(power * (1 - power) / simulations),
        p_at_agreement=distributions.chi2_sf(expected, df),
        least_w=least_w if least_w <= 1 else None,
        least_p=distributions.chi2_sf(ranks.largest_statistic(blocks, methods), df),
        says=says,
    )


def _sentence(points: Sequence[PowerPoint], enough: int | None, groups: int, methods: int) -> str:
    """Why so many seeds: what fewer of them could have shown."""
    shape = f"{methods} methods over {groups} data set{'s' if groups > 1 else ''}"
    parts = []
    if enough is not None:
        at = next(one for one in points if one.seeds == enough)
        parts.append(
            f"{enough} seed{'s are' if enough > 1 else ' is'} the fewest with at least {WANTED:.0%} power "
            f"({at.power:.0%}, {at.blocks} blocks)"
        )
    else:
        parts.append(f"not even {points[-1].seeds} seeds reach {WANTED:.0%} power ({points[-1].power or 0:.0%})")
    for what in ("borderline", "too few"):
        powers = {one.seeds: one.power for one in points if one.says == what and one.power is not None}
        if powers:
            low, high = min(powers.values()), max(powers.values())
            shares = f"{low:.0%}" if len(powers) == 1 else f"{low:.0%} to {high:.0%}"
            parts.append(f"{listed(list(powers))} are {what} ({shares})")
    one = points[0]
    if one.says == "none":
        said = f"with 1 there is no test ({one.blocks} block{'s' if one.blocks > 1 else ''}"
        if one.least_p is not None:
            even = "even " if one.least_p > 0.01 else ""
            said += f", where {even}full agreement gives p = {one.least_p:.2g}"
        parts.append(f"{said}; of fewer than {GROUPS_ENOUGH} data sets the seeds' noise cannot be seen)")
    else:
        parts.append(f"with 1 the {groups} data sets are the blocks")
    return f"{shape}: {'; '.join(parts)}"


def listed(numbers: Sequence[int]) -> str:
    """``4 to 8`` where none is left out between them, else ``4, 6 and 7``."""
    if len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1:
        return f"{numbers[0]} to {numbers[-1]}"
    *first, last = map(str, numbers)
    return f"{', '.join(first)} and {last}" if first else last


def order_power(
    sentence: str, groups: Mapping[str, tuple[Runs | None, Runs | None]], alpha: float
) -> tuple[OrderPower, ...]:
    """The power of an order claim at the differences measured, with 3 to 10 seeds of each method, in each group."""
    found = []
    for name, pair in groups.items():
        seeds = [None if runs is None else summary(runs) for runs in pair]
        if seeds[0] is None or seeds[1] is None or not (seeds[0].std or seeds[1].std):
            continue
        first, second = seeds[0], seeds[1]
        difference = first.mean - second.mean
        power = {
            str(count): order.power(difference, first._replace(n=count), second._replace(n=count), alpha)
            for count in range(order.LEAST, 11)
        }
        needed = order.seeds_needed(difference, first, second, alpha, WANTED)
        needed = None if needed is None else max(needed, order.LEAST)
        title = f"{sentence} ({name})" if len(groups) > 1 else sentence
        found.append(OrderPower(title, difference, power, needed))
    return tuple(found)


def rule_curve(seeds: int, seed: int, simulations: int = SIMULATIONS) -> RuleCurve:
    """The operating characteristic of the published rule for reproductions with ``seeds`` ≥ 2 seeds on both sides."""
    import numpy as np

    from auditor.statistics import rule

    counts = tuple(sorted({*range(3, 11), 12, 15, 20, 25, 30, 40, 50, max(seeds, 3)}))
    chances = [rule.chances(count, count) for count in counts]
    shifts = tuple(round(0.1 * step, 1) for step in range(31))
    generator = np.random.Generator(np.random.PCG64([seed, seeds, 2]))
    drawn = generator.standard_normal((2, simulations, seeds))
    reference, new = drawn
    std, new_std = reference.std(axis=1, ddof=1), new.std(axis=1, ddof=1)
    spread_passes = np.abs(new_std - std) <= 0.2 * std
    # The same draws at every shift: the curve falls as smoothly as the truth does.
    off = new.mean(axis=1) - reference.mean(axis=1)
    bound = 2 * std / math.sqrt(seeds)
    passes = tuple(float(np.mean((np.abs(off + shift) <= bound) & spread_passes)) for shift in shifts)
    return RuleCurve(
        seeds=counts,
        true_mean=tuple(one[0] for one in chances),
        true_std=tuple(one[1] for one in chances),
        true_both=tuple(one[2] for one in chances),
        measured_seeds=seeds,
        shifts=shifts,
        passes=passes,
        simulations=simulations,
        generator="numpy.random.PCG64: [seed, measured seeds, 2]",
        seed=seed,
    )
