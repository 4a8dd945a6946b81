"""Worker processes that execute one run after the other, so that several go at a time; here they are this machine's."""

from __future__ import annotations

import json
import os
import platform
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any

import msgspec

from auditor import errors
from auditor.config import Request
from auditor.errors import AuditorError
from auditor.experiment.executors import Executor, Launch, Outcome, Tick, WorkerLost
from auditor.experiment.executors.local import TICK, LocalExecutor, end_stale, marker
from auditor.experiment.executors.shares import DEVICES, divide, is_crowded, read_machine
from auditor.experiment.processes import interruptible
from auditor.records.run import ImageFacts, Isolation
from auditor.store import Store

# The caller's own search path: the working directory, where a program's modules may lie, is no part of it.
_BOOT = (
    "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
    "from auditor.experiment.executors import lanes; lanes.main()"
)
_STOP, _CLOSE = b"stop\n", b"close\n"
_CLOSING = 15.0  # seconds that a lane has to end its program and clean up
_LOUDEST = 2000  # characters of what a lane that broke had to say


class Setup(msgspec.Struct, frozen=True):
    """The first line that a lane is told: the evidence directory, and a name that no other lane at work has."""

    evidence: str
    lane: str


class Answer(msgspec.Struct, frozen=True):
    """A line that a lane says: how it isolates (the first one), or how a run went, or what is in the way.

    ``problem`` is an error for the user: its class, slug, what and remedy; ``fault`` the traceback of one of ours;
    ``lost`` says how a lane ended that did not answer.
    """

    isolation: Isolation | None = None
    image: ImageFacts | None = None
    outcome: Outcome | None = None
    problem: tuple[str, str, str, str] | None = None
    fault: str = ""
    lost: str = ""


def encode(value: Setup | Answer | Launch) -> bytes:
    """One line of JSON."""
    return msgspec.json.encode(value, enc_hook=str) + b"\n"


def checked(line: bytes) -> Answer:
    """What a lane says, or the error that it speaks of, raised."""
    answer = msgspec.json.decode(line, type=Answer)
    if answer.fault:
        raise RuntimeError(f"a lane failed:\n{answer.fault}")
    if answer.lost:
        raise WorkerLost(answer.lost)
    if answer.problem is not None:
        kind, slug, what, remedy = answer.problem
        error: AuditorError = getattr(errors, kind)(slug, what, remedy)
        raise error
    return answer


def decode_launch(line: bytes) -> Launch:
    """The run to execute."""
    return msgspec.json.decode(line, type=Launch, dec_hook=lambda kind, value: kind(value))


class Lane:
    """One worker process, as those who give it work see it; at most one thread at a time uses it."""

    def __init__(self, store: Store, name: str, environment: Mapping[str, str]) -> None:
        """Start it; that it is ready is found out with the first run, or by ``greeting``."""
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (as long as the lane)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, json.dumps([os.path.abspath(entry) for entry in sys.path if entry])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env={**environment, **marker(store)},
            cwd=store.path,
            start_new_session=True,
            bufsize=0,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._orders = self._process.stdin
        self._lines = _Lines(self._process.stdout.fileno())
        self._greeting: Answer | None = None
        self._tell(encode(Setup(str(store.path), name)))

    def greeting(self) -> Answer:
        """How it isolates; waits until it is ready. Raises AuditorError, WorkerLost."""
        while self._greeting is None:
            self._greeting = self._hear(None)
        return self._greeting

    def run(self, launch: Launch, tick: Tick) -> Outcome:
        """Execute one run; see ``Executor.run``."""
        self.greeting()
        self._tell(encode(launch))
        stopping = False
        while (answer := self._hear(TICK)) is None:
            if tick() and not stopping:
                stopping = True
                self._tell(_STOP)
        tick()
        if answer.outcome is None:
            raise RuntimeError("a lane answers a launch with its outcome")
        return answer.outcome

    def close(self) -> None:
        """End the program that it executes, if any, and the lane."""
        try:
            self._tell(_CLOSE)
            self._process.wait(_CLOSING)
        except (WorkerLost, subprocess.TimeoutExpired):
            self.kill()
        self._orders.close()
        self._process.stdout.close()  # type: ignore[union-attr]  # it is a pipe
        self._log.close()

    def kill(self) -> None:
        """End it by force, and with it what it executes."""
        self._process.kill()
        self._process.wait()

    def _tell(self, line: bytes) -> None:
        try:
            while line:
                line = line[self._orders.write(line) or 0 :]
        except (BrokenPipeError, ValueError):
            raise self._lost() from None

    def _hear(self, seconds: float | None) -> Answer | None:
        line = self._lines.get(seconds)
        if line is None:
            return None
        if not line:
            raise self._lost()
        return checked(line)

    def _lost(self) -> WorkerLost:
        code = self._process.wait()
        self._log.seek(0)
        said = self._log.read()[-_LOUDEST:].decode(errors="replace").strip()
        how = f"it was killed by signal {-code}" if code < 0 else f"it ended with exit code {code}"
        return WorkerLost(f"{how}: {said}" if said else how)


class Lanes:
    """Executes runs on this machine, as many at a time as there is room for, each in a lane."""

    def __init__(self, request: Request, store: Store, environment: Mapping[str, str], runs: int) -> None:
        """Divide the machine among ``runs`` runs and start the lanes.

        Raises AuditorError where runs cannot be isolated as asked, or there is too little of what they are to have.
        """
        self.name: str = request.executor
        self.image: ImageFacts | None = None
        if request.executor == "docker":
            from auditor import engine
            from auditor.experiment.executors import docker

            client = engine.connect()
            docker.remove_stale(client, store)
            client.close()
        end_stale(store)
        machine = read_machine(environment)
        shares = divide(machine, request.resources, runs, {} if request.executor == "docker" else environment).variables
        self.capacity = len(shares)
        self._memory = machine.memory
        self._store, self._environment = store, environment
        self._shares = shares
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._busy = 0
        self._lanes = [self._start(index) for index in range(self.capacity)]
        for index in range(self.capacity):
            self._free.put(index)
        try:
            greeting = self._lanes[0].greeting()
        except BaseException:
            self.close()
            raise
        self.isolation, self.image = greeting.isolation, greeting.image

    def run(self, launch: Launch, tick: Tick) -> Outcome:
        """Execute one run; see ``Executor.run``."""
        self._wait_for_room(tick)
        index = self._free.get()
        try:
            return self._lanes[index].run(msgspec.structs.replace(launch, imposed=self._shares[index]), tick)
        except WorkerLost:
            self._lanes[index].close()
            self._lanes[index] = self._start(index)
            raise
        finally:
            self._free.put(index)
            with self._lock:
                self._busy -= 1

    def close(self) -> None:
        """End every lane."""
        for lane in self._lanes:
            lane.close()

    def _start(self, index: int) -> Lane:
        return Lane(self._store, f"lane {index + 1}", self._environment)

    def _wait_for_room(self, tick: Tick) -> None:
        """Hold a run back while memory is short and others go: what is killed for want of it would be lost."""
        while True:
            with self._lock:
                if not (self._busy and is_crowded(self._memory)):
                    self._busy += 1
                    return
            if tick():
                with self._lock:
                    self._busy += 1
                return
            time.sleep(TICK)


class _Lines:
    """Lines that come over a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._rest = b""

    def get(self, seconds: float | None) -> bytes | None:
        """The next line with its end; None where none came within ``seconds``, empty where none will come."""
        while b"\n" not in self._rest:
            if not select.select([self._descriptor], [], [], seconds)[0]:
                return None
            chunk = os.read(self._descriptor, 1 << 16)
            if not chunk:
                return b""
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"


def execute_elsewhere(evidence: str, order: bytes, environment: dict[str, str]) -> bytes:
    """Execute one run on the machine where this is called, in a lane of its own; an encoded ``Answer``.

    ``order`` is an encoded ``Launch``; ``environment`` is that of whoever called the auditor, so that what a scheduler
    sets stays out of the run, but for the GPUs that it gave.
    """
    try:
        store = Store.open(evidence)
    except AuditorError:
        what = f"the evidence directory {evidence} is not there on the machine {platform.node()}"
        remedy = "put project and evidence (--out) on a file system that every machine of the cluster has"
        return encode(Answer(problem=("UsageError", "evidence-not-shared", what, remedy)))
    launch = decode_launch(order)
    if DEVICES in os.environ:
        launch = msgspec.structs.replace(launch, imposed={**launch.imposed, DEVICES: os.environ[DEVICES]})
    lane = Lane(store, f"run {launch.number}", environment)
    try:
        return encode(Answer(outcome=lane.run(launch, lambda: False)))
    except WorkerLost as error:
        return encode(Answer(lost=str(error)))
    except AuditorError as error:
        return encode(Answer(problem=(type(error).__name__, error.slug, error.what, error.remedy)))
    finally:
        lane.close()


def main() -> None:
    """Be a lane: take orders from stdin until told to close, and answer on stdout."""
    # What is printed by mistake must not be taken for an answer.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    lines = _Lines(0)
    threading.Thread(target=_die_with_caller, name="caller", daemon=True).start()
    try:
        with interruptible():
            setup = msgspec.json.decode(lines.get(None) or b"", type=Setup)
            store = Store.open(setup.evidence)
            executor = _executor(store.read_request(Request), store, setup.lane)
            try:
                answers.write(encode(Answer(isolation=executor.isolation, image=executor.image)))
                _serve(executor, lines, answers)
            finally:
                executor.close()
    except KeyboardInterrupt:
        return
    except AuditorError as error:
        answers.write(encode(Answer(problem=(type(error).__name__, error.slug, error.what, error.remedy))))
    except Exception:
        answers.write(encode(Answer(fault=traceback.format_exc())))


def _serve(executor: Executor, lines: _Lines, answers: Any) -> None:
    said: list[bytes] = []

    def tick() -> bool:
        line = lines.get(0)
        if line is not None:
            said.append(line)
        return bool(said)

    while True:
        line = lines.get(None) or _CLOSE
        if line == _STOP:
            continue  # for a run that had just ended by itself
        if line == _CLOSE:
            return
        said.clear()
        outcome = executor.run(decode_launch(line), tick)
        answers.write(encode(Answer(outcome=outcome)))
        if _CLOSE in said:
            return


def _executor(request: Request, store: Store, lane: str) -> Executor:
    if request.image is not None:
        from auditor.experiment.executors.docker import DockerExecutor

        return DockerExecutor(request, store, lane)
    return LocalExecutor(request, store, os.environ, lane)


def _die_with_caller() -> None:
    """End at once, and with it the program (see ``launcher``), where the caller has gone without a word."""
    ends = select.poll()
    ends.register(0, 0)  # nothing but the other end's closing
    ends.poll()
    os.kill(os.getpid(), signal.SIGKILL)
