"""One run of an audit: what is ordered, and what is kept of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import msgspec

from auditor.config import DEFAULT_SEED, SEED_PLACEHOLDER, Request, with_seed
from auditor.experiment.executors import Executor, Launch, Outcome
from auditor.experiment.interpreters import without_trace
from auditor.experiment.progress import Follower, Sight, StepsAgree
from auditor.experiment.variation import kept_by, purpose_of, told, variables_of, varies_order
from auditor.records.diagnosis import Trial
from auditor.records.progress import Event, Progress, RunEnded, RunStarted
from auditor.records.run import Ending, Isolation, RunRecord
from auditor.records.trace import ProcessTrace
from auditor.store import Plan, Store, plan_of

_LONGEST_WINDOW = 2000


class Task(msgspec.Struct, frozen=True):
    """A run to make: run ``number`` of ``of``, with ``seed``, as this ``replicate`` of it (from 1).

    ``first`` is the number of the seed's first replicate, which this one follows; None for the first itself.
    ``place`` is as in ``Launch``; ``attempt`` and ``lost`` as in ``RunRecord``. ``again`` says that a failure of it is
    not the last word. ``trial`` is what a run of a diagnosis changes; it follows the plan that the audit's runs follow.
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
    trial: Trial | None = None


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
    if task.trial is not None:
        store.write_trial(number, task.trial)
    began = time.monotonic()
    try:
        reference = store.evidence(task.first, verify=False).processes if task.first is not None else ()
        trial = task.trial or Trial()
        keep = (*request.keep, *kept_by(trial))
        seeds = {} if task.seed is None else dict.fromkeys(request.seed_env, str(task.seed))
        launch = Launch(
            # What varies by this number is in a trial as in no run of the audit itself, with which it may be compared.
            number=number if task.trial is None else request.settings.replicates + number,
            command=command,
            variables=seeds | variables_of(trial),
            probe={
                "run": number,
                "steps": request.settings.steps if trial.until is None else trial.until,
                "directory_order": varies_order(task.replicate, keep),
                "audit_started_ns": store.header.created_ns,
                **told(trial),
            },
            plan=_plan_of(task, store, reference, request.is_study),
            paths=paths,
            timeout=request.timeout,
            keep=keep,
            place=task.place,
            replicate=task.replicate,
            fixed_addresses="fix-addresses" in trial.factors,
        )
        purpose = "" if task.trial is None else purpose_of(task.trial)
        on_event(RunStarted(number, task.of, task.seed, executor.isolation, purpose))
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
        ending = Ending("interrupted", None, 0, "interrupted")
        on_event(RunEnded(number, time.monotonic() - began, ending, trial=task.trial is not None))
        raise
    follower.look()
    record = store.finish_run(_record(task, command, executor, outcome, follower.pids))
    again = task.again and outcome.ending.status != "ok"
    on_event(RunEnded(number, outcome.seconds, outcome.ending, again, task.trial is not None))
    return record


def _plan_of(task: Task, store: Store, reference: tuple[ProcessTrace, ...], study: bool) -> bytes | None:
    """The plan file's text for a run; None for the first run of an audit, which makes the plan."""
    if task.trial is not None:
        plan = store.read_plan()
        return None if plan is None else msgspec.json.encode(_with(plan, task.trial))
    return None if task.first is None else _plan(store, reference, study)


def _with(plan: Plan, trial: Trial) -> Plan:
    """The plan with the steps that a trial captures or wants to see digested besides."""
    more: set[int] = set()
    for window in (trial.capture, trial.digest):
        if window is not None:
            last = window.first + _LONGEST_WINDOW if window.last is None else window.last
            more.update(range(window.first, min(last, window.first + _LONGEST_WINDOW) + 1))
    return Plan({label: tuple(sorted({*planned, *more})) for label, planned in plan.labels.items()})


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
