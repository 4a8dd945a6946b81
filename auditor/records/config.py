"""What the user asked for, as it is kept in the evidence so that a verdict can be recomputed."""

from __future__ import annotations

import msgspec

from auditor.records.distribution import Margins


class MetricRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A declared metric.

    ``source`` is ``file`` (``pattern`` is ``GLOB:dotted.path``, or a dotted path alone, matched in any result file) or
    ``output`` (``pattern`` is a regular expression whose first group is the number; every match counts, in order).
    """

    name: str
    source: str
    pattern: str


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What decides the verdict; kept in ``audit.json``.

    ``tolerances`` maps metric names (or ``*``) to absolute tolerances; ``ignore`` and ``decide`` are shell patterns
    over metric names and artefact paths that overrule what was taken for volatile. A study has ``seeds``, each run
    ``replicates`` times and each failing run repeated up to ``retries`` times; ``margins`` are those of
    ``distribution-stable``.
    """

    require: str | None = None
    tolerances: dict[str, float] = {}
    metrics: tuple[MetricRule, ...] = ()
    ignore: tuple[str, ...] = ()
    decide: tuple[str, ...] = ()
    steps: int | None = None
    fail_fast: bool = False
    replicates: int = 2
    seeds: tuple[int, ...] = ()
    retries: int = 0
    margins: Margins = Margins()
