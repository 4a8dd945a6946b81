"""Plots of a study of seeds, as SVG and PNG: the seeds against their reference, and whole learning curves."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from auditor.records.distribution import Curves, MetricSeeds
from auditor.records.study import SeedMetric, Study
from auditor.report.drawing import BLUE, FAINT, GREEN, INK, ORANGE, RED, SOFT, Bounds, draw, file_stem, seed_row, short
from auditor.report.wording import VERDICTS
from auditor.statistics.order import Seeds, interval

_COLOURS = {"reached": GREEN, "not-reached": RED, "inconclusive": ORANGE}


def render(study: Study) -> dict[str, bytes]:
    """Every plot of a study: file name to bytes, as ``.svg`` and ``.png``; none of a metric without finite values."""
    return draw(lambda: _figures(study))


def _figures(study: Study) -> dict[str, Figure]:
    drawn: dict[str, Figure] = {}
    for metric in study.metrics.values():
        stem = _free(file_stem(metric.name), drawn)
        if metric.summary.mean is not None:
            drawn[f"seeds-{stem}"] = seeds(metric)
        if metric.curve is not None and metric.curve.points:
            drawn[f"curve-{stem}"] = curve(metric.name, metric.curve)
    return drawn


def _free(stem: str, drawn: dict[str, Figure]) -> str:
    """The stem, or one with a number after it where another metric's name came to the same."""
    number, free = 1, stem
    while f"seeds-{free}" in drawn or f"curve-{free}" in drawn:
        number += 1
        free = f"{stem}-{number}"
    return free


def seeds(metric: SeedMetric) -> Figure:
    """The new seeds as points over their mean and its 95 % interval, and the reference with its margins above them."""
    held = metric.held
    figure = Figure(figsize=(6.6, 1.75 if held is None else 2.75), layout="constrained")
    axes: Any = figure.subplots()
    rows = ["new seeds"]
    if held is not None:
        rows.insert(0, "reference")
        _reference(axes, held)
    summary = metric.summary
    values = [value for value in metric.values.values() if isinstance(value, float)]
    bounds = None if summary.low is None or summary.high is None else (summary.low, summary.high)
    seed_row(axes, len(rows) - 1, values, summary.mean, bounds, BLUE)
    axes.set_yticks(range(len(rows)), [_row(name, metric) for name in rows])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="x", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.margins(x=0.06)
    axes.set_title(short(metric.name, 60))
    said = "points: seeds, dot and bar: mean and its 95 % interval"
    if held is not None:
        figure.legend(frameon=False, fontsize=8.5, loc="outside lower left", ncols=2)
        said = f"{said}; calibrated verdict: {VERDICTS[held.calibrated.verdict]}"
    axes.set_xlabel(said, fontsize=8.5)
    return figure


def _row(name: str, metric: SeedMetric) -> str:
    if name == "reference":
        return f"{name} (n = {metric.held.reference.n if metric.held else 0})"
    unusable = f", {metric.summary.nonfinite} not finite" if metric.summary.nonfinite else ""
    return f"{name} (n = {metric.summary.n}{unusable})"


def _reference(axes: Any, held: MetricSeeds) -> None:
    """The reference's row, and what its figures demand of the new mean: by the published rule, and by the margin."""
    reference, margins, rule = held.reference, held.margins, held.published
    bounds: Bounds = None
    if reference.n > 1:
        bounds = interval(Seeds(reference.n, reference.mean, reference.std))
    seed_row(axes, 0, reference.values or (), reference.mean, bounds, INK)
    reach = margins.mean * (reference.std if margins.unit == "std" else 1.0)
    unit = " std" if margins.unit == "std" else ""
    colour = _COLOURS[held.calibrated.verdict]
    margin = f"margin of the mean (±{margins.mean:g}{unit})"
    axes.axvspan(reference.mean - reach, reference.mean + reach, color=colour, alpha=0.1, linewidth=0, label=margin)
    for edge, label in ((rule.mean_low, "published rule (±2·SEM)"), (rule.mean_high, None)):
        axes.axvline(edge, color=SOFT, linewidth=1.0, linestyle=(0, (4, 3)), label=label)


def curve(name: str, curves: Curves) -> Figure:
    """The mean learning curves above, and below them the difference with its simultaneous bounds and the margin."""
    figure = Figure(figsize=(6.6, 4.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    at = [point.at for point in curves.points]
    above.plot(at, [point.reference_mean for point in curves.points], color=INK, linewidth=1.6, label="reference")
    above.plot(at, [point.new_mean for point in curves.points], color=BLUE, linewidth=1.6, label="new seeds")
    above.legend(frameon=False, fontsize=8.5)
    above.set_title(f"{short(name, 50)}: mean over seeds")
    colour = _COLOURS[curves.verdict]
    below.axhspan(-curves.margin, curves.margin, color=colour, alpha=0.1, linewidth=0)
    below.plot(at, [point.new_mean - point.reference_mean for point in curves.points], color=BLUE, linewidth=1.6)
    bounded = [
        (point.at, point.low, point.high) for point in curves.points if point.low is not None and point.high is not None
    ]
    if bounded:
        places, lows, highs = zip(*bounded, strict=True)
        below.fill_between(places, lows, highs, color=BLUE, alpha=0.18, linewidth=0)
    if curves.first_different is not None:
        below.axvline(curves.first_different, color=RED, linewidth=1.0, linestyle=(0, (4, 3)))
    below.set_ylabel("new − reference")
    below.set_xlabel(
        f"step; below: difference with bounds over all points, shaded: the margin; {VERDICTS[curves.verdict]}",
        fontsize=8.5,
    )
    for axes in (above, below):
        axes.grid(axis="y", color=FAINT, linewidth=0.7)
        axes.set_axisbelow(True)
    return figure
