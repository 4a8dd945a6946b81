"""A report of claims as Markdown, for a CI summary or a pull request."""

from __future__ import annotations

from auditor.records.claims import ClaimsReport, Power, Status
from auditor.report import claims
from auditor.report.markdown import escaped
from auditor.report.wording import plain

_MARKS: dict[Status, str] = {"supported": "✅", "not-supported": "❌", "contradicted": "❌", "cannot-be-checked": "❔"}


def render(report: ClaimsReport) -> str:
    """The report as Markdown with tables, ending with a line break; nothing that was read is left unescaped."""
    lines = ["## Claims", "", f"**{escaped(claims.headline(report))}**", ""]
    lines += ["| | claim | | reason |", "|---:|---|---|---|"]
    for number, one in enumerate(report.claims, 1):
        says = f" ({escaped(plain(one.says))})" if one.says else ""
        lines.append(
            f"| {number} | {escaped(plain(one.claim))}{says} | {_MARKS[one.status]} {claims.STATUSES[one.status]} "
            f"| {escaped(plain(one.reason))} |"
        )
    lines += _results(report)
    for ranking in report.rankings:
        lines += ["", f"### Mean ranks of {escaped(plain(ranking.metric))}", "", "| method | mean rank |", "|---|---:|"]
        lines += [f"| {escaped(plain(name))} | {rank:.2f} |" for name, rank in ranking.mean_ranks.items()]
        lines += [
            "",
            f"Friedman over {ranking.blocks} blocks: χ² = {ranking.statistic:.4g}, p = {ranking.p:.2g}, Kendall's W = "
            f"{ranking.kendall_w:.2f}; critical difference (Nemenyi, {ranking.alpha:g}) "
            f"{ranking.critical_difference:.2f}.",
        ]
    if report.power is not None:
        lines += _power(report.power)
    remarks = claims.remarks(report)
    if remarks:
        lines += ["", "### Worth knowing of the results", "", *(f"- {escaped(one)}" for one in remarks)]
    return "\n".join(lines) + "\n"


def _results(report: ClaimsReport) -> list[str]:
    lines: list[str] = []
    found = claims.groups(report)
    for (metric, group), cells in found.items():
        title = f"{group}, {metric}" if group else metric
        lines += ["", f"### {escaped(plain(title))}", "", "| method | mean ± std | n | 95 % |", "|---|---:|---:|---:|"]
        digits = claims.common_decimals(cells)
        for cell in cells:
            value = claims.mean_std(cell, digits=digits)
            interval = f"{cell.low:.{digits}f} … {cell.high:.{digits}f}" if cell.low is not None else ""
            bold = "**" if cell.best else ""
            lines.append(f"| {escaped(plain(cell.method))} | {bold}{value}{bold} | {cell.n} | {interval} |")
    if any(cell.best for cells in found.values() for cell in cells):
        lines += ["", f"{claims.BOLD[:1].upper()}{claims.BOLD[1:]}."]
    return lines


def _power(power: Power) -> list[str]:
    lines: list[str] = []
    for study in power.studies:
        lines += ["", f"### How many seeds: {escaped(plain(study.metric))}", "", escaped(plain(study.says)), ""]
        lines += [f"| {' | '.join(claims.POWER_HEADS)} |", "|---:|---:|---:|---:|---:|---|"]
        lines += [f"| {' | '.join(claims.point_row(point))} |" for point in study.points]
        lines += ["", f"{study.simulations:,} simulated studies per line (PCG64, seed {study.seed})."]
    if power.orders:
        lines += [
            "",
            "### How many seeds: orders",
            "",
            "| claim | 3 | 5 | 10 | for 80 % |",
            "|---|---:|---:|---:|---:|",
        ]
        for one in power.orders:
            few = " | ".join(f"{one.power[count]:.0%}" for count in ("3", "5", "10"))
            lines.append(f"| {escaped(plain(one.claim))} | {few} | {one.needed if one.needed else 'over 10,000'} |")
    if power.rule is not None:
        lines += ["", "### How often the published rule passes", "", claims.rule_sentence(power.rule)]
    if power.notes:
        lines += ["", "### How many seeds: what cannot be told"]
    return lines + [f"\nNo power curve: {escaped(plain(note))}" for note in power.notes]
