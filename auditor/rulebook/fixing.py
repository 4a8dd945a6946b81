"""Flaws mended in a text: all edits that do not meet at once, then the rest, and only what is proven gone."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from auditor.records.check import Remark
from auditor.rulebook.checking import Candidate, Reading
from auditor.rulebook.edits import overlap
from auditor.source import Edit
from auditor.source.scopes import BINDINGS, Binding

_MOST_PASSES = 50


class Editable(NamedTuple):
    """How a file is read and changed.

    ``read`` gives the reading of a text, ``standing`` the candidates of a reading that nothing in the project mends,
    ``python`` the Python of a text (None where it has none), and ``edited`` a text with edits in it, None where they
    cannot be put into the file.
    """

    read: Callable[[str], Reading]
    standing: Callable[[Reading], Sequence[Candidate]]
    python: Callable[[str], str | None]
    edited: Callable[[str, Sequence[Edit]], str | None]


class Mended(NamedTuple):
    """What became of a text: its new reading, how many flaws were mended, and those that were to be and were not."""

    text: str
    reading: Reading
    fixed: int
    remarks: tuple[Remark, ...]


def mend(text: str, reading: Reading, file: Editable, wanted: Callable[[Candidate], bool]) -> Mended:
    """Mend the standing candidates that are ``wanted``, each pass on the reading of what the last one left.

    A batch after which the file is not read any more, or a flaw still seen, is given up for one flaw at a time; what
    fails alone is left as it was, with a remark.
    """
    failed: dict[tuple[str, str, str], Remark] = {}
    fixed, together = 0, True
    for _ in range(_MOST_PASSES):
        left = [one for one in file.standing(reading) if one.edits and wanted(one) and _key(one) not in failed]
        if not left:
            break
        batch = _apart(left) if together else left[:1]
        tried = _tried(text, reading, file, batch)
        if not isinstance(tried, str):
            text, reading = tried
            fixed += len(batch)
        elif len(batch) > 1:
            together = False
        else:
            spot = batch[0].flaw.spot
            what = f"{batch[0].flaw.rule} is left as it was: {tried}"
            failed[_key(batch[0])] = Remark("unfixed", what, spot.file, spot.line, spot.cell)
    return Mended(text, reading, fixed, tuple(failed.values()))


def _key(candidate: Candidate) -> tuple[str, str, str]:
    """What stays of a flaw while lines above it come and go."""
    return candidate.flaw.rule, candidate.flaw.message, candidate.flaw.excerpt


def _apart(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those whose edits do not meet, the first ones first."""
    kept: list[Candidate] = []
    taken: list[Edit] = []
    for one in sorted(candidates, key=lambda one: (one.edits[0].line, one.edits[0].column)):
        if not overlap(one.edits, taken):
            kept.append(one)
            taken += one.edits
    return kept


def _tried(text: str, reading: Reading, file: Editable, batch: Sequence[Candidate]) -> tuple[str, Reading] | str:
    """The text without these flaws, and its reading; or why there is none."""
    edits = [edit for one in batch for edit in one.edits]
    python = file.python(text)
    if python is not None:
        first = min(edit.line for edit in edits)
        wanted = sorted({module for one in batch for module in one.imports})
        try:
            edits = [*imports(python, wanted, first), *edits]
        except _Taken as error:
            return str(error)
    changed = file.edited(text, edits)
    if changed is None:
        return "its edits cannot be put into the file"
    if changed == text:
        return "its edits change nothing"
    again = file.read(changed)
    if _unread(again) > _unread(reading):
        return "what it would become cannot be parsed"
    before, after = (Counter(one.flaw.rule for one in file.standing(each)) for each in (reading, again))
    for rule, mended in Counter(one.flaw.rule for one in batch).items():
        if after[rule] > before[rule] - mended:
            return "it would still be seen"
    return changed, again


def _unread(reading: Reading) -> int:
    return sum(remark.kind == "unread" for remark in reading.remarks)


class _Taken(Exception):
    """A module's name stands for something else in the file."""


def imports(text: str, modules: Sequence[str], line: int) -> tuple[Edit, ...]:
    """The edit that imports ``modules`` where a module's imports stand, save those imported before ``line``.

    Raises _Taken where one of their names is bound to something else anywhere in the text.
    """
    if not modules:
        return ()
    tree = ast.parse(text)
    had = {
        alias.name
        for statement in tree.body
        if isinstance(statement, ast.Import) and statement.lineno < line
        for alias in statement.names
        if alias.asname is None
    }
    bound: dict[str, set[Binding]] = {}
    for node in ast.walk(tree):
        if type(node) in BINDINGS and not isinstance(node, (ast.Global, ast.Nonlocal)):
            for name, binding in BINDINGS[type(node)](node):
                bound.setdefault(name, set()).add(binding)
        elif isinstance(node, ast.arg):
            bound.setdefault(node.arg, set()).add(None)
    wanted = []
    for module in modules:
        top = module.partition(".")[0]
        if bound.get(top, {top}) != {top}:
            raise _Taken(f"it needs the module {top}, and that name stands for something else in this file")
        if module not in had and not (module == top and any(name.startswith(f"{top}.") for name in had)):
            wanted.append(f"import {module}\n")
    return (_at_the_imports(tree, "".join(wanted)),) if wanted else ()


def _at_the_imports(tree: ast.Module, lines: str) -> Edit:
    """The edit that puts lines behind the docstring and what is imported from ``__future__``."""
    after = 0
    for statement in tree.body:
        docstring = after == 0 and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        if not docstring and not future:
            line = min([statement.lineno, *(one.lineno for one in getattr(statement, "decorator_list", ()))])
            if statement.col_offset or line <= after:
                # Behind a docstring on the same line.
                text = lines.replace("\n", "; ")
                return Edit(statement.lineno, statement.col_offset, statement.lineno, statement.col_offset, text)
            gap = "" if isinstance(statement, (ast.Import, ast.ImportFrom)) else "\n"
            gap = "\n\n" if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) else gap
            return Edit(line, 0, line, 0, lines + gap)
        after = statement.end_lineno or after
    return Edit(after + 1, 0, after + 1, 0, lines)
