"""What happens while runs go, for whoever shows it."""

from __future__ import annotations

import msgspec

from auditor.records.run import Ending, Isolation


class RunStarted(msgspec.Struct, frozen=True):
    """Run ``number`` of ``of`` begins; ``isolation`` is None where only its executor will know.

    ``trial`` says what a run of a diagnosis is for; it is empty for the audit's own runs.
    """

    number: int
    of: int
    seed: int | None
    isolation: Isolation | None
    trial: str = ""


class Progress(msgspec.Struct, frozen=True):
    """Run ``number`` goes on: ``steps`` done so far (of ``expected``, where an earlier run tells), ``seconds`` spent.

    ``identical_until`` is the last step up to which everything agreed with run one; ``differs_at`` the first step
    that did not, or None.
    """

    number: int
    steps: int
    expected: int | None
    seconds: float
    identical_until: int | None
    differs_at: int | None


class RunEnded(msgspec.Struct, frozen=True):
    """Run ``number`` is over; ``again`` says that it failed and is tried again, ``trial`` that a diagnosis made it."""

    number: int
    seconds: float
    ending: Ending
    again: bool = False
    trial: bool = False


Event = RunStarted | Progress | RunEnded
