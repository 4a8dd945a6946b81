"""What is made of an iterable's elements in the order in which they come."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from auditor.source.streams import draws

if TYPE_CHECKING:
    from auditor.source.module import Module

# numbered: by position; picked: one by its position; sampled: at random; drawn: random numbers, one after another;
# paired: with another iterable; collected, joined, summed, yielded: one after another; first: the first that fits;
# returned, kept, passed: as a sequence, to where nobody looks.
Use = Literal[
    "numbered",
    "sampled",
    "drawn",
    "paired",
    "collected",
    "joined",
    "summed",
    "yielded",
    "picked",
    "first",
    "returned",
    "kept",
    "passed",
]

IN_WORDS: dict[Use, str] = {
    "numbered": "numbered in that order",
    "sampled": "sampled from in that order",
    "drawn": "given random numbers in that order",
    "paired": "paired with others in that order",
    "collected": "collected in that order",
    "joined": "joined in that order",
    "summed": "added up in that order",
    "yielded": "given on in that order",
    "picked": "picked by position",
    "first": "searched for the first that fits",
    "returned": "returned in that order",
    "kept": "kept in that order",
    "passed": "passed on in that order",
}
DECISIVE: frozenset[Use] = frozenset({"numbered", "sampled", "drawn", "paired"})
"""Uses whose outcome is another one in another order, whatever comes after."""

_STEPS = 5
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Adding floats depends on their order: sum is none of these.
_ORDERLESS = _words(
    "sorted len min max any all set frozenset bool isinstance id type print repr str hash vars del dict"
)
_SAME = _words(
    "iter reversed filter map tqdm trange track progress_bar cycle islice chain from_iterable list tuple copy"
    " deepcopy asarray deque tqdm_notebook auto_tqdm"
)
_ARRAYS = _words(
    "array concatenate stack vstack hstack dstack column_stack cat tensor as_tensor LongTensor FloatTensor Tensor"
    " from_numpy fromiter DataFrame Series concat ConcatDataset ChainDataset"
)
_SAMPLERS = _words("choice choices sample shuffle permutation train_test_split random_split permuted")
_GROWING = _words("append extend insert put appendleft put_nowait add_row append_row writerow write_row")
_TELLERS = _words("print warn warning warn_once info debug error exception critical log echo fail log_once")
_QUIET = _TELLERS | _words(
    "write_text format add discard remove unlink rmtree copytree copy2 copyfile move rename makedirs mkdir symlink"
    " isdir isfile exists rmdir issubset issuperset isdisjoint intersection union difference symmetric_difference"
    " update intersection_update get pop difference_update fromkeys Counter"
)


def uses(module: Module, node: ast.expr) -> frozenset[Use]:
    """The uses of what an expression gives, as far as this file shows them."""
    return frozenset(_uses(module, node, _STEPS))


def in_words(found: frozenset[Use]) -> str:
    """What is done with the elements, the gravest first."""
    return next(words for use, words in IN_WORDS.items() if use in found)


def _uses(module: Module, node: ast.expr, steps: int) -> Iterator[Use]:
    if steps <= 0:
        return
    around = module.parent(node)
    match around:
        case ast.For() | ast.AsyncFor() if around.iter is node:
            yield from _of_loop(module, around, steps)
        case ast.comprehension() if around.iter is node:
            yield from _of_comprehension(module, around, steps)
        case ast.Call() if node in around.args:
            yield from _of_argument(module, around, node, steps)
        case ast.Starred():
            outer = module.parent(around)
            if isinstance(outer, ast.Set):
                return
            if not (isinstance(outer, ast.Call) and _last(module, outer) in _ORDERLESS | _QUIET):
                yield "collected"
        case ast.Subscript() if around.value is node:
            if not (isinstance(around.slice, ast.Constant) and isinstance(around.slice.value, str)):
                yield "picked"
        case ast.Assign() | ast.AnnAssign() if around.value is node:
            targets = around.targets if isinstance(around, ast.Assign) else [around.target]
            for target in targets:
                yield from _of_target(module, target, node, steps)
        case ast.AugAssign() if around.value is node:
            yield "collected"
        case ast.Return() | ast.Yield():
            yield "returned"
        case ast.YieldFrom():
            yield "yielded"
        case ast.BinOp(op=ast.Add()) | ast.IfExp() | ast.BoolOp() | ast.NamedExpr() | ast.Await():
            if node is not getattr(around, "test", None):
                yield from _uses(module, around, steps - 1)
        case ast.keyword():
            call = module.parent(around)
            if isinstance(call, ast.Call) and around.arg != "key" and not _quiet(module, call):
                yield "passed"


def _of_target(module: Module, target: ast.expr, value: ast.expr, steps: int) -> Iterator[Use]:
    if isinstance(target, (ast.Tuple, ast.List)):
        yield "picked"
    elif isinstance(target, ast.Attribute):
        yield "kept"
    elif isinstance(target, ast.Name):
        yield from _of_name(module, target, value, steps)


def _of_name(module: Module, target: ast.Name, value: ast.expr, steps: int) -> Iterator[Use]:
    """The uses of a name in the function where it is given a value; none where it is sorted there."""
    function = module.function(target)
    loads = [
        one
        for one in module.all(ast.Name)
        if one.id == target.id
        and isinstance(one.ctx, ast.Load)
        and (module.function(one) is function or value in module.values(one))
    ]
    if any(_is_sorted(module, one) for one in loads):
        return
    for one in loads:
        yield from _uses(module, one, steps - 1)


def _is_sorted(module: Module, load: ast.Name) -> bool:
    around = module.parent(load)
    if isinstance(around, ast.Attribute):
        return around.attr == "sort"
    sorting = False
    for around in module.parents(load):
        if isinstance(around, ast.stmt):
            # x = sorted(x), x = sorted(f(one) for one in x), natsort(x)
            return sorting and (
                isinstance(around, ast.Expr)
                or (
                    isinstance(around, ast.Assign)
                    and any(isinstance(one, ast.Name) and one.id == load.id for one in around.targets)
                )
            )
        sorting = sorting or (isinstance(around, ast.Call) and "sort" in _last(module, around))
    return False


def _last(module: Module, call: ast.Call) -> str:
    """The last part of a callee's name, as far as it is written."""
    name = module.name(call.func)
    if name is None:
        return call.func.attr if isinstance(call.func, ast.Attribute) else ""
    return name.rpartition(".")[2]


def _quiet(module: Module, call: ast.Call) -> bool:
    """Whether a call only tells something, raises, or does to each element what needs no order."""
    last = _last(module, call)
    return (
        last in _ORDERLESS
        or last in _QUIET
        or "sort" in last
        or last.startswith(("log", "warn", "print", "assert", "is_", "check", "validate", "raise"))
        or last.endswith(("Error", "Exception", "Warning", "Set"))
        or told(module, call)
    )


def told(module: Module, node: ast.AST) -> bool:
    """Whether a node is part of a message: what is raised, asserted, logged or printed."""
    for around in module.parents(node):
        if isinstance(around, (ast.Raise, ast.Assert)):
            return True
        if isinstance(around, ast.Call) and _last(module, around) in _TELLERS:
            return True
        if isinstance(around, ast.stmt):
            return False
    return False


def _of_argument(module: Module, call: ast.Call, node: ast.expr, steps: int) -> Iterator[Use]:
    last = _last(module, call)
    if last == "enumerate":
        if _position_is_used(module, call):
            yield "numbered"
        yield from _uses(module, call, steps - 1)
    elif last in _SAME or "tqdm" in last:
        if not (last == "map" and node is call.args[0]):
            yield from _uses(module, call, steps - 1)
    elif last == "zip":
        if len(call.args) > 1 and not _alike(call):
            yield "paired"
        yield from _uses(module, call, steps - 1)
    elif last == "next":
        yield "picked"
    elif last == "join":
        if isinstance(call.func, ast.Attribute) and not told(module, call) and module.name(call.func) != "os.path.join":
            yield "joined"
    elif last == "sum":
        yield "summed"
    elif last in _ARRAYS:
        yield "collected"
    elif last in _SAMPLERS:
        yield "sampled"
    elif last == "extend":
        yield from _of_growing(module, call, steps)
    elif last != "append" and not _quiet(module, call):
        yield "passed"


def _alike(call: ast.Call) -> bool:
    """Whether everything that is zipped is of one collection: its keys and its values, say."""
    return len({ast.dump(_owner(one)) for one in call.args}) == 1


def _owner(node: ast.expr) -> ast.expr:
    while isinstance(node, (ast.Call, ast.Attribute)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node


def _position_is_used(module: Module, call: ast.Call) -> bool:
    """Whether the first of the two names that a loop over ``enumerate`` binds is used beyond messages."""
    around = module.parent(call)
    while isinstance(around, ast.Call):  # tqdm(enumerate(...))
        call, around = around, module.parent(around)
    if isinstance(around, ast.comprehension):
        made = module.parent(around)
        inside = list(ast.walk(made)) if made is not None else []
    elif isinstance(around, (ast.For, ast.AsyncFor)):
        inside = [node for statement in around.body for node in ast.walk(statement)]
    else:
        return False
    first = around.target.elts[0] if isinstance(around.target, ast.Tuple) and around.target.elts else None
    return isinstance(first, ast.Name) and any(
        isinstance(node, ast.Name)
        and node.id == first.id
        and isinstance(node.ctx, ast.Load)
        and not told(module, node)
        and not isinstance(module.parent(node), (ast.Compare, ast.BinOp))
        and not _looks_up(module, node)
        for node in inside
    )


def _looks_up(module: Module, node: ast.Name) -> bool:
    """Whether a position only finds what lies at the same place in another list."""
    around = module.parent(node)
    return isinstance(around, ast.Subscript) and around.slice is node and isinstance(around.ctx, ast.Load)


def _of_comprehension(module: Module, comprehension: ast.comprehension, steps: int) -> Iterator[Use]:
    made = module.parent(comprehension)
    if made is None or isinstance(made, ast.SetComp):
        return
    if _draws(module, [made]):
        yield "drawn"
    if isinstance(made, (ast.ListComp, ast.GeneratorExp)):
        yield from _uses(module, made, steps - 1)


def _draws(module: Module, nodes: list[ast.AST]) -> bool:
    inside = {draw.node for draw in draws(module)}
    return bool(inside) and any(node in inside for around in nodes for node in ast.walk(around))


def _of_loop(module: Module, loop: ast.For | ast.AsyncFor, steps: int) -> Iterator[Use]:
    inside = list(body(loop.body))
    if _draws(module, list(loop.body)):
        yield "drawn"
    counters = {
        node.target.id
        for node in inside
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name) and is_count(node.value)
    }
    for node in inside:
        match node:
            case ast.Yield() | ast.YieldFrom():
                yield "yielded"
            case ast.Call(func=ast.Attribute(attr=method)) if method in _GROWING:
                yield from _of_growing(module, node, steps)
            case ast.Assign(targets=[ast.Subscript() as target]):
                if _numbers(target, node.value, counters):
                    yield "numbered"
            case ast.AugAssign(op=ast.Add() | ast.Sub() | ast.Mult()) if not is_count(node.value):
                yield from _of_addition(module, node, steps)
            case ast.Return(value=ast.expr() as value):
                if not isinstance(value, ast.Constant):
                    yield "first"
            case ast.Break():
                yield "first"


def body(statements: list[ast.stmt]) -> Iterator[ast.AST]:
    """The nodes of a loop's body, without the functions that are defined in it."""
    pending: list[ast.AST] = list(reversed(statements))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, _FUNCTIONS):
            pending.extend(ast.iter_child_nodes(node))


def is_count(node: ast.expr) -> bool:
    """Whether what is added is a whole number for certain: exact in any order."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int)
    if isinstance(node, ast.Call):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        return name in ("len", "int", "numel", "getsize", "size", "nelement", "stat", "count")
    return isinstance(node, ast.Attribute) and node.attr in ("st_size", "size", "nbytes")


def _of_addition(module: Module, node: ast.AugAssign, steps: int) -> Iterator[Use]:
    # What the name was given before, in any of its assignments.
    before = module.scope(node).find(node.target.id) if isinstance(node.target, ast.Name) else None
    begun = [node.value, *(one for one in before or () if isinstance(one, ast.expr))]
    if not any(isinstance(one, (ast.List, ast.ListComp, ast.Tuple)) for one in begun):
        yield "joined" if any(_is_text(one) for one in begun) else "summed"
    elif not isinstance(node.target, ast.Name) or set(_of_name(module, node.target, node.value, steps - 1)) - {
        "picked"
    }:
        yield "collected"


def _is_text(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return _is_text(node.left) or _is_text(node.right)
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _numbers(target: ast.Subscript, value: ast.expr, counters: set[str]) -> bool:
    """Whether an element is given its position: ``index[x] = len(index)``, ``index[x] = counter``."""
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "len":
        return bool(value.args) and ast.dump(value.args[0]) == ast.dump(target.value)
    return isinstance(value, ast.Name) and value.id in counters


def _of_growing(module: Module, call: ast.Call, steps: int) -> Iterator[Use]:
    """The uses of the list that a loop's elements are appended to."""
    owner = call.func.value if isinstance(call.func, ast.Attribute) else None
    values = module.values(owner) if isinstance(owner, ast.Name) else []
    if not isinstance(owner, ast.Name) or not values:
        yield "collected"
        return
    found = {use for value in values for use in _of_name(module, owner, value, steps - 1)}
    if found - {"picked"}:
        yield "collected"
    yield from found & (DECISIVE | {"picked"})
