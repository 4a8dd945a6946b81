"""Where the functions that threads run change what they share, by the source."""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator
from functools import lru_cache

import msgspec

from auditor.diagnose.reading import last_name, parsed, sightings
from auditor.records.trace import Place
from auditor.source.scopes import parameters

# What hands a function to threads, and how its argument is called that holds the function.
_HANDED = {"Thread": "target", "submit": "fn", "map": "fn", "apply_async": "func", "imap_unordered": "func"}
# Methods that change nothing which a result is made of.
_HARMLESS = frozenset(
    {"acquire", "release", "wait", "notify", "notify_all", "set", "start", "join", "close", "flush", "task_done"}
    | {"debug", "info", "warning", "error", "exception", "log"}
)
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class SharedChange(msgspec.Struct, frozen=True):
    """``line`` changes what threads share; ``first`` to ``last`` are the lines of the function that they run."""

    first: int
    last: int
    line: int


@lru_cache(maxsize=32)
def shared_changes(source: str) -> tuple[SharedChange, ...]:
    """The changes that the functions which a file hands to threads make to what is not their own."""
    tree = parsed(source)
    if tree is None:
        return ()
    functions: dict[str, list[_Function]] = {}
    anew: set[str] = set()
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, _Function):
            functions.setdefault(node.name, []).append(node)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            anew |= {one.id for one in ast.walk(node.target) if isinstance(one, ast.Name)}
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            modules |= {(one.asname or one.name).partition(".")[0] for one in node.names}
    found = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        handed = _handed(node)
        if handed is None or len(functions.get(last_name(handed), ())) != 1:
            continue
        (function,) = functions[last_name(handed)]
        shared = _shared(function, node, anew) - modules
        last = function.end_lineno or function.lineno
        found |= {SharedChange(function.lineno, last, line) for line in _changes(function, shared)}
    return tuple(sorted(found, key=lambda one: one.line))


def meeting(source: str, line: int) -> int | None:
    """The line on which threads change what they share, for a line outside the functions that they run.

    None where the line itself is inside one of them, and where there is no such line or more than one.
    """
    found = shared_changes(source)
    inside = any(one.first <= line <= one.last for one in found)
    lines = {one.line for one in found}
    return lines.pop() if len(lines) == 1 and not inside else None


def meeting_place(place: Place | None, source: Callable[[str], str | None]) -> Place | None:
    """Where a file takes results as they are ready, or its threads change what they share; None where neither is."""
    text = source(place.file) if place is not None else None
    if place is None or text is None:
        return None
    lines = [one.line for one in sightings(text) if one.rule == "completion-order"]
    line = lines[0] if lines else meeting(text, place.line)
    return None if line is None else Place(place.file, line)


def _handed(call: ast.Call) -> ast.expr | None:
    """The function that a call hands to threads."""
    keyword = _HANDED.get(last_name(call.func))
    if keyword is None:
        return None
    given = next((one.value for one in call.keywords if one.arg == keyword), None)
    if given is None and last_name(call.func) != "Thread" and isinstance(call.func, ast.Attribute) and call.args:
        given = call.args[0]
    return given


def _shared(function: _Function, call: ast.Call, anew: Collection[str]) -> frozenset[str]:
    """The names in a function that stand for the same thing in every thread.

    A parameter does where its argument is a name that no loop or comprehension binds ``anew``.
    """
    own = {one.arg for one in ast.walk(function) if isinstance(one, ast.arg)}
    outer: set[str] = set()
    for node in ast.walk(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            own.add(node.id)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            outer |= set(node.names)
    shared = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)} - own | outer
    taken = [one.arg for one in parameters(function)]
    if taken[:1] == ["self"]:
        shared.add("self")
        taken = taken[1:]
    given = next((one.value for one in call.keywords if one.arg == "args"), None)
    arguments = given.elts if isinstance(given, (ast.Tuple, ast.List)) else []
    if last_name(call.func) == "submit":
        arguments = call.args[1:]
    for parameter, argument in zip(taken, arguments, strict=False):
        if isinstance(argument, ast.Name) and argument.id not in anew:
            shared.add(parameter)
    return frozenset(shared)


def _changes(function: _Function, shared: frozenset[str]) -> Iterator[int]:
    for node in ast.walk(function):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value.func
            if isinstance(called, ast.Attribute) and called.attr not in _HARMLESS and _root(called.value) in shared:
                yield node.lineno
        elif isinstance(node, (ast.Assign, ast.AugAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if any(_root(one) in shared for one in targets):
                yield node.lineno


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
