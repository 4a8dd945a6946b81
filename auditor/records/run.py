"""One execution of the audited command: how it was started, how it ended, what it wrote."""

from __future__ import annotations

import msgspec


class Artefact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that a run wrote or changed: ``path`` relative to the project's root, size in bytes."""

    path: str
    size: int
    sha256: str


class Isolation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the run was kept from seeing what another wrote: ``overlay``, ``copy`` or ``container``.

    ``reason`` says why the stronger means was not used, or is empty.
    """

    kind: str
    reason: str = ""


class ImageFacts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The container image a run was started from: its id and the registry digests it is known by."""

    name: str
    id: str
    digests: tuple[str, ...]


class Ending(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the run ended.

    ``status``: ``ok`` (exit code 0), ``failed`` (other exit code or a signal), ``timeout``, ``stopped`` (ended on
    purpose by ``--fail-fast``), ``interrupted``. ``exit_code`` is negative for a signal, None where the program never
    ended by itself. ``leftovers`` counts processes that outlived the command and were ended.
    """

    status: str
    exit_code: int | None
    leftovers: int = 0
    message: str = ""


class RunRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``run.json``. ``number`` counts from 1; ``seconds`` is wall time and, with ``started`` (UTC, ISO 8601), volatile.

    ``varied`` holds what differs between replicates on purpose (PYTHONHASHSEED, TMPDIR, directory-order …) with this
    run's value. ``unsaved`` lists artefacts that could not be kept and why; ``unwatched`` names Python
    processes of the run that left no trace although they lived for a while. ``traces`` is how many traces there were
    when the run was sealed, None where that was not counted.

    In a study ``replicate`` counts the runs of one seed and ``attempt`` the tries at that one, both from 1; ``lost`` is
    how often its worker was lost before, which is no attempt. ``imposed`` holds the variables that gave the run its
    share of the machine (threads, GPUs), which may change results.
    """

    number: int
    seed: int | None
    command: tuple[str, ...]
    executor: str
    isolation: Isolation
    image: ImageFacts | None
    varied: dict[str, str]
    started: str
    seconds: float
    ending: Ending
    artefacts: tuple[Artefact, ...]
    unsaved: tuple[str, ...] = ()
    unwatched: tuple[str, ...] = ()
    cpu_seconds: float | None = None
    traces: int | None = None
    replicate: int = 1
    attempt: int = 1
    lost: int = 0
    imposed: dict[str, str] = {}
