"""The contract that a rule of the rulebook fulfils: its metadata, its examples, and what its senses tell."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, NamedTuple

import msgspec

from auditor.records.comparison import Comparison
from auditor.records.evidence import RunEvidence
from auditor.records.trace import Place
from auditor.source import Document, Edit, Kind, Module

Level = Literal["bit-exact", "seed-stable", "distribution-stable"]
Severity = Literal["error", "warning", "note"]
Confidence = Literal["high", "medium", "possible"]
Topic = Literal["streams", "kernels", "loading", "order", "arithmetic", "environment", "claims", "domains"]


class Example(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole file that has the flaw, or has it not.

    ``kind`` is what the file is, and ``name`` what it is called where that matters (``path/seed_1/train.py``); other
    files of the same project stand in ``beside``, by name. ``needs`` are the distributions without which it cannot be
    run; ``runs`` is false where it cannot be run at all (it needs a GPU, say). ``arguments`` are its command line's.
    """

    code: str
    kind: Kind = "python"
    name: str = ""
    needs: tuple[str, ...] = ()
    runs: bool = True
    arguments: tuple[str, ...] = ()
    beside: dict[str, str] = {}


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One flaw: what it is called, what it endangers, why, and what to do.

    ``id`` is named for the flaw and is its file's name with hyphens. ``level`` is the strictest level that a program
    with it may fail to reach. ``confidence`` is how often what the source's sense sees is the flaw: ``high`` in nine of
    ten or more, by findings that were read (``benchmarks/checks/labels.csv``), or what an environment's file says
    plainly; ``possible`` is shown on request only. ``since`` is the version of auditor that brought it.
    ``sources`` are addresses of documentation or papers. ``bad`` and ``good`` are its tests as well as its page.
    """

    id: str
    title: str
    topic: Topic
    level: Level
    severity: Severity
    confidence: Confidence
    since: str
    why: str
    remedy: str
    bad: tuple[Example, ...]
    good: tuple[Example, ...]
    sources: tuple[str, ...]


class Fix(NamedTuple):
    """Edits that take the flaw away.

    ``safe`` fixes change nothing but what differs from run to run; others change what the program does. ``imports`` are
    modules that must be imported for it, such as ``random``.
    """

    edits: tuple[Edit, ...]
    safe: bool = False
    imports: tuple[str, ...] = ()


class Sighting(NamedTuple):
    """What the sense of the source sees in one file.

    ``at`` is the node, or the line of a document. ``unless`` names calls and assignments (see ``Module.facts``): where
    any file that was checked with this one does one of them, the flaw is mended there and nothing is told. ``given``
    names such as must each be done in some file, or it is no flaw. ``confidence`` overrules the rule's, downwards.
    """

    at: ast.AST | int
    message: str
    unless: tuple[str, ...] = ()
    fix: Fix | None = None
    confidence: Confidence | None = None
    given: tuple[str, ...] = ()


class Observation(NamedTuple):
    """What the sense of the run sees in the traces of an audit's runs; ``severity`` overrules the rule's."""

    message: str
    place: Place | None = None
    severity: Severity | None = None


class Watched(NamedTuple):
    """What the sense of the run is given: the runs of an audit, and how they compare."""

    runs: Sequence[RunEvidence]
    comparison: Comparison


class Check(NamedTuple):
    """A rule with the senses that its file has; at least one is not None.

    ``source`` is given each Python module (notebooks too), ``document`` each other file of a kind that it knows, and
    ``run`` the runs of an audit.
    """

    rule: Rule
    source: Callable[[Module], Iterable[Sighting]] | None
    document: Callable[[Document], Iterable[Sighting]] | None
    run: Callable[[Watched], Iterable[Observation]] | None
