"""Environments held against each other: how they differ, what each difference puts at risk, what was reached."""

from __future__ import annotations

from typing import Literal

import msgspec

from auditor.records.audit import LevelName, LevelVerdict
from auditor.records.comparison import Compared, Divergence, Metric

SCHEMA = "auditor.comparison/1"

Risk = Literal["rules-out", "at-risk", "irrelevant"]
"""What a difference does to bit-exactness: it cannot be had, it cannot be relied on, or it does not matter."""

RISKS: tuple[Risk, ...] = ("rules-out", "at-risk", "irrelevant")

Prospect = Literal["possible", "at-risk", "ruled-out", "unknown"]
"""What is to be expected of a level before anything is run; ``unknown`` where what matters is not known."""

Kind = Literal["fingerprint", "audit", "evidence"]
"""What was compared: a fingerprint, an ``audit.json`` by itself, or the evidence directory of an audit."""


class Difference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact in which environments differ.

    ``values`` holds what each environment has, in their order, as text (``not known: <reason>`` where it is not).
    ``reason`` is a sentence on why the fact has this ``risk``, ``sources`` are the addresses that say so; ``rule`` is
    the entry of the table of risks that matched, empty where none did. ``risk`` speaks of bit-exactness; ``level`` is
    ``seed-stable`` where the difference endangers that level too. ``said`` is the difference in a few words (``sm_80
    against sm_90``).
    """

    layer: str
    name: str
    values: tuple[str, ...]
    risk: Risk
    reason: str
    sources: tuple[str, ...] = ()
    rule: str = ""
    level: LevelName = "bit-exact"
    said: str = ""


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to be expected of one level, and why."""

    prospect: Prospect
    reason: str


class Subject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that was compared, by the name that it was given; ``audit`` is the audit's id where it is one."""

    name: str
    kind: Kind
    audit: str | None = None


class Prediction(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What environments allow, from their fingerprints alone.

    ``answer`` is a sentence; ``at_best`` the highest level that nothing rules out. ``differences`` are ranked by what
    they put at risk; ``unknown`` are the facts that matter and are not known of every environment.
    """

    answer: str
    at_best: LevelName
    levels: dict[LevelName, Expectation]
    differences: tuple[Difference, ...]
    unknown: tuple[Difference, ...]


class Digested(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many steps the first audit digested, the second, and both: only those are compared."""

    first: int = 0
    second: int = 0
    both: int = 0


class Together(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the runs of two audits reached together.

    Runs are numbered through: those of the first audit, then those of the second (``runs`` has the audit of each).
    ``obstacles`` are the reasons for which the two cannot be compared at all. ``unsteady`` names the audits whose own
    runs differ, for which the machines cannot be blamed. ``divergence`` is the first between a run of one audit and a
    run of the other. ``explanation`` says what may explain it, or why nothing can be said of it.
    """

    level: LevelName | None
    levels: dict[LevelName, LevelVerdict]
    runs: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    unsteady: tuple[str, ...] = ()
    compared: Compared = Compared()
    digested: Digested = Digested()
    divergence: Divergence | None = None
    metrics: dict[str, Metric] = {}
    gaps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    explanation: str = ""


class Pair(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="pair"):
    """Two environments: what they allow, and what was reached together where both are audits.

    ``notes`` say what was not looked at.
    """

    schema: str
    answer: str
    subjects: tuple[Subject, ...]
    prediction: Prediction
    together: Together | None
    notes: tuple[str, ...] = ()


class Value(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One value of a fact: in how many environments it is, and in which groups (from 1; the first 50 of them)."""

    value: str
    count: int
    groups: tuple[int, ...]


class Separation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact in which environments differ, as ``Difference`` has it, with its values, the most frequent first.

    Of ``distinct`` values the 50 most frequent are listed.
    """

    layer: str
    name: str
    values: tuple[Value, ...]
    distinct: int
    risk: Risk
    reason: str
    sources: tuple[str, ...] = ()
    rule: str = ""
    level: LevelName = "bit-exact"
    said: str = ""


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Environments that are identical in everything that is not irrelevant.

    ``number`` counts from 1, the largest group first. ``at_best`` and ``levels`` are what it allows together with the
    first group, ``differs`` the facts in which it differs from that, the gravest first, in a few words each.
    """

    number: int
    members: tuple[str, ...]
    at_best: LevelName
    levels: dict[LevelName, Expectation]
    differs: tuple[str, ...]


class Reached(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one audit of many reached together with the one that all are held against."""

    name: str
    level: LevelName | None
    levels: dict[LevelName, LevelVerdict]
    divergence: Divergence | None


class Many(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind", tag="many"):
    """More than two environments.

    ``levels`` are what all of them allow together. ``separating`` are the facts in which groups differ, ranked by what
    they put at risk, ``irrelevant`` those that differ and do not matter. ``odd`` holds the numbers of the groups of one
    beside a large group. ``unknown`` are facts that matter and are not known of every environment. ``first`` names the
    environment that came first or, where all are audits, the one that the others are held against: the first of the
    largest group of those that are bit-exact with one another. ``reached`` is what each other one reached together with
    it, ``together`` what all of them did; ``outlook`` then says what the environments allow, and ``answer`` what was
    reached. ``notes`` say what was not looked at.
    """

    schema: str
    answer: str
    count: int
    at_best: LevelName
    levels: dict[LevelName, Expectation]
    groups: tuple[Group, ...]
    odd: tuple[int, ...]
    separating: tuple[Separation, ...]
    irrelevant: tuple[Separation, ...]
    unknown: tuple[Separation, ...]
    first: str
    reached: tuple[Reached, ...] | None
    together: dict[LevelName, LevelVerdict] | None = None
    outlook: str = ""
    notes: tuple[str, ...] = ()


EnvironmentComparison = Pair | Many
