"""Killed at any moment, an audit can be gone on with, and nothing that it started stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from auditor import pipeline
from auditor.config import make_request
from auditor.errors import AuditorError
from auditor.records.progress import Progress, RunEnded, RunStarted
from auditor.store import Store

# Run 2 waits for ever unless the file "go" is in the project.
PROGRAM = """
import json, os, signal, subprocess, sys
run = json.load(open(os.environ["_AUDITOR_PROBE"]))["run"]
open("result", "w").write("1.5")
if run == 2 and not os.path.exists("go"):
    child = subprocess.Popen([sys.executable, "-I", "-c", "import signal; signal.pause()"])
    print(os.getpid(), child.pid, flush=True)
    signal.pause()
print("done")
"""

# The auditor in a process of its own, to be killed.
AUDITOR = """
import sys
from auditor.config import Request
from auditor.experiment import perform
from auditor.store import Store
store = Store.open(sys.argv[1])
def tell(event):
    print(type(event).__name__, event.number, flush=True)
try:
    records = perform(store.read_request(Request), store, tell, lambda a, b: True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    raise SystemExit(130)
print([r.ending.status for r in records], flush=True)
"""


def lives(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.fixture
def hanging(bench):
    """An audit whose second run never ends; its request is kept."""
    bench.write("train.py", PROGRAM)
    bench.prepare((sys.executable, "-I", "train.py"))
    bench.store.write_request(bench.request)
    return bench


def start(bench, tmp_path) -> subprocess.Popen[str]:
    """The auditor in a process of its own, gone so far that run 2 hangs."""
    process = subprocess.Popen(
        [sys.executable, "-c", AUDITOR, str(bench.store.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Progress 2") and bench.out(2).count("\n"):
            break
    return process


def pids(bench) -> list[int]:
    """The processes of the hanging run."""
    return [int(pid) for pid in bench.out(2).split()]


def resumed(bench):
    """The audit gone on with, in a project whose second run ends."""
    bench.write("go", "")
    return bench.perform()


def test_ctrl_c_ends_the_program_and_the_audit_can_be_gone_on_with(hanging):
    def interrupt(event):
        hanging.events.append(event)
        if isinstance(event, Progress) and event.number == 2 and hanging.out(2).count("\n"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hanging.perform(interrupt)
    assert not any(lives(pid) for pid in pids(hanging))
    assert (hanging.store.runs(), hanging.store.incomplete()) == ((1,), (2,))
    assert [e.ending.status for e in hanging.events if isinstance(e, RunEnded)] == ["ok", "interrupted"]
    first = hanging.store.record(1)
    records = resumed(hanging)
    assert records[0] == first
    assert [r.ending.status for r in records] == ["ok", "ok"]
    assert [e.number for e in hanging.events if isinstance(e, RunStarted)] == [2]
    assert records[0].artefacts == records[1].artefacts


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_request_to_end_leaves_nothing_behind(hanging, tmp_path, number):
    process = start(hanging, tmp_path)
    process.send_signal(number)
    out, _ = process.communicate()
    assert process.returncode == 130, out
    assert out.endswith("interrupted\n")
    assert not any(lives(pid) for pid in pids(hanging))
    assert list((tmp_path / "temporary").iterdir()) == []
    assert [r.ending.status for r in resumed(hanging)] == ["ok", "ok"]


def test_a_killed_audit_is_gone_on_with_and_its_processes_are_ended(hanging, tmp_path):
    process = start(hanging, tmp_path)
    process.kill()
    process.communicate()
    command, child = pids(hanging)
    # The kernel ends the command with us, in its own time; its child may live on until the resumption.
    assert _gone(command)
    assert Store.open(hanging.store.path).incomplete() == (2,)
    assert [r.ending.status for r in resumed(hanging)] == ["ok", "ok"]
    assert _gone(child)
    assert list((tmp_path / "temporary").iterdir()) == []


def _gone(pid: int) -> bool:
    from auditor.experiment.processes import poll_until

    return poll_until(lambda: not lives(pid), 30)


def test_a_complete_audit_has_nothing_to_be_gone_on_with(bench):
    records = bench.python("print(1)")
    assert bench.perform() == records
    assert bench.events == []


def test_an_audit_cannot_be_gone_on_with_in_another_isolation(hanging, monkeypatch):
    def interrupt(event):
        if isinstance(event, RunStarted) and event.number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hanging.perform(interrupt)
    import msgspec

    kind = "overlay" if hanging.store.record(1).isolation.kind == "copy" else "copy"
    hanging.request = msgspec.structs.replace(hanging.request, isolation=kind)
    with pytest.raises(AuditorError) as caught:
        resumed(hanging)
    assert caught.value.slug in ("cannot-resume", "overlay-refused")


def test_two_auditors_do_not_meet_in_one_directory(hanging):
    with Store.open(hanging.store.path).lock(), pytest.raises(AuditorError) as caught:
        hanging.perform()
    assert caught.value.slug == "audit-in-progress"


def test_a_diagnosis_that_was_cut_off_is_gone_on_with(tmp_path):
    project, evidence = tmp_path / "project", tmp_path / "evidence"
    project.mkdir()
    (project / "train.py").write_text("import random\nprint('loss', random.random())\n")
    request = make_request(
        [sys.executable, "train.py"], str(project), out=str(evidence), metrics=[r"loss=loss ([\d.]+)"]
    )

    def interrupt(event):
        if isinstance(event, RunStarted) and event.trial:
            raise KeyboardInterrupt

    cut_off = pipeline.audit(request, interrupt)
    assert (cut_off.state, cut_off.diagnosis.interrupted, cut_off.diagnosis.runs) == ("complete", True, 0)
    assert [cause.confidence for cause in cut_off.causes] == ["likely"]
    assert not pipeline.differences(evidence, pipeline.recompute(evidence))
    events = []
    whole = pipeline.audit(pipeline.request_to_resume(evidence), events.append)
    assert all(event.trial for event in events if isinstance(event, RunStarted))
    assert [cause.confidence for cause in whole.causes] == ["proven"]
    assert whole.runs == cut_off.runs
    with pytest.raises(AuditorError, match="complete"):
        pipeline.request_to_resume(evidence)
