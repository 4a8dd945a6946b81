"""Causes in the reports: on one screen, with nothing of the program's own text left to act, and for a code host."""

from __future__ import annotations

import json

import msgspec
import pytest

from auditor.records.audit import Audit, Cause
from auditor.records.diagnosis import Diagnosis, Tried
from auditor.records.trace import Place
from auditor.report import fix_plan, markdown, sarif, terminal

DIFF = "--- a/train.py\n+++ b/train.py\n@@ -1 +1,2 @@\n+import random\n x = 1\n"


def _diagnosed(audit: Audit, *causes: Cause) -> Audit:
    tried = (Tried(("seed-python",), (1, 2), "agree", 2.5),)
    found = Diagnosis("proven", "Step 3, batch: nothing seeds it.", None, tried, ("fix-hash-seed",), 2, 2, 2.5, 300.0)
    return msgspec.structs.replace(audit, causes=causes, diagnosis=found)


def _cause(**changed: object) -> Cause:
    cause = Cause(
        rule="unseeded-python-random",
        confidence="proven",
        location=Place("train.py", 12),
        intervention="seed-python",
        remedy="Seed it.",
        price=0.041,
        said="nothing seeds it",
        code="x = random.random()",
        diff=DIFF,
    )
    return msgspec.structs.replace(cause, **changed)


def test_the_screen_has_the_sentence_the_line_the_proof_and_the_price(diverged: Audit) -> None:
    text = terminal.render(_diagnosed(diverged, _cause()))
    why = text[text.index("Why\n") : text.index("Metrics")]
    for said in ("Step 3, batch", "proven", "train.py:12", "x = random.random()", "2 runs agree", "Seed it.", "4%"):
        assert said in why, said
    assert len(why.splitlines()) <= 16


@pytest.mark.parametrize("width", [30, 60, 80, 100])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_is_wider_than_the_screen(diverged: Audit, width: int, ascii_only: bool) -> None:
    long = _cause(code="value = " + " + ".join(f"term_{n}" for n in range(60)), said="word " * 80)
    text = terminal.render(_diagnosed(diverged, long, long), width=width, ascii_only=ascii_only)
    assert max(len(line) for line in text.splitlines()) <= width
    assert not ascii_only or text.isascii()


def test_what_the_program_says_cannot_act(diverged: Audit) -> None:
    hostile = _cause(code="print('\x1b[31m')", said="\x1b]0;x\x07", location=Place("a\x1b[2J.py", 1))
    audit = _diagnosed(diverged, hostile)
    for text in (terminal.render(audit), markdown.render(audit), sarif.render(audit), fix_plan.render(audit)):
        assert "\x1b" not in text and "\x07" not in text


def test_markdown_fences_the_diff_whatever_it_holds(diverged: Audit) -> None:
    text = markdown.render(_diagnosed(diverged, _cause(diff=DIFF.replace("x = 1", "x = '```'"))))
    assert "  ````diff" in text
    assert text.count("  ````") == 2


@pytest.mark.parametrize(
    ("place", "located"),
    [(Place("src/train.py", 12), True), (Place("/elsewhere/train.py", 3), False), (Place("<string>", 1), False)],
)
def test_sarif_places_what_lies_in_the_project(diverged: Audit, place: Place, located: bool) -> None:
    log = json.loads(sarif.render(_diagnosed(diverged, _cause(location=place))))
    result = log["runs"][0]["results"][0]
    assert result["level"] == "error"
    assert ("locations" in result) is located
    assert log["runs"][0]["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]


def test_a_plan_without_causes_says_so(diverged: Audit) -> None:
    assert "There is no remedy" in fix_plan.render(msgspec.structs.replace(diverged, causes=()))
