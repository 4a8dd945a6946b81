"""Why runs differ, through the command line: found, proven, reported in every format, and concluded again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Auditor = Callable[..., subprocess.CompletedProcess[str]]

UNSEEDED = """import json
import random

import numpy

names = ["a", "b"]
value = 1e6 * sum(random.random() for _ in names)
with open("results.json", "w") as file:
    json.dump({"value": value, "names": len(names), "shape": numpy.ones(3).shape[0]}, file)
"""
SEEDED = UNSEEDED.replace("names = [", "random.seed(1)\nnames = [")


ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(name="audit")
def _audit(project: Path, auditor: Auditor) -> Callable[..., Any]:
    def audit(source: str, *options: str, code: int = 1) -> dict[str, Any]:
        (project / "train.py").write_text(source)
        done = auditor("run", "--quiet", "--out", "evidence", *options, "--", "python", "train.py")
        assert done.returncode == code, done.stdout + done.stderr
        found: dict[str, Any] = json.loads((project / "evidence" / "audit.json").read_text())
        return found

    return audit


@pytest.fixture(name="diagnosed", scope="module")
def _diagnosed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One audit with everything, for the tests that only read: ``screen``, the reports, and ``evidence``."""
    root = tmp_path_factory.mktemp("diagnosed")
    (root / "train.py").write_text(UNSEEDED)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": path}
    files = ("--out", "evidence", "--fix-plan", "plan.diff", "--sarif", "audit.sarif")
    command = [sys.executable, "-m", "auditor", "run", "--quiet", "--require", "bit-exact", *files]
    done = subprocess.run(
        [*command, "--", "python", "train.py"], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    (root / "screen").write_text(done.stdout)
    return root


@pytest.fixture(name="evidence")
def _evidence(diagnosed: Path, project: Path) -> Path:
    """The evidence of that audit, in a project that lacks the program."""
    shutil.copytree(diagnosed / "evidence", project / "evidence")
    return project / "evidence"


def test_the_cause_is_proven_on_its_line(diagnosed: Path) -> None:
    found = json.loads((diagnosed / "evidence" / "audit.json").read_text())
    (cause,) = found["causes"]
    assert (cause["rule"], cause["confidence"]) == ("unseeded-python-random", "proven")
    assert cause["location"] == {"file": "train.py", "line": 7}
    assert cause["code"].startswith("value = 1e6 * sum(")
    assert cause["intervention"] == "seed-python"
    assert "random.seed(1)" in cause["diff"]
    assert found["diagnosis"]["state"] == "proven"
    assert found["diagnosis"]["runs"] == 1
    assert found["divergence"]["location"] == cause["location"]
    screen = (diagnosed / "screen").read_text()
    assert "train.py:7" in screen
    assert "proven" in screen
    assert len(screen.splitlines()) < 50


def test_a_program_that_agrees_has_no_cause_and_no_trial(audit: Any, project: Path) -> None:
    found = audit(SEEDED, "--require", "bit-exact", code=0)
    assert found["causes"] == []
    assert found["diagnosis"] is None
    assert not (project / "evidence" / "diagnosis").exists()


def test_a_listing_is_turned_round_in_a_program_of_the_standard_library_alone(audit: Any, project: Path) -> None:
    (project / "data").mkdir()
    for number in range(5):
        (project / "data" / f"{number}.txt").write_text(f"{number}.5")
    found = audit(
        """import json, os
total = 1.0
for entry in os.scandir("data"):
    total = total * 1.3 + float(open(entry.path).read())
json.dump({"total": total}, open("results.json", "w"))
""",
        "--require",
        "bit-exact",
    )
    (cause,) = found["causes"]
    assert (cause["rule"], cause["confidence"]) == ("unsorted-listing", "proven")
    assert cause["location"]["line"] == 3


def test_a_trial_has_the_hash_seed_and_the_temporary_directory_of_no_run(audit: Any, project: Path) -> None:
    found = audit(
        "import json, numpy\nnumpy.random.rand()\njson.dump({'value': hash('a') / 7}, open('results.json', 'w'))\n",
        code=0,
    )
    assert [(cause["rule"], cause["confidence"]) for cause in found["causes"]] == [("hash-order", "proven")]
    runs = [json.loads(file.read_text())["varied"] for file in (project / "evidence").rglob("run.json")]
    assert len({one["TMPDIR"] for one in runs}) == len(runs)


@pytest.mark.parametrize("options", [("--no-diagnose",), ("--require", "seed-stable"), ("--fail-fast",)])
def test_no_diagnosis_where_none_is_wanted(audit: Any, project: Path, options: tuple[str, ...]) -> None:
    found = audit(UNSEEDED, *options, code=1 if "--require" in options else 0)
    assert found["diagnosis"] is None
    assert not (project / "evidence" / "diagnosis").exists()


def test_a_diagnosis_can_be_asked_for(audit: Any) -> None:
    assert audit(UNSEEDED, "--require", "seed-stable", "--diagnose")["causes"][0]["confidence"] == "proven"


def test_without_a_budget_suspects_are_named_and_not_proven(audit: Any, project: Path) -> None:
    found = audit(UNSEEDED, "--require", "bit-exact", "--diagnose-budget", "0")
    assert found["causes"][0]["rule"] == "unseeded-python-random"
    assert {cause["confidence"] for cause in found["causes"]} <= {"likely", "possible"}
    assert found["diagnosis"]["runs"] == 0
    assert not (project / "evidence" / "diagnosis" / "runs").exists()


def test_the_evidence_alone_leads_to_the_same_causes(evidence: Path, auditor: Auditor) -> None:
    found = json.loads((evidence / "audit.json").read_text())
    done = auditor("report", "evidence", "--format", "json")
    assert done.returncode == 1, done.stderr
    assert not done.stderr, done.stderr
    again = json.loads(done.stdout)
    for field in ("causes", "diagnosis", "divergence"):
        assert again[field] == found[field]


def test_the_plan_applies_and_mends_the_program(diagnosed: Path, project: Path, auditor: Auditor) -> None:
    (project / "train.py").write_text(UNSEEDED)
    subprocess.run(["git", "apply", str(diagnosed / "plan.diff")], cwd=project, check=True)
    assert (project / "train.py").read_text() != UNSEEDED
    done = auditor("run", "--quiet", "--require", "bit-exact", "--", "python", "train.py")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_code_host_is_told_the_cause_and_its_line(diagnosed: Path) -> None:
    sarif = json.loads((diagnosed / "audit.sarif").read_text())
    (run,) = sarif["runs"]
    result = run["results"][0]
    assert result["ruleId"] == run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == "unseeded-python-random"
    assert result["level"] == "error"
    place = result["locations"][0]["physicalLocation"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("train.py", 7)


@pytest.mark.parametrize("form", ["sarif", "fix-plan", "markdown"])
@pytest.mark.usefixtures("evidence")
def test_reports_are_made_again_from_the_evidence(auditor: Auditor, form: str) -> None:
    done = auditor("report", "evidence", "--format", form)
    assert done.returncode == 1, done.stderr
    assert "unseeded-python-random" in done.stdout


def test_a_trial_that_was_changed_proves_nothing(evidence: Path, auditor: Auditor) -> None:
    trial = evidence / "diagnosis" / "runs" / "1" / "trial.json"
    trial.chmod(0o644)
    trial.write_text(trial.read_text().replace('"seed-python"', '"seed-numpy"'))
    done = auditor("report", "evidence", "--format", "json")
    assert "audit.json does not say what the evidence says" in done.stderr
    assert all(cause["confidence"] != "proven" for cause in json.loads(done.stdout)["causes"])


@pytest.mark.parametrize(
    "options", [("--diagnose-budget", "-1"), ("--diagnose-budget", "nan"), ("--seeds", "3", "--diagnose")]
)
def test_what_cannot_be_used_is_refused(auditor: Auditor, project: Path, options: tuple[str, ...]) -> None:
    (project / "train.py").write_text(SEEDED)
    done = auditor("run", *options, "--", "python", "train.py", "{seed}")
    assert done.returncode == 2
    assert options[0] in done.stderr or "--diagnose" in done.stderr
    assert "Traceback" not in done.stderr
