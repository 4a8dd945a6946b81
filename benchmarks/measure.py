"""Run a command and say what its whole process tree cost: processor time, wall time and peak memory."""

from __future__ import annotations

import compileall
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROBE = ROOT / "auditor" / "probe"


@dataclass(frozen=True)
class Cost:
    """Processor time of the process tree (user + system) and wall time in seconds; peak memory in KiB.

    The peak is that of the largest process, the one figure that the kernel keeps for ended processes.
    """

    cpu: float
    wall: float
    peak: int


@dataclass(frozen=True)
class Trace:
    """What the probe left: bytes of its lines and of its tensor files, and the optimizer steps that it saw."""

    line_bytes: int
    tensor_bytes: int
    steps: int
    digested: int
    probe_seconds: float
    faults: tuple[str, ...]

    @property
    def bytes_per_step(self) -> float | None:
        """Bytes of trace lines for one optimizer step, or None where there was none."""
        return self.line_bytes / self.steps if self.steps else None


def environment() -> dict[str, str]:
    """The environment that bare and probed runs share: one thread, and nothing from the network.

    The auditor's byte code is made first, as installing it does: else every probed run would compile the probe.
    """
    _compile()
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "_AUDITOR_PROBE")}
    return {**inherited, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONHASHSEED": "0"}


@cache
def _compile() -> None:
    compileall.compile_dir(ROOT / "auditor", quiet=1)


def cost(command: Sequence[str], directory: Path, environ: Mapping[str, str]) -> Cost:
    """Run ``command`` in ``directory`` and measure it.

    Raises RuntimeError with the end of its output if it fails. What is counted is the command and every descendant
    that was waited for (``wait4``), which includes DataLoader workers and the processes of a launcher.
    """
    output = directory / "benchmark-output.txt"
    with output.open("wb") as stream:
        started = time.perf_counter()
        process = subprocess.Popen(command, cwd=directory, env=dict(environ), stdout=stream, stderr=stream)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = output.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{tail}")
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss)


def probed(environ: Mapping[str, str], project: Path, evidence: Path, plan: Path | None = None) -> dict[str, str]:
    """``environ`` with the probe let in as an audit's local executor does; the trace goes to ``evidence``."""
    trace, tensors = evidence / "trace", evidence / "tensors"
    trace.mkdir(parents=True)
    tensors.mkdir()
    now = time.time_ns()
    settings = {
        "trace": str(trace),
        "tensors": str(tensors),
        "project": str(project),
        "run": 1 if plan is None else 2,
        "plan": None if plan is None else str(plan),
        "steps": None,
        "directory_order": False,
        "audit_started_ns": now,
        "run_started_ns": now,
    }
    path = evidence / "probe.json"
    path.write_text(json.dumps(settings))
    return {**environ, "PYTHONPATH": str(PROBE), "_AUDITOR_PROBE": str(path)}


def read_trace(evidence: Path) -> Trace:
    """Count what a probed run left.

    Raises RuntimeError where no process said hello: then nothing was measured.
    """
    lines = [json.loads(line) for path in sorted((evidence / "trace").glob("*.jsonl")) for line in path.open()]
    if not any(line["t"] == "hello" for line in lines):
        raise RuntimeError(f"the probe did not enter the program (nothing in {evidence / 'trace'})")
    ends = [line for line in lines if line["t"] == "end"]
    return Trace(
        line_bytes=sum(path.stat().st_size for path in sorted((evidence / "trace").glob("*.jsonl"))),
        tensor_bytes=sum(path.stat().st_size for path in sorted((evidence / "tensors").iterdir())),
        steps=sum(end["steps"] for end in ends),
        digested=sum(end["digested"] for end in ends),
        probe_seconds=sum(end["probe_ns"] for end in ends) / 1e9,
        faults=tuple(f"{line['where']}: {line['error']}" for line in lines if line["t"] == "fault"),
    )


def write_plan(evidence: Path, plan: Path) -> None:
    """Which steps the traced run digested, by process label: what an audit gives to its later runs."""
    labels: dict[str, set[int]] = {}
    for path in (evidence / "trace").glob("*.jsonl"):
        lines = [json.loads(line) for line in path.open()]
        digested = {line["n"] for line in lines if line["t"] == "step"}
        labels.setdefault(lines[0]["label"], set()).update(digested)
    plan.write_text(json.dumps({"labels": {label: sorted(steps) for label, steps in labels.items()}}))


def machine() -> str:
    """The interpreter, kernel and processor count that the figures belong to, in one line."""
    return f"Python {sys.version.split()[0]}, {os.uname().sysname} {os.uname().release}, {os.cpu_count()} processors"
