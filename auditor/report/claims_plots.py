"""Plots of claims, as SVG and PNG: seeds with intervals, critical differences, power, and the published rule's odds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from auditor.records.claims import Cell, ClaimsReport, OrderPower, PowerPoint, PowerStudy, Ranking, RuleCurve
from auditor.report import claims
from auditor.report.drawing import (
    BLUE,
    FAINT,
    GREEN,
    INK,
    LINES,
    ORANGE,
    RED,
    SKY,
    SOFT,
    draw,
    file_stem,
    seed_row,
    short,
)


def render(report: ClaimsReport) -> dict[str, bytes]:
    """Every plot of a report: file name to bytes, as ``.svg`` and ``.png``."""
    return draw(lambda: _figures(report))


def _figures(report: ClaimsReport) -> dict[str, Figure]:
    drawn: dict[str, Figure] = {}
    by_metric: dict[str, list[tuple[str, list[Cell]]]] = {}
    for (metric, group), cells in claims.groups(report).items():
        by_metric.setdefault(metric, []).append((group, cells))
    for metric, groups in by_metric.items():
        drawn[f"seeds-{file_stem(metric)}"] = seeds(metric, groups, metric in report.lower_is_better)
    for number, ranking in enumerate(report.rankings, 1):
        drawn[_numbered(f"ranks-{file_stem(ranking.metric)}", number, len(report.rankings))] = ranks(ranking)
    if report.power is not None:
        for number, study in enumerate(report.power.studies, 1):
            drawn[_numbered(f"power-{file_stem(study.metric)}", number, len(report.power.studies))] = power(study)
        if report.power.orders:
            drawn["power-orders"] = power_of_orders(report.power.orders)
        if report.power.rule is not None:
            drawn["published-rule"] = published_rule(report.power.rule)
    return drawn


def _numbered(stem: str, number: int, count: int) -> str:
    return stem if count == 1 else f"{stem}-{number}"


def seeds(metric: str, groups: Sequence[tuple[str, Sequence[Cell]]], lower: bool) -> Figure:
    """Seeds as points over their mean and its 95 % interval: a panel per group, a row per method, the best on top."""
    shown = [(group, list(cells)) for group, cells in groups][:12]
    columns = min(len(shown), 3)
    rows = math.ceil(len(shown) / columns)
    tallest = max(len(cells) for _, cells in shown)
    height = 0.34 * tallest + 1.1
    figure = Figure(figsize=(max(4.2 * columns, 5.2), height * rows + 0.5), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for place, (group, cells) in enumerate(shown):
        _seeds_panel(axes[place // columns][place % columns], group or metric, cells)
    for place in range(len(shown), rows * columns):
        axes[place // columns][place % columns].set_axis_off()
    better = "lower is better" if lower else "higher is better"
    figure.supxlabel(f"{short(metric)} ({better}); points: seeds, dot and bar: mean and its 95 % interval", fontsize=9)
    return figure


def _seeds_panel(axes: Any, title: str, cells: Sequence[Cell]) -> None:
    axes.set_title(short(title, 40))
    axes.grid(axis="x", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    for row, cell in enumerate(cells):
        values = [value for value in cell.values.values() if isinstance(value, float)]
        bounds = None if cell.low is None or cell.high is None else (cell.low, cell.high)
        seed_row(axes, row, values, cell.mean, bounds, GREEN if cell.best else BLUE)
    labels = [f"{short(cell.method)}{'' if not cell.gaps else ' !'}" for cell in cells]
    axes.set_yticks(range(len(cells)), labels)
    for label, cell in zip(axes.get_yticklabels(), cells, strict=True):
        label.set_fontweight("bold" if cell.best else "normal")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(cells) - 0.4, -0.6)
    axes.margins(x=0.06)


def ranks(ranking: Ranking) -> Figure:
    """The critical-difference diagram: methods at their mean ranks, and bars over those that are not told apart."""
    ordered = list(ranking.mean_ranks.items())
    count = len(ordered)
    left = ordered[: math.ceil(count / 2)]
    right = ordered[math.ceil(count / 2) :]
    bars = len(ranking.alike)
    depth = 0.55 + 0.22 * bars
    lines = max(len(left), len(right))
    height = 1.35 + depth * 0.55 + 0.3 * lines
    figure = Figure(figsize=(8.2, height))
    axes: Any = figure.add_axes((0.03, 0.02, 0.94, 0.96))
    axes.set_axis_off()
    low, high = 1.0, float(count)
    margin = 0.36 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    bottom = depth + 0.42 * lines
    axes.set_ylim(bottom + 0.25, -2.0)
    axes.plot([low, high], [0, 0], color=INK, linewidth=1.2)
    for tick in range(1, count + 1):
        axes.plot([tick, tick], [0, -0.14], color=INK, linewidth=1.0)
        axes.text(tick, -0.22, str(tick), ha="center", va="bottom", fontsize=8.5, color=SOFT)
    axes.text(
        low - margin,
        -1.78,
        f"Mean ranks of {short(ranking.metric)} over {ranking.blocks} blocks",
        fontsize=11,
        fontweight="bold",
        va="center",
    )
    axes.text(
        low - margin,
        -1.42,
        f"Friedman χ² = {ranking.statistic:.3g}, p = {ranking.p:.2g}, Kendall's W = {ranking.kendall_w:.2f}; "
        f"bars join what Nemenyi's test does not tell apart at {ranking.alpha:g}",
        fontsize=8.5,
        color=SOFT,
        va="center",
    )
    width = min(ranking.critical_difference, high - low)
    axes.plot([low, low + width], [-0.85, -0.85], color=ORANGE, linewidth=2.5, solid_capstyle="butt")
    for end in (low, low + width):
        axes.plot([end, end], [-0.95, -0.75], color=ORANGE, linewidth=1.2)
    axes.text(
        low + width / 2,
        -0.98,
        f"critical difference {ranking.critical_difference:.2f}",
        ha="center",
        va="bottom",
        fontsize=8.5,
        color=INK,
    )
    for place, names in enumerate(ranking.alike):
        found = [ranking.mean_ranks[name] for name in names]
        y = 0.3 + 0.22 * place
        axes.plot([min(found) - 0.04, max(found) + 0.04], [y, y], color=RED, linewidth=3.2, solid_capstyle="round")
    for side, methods in (("left", left), ("right", list(reversed(right)))):
        edge = low - 0.06 * (high - low) if side == "left" else high + 0.06 * (high - low)
        for place, (name, rank) in enumerate(methods):
            level = depth + 0.2 + 0.42 * place
            axes.plot([rank, rank, edge], [0, level, level], color=INK, linewidth=0.9, solid_joinstyle="round")
            axes.scatter([rank], [0], s=22, color=BLUE, zorder=4, edgecolors="white", linewidths=0.6)
            sign = -1 if side == "left" else 1
            axes.text(
                edge + sign * 0.015 * (high - low),
                level,
                f"{short(name)}  {rank:.2f}" if side == "left" else f"{rank:.2f}  {short(name)}",
                ha="right" if side == "left" else "left",
                va="center",
                fontsize=9.5,
            )
    return figure


def power(study: PowerStudy) -> Figure:
    """The power of Friedman's test by the number of seeds, with what is too few, borderline and enough."""
    figure = Figure(figsize=(6.4, 3.9), layout="constrained")
    axes: Any = figure.subplots()
    points = [point for point in study.points if point.power is not None and point.says != "none"]
    xs = [point.seeds for point in points]
    ys = [point.power or 0.0 for point in points]
    axes.axhspan(study.wanted, 1.04, color=GREEN, alpha=0.09, linewidth=0)
    axes.axhline(study.wanted, color=GREEN, linewidth=1.0, linestyle=(0, (4, 3)))
    axes.axhline(study.alpha, color=SOFT, linewidth=0.8, linestyle=(0, (1, 2)))
    axes.plot(xs, ys, color=BLUE, linewidth=2.0, zorder=3)
    for says, colour in (("too few", RED), ("borderline", ORANGE), ("enough", GREEN)):
        these = [point for point in points if point.says == says]
        if these:
            axes.errorbar(
                [point.seeds for point in these],
                [point.power or 0.0 for point in these],
                yerr=[1.96 * (point.standard_error or 0.0) for point in these],
                color=colour,
                ecolor=INK,
                elinewidth=1.0,
                linestyle="none",
                marker="o",
                markersize=7,
                markeredgecolor=BLUE,
                zorder=4,
                label=f"{says}: {_seeds_and_power(these[0])}" if says == "enough" else says,
            )
    axes.legend(frameon=False, fontsize=8.5, loc="lower right", bbox_to_anchor=(1.0, 0.08))
    _beside(axes, study.wanted, f"{study.wanted * 100:.0f} %\npower", GREEN)
    _beside(axes, study.alpha, f"level\n{study.alpha:g}", SOFT)
    axes.set_title(
        f"Friedman's test of {short(study.metric)}: {study.methods} methods over {short(', '.join(study.groups), 40)}"
    )
    axes.set_xlabel(
        f"seeds of each method and data set ({study.simulations:,} simulated studies each, seed {study.seed})"
    )
    axes.set_ylabel("chance of p below the level")
    _shares(axes)
    every = [point.seeds for point in study.points]
    untested = [point.seeds for point in study.points if point.says == "none"]
    axes.set_xticks(every, [f"{seeds}\nno test" if seeds in untested else str(seeds) for seeds in every])
    axes.set_xlim(every[0] - 0.4, every[-1] + 0.4)
    return figure


def _seeds_and_power(point: PowerPoint) -> str:
    """``from 5 seeds on (88 %)``; what is nearly all is not said to be all."""
    power = (point.power or 0.0) * 100
    return f"from {point.seeds} seeds on ({'over 99' if 99 < power < 100 else f'{power:.0f}'} %)"


def _beside(axes: Any, height: float, text: str, colour: str) -> None:
    """Name a horizontal line at the right of the axes, where no curve can run through it."""
    axes.text(
        1.01, height, text, transform=axes.get_yaxis_transform(), ha="left", va="center", fontsize=8.5, color=colour
    )


def _shares(axes: Any) -> None:
    """A vertical axis from nothing to all, in per cent."""
    axes.set_ylim(-0.02, 1.04)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0], ["0 %", "20 %", "40 %", "60 %", "80 %", "100 %"])


def power_of_orders(orders: Sequence[OrderPower]) -> Figure:
    """The power of every order claim by the number of seeds, at the difference that was measured."""
    shown = orders[: len(LINES)]
    figure = Figure(figsize=(6.4, 3.7 + 0.19 * (len(shown) + (len(orders) > len(shown)))), layout="constrained")
    axes: Any = figure.subplots()
    axes.axhspan(0.8, 1.04, color=GREEN, alpha=0.09, linewidth=0)
    axes.axhline(0.8, color=GREEN, linewidth=1.0, linestyle=(0, (4, 3)))
    for colour, one in zip(LINES, shown, strict=False):
        xs = [int(seeds) for seeds in one.power]
        needed = f"{one.needed:,} seeds for 80 %" if one.needed is not None else "over 10,000 seeds for 80 %"
        axes.plot(
            xs,
            list(one.power.values()),
            color=colour,
            linewidth=2.0,
            marker="o",
            markersize=4.5,
            markeredgecolor="white",
            label=f"{short(one.claim, 46)}: {needed}",
        )
    axes.set_title("Orders of two methods: Welch's test at the difference measured")
    axes.set_xlabel("seeds of each method")
    axes.set_ylabel("chance of showing the order")
    _shares(axes)
    left = len(orders) - len(shown)
    figure.legend(
        frameon=False,
        fontsize=8.5,
        loc="outside lower left",
        title=f"the first {len(shown)} of {len(orders)} orders" if left else None,
        title_fontsize=8.5,
        alignment="left",
    )
    return figure


def published_rule(curve: RuleCurve) -> Figure:
    """The operating characteristic of the published rule: true reproductions by seeds, and others by how far off."""
    figure = Figure(figsize=(9.4, 3.9), layout="constrained")
    axes: Any = figure.subplots(1, 2, sharey=True)
    by_seeds, by_shift = axes
    for values, colour, name in (
        (curve.true_mean, SKY, "mean within ±2·SEM"),
        (curve.true_std, ORANGE, "std within ±20 %"),
        (curve.true_both, BLUE, "both"),
    ):
        by_seeds.plot(curve.seeds, values, color=colour, linewidth=2.0, label=name)
    place = curve.seeds.index(max(curve.measured_seeds, 3))
    by_seeds.scatter([curve.seeds[place]], [curve.true_both[place]], s=46, color=BLUE, edgecolors="white", zorder=4)
    by_seeds.annotate(
        f"{curve.seeds[place]} seeds: {curve.true_both[place] * 100:.0f} %",
        (curve.seeds[place], curve.true_both[place]),
        xytext=(8, -12),
        textcoords="offset points",
        fontsize=8.5,
    )
    by_seeds.legend(frameon=False, fontsize=8.5, loc="lower right")
    by_seeds.set_title("A true reproduction")
    by_seeds.set_xlabel("seeds on both sides")
    by_seeds.set_ylabel("chance to pass the published rule")
    by_shift.plot(curve.shifts, curve.passes, color=BLUE, linewidth=2.0)
    by_shift.set_title(f"One that is off ({curve.measured_seeds} seeds, {curve.simulations:,} simulated)")
    by_shift.set_xlabel("difference of the means, in standard deviations")
    _shares(by_seeds)
    for one in axes:
        one.grid(axis="y", color=FAINT, linewidth=0.7)
        one.set_axisbelow(True)
    return figure
