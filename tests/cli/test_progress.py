from __future__ import annotations

import pytest

from auditor.cli.progress import EVERY, Screen, describe, ended, started
from auditor.records.progress import Progress, RunEnded, RunStarted
from auditor.records.run import Ending, Isolation


def test_words() -> None:
    assert describe(Progress(1, 0, None, 3.0, None, None)) == "step 0, 3.0 s"
    assert describe(Progress(1, 50, None, 10.0, None, None)) == "step 50, 5.0 steps/s"
    assert describe(Progress(2, 50, 150, 10.0, 48, None)) == (
        "step 50 of 150, 5.0 steps/s, 20.0 s left, identical so far: step 48"
    )
    assert describe(Progress(2, 5000, 5000, 10.0, 2, 3)) == "step 5,000 of 5,000, 500 steps/s, differs from step 3 on"
    assert started(RunStarted(1, 2, 7, Isolation("copy", "no overlay: refused; 'x' is not isolated"))) == (
        "run 1 of 2, seed 7, kept apart by copy ('x' is not isolated)"
    )
    assert started(RunStarted(2, 2, 7, Isolation("copy", "no overlay"))) == "run 2 of 2, seed 7, kept apart by copy"
    # What is tried again is numbered beyond the runs that were asked for.
    assert started(RunStarted(8, 5, 3, None)) == "run 8 (a further attempt), seed 3"
    assert ended(RunEnded(2, 75.0, Ending("stopped", None))) == "run 2: ended at its first divergence after 1 min 15 s"


EVENTS = (
    RunStarted(1, 2, None, Isolation("overlay")),
    *(Progress(1, at, 400, float(at), None, None) for at in range(100)),
    RunEnded(1, 100.0, Ending("ok", 0)),
)


def test_a_line_now_and_then_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen(quiet=False) as screen:
        for event in EVENTS:
            screen.show(event)
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert lines[0] == "run 1 of 2, kept apart by overlay"
    assert lines[-1] == "run 1: done after 1 min 40 s"
    assert len(lines) == 2 + int(100 // EVERY)


def test_nothing_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with Screen(quiet=True) as screen:
        for event in EVENTS:
            screen.show(event)
    assert capsys.readouterr() == ("", "")
