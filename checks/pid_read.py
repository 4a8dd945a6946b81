"""The process's number in a computation."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.flows import flows, seeds
from auditor.source.sequences import told

_BAD = """import os

shard = os.getpid() % 4
print(shard)
"""

RULE = Rule(
    id="pid-read",
    title="The process's number is used in a computation",
    topic="order",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "The system numbers processes as they come: a program has another number in each run, and so have its workers. "
        "A shard, a device or an offset that is computed from it is another one each time."
    ),
    remedy="Use the rank or the worker's index, which the launcher or torch.utils.data.get_worker_info() tells.",
    bad=(
        Example(_BAD),
        Example("import os\n\noffset = 1000 * os.getpid()\nprint(offset + 1)\n"),
    ),
    good=(
        Example(_BAD.replace("os.getpid()", "7")),
        Example("import os\n\nprint(f'process {os.getpid()} is ready')\n", runs=False),
        Example("import os\n\nowner = os.getpid()\nif os.getpid() == owner:\n    print('not forked')\n", runs=False),
    ),
    sources=("https://docs.python.org/3/library/os.html#os.getpid",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Process numbers in arithmetic, unless it makes a seed, which is a rule of its own."""
    for call in module.calls("os.getpid", "os.getppid", "threading.get_ident", "threading.get_native_id"):
        places = list(flows(module, call.node))
        if any(seeds(module, place) for place in places) or told(module, call.node):
            continue
        for place in places:
            if (
                isinstance(place.around, ast.BinOp)
                and isinstance(place.around.op, (ast.Mod, ast.Add, ast.Mult, ast.Sub, ast.BitXor, ast.BitAnd))
                and not _is_text(place.around)
                and not told(module, place.around)
            ):
                yield Sighting(call.node, f"{call.name}() is part of a computation: it is another one in each run")
                break


def _is_text(node: ast.BinOp) -> bool:
    return any(
        isinstance(one, ast.JoinedStr)
        or (isinstance(one, ast.Constant) and isinstance(one.value, str))
        or (isinstance(one, ast.Call) and getattr(one.func, "id", "") == "str")
        for one in ast.walk(node)
    )


def see_run(watched: Watched) -> Iterator[Observation]:
    """Lines of the program that read the process's number."""
    differs = bool(watched.comparison.divergences)
    weight = "it may be why the runs differ" if differs else "harmless unless it reaches the results"
    for run in watched.runs:
        for trace in run.processes:
            for read in trace.entropy:
                if read.kind == "pid":
                    yield Observation(f"the program reads its process's number: {weight}", read.place, "note")
