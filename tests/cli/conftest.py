"""Tiny projects, and the command line run in them as its users do."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

CLEAN = """
import json, random, sys
random.seed(int(sys.argv[1]))
total = sum(random.random() for _ in range(100))
print("score:", total)
with open("results.json", "w") as file:
    json.dump({"test": {"score": total}, "steps": [1, 2, 3]}, file)
"""

UNSEEDED = CLEAN.replace("random.seed(int(sys.argv[1]))", "")

FAILING = """
import sys
print("reading the data")
print("Traceback of the program: no such file: data.csv", file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a clean, an unseeded and a failing program."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "clean.py").write_text(CLEAN)
    (root / "unseeded.py").write_text(UNSEEDED)
    (root / "failing.py").write_text(FAILING)
    return root


@pytest.fixture
def auditor(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command line in the project; ``variables`` are added to its environment."""

    def call(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **variables}
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
        return subprocess.run(
            [sys.executable, "-m", "auditor", *words],
            cwd=project,
            env=environment,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    return call
