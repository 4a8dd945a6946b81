"""Scopes: which names a piece of code binds, and to what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TypeAlias

# An import's dotted name, the expression that was assigned, the definition or parameter, or None: something else.
Binding: TypeAlias = str | ast.AST | None

_MOST = 8  # bindings of one name that are kept: what has more is not known


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
        """Binds a function's parameters, and a comprehension's targets."""
        match self.node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                arguments = self.node.args
                for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
                    self._bound.setdefault(one.arg, []).append(one)
                for extra in (arguments.vararg, arguments.kwarg):
                    if extra is not None:
                        self._bound.setdefault(extra.arg, []).append(None)

    def outside(self, child: ast.AST) -> bool:
        """Whether a direct child of this scope's node is evaluated in the scope around it."""
        match self.node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return child not in self.node.body and not isinstance(child, ast.arguments)
            case ast.ClassDef():
                return child not in self.node.body
        return False

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


def bindings_of(node: ast.AST) -> Iterator[tuple[str, Binding]]:
    """The names that a node itself binds in its scope, with what each is bound to."""
    match node:
        case ast.Import():
            for one in node.names:
                if one.asname:
                    yield one.asname, one.name
                else:
                    yield one.name.partition(".")[0], one.name.partition(".")[0]
        case ast.ImportFrom():
            base = "." * node.level + (node.module or "")
            for one in node.names:
                if one.name != "*":
                    yield one.asname or one.name, f"{base}.{one.name}"
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name, node
        case ast.Assign():
            for target in node.targets:
                yield from _targets(target, node.value)
        case ast.AnnAssign():
            if node.value is not None:
                yield from _targets(node.target, node.value)
        case ast.NamedExpr():
            yield from _targets(node.target, node.value)
        case ast.AugAssign():
            yield from _targets(node.target, None)
        case ast.For() | ast.AsyncFor():
            yield from _targets(node.target, None)
        case ast.comprehension():
            yield from _targets(node.target, None)
        case ast.With() | ast.AsyncWith():
            for item in node.items:
                if item.optional_vars is not None:
                    yield from _targets(item.optional_vars, item.context_expr)
        case ast.ExceptHandler():
            if node.name:
                yield node.name, None
        case ast.Global() | ast.Nonlocal():
            for name in node.names:
                yield name, None
        case ast.Delete():
            for target in node.targets:
                yield from _targets(target, None)
        case ast.MatchAs() | ast.MatchStar():
            if node.name:
                yield node.name, None
        case ast.MatchMapping():
            if node.rest:
                yield node.rest, None


def _targets(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, Binding]]:
    match target:
        case ast.Name():
            yield target.id, value
        case ast.Starred():
            yield from _targets(target.value, None)
        case ast.Tuple() | ast.List():
            alike = isinstance(value, (ast.Tuple, ast.List)) and len(value.elts) == len(target.elts)
            for index, one in enumerate(target.elts):
                yield from _targets(
                    one, value.elts[index] if alike and isinstance(value, (ast.Tuple, ast.List)) else None
                )
