"""The sentences and figures of a report of claims that several formats share, and its JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from auditor.records.claims import Cell, ClaimsReport, PowerPoint, RuleCurve, Status
from auditor.report.wording import counted, plain

STATUSES: dict[Status, str] = {
    "supported": "supported",
    "not-supported": "not supported by these seeds",
    "contradicted": "contradicted",
    "cannot-be-checked": "cannot be checked",
}
BOLD = "bold: better than every other method of its data set (Welch's test, Holm's correction)"
POWER_HEADS = ("seeds", "blocks", "power", "p expected", "least W", "")


def render_json(report: ClaimsReport) -> str:
    """The report as indented JSON, ending with a line break; valid by ``schema/claims-1.json``."""
    encoded = msgspec.json.encode(report, order="deterministic")
    return msgspec.json.format(encoded, indent=2).decode("utf-8") + "\n"


def headline(report: ClaimsReport) -> str:
    """How many claims came to what."""
    count = Counter(one.status for one in report.claims)
    if count["supported"] == len(report.claims):
        return (
            "The claim is supported." if len(report.claims) == 1 else f"All {len(report.claims)} claims are supported."
        )
    parts = [f"{count[status]} {said}" for status, said in STATUSES.items() if count[status]]
    return f"{counted(len(report.claims), 'claim')}: {', '.join(parts)}."


def groups(report: ClaimsReport) -> dict[tuple[str, str], list[Cell]]:
    """The results by metric and group (data set), in their order; the better means first."""
    found: dict[tuple[str, str], list[Cell]] = {}
    for cell in report.results:
        found.setdefault((cell.metric, group_name(cell)), []).append(cell)
    for (metric, _), cells in found.items():
        sign = 1 if metric in report.lower_is_better else -1
        cells.sort(key=lambda cell: (cell.mean is None, sign * (cell.mean or 0.0), cell.method))
    return found


def group_name(cell: Cell) -> str:
    """``FD002`` for a data set alone, else with every other label as ``name=value``."""
    parts = [cell.labels["dataset"]] if "dataset" in cell.labels else []
    return plain(
        ", ".join(parts + [f"{name}={cell.labels[name]}" for name in sorted(cell.labels) if name != "dataset"])
    )


def decimals(std: float | None, mean: float | None) -> int:
    """How many decimals a mean deserves: two significant digits of its standard deviation."""
    reference = std if std else abs(mean) / 100 if mean else 1.0
    digits = 0
    while digits < 8 and round(reference * 10**digits) < 10:
        digits += 1
    return digits


def mean_std(cell: Cell, sign: str = " ± ", digits: int | None = None) -> str:
    """``7.72 ± 0.66``; only the mean of a single seed, and nothing without one."""
    if cell.mean is None:
        return "-"
    shown = decimals(cell.std, cell.mean) if digits is None else digits
    text = f"{cell.mean:.{shown}f}"
    return text if cell.std is None else f"{text}{sign}{cell.std:.{shown}f}"


def common_decimals(cells: Sequence[Cell]) -> int:
    """One number of decimals for a column: that of the median standard deviation."""
    found = sorted(decimals(cell.std, cell.mean) for cell in cells if cell.mean is not None)
    return found[len(found) // 2] if found else 2


def point_row(point: PowerPoint) -> tuple[str, ...]:
    """One line of a table of power."""
    return (
        str(point.seeds),
        str(point.blocks),
        "-" if point.power is None else f"{point.power:.0%}",
        "-" if point.p_at_agreement is None else f"{point.p_at_agreement:.2g}",
        "-" if point.least_w is None else f"{point.least_w:.2f}",
        {"none": "no test", "too few": "too few", "borderline": "borderline", "enough": "enough"}[point.says],
    )


def remarks(report: ClaimsReport) -> list[str]:
    """What is worth knowing of the results, beside the claims: gaps and doubts of every cell, and of the sources."""
    said = [plain(note) for note in report.notes]
    for cell in report.results:
        where = plain(f"{cell.method} on {group_name(cell)}" if group_name(cell) else cell.method)
        said += [f"{where}, {cell.metric}: {plain(one)}" for one in (*cell.gaps, *cell.notes)]
    return list(dict.fromkeys(said))


def rule_sentence(curve: RuleCurve) -> str:
    """What the published rule does to true reproductions with this many seeds, and to ones that are off by one std."""
    place = curve.seeds.index(curve.measured_seeds) if curve.measured_seeds in curve.seeds else None
    true = (
        f"passes a true reproduction {curve.true_both[place]:.0%} of the time "
        f"(its mean {curve.true_mean[place]:.0%}, its std {curve.true_std[place]:.0%})"
        if place is not None
        else f"passes a true reproduction {curve.passes[0]:.0%} of the time"
    )
    off = curve.passes[curve.shifts.index(1.0)]
    return (
        f"The published rule (mean within ±2·SEM, std within ±20 %) with {curve.measured_seeds} seeds on both sides "
        f"{true}, and one whose mean is off by a standard deviation {off:.0%} of the time."
    )
