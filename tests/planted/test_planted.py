"""Every planted cause is caught where it lies, and its clean twin passes: through the command line, in a fresh copy."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Audited, Bare, Case

pytestmark = pytest.mark.programs

PROGRAMS = Path(__file__).parents[1] / "programs"
# Links of what happens once, before, after or beside all steps.
_WITHOUT_STEP = frozenset({"init", "final", "streams", "metric", "checkpoint"})
# What makes the difference should be seen at a glance.
_MOST_CHANGED_LINES = 14


def _told(audited: Audited) -> str:
    return f"\nexit code {audited.code}\n{audited.output}\n{audited.errors}\nevidence: {audited.evidence}"


def _check(case: Case, audited: Audited) -> None:
    audit: dict[str, Any] = audited.audit
    expected, told = case.expected, _told(audited)
    level = audit["levels"]["bit-exact"]
    divergence = audit["divergence"]
    verdict, code = expected.verdict, expected.exit
    if verdict == "as-printed":
        outputs = {path.read_bytes() for path in audited.evidence.glob("runs/*/stdout")}
        verdict, code = ("reached", 0) if len(outputs) == 1 else ("not-reached", 1)

    assert level["verdict"] == verdict, level["reason"] + told
    assert audited.code == code, told
    assert audit["state"] == expected.state, told
    assert "Traceback" not in audited.errors, told
    assert expected.reason in level["reason"], level["reason"] + told

    if verdict == "not-reached":
        assert divergence is not None, told
        assert not expected.links or divergence["link"] in expected.links, told
        assert not expected.steps or divergence["step"] in expected.steps, told
        assert (divergence["step"] is None) == (divergence["link"] in _WITHOUT_STEP), told
        if divergence["step"] is not None and divergence["last_identical_step"] is not None:
            assert divergence["last_identical_step"] < divergence["step"], told
        assert not expected.processes or divergence["process"] in expected.processes, told
        assert expected.quantity in divergence["quantity"], told
        if expected.difference is not None:
            assert divergence["max_abs_difference"] == expected.difference, told
    else:
        assert divergence is None, told
    if verdict == "reached":
        assert audit["gaps"] == [], told

    found = {finding["rule"] for finding in audit["findings"]}
    assert found >= set(expected.findings), told
    assert not found & (set(case.other.findings) - set(expected.findings)), told


def test_planted_cause_is_caught(planted_case: Case, audit_of: Callable[[Case], Audited]) -> None:
    _check(planted_case, audit_of(planted_case))


def test_clean_twin_passes_and_the_probe_changes_nothing(
    clean_case: Case,
    audit_of: Callable[[Case], Audited],
    bare_run: Callable[..., Bare],
    bits: Callable[[Path], dict[str, str]],
) -> None:
    audited = audit_of(clean_case)
    _check(clean_case, audited)
    bare = bare_run(clean_case)
    assert bare.code == 0, bare.output
    assert audited.save is not None
    assert bits(audited.save) == bits(bare.save), _told(audited)
    for name in clean_case.expected.same_artefacts:
        kept = audited.evidence / "runs" / "2" / "artefacts" / name
        assert kept.read_bytes() == (bare.project / name).read_bytes(), _told(audited)


@pytest.mark.slow
def test_bare_runs_are_as_said(
    case: Case, bare_run: Callable[..., Bare], bits: Callable[[Path], dict[str, str]], tmp_path: Path
) -> None:
    """What the expectations rest on, established without the auditor."""
    if case.expected.bare == "skip":
        pytest.skip("the program goes on in the background and cannot be awaited")
    outside = tmp_path / "outside"
    outside.mkdir()
    first, second = (bare_run(case, outside) for _ in range(2))
    assert first.code == 0, first.output
    if second.code != 0:
        assert case.expected.exit == 4, second.output
        return
    if case.expected.bare != "either":
        agree = bits(first.save) == bits(second.save)
        assert agree == (case.expected.bare == "agree")


def test_twins_differ_in_little_else_than_the_cause() -> None:
    causes = [path.parent for path in PROGRAMS.rglob("expect.toml")]
    assert causes
    for cause in causes:
        expected = (cause / "expect.toml").read_text()
        if '"-I"' in expected:
            continue  # the cause is in the command
        together = max(1, expected.count("[[planted.causes]]"))
        changed = []
        for planted in cause.glob("planted.*"):
            clean = planted.with_name("clean" + planted.suffix)
            lines = difflib.ndiff(planted.read_text().splitlines(), clean.read_text().splitlines())
            changed += [line for line in lines if line.startswith(("+ ", "- "))]
        assert 0 < len(changed) <= together * _MOST_CHANGED_LINES, (cause.name, changed)
