"""SARIF 2.1.0 for a code host: each cause and each finding on its line."""

from __future__ import annotations

import json
from typing import Any

from auditor import __version__
from auditor.records.audit import Audit, Cause, Finding
from auditor.records.trace import Place
from auditor.report.wording import plain, price_said

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"proven": "error", "likely": "warning", "possible": "note"}


def render(audit: Audit) -> str:
    """The causes and findings of an audit as one SARIF run, ending with a line break.

    Files inside the project are named relative to its root (``%SRCROOT%``); what has no line, or one elsewhere, is a
    result without a location. Source: OASIS, "Static Analysis Results Interchange Format Version 2.1.0".
    """
    results = [_of_cause(cause) for cause in audit.causes] + [_of_finding(finding) for finding in audit.findings]
    names = sorted({result["ruleId"] for result in results})
    log = {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "auditor",
                        "semanticVersion": __version__,
                        "rules": [{"id": name} for name in names],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [{**result, "ruleIndex": names.index(result["ruleId"])} for result in results],
                "properties": {
                    "audit": audit.id,
                    "levels": {name: level.verdict for name, level in audit.levels.items()},
                },
            }
        ],
    }
    return json.dumps(log, indent=1) + "\n"


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


def _locations(place: Place | None) -> dict[str, Any]:
    if place is None or place.file.startswith(("/", "<")) or place.line < 1:
        return {}
    artefact = {"uri": place.file.replace("\\", "/"), "uriBaseId": "%SRCROOT%"}
    return {"locations": [{"physicalLocation": {"artifactLocation": artefact, "region": {"startLine": place.line}}}]}
