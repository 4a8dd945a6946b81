from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from auditor.report import schema

ROOT = Path(__file__).resolve().parents[2]

Auditor = Callable[..., "subprocess.CompletedProcess[str]"]


def stored(directory: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads((directory / "audit.json").read_text(encoding="utf-8"))
    return read


def replace(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Alter a read-only JSON file of the evidence, as somebody who wants a better verdict would."""
    contents = json.loads(file.read_text(encoding="utf-8"))
    change(contents)
    file.chmod(0o644)
    file.write_text(json.dumps(contents), encoding="utf-8")


def test_a_clean_program(auditor: Auditor, project: Path) -> None:
    done = auditor(
        *["run", "--out", "e", "--require", "bit-exact", "--json", "a.json", "--junit", "a.xml", "--markdown", "a.md"],
        *["--", "python", "clean.py", "{seed}"],
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bit-exact is required: reached." in done.stdout
    assert "evidence     e" in done.stdout
    assert "run 2 of 2, seed 1" in done.stderr
    audit = stored(project / "e")
    assert audit["level"] == "bit-exact"
    assert audit["state"] == "complete"
    assert "results.json:test.score" in audit["metrics"]
    jsonschema.validate(audit, json.loads(schema.shipped()))
    assert json.loads((project / "a.json").read_text(encoding="utf-8")) == audit
    assert ElementTree.parse(project / "a.xml").getroot().attrib["failures"] == "0"
    assert "✅ reached" in (project / "a.md").read_text(encoding="utf-8")
    assert not (project / "results.json").exists()


def test_evidence_goes_below_the_project(auditor: Auditor, project: Path) -> None:
    done = auditor("run", "-q", "--", "python", "clean.py", "1")
    assert done.stderr == ""
    (directory,) = [path for path in (project / ".auditor").iterdir() if path.is_dir()]
    assert f"evidence     .auditor/{directory.name}" in done.stdout
    assert stored(directory)["id"] == directory.name


def test_an_unseeded_program(auditor: Auditor, project: Path) -> None:
    done = auditor("run", "--out", "e", "--require", "bit-exact", "--", "python", "unseeded.py")
    assert done.returncode == 1
    assert "bit-exact is required: not reached." in done.stdout
    assert "results.json:test.score" in done.stdout
    assert stored(project / "e")["level"] is None


def test_a_name_that_matches_nothing_is_told(auditor: Auditor) -> None:
    names = ("--tolerance", "test.scor=0.1", "--ignore", "no-such.*", "--tolerance", "test.score=0.1")
    said = " ".join(auditor("run", "--out", "e", *names, "--", "python", "clean.py", "{seed}").stdout.split())
    assert "--tolerance test.scor matches no metric; near it: test.score" in said
    assert "--ignore no-such.* matches no number and no file" in said
    assert "--tolerance test.score matches" not in said


def test_nothing_required_is_nothing_missed(auditor: Auditor) -> None:
    assert auditor("run", "--out", "e", "--", "python", "unseeded.py").returncode == 0


def test_nothing_to_compare_is_inconclusive(auditor: Auditor) -> None:
    done = auditor("run", "--out", "e", "--", "true")
    assert done.returncode == 3
    assert "inconclusive" in done.stdout


def test_a_program_that_fails(auditor: Auditor, project: Path) -> None:
    done = auditor("run", "--out", "e", "--", "python", "failing.py")
    assert done.returncode == 4
    assert "no such file: data.csv" in done.stderr
    assert "(program-failed; auditor explain program-failed)" in done.stderr
    assert "runs/1" in done.stderr
    assert "Traceback (most recent call last)" not in done.stderr
    audit = stored(project / "e")
    assert audit["state"] == "failed"
    assert {level["verdict"] for level in audit["levels"].values()} <= {"inconclusive", "not-tested"}
    again = auditor("report", "e")
    assert (again.returncode, again.stdout) == (4, done.stdout)


def test_a_program_that_hangs(auditor: Auditor, project: Path) -> None:
    (project / "hangs.py").write_text("import signal\nprint('waiting', flush=True)\nsignal.pause()\n")
    done = auditor("run", "--out", "e", "--timeout", "3", "--", "python", "hangs.py")
    assert done.returncode == 4
    assert "(program-timed-out; auditor explain program-timed-out)" in done.stderr
    assert "waiting" in done.stderr
    assert stored(project / "e")["state"] == "failed"


def test_the_verdict_is_recomputed(auditor: Auditor, project: Path) -> None:
    done = auditor("run", "--out", "e", "--require", "bit-exact", "--", "python", "unseeded.py")
    again = auditor("report", "e")
    assert (again.returncode, again.stderr) == (1, "")
    assert again.stdout == done.stdout
    as_json = json.loads(auditor("report", "e", "--format", "json").stdout)
    assert as_json == stored(project / "e")
    for form in ("junit", "markdown"):
        assert auditor("report", "e", "-f", form, "-o", f"a.{form}").returncode == 1
        assert (project / f"a.{form}").read_text(encoding="utf-8") == auditor("report", "e", "-f", form).stdout


def test_a_better_verdict_cannot_be_written_into_audit_json(auditor: Auditor, project: Path) -> None:
    auditor("run", "--out", "e", "--require", "bit-exact", "--", "python", "unseeded.py")

    def improve(audit: dict[str, Any]) -> None:
        audit["level"] = "bit-exact"
        audit["levels"]["bit-exact"] = {"verdict": "reached", "reason": "believe me", "measured": {}}
        audit["divergence"] = None

    replace(project / "e" / "audit.json", improve)
    again = auditor("report", "e")
    assert again.returncode == 1
    assert "audit.json does not say what the evidence says" in again.stderr
    assert 'levels.bit-exact (audit.json: "reached"; evidence: "not-reached")' in again.stderr
    assert "bit-exact is required: not reached." in again.stdout


def test_an_altered_artefact_is_no_pass(auditor: Auditor, project: Path) -> None:
    auditor("run", "--out", "e", "--require", "bit-exact", "--", "python", "unseeded.py")
    first, second = (project / "e" / "runs" / str(n) / "artefacts" / "results.json" for n in (1, 2))
    second.chmod(0o644)
    second.write_bytes(first.read_bytes())
    again = auditor("report", "e")
    assert again.returncode in (1, 3)
    assert "audit.json does not say what the evidence says" in again.stderr


@pytest.mark.parametrize(
    "spoil",
    [
        lambda directory: (directory / "request.json").unlink(),
        lambda directory: (directory / "evidence.json").write_text("{"),
        lambda directory: (directory / "runs" / "2" / "run.json").write_text("{}"),
    ],
)
def test_damaged_evidence_is_said_so(auditor: Auditor, project: Path, spoil: Callable[[Path], object]) -> None:
    auditor("run", "--out", "e", "--", "python", "clean.py", "1")
    for file in (project / "e").rglob("*.json"):
        file.chmod(0o644)
    spoil(project / "e")
    again = auditor("report", "e")
    assert again.returncode == 2
    assert "(damaged-evidence; auditor explain damaged-evidence)" in again.stderr
    assert again.stdout == ""


def test_a_run_that_is_missing_is_no_pass(auditor: Auditor, project: Path) -> None:
    auditor("run", "--out", "e", "--require", "bit-exact", "--", "python", "clean.py", "1")
    (project / "e" / "runs" / "2" / "run.json").unlink()
    again = auditor("report", "e")
    assert again.returncode == 3
    assert "The audit is not finished: 1 of 2 runs ended" in again.stdout


def test_an_interrupt_can_be_resumed(auditor: Auditor, project: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (project / "waits.py").write_text(
        f"""
import os, pathlib, signal
outside = pathlib.Path({str(outside)!r})
seen = len(list(outside.iterdir()))
(outside / f"start-{{seen}}").touch()
if seen == 2:  # the pid file and run one's mark: this is run two
    os.kill(int((outside / "pid").read_text()), signal.SIGINT)
    signal.pause()
print("score: 1")
"""
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "auditor", "run", "--out", "e"]
    command += ["--metric", "score=/score: (.+)/", "--", sys.executable, "waits.py"]
    done = subprocess.run(
        ["sh", "-c", f'echo $$ > "{outside}/pid"; exec "$@"', "sh", *command],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 3, done.stderr
    assert "auditor run --resume e" in done.stderr
    assert "(interrupted; auditor explain interrupted)" in done.stderr
    assert stored(project / "e")["state"] == "interrupted"
    assert auditor("report", "e").returncode == 3

    resumed = auditor("run", "--resume", "e")
    assert "run 1 of 2" not in resumed.stderr
    assert "run 2 of 2" in resumed.stderr
    audit = stored(project / "e")
    assert (audit["state"], len(audit["runs"])) == ("complete", 2)
    assert audit["metrics"]["score"]["identical"] is True

    again = auditor("run", "--resume", "e")
    assert again.returncode == 2
    assert "(nothing-to-resume;" in again.stderr


def test_evidence_is_never_written_over(auditor: Auditor) -> None:
    auditor("run", "--out", "e", "--", "python", "clean.py", "1")
    again = auditor("run", "--out", "e", "--", "python", "clean.py", "1")
    assert again.returncode == 2
    assert "(out-not-empty;" in again.stderr


def test_a_directory_that_cannot_be_made(auditor: Auditor, project: Path) -> None:
    (project / ".auditor").write_text("in the way")
    done = auditor("run", "--", "python", "clean.py", "1")
    assert done.returncode == 2
    assert "(unwritable-directory;" in done.stderr


def test_a_reader_that_leaves_changes_no_exit_code(auditor: Auditor, project: Path) -> None:
    auditor("run", "--out", "e", "--require", "bit-exact", "--", "python", "unseeded.py")
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "auditor", "report", "e"],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(theirs)
    assert (done.returncode, done.stderr) == (1, "")


def test_progress_on_a_terminal(project: Path) -> None:
    (project / "train.py").write_text("print('score: 1')\n")
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "auditor", "run", "--metric", "s=/score: (.+)/", "--", sys.executable, "train.py"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "80"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 1 << 16):
            shown += piece
    except OSError:
        pass  # how Linux says that nobody holds the other end any more
    report, _ = process.communicate()
    os.close(ours)
    assert process.returncode == 0
    assert b"run 2: done" in shown
    assert b"\x1b[" in shown
    assert b"\x1b[" not in report


def test_the_source_that_ran_is_read_once_and_told_again_without_it(auditor: Auditor, project: Path) -> None:
    source = "import numpy as np\n\n\ndef make():\n    return np.random.default_rng()\n"
    (project / "helpers.py").write_text(source, encoding="utf-8")
    (project / "main.py").write_text("import helpers\nimport clean\n", encoding="utf-8")
    done = auditor("run", "-q", "--out", "e", "--", "python", "main.py", "1")
    assert done.returncode == 0, done.stdout + done.stderr
    audit = stored(project / "e")
    (finding,) = [one for one in audit["findings"] if one["rule"] == "unseeded-numpy-generator"]
    assert finding["location"] == {"file": "helpers.py", "line": 5}
    assert (finding["senses"], finding["severity"]) == (["source"], "note")
    assert finding["message"].endswith("(seen in the source, not in these runs)")
    kept = json.loads((project / "e" / "checks.json").read_text(encoding="utf-8"))
    assert kept["files"] == 3
    assert not os.access(project / "e" / "checks.json", os.W_OK) or os.geteuid() == 0
    (project / "helpers.py").unlink()
    again = auditor("report", "e")
    assert again.returncode == 0
    assert again.stdout == done.stdout
    assert "differs" not in again.stderr


def test_a_source_that_changed_while_it_ran_is_not_read(auditor: Auditor, project: Path) -> None:
    program = "import os, pathlib, sys\npath = pathlib.Path(sys.argv[1])\npath.write_text(path.read_text() + '#')\n"
    (project / "main.py").write_text(program, encoding="utf-8")
    auditor("run", "-q", "--out", "e", "--", "python", "main.py", str(project / "main.py"))
    notes = stored(project / "e")["notes"]
    assert any("main.py was not read for flaws: it has changed since the runs" in note for note in notes), notes
