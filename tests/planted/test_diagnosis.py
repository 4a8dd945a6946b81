"""Every planted cause is found at its line, proven where it can be, and nothing else is accused."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Audited, Case, Cause

pytestmark = pytest.mark.programs


def _told(audited: Audited) -> str:
    return f"\n{audited.output}\n{audited.errors}\nevidence: {audited.evidence}"


def _is(found: dict[str, Any], cause: Cause, case: Case) -> bool:
    """Whether what was found is this cause, at a right line."""
    place = found["location"]
    at = None if place is None else (place["file"], place["line"])
    return found["rule"] in cause.rules and at in cause.lines(case.directory)


def test_the_cause_is_found_at_its_line(diagnosed_case: Case, diagnosis_of: Callable[[Case], Audited]) -> None:
    case = diagnosed_case
    audited = diagnosis_of(case)
    audit, told = audited.audit, _told(audited)
    found: list[dict[str, Any]] = audit["causes"]
    if audit["levels"]["bit-exact"]["verdict"] != "not-reached":
        assert case.expected.verdict == "as-printed", told
        assert found == [], told
        return
    expected = case.expected.causes
    proven = [one for one in found if one["confidence"] == "proven"]

    # As many as there are come first, in whatever order, each at its line.
    assert len(found) >= len(expected), told
    for one in found[: len(expected)]:
        assert any(_is(one, cause, case) for cause in expected), told
    for cause in expected:
        first = [one for one in found[: len(expected)] if _is(one, cause, case)]
        assert first, told
        assert any(one["confidence"] == "proven" for one in first) == cause.proven, told
    # Nothing else is accused.
    for one in proven:
        assert any(cause.proven and _is(one, cause, case) for cause in expected), told
    if expected and all(cause.proven for cause in expected):
        assert audit["diagnosis"]["state"] == "proven", told


@pytest.mark.slow
def test_a_clean_twin_has_no_cause(clean_case: Case, diagnosis_of: Callable[[Case], Audited]) -> None:
    audited = diagnosis_of(clean_case)
    assert audited.audit["causes"] == [], _told(audited)
    assert audited.audit["diagnosis"] is None, _told(audited)
