"""Where a value goes within its function: what it becomes part of, through names and conversions."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from auditor.source.streams import by_convention

if TYPE_CHECKING:
    from auditor.source.module import Module

_CONVERSIONS = frozenset(
    {"int", "float", "abs", "round", "str", "max", "min", "format", "bool", "hex", "divmod", "len", "int.from_bytes"}
)
_SEEDERS = frozenset(
    {"Random", "RandomState", "default_rng", "manual_seed", "seed", "seed_everything", "PRNGKey", "SeedSequence"}
)


class Place(NamedTuple):
    """A place where a value arrives: ``node`` is the value there, ``around`` what holds it."""

    node: ast.expr
    around: ast.AST


def flows(module: Module, node: ast.expr, steps: int = 8) -> Iterator[Place]:
    """The places where a value arrives in its function, the nearest first."""
    yield from _flows(module, node, steps, {node})


def _flows(module: Module, node: ast.expr, steps: int, seen: set[ast.expr]) -> Iterator[Place]:
    around = module.parent(node)
    if around is None or steps == 0:
        return
    yield Place(node, around)
    match around:
        case (
            ast.BinOp()
            | ast.UnaryOp()
            | ast.IfExp()
            | ast.BoolOp()
            | ast.Await()
            | ast.NamedExpr()
            | ast.JoinedStr()
            | ast.FormattedValue()
            | ast.Attribute()
            | ast.Tuple()
            | ast.List()
        ):
            yield from _flows(module, around, steps - 1, seen)
        case ast.Subscript() if around.value is node:
            yield from _flows(module, around, steps - 1, seen)
        case ast.Call():
            # Its own methods (now().timestamp()), and what only converts it.
            if around.func is node or (module.name(around.func) or "") in _CONVERSIONS:
                yield from _flows(module, around, steps - 1, seen)
        case ast.Assign() | ast.AnnAssign():
            targets = around.targets if isinstance(around, ast.Assign) else [around.target]
            for target in targets:
                for load in _loads(module, target):
                    if load not in seen:
                        seen.add(load)
                        yield from _flows(module, load, steps - 1, seen)


def _loads(module: Module, target: ast.expr) -> Iterator[ast.expr]:
    if not isinstance(target, ast.Name):
        return
    function = module.function(target)
    for node in module.all(ast.Name):
        if node.id == target.id and isinstance(node.ctx, ast.Load) and module.function(node) is function:
            yield node


def last_name(module: Module, call: ast.Call) -> str:
    """The last part of a callee's name, as far as it is written."""
    name = module.name(call.func)
    if name is not None:
        return name.rpartition(".")[2]
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def seeds(module: Module, place: Place) -> bool:
    """Whether a value arrives as a seed: in a call that seeds, or under a name that says so."""
    match place.around:
        case ast.Call():
            last = last_name(module, place.around)
            return last in _SEEDERS or by_convention(last)
        case ast.keyword(arg=str(name)):
            return "seed" in name.lower() or name == "random_state"
        case ast.Assign():
            return any("seed" in _written(target).lower() for target in place.around.targets)
        case ast.Return():
            return any("seed" in name.lower() for name in module.functions(place.around))
    return False


def _written(target: ast.expr) -> str:
    if isinstance(target, ast.Name):
        return target.id
    return target.attr if isinstance(target, ast.Attribute) else ""
