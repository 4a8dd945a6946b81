"""The project's own code passes its own checks."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from auditor.report import check_terminal
from auditor.rulebook.project import Options, check

ROOT = Path(__file__).parents[2]
OWN = ("auditor", "benchmarks", "checks", "examples", "tests", "tools")


def test_no_flaw_and_no_unused_allowance_is_in_our_own_code() -> None:
    report = check([Path()], ROOT, Options()).report
    assert not report.flaws and not report.remarks, check_terminal.render(report)
    assert report.files > 300


@pytest.mark.parametrize("directory", OWN)
def test_what_we_allow_has_a_reason(directory: str) -> None:
    for path in (ROOT / directory).rglob("*.py"):
        for allowance in re.findall(r"^\s*# auditor: allow\[[^\]]*\](.*)", path.read_text(encoding="utf-8"), re.M):
            assert len(allowance.split()) >= 2, f"{path}: {allowance}"


def test_the_documentation_counts_what_was_read_as_the_labels_do() -> None:
    with (ROOT / "benchmarks/checks/labels.csv").open(newline="", encoding="utf-8") as file:
        high = [row["label"] == "true" for row in csv.DictReader(file) if row["now"] == "high"]
    told = re.search(
        r"still call\s+(\d+)\s+`high`,\s+of which\s+(\d+)\s+are right", (ROOT / "docs/checking.md").read_text("utf-8")
    )
    assert told is not None
    assert (int(told[1]), int(told[2])) == (len(high), sum(high))
    assert sum(high) >= 0.9 * len(high)
