"""Executes runs as jobs of Slurm, through submitit, on machines that share their files."""

from __future__ import annotations

import getpass
import math
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from types import FrameType
from typing import Any

import msgspec

from auditor.config import Request
from auditor.errors import AuditorError, UsageError
from auditor.experiment.executors import Launch, Outcome, Tick, WorkerLost
from auditor.experiment.executors.lanes import checked, encode, execute_elsewhere
from auditor.experiment.executors.local import TICK
from auditor.experiment.executors.shares import THREADS
from auditor.experiment.processes import poll_until
from auditor.records.run import Ending, ImageFacts, Isolation
from auditor.store import Store, remove_tree, writing

_AT_A_TIME = 100  # jobs in the queue where nobody said how many
_LONGEST = 24 * 60  # minutes of a job without a time limit
_SPARE = 10  # minutes that a job has beside the time limit of its run
_ASK = 2.0  # seconds between two questions to the controller
_LATE = 15.0  # seconds that a result may come after its job has left the queue, over a network file system
_ENDING = 60.0
_FOLDER = "slurm"
# Reasons for which a job waits for ever. Source: squeue(1), JOB REASON CODES.
_HOPELESS = frozenset({"BadConstraints", "PartitionConfig", "PartitionNodeLimit", "PartitionTimeLimit"})


class SlurmExecutor:
    """Runs the command in jobs, each with its CPUs, GPUs and memory, as the user who called."""

    name = "slurm"
    isolation: Isolation | None = None
    image: ImageFacts | None = None

    def __init__(self, request: Request, store: Store, environment: Mapping[str, str], runs: int) -> None:
        """Find Slurm. Raises UsageError ``extra-not-installed``, ``slurm-not-reached``, ``bad-usage``."""
        try:
            import submitit
        except ImportError as error:
            raise UsageError(
                "extra-not-installed",
                "--executor slurm needs submitit, which is not installed",
                "install auditor[slurm]",
            ) from error
        self._environment = dict(environment)
        self._evidence = str(store.path)
        self._queue = _Queue(f"auditor-{store.id}")
        self._queue.end_all()
        asked = request.resources
        self._cpus = asked.cpus or 1
        self.capacity = min(runs, asked.jobs or _AT_A_TIME)
        # Jobs are described in files, which hold the environment: nobody else may read them.
        self._folder = store.path / _FOLDER
        with writing(self._folder):
            remove_tree(self._folder)
            self._folder.mkdir(mode=0o700)
        minutes = _LONGEST if request.timeout is None else math.ceil(request.timeout / 60) + _SPARE
        parameters: dict[str, Any] = {
            "name": self._queue.name,
            "cpus_per_task": self._cpus,
            "timeout_min": minutes,
            **({"gpus_per_node": asked.gpus} if asked.gpus else {}),
            **({"mem_gb": asked.memory} if asked.memory is not None else {}),
        }
        self._executor = submitit.AutoExecutor(self._folder, cluster="slurm")
        own = {key: int(value) if value.isdigit() else value for key, value in asked.slurm.items()}
        shared = {
            "timeout_min",
            "mem_gb",
            "cpus_per_task",
            "gpus_per_node",
            "nodes",
            "tasks_per_node",
            "stderr_to_stdout",
        }
        parameters |= {key if key in shared else f"slurm_{key}": value for key, value in own.items()}
        try:
            self._executor.update_parameters(**parameters)
        except (NameError, TypeError, ValueError) as error:
            raise UsageError(
                "bad-usage", f"--slurm: {error}", "give parameters of submitit's Slurm executor"
            ) from error
        self._submitting = threading.Lock()

    def run(self, launch: Launch, tick: Tick) -> Outcome:
        """Execute one run; see ``Executor.run``."""
        share = msgspec.structs.replace(launch, imposed=dict.fromkeys(THREADS, str(self._cpus)))
        with self._submitting:
            try:
                job = self._executor.submit(_in_job, self._evidence, encode(share), self._environment)
            except (subprocess.CalledProcessError, RuntimeError, OSError) as error:
                said = getattr(error, "stderr", None) or error
                raise AuditorError(
                    "slurm-not-reached", f"the job was not taken: {said}", "see whether sinfo and sbatch work here"
                ) from error
        gone = None
        while not job.paths.result_pickle.exists():
            if tick():
                self._queue.end(job.job_id)
                return Outcome(Ending("stopped", None, 0, "ended on purpose"), "", 0.0, None, {}, (), ())
            now = time.monotonic()
            if self._queue.holds(job.job_id):
                gone = None
            elif gone is None:
                gone = now
            elif now - gone > _LATE:
                raise WorkerLost(f"the job {job.job_id} ended without a result")
            time.sleep(TICK)
        tick()
        answer = checked(job.result())
        if answer.outcome is None:
            raise RuntimeError("a job answers with its outcome")
        return answer.outcome

    def close(self) -> None:
        """End what is left in the queue, and remove the descriptions of the jobs."""
        self._queue.end_all()
        remove_tree(self._folder)


def _in_job(evidence: str, order: bytes, environment: dict[str, str]) -> bytes:
    """What a job does: one run. A job that is cancelled ends its program first, and leaves its machine clean."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    return execute_elsewhere(evidence, order, environment)


class _Queue:
    """The jobs of one audit in Slurm's queue, by their common name; asked now and then, for all threads at once.

    The accounting database, which submitit asks, is often not there; the queue always is.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        if shutil.which("squeue") is None or shutil.which("sbatch") is None:
            raise _not_reached("there is no command sbatch here")
        self._lock = threading.Lock()
        self._asked = -math.inf
        self._jobs: dict[str, str] = {}

    def holds(self, job: str) -> bool:
        """Whether a job waits or runs, as far as was heard within the last seconds.

        Raises UsageError ``too-few-resources`` where it waits for what no machine has.
        """
        with self._lock:
            if time.monotonic() - self._asked >= _ASK:
                self._jobs, self._asked = self._read(), time.monotonic()
            if (reason := self._jobs.get(job, "")) in _HOPELESS:
                raise UsageError(
                    "too-few-resources",
                    f"Slurm has no machine for a run (job {job} waits for ever: {reason})",
                    "ask for less with --cpus, --gpus and --memory, or name another --slurm partition=NAME",
                )
            return job in self._jobs

    def end(self, job: str) -> None:
        """Cancel a job, and wait until it has left the queue."""
        _call("scancel", job)
        poll_until(lambda: job not in self._read(), _ENDING)

    def end_all(self) -> None:
        """Cancel every job of the audit, also those of an auditor that was killed, and wait until they have gone."""
        if self._read():
            _call("scancel", "--user", getpass.getuser(), "--name", self.name)
            poll_until(lambda: not self._read(), _ENDING)

    def _read(self) -> dict[str, str]:
        said = _call("squeue", "--noheader", "--user", getpass.getuser(), "--name", self.name, "--format", "%i %r")
        return {job: reason for job, _, reason in (line.strip().partition(" ") for line in said.splitlines()) if job}


def _call(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise _not_reached(f"{command[0]} failed: {done.stderr.strip()}")
    return done.stdout


def _not_reached(why: str) -> AuditorError:
    return AuditorError("slurm-not-reached", f"Slurm cannot be used: {why}", "see whether sinfo and sbatch work here")
