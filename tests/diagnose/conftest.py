"""Runs a program twice with operations and lines captured, as two runs of one audit."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.records.evidence import RunEvidence
from auditor.records.run import Ending, Isolation, RunRecord
from auditor.records.trace import Fault
from auditor.store import Store

PROBE = Path(__file__).resolve().parents[2] / "auditor" / "probe"

Captured = Callable[..., tuple[RunEvidence, RunEvidence]]


@pytest.fixture(scope="session")
def captured(tmp_path_factory: pytest.TempPathFactory) -> Captured:
    """``captured(script, *arguments, first=1, last=None)``: the evidence of two runs; ``{run}`` is the run's number."""

    def run(script: Path, *arguments: str, **window: int | None) -> tuple[RunEvidence, RunEvidence]:
        base = tmp_path_factory.mktemp("captured")
        store = Store.create(base / "evidence", script.parent, ["python", script.name])
        found = []
        for number in (1, 2):
            paths = store.begin_run(number)
            settings = {
                "trace": str(paths.trace),
                "tensors": str(paths.tensors),
                "project": str(script.parent),
                "run": number,
                "plan": None,
                "steps": None,
                "directory_order": False,
                "audit_started_ns": None,
                "run_started_ns": None,
                "capture": {"first": 1, "last": None} | window,
            }
            probe = store.write_probe(number, settings)
            scratch = base / str(number)
            scratch.mkdir()
            environment = dict(os.environ, OMP_NUM_THREADS="1", PYTHONHASHSEED=str(number), PYTHONPATH=str(PROBE))
            environment |= {"_AUDITOR_PROBE": str(probe), "SCENARIO_DIRECTORY": str(scratch)}
            command = [sys.executable, str(script), *(a.replace("{run}", str(number)) for a in arguments)]
            with paths.stdout.open("wb") as out, paths.stderr.open("wb") as err:
                done = subprocess.run(command, cwd=scratch, env=environment, stdout=out, stderr=err, timeout=300)
            assert done.returncode == 0, paths.stderr.read_text()
            store.finish_run(
                RunRecord(
                    number=number,
                    seed=None,
                    command=tuple(command),
                    executor="local",
                    isolation=Isolation("copy"),
                    image=None,
                    varied={},
                    started="",
                    seconds=0.0,
                    ending=Ending("ok", 0),
                    artefacts=(),
                )
            )
            found.append(store.evidence(number))
        first, other = found
        for evidence in found:
            assert not [fault for trace in evidence.processes for fault in trace.faults if isinstance(fault, Fault)]
        return first, other

    return run
