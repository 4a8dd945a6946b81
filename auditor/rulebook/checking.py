"""Files in, flaws out: each file is read by itself, and what another file of the project mends is taken away after."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from auditor.records.check import CheckReport, Flaw, Remark, Spot
from auditor.rule import Check, Confidence, Sighting
from auditor.rulebook import rulebook
from auditor.rulebook.allowances import Allowances
from auditor.source import Document, Edit, Module
from auditor.source.documents import kind_of

_CONFIDENCES: tuple[Confidence, ...] = ("high", "medium", "possible")


class Candidate(NamedTuple):
    """A flaw as one file shows it.

    It stands unless a file of the project does one of ``unless``, and where each of ``given`` is done in one.
    """

    flaw: Flaw
    unless: tuple[str, ...]
    allowed: bool
    edits: tuple[Edit, ...]
    imports: tuple[str, ...]
    given: tuple[str, ...] = ()


class Reading(NamedTuple):
    """What reading one file gave; small, and able to go from process to process.

    ``allowed`` are the rules that comments allow, each with the line of code that it is allowed on.
    """

    path: str
    candidates: tuple[Candidate, ...]
    facts: frozenset[str]
    remarks: tuple[Remark, ...]
    lines: int
    allowed: tuple[tuple[str, int], ...] = ()


def read(path: str, text: str, python: str | None = None, beside: frozenset[str] = frozenset()) -> Reading:
    """Read one file; ``python`` is its Python where that is not its text (a notebook's cells).

    ``beside`` are the names of the files in its directory, which a document's rules may ask for.

    Raises nothing for what the file holds: one that cannot be parsed gives a remark.
    """
    document = kind_of(PurePosixPath(path).name)
    allowances = Allowances(path, text if python is None else python, document or "python")
    found: list[tuple[Check, Sighting]] = []
    facts: frozenset[str] = frozenset()
    remarks: list[Remark] = []
    module = None
    try:
        if document is not None:
            for check in rulebook().values():
                if check.document is not None:
                    found += [(check, one) for one in check.document(Document(path, document, text, beside))]
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the file's own escapes and comparisons
                module = Module(path, text if python is None else python)
            for check in rulebook().values():
                if check.source is not None:
                    found += [(check, one) for one in check.source(module)]
            facts = module.facts
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = getattr(error, "lineno", None)
        what = "is nested too deeply to be read" if isinstance(error, (RecursionError, MemoryError)) else str(error)
        return Reading(path, (), frozenset(), (Remark("unread", f"not read: {what}", path, where),), text.count("\n"))
    lines = (text if python is None else python).splitlines()
    candidates = [_candidate(check, one, path, lines, module, allowances) for check, one in found]
    candidates = list({(one.flaw.rule, one.flaw.spot): one for one in candidates}.values())
    remarks += allowances.unused(
        known=rulebook().keys(),
        unseen=[name for name, check in rulebook().items() if check.source is None and check.document is None],
    )
    return Reading(path, tuple(candidates), facts, tuple(remarks), len(lines), allowances.lines())


def _candidate(
    check: Check, sighting: Sighting, path: str, lines: list[str], module: Module | None, allowances: Allowances
) -> Candidate:
    rule = check.rule
    spot = _spot(path, sighting.at, lines)
    last = spot.end_line
    if module is not None and isinstance(sighting.at, ast.AST):
        statement = module.statement(sighting.at)
        if statement is not None and not hasattr(statement, "body"):
            last = statement.end_lineno or last
    confidence = rule.confidence
    if sighting.confidence is not None:
        confidence = max(confidence, sighting.confidence, key=_CONFIDENCES.index)
    flaw = Flaw(
        rule=rule.id,
        message=sighting.message,
        level=rule.level,
        severity=rule.severity,
        confidence=confidence,
        spot=spot,
        excerpt=lines[spot.line - 1].rstrip() if spot.line <= len(lines) else "",
        fix=None if sighting.fix is None else "safe" if sighting.fix.safe else "unsafe",
    )
    fix = sighting.fix
    return Candidate(
        flaw,
        sighting.unless,
        allowances.allow(rule.id, spot.line, last),
        () if fix is None else fix.edits,
        () if fix is None else fix.imports,
        sighting.given,
    )


def _spot(path: str, at: ast.AST | int, lines: list[str]) -> Spot:
    if isinstance(at, int):
        width = len(lines[at - 1]) if 0 < at <= len(lines) else 0
        return Spot(path, at, 1, at, width + 1)
    line, column = getattr(at, "lineno", 1), getattr(at, "col_offset", 0)
    end_line, end_column = getattr(at, "end_lineno", None) or line, getattr(at, "end_col_offset", None) or column
    if isinstance(at, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.For, ast.With, ast.While, ast.If)):
        end_line, end_column = line, len(lines[line - 1].encode()) if line <= len(lines) else column
    return Spot(
        path, line, _characters(lines, line, column) + 1, end_line, _characters(lines, end_line, end_column) + 1
    )


def _characters(lines: list[str], line: int, column: int) -> int:
    """A column in characters, from one in UTF-8 bytes."""
    if line > len(lines):
        return column
    return len(lines[line - 1].encode()[:column].decode(errors="replace"))


def standing(readings: Iterable[Reading]) -> Iterator[Candidate]:
    """The candidates that no file of the project mends."""
    kept = list(readings)
    facts = frozenset().union(*(reading.facts for reading in kept)) if kept else frozenset()
    for reading in kept:
        for candidate in reading.candidates:
            if any(_done(name, facts) for name in candidate.unless):
                continue
            if all(_done(name, facts) for name in candidate.given):
                yield candidate


def _done(name: str, facts: frozenset[str]) -> bool:
    if name.endswith("*"):
        return any(fact.startswith(name[:-1]) for fact in facts)
    return name in facts


def report(readings: Iterable[Reading], *, possible: bool = False, fixed: int = 0) -> CheckReport:
    """What stands of all readings; with ``possible``, what may well be no flaw too."""
    kept = sorted(readings, key=lambda reading: reading.path)
    flaws, allowed, hidden = [], 0, 0
    for candidate in standing(kept):
        if candidate.allowed:
            allowed += 1
        elif candidate.flaw.confidence == "possible" and not possible:
            hidden += 1
        else:
            flaws.append(candidate.flaw)
    flaws.sort(key=lambda flaw: (flaw.spot.file, flaw.spot.cell or 0, flaw.spot.line, flaw.spot.column, flaw.rule))
    return CheckReport(
        flaws=tuple(flaws),
        remarks=tuple(remark for reading in kept for remark in reading.remarks),
        files=len(kept),
        lines=sum(reading.lines for reading in kept),
        allowed=allowed,
        possible=hidden,
        fixed=fixed,
    )


def check_texts(texts: Mapping[str, str], *, possible: bool = False) -> CheckReport:
    """Check files that are given by name and text, as one project."""
    directories: dict[PurePosixPath, set[str]] = {}
    for path in map(PurePosixPath, texts):
        directories.setdefault(path.parent, set()).add(path.name)
    beside = {str(directory): frozenset(names) for directory, names in directories.items()}
    readings = (read(path, text, None, beside[str(PurePosixPath(path).parent)]) for path, text in texts.items())
    return report(readings, possible=possible)
