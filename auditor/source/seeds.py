"""What a seed is made of: constants, the clock, a worker's number, a loop's variable, followed through names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from auditor.source.module import Call, Function, Module
from auditor.source.scopes import parameters

_CLOCKS = frozenset(
    {
        *(f"time.{one}{unit}" for one in ("time", "perf_counter", "monotonic", "process_time") for unit in ("", "_ns")),
        *(f"datetime.datetime.{one}" for one in ("now", "utcnow", "today")),
    }
)
_UNSTABLE: dict[str, str] = {
    **dict.fromkeys(_CLOCKS, "the clock"),
    "os.getpid": "the process's number",
    "os.getppid": "the parent process's number",
    "threading.get_ident": "a thread's number",
    "os.urandom": "the system's entropy",
    **{f"secrets.{one}": "the system's entropy" for one in ("randbits", "randbelow", "token_bytes", "token_hex")},
    **{f"uuid.{one}": "a random UUID" for one in ("uuid1", "uuid4")},
    **{f"random.SystemRandom().{one}": "the system's entropy" for one in ("randint", "getrandbits", "randrange")},
    "id": "an address in memory",
    "hash": "Python's hash, which for text is another one in each process",
}
_STEPS = 2


class Part(NamedTuple):
    """A node that a value is made of; ``fallback`` where it is only used if something else is not given."""

    node: ast.AST
    fallback: bool


class Unstable(NamedTuple):
    """A call whose value differs from run to run: its dotted name, what it is in words, and whether that is sure."""

    node: ast.Call
    name: str
    what: str
    fallback: bool
    sure: bool


def parts(module: Module, value: ast.expr, steps: int = _STEPS, fallback: bool = False) -> Iterator[Part]:
    """The nodes of an expression, and of the values that names in it were given, a few steps away."""
    pending: list[tuple[ast.AST, bool]] = [(value, fallback)]
    while pending:
        node, chosen = pending.pop()
        yield Part(node, chosen)
        if isinstance(node, (ast.Lambda, *_COMPREHENSIONS)):
            continue
        inner = chosen or isinstance(node, (ast.IfExp, ast.BoolOp))
        pending += [(child, inner) for child in ast.iter_child_nodes(node)]
        if not isinstance(node, (ast.Name, ast.Attribute)) or steps == 0:
            continue
        found = module.values(node)
        for one in found:
            if one is not node:
                yield from parts(module, one, steps - 1, inner or len(found) > 1 or _is_guarded(module, one))


_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def _is_guarded(module: Module, value: ast.expr) -> bool:
    """Whether a value is assigned under an ``if`` that asks for what is assigned, as in ``if seed is None``."""
    statement = module.statement(value)
    around = None if statement is None else module.parent(statement)
    return isinstance(around, ast.If)


def stands_in(module: Module, node: ast.AST) -> bool:
    """Whether something is done only where a parameter was given nothing, as in ``if key is None``."""
    function = module.function(node)
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    given = {one.arg for one in parameters(function)}
    return any(
        isinstance(around, (ast.If, ast.IfExp))
        and isinstance(around.test, ast.Compare)
        and isinstance(around.test.ops[0], ast.Is)
        and isinstance(around.test.left, ast.Name)
        and around.test.left.id in given
        for around in module.parents(node)
    )


def unstable(module: Module, value: ast.expr) -> Unstable | None:
    """The first part of a seed that differs from run to run; None where there is none in sight."""
    for node, fallback in parts(module, value):
        if not isinstance(node, ast.Call):
            continue
        name = module.name(node.func)
        what = _UNSTABLE.get(name or "")
        if name is None or what is None:
            continue
        if name == "hash":
            if not node.args or _is_number(module, node.args[0]):
                continue
            return Unstable(node, name, what, fallback, _is_text(module, node.args[0]))
        return Unstable(node, name, what, fallback, True)
    return None


def _is_text(module: Module, node: ast.expr) -> bool:
    """Whether a value is text, or holds text, as far as can be seen."""
    for part, _ in parts(module, node, 1):
        if isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str)):
            return True
        if isinstance(part, ast.Call) and module.name(part.func) in ("str", "repr"):
            return True
        if isinstance(part, ast.Attribute) and part.attr in ("name", "__name__", "__qualname__", "stem"):
            return True
    return False


def _is_number(module: Module, node: ast.expr) -> bool:
    """Whether a value is made of numbers alone, whose hash is the same everywhere."""
    return all(
        isinstance(part.value, (int, float)) if isinstance(part, ast.Constant) else not isinstance(part, _TOLD_NOTHING)
        for part, _ in parts(module, node, 0)
    )


_TOLD_NOTHING = (ast.Name, ast.Attribute, ast.Call, ast.JoinedStr, ast.Subscript)


def names(node: ast.AST) -> set[str]:
    """The names that an expression reads."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}


def varies_in(loop: ast.AST, seed: ast.expr) -> bool:
    """Whether a seed may be another one in each turn of a loop: it reads what the loop binds, or calls something."""
    bound: set[str] = set()
    for one in ast.walk(loop):
        if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
            bound.add(one.id)
        # self.epoch += 1, and state["epoch"] = n
        elif isinstance(one, (ast.Attribute, ast.Subscript)) and isinstance(one.ctx, ast.Store):
            bound |= names(one.value)
    if any(isinstance(one, (ast.Call, ast.Await, ast.Yield)) for one in ast.walk(seed) if not _is_cast(one)):
        return True
    return not names(seed).isdisjoint(bound)


def _is_cast(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("int", "str", "abs")


def generator_seeds(module: Module) -> Iterator[tuple[ast.Call, str, ast.expr]]:
    """The seeds that generators of one's own, and whatever takes a ``seed`` or ``random_state``, are given."""
    for name in module.called:
        makes = name in _GENERATORS
        for call in module.calls(name):
            for keyword in (one.arg for one in call.keywords if one.arg in _SEED_ARGUMENTS):
                given = call.argument(keyword)
                if isinstance(given, ast.expr):
                    yield call.node, name, given
            first = call.argument(None, 0) if makes else None
            if isinstance(first, ast.expr):
                yield call.node, name, first


_GENERATORS = frozenset(
    {
        "random.Random",
        "torch.Generator().manual_seed",
        "jax.random.PRNGKey",
        "jax.random.key",
        "tensorflow.random.set_seed",
        *(
            f"numpy.random.{one}"
            for one in ("default_rng", "RandomState", "SeedSequence", "PCG64", "MT19937", "Philox")
        ),
    }
)
_SEED_ARGUMENTS = frozenset({"seed", "random_state", "random_seed", "manual_seed", "rng_seed"})


@lru_cache(maxsize=4)
def worker_inits(module: Module) -> dict[Function, list[Call | None]]:
    """The functions that seed a DataLoader's workers, with the calls that they are given to (None: by its name)."""
    found: dict[Function, list[Call | None]] = {}
    for name in module.called:
        for call in module.calls(name):
            if not any(one.arg == "worker_init_fn" for one in call.keywords):
                continue
            given = call.argument("worker_init_fn")
            function = module.definition(given) if isinstance(given, ast.expr) else None
            if function is not None and not isinstance(function, ast.ClassDef):
                found.setdefault(function, []).append(call)
    for node in module.all(ast.FunctionDef):
        method = isinstance(module.parent(node), ast.ClassDef)
        if node.name.strip("_") in _WORKER_INITS and node.args.args and not method:
            found.setdefault(node, []).append(None)
    return found


_WORKER_INITS = frozenset(
    {"worker_init_fn", "worker_init", "seed_worker", "init_worker", "worker_seed", "worker_seed_fn", "init_fn"}
)


def inside(module: Module, node: ast.AST, function: ast.AST) -> bool:
    """Whether a node is in a function or class, at any depth."""
    return any(around is function for around in module.parents(node))
