"""Executes each run in a fresh container of the user's own image, through the Docker engine."""

from __future__ import annotations

import errno
import json
import os
import threading
import time
from collections.abc import Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from docker.errors import APIError
from docker.types import DeviceRequest, LogConfig, Mount

from auditor import engine
from auditor.config import Request
from auditor.errors import AuditorError, UsageError
from auditor.experiment import replica, scratch
from auditor.experiment.artefacts import save
from auditor.experiment.executors import Launch, Outcome, Tick
from auditor.experiment.executors.local import PROBE, TICK, hidden
from auditor.experiment.executors.shares import imposed
from auditor.experiment.variation import vary
from auditor.records.run import Ending, ImageFacts, Isolation
from auditor.store import Store, disk_full, remove_tree, writing

INSIDE = "/auditor"
"""Where the probe and what it writes are found inside a container."""

_GPU = (Path("/dev/nvidia0"), Path("/dev/nvidiactl"), Path("/dev/dxg"))
_HOSTNAME = "auditor"
_LABEL = "auditor.audit"
_STOP_GRACE = 5
_CHECK_EVERY = 8  # ticks between two questions to the engine, in case the end of the output went unnoticed


def check(request: Request) -> None:
    """Raise UsageError ``docker-engine-unreachable`` or ``image-not-found`` where runs could not be started."""
    client = engine.connect()
    try:
        engine.find_image(client, request.image, pull=request.network)
    finally:
        client.close()


def _audit(store: Store) -> str:
    return f"{store.id} {store.path}"


def remove_stale(client: Any, store: Store) -> None:
    """Remove the containers that an audit which was killed has left running."""
    for container in client.containers.list(all=True, filters={"label": f"{_LABEL}={_audit(store)}"}):
        engine.remove(container)


class DockerExecutor:
    """Runs the command in containers: a copy of the project at its own path, the caller's user, no network."""

    capacity = 1
    name = "docker"

    def __init__(self, request: Request, store: Store, lane: str = "") -> None:
        """Find engine and image; raises as ``check`` does. ``lane`` is as for ``LocalExecutor``."""
        self._client = engine.connect()
        image = engine.find_image(self._client, request.image, pull=request.network)
        self.image: ImageFacts | None = ImageFacts(
            request.image or "", str(image.id), tuple(sorted(image.attrs.get("RepoDigests") or ()))
        )
        self.isolation = Isolation("container")
        self._environment = parse_environment((image.attrs.get("Config") or {}).get("Env") or ())
        self._network = request.network
        self._audit = _audit(store)
        self._engine: Mapping[str, Any] = self._client.info()
        self._project = Path(store.header.project)
        self._hidden = hidden(self._project, store.path)
        if not lane:
            remove_stale(self._client, store)
        self._scratch = scratch.claim(scratch.candidates(store)[0], store, lane)

    def run(self, launch: Launch, tick: Tick) -> Outcome:
        """Execute one run; see ``Executor.run``."""
        workspace, temporary = self._scratch / "project", self._scratch / "tmp"
        inside_temporary = f"{INSIDE}/tmp-{launch.number}"
        with writing(self._scratch):
            temporary.mkdir()
            before = replica.replicate(self._project, workspace, self._hidden, link=False)
            self._tell_probe(launch)
        share = imposed(launch.imposed, self._environment)
        variables, varied = vary(
            launch.number, {**self._environment, **launch.variables}, launch.keep, inside_temporary, launch.replicate
        )
        search = [f"{INSIDE}/probe", *filter(None, [self._environment.get("PYTHONPATH")])]
        environment = {
            **self._identity(inside_temporary),
            **share,
            **launch.variables,
            **variables,
            "PYTHONPATH": ":".join(search),
            "_AUDITOR_PROBE": f"{INSIDE}/probe.json",
        }
        mounts = [
            Mount(str(self._project), str(workspace), type="bind"),
            Mount(f"{INSIDE}/probe", str(PROBE), type="bind", read_only=True),
            Mount(f"{INSIDE}/probe.json", str(self._scratch / "probe.json"), type="bind", read_only=True),
            Mount(f"{INSIDE}/trace", str(launch.paths.trace), type="bind"),
            Mount(f"{INSIDE}/tensors", str(launch.paths.tensors), type="bind"),
            Mount(inside_temporary, str(temporary), type="bind"),
        ]
        if launch.plan is not None:
            mounts.append(Mount(f"{INSIDE}/plan.json", str(self._scratch / "plan.json"), type="bind", read_only=True))
        for name in before.environments:
            path = str(self._project / name)
            mounts.append(Mount(path, path, type="bind", read_only=True))
        try:
            started = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
            with engine.refusals():
                container = self._client.containers.create(**self._options(launch, environment, mounts))
                try:
                    ending, seconds = self._follow(container, launch, tick)
                finally:
                    engine.remove(container)
            changes = list(replica.changes(workspace, self._project, before))
            artefacts, unsaved = save(changes, launch.paths.artefacts)
        finally:
            for entry in self._scratch.iterdir():
                remove_tree(entry)
        return Outcome(
            ending, started, seconds, None, varied, artefacts, unsaved, None, self.isolation, self.image, share
        )

    def close(self) -> None:
        """Remove the scratch directory and let go of the engine."""
        remove_tree(self._scratch)
        self._client.close()

    def _tell_probe(self, launch: Launch) -> None:
        if launch.plan is not None:
            (self._scratch / "plan.json").write_bytes(launch.plan)
        told = {
            **launch.probe,
            "trace": f"{INSIDE}/trace",
            "tensors": f"{INSIDE}/tensors",
            "project": str(self._project),
            "plan": f"{INSIDE}/plan.json" if launch.plan is not None else None,
            "run_started_ns": time.time_ns(),
        }
        text = json.dumps(told, indent=1)
        (self._scratch / "probe.json").write_text(text)
        with writing(launch.paths.probe):
            launch.paths.probe.write_text(text)

    def _identity(self, home: str) -> dict[str, str]:
        # The caller's user has no entry in the image's passwd: without these, programs that ask for a home fail.
        if self._user().startswith("0:"):
            return {}
        name = {"USER": _HOSTNAME, "LOGNAME": _HOSTNAME}
        return {"HOME": home, **{k: v for k, v in name.items() if k not in self._environment}}

    def _user(self) -> str:
        # In a rootless engine the container's root is the caller.
        return "0:0" if self._secured_by("rootless") else f"{os.getuid()}:{os.getgid()}"

    def _secured_by(self, name: str) -> bool:
        return any(f"name={name}" in option for option in self._engine.get("SecurityOptions") or ())

    def _options(self, launch: Launch, environment: Mapping[str, str], mounts: list[Mount]) -> dict[str, Any]:
        options: dict[str, Any] = {
            "image": self.image.id if self.image is not None else "",
            "command": list(launch.command),
            "entrypoint": [""],  # the command is what the user gave, as it would be typed inside
            "environment": dict(environment),
            "working_dir": str(self._project),
            "user": self._user(),
            "mounts": mounts,
            "hostname": _HOSTNAME,
            "extra_hosts": {_HOSTNAME: "127.0.0.1"},
            "labels": {_LABEL: self._audit, "auditor.run": str(launch.number)},
            "cap_drop": ["ALL"],
            "security_opt": ["no-new-privileges"],
            "init": True,
            # As /dev/shm is on a bare machine: DataLoader workers pass their batches through it.
            "shm_size": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2,
            "log_config": LogConfig(type=LogConfig.types.JSON, config={"max-size": "1m", "max-file": "1"}),
            "userns_mode": "host" if self._secured_by("userns") else None,
        }
        if not self._network:
            options["network_mode"] = "none"
        if "nvidia" in (self._engine.get("Runtimes") or {}) and any(path.exists() for path in _GPU):
            options["device_requests"] = [DeviceRequest(count=-1, capabilities=[["gpu"]])]
        return options

    def _follow(self, container: Any, launch: Launch, tick: Tick) -> tuple[Ending, float]:
        output = _Output(container, launch.paths.stdout, launch.paths.stderr)
        try:
            began = time.monotonic()
            container.start()
        except APIError as error:
            # Nothing will come: removing the container ends the stream that the output waits on.
            engine.remove(container)
            output.join()
            raise _not_started(launch, str(error.explanation or error)) from error
        status = self._wait(container, output, launch.timeout, began, tick)
        if status != "ended":
            container.stop(timeout=_STOP_GRACE)
        output.join()
        seconds = time.monotonic() - began
        state = self._client.api.wait(container.id) and self._client.api.inspect_container(container.id)["State"]
        if output.problem is not None:
            raise output.problem
        if int(state["ExitCode"]) in (126, 127) and status == "ended":
            _blame_init(launch)
        return _ending(status, state, launch.timeout), seconds

    def _wait(self, container: Any, output: _Output, timeout: float | None, began: float, tick: Tick) -> str:
        looks = 0
        while True:
            spent = time.monotonic() - began
            left = TICK if timeout is None else min(TICK, max(0.0, timeout - spent))
            silent = output.ended.wait(left)
            if output.problem is not None:
                return "stopped"
            looks += 1
            # Output that ends is a sign, no more: a program may close it and go on.
            if silent or looks % _CHECK_EVERY == 0:
                container.reload()
                if container.status in ("exited", "dead"):
                    tick()
                    return "ended"
                if silent:
                    time.sleep(min(left, TICK))
            if tick():
                return "stopped"
            if timeout is not None and time.monotonic() - began >= timeout:
                return "timeout"


class _Output:
    """Copies a container's output to two files, byte for byte, in a thread of its own."""

    def __init__(self, container: Any, stdout: Path, stderr: Path) -> None:
        self.ended = threading.Event()
        self.problem: AuditorError | None = None
        self._files = (stdout, stderr)
        # Attached before the start, so that nothing is missed.
        self._stream = container.attach(stdout=True, stderr=True, stream=True, logs=False, demux=True)
        self._thread = threading.Thread(target=self._copy, name="container-output", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until everything has been copied."""
        self._thread.join()

    def _copy(self) -> None:
        try:
            with open(self._files[0], "wb", buffering=0) as out, open(self._files[1], "wb", buffering=0) as err:
                for stdout, stderr in self._stream:
                    if stdout:
                        out.write(stdout)
                    if stderr:
                        err.write(stderr)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                self.problem = disk_full(self._files[0])
            else:
                self.problem = AuditorError(
                    "output-lost", f"the container's output could not be kept: {error}", "go on with --resume"
                )
            # The engine holds a container back, its end included, for as long as a listener does not take its output.
            self.ended.set()
            for _ in self._stream:
                pass
        finally:
            self.ended.set()


def parse_environment(entries: tuple[str, ...] | list[str]) -> dict[str, str]:
    """An image's ``Config.Env`` (``NAME=value`` strings) by name."""
    return {name: value for name, equals, value in (entry.partition("=") for entry in entries) if equals}


def _ending(status: str, state: Mapping[str, Any], timeout: float | None) -> Ending:
    if status == "timeout":
        return Ending("timeout", None, 0, f"ended after {timeout:g} seconds")
    if status == "stopped":
        return Ending("stopped", None, 0, "ended on purpose")
    code = int(state["ExitCode"])
    message = f"exit code {code}" if code else ""
    if state.get("OOMKilled"):
        message = f"out of memory ({message})"
    # An init process reports a signal as shells do.
    code = 128 - code if 128 < code < 160 else code
    return Ending("ok" if code == 0 else "failed", code, 0, message)


def _blame_init(launch: Launch) -> None:
    """Raise where the container's init process says that it could not execute the command."""
    with open(launch.paths.stderr, "rb") as file:
        said = file.read(4096).decode(errors="replace")
    if said.startswith("[FATAL tini"):
        raise _not_started(launch, said)


def _not_started(launch: Launch, said: str) -> AuditorError:
    program = launch.command[0]
    if "executable file not found" in said or "no such file or directory" in said.lower():
        return UsageError(
            "command-not-found",
            f"the image has no command {program!r}",
            "name a command that the image has, or add it to the image",
        )
    if "permission denied" in said.lower():
        return UsageError(
            "command-not-executable", f"{program!r} is not executable in the image", "name its interpreter before it"
        )
    return engine.refused(said)
