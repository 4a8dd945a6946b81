"""A directory listing whose order is the file system's."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from auditor.records.trace import Place
from auditor.rule import Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import Call, Module

_BAD = """import os
import pathlib

pathlib.Path("data").mkdir(exist_ok=True)
for name in ("b", "a", "c"):
    pathlib.Path("data", name).write_text(name)
order = ""
for name in os.listdir("data"):
    order += name
pathlib.Path("results.txt").write_text(order)
"""

RULE = Rule(
    id="unsorted-listing",
    title="Files are taken in the order of the file system",
    topic="order",
    level="bit-exact",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "os.listdir, os.scandir, glob and pathlib's iterdir and glob give names in the order of the file system, which "
        "is another one on another machine, after a copy, or on another day. Samples that are numbered, split or "
        "shuffled by it are others then, whatever the seed."
    ),
    remedy="Sort it: sorted(os.listdir(path)).",
    bad=(Example(_BAD),),
    good=(Example(_BAD.replace('os.listdir("data")', 'sorted(os.listdir("data"))')),),
    sources=(
        "https://docs.python.org/3/library/os.html#os.listdir",
        "https://docs.python.org/3/library/glob.html#glob.glob",
    ),
)

_LISTINGS = ("os.listdir", "os.scandir", "glob.glob", "glob.iglob")
_METHODS = ("iterdir", "glob", "rglob")
_PATHS = ("pathlib.Path()", "pathlib.PosixPath()")


def see_source(module: Module) -> Iterator[Sighting]:
    """Listings that are looped over or made a list of, unless they are sorted."""
    for call in (*module.calls(*_LISTINGS), *_of_paths(module)):
        if module.order_matters(call.node):
            # Entries of os.scandir have no order of their own.
            sortable = call.name != "os.scandir"
            yield Sighting(
                call.node,
                f"{call.name.replace('()', '')} gives names in the order of the file system",
                fix=Fix(module.wrapped(call.node, "sorted(", ")"), safe=True) if sortable else None,
            )


def _of_paths(module: Module) -> Iterator[Call]:
    for owner in _PATHS:
        yield from module.calls(*(f"{owner}.{method}" for method in _METHODS))
    if "pathlib" not in module.imports:
        return
    # Path("a") / name is a path, too.
    for node in module.all(ast.Call):
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in ("iterdir", "rglob")
            and module.name(node.func) is None
        ):
            yield Call(node, f"pathlib.Path().{node.func.attr}", None, False)


def see_run(watched: Watched) -> Iterator[Observation]:
    """Listings of the same names that the program got in another order in another run, where the runs differ."""
    if not watched.comparison.divergences:
        return  # the program sorts them, or need not
    orders: dict[tuple[str, str, int, str], set[str]] = defaultdict(set)
    for run in watched.runs:
        for trace in run.processes:
            for read in trace.entropy:
                if read.kind == "listing" and read.place and read.order and read.names:
                    orders[trace.role, read.place.file, read.place.line, read.names].add(read.order)
    # Seen in one order in run one and in others later; a line that lists several directories has several names.
    for (_, file, line, _), seen in orders.items():
        if len(seen) > 1:
            yield Observation(
                "a directory is listed in the order of the file system, and the runs got it in different ones: "
                "sort it, unless its order cannot matter",
                Place(file, line),
                "note",
            )
