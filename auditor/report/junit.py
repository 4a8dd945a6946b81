"""JUnit XML: one test case per level, so that a CI shows the verdict beside its tests."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from auditor.records.audit import Audit, LevelVerdict
from auditor.report import wording

SUITE = "auditor"

# What XML 1.0 does not allow at all, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(audit: Audit) -> str:
    """The audit as a JUnit ``testsuite``.

    A required level is a failure when not reached and an error when inconclusive or not tested; a level that is not
    required and not reached is skipped. A program that failed, or an audit that did not end, is an error of its own.
    """
    cases = [_case(audit, name, verdict) for name, verdict in wording.levels(audit)]
    if audit.state != "complete":
        cases.insert(0, _unfinished(audit))
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": SUITE,
            "tests": str(len(cases)),
            "failures": str(_count(cases, "failure")),
            "errors": str(_count(cases, "error")),
            "skipped": str(_count(cases, "skipped")),
            "time": f"{sum(run.seconds for run in audit.runs):.3f}",
        },
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (
        ("command", wording.command_line(audit.command)),
        ("audit", audit.id),
        ("level", audit.level or "none"),
        ("compared", wording.compared_sentence(audit.compared)),
        ("detection", wording.detection_sentence(audit)),
    ):
        ElementTree.SubElement(properties, "property", {"name": name, "value": _allowed(value)})
    suite.extend(cases)
    ElementTree.indent(suite)
    body = ElementTree.tostring(suite, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{body}\n'


def _case(audit: Audit, name: str, verdict: LevelVerdict) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"classname": SUITE, "name": name, "time": "0"})
    said = wording.VERDICTS[verdict.verdict]
    required = audit.settings.require == name
    if verdict.verdict != "reached":
        kind = "skipped" if not required else "failure" if verdict.verdict == "not-reached" else "error"
        outcome = ElementTree.SubElement(case, kind, {"message": _allowed(f"{said}: {wording.plain(verdict.reason)}")})
        if kind != "skipped":
            outcome.set("type", verdict.verdict)
            outcome.text = _allowed("\n".join(_explanation(audit)))
    return case


def _unfinished(audit: Audit) -> ElementTree.Element:
    case = ElementTree.Element("testcase", {"classname": SUITE, "name": "training command", "time": "0"})
    error = ElementTree.SubElement(case, "error", {"message": _allowed(wording.headline(audit)), "type": audit.state})
    error.text = _allowed("\n".join(f"run {run.number} {wording.ending(run)}" for run in audit.runs))
    return case


def _explanation(audit: Audit) -> list[str]:
    lines = []
    if audit.divergence is not None:
        lines.append(f"first divergence: {wording.divergence_title(audit.divergence)}")
        lines.append("; ".join(wording.divergence_details(audit.divergence, len(audit.runs))))
    lines += [
        f"metric {wording.plain(metric.name)}: "
        f"{wording.metric_value(metric, 0)} against {wording.other_values(metric)}, "
        f"largest |Δ| {wording.metric_difference(metric)}, tolerance {metric.tolerance:g}"
        + (f" ({wording.plain(metric.problem)})" if metric.problem else "")
        for metric in (wording.deciding_metrics(audit) if audit.study is None else ())
        if not wording.within(metric)
    ]
    if audit.study is not None:
        for row in wording.seed_rows(audit.study):
            held = f", reference {row.reference}, published rule {row.published}" if row.published else ""
            lines.append(f"{row.name}: {row.values} over {row.seeds} seeds{held}, calibrated {row.calibrated}")
        lines += wording.seed_lines(audit.study, audit.levels["distribution-stable"])
    lines += [f"missing evidence: {wording.plain(gap)}" for gap in audit.gaps]
    lines += [wording.finding_line(finding) for finding in wording.ranked_findings(audit)]
    return lines


def _count(cases: list[ElementTree.Element], kind: str) -> int:
    return sum(case.find(kind) is not None for case in cases)


def _allowed(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
