"""Markdown for a CI summary or a pull request."""

from __future__ import annotations

import re
from collections.abc import Sequence

from auditor.records.audit import Audit, LevelVerdict
from auditor.records.study import Study
from auditor.report import wording
from auditor.report.wording import plain

SHOWN = 20

_MARKS = {"reached": "✅", "not-reached": "❌", "inconclusive": "❔", "not-tested": "➖"}
_HELD = {"controlled": "controlled", "not-controlled": "not controlled"}
_LINK_MARKS = {"same": "✓", "unseen": "(not seen)", "broken": "**✗**", "after": "·"}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def render(audit: Audit) -> str:
    """The audit as Markdown with tables, ending with a line break; nothing of the audited program is left unescaped."""
    lines = [
        "## Reproducibility audit",
        "",
        _code(wording.command_line(audit.command)),
        "",
        f"**{escaped(wording.headline(audit))}** {escaped(wording.runs_line(audit))}.",
        "",
        "| level | verdict | reason |",
        "|---|---|---|",
        *(
            f"| {name} | {_verdict(verdict)} | {escaped(plain(verdict.reason))} |"
            for name, verdict in wording.levels(audit)
        ),
    ]
    if said := wording.luck(audit):
        lines += ["", escaped(said)]
    lines += _divergence(audit)
    lines += _causes(audit)
    lines += _metrics(audit) if audit.study is None else _seeds(audit.study, audit.levels["distribution-stable"])
    lines += _section("Files that differ", wording.artefact_lines(audit))
    lines += _section("Missing evidence (each rules out a pass)", [plain(gap) for gap in audit.gaps])
    lines += _section("Findings", [wording.finding_line(finding) for finding in wording.ranked_findings(audit)])
    lines += _controls(audit)
    lines += _section("Volatile: may differ, decides nothing", wording.volatile_lines(audit))
    lines += _section("Worth knowing", [plain(note) for note in audit.notes])
    if audit.study is None or audit.settings.replicates > 1:
        detection = wording.detection_sentence(audit)
        lines += ["", f"Compared: {wording.compared_sentence(audit.compared)}. {detection}"]
    environment = wording.environment_parts(audit.fingerprint)
    if environment:
        lines += ["", f"Environment: {escaped(', '.join(environment))}."]
    lines += ["", f"Audit `{audit.id}`."]
    return "\n".join(lines) + "\n"


def _verdict(level: LevelVerdict) -> str:
    return f"{_MARKS[level.verdict]} {wording.VERDICTS[level.verdict]}"


def chain_lines(links: Sequence[wording.Link]) -> list[str]:
    """The chain from init to parameters, up to where it broke; nothing where none of it did."""
    return [" → ".join(f"{link.name} {_LINK_MARKS[link.state]}" for link in links), ""] if links else []


def _divergence(audit: Audit) -> list[str]:
    if audit.divergence is None:
        return []
    lines = ["", f"### First divergence: {escaped(wording.divergence_title(audit.divergence))}", ""]
    lines += chain_lines(wording.chain(audit.divergence, audit.compared))
    return [*lines, escaped("; ".join(wording.divergence_details(audit.divergence, len(audit.runs))))]


def _causes(audit: Audit) -> list[str]:
    found = audit.diagnosis
    if found is None:
        return []
    lines = ["", "### Why", "", escaped(plain(found.sentence)), ""]
    for cause in audit.causes:
        lines.append(f"- **{escaped(wording.cause_title(cause))}**")
        if cause.code:
            lines.append(f"  {_code(plain(cause.code))}")
        for said in (wording.cause_proof(cause, found), plain(cause.remedy or ""), wording.price_said(cause)):
            if said:
                lines.append(f"  {escaped(said)}")
        if cause.diff:
            lines += ["", *(f"  {line}" for line in _fenced(cause.diff, "diff")), ""]
    return [*lines, "", escaped(wording.diagnosis_foot(found))]


def _fenced(text: str, language: str) -> list[str]:
    """A block of code; a fence longer than any run of backticks in it keeps it together."""
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return [f"{fence}{language}", *text.splitlines(), fence]


def _metrics(audit: Audit) -> list[str]:
    metrics = wording.deciding_metrics(audit)
    if not metrics:
        return []
    lines = ["", "### Metrics", ""]
    lines += ["| metric | run 1 | others | largest \\|Δ\\| | tolerance | |", "|---|---:|---:|---:|---:|---|"]
    for metric in metrics[:SHOWN]:
        mark = _MARKS["inconclusive" if metric.problem else "reached" if wording.within(metric) else "not-reached"]
        lines.append(
            f"| {escaped(plain(metric.name))} | {escaped(wording.metric_value(metric, 0))} "
            f"| {escaped(wording.other_values(metric))} | {wording.metric_difference(metric)} | {metric.tolerance:g} "
            f"| {mark} {escaped(plain(metric.problem))} |"
        )
    if len(metrics) > SHOWN:
        lines += ["", f"and {len(metrics) - SHOWN} more in `audit.json`"]
    return lines


def _seeds(study: Study, verdict: LevelVerdict) -> list[str]:
    rows = wording.seed_rows(study)
    if not rows:
        return []
    lines = ["", "### Seeds", ""]
    lines += [
        "| metric | seeds | mean ± std | reference | published rule | calibrated |",
        "|---|---:|---:|---:|---|---|",
    ]
    for row in rows[:SHOWN]:
        lines.append(
            f"| {escaped(row.name)} | {row.seeds} | {row.values} | {row.reference} | {row.published} "
            f"| {_MARKS[row.verdict]} {row.calibrated} |"
        )
    if len(rows) > SHOWN:
        lines += ["", f"and {len(rows) - SHOWN} more in `audit.json`"]
    lines += ["", *(f"- {escaped(line)}" for line in wording.seed_lines(study, verdict)[: 2 * SHOWN])]
    if said := wording.study_line(study):
        lines += ["", f"{escaped(said[:1].upper() + said[1:])}."]
    return lines


def _controls(audit: Audit) -> list[str]:
    shown = wording.controls_to_show(audit)
    if not shown:
        return []
    lines = ["", "### Controls: what the levels demand to be held fixed", ""]
    lines += ["| control | demanded by | in these runs | |", "|---|---|---|---|"]
    for control in shown:
        mark = _MARKS["reached" if control.verdict == "controlled" else "not-reached"]
        observed = escaped(plain(control.observed))
        lines.append(f"| {control.name} | {wording.demanded(control)} | {observed} | {mark} {_HELD[control.verdict]} |")
    rest = wording.controls_left_out(audit)
    return [*lines, "", f"{escaped(rest[:1].upper() + rest[1:])}."] if rest else lines


def _section(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return []
    items = [f"- {escaped(line)}" for line in lines[:SHOWN]]
    if len(lines) > SHOWN:
        items.append(f"- and {len(lines) - SHOWN} more in `audit.json`")
    return ["", f"### {title}", "", *items]


def escaped(text: str) -> str:
    """The text with every character that means something to Markdown escaped."""
    return _SPECIAL.sub(r"\\\1", text)


def _code(text: str) -> str:
    """Inline code; a fence longer than any run of backticks in it keeps it together."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    return f"{fence} {text} {fence}" if longest else f"{fence}{text}{fence}"
