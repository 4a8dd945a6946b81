"""What an environment should be (a lock), and how one that was found differs from it (drift)."""

from __future__ import annotations

from typing import Literal

import msgspec

from auditor.records.audit import LevelName
from auditor.records.environments import Risk

LOCK_SCHEMA = "auditor.lock/1"
DRIFT_SCHEMA = "auditor.drift/1"

PYLOCK = "pylock.toml"
ENVIRONMENT = "environment.toml"

LOCKED_LAYERS = ("interpreter", "libraries", "cuda", "hardware", "os")
"""What a run trained on and did is no part of an environment, and is not locked."""

Value = str | int | float | bool | tuple[str, ...]


class Exactly(msgspec.Struct, frozen=True, tag="exactly"):
    """The fact must have this value."""

    value: Value


class Within(msgspec.Struct, frozen=True, tag="within"):
    """The version that the fact ends with (``2.36`` of ``glibc 2.36``) must satisfy this PEP 440 specifier."""

    specifier: str


class Pinned(msgspec.Struct, frozen=True):
    """A distribution of ``pylock.toml``.

    ``name`` is normalised. ``version`` is None where neither the lock nor the names of its files tell one (a source
    tree). ``kind`` says where it comes from; ``commit`` is that of a ``vcs``; ``sha256`` are the digests of the files
    that may be installed. ``marker`` is the PEP 508 marker under which it is wanted, empty for always.
    """

    name: str
    version: str | None
    kind: Literal["index", "vcs", "archive", "directory"]
    commit: str = ""
    sha256: tuple[str, ...] = ()
    marker: str = ""


class Lock(msgspec.Struct, frozen=True):
    """Both files of a lock: the distributions, and what the facts of each layer must be (layer: name: wanted)."""

    distributions: tuple[Pinned, ...]
    facts: dict[str, dict[str, Exactly | Within]]


class LeftOut(msgspec.Struct, frozen=True):
    """A distribution of which ``pylock.toml`` has no version: its own (empty where it names none), and the reason.

    ``placed`` says that the file has its commit, so that where it comes from need not be locked elsewhere.
    """

    name: str
    version: str
    reason: str
    placed: bool = False


def unidentified(origin: str) -> str:
    """Why the origin of an editable distribution does not tell which code it is; empty where it does.

    ``origin`` is the fact ``origin:<distribution>``. Any other origin says what was installed, and stays as it was.
    """
    if not origin.startswith("editable"):
        return ""
    if origin == "editable":
        return "it is editable, and its directory has no commit on record"
    return "its directory had changes that are not committed" if origin.endswith(" dirty") else ""


class Unpinned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of the project that leaves open what will be installed.

    ``file`` is relative to the project's root, ``line`` counts from 1, ``text`` is what stands there and ``advice``
    what would pin it. ``kind`` is ``unreadable`` where it could not be told.
    """

    file: str
    line: int
    kind: Literal["distribution", "image", "system-package", "unreadable"]
    text: str
    advice: str


class Deviation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact that is not as the lock has it.

    ``kind`` is ``drift`` (another value), ``unknown`` (the target does not tell), ``harmless`` (another value, which is
    no drift by itself: of a tool that no training computes with, or of what follows from another fact that drifted) or
    ``extra`` (the lock has no such distribution). ``risk`` is what the difference does to bit-exactness, with the
    ``reason`` and its ``sources``; ``rules_out`` are the levels that cannot be reached between the locked environment
    and this one.
    """

    layer: str
    name: str
    kind: Literal["drift", "unknown", "harmless", "extra"]
    wanted: str
    found: str
    risk: Risk
    reason: str
    rules_out: tuple[LevelName, ...] = ()
    sources: tuple[str, ...] = ()


class Layer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many facts of a layer are locked, and how many of those are as wanted, another, not told, or harmless."""

    name: str
    locked: int
    as_wanted: int
    drifted: int
    unknown: int
    harmless: int = 0


class Target(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was held against the lock: its kind, and its name as the user gave it."""

    kind: Literal["interpreter", "image", "fingerprint", "audit"]
    name: str


class Drift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``auditor.drift/1``: an environment held against a lock.

    ``verdict`` is ``none`` (every locked fact is as wanted), ``drift``, or ``cannot-be-told`` (no drift was seen, and a
    locked fact could not be read, or nothing was locked). ``rules_out`` are the levels that the drift rules out,
    ``skipped`` the layers that were not held on request. ``strict`` says that extras, what is harmless and what is not
    pinned count as drift too.
    """

    schema: str
    target: Target
    verdict: Literal["none", "drift", "cannot-be-told"]
    rules_out: tuple[LevelName, ...]
    layers: tuple[Layer, ...]
    skipped: tuple[str, ...]
    deviations: tuple[Deviation, ...]
    unpinned: tuple[Unpinned, ...]
    strict: bool
