"""A check for a screen: each file's flaws with the line that has them, then what was found in all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from textwrap import wrap

from rich.cells import cell_len, set_cell_size
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from auditor.records.check import CheckReport, Flaw
from auditor.report import check
from auditor.report.terminal import drawn, indented, item
from auditor.report.wording import plain

SHOWN_REMARKS = 20

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_MARGIN = 9  # columns before the source


def render(report: CheckReport, *, width: int = 80, colour: bool = False, ascii_only: bool = False) -> str:
    """The report as text for a terminal of ``width`` columns, ending with a line break."""

    def parts(columns: int) -> Iterable[RenderableType]:
        for file, flaws in groupby(report.flaws, key=lambda flaw: flaw.spot.file):
            yield Text(plain(file), style="bold")
            # Each by itself would be looked at as if it were a line of a text with others.
            yield Group(*(part for flaw in flaws for part in _flaw(flaw, columns, ascii_only)), Text())
        yield from _remarks([check.remark_line(remark) for remark in report.remarks])
        yield Text(check.summary(report), style="bold" if report.flaws else "bold green")

    return drawn(parts, width=width, colour=colour, ascii_only=ascii_only)


def _flaw(flaw: Flaw, columns: int, ascii_only: bool) -> Iterable[RenderableType]:
    about: list[str] = [flaw.level]
    if flaw.confidence != "high":
        about.append(f"{flaw.confidence} confidence" if flaw.confidence == "medium" else "only possible")
    if flaw.fix is not None:
        about.append(check.FIXES[flaw.fix])
    head = Text.assemble(
        "  ",
        (f"{check.where(flaw)} ", "dim"),
        (flaw.severity, _STYLES[flaw.severity]),
        (f" {plain(flaw.rule)}", "bold"),
        (f"  {' · '.join(about)}", "dim"),
    )
    message = plain(flaw.message)
    source = [_source(flaw, columns, ascii_only)] if flaw.excerpt.strip() else []
    if head.cell_len <= columns and message.isascii():
        # As a rule. What need not be wrapped any more is drawn sooner.
        lines = wrap(message, columns, initial_indent="    ", subsequent_indent="    ")
        yield Text("\n", no_wrap=True, overflow="ignore").join([head, *map(Text, lines), *source])
        return
    yield Padding(head[2:], (0, 0, 0, 2))
    yield Padding(Text(message), (0, 0, 0, 4))
    yield from source


def _source(flaw: Flaw, columns: int, ascii_only: bool) -> Text:
    """The line, and signs under what the flaw is; of a long line the part around it."""
    spot, line = flaw.spot, flaw.excerpt
    indent = len(line) - len(line.lstrip())
    start = max(spot.column - 1, indent)
    end = spot.end_column - 1 if spot.end_line == spot.line else len(line)
    before, within, after = (_shown(part, ascii_only) for part in (line[indent:start], line[start:end], line[end:]))
    more = "..." if ascii_only else "…"
    room = max(columns - _MARGIN, 20)
    if cell_len(before) + min(cell_len(within), room // 2) > room - len(more):
        before = more + _last(before, room // 3)
    shown = before + within + after
    if cell_len(shown) > room:
        shown = set_cell_size(shown, room - len(more)) + more
    signs = max(min(cell_len(within), room - cell_len(before)), 1)
    return Text.assemble(
        (f"{spot.line:>6} | ", "dim"),
        shown,
        "\n",
        ("       | ", "dim"),
        " " * cell_len(before),
        ("^" * signs, _STYLES[flaw.severity]),
        no_wrap=True,
        overflow="crop",
    )


def _shown(text: str, ascii_only: bool) -> str:
    said = plain(text)
    return said.encode("ascii", "backslashreplace").decode("ascii") if ascii_only else said


def _last(text: str, columns: int) -> str:
    """The end of a text that has room in so many columns."""
    kept = text[-columns:]
    while cell_len(kept) > columns:
        kept = kept[1:]
    return kept


def _remarks(lines: Sequence[str]) -> Iterable[RenderableType]:
    if not lines:
        return
    yield Text("Worth knowing", style="bold")
    for line in lines[:SHOWN_REMARKS]:
        yield item(Text(line, style="dim"))
    if len(lines) > SHOWN_REMARKS:
        yield indented(Text(f"and {len(lines) - SHOWN_REMARKS} more (--format json has all of them)", style="dim"))
    yield Text()
