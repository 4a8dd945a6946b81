"""Trials: runs that a diagnosis makes, with one factor or more changed on purpose and on the record."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from auditor.config import Request
from auditor.experiment.executors import Executor
from auditor.experiment.processes import interruptible
from auditor.experiment.progress import StepsAgree
from auditor.experiment.runs import Task, execute, seed_of
from auditor.records.diagnosis import Trial
from auditor.records.evidence import RunEvidence
from auditor.records.progress import Event
from auditor.store import Store, remove_tree

_SLOWER = 5.0
"""How much longer than an ordinary run a trial may take: capturing is slow, and an intervention may make it wait."""
_LEAST_LIMIT = 60.0


class Trials:
    """Makes the trials of one audit, in order; what the evidence holds already is not made again.

    ``executor`` is called when the first trial is to be made.
    """

    def __init__(
        self,
        request: Request,
        store: Store,
        executor: Callable[[], Executor],
        on_event: Callable[[Event], None],
        steps_agree: StepsAgree,
    ) -> None:
        self._request = request
        self._audit = store
        self._store = store.diagnosis
        self._make = executor
        self._executor: Executor | None = None
        self._on_event = on_event
        self._steps_agree = steps_agree
        self._number = 0

    def __call__(self, trial: Trial, replicate: int) -> RunEvidence | None:
        """What the next trial left; ``replicate`` (from 1) numbers those that are compared with one another.

        None where it was interrupted. Raises AuditorError.
        """
        self._number += 1
        number = self._number
        if number in self._store.runs():
            return recorded(self._store, number, trial)
        try:
            with interruptible():
                if self._executor is None:
                    self._executor = self._make()
                    self._request = msgspec.structs.replace(self._request, timeout=self._limit())
                    for leftover in self._store.incomplete():
                        remove_tree(self._store.paths(leftover).root)
                task = Task(number, number, seed_of(self._request), replicate, None, trial=trial)
                execute(task, self._request, self._store, self._executor, self._on_event, self._steps_agree)
        except KeyboardInterrupt:
            return None
        return self._store.evidence(number, verify=False)

    def _limit(self) -> float:
        """The time limit of a trial, in seconds: by the audit's longest run."""
        longest = max((self._audit.record(number).seconds for number in self._audit.runs()), default=0.0)
        limit = max(_SLOWER * longest, _LEAST_LIMIT)
        return limit if self._request.timeout is None else min(limit, self._request.timeout)

    def close(self) -> None:
        """Give back what the executor holds."""
        if self._executor is not None:
            self._executor.close()


class Recorded:
    """Gives the trials that the evidence holds, in order, as ``Trials`` made them; makes none."""

    def __init__(self, store: Store) -> None:
        self._store = store.diagnosis
        self._number = 0

    def __call__(self, trial: Trial, replicate: int) -> RunEvidence | None:
        """What the next trial left; None where there is none, or it was made for something else."""
        self._number += 1
        return recorded(self._store, self._number, trial)


def recorded(store: Store, number: int, trial: Trial) -> RunEvidence | None:
    """The evidence of trial ``number`` where the store holds it and it is the one asked for."""
    if number not in store.runs() or store.read_trial(number) != trial:
        return None
    return store.evidence(number)
