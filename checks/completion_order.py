"""Results that are taken in the order in which they are ready."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Rule, Sighting
from auditor.source import Call, Module
from auditor.source.sequences import Use, in_words, uses

_BAD = """from concurrent.futures import ThreadPoolExecutor, as_completed
import time


def measure(number):
    time.sleep(0.01 * (3 - number))
    return number * 0.1


with ThreadPoolExecutor(3) as pool:
    futures = [pool.submit(measure, number) for number in range(3)]
    losses = []
    for future in as_completed(futures):
        losses.append(future.result())
print(sum(losses))
"""
_POOL = """import multiprocessing


def square(number):
    return number * number / 3


if __name__ == "__main__":
    with multiprocessing.Pool(2) as workers:
        total = 0.0
        for value in workers.imap_unordered(square, range(8)):
            total += value
    print(total)
"""
_JOBLIB = """from joblib import Parallel, delayed

pool = Parallel(n_jobs=2, return_as="generator_unordered")
roots = list(pool(delayed(pow)(base, 0.5) for base in range(8)))
print(sum(roots))
"""
_QUEUE = """import queue
import threading

results = queue.Queue()
threads = [threading.Thread(target=lambda number=number: results.put(number / 7)) for number in range(4)]
for thread in threads:
    thread.start()
values = [results.get() for _ in threads]
print(sum(values))
"""

RULE = Rule(
    id="completion-order",
    title="Results are taken in the order in which they are ready",
    topic="order",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "as_completed and imap_unordered hand over what is ready first, and which that is depends on the machine. "
        "A list that is filled so has another order in each run, and floats that are added so have other last bits."
    ),
    remedy="Take them in the order of the tasks: executor.map, Pool.imap, or [future.result() for future in futures].",
    bad=(Example(_BAD), Example(_POOL), Example(_QUEUE), Example(_JOBLIB, needs=("joblib",))),
    good=(
        Example(_BAD.replace("in as_completed(futures)", "in futures")),
        Example(_POOL.replace("imap_unordered", "imap")),
        Example(_QUEUE.replace("[results.get() for _ in threads]", "sorted(results.get() for _ in threads)")),
        Example(_JOBLIB.replace("_unordered", ""), needs=("joblib",)),
        # Each result is put in its place.
        Example(
            _BAD.replace("losses = []", "losses = [0.0] * 3").replace(
                "losses.append(future.result())", "losses[futures.index(future)] = future.result()"
            )
        ),
        Example(_BAD.replace("print(", "losses.sort()\nprint(")),
        Example(_BAD.replace("losses.append(future.result())", 'print("ready:", future.result())')),
        # How many, whatever the order.
        Example(_POOL.replace("total += value", "total += 1")),
    ),
    sources=(
        "https://docs.python.org/3/library/concurrent.futures.html#concurrent.futures.as_completed",
        "https://docs.python.org/3/library/multiprocessing.html#multiprocessing.pool.Pool.imap_unordered",
    ),
)

_FUNCTIONS = ("concurrent.futures.as_completed", "asyncio.as_completed", "dask.distributed.as_completed")
_QUEUES = (
    "queue.Queue()",
    "queue.SimpleQueue()",
    "multiprocessing.Queue()",
    "multiprocessing.SimpleQueue()",
    "multiprocessing.JoinableQueue()",
)
_PRODUCERS = ("threading.Thread", "multiprocessing.Process")
_SURE: frozenset[Use] = frozenset({"numbered", "sampled", "drawn", "collected", "summed", "paired"})
_DOUBTFUL: frozenset[Use] = frozenset({"yielded", "joined", "returned"})


def see_source(module: Module) -> Iterator[Sighting]:
    """Loops over what comes as it is ready, of which something is made in that order."""
    for call in (*module.calls(*_FUNCTIONS), *module.calls("joblib.Parallel()"), *_unordered(module)):
        if call.name == "joblib.Parallel()" and not _as_ready(module, call.node.func):
            continue
        found = uses(module, call.node) & (_SURE | _DOUBTFUL)
        if not found or _placed(module, call.node):
            continue
        confidence: Confidence | None = None if found & _SURE else "medium"
        last = call.name.rpartition(".")[2].removesuffix("()")
        yield Sighting(
            call.node, f"{last} gives results as they are ready, and they are {in_words(found)}", confidence=confidence
        )
    yield from _queued(module)


def _as_ready(module: Module, made: ast.expr) -> bool:
    """Whether joblib is asked for results as they come; by default it gives them in the order of the tasks."""
    return any(
        isinstance(one, ast.Call)
        and any(
            given.arg == "return_as" and module.constant(given.value) == "generator_unordered" for given in one.keywords
        )
        for one in module.values(made)
    )


def _unordered(module: Module) -> Iterator[Call]:
    for node in module.all(ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr == "imap_unordered":
            yield Call(node, "imap_unordered", None, False)


def _placed(module: Module, node: ast.Call) -> bool:
    """Whether a loop over results carries along which task each is of: then it can put it in its place."""
    loop = module.parent(node)
    while isinstance(loop, ast.Call):  # tqdm(as_completed(...))
        loop = module.parent(loop)
    if not isinstance(loop, (ast.For, ast.AsyncFor)):
        return False
    names = {one.id for one in ast.walk(loop.target) if isinstance(one, ast.Name)}
    for inner in (one for statement in loop.body for one in ast.walk(statement)):
        # results.append((index[future], future.result())), for the sorting that follows
        if isinstance(inner, ast.Subscript) and isinstance(inner.slice, ast.Name) and inner.slice.id in names:
            return True
    return False


def _queued(module: Module) -> Iterator[Sighting]:
    """Lists made of what several producers put into one queue."""
    if not any(module.loop(call.node) is not None for call in module.calls(*_PRODUCERS)):
        return
    for call in module.calls(*(f"{queue}.get" for queue in _QUEUES)):
        around = module.parent(call.node)
        found: frozenset[Use] = frozenset()
        if isinstance(around, ast.ListComp) and around.elt is call.node:
            found = uses(module, around)
        elif isinstance(around, ast.Call) and getattr(around.func, "attr", "") in ("append", "extend"):
            loop = module.loop(call.node)
            found = frozenset({"collected"}) if isinstance(loop, ast.For) else frozenset()
        if found & {"collected", "numbered", "returned", "passed", "summed", "paired", "kept"} or (
            isinstance(around, ast.ListComp) and isinstance(module.parent(around), ast.Assign) and found
        ):
            yield Sighting(
                call.node,
                "several producers put into one queue, and their results are collected in the order in which they come",
                confidence="medium",
            )
