"""The experiment: which runs, with which seeds, varied and isolated how."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from auditor.config import Request, with_seed
from auditor.errors import AuditorError, EvidenceError, UsageError
from auditor.experiment import study, sweep
from auditor.experiment.executors import Executor
from auditor.experiment.executors.local import LocalExecutor, check_command
from auditor.experiment.processes import interruptible
from auditor.experiment.progress import StepsAgree
from auditor.experiment.runs import Task, execute, seed_of
from auditor.experiment.trials import Recorded, Trials
from auditor.records.progress import Event
from auditor.records.run import RunRecord
from auditor.store import Store, remove_tree, require_text

__all__ = ["Recorded", "StepsAgree", "Trials", "perform", "preflight", "seeds_found", "trials"]


def preflight(request: Request) -> None:
    """Refuse what cannot be started, before anything is written.

    Raises UsageError: ``no-command``, ``command-not-found``, ``command-not-executable``, ``no-such-project``, and those
    of the chosen executor.
    """
    if not request.command or not request.command[0]:
        raise UsageError("no-command", "there is no command to audit", "write it after two dashes: auditor run -- CMD")
    if request.sweep_from is not None:
        sweep.find(request.sweep_from, request.command[0])
        return
    project = Path(request.project)
    if not project.is_dir():
        raise UsageError("no-such-project", f"{request.project!r} is not a directory", "call auditor in the project")
    if os.path.realpath(project) == "/":
        raise UsageError(
            "project-too-wide", "the root of the file system cannot be a project", "call auditor in the project"
        )
    command = with_seed(request.command, request.settings.seeds[0] if request.is_study else seed_of(request))
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

    A study's seeds are run as ``study.perform`` says, or taken from what is there as ``sweep.take`` does. Returns the
    records of all runs there are, in order: fewer than asked for where one failed. ``on_event`` hears of starts,
    progress (about four times a second) and ends. On KeyboardInterrupt the program is ended, the run is left unsealed
    (a resumption repeats it), and the exception goes on. Raises AuditorError.
    """
    preflight(request)
    if request.is_study:
        with store.lock(), interruptible():
            if request.sweep_from is not None:
                return sweep.take(request, store)
            return study.perform(request, store, on_event, steps_agree)
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
            if records and executor.isolation and records[0].isolation.kind != executor.isolation.kind:
                raise AuditorError(
                    "cannot-resume",
                    f"run 1 was isolated by {records[0].isolation.kind}, which here is {executor.isolation.kind} now",
                    "resume where the audit began, or begin a new one",
                )
            while len(records) < request.settings.replicates and _may_go_on(records):
                number = len(records) + 1
                task = Task(number, request.settings.replicates, seed_of(request), number, 1 if records else None)
                records.append(execute(task, request, store, executor, on_event, steps_agree))
        finally:
            executor.close()
        return tuple(records)


def trials(request: Request, store: Store, on_event: Callable[[Event], None], steps_agree: StepsAgree) -> Trials:
    """Where a diagnosis has its trials made; the caller closes it."""
    return Trials(request, store, lambda: _executor(request, store.diagnosis), on_event, steps_agree)


def _may_go_on(records: list[RunRecord]) -> bool:
    return all(record.ending.status == "ok" for record in records)


def seeds_found(directory: str, pattern: str) -> tuple[int, ...]:
    """The seeds that there are results of already; raises UsageError as ``sweep.find`` does."""
    return tuple(sweep.find(directory, pattern))


def _executor(request: Request, store: Store) -> Executor:
    if request.executor in ("ray", "slurm"):
        return study.executor_of(request, store, 1)
    if request.executor == "docker":
        from auditor.experiment.executors.docker import DockerExecutor

        return DockerExecutor(request, store)
    return LocalExecutor(request, store, os.environ)
