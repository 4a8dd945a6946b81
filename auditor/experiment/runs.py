"""One run of an audit: what is ordered, and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from auditor.config import DEFAULT_SEED, SEED_PLACEHOLDER, Request, with_seed
from auditor.experiment.executors import Executor, Launch, Outcome
from auditor.experiment.interpreters import without_trace
from auditor.experiment.progress import Follower, Sight, StepsAgree
from auditor.experiment.variation import varies_order
from auditor.records.progress import Event, Progress, RunEnded, RunStarted
from auditor.records.run import Ending, Isolation, RunRecord
from auditor.records.trace import ProcessTrace
from auditor.store import Store, plan_of


class Task(msgspec.Struct, frozen=True):
    """A run to make: run ``number`` of ``of``, with ``seed``, as this ``replicate`` of it (from 1).

    ``first`` is the number of the seed's first replicate, which this one follows; None for the first itself.
    ``place`` is as in ``Launch``; ``attempt`` and ``lost`` as in ``RunRecord``. ``again`` says that a failure of it is
    not the last word.
    """

    number: int
    of: int
    seed: int | None
    replicate: int
    first: int | None
    place: str = ""
    attempt: int = 1
    lost: int = 0
    again: bool = False


class Stopped(Exception):
    """A run was ended because the audit was; it is left unsealed."""


def seed_of(request: Request) -> int | None:
    """The seed of every replicate; None where the command takes none."""
    takes_one = bool(request.seed_env) or any(SEED_PLACEHOLDER in word for word in request.command)
    return DEFAULT_SEED if request.seed is None and takes_one else request.seed


def execute(
    task: Task,
    request: Request,
    store: Store,
    executor: Executor,
    on_event: Callable[[Event], None],
    steps_agree: StepsAgree,
    stopping: Callable[[], bool] = lambda: False,
) -> RunRecord:
    """Make a run and seal it.

    Raises Stopped where ``stopping`` became true before its end, and what ``Executor.run`` raises.
    """
    number = task.number
    command = with_seed(request.command, task.seed)
    paths = store.begin_run(number)
    began = time.monotonic()
    try:
        reference = store.evidence(task.first, verify=False).processes if task.first is not None else ()
        launch = Launch(
            number=number,
            command=command,
            variables={} if task.seed is None else dict.fromkeys(request.seed_env, str(task.seed)),
            probe={
                "run": number,
                "steps": request.settings.steps,
                "directory_order": varies_order(task.replicate, request.keep),
                "audit_started_ns": store.header.created_ns,
            },
            plan=None if task.first is None else _plan(store, reference, request.is_study),
            paths=paths,
            timeout=request.timeout,
            keep=request.keep,
            place=task.place,
            replicate=task.replicate,
        )
        on_event(RunStarted(number, task.of, task.seed, executor.isolation))
        follower = Follower(paths.trace, reference, steps_agree)
        fail_fast = request.settings.fail_fast and task.replicate > 1
        began = time.monotonic()

        def tick() -> bool:
            sight: Sight = follower.look()
            on_event(
                Progress(
                    number=number,
                    steps=sight.steps,
                    expected=follower.expected if task.replicate > 1 else request.settings.steps,
                    seconds=time.monotonic() - began,
                    identical_until=sight.identical_until,
                    differs_at=sight.differs_at,
                )
            )
            return stopping() or (fail_fast and sight.differs_at is not None)

        outcome = executor.run(launch, tick)
        if outcome.ending.status == "stopped" and stopping():
            raise Stopped
    except (KeyboardInterrupt, Stopped):
        on_event(RunEnded(number, time.monotonic() - began, Ending("interrupted", None, 0, "interrupted")))
        raise
    follower.look()
    record = store.finish_run(_record(task, command, executor, outcome, follower.pids))
    on_event(RunEnded(number, outcome.seconds, outcome.ending, task.again and outcome.ending.status != "ok"))
    return record


def _plan(store: Store, reference: tuple[ProcessTrace, ...], study: bool) -> bytes:
    """The plan file's text; made after run one, and the same for every later run, also after a resumption.

    In a study each seed has a plan of its own, which follows from what its first replicate left.
    """
    plan = None if study else store.read_plan()
    if plan is None:
        plan = plan_of(reference)
        if not study:
            store.write_plan(plan)
    return msgspec.json.encode(plan)


def _record(
    task: Task, command: tuple[str, ...], executor: Executor, outcome: Outcome, traced: frozenset[int]
) -> RunRecord:
    return RunRecord(
        number=task.number,
        seed=task.seed,
        command=command,
        executor=executor.name,
        isolation=outcome.isolation or Isolation("unknown", "the executor did not say"),
        image=outcome.image,
        varied=outcome.varied,
        started=outcome.started,
        seconds=outcome.seconds,
        ending=outcome.ending,
        artefacts=outcome.artefacts,
        unsaved=outcome.unsaved,
        unwatched=without_trace(outcome.interpreters, traced) if outcome.interpreters is not None else (),
        cpu_seconds=outcome.cpu_seconds,
        replicate=task.replicate,
        attempt=task.attempt,
        lost=task.lost,
        imposed=outcome.imposed,
    )
