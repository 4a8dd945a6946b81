"""How runs are started, varied, followed and ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from auditor import pipeline
from auditor.config import make_request
from auditor.errors import EvidenceError, UsageError
from auditor.experiment import preflight
from auditor.experiment.processes import parse_stat
from auditor.experiment.progress import Follower
from auditor.experiment.variation import vary
from auditor.records.progress import Progress, RunEnded, RunStarted
from auditor.records.trace import End, Hello, Line, Step, Unordered
from auditor.store import Plan, Store

HELLO = Hello(
    protocol=1,
    kind="exec",
    pid=10,
    ppid=1,
    label="train.py",
    python="3.11.7",
    implementation="cpython",
    hash_seed=None,
    rank=None,
    local_rank=None,
    parent=None,
    child=None,
    ns=1,
)
END = End(why="exit", steps=0, backwards=0, digested=0, probe_ns=0, ns=9)

# Writes the trace that the project holds for this run, as the probe would, and hangs where told to.
FAKE = """
import json, os, shutil, signal
told = json.load(open(os.environ["_AUDITOR_PROBE"]))
print(told["run"], told["plan"] and open(told["plan"]).read())
for name in sorted(os.listdir(f"traces/{told['run']}")):
    shutil.copy(f"traces/{told['run']}/{name}", told["trace"])
if os.path.exists(f"hang-{told['run']}"):
    signal.pause()
"""


def step(n: int, parameters: str = "a" * 16) -> Step:
    """One digested step."""
    return Step(
        n=n,
        optimizer=0,
        batch=None,
        loss=None,
        gradients=None,
        gradients_parts="",
        parameters=parameters,
        parameters_parts="",
        streams={},
        ns=n,
    )


def text(*lines: Line) -> str:
    """The lines of a trace file."""
    return "".join(msgspec.json.encode(line).decode() + "\n" for line in lines)


def test_hash_seed_temporary_directory_and_listing_order_differ_on_record(bench):
    records = bench.python(
        """
import json, os, tempfile
told = json.load(open(os.environ["_AUDITOR_PROBE"]))
print(os.environ["PYTHONHASHSEED"], tempfile.gettempdir(), told["directory_order"], os.listdir(tempfile.gettempdir()))
open(os.path.join(tempfile.gettempdir(), "left"), "w").close()
""",
        replicates=3,
    )
    seen = [bench.out(n).split() for n in (1, 2, 3)]
    assert [s[0] for s in seen] == [r.varied["PYTHONHASHSEED"] for r in records] == ["1001", "1002", "1003"]
    assert [s[1] for s in seen] == [r.varied["TMPDIR"] for r in records]
    assert len({s[1] for s in seen}) == 3
    assert [s[2] for s in seen] == ["False", "True", "True"]
    assert [s[3] for s in seen] == ["[]"] * 3


def test_what_is_kept_is_the_same_in_every_run(bench):
    records = bench.python(
        """
import json, os
told = json.load(open(os.environ["_AUDITOR_PROBE"]))
print(os.environ["PYTHONHASHSEED"], os.environ["TMPDIR"], told["directory_order"])
""",
        keep=("hash-seed", "tmpdir", "directory-order"),
    )
    assert bench.out(1) == bench.out(2)
    assert records[0].varied == records[1].varied
    assert all(value.endswith("(kept)") for value in records[0].varied.values())


def test_no_trial_varies_as_a_run_of_the_audit_did(tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "train.py").write_text("import random\nprint('loss', random.random())\n")
    request = make_request(
        [sys.executable, "train.py"],
        str(tmp_path / "project"),
        out=str(tmp_path / "evidence"),
        metrics=[r"loss=loss (.+)"],
    )
    audit = pipeline.audit(request, lambda event: None)
    trials = Store.open(tmp_path / "evidence").diagnosis
    assert audit.diagnosis.repeats  # a trial that comes out as run 1 did must not do so by that
    everyone = [*audit.runs, *(trials.record(number) for number in trials.runs())]
    for name in ("PYTHONHASHSEED", "TMPDIR"):
        assert len({run.varied[name] for run in everyone}) == len(everyone) > 2


def test_a_hash_seed_that_the_user_set_is_left_alone():
    variables, varied = vary(2, {"PYTHONHASHSEED": "0"}, (), "/t")
    assert "PYTHONHASHSEED" not in variables
    assert varied["PYTHONHASHSEED"] == "0 (set by the user, kept)"
    assert vary(2, {"PYTHONHASHSEED": "random"}, (), "/t")[0]["PYTHONHASHSEED"] == "1002"


def test_the_seed_reaches_the_command_and_the_environment(bench):
    bench.write("t.sh", 'echo "$@" $SEED $MY_SEED')
    records = bench.run(("sh", "t.sh", "--seed={seed}", "{seed}"), seed=7, seed_env=("SEED", "MY_SEED"))
    assert bench.out(1) == bench.out(2) == "--seed=7 7 7 7\n"
    assert records[0].seed == 7
    assert records[0].command == ("sh", "t.sh", "--seed=7", "7")


def test_the_hash_seed_may_be_what_the_seed_is_given_to(bench):
    bench.write("t.sh", "echo $PYTHONHASHSEED")
    records = bench.run(("sh", "t.sh"), seed=7, seed_env=("PYTHONHASHSEED",))
    assert bench.out(1) == bench.out(2) == "7\n"
    assert records[1].varied["PYTHONHASHSEED"] == "7 (set by the user, kept)"


def test_the_environment_is_the_users_own(bench, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/their/own")
    monkeypatch.delenv("LC_ALL", raising=False)
    monkeypatch.delenv("LC_CTYPE", raising=False)
    monkeypatch.setenv("LANG", "C")
    bench.run(("env",))
    seen = dict(line.partition("=")[::2] for line in bench.out(1).splitlines())
    assert seen["PYTHONPATH"].endswith("auditor/probe:/their/own")
    ours = {"PYTHONPATH", "PYTHONHASHSEED", "TMPDIR", "_AUDITOR_PROBE", "_AUDITOR_EVIDENCE"}
    assert {k: v for k, v in seen.items() if k not in ours} == {k: v for k, v in os.environ.items() if k not in ours}


def test_an_empty_search_path_does_not_become_the_working_directory(bench, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "")
    bench.run(("sh", "-c", "echo $PYTHONPATH"))
    assert bench.out(1).endswith("auditor/probe\n")


def test_signals_are_as_in_a_shell(bench):
    """An interpreter ignores SIGPIPE, and what it starts would inherit that."""
    command = ("sh", "-c", "grep -E 'SigIgn|SigBlk' /proc/self/status; yes | head -1")
    # Whoever starts the tests may ignore some signals; that is inherited here and there alike.
    here = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    bench.run(command)
    assert bench.out(1) == here
    assert "SigBlk:\t" + "0" * 16 in here


def test_output_is_kept_byte_for_byte(bench):
    bench.python(r"import os; os.write(1, b'\xff\x00\n'); os.write(2, b'\xfe')")
    assert bench.store.paths(1).stdout.read_bytes() == b"\xff\x00\n"
    assert bench.store.paths(1).stderr.read_bytes() == b"\xfe"


def test_a_failing_run_is_recorded_and_no_further_run_starts(bench):
    records = bench.python("import sys; open('partial', 'w').write('1'); print('why', file=sys.stderr); sys.exit(3)")
    assert [r.ending.status for r in records] == ["failed"]
    assert records[0].ending.exit_code == 3
    assert [a.path for a in records[0].artefacts] == ["partial"]
    assert bench.out(1) == "why\n"
    assert bench.perform() == records


def test_a_signal_is_a_failure(bench):
    records = bench.python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    assert records[0].ending.exit_code == -11
    assert "signal 11" in records[0].ending.message


def test_a_failure_in_run_two_ends_the_audit(bench):
    records = bench.python(
        """
import json, os, sys
sys.exit(json.load(open(os.environ["_AUDITOR_PROBE"]))["run"] - 1)
""",
        replicates=4,
    )
    assert [r.ending.status for r in records] == ["ok", "failed"]


def test_a_run_that_hangs_is_ended_with_all_it_started(bench):
    records = bench.python(
        """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-I", "-c", "import signal; signal.pause()"], start_new_session=True)
print(child.pid, os.getpid(), flush=True)
signal.pause()
""",
        timeout=1.0,
    )
    assert [r.ending.status for r in records] == ["timeout"]
    assert records[0].ending.exit_code is None
    assert not any(_lives(int(pid)) for pid in bench.out(1).split())


@pytest.mark.parametrize(
    "how",
    [
        "subprocess.Popen(command)",
        "subprocess.Popen(command, start_new_session=True)",
        "subprocess.Popen(command, env={}, start_new_session=True)",
        "subprocess.Popen(['sh', '-c', 'setsid ' + ' '.join(map(shlex.quote, command)) + ' & sleep 0'], env={})",
    ],
)
def test_what_outlives_the_command_is_ended_and_counted(bench, how, monkeypatch):
    monkeypatch.setattr("auditor.experiment.executors.local.LEFTOVER_GRACE", 0.3)
    code = "import os; open('pid', 'w').write(str(os.getpid())); import signal; signal.pause()"
    records = bench.python(
        f"""
import os, shlex, subprocess, sys
command = [{sys.executable!r}, "-I", "-c", {code!r}]
process = {how}
while not os.path.exists("pid") or not open("pid").read():
    pass
""",
    )
    assert [(r.ending.status, r.ending.leftovers) for r in records] == [("ok", 1), ("ok", 1)]
    assert not _lives(int(bench.artefact(1, "pid")))


def test_a_child_that_ends_by_itself_soon_is_no_leftover(bench):
    records = bench.python(
        """
import subprocess, sys
subprocess.Popen([sys.executable, "-I", "-c", "open('late', 'w').write('1')"])
""",
    )
    assert [r.ending.leftovers for r in records] == [0, 0]
    assert [a.path for a in records[1].artefacts] == ["late"]


def test_processor_time_is_that_of_all_processes(bench):
    records = bench.python(
        """
import subprocess, sys, time
subprocess.run([sys.executable, "-I", "-c", "import time\\nwhile time.process_time() < 0.3: pass"])
""",
    )
    assert all(r.cpu_seconds is not None and r.cpu_seconds >= 0.3 for r in records)


def test_the_plan_is_made_after_run_one_and_given_to_the_others(bench):
    bench.write("train.py", FAKE)
    for run in (1, 2, 3):
        bench.write(f"traces/{run}/10-1.jsonl", text(HELLO, step(1), step(3), END))
        bench.write(f"traces/{run}/11-2.jsonl", text(msgspec.structs.replace(HELLO, pid=11, ns=2), step(2)))
    bench.run((sys.executable, "-I", "train.py"), replicates=3)
    assert bench.store.read_plan() == Plan({"train.py": (1, 2, 3)})
    assert bench.out(1) == "1 None\n"
    assert [json.loads(bench.out(n).split(" ", 1)[1]) for n in (2, 3)] == [{"labels": {"train.py": [1, 2, 3]}}] * 2
    roles = [(p.role, len(p.steps)) for p in bench.store.evidence(2).processes]
    assert roles == [("main", 2), ("main#2", 1)]


def test_events_tell_of_starts_progress_and_ends(bench):
    bench.write("train.py", FAKE)
    bench.write("traces/1/10-1.jsonl", text(HELLO, step(1), step(2), step(3), END))
    bench.write("traces/2/12-1.jsonl", text(HELLO, step(1), step(2), step(3, "b" * 16), END))
    bench.run((sys.executable, "-I", "train.py"))
    started = [e for e in bench.events if isinstance(e, RunStarted)]
    ended = [e for e in bench.events if isinstance(e, RunEnded)]
    last = {e.number: e for e in bench.events if isinstance(e, Progress)}
    assert [(e.number, e.of) for e in started] == [(1, 2), (2, 2)]
    assert [(e.number, e.ending.status) for e in ended] == [(1, "ok"), (2, "ok")]
    assert (last[1].steps, last[1].expected, last[1].identical_until, last[1].differs_at) == (3, None, None, None)
    assert (last[2].steps, last[2].expected, last[2].identical_until, last[2].differs_at) == (3, 3, 2, 3)


def test_fail_fast_ends_run_two_at_its_first_divergence(bench):
    bench.write("train.py", FAKE)
    bench.write("hang-2", "")
    bench.write("traces/1/10-1.jsonl", text(HELLO, step(1), step(2), END))
    bench.write("traces/2/12-1.jsonl", text(HELLO, step(1, "b" * 16)))
    records = bench.run((sys.executable, "-I", "train.py"), fail_fast=True, replicates=5)
    assert [r.ending.status for r in records] == ["ok", "stopped"]
    assert records[1].ending.exit_code is None
    assert bench.store.evidence(2).processes[0].steps[0].parameters == "b" * 16


class TestFollower:
    """A trace is read while it is being written."""

    def reference(self, store, *files):
        paths = store.begin_run(1)
        for name, contents in files:
            (paths.trace / name).write_text(contents)
        from auditor.store import assign_roles, build_trace, parse_trace, process_of

        parsed = {name: parse_trace(contents.encode())[0] for name, contents in files}
        roles = assign_roles([process_of(name, lines) for name, lines in parsed.items()])
        return [build_trace(name, roles[name], lines, None) for name, lines in parsed.items()]

    def test_half_a_line_waits_for_its_other_half(self, bench):
        bench.prepare(("true",))
        first = self.reference(bench.store, ("10-1.jsonl", text(HELLO, step(1), step(2))))
        trace = bench.project / "trace"
        trace.mkdir()
        follower = Follower(trace, first, lambda a, b: a.parameters == b.parameters)
        assert follower.look().steps == 0
        whole = text(HELLO, step(1), step(2))
        with open(trace / "99-7.jsonl", "w") as file:
            for character in whole:
                file.write(character)
                file.flush()
                sight = follower.look()
        assert (sight.steps, sight.identical_until, sight.differs_at) == (2, 2, None)

    def test_the_slowest_rank_says_how_far_all_agree(self, bench):
        bench.prepare(("true",))
        zero = msgspec.structs.replace(HELLO, rank="0")
        one = msgspec.structs.replace(HELLO, rank="1", pid=11, ns=2)
        first = self.reference(
            bench.store,
            ("10-1.jsonl", text(zero, step(1), step(2), step(3))),
            ("11-2.jsonl", text(one, step(1), step(2), step(3))),
        )
        trace = bench.project / "trace"
        trace.mkdir()
        follower = Follower(trace, first, lambda a, b: a.parameters == b.parameters)
        (trace / "5-1.jsonl").write_text(text(zero, step(1), step(2), step(3)))
        (trace / "6-1.jsonl").write_text(text(one, step(1), step(2, "b" * 16)))
        sight = follower.look()
        assert (sight.steps, sight.identical_until, sight.differs_at) == (3, 1, 2)

    def test_a_further_program_takes_no_ones_place(self, bench):
        """While only the second of two programs is compared, the first must not be taken for it."""
        bench.prepare(("true",))
        other = msgspec.structs.replace(HELLO, label="evaluate.py", ns=5)
        first = self.reference(
            bench.store, ("10-1.jsonl", text(HELLO, step(1))), ("11-2.jsonl", text(other, step(1, "c" * 16)))
        )
        trace = bench.project / "trace"
        trace.mkdir()
        follower = Follower(trace, first, lambda a, b: a.parameters == b.parameters)
        (trace / "5-1.jsonl").write_text(text(HELLO, step(1)))
        assert follower.look().differs_at is None
        (trace / "6-1.jsonl").write_text(text(other, step(1, "c" * 16)))
        assert follower.look().differs_at is None

    @pytest.mark.parametrize("where", ["reference", "run"])
    def test_steps_of_threads_have_no_order_to_differ_in(self, bench, where):
        bench.prepare(("true",))
        lines = {w: (HELLO, Unordered(threads=2)) if w == where else (HELLO,) for w in ("reference", "run")}
        first = self.reference(bench.store, ("10-1.jsonl", text(*lines["reference"], step(1))))
        trace = bench.project / "trace"
        trace.mkdir()
        (trace / "5-1.jsonl").write_text(text(*lines["run"], step(1, "b" * 16)))
        assert Follower(trace, first, lambda a, b: a == b).look().differs_at is None

    def test_garbage_is_passed_over(self, bench):
        bench.prepare(("true",))
        first = self.reference(bench.store, ("10-1.jsonl", text(HELLO, step(1))))
        trace = bench.project / "trace"
        trace.mkdir()
        (trace / "5-1.jsonl").write_text("garbage\n" + text(HELLO) + "[" * 100000 + "\n" + text(step(1)))
        assert Follower(trace, first, lambda a, b: a == b).look().identical_until == 1


@pytest.mark.parametrize(
    ("command", "slug"),
    [
        (("no-such-command-anywhere",), "command-not-found"),
        (("./no-such-file",), "command-not-found"),
        (("train.py",), "command-not-found"),
        (("./train.py",), "command-not-executable"),
        (("./sub",), "command-not-executable"),
        (("python\udcff",), "not-text"),
    ],
)
def test_a_command_that_cannot_be_started_is_refused_before_anything_is_written(bench, command, slug):
    bench.write("train.py", "pass")
    (bench.project / "sub").mkdir()
    with pytest.raises(UsageError) as caught:
        preflight(make_request(command, str(bench.project)))
    assert caught.value.slug == slug
    assert sorted(p.name for p in bench.project.iterdir()) == ["sub", "train.py"]


def test_what_is_on_the_path_but_not_executable_is_told_apart(bench, monkeypatch):
    bench.write("bin/tool", "")
    monkeypatch.setenv("PATH", str(bench.project / "bin"))
    with pytest.raises(UsageError) as caught:
        preflight(make_request(("tool",), str(bench.project)))
    assert caught.value.slug == "command-not-executable"


def test_a_file_that_is_no_program_leaves_no_run_behind(bench, isolation):
    bench.write("tool", "no first line").chmod(0o755)
    bench.prepare(("./tool",), isolation=isolation)
    with pytest.raises(UsageError) as caught:
        bench.perform()
    assert caught.value.slug == "command-not-executable"
    assert bench.store.runs() == ()


def test_a_project_that_is_not_there_or_everything(tmp_path):
    for project, slug in ((str(tmp_path / "none"), "no-such-project"), ("/", "project-too-wide")):
        with pytest.raises(UsageError) as caught:
            preflight(make_request(("true",), project))
        assert caught.value.slug == slug


def test_a_script_in_the_project_is_started_by_its_relative_path(bench, isolation):
    bench.write("run.sh", "#!/bin/sh\necho fine\n").chmod(0o755)
    bench.run(("./run.sh",), isolation=isolation)
    assert bench.out(2) == "fine\n"


def test_runs_out_of_order_are_damage(bench):
    bench.python("pass")
    run = bench.store.paths(1).root
    run.rename(run.with_name("9"))
    with pytest.raises(EvidenceError):
        bench.perform()


def test_a_fault_of_the_watcher_ends_the_program(bench):
    bench.write("train.py", "import os, signal; print(os.getpid(), flush=True); signal.pause()")
    bench.prepare((sys.executable, "-I", "train.py"))

    def break_down(event):
        if isinstance(event, Progress) and bench.out(1):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bench.perform(break_down)
    assert not _lives(int(bench.out(1)))
    assert bench.store.incomplete() == (1,)


@pytest.mark.parametrize("name", ["python", "a b) (c", "(sd-pam)", "x\ny"])
def test_a_process_is_read_whatever_its_name(name):
    tail = "S 7 40 41 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 9 10"
    stat = parse_stat(f"42 ({name}) {tail}")
    assert (stat.pid, stat.state, stat.ppid, stat.session, stat.started) == (42, "S", 7, 41, 123456)


def test_a_line_that_is_no_process_is_refused():
    with pytest.raises(ValueError, match="more fields"):
        parse_stat("42 (x) S 1")


def test_without_pidfd_the_end_is_found_by_asking(bench, monkeypatch):
    monkeypatch.setattr("auditor.experiment.processes._open_pidfd", lambda pid: None)
    assert [r.ending.status for r in bench.python("pass")] == ["ok", "ok"]
    assert [r.ending.status for r in bench.python("import signal; signal.pause()", timeout=0.5)] == ["timeout"]


def _lives(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
