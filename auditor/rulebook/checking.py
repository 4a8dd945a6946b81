"""Files in, flaws out: each file is read by itself, and what another file of the project mends is taken away after."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import PurePosixPath
from typing import NamedTuple, TypeVar

import msgspec

from auditor.records.check import CheckReport, Flaw, Remark, Spot
from auditor.rule import Check, Confidence, Sighting
from auditor.rulebook import rulebook
from auditor.rulebook.allowances import Allowances
from auditor.rulebook.notebooks import Cells
from auditor.source import Document, Edit, Module
from auditor.source.documents import kind_of
from auditor.source.pyproject import declared
from auditor.source.streams import is_test

_File = TypeVar("_File", Module, Document)
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


def read(
    path: str,
    text: str,
    cells: Cells | None = None,
    beside: frozenset[str] = frozenset(),
    rules: Collection[str] | None = None,
    *,
    executed: bool = False,
) -> Reading:
    """Read one file; lines end with a line feed, and ``cells`` are a notebook's.

    ``beside`` are the names of the files in its directory, which a document's rules may ask for; ``rules`` are those
    to ask, by default all. Raises nothing for what the file holds: one that cannot be parsed gives a remark, and so
    does a rule that fails on it. What a test computes ends in no result: its flaws are only possible, unless it
    is known to have been ``executed`` as a program.
    """
    document = kind_of(PurePosixPath(path).name) if cells is None else None
    python = text if cells is None else cells.text
    lines = python.split("\n")
    asked = [check for name, check in rulebook().items() if rules is None or name in rules]
    try:
        if document is not None:
            module = None
            if document == "pyproject":
                declared(text)  # fails here rather than in each rule
            found, faults = _seen(Document(path, document, text, beside), asked, lambda check: check.document)
            facts: frozenset[str] = frozenset()
        else:
            module = _module(path, python)
            found, faults = _seen(module, asked, lambda check: check.source)
            facts = module.facts
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return Reading(path, (), frozenset(), (_unread(path, error, cells),), _count(lines))
    allowances = Allowances(path, python, document or "python")
    candidates = [_candidate(check, one, path, lines, module, allowances, cells) for check, one in found]
    if module is not None and not executed and is_test(module):
        candidates = [one._replace(flaw=msgspec.structs.replace(one.flaw, confidence="possible")) for one in candidates]
    candidates = list({(one.flaw.rule, one.flaw.spot, one.flaw.message): one for one in candidates}.values())
    unused = allowances.unused(
        known=rulebook().keys(),
        seen={check.rule.id for check in asked if check.source is not None or check.document is not None},
    )
    remarks = [_placed(one, cells) for one in (*faults, *unused)]
    return Reading(path, tuple(candidates), facts, tuple(remarks), _count(lines), allowances.lines())


def _module(path: str, python: str) -> Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the file's own escapes and comparisons
        return Module(path, python)


def _seen(
    file: _File, asked: Iterable[Check], sense: Callable[[Check], Callable[[_File], Iterable[Sighting]] | None]
) -> tuple[list[tuple[Check, Sighting]], list[Remark]]:
    """What a sense of each rule sees in a file, and the rules that failed."""
    found: list[tuple[Check, Sighting]] = []
    faults = []
    for check in asked:
        see = sense(check)
        if see is None:
            continue
        try:
            found += [(check, one) for one in see(file)]
        except Exception as error:
            # Rules may be anybody's: one that fails on a file must not cost the others.
            faults.append(_fault(check, file.path, error))
    return found, faults


def _fault(check: Check, path: str, error: Exception) -> Remark:
    if isinstance(error, (RecursionError, MemoryError)):
        return Remark("unread", f"not read for {check.rule.id}: it is nested too deeply", path)
    return Remark("fault", f"the rule {check.rule.id} failed on this file ({type(error).__name__}: {error})", path)


def _unread(path: str, error: Exception, cells: Cells | None) -> Remark:
    if isinstance(error, (RecursionError, MemoryError)):
        return Remark("unread", "not read: it is nested too deeply", path)
    why, line = (error.msg, error.lineno) if isinstance(error, SyntaxError) else (str(error), None)
    return _placed(Remark("unread", f"not read: {why}", path, line), cells)


def _placed(remark: Remark, cells: Cells | None) -> Remark:
    """A remark with the line of its cell, in a notebook."""
    if cells is None or remark.line is None:
        return remark
    cell, line = cells.place(remark.line)
    return msgspec.structs.replace(remark, cell=cell, line=line)


def _count(lines: Sequence[str]) -> int:
    return len(lines) - (not lines[-1])


def _candidate(
    check: Check,
    sighting: Sighting,
    path: str,
    lines: Sequence[str],
    module: Module | None,
    allowances: Allowances,
    cells: Cells | None,
) -> Candidate:
    rule = check.rule
    spot = _spot(path, sighting.at, lines)
    allowed = allowances.allow(rule.id, *_spoken_for(sighting.at, spot, module))
    confidence = rule.confidence
    if sighting.confidence is not None:
        confidence = max(confidence, sighting.confidence, key=_CONFIDENCES.index)
    flaw = Flaw(
        rule=rule.id,
        message=sighting.message,
        level=rule.level,
        severity=rule.severity,
        confidence=confidence,
        spot=spot if cells is None else _in_cell(spot, cells),
        excerpt=lines[spot.line - 1].rstrip() if 0 < spot.line <= len(lines) else "",
        fix=None if sighting.fix is None else "safe" if sighting.fix.safe else "unsafe",
    )
    fix = sighting.fix
    return Candidate(
        flaw,
        sighting.unless,
        allowed,
        () if fix is None else fix.edits,
        () if fix is None else fix.imports,
        sighting.given,
    )


def _spoken_for(at: ast.AST | int, spot: Spot, module: Module | None) -> tuple[int, int]:
    """The lines on which a comment allows what stands in a place: its statement's, or those of the statement's head."""
    statement = module.statement(at) if module is not None and isinstance(at, ast.AST) else None
    if statement is None:
        return spot.line, spot.end_line
    body = getattr(statement, "body", None)
    last = statement.end_lineno or spot.end_line
    if isinstance(body, list) and body and spot.line < body[0].lineno:
        last = max(body[0].lineno - 1, statement.lineno)
    elif body is not None:
        return spot.line, spot.end_line
    return min(statement.lineno, spot.line), max(last, spot.end_line)


def _in_cell(spot: Spot, cells: Cells) -> Spot:
    cell, line = cells.place(spot.line)
    end_cell, end_line = cells.place(spot.end_line)
    if end_cell != cell:
        end_line = line
    return Spot(spot.file, line, spot.column, end_line, spot.end_column, cell)


def _spot(path: str, at: ast.AST | int, lines: Sequence[str]) -> Spot:
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


def _characters(lines: Sequence[str], line: int, column: int) -> int:
    """A column in characters, from one in UTF-8 bytes."""
    if line > len(lines):
        return column
    return len(lines[line - 1].encode()[:column].decode(errors="replace"))


def standing(readings: Iterable[Reading], facts: Collection[str] = ()) -> Iterator[Candidate]:
    """The candidates that no file of the project mends; ``facts`` are those of files beside the readings."""
    kept = list(readings)
    own = frozenset[str]().union(*(reading.facts for reading in kept))
    done = cache(lambda name: _done(name, own) or _done(name, facts))
    for reading in kept:
        for candidate in reading.candidates:
            if not any(map(done, candidate.unless)) and all(map(done, candidate.given)):
                yield candidate


def _done(name: str, facts: Collection[str]) -> bool:
    if name.endswith("*"):
        return any(fact.startswith(name[:-1]) for fact in facts)
    return name in facts


def report(
    readings: Iterable[Reading], *, possible: bool = False, fixed: int = 0, facts: Collection[str] = ()
) -> CheckReport:
    """What stands of all readings; with ``possible``, what may well be no flaw too."""
    kept = sorted(readings, key=lambda reading: reading.path)
    flaws, allowed, hidden = [], 0, 0
    for candidate in standing(kept, facts):
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
