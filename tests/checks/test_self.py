"""The project's own code passes its own checks."""

from __future__ import annotations

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
