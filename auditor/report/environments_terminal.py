"""Comparisons across machines for a screen: the answer first, then what it rests on, the gravest first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from auditor.records.audit import LevelName, LevelVerdict
from auditor.records.environments import EnvironmentComparison, Expectation, Many, Pair, Risk, Together
from auditor.report import environments, wording
from auditor.report.environments import Entry
from auditor.report.terminal import chain_part, drawn, grid, indented, item, metrics_part
from auditor.report.wording import plain

SHOWN_ROWS = 4
SHOWN_ENTRIES = 12
SHOWN_GROUPS = 12
SHOWN_LINES = 6

_PROSPECT_STYLES = {"possible": "green", "at-risk": "yellow", "ruled-out": "red", "unknown": "yellow"}
_PROSPECT_MARKS = {"possible": "✓", "at-risk": "?", "ruled-out": "✗", "unknown": "?"}
_VERDICT_STYLES = {"reached": "green", "not-reached": "red", "inconclusive": "yellow", "not-tested": "dim"}
_VERDICT_MARKS = {"reached": "✓", "not-reached": "✗", "inconclusive": "?", "not-tested": "·"}
_RISK_STYLES: dict[Risk, str] = {"rules-out": "red", "at-risk": "yellow", "irrelevant": "dim"}


def render(
    comparison: EnvironmentComparison,
    everything: bool = False,
    *,
    width: int = 80,
    colour: bool = False,
    ascii_only: bool = False,
) -> str:
    """The comparison as text for a terminal of ``width`` columns; ``everything`` adds what does not matter."""

    def parts(columns: int) -> Iterable[RenderableType]:
        yield Text(environments.title(comparison), style="bold")
        yield Text()
        yield Text(plain(comparison.answer), style="bold")
        if isinstance(comparison, Many):
            yield from _many(comparison, everything)
        else:
            yield from _pair(comparison, everything, columns)
        yield from _lines("Not looked at", [note.removeprefix("not looked at: ") for note in comparison.notes])

    return drawn(parts, width=width, colour=colour, ascii_only=ascii_only)


def _pair(pair: Pair, everything: bool, width: int) -> Iterable[RenderableType]:
    if pair.together is None:
        yield from _expected(pair.prediction.levels)
    else:
        yield from _together(pair.together, width)
        yield Text()
        yield Text(f"Their environments. {plain(pair.prediction.answer)}", style="bold")
    for risk in ("rules-out", "at-risk"):
        yield from _risks(pair, environments.entries(pair.prediction.differences, risk), risk, everything)
    yield from _lines(environments.UNKNOWN, environments.unknown_lines(pair), "yellow")
    yield from _aside(environments.entries(pair.prediction.differences, "irrelevant"), everything)


def _verdicts(levels: Mapping[LevelName, LevelVerdict]) -> Iterable[RenderableType]:
    table = grid(expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for name, level in levels.items():
        said = Text(f"{_VERDICT_MARKS[level.verdict]} {wording.VERDICTS[level.verdict]}")
        said.stylize(_VERDICT_STYLES[level.verdict])
        table.add_row(Text(name, style="bold"), said, Text(plain(level.reason)))
    yield indented(table)


def _together(together: Together, width: int) -> Iterable[RenderableType]:
    yield from _verdicts(together.levels)
    if together.explanation:
        yield Text()
        yield Text(plain(together.explanation))
    if together.divergence is not None:
        yield Text()
        yield Text(f"First divergence: {wording.divergence_title(together.divergence)}", style="bold red")
        yield from chain_part(wording.chain(together.divergence, together.compared))
        details = wording.divergence_details(together.divergence, 3)
        if details:
            yield indented(Text("; ".join(details)))
    yield from metrics_part(
        wording.ranked_metrics(together.metrics.values()), len(together.runs), width, "(--format json has all of them)"
    )
    yield from _lines(
        "They cannot be compared for these reasons either", [plain(one) for one in together.obstacles[1:]], "yellow"
    )
    yield from _lines("Missing evidence (each rules out a pass)", [plain(one) for one in together.gaps], "yellow")
    yield from _lines("Worth knowing", [plain(one) for one in together.notes], "dim", 3)
    if not together.obstacles:
        yield Text()
        table = grid()
        table.add_column(no_wrap=True, style="dim")
        table.add_column(overflow="fold")
        table.add_row("compared", Text(wording.compared_sentence(together.compared)))
        table.add_row("digested", Text(environments.digested(together)))
        table.add_row("runs", Text(environments.run_names(together)))
        yield table


def _expected(levels: Mapping[LevelName, Expectation]) -> Iterable[RenderableType]:
    table = grid(expand=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for name, level in levels.items():
        said = Text(f"{_PROSPECT_MARKS[level.prospect]} {environments.PROSPECTS[level.prospect]}")
        said.stylize(_PROSPECT_STYLES[level.prospect])
        table.add_row(Text(name, style="bold"), said, Text(plain(level.reason)))
    yield indented(table)


def _many(many: Many, everything: bool) -> Iterable[RenderableType]:
    if many.together is None:
        yield from _expected(many.levels)
    else:
        yield from _verdicts(many.together)
        yield from _reached(many)
        yield Text()
        yield Text(f"Their environments. {plain(many.outlook)}", style="bold")
        yield from _expected(many.levels)
    if len(many.groups) > 1:
        yield Text()
        yield Text("Groups", style="bold")
        table = grid()
        for justify in ("right", "right", "left"):
            table.add_column(no_wrap=True, justify=justify)
        table.add_column(overflow="fold")
        table.add_row(*(Text(head, style="dim") for head in ("", "count", "bit-exact with 1", "")))
        for group in many.groups[:SHOWN_GROUPS]:
            style = "" if group.number == 1 else _PROSPECT_STYLES[group.levels["bit-exact"].prospect]
            names = Text(environments.group_names(group))
            if group.differs:
                more = f"; {len(group.differs) - 2} more" if len(group.differs) > 2 else ""
                names.append("\n" + "; ".join(plain(one) for one in group.differs[:2]) + more, style="dim")
            outlook = Text(environments.group_outlook(group), style=style)
            table.add_row(Text(str(group.number)), Text(f"{len(group.members):,}"), outlook, names)
        yield indented(table)
        if len(many.groups) > SHOWN_GROUPS:
            rest = many.groups[SHOWN_GROUPS:]
            said = f"and {len(rest):,} more groups with {sum(len(one.members) for one in rest):,} environments"
            yield indented(Text(said, style="dim"))
    odd = environments.odd_sentence(many)
    if odd:
        yield Text()
        yield Text(odd, style="yellow")
    for risk in ("rules-out", "at-risk"):
        yield from _risks(many, environments.separated(many.separating, risk), risk, everything)
    yield from _lines(environments.UNKNOWN, environments.unknown_of_many(many), "yellow")
    yield from _aside(environments.separated(many.irrelevant, "irrelevant"), everything)


def _reached(many: Many) -> Iterable[RenderableType]:
    if many.reached is None:
        return
    yield Text()
    yield Text(f"Reached together with {plain(many.first)}", style="bold")
    for one in many.reached[:SHOWN_GROUPS]:
        bit_exact = one.levels["bit-exact"]
        said = one.level or wording.VERDICTS[bit_exact.verdict]
        text = Text.assemble(f"{plain(one.name)}: ", (said, _VERDICT_STYLES[bit_exact.verdict]))
        if one.level != "bit-exact":
            text.append(f" ({plain(bit_exact.reason)})")
        yield item(text)
    if len(many.reached) > SHOWN_GROUPS:
        yield indented(Text(f"and {len(many.reached) - SHOWN_GROUPS:,} more", style="dim"))


def _risks(
    comparison: EnvironmentComparison, entries: Sequence[Entry], risk: Risk, everything: bool
) -> Iterable[RenderableType]:
    if entries and risk == "at-risk" and environments.is_settled(comparison) and not everything:
        yield Text()
        yield Text(environments.settled_sentence(entries), style="dim")
    else:
        yield from _entries(environments.RISKS[risk], entries, risk, everything)


def _entries(title: str, entries: Sequence[Entry], risk: Risk, everything: bool) -> Iterable[RenderableType]:
    if not entries:
        return
    most_entries, most_rows = (len(entries), None) if everything else (SHOWN_ENTRIES, SHOWN_ROWS)
    yield Text()
    yield Text(title, style="bold")
    for entry in entries[:most_entries]:
        for name, values in entry.rows[:most_rows]:
            yield item(Text.assemble((name, _RISK_STYLES[risk]), f"  {values}"))
        more = len(entry.rows[most_rows:]) if most_rows is not None else 0
        said = Text(f"and {more} more; " if more > 0 else "", style="dim")
        said.append(entry.reason, style="dim")
        yield Padding(said, (0, 0, 0, 4))
        for source in entry.sources[:1] if risk != "rules-out" else entry.sources:
            yield Padding(Text(source, style="dim", overflow="fold", no_wrap=False), (0, 0, 0, 4))
    rest = sum(len(entry.rows) for entry in entries[most_entries:])
    if rest:
        yield indented(Text(f"and {rest} more (--all shows them)", style="dim"))


def _aside(entries: Sequence[Entry], everything: bool) -> Iterable[RenderableType]:
    if everything:
        yield from _entries(environments.RISKS["irrelevant"], entries, "irrelevant", everything)
    elif entries:
        yield Text()
        yield Text(environments.hidden_sentence(sum(len(entry.rows) for entry in entries)), style="dim")


def _lines(title: str, lines: Sequence[str], style: str = "dim", shown: int = SHOWN_LINES) -> Iterable[RenderableType]:
    if not lines:
        return
    yield Text()
    yield Text(title, style="bold")
    for line in lines[:shown]:
        yield item(Text(plain(line), style=style))
    if len(lines) > shown:
        yield indented(Text(f"and {len(lines) - shown} more (--format json has all of them)", style="dim"))
