"""Comparisons across machines as Markdown, for a CI summary or a pull request."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from auditor.records.audit import LevelName, LevelVerdict
from auditor.records.environments import EnvironmentComparison, Expectation, Many, Pair, Risk, Together
from auditor.report import environments, wording
from auditor.report.environments import Entry
from auditor.report.markdown import chain_lines, escaped
from auditor.report.wording import plain

SHOWN = 20
SHOWN_ROWS = 6

_PROSPECT_MARKS = {"possible": "✅", "at-risk": "❔", "ruled-out": "❌", "unknown": "❔"}
_VERDICT_MARKS = {"reached": "✅", "not-reached": "❌", "inconclusive": "❔", "not-tested": "➖"}


def render(comparison: EnvironmentComparison, everything: bool = False) -> str:
    """The comparison as Markdown with tables, ending with a line break; nothing that was read is left unescaped."""
    lines = [
        f"## {escaped(environments.title(comparison))}",
        "",
        f"**{escaped(plain(comparison.answer))}**",
        "",
    ]
    lines += _many(comparison, everything) if isinstance(comparison, Many) else _pair(comparison, everything)
    lines += _section("Not looked at", [note.removeprefix("not looked at: ") for note in comparison.notes])
    return "\n".join(lines) + "\n"


def _pair(pair: Pair, everything: bool) -> list[str]:
    if pair.together is None:
        lines = _expected(pair.prediction.levels)
    else:
        lines = [*_together(pair.together), "", "### Their environments", "", escaped(plain(pair.prediction.answer))]
    for risk in ("rules-out", "at-risk"):
        lines += _risks(pair, environments.entries(pair.prediction.differences, risk), risk, everything)
    lines += _section(environments.UNKNOWN, environments.unknown_lines(pair))
    return lines + _aside(environments.entries(pair.prediction.differences, "irrelevant"), everything)


def _many(many: Many, everything: bool) -> list[str]:
    lines = _expected(many.levels) if many.together is None else _measured(many, many.together)
    if len(many.groups) > 1:
        lines += [
            "",
            "### Groups",
            "",
            "| | count | bit-exact with 1 | members | differs in |",
            "|---:|---:|---|---|---|",
        ]
        for group in many.groups[:SHOWN]:
            differs = "; ".join(escaped(plain(one)) for one in group.differs[:2])
            more = f"; {len(group.differs) - 2} more" if len(group.differs) > 2 else ""
            lines.append(
                f"| {group.number} | {len(group.members):,} | {environments.group_outlook(group)} "
                f"| {escaped(environments.group_names(group))} | {differs}{more} |"
            )
        if len(many.groups) > SHOWN:
            lines += ["", f"and {len(many.groups) - SHOWN:,} more groups"]
    odd = environments.odd_sentence(many)
    if odd:
        lines += ["", escaped(odd)]
    for risk in ("rules-out", "at-risk"):
        lines += _risks(many, environments.separated(many.separating, risk), risk, everything)
    lines += _section(environments.UNKNOWN, environments.unknown_of_many(many))
    return lines + _aside(environments.separated(many.irrelevant, "irrelevant"), everything)


def _measured(many: Many, levels: Mapping[LevelName, LevelVerdict]) -> list[str]:
    lines, reached = _verdicts(levels), many.reached or ()
    lines += ["", f"### Reached together with {escaped(plain(many.first))}", "", "| audit | level | bit-exact |"]
    lines.append("|---|---|---|")
    for one in reached[:SHOWN]:
        bit_exact = one.levels["bit-exact"]
        mark = _VERDICT_MARKS[bit_exact.verdict]
        lines.append(
            f"| {escaped(plain(one.name))} | {one.level or 'none'} | {mark} {escaped(plain(bit_exact.reason))} |"
        )
    if len(reached) > SHOWN:
        lines += ["", f"and {len(reached) - SHOWN:,} more"]
    lines += ["", "### Their environments", "", escaped(plain(many.outlook)), ""]
    return lines + _expected(many.levels)


def _expected(levels: Mapping[LevelName, Expectation]) -> list[str]:
    return [
        "| level | | reason |",
        "|---|---|---|",
        *(
            f"| {name} | {_PROSPECT_MARKS[level.prospect]} {environments.PROSPECTS[level.prospect]} "
            f"| {escaped(plain(level.reason))} |"
            for name, level in levels.items()
        ),
    ]


def _risks(comparison: EnvironmentComparison, entries: Sequence[Entry], risk: Risk, everything: bool) -> list[str]:
    if entries and risk == "at-risk" and environments.is_settled(comparison) and not everything:
        return ["", environments.settled_sentence(entries)]
    return _entries(environments.RISKS[risk], entries)


def _verdicts(levels: Mapping[LevelName, LevelVerdict]) -> list[str]:
    lines = ["| level | verdict | reason |", "|---|---|---|"]
    for name, level in levels.items():
        mark = f"{_VERDICT_MARKS[level.verdict]} {wording.VERDICTS[level.verdict]}"
        lines.append(f"| {name} | {mark} | {escaped(plain(level.reason))} |")
    return lines


def _together(together: Together) -> list[str]:
    lines = _verdicts(together.levels)
    if together.explanation:
        lines += ["", escaped(plain(together.explanation))]
    if together.divergence is not None:
        lines += ["", f"### First divergence: {escaped(wording.divergence_title(together.divergence))}", ""]
        lines += chain_lines(wording.chain(together.divergence, together.compared))
        lines.append(escaped("; ".join(wording.divergence_details(together.divergence, 3))))
    metrics = wording.ranked_metrics(together.metrics.values())
    if metrics:
        lines += ["", "### Metrics", "", "| metric | run 1 | others | largest \\|Δ\\| | tolerance | |"]
        lines.append("|---|---:|---:|---:|---:|---|")
        for metric in metrics[:SHOWN]:
            verdict = "inconclusive" if metric.problem else "reached" if wording.within(metric) else "not-reached"
            lines.append(
                f"| {escaped(plain(metric.name))} | {escaped(wording.metric_value(metric, 0))} "
                f"| {escaped(wording.other_values(metric))} | {wording.metric_difference(metric)} "
                f"| {metric.tolerance:g} | {_VERDICT_MARKS[verdict]} {escaped(plain(metric.problem))} |"
            )
        if len(metrics) > SHOWN:
            lines += ["", f"and {len(metrics) - SHOWN} more"]
    lines += _section(
        "They cannot be compared for these reasons either", [plain(one) for one in together.obstacles[1:]]
    )
    lines += _section("Missing evidence (each rules out a pass)", [plain(one) for one in together.gaps])
    lines += _section("Worth knowing", [plain(one) for one in together.notes])
    if not together.obstacles:
        lines += [
            "",
            f"Compared: {wording.compared_sentence(together.compared)}; "
            f"digested: {environments.digested(together)}. "
            f"Here {escaped(environments.run_names(together))}.",
        ]
    return lines


def _entries(title: str, entries: Sequence[Entry]) -> list[str]:
    if not entries:
        return []
    lines = ["", f"### {title}", "", "| fact | values | why |", "|---|---|---|"]
    for entry in entries[:SHOWN]:
        sources = " ".join(f"[source]({source})" for source in entry.sources)
        why = f"{escaped(entry.reason)} {sources}".rstrip()
        for name, values in entry.rows[:SHOWN_ROWS]:
            lines.append(f"| {escaped(name)} | {escaped(values)} | {why} |")
            why = "as above"
        if len(entry.rows) > SHOWN_ROWS:
            lines.append(f"| and {len(entry.rows) - SHOWN_ROWS} more | | as above |")
    if len(entries) > SHOWN:
        lines += ["", f"and {sum(len(entry.rows) for entry in entries[SHOWN:])} more"]
    return lines


def _aside(entries: Sequence[Entry], everything: bool) -> list[str]:
    if everything:
        return _entries(environments.RISKS["irrelevant"], entries)
    count = sum(len(entry.rows) for entry in entries)
    return ["", environments.hidden_sentence(count)] if count else []


def _section(title: str, found: Iterable[str]) -> list[str]:
    lines = list(found)
    if not lines:
        return []
    more = [f"- and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return ["", f"### {title}", "", *(f"- {escaped(plain(line))}" for line in lines[:SHOWN]), *more]
