"""Runs small programs under the probe and decodes what they left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from auditor.records.trace import Line, TraceLine

PROBE = Path(__file__).resolve().parents[2] / "auditor" / "probe"

_decoder = msgspec.json.Decoder(TraceLine)


class Watched(msgspec.Struct, frozen=True):
    """A finished program: its output, and its traces' lines by trace, oldest first."""

    stdout: str
    stderr: str
    returncode: int
    traces: tuple[tuple[Line, ...], ...]

    def of(self, kind: type, trace: int = 0) -> list[Line]:
        """The lines of one kind in one trace."""
        return [line for line in self.traces[trace] if isinstance(line, kind)]


@pytest.fixture
def probe_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes ``_auditor_probe`` importable in the test's own process."""
    monkeypatch.syspath_prepend(str(PROBE))


@pytest.fixture
def watch(tmp_path: Path) -> Callable[..., Watched]:
    """Writes a program and runs it under the probe."""

    def run(
        source: str,
        *,
        probed: bool = True,
        run: int = 1,
        env: dict[str, str] | None = None,
        python: str = sys.executable,
        **config: object,
    ) -> Watched:
        project = tmp_path / "project"
        project.mkdir(exist_ok=True)
        (project / "program.py").write_text(source)
        evidence = tmp_path / f"evidence-{run}"
        (evidence / "trace").mkdir(parents=True, exist_ok=True)
        (evidence / "tensors").mkdir(exist_ok=True)
        settings = {
            "trace": str(evidence / "trace"),
            "tensors": str(evidence / "tensors"),
            "project": str(project),
            "run": run,
            "plan": None,
            "steps": None,
            "directory_order": False,
            "audit_started_ns": None,
            "run_started_ns": None,
        } | config
        (evidence / "probe.json").write_text(json.dumps(settings))
        environment = dict(os.environ, OMP_NUM_THREADS="1") | (env or {})
        if probed:
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PROBE), environment.get("PYTHONPATH")]))
            environment["_AUDITOR_PROBE"] = str(evidence / "probe.json")
        done = subprocess.run(
            [python, "program.py"], cwd=project, env=environment, capture_output=True, text=True, timeout=120
        )
        traces = tuple(
            tuple(_decoder.decode(line) for line in path.read_bytes().splitlines())
            for path in sorted((evidence / "trace").glob("*.jsonl"), key=lambda p: int(p.stem.split("-")[1]))
        )
        return Watched(done.stdout, done.stderr, done.returncode, traces)

    return run
