"""Audits of programs that nobody here wrote, against a truth that is established without the auditor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Audited, Case

PROGRAMS = Path(__file__).parent / "programs"

pytestmark = pytest.mark.integrations


def test_two_bare_runs_tell_the_truth(
    case: Case, bare: tuple[Path, Path], metrics: Callable[[Path], list[str]]
) -> None:
    first, second = (case.program.read(directory) for directory in bare)
    assert first, "the program saved nothing that could be compared"
    assert (first == second) is case.reproducible
    reported = metrics(bare[0])
    assert reported
    assert (reported == metrics(bare[1])) is case.reproducible


def test_the_audit_says_the_same(case: Case, audited: Audited) -> None:
    audit = audited.audit
    verdict = audit["levels"]["bit-exact"]
    assert verdict["verdict"] == ("reached" if case.reproducible else "not-reached"), verdict["reason"]
    assert audited.code == (0 if case.reproducible else 1)
    assert audit["state"] == "complete"


def test_evidence_is_whole(case: Case, audited: Audited) -> None:
    audit = audited.audit
    if case.reproducible:
        assert audit["gaps"] == []
    compared = audit["compared"]
    assert compared["metrics"] > 0
    if case.program.steps:
        assert compared["parameter_digests"] > 0
        assert compared["losses"] > 0


def test_the_first_difference_is_where_the_seed_was_missing(case: Case, audited: Audited) -> None:
    divergence = audited.audit["divergence"]
    if case.reproducible:
        assert divergence is None
    else:
        assert divergence["link"] in case.links


def test_the_missing_seed_is_proven_on_its_line(case: Case, audited: Audited) -> None:
    audit = audited.audit
    if case.reproducible:
        assert audit["causes"] == []
        return
    rule, text = case.cause
    lines = (PROGRAMS / case.program.script).read_text().splitlines()
    (line,) = (number for number, content in enumerate(lines, 1) if text in content)
    assert audit["diagnosis"]["state"] == "proven", audit["diagnosis"]["sentence"]
    first = audit["causes"][0]
    assert (first["rule"], first["confidence"]) == (rule, "proven")
    assert first["location"]["line"] == line
    assert first["location"]["file"].endswith(case.program.script)


def test_the_probe_changes_nothing(case: Case, bare: tuple[Path, Path], audited: Audited) -> None:
    if not case.reproducible:
        pytest.skip("no two runs of this program are the same")
    without = case.program.read(bare[0])
    for run in (1, 2):
        assert case.program.read(audited.artefacts(run)) == without
