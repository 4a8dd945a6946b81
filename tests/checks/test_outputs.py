"""What a check says: in four formats, the same anywhere, and nothing of the source's own text left to act."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import msgspec
import pytest
from rich.cells import cell_len

from auditor.records.check import CheckReport, Flaw, Remark, Spot
from auditor.report import check, check_github, check_terminal, sarif, schema
from auditor.rulebook import rulebook

ROOT = Path(__file__).parents[2]
SARIF = json.loads((ROOT / "tests/report/schemas/sarif-2.1.0-rtm.5.json").read_text(encoding="utf-8"))
RULES = {name: check.rule for name, check in rulebook().items()}

LINE = 'for name in os.listdir("data"):'


def _flaw(**changed: object) -> Flaw:
    start = LINE.index("os.")
    spot = Spot("src/train.py", 8, start + 1, 8, len(LINE))
    flaw = Flaw("unsorted-listing", "it is not sorted", "bit-exact", "warning", "high", spot, LINE, "safe")
    return msgspec.structs.replace(flaw, **changed)


def _report(*flaws: Flaw, remarks: tuple[Remark, ...] = ()) -> CheckReport:
    return CheckReport(flaws, remarks, 10, 1234, 1, 2)


CELL = Spot("notes.ipynb", 2, 1, 2, 5, 3)
REMARKS = (
    Remark("unread", "not read: invalid syntax", "bad file,1:2.py", 3),
    Remark("unused-allowance", "allow[x] allows nothing here", "notes.ipynb", 2, 3),
    Remark("fault", "the rule x failed", "a.py"),
)
REPORT = _report(
    _flaw(),
    _flaw(rule="cudnn-benchmark", fix="unsafe", severity="error", confidence="medium"),
    _flaw(spot=CELL, severity="note", fix=None, confidence="possible"),
    remarks=REMARKS,
)


# -- JSON and SARIF --------------------------------------------------------------------------------------------


def test_json_is_the_report_again_and_valid_by_its_schema() -> None:
    text = check.render_json(REPORT)
    assert msgspec.json.decode(text, type=CheckReport) == REPORT
    jsonschema.validate(json.loads(text), json.loads(schema.shipped("schema/check-1.json")))


@pytest.mark.parametrize("spoil", [{"schema": "auditor.check/2"}, {"surprise": 1}, {"flaws": [{}]}, {"files": "many"}])
def test_the_schema_refuses_what_is_no_report(spoil: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(
            {**json.loads(check.render_json(REPORT)), **spoil}, json.loads(schema.shipped("schema/check-1.json"))
        )


def test_sarif_is_valid_and_says_where_and_what() -> None:
    log = json.loads(sarif.render_check(REPORT, RULES))
    jsonschema.validate(log, SARIF)
    (run,) = log["runs"]
    first, second, third = run["results"]
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "src/train.py", "uriBaseId": "%SRCROOT%"},
        "region": {
            "startLine": 8,
            "startColumn": 13,
            "endLine": 8,
            "endColumn": len(LINE),
            "snippet": {"text": LINE},
        },
    }
    assert [result["level"] for result in run["results"]] == ["warning", "error", "note"]
    assert second["properties"] == {"confidence": "medium", "level": "bit-exact", "fix": "unsafe"}
    assert "region" not in third["locations"][0]["physicalLocation"], "a cell's line is none of the file's"
    assert third["message"]["text"].startswith("Cell 3, line 2: ")
    rule = run["tool"]["driver"]["rules"][first["ruleIndex"]]
    known = RULES["unsorted-listing"]
    assert (rule["fullDescription"]["text"], rule["helpUri"]) == (known.why, known.sources[0])
    assert rule["defaultConfiguration"] == {"level": known.severity}
    assert rule["properties"]["confidence"] == known.confidence
    invocation = run["invocations"][0]
    assert invocation["executionSuccessful"] is False, "a rule failed"
    assert len(invocation["toolExecutionNotifications"]) == len(REMARKS)


def test_sarif_knows_a_flaw_again_when_lines_move() -> None:
    moved = Spot("src/train.py", 80, 13, 80, len(LINE))
    before, after = (
        json.loads(sarif.render_check(_report(*flaws)))["runs"][0]["results"]
        for flaws in ([_flaw()], [_flaw(spot=moved), _flaw(spot=moved)])
    )
    assert before[0]["partialFingerprints"] == after[0]["partialFingerprints"] != after[1]["partialFingerprints"]


def test_an_empty_report_is_valid_too() -> None:
    jsonschema.validate(json.loads(sarif.render_check(_report())), SARIF)
    assert check_github.render(CheckReport((), (), 0, 0, 0, 0)) == "There was no file to check.\n"


# -- GitHub ----------------------------------------------------------------------------------------------------


def test_annotations_name_file_line_and_rule() -> None:
    lines = check_github.render(REPORT).splitlines()
    assert lines[0] == (
        "::warning file=src/train.py,line=8,endLine=8,col=13,endColumn=31,title=unsorted-listing"
        "::it is not sorted (endangers bit-exact)"
    )
    assert lines[1].startswith("::error file=src/train.py,line=8")
    assert lines[2] == (
        "::notice file=notes.ipynb,title=unsorted-listing::cell 3, 2:1: it is not sorted (endangers bit-exact)"
    )
    assert lines[3] == "::notice file=bad file%2C1%3A2.py,line=3,title=unread::not read: invalid syntax"
    assert lines[-1].startswith("3 flaws in 2 of 10 files")


def test_an_annotation_is_one_line_whatever_it_says() -> None:
    hostile = _flaw(message="100 %\r\n::error::no", spot=Spot("a\n::error::b.py", 1, 1, 2, 1))
    text = check_github.render(_report(hostile))
    (first, _) = text.splitlines()
    assert "100 %25" in first and "%3A%3Aerror%3A%3Ab.py" in first and "endColumn" not in first
    assert not [line for line in text.splitlines() if line.startswith("::error")]


# -- the screen --------------------------------------------------------------------------------------------------


def test_the_screen_has_the_line_and_what_it_is_about() -> None:
    text = check_terminal.render(REPORT)
    lines = text.splitlines()
    assert lines[0] == "src/train.py"
    assert lines[1] == "  8:13 warning unsorted-listing  bit-exact · --fix mends it"
    assert lines[2] == "    it is not sorted"
    assert lines[3] == f"     8 | {LINE}"
    assert lines[4] == f"       | {' ' * 12}{'^' * 18}"
    assert "notes.ipynb" in lines
    assert "  cell 3, 2:1 note unsorted-listing  bit-exact · only possible" in lines
    assert "bad file,1:2.py:3: not read: invalid syntax" in text
    assert "notes.ipynb, cell 3, line 2: allow[x] allows nothing here" in text
    assert lines[-2:] == [
        "3 flaws in 2 of 10 files; 1 allowed; 2 only possible (--all shows them); --fix",
        "mends 1; --fix --unsafe 1 more.",
    ]


@pytest.mark.parametrize("width", [30, 60, 80, 100])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_is_wider_than_the_screen(width: int, ascii_only: bool) -> None:
    long = "value = " + " + ".join(f"term_{n}" for n in range(60)) + " + os.listdir('日本')"
    start = long.index("os.")
    flaws = [
        _flaw(excerpt=long, spot=Spot("a.py", 123456, start + 1, 123456, len(long) + 1)),
        _flaw(excerpt=long, spot=Spot("a.py", 1, 1, 1, len(long) + 1), message="word " * 80),
        _flaw(excerpt="日" * 200, spot=Spot("a.py", 1, 100, 1, 140)),
    ]
    text = check_terminal.render(_report(*flaws), width=width, ascii_only=ascii_only)
    assert max(cell_len(line) for line in text.splitlines()) <= width
    assert not ascii_only or text.isascii()


@pytest.mark.parametrize(
    ("line", "flaw"),
    [
        ("        x = [f for f in os.listdir()]", "os.listdir()"),
        ("\tx = os.listdir()", "os.listdir()"),
        ("s = '日本語'; t = os.listdir()", "os.listdir()"),
        ("s = '\x1b[31m'; t = os.listdir()", "os.listdir()"),
        ("x = " + "a + " * 60 + "os.listdir()", "os.listdir()"),
        ("x = os.listdir() + [" + "a, " * 60 + "]", "os.listdir()"),
    ],
)
def test_the_signs_stand_below_the_flaw(line: str, flaw: str) -> None:
    start = line.index(flaw)
    spot = Spot("a.py", 8, start + 1, 8, start + len(flaw) + 1)
    lines = check_terminal.render(_report(_flaw(excerpt=line, spot=spot))).splitlines()
    shown, signs = lines[3], lines[4]
    column = cell_len(shown[: shown.index(flaw)])
    assert (signs.index("^"), signs.count("^")) == (column, len(flaw))


def test_what_the_source_says_cannot_act() -> None:
    hostile = _flaw(message="\x1b]0;x\x07", excerpt="print('\x1b[31m', '\u202e')", spot=Spot("a\x1b[2J.py", 1, 1, 1, 5))
    report = _report(hostile, remarks=(Remark("unread", "\x1b[1m", "\x07.py"),))
    for text in (check_terminal.render(report), check_github.render(report), sarif.render_check(report)):
        assert not re.search("[\x1b\x07\u202e]", text)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (CheckReport((), (), 3, 10, 0, 0), "No flaw in 3 files."),
        (
            CheckReport((), (), 1, 10, 2, 1, 3),
            "No flaw in 1 file; 3 mended; 2 allowed; 1 only possible (--all shows it).",
        ),
        (_report(_flaw(fix=None)), "1 flaw in 1 of 10 files; 1 allowed; 2 only possible (--all shows them)."),
    ],
)
def test_the_last_line_counts(report: CheckReport, said: str) -> None:
    assert check.summary(report) == said


def test_a_hundred_remarks_do_not_bury_the_flaws() -> None:
    many = tuple(Remark("unread", "not read", f"{number}.py") for number in range(100))
    text = check_terminal.render(_report(_flaw(), remarks=many))
    assert len(text.splitlines()) < 40 and "and 80 more" in text


# -- the same anywhere -------------------------------------------------------------------------------------------

RENDER = """
import sys
from pathlib import Path
from auditor import pipeline
from auditor.report import check, check_github, check_terminal, sarif
from auditor.rulebook import rulebook
report = pipeline.check([Path()], possible=True).report
rules = {name: one.rule for name, one in rulebook().items()}
for text in (check.render_json(report), check_github.render(report), check_terminal.render(report, colour=True)):
    sys.stdout.buffer.write(text.encode())
sys.stdout.buffer.write(sarif.render_check(report, rules).encode())
"""


def test_it_is_the_same_under_another_hash_seed_time_zone_and_locale(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests" / "programs", tmp_path / "programs")
    texts = set()
    for seed, zone, locale in (("1", "UTC", "C.UTF-8"), ("2", "Asia/Tokyo", "C")):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale}
        done = subprocess.run(
            [sys.executable, "-c", RENDER], cwd=tmp_path, env=environment, capture_output=True, check=True
        )
        texts.add(done.stdout)
    assert len(texts) == 1
    assert b"auditor.check/1" in texts.pop()
