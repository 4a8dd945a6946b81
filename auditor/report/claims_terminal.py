"""A report of claims for a screen: each claim and what became of it, then the results that they rest on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import RenderableType
from rich.text import Text

from auditor.records.claims import ClaimsReport, Power, Status
from auditor.report import claims
from auditor.report.terminal import drawn, grid, indented, item
from auditor.report.wording import plain

SHOWN_REMARKS = 8
SHOWN_GROUPS = 12

_STYLES: dict[Status, str] = {
    "supported": "green",
    "not-supported": "yellow",
    "contradicted": "red",
    "cannot-be-checked": "yellow",
}
_MARKS: dict[Status, str] = {"supported": "✓", "not-supported": "✗", "contradicted": "✗", "cannot-be-checked": "?"}


def render(report: ClaimsReport, *, width: int = 80, colour: bool = False, ascii_only: bool = False) -> str:
    """The report as text for a terminal of ``width`` columns, ending with a line break."""

    def parts(columns: int) -> Iterable[RenderableType]:
        worst = _worst(report)
        yield Text(claims.headline(report), style=f"bold {_STYLES[worst]}")
        for number, one in enumerate(report.claims, 1):
            yield Text()
            says = f" [{plain(one.says)}]" if one.says else ""
            yield Text.assemble((f"{number}. {plain(one.claim)}", "bold"), (says, "dim"))
            yield indented(Text(f"{_MARKS[one.status]} {claims.STATUSES[one.status]}", style=_STYLES[one.status]))
            yield indented(Text(plain(one.reason)))
        yield from _results(report)
        yield from _rankings(report)
        if report.power is not None:
            yield from _power(report.power)
        yield from _remarks(claims.remarks(report))

    return drawn(parts, width=width, colour=colour, ascii_only=ascii_only)


def _worst(report: ClaimsReport) -> Status:
    found = {one.status for one in report.claims}
    ranked: tuple[Status, ...] = ("contradicted", "not-supported", "cannot-be-checked")
    return next((status for status in ranked if status in found), "supported")


def _results(report: ClaimsReport) -> Iterable[RenderableType]:
    found = claims.groups(report)
    if not found:
        return
    yield Text()
    yield Text("Results (mean ± std, n; interval of the mean at 95 %)", style="bold")
    table = grid()
    for justify in ("left", "right", "right", "right"):
        table.add_column(no_wrap=True, justify=justify)
    for (metric, group), cells in list(found.items())[:SHOWN_GROUPS]:
        title = f"{group}, {metric}" if group else metric
        table.add_row(Text(plain(title), style="dim"), "", "", "")
        digits = claims.common_decimals(cells)
        for cell in cells:
            interval = f"{cell.low:.{digits}f} … {cell.high:.{digits}f}" if cell.low is not None else ""
            table.add_row(
                Text(f"  {plain(cell.method)}", style="bold" if cell.best else ""),
                Text(claims.mean_std(cell, digits=digits), style="bold" if cell.best else ""),
                Text(f"n={cell.n}", style="yellow" if cell.gaps else "dim"),
                Text(interval, style="dim"),
            )
    yield indented(table)
    if any(cell.best for cells in found.values() for cell in cells):
        yield indented(Text(claims.BOLD, style="dim"))
    if len(found) > SHOWN_GROUPS:
        yield indented(Text(f"and {len(found) - SHOWN_GROUPS} more groups (--json has all of them)", style="dim"))


def _rankings(report: ClaimsReport) -> Iterable[RenderableType]:
    for ranking in report.rankings:
        yield Text()
        yield Text(f"Mean ranks of {plain(ranking.metric)} over {ranking.blocks} blocks (1 is best)", style="bold")
        listed = ", ".join(f"{plain(name)} {rank:.2f}" for name, rank in ranking.mean_ranks.items())
        yield indented(Text(listed))
        yield indented(
            Text(
                f"Friedman χ² = {ranking.statistic:.4g}, p = {ranking.p:.2g}, Kendall's W = {ranking.kendall_w:.2f}, "
                f"critical difference (Nemenyi, {ranking.alpha:g}) {ranking.critical_difference:.2f}",
                style="dim",
            )
        )


def _power(power: Power) -> Iterable[RenderableType]:
    for study in power.studies:
        yield Text()
        yield Text(f"How many seeds: Friedman's test of {plain(study.metric)}", style="bold")
        yield indented(Text(plain(study.says)))
        table = grid()
        for _ in claims.POWER_HEADS[:-1]:
            table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True)
        table.add_row(*(Text(head, style="dim") for head in claims.POWER_HEADS))
        for point in study.points:
            style = {"enough": "green", "borderline": "yellow"}.get(point.says, "dim")
            table.add_row(*(Text(cell, style=style) for cell in claims.point_row(point)))
        yield indented(table)
        yield indented(
            Text(
                f"{study.simulations:,} simulated studies per line (PCG64, seed {study.seed}); p expected: if the "
                f"blocks agree as far as those measured (W {study.kendall_w:.2f}, {study.measured_seeds} seeds); "
                f"least W: the agreement that reaches {study.alpha:g}",
                style="dim",
            )
        )
    if power.orders:
        yield Text()
        yield Text("How many seeds: orders of two methods (Welch's test, at the difference measured)", style="bold")
        for one in power.orders:
            few = ", ".join(f"{count} seeds {one.power[count]:.0%}" for count in ("3", "5", "10"))
            needed = f"{one.needed} for 80 %" if one.needed is not None else "more than 10,000 for 80 %"
            yield item(Text(f"{plain(one.claim)}: {few}; {needed}"))
    if power.rule is not None:
        yield Text()
        yield Text("How often the published rule passes", style="bold")
        yield indented(Text(claims.rule_sentence(power.rule)))
    if power.notes:
        yield Text()
        yield Text("How many seeds: what cannot be told", style="bold")
    for note in power.notes:
        yield item(Text(f"no power curve: {plain(note)}", style="yellow"))


def _remarks(remarks: Sequence[str]) -> Iterable[RenderableType]:
    if not remarks:
        return
    yield Text()
    yield Text("Worth knowing of the results", style="bold")
    for one in remarks[:SHOWN_REMARKS]:
        yield item(Text(one, style="dim"))
    if len(remarks) > SHOWN_REMARKS:
        yield indented(Text(f"and {len(remarks) - SHOWN_REMARKS} more (--json has all of them)", style="dim"))
