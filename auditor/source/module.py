"""One Python module: its syntax tree, with names followed through imports, aliases and values one step away."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from operator import attrgetter
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

from auditor.source.devices import device_facts
from auditor.source.names import canonical
from auditor.source.scopes import BINDINGS, Scope
from auditor.source.streams import stream_facts

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
_Node = TypeVar("_Node", bound=ast.AST)

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LOOPS = (ast.For, ast.AsyncFor, ast.While, *_COMPREHENSIONS)
_SCOPED = frozenset({*_FUNCTIONS, ast.ClassDef, *_COMPREHENSIONS})
_LEAVES = frozenset({ast.Name, ast.Constant, ast.alias, ast.Pass, ast.Break, ast.Continue})  # hold and bind nothing
_PLACE = attrgetter("lineno", "col_offset")
_STEPS = 6  # how far a name is followed
# What takes elements and gives what does not depend on their order. Not sum: adding floats depends on it.
_ORDERLESS = frozenset(
    {"sorted", "len", "min", "max", "any", "all", "set", "frozenset", "collections.Counter", "dict.fromkeys"}
)
_ENVIRONMENT = "os.environ"


class _Marker:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name

    def __bool__(self) -> bool:
        return False


UNKNOWN: Final = _Marker("UNKNOWN")  # a value that the source does not tell
ABSENT: Final = _Marker("ABSENT")  # an argument that is not given
HIDDEN: Final = _Marker("HIDDEN")  # an argument that may be given by * or **, or later, to a partial


class _Fields(dict[type[ast.AST], tuple[str, ...]]):
    """The fields of a type of node that hold nodes with a place: no operators, contexts, names and values."""

    _PLAIN = frozenset(
        {"arg", "asname", "attr", "conversion", "ctx", "id", "is_async", "kind", "kwd_attrs", "level", "module"}
        | {"op", "ops", "rest", "simple", "tag", "type_comment", "type_ignores"}
    )

    def __missing__(self, kind: type[ast.AST]) -> tuple[str, ...]:
        fields: tuple[str, ...] = ()
        if kind not in (ast.Constant, ast.Global, ast.Nonlocal, ast.MatchSingleton):
            named = kind.__name__ == "TypeAlias"  # the only one whose name is a node
            fields = tuple(name for name in kind._fields if name not in self._PLAIN and (named or name != "name"))
        self[kind] = fields
        return fields


_FIELDS = _Fields()


class Edit(NamedTuple):
    """Text to put where other text stands; lines count from 1, columns from 0 in UTF-8 bytes, as in ``ast``."""

    line: int
    column: int
    end_line: int
    end_column: int
    text: str


class Call:
    """A call whose callee is known: ``name`` is its dotted name, with what a ``functools.partial`` holds put in."""

    def __init__(self, node: ast.Call, name: str, bound: ast.Call | None, open_: bool) -> None:
        self.node = node
        self.name = name
        self._open = open_
        held = [] if bound is None else bound.args[1:]
        self.args: list[ast.expr] = [*held, *(node.args[1:] if open_ else node.args)]
        self.keywords: list[ast.keyword] = [*node.keywords, *([] if bound is None else bound.keywords)]

    def argument(self, keyword: str | None, position: int | None = None) -> ast.expr | _Marker:
        """The expression given for a parameter, ``ABSENT``, or ``HIDDEN`` where the call does not show it."""
        if keyword is not None:
            for given in self.keywords:
                if given.arg == keyword:
                    return given.value
        if position is not None:
            for index, given_at in enumerate(self.args):
                if isinstance(given_at, ast.Starred):
                    return HIDDEN
                if index == position:
                    return given_at
        hidden = self._open or any(given.arg is None for given in self.keywords)
        return HIDDEN if hidden else ABSENT

    def has(self, keyword: str | None, position: int | None = None) -> bool:
        """Whether an argument is given, or may be."""
        return self.argument(keyword, position) is not ABSENT


class Module:
    """A parsed Python file.

    ``path`` is its name relative to where checking began; ``facts`` are what it does that mends something elsewhere.
    Raises SyntaxError or ValueError where the text cannot be parsed.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.tree = ast.parse(text)
        self._parents: dict[ast.AST, ast.AST] = {}
        self._of_type: dict[type[ast.AST], list[ast.AST]] = defaultdict(list)
        self._sorted: set[type[ast.AST]] = set()
        self._scopes: dict[ast.AST, Scope] = {}  # those that a node makes
        self._around: dict[ast.AST, Scope] = {}  # those that a node stands in
        self._methods: dict[Scope, tuple[str, ast.ClassDef] | None] = {}
        self._names: dict[ast.AST, str | None] = {}
        self._following: set[ast.AST] = set()
        self._read()

    def _read(self) -> None:
        """Finds parents, types and scopes in one pass, scope by scope; it decides how fast files are read."""
        parents, of_type, fields, around = self._parents, self._of_type, _FIELDS, self._around
        root = self._scopes[self.tree] = Scope(self.tree, None)
        waiting: list[tuple[Scope, list[ast.AST]]] = [(root, [self.tree])]
        for scope, pending in waiting:  # grows on the way
            while pending:
                node = pending.pop()
                around[node] = scope
                binding = BINDINGS.get(node.__class__)
                if binding is not None:
                    for name, bound in binding(node):
                        scope.bind(name, bound, node)
                children: list[ast.AST] = []
                for field in fields[node.__class__]:
                    value = getattr(node, field)
                    if value.__class__ is list:
                        for child in value:
                            if child is not None:
                                parents[child] = node
                                of_type[child.__class__].append(child)
                                if child.__class__ not in _LEAVES:
                                    children.append(child)
                    elif value is not None:
                        parents[value] = node
                        of_type[value.__class__].append(value)
                        if value.__class__ not in _LEAVES:
                            children.append(value)
                children.reverse()
                if node.__class__ in _SCOPED:
                    inner = self._scopes[node] = Scope(node, scope)
                    inner.bind_parameters()
                    # Decorators, bases and what is returned belong to the scope outside.
                    waiting.append((inner, [child for child in children if not inner.outside(child)]))
                    pending.extend(child for child in children if inner.outside(child))
                else:
                    pending.extend(children)
        self._attributes: dict[ast.AST, dict[str, list[ast.expr | None]]] = defaultdict(lambda: defaultdict(list))
        for assign in self.all(ast.Assign):
            for target in assign.targets:
                self._note_attribute(target, assign.value)
        for annotated in self.all(ast.AnnAssign):
            self._note_attribute(annotated.target, annotated.value)
        for augmented in self.all(ast.AugAssign):
            self._note_attribute(augmented.target, None)

    def _note_attribute(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, (ast.Tuple, ast.List)):
            for one in target.elts:
                self._note_attribute(one, None)
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            owner = self._class_of_self(target.value)
            if owner is not None:
                self._attributes[owner][target.attr].append(value)

    # -- where ------------------------------------------------------------------------------------------------

    def all(self, kind: type[_Node]) -> list[_Node]:
        """Every node of exactly this type, by line and column; none for operators and contexts, which have no place."""
        nodes = self._of_type[kind]
        if kind not in self._sorted:
            self._sorted.add(kind)
            if nodes and hasattr(nodes[0], "lineno"):
                nodes.sort(key=_PLACE)
        return nodes  # type: ignore[return-value]  # each list holds nodes of its key's type

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node that holds this one."""
        return self._parents.get(node)

    def parents(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around this one, the nearest first."""
        found = self._parents.get(node)
        while found is not None:
            yield found
            found = self._parents.get(found)

    def function(self, node: ast.AST) -> Function | None:
        """The innermost function or lambda that this node is in the body of."""
        scope: Scope | None = self.scope(node)
        while scope is not None:
            if isinstance(scope.node, _FUNCTIONS):
                return scope.node
            scope = scope.parent
        return None

    def functions(self, node: ast.AST) -> Iterator[str]:
        """The names of the functions around a node, the innermost first."""
        for around in self.parents(node):
            if isinstance(around, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield around.name

    def class_(self, node: ast.AST) -> ast.ClassDef | None:
        """The innermost class around this node, through functions."""
        return next((around for around in self.parents(node) if isinstance(around, ast.ClassDef)), None)

    def loop(self, node: ast.AST) -> ast.AST | None:
        """The innermost loop or comprehension that repeats this node, within its function."""
        inside = node
        for around in self.parents(node):
            if isinstance(around, _FUNCTIONS):
                return None
            if (
                isinstance(around, (ast.For, ast.AsyncFor))
                and inside is not around.iter
                and inside not in around.orelse
            ):
                return around
            if isinstance(around, ast.While) and inside not in around.orelse:
                return around
            if isinstance(around, _COMPREHENSIONS) and not self._scopes[around].outside(inside):
                return around
            inside = around
        return None

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """The statement that this node is, or is part of."""
        if isinstance(node, ast.stmt):
            return node
        return next((around for around in self.parents(node) if isinstance(around, ast.stmt)), None)

    def scope(self, node: ast.AST) -> Scope:
        """The scope in which the names of this node are looked up."""
        around = self._parents.get(node)
        if around is None:
            return self._scopes[self.tree]
        made = self._scopes.get(around)
        return self._around[around] if made is None or (made.parent and made.outside(node)) else made

    # -- what names stand for ---------------------------------------------------------------------------------

    def name(self, node: ast.AST | None) -> str | None:
        """The dotted name of what an expression stands for, or None where the source does not tell.

        ``np.random.rand`` is ``numpy.random.rand`` after ``import numpy as np``; a value that a call gave is its callee
        with brackets, so a method of it is ``torch.Generator().manual_seed``. A function or class of this module begins
        with a dot. Libraries of several names go by one (see ``auditor.source.names``). Built-ins are bare.
        """
        if node is None or node in self._following or len(self._following) > _STEPS * 4:
            return None
        if node not in self._names:
            self._following.add(node)
            try:
                self._names[node] = self._name(node)
            finally:
                self._following.discard(node)
        return self._names[node]

    def _name(self, node: ast.AST) -> str | None:
        # No match statement: this is asked for every name of every file.
        if isinstance(node, ast.Name):
            return self._name_of_name(node)
        if isinstance(node, ast.Attribute):
            of_self = self._of_self(node)
            if of_self is not None:
                return of_self
            base = self.name(node.value)
            return None if base is None else canonical(f"{base}.{node.attr}")
        if isinstance(node, ast.Call):
            called = self.name(node.func)
            if called == "functools.partial" and node.args:
                return self.name(node.args[0])
            return None if called is None else f"{called}()"
        if isinstance(node, (ast.Await, ast.NamedExpr)):
            return self.name(node.value)
        if isinstance(node, ast.IfExp):
            one, other = self.name(node.body), self.name(node.orelse)
            return one if one == other else None
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or) and len(node.values) == 2:
            return self.name(node.values[1])
        return None

    def _name_of_name(self, node: ast.Name) -> str | None:
        scope = self.scope(node)
        found = scope.find(node.id)
        if found is None:
            return node.id  # a built-in, or what a star import brought
        if len(found) == 1:
            return self._name_of_binding(found[0])
        names = {self._name_of_binding(binding) for binding in found}
        return names.pop() if len(names) == 1 else None

    def _name_of_binding(self, binding: str | ast.AST | None) -> str | None:
        if isinstance(binding, str):
            return canonical(binding)
        if isinstance(binding, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return f".{binding.name}"
        if isinstance(binding, ast.arg):
            return self._of_annotation(binding.annotation)
        return None if binding is None else self.name(binding)

    def _of_annotation(self, annotation: ast.expr | None) -> str | None:
        if isinstance(annotation, ast.BinOp) and isinstance(annotation.right, ast.Constant):
            annotation = annotation.left  # X | None
        elif isinstance(annotation, ast.Subscript) and self.name(annotation.value) in ("typing.Optional",):
            annotation = annotation.slice
        name = self.name(annotation)
        return None if name is None or "." not in name.lstrip(".") else f"{name}()"

    def _class_of_self(self, name: ast.Name) -> ast.ClassDef | None:
        """The class of ``self``, where that is what a name is in a method."""
        scope = self.scope(name)
        if scope not in self._methods:
            self._methods[scope] = self._method(scope)
        method = self._methods[scope]
        return method[1] if method is not None and method[0] == name.id else None

    def _method(self, scope: Scope) -> tuple[str, ast.ClassDef] | None:
        """What the method around a scope calls its object, and the class that it belongs to."""
        around: Scope | None = scope
        while around is not None:
            function, owner = around.node, self._parents.get(around.node)
            if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)) and isinstance(owner, ast.ClassDef):
                first = [*function.args.posonlyargs, *function.args.args][:1]
                return (first[0].arg, owner) if first else None
            around = around.parent
        return None

    def _of_self(self, node: ast.Attribute) -> str | None:
        if not isinstance(node.value, ast.Name):
            return None
        owner = self._class_of_self(node.value)
        if owner is None:
            return None
        values = self._attributes[owner].get(node.attr)
        if not values:
            defined = any(isinstance(one, ast.FunctionDef) and one.name == node.attr for one in owner.body)
            return f".{owner.name}.{node.attr}" if defined else None
        names = {self.name(value) for value in values if not _is_none(value)}
        return names.pop() if len(names) == 1 else None

    def values(self, node: ast.expr) -> list[ast.expr]:
        """The expressions that a name or an attribute of ``self`` was given, itself for any other; empty if unknown."""
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = self._class_of_self(node.value)
            given = [] if owner is None else self._attributes[owner].get(node.attr, [])
            return [one for one in given if one is not None] if given and None not in given else []
        if not isinstance(node, ast.Name):
            return [node]
        found = self.scope(node).find(node.id)
        if found is None or not all(isinstance(one, ast.expr) for one in found):
            return []
        return [one for one in found if isinstance(one, ast.expr)]

    def definition(self, node: ast.AST | None) -> Function | ast.ClassDef | None:
        """The function, lambda or class of this module that an expression stands for."""
        match node:
            case ast.Lambda():
                return node
            case ast.Call() if self.name(node.func) == "functools.partial" and node.args:
                return self.definition(node.args[0])
            case ast.Name():
                found = self.scope(node).find(node.id)
                if found is None or len(found) != 1:
                    return None
                (one,) = found
                if isinstance(one, (*_FUNCTIONS, ast.ClassDef)):
                    return one
                return self.definition(one) if isinstance(one, ast.expr) and one is not node else None
            case ast.Attribute(value=ast.Name()):
                owner = self._class_of_self(node.value) if isinstance(node.value, ast.Name) else None
                methods = [] if owner is None else owner.body
                for method in methods:
                    if isinstance(method, (ast.FunctionDef, ast.AsyncFunctionDef)) and method.name == node.attr:
                        return method
        return None

    def constant(self, node: ast.AST | _Marker | None) -> Any:
        """The value of a literal, or of a name that was given one; ``UNKNOWN`` for all else."""
        if not isinstance(node, ast.expr):
            return UNKNOWN
        if isinstance(node, (ast.Name, ast.Attribute)):
            values = self.values(node)
            if len(values) != 1 or isinstance(values[0], (ast.Name, ast.Attribute)):
                return UNKNOWN
            node = values[0]
        try:
            return ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return UNKNOWN

    # -- what is done -----------------------------------------------------------------------------------------

    @cached_property
    def _calls(self) -> dict[str, list[Call]]:
        found: dict[str, list[Call]] = defaultdict(list)
        partials = "partial" in self.text
        for node in self.all(ast.Call):
            name = self.name(node.func)
            if name is None:
                continue
            if name == "functools.partial" and node.args:
                held = self.name(node.args[0])
                if held is not None:
                    found[held].append(Call(node, held, None, True))
                continue
            found[name].append(Call(node, name, self._bound(node.func) if partials else None, False))
        return dict(found)

    def _bound(self, function: ast.expr) -> ast.Call | None:
        """The ``functools.partial`` that a called name holds."""
        if not isinstance(function, (ast.Name, ast.Attribute)):
            return None
        values = self.values(function)
        if len(values) == 1 and isinstance(values[0], ast.Call) and self.name(values[0].func) == "functools.partial":
            return values[0]
        return None

    def calls(self, *names: str) -> Iterator[Call]:
        """The calls of any of these, by dotted name; a name that ends with ``.*`` takes all that begin so."""
        for wanted in names:
            if wanted.endswith(".*"):
                for name, calls in self._calls.items():
                    if name.startswith(wanted[:-1]):
                        yield from calls
            else:
                yield from self._calls.get(wanted, ())

    @cached_property
    def called(self) -> frozenset[str]:
        """The dotted names of everything that is called."""
        return frozenset(self._calls)

    def call(self, node: ast.AST | None) -> Call | None:
        """A call node as a ``Call``, or None where it is none or its callee is not known."""
        if not isinstance(node, ast.Call):
            return None
        name = self.name(node.func)
        return None if name is None else next((one for one in self._calls.get(name, ()) if one.node is node), None)

    def assigned(self, *names: str) -> Iterator[tuple[ast.stmt, ast.expr]]:
        """The assignments to a dotted name, such as ``torch.backends.cudnn.benchmark``: statement and value."""
        for name, statement, value in self._assigned:
            if name in names:
                yield statement, value

    @cached_property
    def _assigned(self) -> list[tuple[str, ast.stmt, ast.expr]]:
        found: list[tuple[str, ast.stmt, ast.expr]] = []
        for node in self.all(ast.Assign):
            for target in node.targets:
                name = self._target(target)
                if name is not None:
                    found.append((name, node, node.value))
        return found

    def _target(self, target: ast.expr) -> str | None:
        if isinstance(target, ast.Attribute):
            return self.name(target)
        if isinstance(target, ast.Subscript) and self.name(target.value) == _ENVIRONMENT:
            key = self.constant(target.slice)
            return f"{_ENVIRONMENT}[{key}]" if isinstance(key, str) else None
        return None

    @cached_property
    def facts(self) -> frozenset[str]:
        """What is done here that may mend a flaw in another file of the project.

        The dotted names of what is called (``torch.manual_seed``); of what is assigned, with ``=`` and its value where
        that is a literal (``torch.backends.cudnn.benchmark=False``); ``os.environ[NAME]`` where a variable is set; and
        for keyword arguments with a literal value, ``callee(keyword=value)``. A method of an object that is not known
        is ``?.method``, and ``*.method(seed)`` any method or function that is given a seed. ``seeds:torch`` and
        ``draws:torch`` (and python, numpy, torch-cuda) say what is seeded and drawn from, ``trains`` that something is
        trained.
        """
        facts = {*self._calls, *stream_facts(self), *device_facts(self)}
        for node in self.all(ast.Call):
            if isinstance(node.func, ast.Attribute) and self.name(node.func) is None:
                facts.add(f"?.{node.func.attr}")
            facts.update(_seedings_by_method(node))
        for name, _, value in self._assigned:
            literal = self.constant(value)
            facts.add(f"{name}={literal!r}" if literal is not UNKNOWN else f"{name}=")
            if name.startswith(f"{_ENVIRONMENT}["):
                facts.add(name)
        for call in self.calls(f"{_ENVIRONMENT}.setdefault", "os.putenv"):
            key = self.constant(call.argument(None, 0))
            if isinstance(key, str):
                facts.add(f"{_ENVIRONMENT}[{key}]")
        for name, calls in self._calls.items():
            for call in calls:
                for given in call.keywords:
                    literal = self.constant(given.value) if given.arg else UNKNOWN
                    if isinstance(literal, (bool, str, int)):
                        facts.add(f"{name}({given.arg}={literal!r})")
        return frozenset(facts)

    @cached_property
    def imports(self) -> frozenset[str]:
        """The top-level modules that are imported anywhere here, by their canonical names."""
        found: set[str] = set()
        for node in self.all(ast.Import):
            found.update(canonical(one.name).partition(".")[0] for one in node.names)
        for node_from in self.all(ast.ImportFrom):
            if node_from.module and not node_from.level:
                found.add(canonical(node_from.module).partition(".")[0])
        return frozenset(found)

    @cached_property
    def is_script(self) -> bool:
        """Whether this file is run as a program: it has a ``__main__`` guard, or its top level does something."""
        for node in self.tree.body:
            if isinstance(node, ast.If) and "__name__" in ast.dump(node.test):
                return True
        return any(
            isinstance(node, (ast.For, ast.While, ast.With))
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
            for node in self.tree.body
        )

    def order_matters(self, node: ast.expr) -> bool:
        """Whether something is made of an iterable's elements in the order in which they come, as far as can be seen.

        True where it is looped over, unpacked, made a list of or joined; false where it is sorted, counted or kept.
        """
        around = self._parents.get(node)
        match around:
            case ast.For(iter=iterated) | ast.AsyncFor(iter=iterated) if iterated is node:
                return True
            case ast.comprehension(iter=iterated) if iterated is node:
                made = self._parents[around]
                if isinstance(made, ast.SetComp):
                    return False
                return self._kept_in_order(made) if isinstance(made, (ast.GeneratorExp, ast.ListComp)) else True
            case ast.Starred():
                return True
            case ast.Call():
                return node in around.args and self._consumes_in_order(around)
            case ast.Subscript(value=subscripted) if subscripted is node:
                return True
        return False

    def _consumes_in_order(self, call: ast.Call) -> bool:
        name = self.name(call.func)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "join":
            return True
        if name in ("list", "tuple", "iter", "enumerate", "zip", "map", "filter", "reversed", "next"):
            return self._kept_in_order(call)
        return name in ("sum", "numpy.array", "numpy.stack", "torch.tensor", "torch.stack", "itertools.chain", "dict")

    def _kept_in_order(self, made: ast.expr) -> bool:
        """Whether a sequence that was made goes on in its order, and is not at once sorted or counted."""
        around = self._parents.get(made)
        if isinstance(around, ast.Call) and made in around.args:
            name = self.name(around.func)
            return not (name in _ORDERLESS or (name or "").rpartition(".")[2] in ("sort", "sorted", "natsorted"))
        if isinstance(around, (ast.Assign, ast.AnnAssign)) and not self._sorted_later(around):
            return True
        return not isinstance(around, (ast.Assign, ast.AnnAssign, ast.Compare))

    def _sorted_later(self, statement: ast.stmt) -> bool:
        """Whether the name that a statement assigns is sorted in place, or shuffled, in the same function."""
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        names = {ast.dump(target).replace("Store()", "Load()") for target in targets}
        function = self.function(statement)
        for call in self.all(ast.Call):
            if self.function(call) is not function:
                continue
            if isinstance(call.func, ast.Attribute) and call.func.attr == "sort" and ast.dump(call.func.value) in names:
                return True
            if self.name(call.func) in _ORDERLESS and call.args and ast.dump(call.args[0]) in names:
                return True
        return False

    # -- mending ----------------------------------------------------------------------------------------------

    def segment(self, node: ast.AST) -> str:
        """The text of a node."""
        line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
        end, end_column = getattr(node, "end_lineno", None), getattr(node, "end_col_offset", None)
        if not line or end is None or end_column is None:
            return ""
        return _between(self._lines, (line, column), (end, end_column)).decode()

    @cached_property
    def _lines(self) -> list[bytes]:
        """The text's lines in UTF-8, in which ``ast`` counts columns."""
        return self.text.encode().split(b"\n")

    def replaced(self, node: ast.expr | ast.stmt, text: str) -> Edit:
        """The edit that puts ``text`` in a node's place."""
        return Edit(node.lineno, node.col_offset, node.end_lineno or node.lineno, node.end_col_offset or 0, text)

    def wrapped(self, node: ast.expr, before: str, after: str) -> tuple[Edit, Edit]:
        """The edits that put text around an expression."""
        end, column = node.end_lineno or node.lineno, node.end_col_offset or 0
        start = Edit(node.lineno, node.col_offset, node.lineno, node.col_offset, before)
        return start, Edit(end, column, end, column, after)

    def with_argument(self, call: ast.Call, text: str) -> Edit | None:
        """The edit that adds a last argument, such as ``generator=g``; None where the call's end cannot be told."""
        line, column = call.end_lineno or call.lineno, (call.end_col_offset or 1) - 1
        last = max((*call.args, *(one.value for one in call.keywords)), key=_end, default=None)
        if last is None:
            return Edit(line, column, line, column, text)
        between = _between(self._lines, _end(last), (line, column))
        if b"#" in between:
            return None
        comma = b"," in between
        at = (line, column) if comma else _end(last)
        # A bracketed last argument ends before its bracket: then the text goes to the call's own end.
        if b")" in between:
            at, comma = (line, column), comma or between.rstrip().endswith(b",")
        return Edit(*at, *at, text if comma else f", {text}")

    def before(self, statement: ast.stmt, text: str) -> Edit:
        """The edit that puts a line above a statement, indented like it."""
        return Edit(
            statement.lineno,
            statement.col_offset,
            statement.lineno,
            statement.col_offset,
            text + "\n" + " " * statement.col_offset,
        )


def _seedings_by_method(call: ast.Call) -> Iterator[str]:
    """``*.reset(seed)`` where something is given a seed by that keyword, ``*.action_space.seed`` where a part is."""
    called = call.func
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    if name and any(given.arg == "seed" and not _is_none(given.value) for given in call.keywords):
        yield f"*.{name}(seed)"
    if name == "seed" and isinstance(called, ast.Attribute) and isinstance(called.value, ast.Attribute):
        yield f"*.{called.value.attr}.seed"


def _end(node: ast.expr) -> tuple[int, int]:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


def _between(lines: list[bytes], start: tuple[int, int], end: tuple[int, int]) -> bytes:
    """The text between two positions, lines counted from 1."""
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    parts = [lines[start[0] - 1][start[1] :], *lines[start[0] : end[0] - 1], lines[end[0] - 1][: end[1]]]
    return b"\n".join(parts)


def _is_none(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is None
