"""Executes runs on this machine, each in an overlay of the project or, where that is refused, in a copy of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import msgspec

from auditor.config import Request
from auditor.errors import AuditorError, UsageError
from auditor.experiment import overlay, replica, scratch
from auditor.experiment.artefacts import Change, save
from auditor.experiment.executors import Launch, Outcome, Tick
from auditor.experiment.executors.shares import imposed
from auditor.experiment.interpreters import Interpreter, Interpreters
from auditor.experiment.processes import LEFTOVER_GRACE, Watched, children, end_marked, subreaper
from auditor.experiment.variation import vary
from auditor.records.run import Ending, ImageFacts, Isolation
from auditor.store import HOME, Store, disk_full, remove_tree, require_text, writing

PROBE = Path(__file__).parents[2] / "probe"
TICK = 0.25
"""Seconds between two looks at a run."""

_LAUNCHER = Path(__file__).with_name("launcher.py")
_EVIDENCE = "_AUDITOR_EVIDENCE"
_FULL = 1 << 18


class _Fault(msgspec.Struct, frozen=True):
    """What the launcher reports."""

    stage: str
    errno: int | None
    message: str


class _View(msgspec.Struct, frozen=True):
    """What one run sees, and where: the project's root and the paths that the probe is told."""

    root: Path
    trace: Path
    tensors: Path
    probe: Path
    plan: Path | None
    temporary: Path
    layers: tuple[overlay.Layer, ...]
    binds: tuple[tuple[Path, Path], ...]
    before: replica.Snapshot | None


def check_command(command: Sequence[str], project: Path, environment: Mapping[str, str]) -> None:
    """Raise UsageError ``command-not-found`` or ``command-not-executable`` where ``command`` cannot be started."""
    for word in command:
        require_text(word)
    program = command[0]
    where = project / program if "/" in program else None
    if where is None:
        path = environment.get("PATH", os.defpath)
        if shutil.which(program, path=path) is not None:
            return
        candidates = [Path(entry or ".") / program for entry in path.split(os.pathsep)]
        where = next((c for c in candidates if c.is_file()), None)
        if where is None:
            here = (project / program).is_file()
            raise UsageError(
                "command-not-found",
                f"there is no command {program!r}" + (", only a file of that name in the project" if here else ""),
                f"write {_how_to_start(program)}" if here else "check its spelling, and that PATH leads to it",
            )
    if not where.exists():
        raise UsageError(
            "command-not-found",
            f"there is no file {program!r} to execute",
            "check the path: it is taken from the directory where auditor was called",
        )
    if where.is_dir() or not os.access(where, os.X_OK):
        raise UsageError(
            "command-not-executable",
            f"{program!r} is {'a directory' if where.is_dir() else 'not executable'}",
            "name a program" if where.is_dir() else f"write {_how_to_start(program)}, or make it executable: chmod +x",
        )


def _how_to_start(program: str) -> str:
    if program.endswith(".py"):
        return f"python {program}"
    if program.endswith(".sh"):
        return f"bash {program}"
    return f"its interpreter before it (PROGRAM {program})" if "/" in program else f"./{program}"


class LocalExecutor:
    """Runs the command here, as the user who called."""

    capacity = 1
    name = "local"
    image: ImageFacts | None = None

    def __init__(self, request: Request, store: Store, environment: Mapping[str, str], lane: str = "") -> None:
        """Decide the isolation: by trying it once. Raises AuditorError ``overlay-refused`` where it was asked for.

        ``lane`` tells apart the executors that are at work on one audit at the same time; whoever starts them has made
        sure that nothing of an earlier attempt is left running.
        """
        self._environment = {**environment, **marker(store)}
        if not lane:
            end_stale(store)
        self._store = store
        self._project = Path(store.header.project)
        self._hidden = hidden(self._project, store.path)
        self._home, self.isolation = self._choose(request, store, lane)
        self._scratch = self._home

    def _choose(self, request: Request, store: Store, lane: str) -> tuple[Path, Isolation]:
        refusals: list[str] = []
        bases = scratch.candidates(store)
        if request.isolation != "copy":
            for base in bases:
                path = scratch.claim(base, store, lane)
                try:
                    self._try_overlay(path)
                except overlay.OverlayRefused as refusal:
                    remove_tree(path)
                    if str(refusal) not in refusals:
                        refusals.append(str(refusal))
                else:
                    return path, Isolation("overlay")
            if request.isolation == "overlay":
                raise AuditorError(
                    "overlay-refused",
                    f"the project cannot be overlaid here: {'; '.join(refusals)}",
                    "leave --isolation out: runs then work in copies of the project",
                )
        reasons = ["asked for"] if request.isolation == "copy" else [f"no overlay: {'; '.join(refusals)}"]
        path = scratch.claim(bases[0], store, lane)
        for word in replica.escaping(request.command, self._project):
            reasons.append(f"{word!r} in the command names the project itself, which is not isolated")
        return path, Isolation("copy", "; ".join(reasons))

    def _try_overlay(self, base: Path) -> None:
        mounts = _mounts(self._project)
        with writing(base):
            trial = base / "trial"
            trial.mkdir()
            try:
                layers = overlay.prepare(self._project, trial, self._hidden, mounts)
                fault = self._try_launch(base, layers)
            finally:
                remove_tree(trial)
        if fault is not None:
            raise overlay.OverlayRefused(fault)

    def _try_launch(self, base: Path, layers: Sequence[overlay.Layer]) -> str | None:
        spec = base / "trial.json"
        _write_spec(spec, None, self._project, layers, ())
        with open(os.devnull, "r+b") as null:
            process, fault = _start(spec, null.fileno(), null.fileno(), self._environment)
        code = process.wait()
        spec.unlink()
        if fault is not None:
            return fault.message
        return None if code == 0 else f"the launcher ended with {code}"

    def run(self, launch: Launch, tick: Tick) -> Outcome:
        """Execute one run; see ``Executor.run``."""
        if launch.place:
            # Replicates must see the same paths, whichever lane they run in.
            self._scratch = scratch.claim(self._home.parent, self._store, launch.place)
        try:
            return self._run(launch, tick)
        finally:
            if launch.place:
                remove_tree(self._scratch)
                self._scratch = self._home

    def _run(self, launch: Launch, tick: Tick) -> Outcome:
        with writing(self._scratch):
            view = self._prepare(launch)
        share = imposed(launch.imposed, self._environment)
        variables, varied = vary(
            launch.number, {**self._environment, **launch.variables}, launch.keep, str(view.temporary), launch.replicate
        )
        environment = {**self._environment, **share, **launch.variables, **variables}
        if view.before is not None:
            environment |= replica.environment_for(environment, self._project, view.root)
        search = [str(PROBE), environment["PYTHONPATH"]] if environment.get("PYTHONPATH") else [str(PROBE)]
        environment["PYTHONPATH"] = os.pathsep.join(search)
        environment["_AUDITOR_PROBE"] = str(view.probe)
        try:
            started, (ending, seconds, cpu, seen) = _now(), self._execute(launch, view, environment, tick)
            if ending.status == "failed":
                self._blame_full_disk(launch)
            artefacts, unsaved = save(self._changes(view), launch.paths.artefacts)
        finally:
            self._clear()
        return Outcome(ending, started, seconds, cpu, varied, artefacts, unsaved, seen, self.isolation, None, share)

    def close(self) -> None:
        """Remove the scratch directory."""
        remove_tree(self._home)

    def _prepare(self, launch: Launch) -> _View:
        base = self._scratch
        temporary = base / f"tmp-{launch.number}"
        temporary.mkdir()
        layers: tuple[overlay.Layer, ...] = ()
        binds: tuple[tuple[Path, Path], ...] = ()
        before = None
        if self.isolation.kind == "overlay":
            # The evidence directory may lie in the project, where runs must not see it: they reach theirs from here.
            root, seen = self._project, base / "seen"
            seen.mkdir()
            trace, tensors, probe, plan = seen / "trace", seen / "tensors", seen / "probe.json", seen / "plan.json"
            trace.mkdir()
            tensors.mkdir()
            binds = ((launch.paths.trace, trace), (launch.paths.tensors, tensors))
            layers = overlay.prepare(self._project, base, self._hidden, _mounts(self._project))
        else:
            root = base / (self._project.name or "project")
            trace, tensors, probe, plan = (
                launch.paths.trace,
                launch.paths.tensors,
                base / "probe.json",
                base / "plan.json",
            )
            before = replica.replicate(self._project, root, self._hidden)
        if launch.plan is not None:
            plan.write_bytes(launch.plan)
        told = {
            **launch.probe,
            "trace": str(trace),
            "tensors": str(tensors),
            "project": str(root),
            "plan": str(plan) if launch.plan is not None else None,
            "run_started_ns": time.time_ns(),
        }
        text = json.dumps(told, indent=1)
        probe.write_text(text)
        with writing(launch.paths.probe):
            launch.paths.probe.write_text(text)
        return _View(
            root, trace, tensors, probe, plan if launch.plan is not None else None, temporary, layers, binds, before
        )

    def _execute(
        self, launch: Launch, view: _View, environment: Mapping[str, str], tick: Tick
    ) -> tuple[Ending, float, float | None, tuple[Interpreter, ...]]:
        spec = self._scratch / "launch.json"
        _write_spec(spec, launch.command, view.root, view.layers, view.binds, launch.fixed_addresses)
        with (
            subreaper(),
            writing(launch.paths.root),
            open(launch.paths.stdout, "wb") as out,
            open(launch.paths.stderr, "wb") as err,
        ):
            bystanders = children(os.getpid())
            began = time.monotonic()
            process, fault = _start(spec, out.fileno(), err.fileno(), environment)
            watched = Watched(process, f"_AUDITOR_PROBE={view.probe}\0", bystanders)
            try:
                if fault is not None:
                    watched.wait(5.0)
                    raise _not_started(launch.command, fault)
                seen = Interpreters(watched.running)

                def look() -> bool:
                    seen.look()
                    return tick()

                status = _watch(watched, launch.timeout, began, look)
                seconds = time.monotonic() - began
                if watched.exit is None:
                    watched.end()
                    return _cut_short(status, launch.timeout, watched), seconds, _cpu(watched), seen.found
                count, alive = watched.end_leftovers(LEFTOVER_GRACE)
                return _ended(watched.exit.code, count, alive), seconds, _cpu(watched), seen.found
            except BaseException:
                watched.end()
                raise
            finally:
                watched.close()

    def _changes(self, view: _View) -> list[Change]:
        if view.before is None:
            return list(overlay.changes(view.layers, self._project))
        return list(replica.changes(view.root, self._project, view.before))

    def _blame_full_disk(self, launch: Launch) -> None:
        """A program that failed on a disk without space did not fail by itself."""
        for path in (self._scratch, launch.paths.root):
            found = os.statvfs(path)
            if found.f_bavail * found.f_frsize < _FULL or (found.f_files and not found.f_favail):
                raise disk_full(path)

    def _clear(self) -> None:
        for entry in self._scratch.iterdir():
            remove_tree(entry)


def marker(store: Store) -> dict[str, str]:
    """The variable that marks every process of an audit."""
    return {_EVIDENCE: str(store.path)}


def end_stale(store: Store) -> None:
    """End what an audit that was killed has left running: it would write into our evidence."""
    end_marked(f"{_EVIDENCE}={store.path}\0")


def hidden(project: Path, evidence: Path) -> tuple[Path, ...]:
    """What no run may see of the project: earlier evidence."""
    home = project / HOME
    if evidence != home and home not in evidence.parents and project in evidence.parents:
        return home, evidence
    return (home,)


def _mounts(project: Path) -> tuple[str, ...]:
    try:
        text = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    except OSError:
        return ()
    return overlay.nested_mounts(text, str(project))


def _write_spec(
    path: Path,
    command: Sequence[str] | None,
    cwd: Path,
    layers: Sequence[overlay.Layer],
    binds: Sequence[tuple[Path, Path]],
    fixed_addresses: bool = False,
) -> None:
    spec: dict[str, Any] = {
        "command": command,
        "cwd": str(cwd),
        "parent": os.getpid(),
        "layers": [[layer.target, layer.upper, layer.work] for layer in layers],
        "binds": [[str(source), str(target)] for source, target in binds],
        "fixed_addresses": fixed_addresses,
    }
    path.write_text(json.dumps(spec), encoding="ascii")


def _start(
    spec: Path, out: int, err: int, environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], _Fault | None]:
    """Start the launcher; returns when the command has taken over, with what went wrong or None."""
    reading, writing_end = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(_LAUNCHER), str(spec), str(writing_end)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env=dict(environment),
            start_new_session=True,
            pass_fds=(writing_end,),
        )
    except BaseException:
        os.close(reading)
        raise
    finally:
        os.close(writing_end)
    with os.fdopen(reading, "rb") as pipe:
        try:
            said = pipe.read()
        except BaseException:
            process.kill()
            process.wait()
            raise
    return process, msgspec.json.decode(said, type=_Fault) if said else None


def _watch(watched: Watched, timeout: float | None, began: float, tick: Tick) -> str:
    """Wait until the command has ended or must be; returns why: ``ended``, ``timeout`` or ``stopped``."""
    while True:
        left = TICK if timeout is None else min(TICK, began + timeout - time.monotonic())
        if watched.wait(max(0.0, left)) is not None:
            tick()
            return "ended"
        if tick():
            return "stopped"
        if timeout is not None and time.monotonic() - began >= timeout:
            return "timeout"


def _ended(code: int, leftovers: int, alive: int) -> Ending:
    if alive:
        return Ending("failed", code, leftovers, f"{alive} of its processes could not be ended")
    message = ""
    if code < 0:
        message = f"ended by signal {-code}"
    elif code:
        message = f"exit code {code}"
    return Ending("ok" if code == 0 else "failed", code, leftovers, message)


def _cut_short(status: str, timeout: float | None, watched: Watched) -> Ending:
    message = f"ended after {timeout:g} seconds" if status == "timeout" and timeout is not None else "ended on purpose"
    return Ending(status, None, 0, message)


def _cpu(watched: Watched) -> float | None:
    return watched.exit.cpu_seconds if watched.exit is not None else None


def _not_started(command: Sequence[str], fault: _Fault) -> AuditorError:
    if fault.stage == "exec":
        return UsageError(
            "command-not-executable",
            f"{command[0]!r} cannot be executed: {fault.message}",
            "check its first line (#!) and that it is a program; a script can be named to its interpreter",
        )
    return AuditorError(
        "isolation-failed",
        f"the run could not be isolated ({fault.stage}): {fault.message}",
        "try again with --isolation copy",
    )


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
