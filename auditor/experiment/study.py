"""A study: many seeds, each run as often as asked for, several at a time; what is there already is not run again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

import msgspec

from auditor.config import Request
from auditor.errors import AuditorError
from auditor.experiment.executors import Executor, WorkerLost
from auditor.experiment.progress import StepsAgree
from auditor.experiment.runs import Stopped, Task, execute
from auditor.records.config import Settings
from auditor.records.progress import Event
from auditor.records.run import RunRecord
from auditor.store import Store, remove_tree

LOSSES = 5
"""How often the worker of one run may be lost until that is taken for more than bad luck."""


def number_of(settings: Settings, position: int, replicate: int, attempt: int) -> int:
    """The number of a run of the seed at ``position`` (from 0): the first attempts of all come first, then the second.

    It follows from what was asked for alone, so that no run needs to know of another.
    """
    return (attempt - 1) * len(settings.seeds) * settings.replicates + position * settings.replicates + replicate


def executor_of(request: Request, store: Store, runs: int) -> Executor:
    """Where up to ``runs`` runs are executed at a time. Raises AuditorError."""
    if request.executor == "ray":
        from auditor.experiment.executors.ray import RayExecutor

        return RayExecutor(request, store, os.environ, runs)
    if request.executor == "slurm":
        from auditor.experiment.executors.slurm import SlurmExecutor

        return SlurmExecutor(request, store, os.environ, runs)
    from auditor.experiment.executors.lanes import Lanes

    return Lanes(request, store, os.environ, runs)


def perform(
    request: Request, store: Store, on_event: Callable[[Event], None], steps_agree: StepsAgree
) -> tuple[RunRecord, ...]:
    """Run every seed that ``store`` does not hold yet; the caller holds the store.

    The replicates of a seed follow one another, since the later ones digest what the first one did. A run that failed
    is tried again as often as ``settings.retries`` says; after that its seed is left, and the others go on. A run whose
    worker was lost is run again, under its own number. Returns all records there are. On KeyboardInterrupt what runs is
    ended and left unsealed. Raises AuditorError, after which the study can be resumed.
    """
    work = _Work(request, store, on_event, steps_agree)
    positions = [at for at in range(len(request.settings.seeds)) if not work.is_settled(at)]
    if not positions:
        return work.in_order()
    executor = executor_of(request, store, len(positions))
    try:
        # Only now does nothing of an auditor that was killed write there any more.
        for number in store.incomplete():
            remove_tree(store.paths(number).root)
        with ThreadPoolExecutor(min(executor.capacity, len(positions)), thread_name_prefix="seed") as pool:
            futures = [pool.submit(work.perform, position, executor) for position in positions]
            try:
                for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                    future.result()
            finally:
                work.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
    finally:
        executor.close()
    return work.in_order()


class _Work:
    """The runs of a study: those that there are, and those that are to be made."""

    def __init__(
        self, request: Request, store: Store, on_event: Callable[[Event], None], steps_agree: StepsAgree
    ) -> None:
        self.stop = threading.Event()
        self._request = request
        self._settings = request.settings
        self._store = store
        self._on_event = on_event
        self._steps_agree = steps_agree
        self._telling = threading.Lock()
        self._records = {number: store.record(number) for number in store.runs()}

    def in_order(self) -> tuple[RunRecord, ...]:
        """All records, by number."""
        return tuple(self._records[number] for number in sorted(self._records))

    def is_settled(self, position: int) -> bool:
        """Whether nothing is left to do for a seed: every replicate ended well, or one has failed for good."""
        for replicate in range(1, self._settings.replicates + 1):
            last = self._last(position, replicate)
            if last is None or (last.ending.status != "ok" and last.attempt <= self._settings.retries):
                return False
            if last.ending.status != "ok":
                return True
        return True

    def perform(self, position: int, executor: Executor) -> None:
        """Make the runs of a seed that are missing. What goes wrong stops the others too, and is raised."""
        first = None
        try:
            for replicate in range(1, self._settings.replicates + 1):
                record = self._replicate(position, replicate, first, executor)
                if record is None or record.ending.status != "ok":
                    return
                first = record.number if first is None else first
        except Stopped:
            return
        except BaseException:
            self.stop.set()
            raise

    def _replicate(self, position: int, replicate: int, first: int | None, executor: Executor) -> RunRecord | None:
        """The record of a replicate, run as often as it takes and may be; None where all was stopped before."""
        last = self._last(position, replicate)
        while last is None or (last.ending.status != "ok" and last.attempt <= self._settings.retries):
            if self.stop.is_set():
                return None
            attempt = 1 if last is None else last.attempt + 1
            task = Task(
                number=number_of(self._settings, position, replicate, attempt),
                of=len(self._settings.seeds) * self._settings.replicates,
                seed=self._settings.seeds[position],
                replicate=replicate,
                first=first,
                place=f"seed {self._settings.seeds[position]}",
                attempt=attempt,
                again=attempt <= self._settings.retries,
            )
            last = self._records[task.number] = self._execute(task, executor)
        return last

    def _execute(self, task: Task, executor: Executor) -> RunRecord:
        while True:
            try:
                return execute(
                    task, self._request, self._store, executor, self._tell, self._steps_agree, self.stop.is_set
                )
            except WorkerLost as loss:
                if self.stop.is_set():
                    raise Stopped from loss
                if task.lost == LOSSES:
                    raise AuditorError(
                        "worker-lost",
                        f"what executed run {task.number} (seed {task.seed}) was lost {LOSSES + 1} times: {loss}",
                        "see whether memory is short (--memory, --jobs), then go on with --resume",
                    ) from loss
                task = msgspec.structs.replace(task, lost=task.lost + 1)

    def _last(self, position: int, replicate: int) -> RunRecord | None:
        """The record of the last attempt at a replicate, or None."""
        for attempt in range(self._settings.retries + 1, 0, -1):
            record = self._records.get(number_of(self._settings, position, replicate, attempt))
            if record is not None:
                return record
        return None

    def _tell(self, event: Event) -> None:
        with self._telling:
            self._on_event(event)
