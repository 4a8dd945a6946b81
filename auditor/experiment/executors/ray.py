"""Executes runs as tasks of Ray: on this machine, or on a cluster that shares its files."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import threading
from collections.abc import Mapping
from typing import Any

import msgspec

from auditor.config import Request
from auditor.errors import AuditorError, UsageError
from auditor.experiment.executors import Launch, Outcome, Tick, WorkerLost
from auditor.experiment.executors.lanes import checked, encode, execute_elsewhere
from auditor.experiment.executors.local import TICK, end_stale
from auditor.experiment.executors.shares import THREADS, read_machine
from auditor.records.run import ImageFacts, Isolation
from auditor.store import Store

_GIB = 1 << 30
_ANSWER = 10.0  # seconds that a cluster's head has to take a connection
_ENDING = 20.0  # seconds that a run which is to be stopped has to end and clean up


def check(alone: bool) -> Any:
    """The module ``ray``, for this machine ``alone`` or a cluster; raises UsageError ``extra-not-installed``.

    What is started for one audit listens to no other machine. Ray reads whether it may when it is imported.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if alone:
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "extra-not-installed", "--executor ray needs Ray, which is not installed", "install auditor[ray]"
        ) from error
    return ray


class RayExecutor:
    """Runs the command in tasks, each with its CPUs and GPUs, as the user who called."""

    name = "ray"
    isolation: Isolation | None = None
    image: ImageFacts | None = None

    def __init__(self, request: Request, store: Store, environment: Mapping[str, str], runs: int) -> None:
        """Start Ray here, or find the cluster. Raises UsageError, AuditorError ``ray-not-reached``."""
        self._environment = dict(environment)  # before Ray sets variables of its own
        self._ray = check(request.resources.ray_address is None)
        self._evidence = str(store.path)
        # What Ray prints of its workers is no part of a report.
        self._aside = contextlib.redirect_stdout(io.StringIO())
        self._aside.__enter__()
        end_stale(store)
        asked = request.resources
        try:
            self._connect(asked.ray_address, environment)
        except BaseException:
            self.close()
            raise
        there = self._ray.cluster_resources()
        self._cpus, gpus = asked.cpus or 1, asked.gpus or 0
        limits = [runs, asked.jobs or int(there.get("CPU", 1)) // self._cpus]
        options: dict[str, Any] = {"num_cpus": self._cpus, "num_gpus": gpus, "max_retries": 0}
        if gpus:
            limits.append(int(there.get("GPU", 0)) // gpus)
        if asked.memory is not None:
            options["memory"] = int(asked.memory * _GIB)
            limits.append(int(there.get("memory", 0) // options["memory"]))
        if min(limits) < 1:
            self.close()
            has = f"{there.get('CPU', 0):g} CPUs, {there.get('GPU', 0):g} GPUs, {there.get('memory', 0) / _GIB:.3g} GiB"
            raise UsageError(
                "too-few-resources",
                f"no run has room there: Ray has {has}",
                "ask for less with --cpus, --gpus and --memory, or name a larger cluster with --ray-address",
            )
        self.capacity = min(limits)
        self._task = self._ray.remote(execute_elsewhere).options(**options)

    def _connect(self, address: str | None, environment: Mapping[str, str]) -> None:
        # Ray replaces the handler by which a request to end unwinds.
        main = threading.current_thread() is threading.main_thread()
        before = signal.getsignal(signal.SIGTERM)
        # What it says of itself is no report of an audit.
        quiet = {"log_to_driver": False, "logging_level": "error", "include_dashboard": False}
        if address is None:
            cores = read_machine(environment).cores
            here = {"address": "local", "num_cpus": cores}
        else:
            here = {"address": address}
            del quiet["include_dashboard"]
        try:
            if address is not None:
                _knock(address)
            self._ray.init(**here, **quiet)
        except (OSError, RuntimeError, ValueError, self._ray.exceptions.RayError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise AuditorError(
                "ray-not-reached",
                f"Ray cannot be {'started here' if address is None else f'reached at {address}'}: {said}",
                "see whether ray status answers, and that --ray-address names its head (host:6379, or auto)",
            ) from error
        finally:
            if main and before is not None:
                signal.signal(signal.SIGTERM, before)

    def run(self, launch: Launch, tick: Tick) -> Outcome:
        """Execute one run; see ``Executor.run``."""
        ray = self._ray
        share = msgspec.structs.replace(launch, imposed=dict.fromkeys(THREADS, str(self._cpus)))
        task = self._task.remote(self._evidence, encode(share), self._environment)
        try:
            while not ray.wait([task], timeout=TICK)[0]:
                if tick():
                    self._stop(task)
                    return _stopped()
            tick()
            answer = checked(ray.get(task))
        except ray.exceptions.RayTaskError as error:
            raise RuntimeError(f"a task of Ray failed: {error}") from error
        except ray.exceptions.RayError as error:
            raise WorkerLost(str(error).splitlines()[0]) from error
        if answer.outcome is None:
            raise RuntimeError("a task answers with its outcome")
        return answer.outcome

    def _stop(self, task: Any) -> None:
        """End a run: by request, so that its machine is left clean, else by force."""
        try:
            self._ray.cancel(task, force=False)
            if not self._ray.wait([task], timeout=_ENDING)[0]:
                self._ray.cancel(task, force=True)
        except self._ray.exceptions.RayError:
            return  # it is gone already, which is what was wanted

    def close(self) -> None:
        """Leave the cluster; end Ray where it was started here."""
        self._ray.shutdown()
        self._aside.__exit__(None, None, None)


def _knock(address: str) -> None:
    """Raise OSError where nobody listens at ``host:port``: Ray would go on trying for minutes."""
    host, colon, port = address.rpartition("//")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), _ANSWER).close()


def _stopped() -> Outcome:
    from auditor.records.run import Ending

    return Outcome(Ending("stopped", None, 0, "ended on purpose"), "", 0.0, None, {}, (), ())
