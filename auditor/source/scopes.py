"""Scopes: which names a piece of code binds, and to what."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeAlias

# An import's dotted name, the expression that was assigned, the definition or parameter, or None: something else.
Binding: TypeAlias = str | ast.AST | None

_MOST = 8  # bindings of one name that are kept: what has more is not known


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[ast.arg]:
    """A function's named parameters; those that take what is left over are none."""
    arguments = function.args
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]


class Scope:
    """The names that a module, class, function or comprehension binds."""

    def __init__(self, node: ast.AST, parent: Scope | None) -> None:
        self.node = node
        self.parent = parent
        self._bound: dict[str, list[Binding]] = {}
        self._elsewhere: dict[str, str] = {}

    def bind(self, name: str, binding: Binding, node: ast.AST) -> None:
        """Notes that a name is bound here, or where ``global`` says."""
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            self._elsewhere[name] = "global" if isinstance(node, ast.Global) else "nonlocal"
            return
        scope = self
        if isinstance(node, ast.NamedExpr):
            while isinstance(scope.node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)) and scope.parent:
                scope = scope.parent
        if name in scope._elsewhere:
            outer = scope._outer(name)
            scope = outer if outer is not None else scope
        found = scope._bound.setdefault(name, [])
        if len(found) < _MOST and binding not in found:
            found.append(binding)
        elif len(found) == _MOST:
            found.append(None)

    def _outer(self, name: str) -> Scope | None:
        scope = self.parent
        if self._elsewhere[name] == "global":
            while scope is not None and scope.parent is not None:
                scope = scope.parent
        return scope

    def bind_parameters(self) -> None:
        """Binds a function's parameters."""
        if isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            for one in parameters(self.node):
                self._bound.setdefault(one.arg, []).append(one)
            for extra in (self.node.args.vararg, self.node.args.kwarg):
                if extra is not None:
                    self._bound.setdefault(extra.arg, []).append(None)

    def outside(self, child: ast.AST) -> bool:
        """Whether a direct child of this scope's node is evaluated in the scope around it."""
        if isinstance(self.node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return not isinstance(child, (ast.stmt, ast.arguments))
        return isinstance(self.node, ast.ClassDef) and not isinstance(child, ast.stmt)

    def find(self, name: str) -> list[Binding] | None:
        """What a name is bound to, looked up as Python does; None where no scope binds it."""
        scope: Scope | None = self
        while scope is not None:
            # A class's names are not seen from the functions in it.
            if scope is self or not isinstance(scope.node, ast.ClassDef):
                found = scope._bound.get(name)
                if found is not None and name not in scope._elsewhere:
                    return found
            scope = scope.parent
        return None


def _of_import(node: ast.Import) -> Iterator[tuple[str, Binding]]:
    for one in node.names:
        name = one.asname or one.name.partition(".")[0]
        yield name, one.name if one.asname else name


def _of_import_from(node: ast.ImportFrom) -> Iterator[tuple[str, Binding]]:
    base = "." * node.level + (node.module or "")
    for one in node.names:
        if one.name != "*":
            yield one.asname or one.name, f"{base}.{one.name}"


def _of_definition(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[tuple[str, Binding]]:
    yield node.name, node


def _of_assignment(node: ast.Assign) -> Iterator[tuple[str, Binding]]:
    for target in node.targets:
        if isinstance(target, ast.Name):
            yield target.id, node.value
        else:
            yield from _targets(target, node.value)


def _of_annotated(node: ast.AnnAssign) -> Iterator[tuple[str, Binding]]:
    if node.value is not None:
        yield from _targets(node.target, node.value)


def _of_walrus(node: ast.NamedExpr) -> Iterator[tuple[str, Binding]]:
    yield from _targets(node.target, node.value)


def _of_target(node: ast.AugAssign | ast.For | ast.AsyncFor | ast.comprehension) -> Iterator[tuple[str, Binding]]:
    yield from _targets(node.target, None)


def _of_with(node: ast.With | ast.AsyncWith) -> Iterator[tuple[str, Binding]]:
    for item in node.items:
        if item.optional_vars is not None:
            yield from _targets(item.optional_vars, item.context_expr)


def _of_name(node: ast.ExceptHandler | ast.MatchAs | ast.MatchStar) -> Iterator[tuple[str, Binding]]:
    if node.name:
        yield node.name, None


def _of_global(node: ast.Global | ast.Nonlocal) -> Iterator[tuple[str, Binding]]:
    for name in node.names:
        yield name, None


def _of_deletion(node: ast.Delete) -> Iterator[tuple[str, Binding]]:
    for target in node.targets:
        yield from _targets(target, None)


def _of_mapping(node: ast.MatchMapping) -> Iterator[tuple[str, Binding]]:
    if node.rest:
        yield node.rest, None


# By type of node: the names that it itself binds in its scope, with what each is bound to.
BINDINGS: Final[dict[type[ast.AST], Callable[[Any], Iterator[tuple[str, Binding]]]]] = {
    ast.Import: _of_import,
    ast.ImportFrom: _of_import_from,
    ast.FunctionDef: _of_definition,
    ast.AsyncFunctionDef: _of_definition,
    ast.ClassDef: _of_definition,
    ast.Assign: _of_assignment,
    ast.AnnAssign: _of_annotated,
    ast.NamedExpr: _of_walrus,
    ast.AugAssign: _of_target,
    ast.For: _of_target,
    ast.AsyncFor: _of_target,
    ast.comprehension: _of_target,
    ast.With: _of_with,
    ast.AsyncWith: _of_with,
    ast.ExceptHandler: _of_name,
    ast.MatchAs: _of_name,
    ast.MatchStar: _of_name,
    ast.MatchMapping: _of_mapping,
    ast.Global: _of_global,
    ast.Nonlocal: _of_global,
    ast.Delete: _of_deletion,
}


def _targets(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, Binding]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Starred):
        yield from _targets(target.value, None)
    elif isinstance(target, (ast.Tuple, ast.List)):
        values: list[ast.expr | None] = [None] * len(target.elts)
        if isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts):
            values = [*value.elts]
        for one, given in zip(target.elts, values, strict=True):
            yield from _targets(one, given)
