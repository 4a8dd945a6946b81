"""Where runs are executed: one small contract, and one module for each place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from auditor.experiment.interpreters import Interpreter
from auditor.records.run import Artefact, Ending, ImageFacts, Isolation
from auditor.store import RunPaths

Tick = Callable[[], bool]
"""Called a few times a second while a run goes; returns True where the run is to be stopped on purpose."""


class Launch(msgspec.Struct, frozen=True):
    """One run to execute.

    ``command`` has its seed filled in; ``variables`` are set in its environment on top of what the place gives.
    ``probe`` is what the probe is told apart from paths; ``plan`` is the text of the plan file, or None in run one.
    ``timeout`` is in seconds. ``keep`` names the perturbations that are not varied. ``place`` is the same for all
    runs of one seed, and for no others that may go at the same time; it is empty where one run follows the other.
    ``replicate`` counts those of one seed, where ``number`` does not. ``imposed`` are the variables that give the run
    its share of the machine; threads that the user has set stay. ``fixed_addresses`` asks the kernel not to randomise
    where memory lies; a place that cannot leaves it, which the run's traces tell.
    """

    number: int
    command: tuple[str, ...]
    variables: dict[str, str]
    probe: dict[str, Any]
    plan: bytes | None
    paths: RunPaths
    timeout: float | None
    keep: tuple[str, ...]
    place: str = ""
    replicate: int | None = None
    imposed: dict[str, str] = {}
    fixed_addresses: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """How a run went: ``seconds`` is wall time, ``cpu_seconds`` user and system time of all its processes, if known.

    ``interpreters`` are the Python processes that were seen from outside, where the place can see any. ``imposed`` are
    the variables that gave the run its share of the machine.
    """

    ending: Ending
    started: str
    seconds: float
    cpu_seconds: float | None
    varied: dict[str, str]
    artefacts: tuple[Artefact, ...]
    unsaved: tuple[str, ...]
    interpreters: tuple[Interpreter, ...] | None = None
    isolation: Isolation | None = None
    image: ImageFacts | None = None
    imposed: dict[str, str] = {}


class WorkerLost(Exception):
    """The worker that executed a run is gone, and the run with it: nothing is known of the program itself."""


class Executor(Protocol):
    """A place to execute runs; ``close`` gives back everything that it holds.

    Up to ``capacity`` runs may be executed at the same time, each by a thread of the caller's.
    """

    @property
    def name(self) -> str:
        """``local``, ``docker``, ``ray`` or ``slurm``."""

    @property
    def capacity(self) -> int:
        """How many runs it takes at a time."""

    @property
    def isolation(self) -> Isolation | None:
        """How one run is kept from seeing what another wrote; None where only the run itself can tell."""

    @property
    def image(self) -> ImageFacts | None:
        """The image that runs start from, if any."""

    def run(self, launch: Launch, tick: Tick) -> Outcome:
        """Execute one run to its end.

        Raises AuditorError where it cannot be started or its files cannot be kept, WorkerLost where what executed it
        has gone; on KeyboardInterrupt everything that was started is ended before the exception goes on.
        """

    def close(self) -> None:
        """Remove what was made outside the evidence directory."""
