"""The report for a screen: verdicts first, then where the runs part, what was compared, and what to know."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from auditor.records.audit import Audit, LevelVerdict
from auditor.records.comparison import Divergence, Metric
from auditor.records.study import Study
from auditor.report import wording
from auditor.report.wording import plain

NARROWEST = 30
ROOM_FOR_TABLES = 64
SHOWN = 5
SHOWN_METRICS = 8
SHOWN_ASIDE = 3

_COLOURS = {"reached": "green", "not-reached": "red", "inconclusive": "yellow", "not-tested": "dim"}
_MARKS = {"reached": "✓", "not-reached": "✗", "inconclusive": "?", "not-tested": "·"}
_LINK_MARKS = {"same": "✓", "unseen": "not seen", "broken": "✗", "after": "·"}
_LINK_COLOURS = {"same": "green", "unseen": "dim", "broken": "bold red", "after": "dim"}
_ASCII = str.maketrans(
    {"✓": "+", "✗": "x", "·": "-", "→": ">", "Δ": "d", "…": "...", "≤": "<=", "≥": ">=", "≠": "!=", "±": "+/-"}
)


def render(audit: Audit, *, width: int = 80, colour: bool = False, ascii_only: bool = False, evidence: str = "") -> str:
    """The report as text for a terminal of ``width`` columns (at least 30), ending with a line break.

    ``ascii_only`` spells every sign in ASCII; ``evidence`` is the directory's path, shown as the last line.
    """
    return drawn(lambda columns: _parts(audit, evidence, columns), width=width, colour=colour, ascii_only=ascii_only)


def drawn(
    parts: Callable[[int], Iterable[RenderableType]], *, width: int = 80, colour: bool = False, ascii_only: bool = False
) -> str:
    """What ``parts`` gives for a number of columns, as text, ending with a line break."""
    console = Console(
        file=io.StringIO(),
        width=max(width, NARROWEST),
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        legacy_windows=False,
        emoji=False,
        markup=False,
        highlight=False,
        _environ={},
    )
    with console.capture() as captured:
        for part in parts(console.width):
            console.print(part)
    text = "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
    if not ascii_only:
        return text
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def _parts(audit: Audit, evidence: str, width: int) -> Iterable[RenderableType]:
    tables = width >= ROOM_FOR_TABLES
    yield Text(wording.command_line(audit.command), style="bold")
    if audit.runs:
        yield Text(wording.runs_line(audit), style="dim")
    yield Text()
    yield Text(wording.headline(audit), style=_headline_style(audit))
    yield from _levels(audit, tables)
    if said := wording.luck(audit):
        yield indented(Text(said, style="yellow"))
    if audit.divergence is not None:
        yield from _divergence(audit, audit.divergence)
    yield from _causes(audit)
    if audit.study is not None:
        yield from _seeds(audit.study, audit.levels["distribution-stable"], width)
    else:
        yield from metrics_part(wording.deciding_metrics(audit), len(audit.runs), width, "in audit.json")
    yield from section("Files that differ", wording.artefact_lines(audit), "red")
    yield from section("Missing evidence (each rules out a pass)", [plain(gap) for gap in audit.gaps], "yellow")
    yield from _findings(audit)
    yield from _controls(audit, tables)
    yield from section("Volatile: may differ, decides nothing", wording.volatile_lines(audit), "dim", SHOWN_ASIDE)
    yield from section("Worth knowing", [plain(note) for note in audit.notes], "dim", SHOWN_ASIDE)
    yield Text()
    yield from _foot(audit, evidence, tables)


def _headline_style(audit: Audit) -> str:
    if audit.state == "failed":
        return "bold red"
    if audit.state == "interrupted":
        return "bold yellow"
    required = audit.settings.require
    if required is not None:
        verdict = dict(wording.levels(audit)).get(required)
        return f"bold {_COLOURS[verdict.verdict]}" if verdict is not None else "bold"
    return "bold green" if audit.level is not None else "bold yellow"


def _levels(audit: Audit, tables: bool) -> Iterable[RenderableType]:
    table = grid(expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for name, verdict in wording.levels(audit):
        said = Text(f"{_MARKS[verdict.verdict]} {wording.VERDICTS[verdict.verdict]}", style=_COLOURS[verdict.verdict])
        if tables:
            table.add_row(Text(name, style="bold"), said, Text(plain(verdict.reason)))
        else:
            yield Text.assemble((f"{name} ", "bold"), said)
            yield indented(Text(plain(verdict.reason)))
    if tables:
        yield indented(table)


def chain_part(links: Sequence[wording.Link]) -> Iterable[RenderableType]:
    """The chain from init to parameters on a line, up to where it broke; nothing where none of it did."""
    if links:
        line = Text()
        for link in links:
            line.append(" → " if line else "", style="dim")
            line.append(f"{link.name} {_LINK_MARKS[link.state]}", style=_LINK_COLOURS[link.state])
        yield indented(line)


def _divergence(audit: Audit, divergence: Divergence) -> Iterable[RenderableType]:
    yield Text()
    title = Text("First divergence: ", style="bold")
    title.append(wording.divergence_title(divergence), style="bold red")
    yield title
    yield from chain_part(wording.chain(divergence, audit.compared))
    details = wording.divergence_details(divergence, len(audit.runs))
    if details:
        yield indented(Text("; ".join(details)))


def _seeds(study: Study, verdict: LevelVerdict, width: int) -> Iterable[RenderableType]:
    rows = wording.seed_rows(study)
    if rows:
        yield Text()
        yield Text("Seeds", style="bold")
    heads = ("", "n", "mean ± std", "reference", "published", "calibrated")
    cells = [
        (row.name, row.seeds, row.values, row.reference, row.published, row.calibrated) for row in rows[:SHOWN_METRICS]
    ]
    widths = [max(len(cell) for cell in column) for column in zip(heads, *cells, strict=True)]
    if sum(widths) + 2 * len(widths) + 2 <= width:
        table = grid()
        for _ in heads:
            table.add_column(no_wrap=True)
        table.add_row(*(Text(head, style="dim") for head in heads))
        for row, cell in zip(rows, cells, strict=False):
            table.add_row(*map(Text, cell[:-1]), Text(cell[-1], style=_COLOURS[row.verdict]))
        yield indented(table)
    else:
        for row, cell in zip(rows, cells, strict=False):
            full = ("seeds", "mean ± std", "reference", "published rule")
            parts = [f"{head} {part}" for head, part in zip(full, cell[1:-1], strict=True) if part]
            shown = Text(f"{row.name}: {', '.join(parts)}, calibrated ")
            shown.append(row.calibrated, style=_COLOURS[row.verdict])
            yield indented(shown)
    if len(rows) > SHOWN_METRICS:
        yield indented(Text(f"and {len(rows) - SHOWN_METRICS} more in audit.json", style="dim"))
    for line in wording.seed_lines(study, verdict)[: 2 * SHOWN]:
        yield item(Text(line))
    if said := wording.study_line(study):
        yield indented(Text(said, style="dim"))


def _causes(audit: Audit) -> Iterable[RenderableType]:
    found = audit.diagnosis
    if found is None:
        return
    yield Text()
    yield Text("Why", style="bold")
    yield indented(Text(plain(found.sentence)))
    first = True
    for cause in audit.causes[:SHOWN]:
        sure = cause.confidence == "proven" or first
        yield Text()
        title = Text("  ")
        title.append(plain(cause.rule), style="bold red" if sure else "bold")
        title.append(f"  {cause.confidence}", style="dim")
        if cause.location is not None:
            title.append(f"  {wording.place(cause.location)}")
        yield title
        if cause.code:
            yield Padding(Text(plain(cause.code), style="cyan"), (0, 0, 0, 4))
        rows = [
            ("proof" if cause.confidence == "proven" else "open", wording.cause_proof(cause, found)),
            ("remedy", plain(cause.remedy or "")),
            ("price", wording.price_said(cause)),
        ]
        table = grid()
        table.add_column(no_wrap=True, style="dim")
        table.add_column(overflow="fold")
        for name, said in rows:
            if said:
                table.add_row(name, Text(said))
        if sure:
            yield Padding(table, (0, 0, 0, 4))
        first = False
    yield Text()
    yield indented(Text(wording.diagnosis_foot(found), style="dim"))
    for note in found.notes:
        yield indented(Text(plain(note), style="dim"))


def metrics_part(metrics: Sequence[Metric], runs: int, width: int, where: str) -> Iterable[RenderableType]:
    """The metrics of some runs, those that decide most first; ``where`` says where the rest of them is."""
    if not metrics:
        return
    yield Text()
    yield Text("Metrics", style="bold")
    heads = ("", "run 1", "run 2" if runs <= 2 else "others", "largest |Δ|", "tolerance")
    rows = [_metric_row(metric) for metric in metrics[:SHOWN_METRICS]]
    # A name or number broken in two is hard to read: where the table is too wide, each metric is a sentence.
    widths = [max(cell.cell_len for cell in column) for column in zip(*(map(Text, heads), *rows), strict=True)]
    if sum(widths) + 2 * len(widths) + 2 <= width:
        table = grid()
        table.add_column(no_wrap=True)
        for _ in heads[1:]:
            table.add_column(no_wrap=True, justify="right")
        table.add_row(*(Text(head, style="dim") for head in heads))
        for row in rows:
            table.add_row(*row)
        yield indented(table)
    else:
        for name, *cells in rows:
            line = [Text.assemble(f"{head} ", cell) for head, cell in zip(heads[1:], cells, strict=True)]
            yield indented(Text.assemble(name, ": ", Text(", ").join(line)))
    for metric in metrics[:SHOWN_METRICS]:
        if metric.problem:
            yield indented(Text(f"{plain(metric.name)}: {plain(metric.problem)}", style="yellow"))
    if len(metrics) > SHOWN_METRICS:
        yield indented(Text(_more(metrics[SHOWN_METRICS:], where), style="dim"))


def _metric_row(metric: Metric) -> Sequence[Text]:
    style = "yellow" if metric.problem else "" if wording.within(metric) else "red"
    return (
        Text(plain(metric.name), style="bold" if metric.declared else ""),
        Text(wording.metric_value(metric, 0)),
        Text(wording.other_values(metric)),
        Text(wording.metric_difference(metric), style=style),
        Text(f"{metric.tolerance:g}"),
    )


def _more(metrics: Sequence[Metric], where: str) -> str:
    agreed = sum(metric.identical for metric in metrics)
    identical = "identical" if agreed == len(metrics) else f"{agreed} of them identical"
    return f"and {len(metrics)} more {where}, {identical}"


def _findings(audit: Audit) -> Iterable[RenderableType]:
    yield from section("Findings", [wording.finding_line(finding) for finding in wording.ranked_findings(audit)], "")


def _controls(audit: Audit, tables: bool) -> Iterable[RenderableType]:
    shown = wording.controls_to_show(audit, brief=True)
    if not shown:
        return
    yield Text()
    yield Text("Controls: what the levels demand to be held fixed", style="bold")
    table = grid(expand=True)
    for _ in range(3):
        table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    if tables:
        table.add_row("", "", Text("demanded by", style="dim"), Text("in these runs", style="dim"))
    for control in shown:
        held = "reached" if control.verdict == "controlled" else "not-reached"
        mark = Text(_MARKS[held], style=_COLOURS[held])
        if tables:
            demanded = Text(wording.demanded(control), style="dim")
            table.add_row(mark, control.name, demanded, Text(plain(control.observed)))
        else:
            yield indented(Text.assemble(mark, f" {control.name}: {plain(control.observed)}"))
    if tables:
        yield indented(table)
    if rest := wording.controls_left_out(audit, brief=True):
        yield indented(Text(rest, style="dim"))


def section(title: str, lines: Sequence[str], style: str, shown: int = SHOWN) -> Iterable[RenderableType]:
    """A heading and its lines, of which the first few are shown; nothing where there are none."""
    if not lines:
        return
    yield Text()
    yield Text(title, style="bold")
    for line in lines[:shown]:
        yield item(Text(line, style=style))
    if len(lines) > shown:
        yield indented(Text(f"and {len(lines) - shown} more in audit.json", style="dim"))


def item(text: Text) -> RenderableType:
    """One line of a list, whose further lines are indented."""
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text("·", style="dim"), text)
    return indented(table)


def _foot(audit: Audit, evidence: str, tables: bool) -> Iterable[RenderableType]:
    lines = [("compared", wording.compared_sentence(audit.compared)), ("detection", wording.detection_sentence(audit))]
    if audit.study is not None and audit.settings.replicates < 2:
        lines = []
    environment = wording.environment_parts(audit.fingerprint)
    if environment:
        lines.append(("environment", ", ".join(environment)))
    if evidence:
        lines.append(("evidence", plain(evidence)))
    if not tables:
        for name, line in lines:
            yield Text.assemble((f"{name}: ", "dim"), line)
        return
    table = grid()
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, line in lines:
        table.add_row(name, Text(line))
    yield table


def grid(*, expand: bool = False) -> Table:
    """A table without lines."""
    return Table.grid(padding=(0, 2, 0, 0), expand=expand)


def indented(part: RenderableType) -> RenderableType:
    """What stands under a heading."""
    return Padding(part, (0, 0, 0, 2))
