"""Many seeds: each metric's value per seed, what it was held to, and the seeds that are missing."""

from __future__ import annotations

import msgspec

from auditor.records.distribution import Curves, MetricSeeds, Reference, Summary


class References(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``reference.json``: what new seeds are held to, by metric.

    ``source`` says where it is from; ``audit`` is the id of the study that it was taken from and ``seeds`` are that
    study's, both empty where figures were given instead. ``missing`` says what the study itself lacks. ``curves`` are
    the whole series of metrics that are one, a curve per seed; an empty one where it is not finite throughout.
    """

    source: str
    metrics: dict[str, Reference]
    audit: str = ""
    seeds: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()
    curves: dict[str, tuple[tuple[float, ...], ...]] = {}


class SeedMetric(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number that the seeds reported: ``values`` by seed, NaN and infinities as ``nan``, ``inf`` and ``-inf``.

    ``summary`` is of the finite ones. Of a series it is the last value, and ``length`` the largest number of values.
    ``reference`` names the metric of the reference that it is held to, and ``held`` is what came of it, None where
    there is none; ``curve`` is what came of the whole series, which decides no level. ``problem`` says what is
    missing, or is empty.
    """

    name: str
    source: str
    declared: bool
    values: dict[int, float | str]
    summary: Summary
    length: int = 1
    reference: str = ""
    held: MetricSeeds | None = None
    curve: Curves | None = None
    problem: str = ""


class Lost(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A seed without a run that ended well: ``attempts`` were made at its ``replicate``, the last of which ended so."""

    seed: int
    replicate: int
    attempts: int
    why: str


class Study(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the seeds of an audit say together.

    ``metrics`` are those that decide, by name; ``constant`` names numbers that are the same for every seed, which say
    nothing. ``lost`` are seeds whose runs failed, ``waiting`` those that have not been run yet.
    """

    seeds: tuple[int, ...]
    metrics: dict[str, SeedMetric]
    references: References | None = None
    lost: tuple[Lost, ...] = ()
    waiting: tuple[int, ...] = ()
    constant: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
