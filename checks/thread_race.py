"""Threads that change the same thing in whatever order they run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Call, Module
from auditor.source.sequences import body, is_count
from auditor.source.streams import draws

_BAD = """import threading

total = 0.0
lock = threading.Lock()


def add(number):
    global total
    with lock:
        total += 1 / number


threads = [threading.Thread(target=add, args=(number,)) for number in range(1, 9)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(total)
"""
_DRAW = """import random
from concurrent.futures import ThreadPoolExecutor

random.seed(0)


def augment(number):
    return number + random.random()


with ThreadPoolExecutor(4) as pool:
    print(sum(pool.map(augment, range(8))))
"""
_COLLECT = """from multiprocessing.pool import ThreadPool


class Loader:
    def __init__(self):
        self.samples = []

    def load(self, number):
        self.samples.append(number * 0.5)

    def run(self):
        with ThreadPool(4) as pool:
            pool.map(self.load, range(8))
        return self.samples


print(sum(Loader().run()))
"""

RULE = Rule(
    id="thread-race",
    title="Threads change the same thing in whatever order they run",
    topic="order",
    level="bit-exact",
    severity="warning",
    confidence="possible",
    since="0.1.0",
    why=(
        "Which thread comes first is decided by the system anew in each run. Floats that several threads add to one "
        "sum have other last bits then, a list that they fill has another order, and random numbers that they draw "
        "from one stream go to others. A lock prevents lost updates; it does not fix the order."
    ),
    remedy=(
        "Let each thread return its part, and have one thread put the parts together in the order of the tasks; give "
        "each task a generator of its own."
    ),
    bad=(Example(_BAD), Example(_DRAW), Example(_COLLECT)),
    good=(
        # Whole numbers add up to the same in any order.
        Example(_BAD.replace("total += 1 / number", "total += 1")),
        Example(
            _DRAW.replace("number + random.random()", "number + random.Random(number).random()"),
        ),
        Example(_COLLECT.replace("return self.samples", "return sorted(self.samples)")),
        Example(
            _COLLECT.replace("self.samples.append(number * 0.5)", "return number * 0.5").replace(
                "pool.map(self.load, range(8))", "self.samples = pool.map(self.load, range(8))"
            )
        ),
        # One thread alone races with nobody.
        Example(
            _BAD.replace(
                "threads = [threading.Thread(target=add, args=(number,)) for number in range(1, 9)]",
                "thread = threading.Thread(target=add, args=(3,))\nthreads = [thread]",
            )
        ),
    ),
    sources=(
        "https://docs.python.org/3/library/threading.html#thread-objects",
        "https://docs.python.org/3/library/random.html#notes-on-reproducibility",
    ),
)

_POOLS = ("concurrent.futures.ThreadPoolExecutor()", "multiprocessing.ThreadPool()", "multiprocessing.dummy.Pool()")
_POOL_METHODS = ("submit", "map", "imap", "imap_unordered", "starmap", "apply_async", "map_async", "starmap_async")
_GROWING = ("append", "extend", "insert")


def see_source(module: Module) -> Iterator[Sighting]:
    """Functions that several threads run, and that add to, fill or draw from what they share."""
    seen: set[ast.AST] = set()
    for function in _run_by_threads(module):
        if function in seen:
            continue
        seen.add(function)
        inside = list(body(function.body))
        drawn = {draw.node: draw for draw in draws(module)}
        streams = set[str]()
        for node in inside:
            draw = drawn.get(node) if isinstance(node, ast.Call) else None
            if draw is not None and draw.stream not in streams:
                streams.add(draw.stream)
                yield Sighting(
                    node,
                    f"several threads draw from one stream by {draw.name}: which thread gets which numbers is another "
                    "matter in each run",
                )
            elif isinstance(node, ast.AugAssign) and not is_count(node.value):
                target = node.target
                if isinstance(node.op, (ast.Add, ast.Sub, ast.Mult)) and _is_shared(module, function, target):
                    yield Sighting(
                        node,
                        f"several threads change {module.segment(target)}, in another order in each run",
                    )
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _GROWING:
                owner = node.func.value
                if _is_shared(module, function, owner) and not _sorted_somewhere(module, owner):
                    yield Sighting(node, f"several threads fill {module.segment(owner)}, in another order in each run")


def _run_by_threads(module: Module) -> Iterator[ast.FunctionDef]:
    """The functions of this file that more than one thread runs."""
    threads = list(module.calls("threading.Thread"))
    for call in threads:
        target = call.argument("target", 1)
        function = module.definition(target) if isinstance(target, ast.expr) else None
        several = module.loop(call.node) is not None or sum(_targets(module, one, function) for one in threads) > 1
        if isinstance(function, ast.FunctionDef) and several:
            yield function
    for call in module.calls(*(f"{pool}.{method}" for pool in _POOLS for method in _POOL_METHODS)):
        if not call.args or _has_one_worker(module, call):
            continue
        function = module.definition(call.args[0])
        once = call.name.endswith((".submit", ".apply_async")) and module.loop(call.node) is None
        if isinstance(function, ast.FunctionDef) and not once:
            yield function


def _targets(module: Module, call: Call, function: object) -> bool:
    target = call.argument("target", 1)
    return isinstance(target, ast.expr) and module.definition(target) is function


def _has_one_worker(module: Module, call: Call) -> bool:
    owner = call.node.func.value if isinstance(call.node.func, ast.Attribute) else None
    for value in module.values(owner) if owner is not None else ():
        made = module.call(value)
        if made is not None and any(
            module.constant(made.argument(name, 0)) == 1 for name in ("max_workers", "processes", "nodes")
        ):
            return True
    return False


def _is_shared(module: Module, function: ast.FunctionDef, target: ast.expr) -> bool:
    """Whether what a function changes outlives its call: a global or nonlocal name, or an attribute of ``self``."""
    if isinstance(target, ast.Subscript):
        return False  # each thread may have a place of its own
    if isinstance(target, ast.Attribute):
        first = function.args.args[0].arg if function.args.args else ""
        return isinstance(target.value, ast.Name) and target.value.id == first and module.class_(function) is not None
    if not isinstance(target, ast.Name):
        return False
    for node in body(function.body):
        if isinstance(node, (ast.Global, ast.Nonlocal)) and target.id in node.names:
            return True
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.For, ast.With, ast.AugAssign)) and _binds(node, target.id):
            return False
    return target.id not in {one.arg for one in ast.walk(function.args) if isinstance(one, ast.arg)}


def _binds(node: ast.stmt, name: str) -> bool:
    return any(
        isinstance(one, ast.Name) and one.id == name and isinstance(one.ctx, ast.Store) for one in ast.walk(node)
    )


def _sorted_somewhere(module: Module, owner: ast.expr) -> bool:
    text = module.segment(owner)
    return any(
        f"{sorting}{text}{end}" in module.text for sorting, end in (("sorted(", ")"), ("sorted(", ","), ("", ".sort("))
    )
