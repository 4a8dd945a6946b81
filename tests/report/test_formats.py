from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.records.audit import SCHEMA, Audit, LevelVerdict
from auditor.records.comparison import Metric
from auditor.records.config import Settings
from auditor.report import json as json_report
from auditor.report import junit, markdown, schema

ROOT = Path(__file__).resolve().parents[2]

RENDER = """
import sys, msgspec
from auditor.records.audit import Audit
from auditor.report import json, junit, markdown, terminal
audit = msgspec.json.decode(open(sys.argv[1], "rb").read(), type=Audit)
for module in (json, junit, markdown, terminal):
    sys.stdout.buffer.write(module.render(audit).encode())
sys.stdout.buffer.write(terminal.render(audit, colour=True, width=60).encode())
"""


def test_json_is_the_audit_again(diverged: Audit) -> None:
    assert msgspec.json.decode(json_report.render(diverged), type=Audit) == diverged


def test_json_does_not_depend_on_the_order_of_keys(diverged: Audit) -> None:
    turned = msgspec.structs.replace(diverged, metrics=dict(reversed(diverged.metrics.items())))
    assert json_report.render(turned) == json_report.render(diverged)


@pytest.mark.parametrize("name", ["diverged", "reached", "failed"])
def test_json_is_valid_by_the_shipped_schema(name: str, request: pytest.FixtureRequest) -> None:
    audit: Audit = request.getfixturevalue(name)
    jsonschema.validate(json.loads(json_report.render(audit)), json.loads(schema.shipped()))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda audit: audit | {"schema": "auditor.audit/2"},
        lambda audit: audit | {"level": "perfect"},
        lambda audit: {name: value for name, value in audit.items() if name != "levels"},
        lambda audit: audit | {"surprise": 1},
        lambda audit: audit | {"levels": {"bit-exact": {"verdict": True, "reason": ""}}},
    ],
)
def test_the_schema_refuses_what_is_not_an_audit(
    diverged: Audit, spoil: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(spoil(json.loads(json_report.render(diverged))), json.loads(schema.shipped()))


def test_the_schema_is_a_schema_and_in_sync() -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema.shipped()))
    assert json.loads(schema.shipped())["title"] == SCHEMA
    assert schema.shipped() == schema.generate()


def cases(audit: Audit) -> dict[str, str]:
    suite = ElementTree.fromstring(junit.render(audit))
    found = {}
    for case in suite.iter("testcase"):
        outcome = [child.tag for child in case]
        found[case.attrib["name"]] = outcome[0] if outcome else "passed"
    for tag, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert suite.attrib[attribute] == str(list(found.values()).count(tag))
    assert suite.attrib["tests"] == str(len(found))
    return found


@pytest.mark.parametrize(
    ("require", "verdict", "outcome"),
    [
        ("bit-exact", "reached", "passed"),
        ("bit-exact", "not-reached", "failure"),
        ("bit-exact", "inconclusive", "error"),
        ("bit-exact", "not-tested", "error"),
        (None, "reached", "passed"),
        (None, "not-reached", "skipped"),
        (None, "inconclusive", "skipped"),
        (None, "not-tested", "skipped"),
    ],
)
def test_junit_fails_exactly_what_is_required(diverged: Audit, require: str | None, verdict: str, outcome: str) -> None:
    levels = diverged.levels | {"bit-exact": LevelVerdict(verdict, "because")}  # type: ignore[arg-type]  # a literal
    audit = msgspec.structs.replace(diverged, levels=levels, settings=Settings(require=require))
    assert cases(audit) == {"bit-exact": outcome, "seed-stable": "passed", "distribution-stable": "skipped"}


def test_junit_counts_a_failed_program_as_an_error(failed: Audit) -> None:
    found = cases(failed)
    assert found["training command"] == "error"
    assert "reached" not in found.values()


@given(text=st.text(max_size=80))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_junit_is_xml_whatever_a_program_is_named(diverged: Audit, text: str) -> None:
    hostile = msgspec.structs.replace(
        diverged,
        command=("python", text),
        gaps=(text,),
        levels={"bit-exact": LevelVerdict("not-reached", text)},
        metrics={text: Metric(text, text, True, ((text,), (1.0,)), False, None, 0.01, problem=text)},
    )
    ElementTree.fromstring(junit.render(hostile))


def test_markdown_escapes_what_a_program_names(diverged: Audit) -> None:
    hostile = msgspec.structs.replace(
        diverged,
        command=("python", "a`b"),
        metrics={"a|b<script>": Metric("a|b<script>", "x", True, ((1.0,), (2.0,)), False, 1.0, 0.01)},
    )
    text = markdown.render(hostile)
    assert "a\\|b\\<script\\>" in text
    assert "`` python 'a`b' ``" in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    unescaped = [line.replace("\\|", "").count("|") for line in tables]
    assert set(unescaped) == {4, 7}


def test_markdown_says_it_all(diverged: Audit) -> None:
    text = markdown.render(diverged)
    assert "| bit-exact | ❌ not reached | the gradients differ from step 3 on |" in text
    assert "gradients **✗**" in text
    assert "| rmse | 14.2 | 14.2031 | 0.0031 | 0.01 |" in text


def test_the_same_text_under_any_hash_seed_time_zone_and_locale(diverged: Audit, tmp_path: Path) -> None:
    file = tmp_path / "audit.json"
    file.write_text(json_report.render(diverged), encoding="utf-8")
    rendered = set()
    for variables in (
        {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "4711", "TZ": "Asia/Kathmandu", "LC_ALL": "de_DE.UTF-8", "COLUMNS": "40"},
        {"PYTHONHASHSEED": "99", "TZ": "America/St_Johns", "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "TERM": "dumb"},
        {"PYTHONHASHSEED": "7", "FORCE_COLOR": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor"},
    ):
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "NO_COLOR")}
        done = subprocess.run(
            [sys.executable, "-c", RENDER, str(file)],
            env={**kept, **variables, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        )
        rendered.add(done.stdout)
    assert len(rendered) == 1
