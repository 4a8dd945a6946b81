"""SARIF 2.1.0 for a code host: what an audit or a check found, each on its line, with the rules that found it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from auditor import __version__
from auditor.records.audit import Audit, Cause, Finding
from auditor.records.check import CheckReport, Flaw, Remark
from auditor.records.trace import Place
from auditor.report.wording import plain, price_said
from auditor.rule import Rule

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"proven": "error", "likely": "warning", "possible": "note"}
# What GitHub's code scanning reads of a rule.
_PRECISION = {"high": "high", "medium": "medium", "possible": "low"}
_PROBLEMS = {"error": "error", "warning": "warning", "note": "recommendation"}


def render(audit: Audit, rules: Mapping[str, Rule] = {}) -> str:
    """The causes and findings of an audit as one SARIF run, ending with a line break.

    Files inside the project are named relative to its root (``%SRCROOT%``); what has no line, or one elsewhere, is a
    result without a location. ``rules`` are those of the rulebook by id: what they say goes with their results.
    Source: OASIS, "Static Analysis Results Interchange Format Version 2.1.0".
    """
    results = [_of_cause(cause) for cause in audit.causes] + [_of_finding(finding) for finding in audit.findings]
    levels = {name: level.verdict for name, level in audit.levels.items()}
    return _log(results, rules, properties={"audit": audit.id, "levels": levels})


def render_check(report: CheckReport, rules: Mapping[str, Rule] = {}) -> str:
    """The flaws of a check as one SARIF run, ending with a line break.

    Files are named relative to where checking began (``%SRCROOT%``); in a notebook, where lines are those of a cell,
    the place is in the message. Remarks are notifications of the tool.
    """
    failed = any(remark.kind == "fault" for remark in report.remarks)
    invocation: dict[str, Any] = {"executionSuccessful": not failed}
    if report.remarks:
        invocation["toolExecutionNotifications"] = [_of_remark(remark) for remark in report.remarks]
    return _log(_of_flaws(report.flaws), rules, invocations=[invocation])


def _log(results: Sequence[dict[str, Any]], rules: Mapping[str, Rule], **more: Any) -> str:
    names = sorted({result["ruleId"] for result in results})
    index = {name: number for number, name in enumerate(names)}
    described = [_described(rules[name]) if name in rules else {"id": name} for name in names]
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "auditor", "semanticVersion": __version__, "rules": described}},
                "columnKind": "unicodeCodePoints",
                "results": [{**result, "ruleIndex": index[result["ruleId"]]} for result in results],
                **more,
            }
        ],
    }
    return json.dumps(log, indent=1) + "\n"


def _described(rule: Rule) -> dict[str, Any]:
    sources = "\n".join(f"- <{source}>" for source in rule.sources)
    return {
        "id": rule.id,
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": rule.why},
        "help": {
            "text": f"{rule.remedy} Sources: {', '.join(rule.sources)}",
            "markdown": f"{rule.why}\n\n**What to do.** {rule.remedy}\n\nSources:\n\n{sources}\n",
        },
        "helpUri": rule.sources[0],
        "defaultConfiguration": {"level": rule.severity},
        "properties": {
            "confidence": rule.confidence,
            "level": rule.level,
            "precision": _PRECISION[rule.confidence],
            "problem.severity": _PROBLEMS[rule.severity],
            "tags": ["reproducibility", rule.topic],
        },
    }


def _of_cause(cause: Cause) -> dict[str, Any]:
    parts = [f"{plain(cause.said)} ({cause.confidence})."]
    if cause.remedy:
        parts.append(plain(cause.remedy))
    price = price_said(cause)
    if price:
        parts.append(f"Price: {price}.")
    return {
        "ruleId": cause.rule,
        "level": _LEVELS[cause.confidence],
        "kind": "fail",
        "message": {"text": " ".join(parts)},
        **_locations(cause.location),
        "properties": {"confidence": cause.confidence, "intervention": cause.intervention, "price": cause.price},
    }


def _of_finding(finding: Finding) -> dict[str, Any]:
    return {
        "ruleId": finding.rule,
        "level": finding.severity,
        "kind": "fail",
        "message": {"text": plain(finding.message)},
        **_locations(finding.location),
    }


def _of_flaws(flaws: Iterable[Flaw]) -> list[dict[str, Any]]:
    seen: Counter[tuple[str, str, str]] = Counter()
    results = []
    for flaw in flaws:
        spot = flaw.spot
        same = (flaw.rule, spot.file, flaw.excerpt.strip())
        seen[same] += 1
        said = plain(flaw.message)
        region: dict[str, Any] = {}
        if spot.cell is None:
            region = {
                "startLine": spot.line,
                "startColumn": spot.column,
                "endLine": spot.end_line,
                "endColumn": spot.end_column,
                "snippet": {"text": flaw.excerpt},
            }
        else:
            said = f"Cell {spot.cell}, line {spot.line}: {said}"
        results.append(
            {
                "ruleId": flaw.rule,
                "level": flaw.severity,
                "kind": "fail",
                "message": {"text": said},
                "locations": [_location(spot.file, region)],
                # What stays of a flaw when lines above it come and go.
                "partialFingerprints": {"auditorFlaw/v1": _digest(*same, str(seen[same]))},
                "properties": {"confidence": flaw.confidence, "level": flaw.level, "fix": flaw.fix},
            }
        )
    return results


def _of_remark(remark: Remark) -> dict[str, Any]:
    cell = f"Cell {remark.cell}: " if remark.cell is not None else ""
    region = {"startLine": remark.line} if remark.line is not None and remark.cell is None else {}
    return {
        "level": "error" if remark.kind == "fault" else "warning" if remark.kind == "unread" else "note",
        "message": {"text": cell + plain(remark.message)},
        "locations": [_location(remark.file, region)],
        "properties": {"kind": remark.kind},
    }


def _locations(place: Place | None) -> dict[str, Any]:
    if place is None or place.file.startswith(("/", "<")) or place.line < 1:
        return {}
    return {"locations": [_location(place.file.replace("\\", "/"), {"startLine": place.line})]}


def _location(file: str, region: Mapping[str, Any]) -> dict[str, Any]:
    physical: dict[str, Any] = {"artifactLocation": {"uri": quote(file), "uriBaseId": "%SRCROOT%"}}
    if region:
        physical["region"] = dict(region)
    return {"physicalLocation": physical}


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode("utf-8", "backslashreplace"), digest_size=16).hexdigest()
