"""Studies on a Ray and on a Slurm that run for real: the same evidence as here, and nothing lost with a worker."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import msgspec
import pytest

from auditor import pipeline
from auditor.store import Store

pytestmark = pytest.mark.clusters

# Without accounting a job would be given all of the node's memory.
OPTIONS = {"ray": ["--executor", "ray"], "slurm": ["--executor", "slurm", "--memory", "1"]}
# What says where a run was executed, when and for how long; all else must not depend on it.
VOLATILE = {"executor": "", "started": "", "seconds": 0.0, "cpu_seconds": None}


def evidence(directory: Path):
    """What a study left, but for where and when it was run."""
    audit = pipeline.recompute(directory)
    # The temporary directories of a run are its machine's own.
    runs = [msgspec.structs.replace(run, **VOLATILE, varied={**run.varied, "TMPDIR": ""}, lost=0) for run in audit.runs]
    return audit, runs


def test_the_evidence_and_the_verdict_are_those_of_a_study_here(lab, executor):
    (lab.told / "kill-2").touch()
    options = ["--seeds", "4", "--replicates", "2", "--reference", "rmse=7.5+-0.6,n=10"]
    away = lab.call(lab.words(*options, *OPTIONS[executor], "--out", str(lab.root / "away")))
    assert away.returncode == 0, away.stdout + away.stderr
    # A worker was killed in the midst of it: its run was repeated, and nothing else.
    assert lab.started() == [1, 1, 2, 2, 2, 3, 3, 4, 4]
    here = lab.call(lab.words(*options, "--jobs", "2", "--cpus", "1", "--out", str(lab.root / "here")))
    assert here.returncode == 0, here.stdout + here.stderr
    (ours, our_runs), (theirs, their_runs) = evidence(lab.root / "here"), evidence(lab.root / "away")
    assert {run.executor for run in theirs.runs} == {executor}
    assert sum(run.lost for run in theirs.runs) == 1
    assert our_runs == their_runs
    assert ours.levels == theirs.levels
    assert ours.study == theirs.study
    assert (ours.compared, ours.metrics, ours.gaps) == (theirs.compared, theirs.metrics, theirs.gaps)
    # The scheduler's variables stay out of the run: programs behave otherwise where they see them.
    assert Store.open(lab.root / "away").paths(1).stdout.read_text() == "[]\n"
    assert not (lab.root / "away" / "slurm").exists()
    assert "raylet" not in away.stdout


def test_a_seed_that_fails_is_reported(lab, executor):
    (lab.told / "fail-3").touch()
    done = lab.call(lab.words("--seeds", "3", *OPTIONS[executor], "--out", str(lab.root / "study")))
    assert done.returncode == 4, done.stdout + done.stderr
    assert lab.started() == [1, 2, 3, 3]
    audit = pipeline.recompute(lab.root / "study")
    assert [one.seed for one in audit.study.lost] == [3]


def test_killed_in_the_midst_of_it_a_study_goes_on(lab, executor):
    (lab.told / "hang-2").touch()
    out = lab.root / "study"
    words = lab.words("--seeds", "3", "--jobs", "2", *OPTIONS[executor], "--out", str(out))
    process = subprocess.Popen(
        words, cwd=lab.project, env=lab.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    # Runs 2 and 3 must go at a time; where they cannot, this ends it.
    late = threading.Timer(300, process.kill)
    late.start()
    assert any(line.startswith("run 3: done") for line in process.stderr)
    late.cancel()
    process.kill()
    process.communicate()
    assert Store.open(out).runs() == (1, 3)
    (lab.told / "hang-2").unlink()
    resume = [*words[:4], "--resume", str(out)]
    done = lab.call(resume)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [seed for seed in lab.started() if seed != 2] == [1, 3]
    audit = pipeline.recompute(out)
    assert audit.state == "complete"
    assert sorted(next(iter(audit.study.metrics.values())).values) == [1, 2, 3]


def test_an_audit_of_one_seed(lab, executor):
    done = lab.call(
        lab.words("--seed", "7", *OPTIONS[executor], "--require", "seed-stable", "--out", str(lab.root / "a"))
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert lab.started() == [7, 7]


def test_what_no_machine_has(lab, executor):
    done = lab.call(lab.words("--seeds", "2", "--executor", executor, "--cpus", "999", "--out", str(lab.root / "a")))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "to do:" in done.stderr
    assert lab.started() == []


def test_a_cluster_that_is_not_there(lab):
    pytest.importorskip("ray")
    options = ["--seeds", "2", "--executor", "ray", "--ray-address", "127.0.0.1:1", "--out", str(lab.root / "a")]
    done = lab.call(lab.words(*options))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "ray-not-reached" in done.stderr
