"""A project with a small program, and clusters of one machine that are started for real."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Beside a checkout on a machine that has no Slurm of its own.
START_SLURM = ROOT.parent / "shared" / "slurm-engine" / "start"

LIMIT = 600  # seconds that no command of these tests needs: one that hangs fails

PROGRAM = """
import json, os, random, signal, sys
from pathlib import Path

def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

seed, told = int(sys.argv[1]), Path(sys.argv[2])
random.seed(seed)
with open(told / "started", "a") as file:
    file.write(f"{seed}\\n")
kill = told / f"kill-{seed}"
if kill.exists():
    kill.unlink()
    # What executes the run is the program's parent, and the cluster's worker is the parent of that.
    os.kill(parent(parent(os.getpid())), signal.SIGKILL)
    signal.pause()
if (told / f"fail-{seed}").exists():
    sys.exit(3)
if (told / f"hang-{seed}").exists():
    signal.pause()
Path(f"seed_{seed}").mkdir()
Path(f"seed_{seed}/results.json").write_text(json.dumps({"rmse": random.gauss(7.5, 0.6)}))
print(sorted(name for name in os.environ if name.startswith(("RAY", "SLURM_JOB", "SLURM_NTASKS", "SUBMITIT"))))
"""


class Lab:
    """A project, and the command line in it as its users have it."""

    def __init__(self, root: Path) -> None:
        self.root, self.project, self.told = root, root / "project", root / "told"
        for path in (self.project, self.told):
            path.mkdir()
        (self.project / "train.py").write_text(PROGRAM)

    def words(self, *options: str) -> list[str]:
        """The auditor's command line for an audit of the program."""
        program = ["--", sys.executable, "train.py", "{seed}", str(self.told)]
        return [sys.executable, "-m", "auditor", "run", *options, *program]

    def call(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run the auditor to its end."""
        return subprocess.run(
            words,
            cwd=self.project,
            env=self.environment(),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=LIMIT,
        )

    def environment(self) -> dict[str, str]:
        """As users have it, but for the thread count that the tests may be started with."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if name != "OMP_NUM_THREADS" and not name.startswith("RAY")
        }
        return {**kept, "PYTHONPATH": str(ROOT)}

    def started(self) -> list[int]:
        """The seeds that the program was started with, ascending."""
        path = self.told / "started"
        return sorted(map(int, path.read_text().split())) if path.exists() else []


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A project of its own."""
    return Lab(tmp_path)


@pytest.fixture(scope="session")
def slurm() -> Iterator[None]:
    """A Slurm of this machine."""
    pytest.importorskip("submitit")
    if not START_SLURM.is_file() or os.geteuid() != 0:
        pytest.skip("there is no Slurm here that could be started")
    # It gives its node as many processors as nproc tells, which heeds this variable.
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    started = subprocess.run(
        ["bash", str(START_SLURM)], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=environment
    )
    if started.returncode:
        pytest.fail(f"Slurm could not be started: {started.stderr.strip()[-500:]}", pytrace=False)
    patch = pytest.MonkeyPatch()
    patch.setenv("SLURM_CONF", started.stdout.strip())
    yield
    patch.undo()


@pytest.fixture(params=["ray", "slurm"])
def executor(request: pytest.FixtureRequest) -> str:
    """Each kind of cluster in turn."""
    if request.param == "ray":
        pytest.importorskip("ray")
    else:
        request.getfixturevalue("slurm")
    return str(request.param)
