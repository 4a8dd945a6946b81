"""The experiment: which runs, with which seed, varied and isolated how, one after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from auditor.config import DEFAULT_SEED, SEED_PLACEHOLDER, Request, with_seed
from auditor.errors import AuditorError, EvidenceError, UsageError
from auditor.experiment.executors import Executor, Launch, Outcome
from auditor.experiment.executors.local import LocalExecutor, check_command
from auditor.experiment.processes import interruptible
from auditor.experiment.progress import Follower, Sight, StepsAgree
from auditor.experiment.variation import varies_order
from auditor.records.progress import Event, Progress, RunEnded, RunStarted
from auditor.records.run import Ending, RunRecord
from auditor.records.trace import ProcessTrace
from auditor.store import Store, plan_of, remove_tree, require_text

__all__ = ["StepsAgree", "perform", "preflight"]


def preflight(request: Request) -> None:
    """Refuse what cannot be started, before anything is written.

    Raises UsageError: ``no-command``, ``command-not-found``, ``command-not-executable``, ``no-such-project``, and those
    of the chosen executor.
    """
    if not request.command or not request.command[0]:
        raise UsageError("no-command", "there is no command to audit", "write it after two dashes: auditor run -- CMD")
    project = Path(request.project)
    if not project.is_dir():
        raise UsageError("no-such-project", f"{request.project!r} is not a directory", "call auditor in the project")
    if os.path.realpath(project) == "/":
        raise UsageError(
            "project-too-wide", "the root of the file system cannot be a project", "call auditor in the project"
        )
    command = with_seed(request.command, seed_of(request))
    for word in command:
        require_text(word)
    if request.executor == "docker":
        from auditor.experiment.executors import docker

        docker.check(request)
    else:
        check_command(command, project, os.environ)


def perform(
    request: Request,
    store: Store,
    on_event: Callable[[Event], None],
    steps_agree: StepsAgree,
) -> tuple[RunRecord, ...]:
    """Execute the replicates that ``store`` does not hold yet, each after the one before has ended cleanly.

    Returns the records of all runs there are, in order: fewer than asked for where one failed. ``on_event`` hears of
    starts, progress (about four times a second) and ends. On KeyboardInterrupt the program is ended, the run is left
    unsealed (a resumption repeats it), and the exception goes on. Raises AuditorError.
    """
    preflight(request)
    with store.lock(), interruptible():
        records = [store.record(n) for n in store.runs()]
        if [r.number for r in records] != list(range(1, len(records) + 1)):
            numbers = ", ".join(str(r.number) for r in records)
            raise EvidenceError("damaged-evidence", f"{store.path} holds only the runs {numbers}", "begin a new audit")
        if len(records) >= request.settings.replicates or not _may_go_on(records):
            return tuple(records)
        executor = _executor(request, store)
        for number in store.incomplete():
            remove_tree(store.paths(number).root)
        try:
            if records and records[0].isolation.kind != executor.isolation.kind:
                raise AuditorError(
                    "cannot-resume",
                    f"run 1 was isolated by {records[0].isolation.kind}, which here is {executor.isolation.kind} now",
                    "resume where the audit began, or begin a new one",
                )
            while len(records) < request.settings.replicates and _may_go_on(records):
                records.append(_perform_one(len(records) + 1, request, store, executor, on_event, steps_agree))
        finally:
            executor.close()
        return tuple(records)


def seed_of(request: Request) -> int | None:
    """The seed of every replicate; None where the command takes none."""
    takes_one = bool(request.seed_env) or any(SEED_PLACEHOLDER in word for word in request.command)
    return DEFAULT_SEED if request.seed is None and takes_one else request.seed


def _may_go_on(records: list[RunRecord]) -> bool:
    return all(record.ending.status == "ok" for record in records)


def _executor(request: Request, store: Store) -> Executor:
    if request.executor == "docker":
        from auditor.experiment.executors.docker import DockerExecutor

        return DockerExecutor(request, store)
    return LocalExecutor(request, store, os.environ)


def _perform_one(
    number: int,
    request: Request,
    store: Store,
    executor: Executor,
    on_event: Callable[[Event], None],
    steps_agree: StepsAgree,
) -> RunRecord:
    seed = seed_of(request)
    command = with_seed(request.command, seed)
    paths = store.begin_run(number)
    began = time.monotonic()
    try:
        reference = store.evidence(1, verify=False).processes if number > 1 else ()
        launch = Launch(
            number=number,
            command=command,
            variables={} if seed is None else dict.fromkeys(request.seed_env, str(seed)),
            probe={
                "run": number,
                "steps": request.settings.steps,
                "directory_order": varies_order(number, request.keep),
                "audit_started_ns": store.header.created_ns,
            },
            plan=_plan(store, reference) if number > 1 else None,
            paths=paths,
            timeout=request.timeout,
            keep=request.keep,
        )
        on_event(RunStarted(number, request.settings.replicates, seed, executor.isolation))
        follower = Follower(paths.trace, reference, steps_agree)
        fail_fast = request.settings.fail_fast and number > 1
        began = time.monotonic()

        def tick() -> bool:
            sight: Sight = follower.look()
            on_event(
                Progress(
                    number=number,
                    steps=sight.steps,
                    expected=follower.expected if number > 1 else request.settings.steps,
                    seconds=time.monotonic() - began,
                    identical_until=sight.identical_until,
                    differs_at=sight.differs_at,
                )
            )
            return fail_fast and sight.differs_at is not None

        outcome = executor.run(launch, tick)
    except KeyboardInterrupt:
        on_event(RunEnded(number, time.monotonic() - began, Ending("interrupted", None, 0, "interrupted")))
        raise
    follower.look()
    record = store.finish_run(_record(number, seed, command, executor, outcome, follower.pids))
    on_event(RunEnded(number, outcome.seconds, outcome.ending))
    return record


def _plan(store: Store, reference: tuple[ProcessTrace, ...]) -> bytes:
    """The plan file's text; made after run one, and the same for every later run, also after a resumption."""
    plan = store.read_plan()
    if plan is None:
        plan = plan_of(reference)
        store.write_plan(plan)
    return msgspec.json.encode(plan)


def _record(
    number: int,
    seed: int | None,
    command: tuple[str, ...],
    executor: Executor,
    outcome: Outcome,
    traced: frozenset[int],
) -> RunRecord:
    return RunRecord(
        number=number,
        seed=seed,
        command=command,
        executor=executor.name,
        isolation=executor.isolation,
        image=executor.image,
        varied=outcome.varied,
        started=outcome.started,
        seconds=outcome.seconds,
        ending=outcome.ending,
        artefacts=outcome.artefacts,
        unsaved=outcome.unsaved,
        unwatched=outcome.interpreters.without_trace(traced) if outcome.interpreters is not None else (),
        cpu_seconds=outcome.cpu_seconds,
    )
