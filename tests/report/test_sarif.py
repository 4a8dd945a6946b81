"""SARIF of audits, held to its schema."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import msgspec
import pytest

from auditor.records.audit import Audit, Cause, Finding
from auditor.records.check import CheckReport, Flaw, Spot
from auditor.records.trace import Place
from auditor.report import sarif
from auditor.rule import Rule
from auditor.rulebook import rulebook

SCHEMA = json.loads((Path(__file__).parent / "schemas" / "sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
RULES = {name: check.rule for name, check in rulebook().items()}


@pytest.mark.parametrize("rules", [{}, RULES], ids=["bare", "described"])
def test_an_audit_is_valid_by_the_schema(diverged: Audit, rules: dict[str, Rule]) -> None:
    cause = Cause(
        rule="unsorted-listing",
        confidence="likely",
        location=Place("src/a file#1.py", 12),
        intervention="fix-directory-order",
        remedy="Sort it.",
        price=None,
        said="it is not sorted",
        code="",
        diff="",
    )
    elsewhere = Finding("cudnn-benchmark", "it was on", "note", Place("/usr/lib/x.py", 3))
    audit = msgspec.structs.replace(diverged, causes=(cause,), findings=(*diverged.findings, elsewhere))
    log = json.loads(sarif.render(audit, rules))
    jsonschema.validate(log, SCHEMA)
    (run,) = log["runs"]
    assert run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "src/a%20file%231.py"
    described = {rule["id"]: rule for rule in run["tool"]["driver"]["rules"]}
    assert ("fullDescription" in described["cudnn-benchmark"]) is bool(rules)
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_every_rule_can_be_described() -> None:
    log = json.loads(sarif.render_check(_report(), RULES))
    jsonschema.validate(log, SCHEMA)
    assert len(log["runs"][0]["tool"]["driver"]["rules"]) == len(RULES)


def _report() -> CheckReport:
    flaws = tuple(
        Flaw(name, "m", rule.level, rule.severity, rule.confidence, Spot("a.py", 1, 1, 1, 2), "x")
        for name, rule in RULES.items()
    )
    return CheckReport(flaws, (), 1, 1, 0, 0)
