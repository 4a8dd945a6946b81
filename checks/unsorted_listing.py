"""A directory listing whose order is the file system's."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath

from auditor.records.trace import Place
from auditor.rule import Confidence, Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import Call, Edit, Module
from auditor.source.sequences import Use, in_words, uses
from auditor.source.streams import is_program, learns, trains

_DATA = """import json
from pathlib import Path

folder = Path("data")
folder.mkdir(exist_ok=True)
for name in ("b", "a"):
    (folder / name).write_text(name)
"""
_SAVE = 'Path("results.json").write_text(json.dumps({"a": labels["a"]}))\n'
_BAD = f"""import os
{_DATA}
labels = {{name: number for number, name in enumerate(os.listdir(folder))}}
{_SAVE}"""
_PATHS = f"""{_DATA}

class Images:
    def __init__(self, root: str) -> None:
        self.root = Path(root)
        self.files = list((self.root / "data").glob("*"))
        self.labels = {{path.name: number for number, path in enumerate(self.files)}}


labels = Images(".").labels
{_SAVE}"""
_WALK = f"""import os
{_DATA}
samples = []
for _, _, names in os.walk("data"):
    for name in names:
        samples.append(name)
labels = dict(zip(samples, range(2)))
{_SAVE}"""

RULE = Rule(
    id="unsorted-listing",
    title="Files are taken in the order of the file system",
    topic="order",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "os.listdir, os.scandir, os.walk, glob and pathlib's iterdir and glob give names in the order of the file "
        "system, which is another one on another machine, after a copy, or on another day. Samples that are numbered, "
        "split or shuffled by it are others then, whatever the seed."
    ),
    remedy="Sort it: sorted(os.listdir(path)).",
    bad=(
        Example(_BAD),
        Example(_PATHS),
        Example(_WALK),
        Example(
            _BAD.replace("import os", "import glob\nimport random")
            .replace("enumerate(os.listdir(folder))", "enumerate(names)")
            .replace("labels =", 'random.seed(0)\nnames = random.sample(glob.glob("*", root_dir="data"), 2)\nlabels =')
        ),
    ),
    good=(
        Example(_BAD.replace("os.listdir(folder)", "sorted(os.listdir(folder))")),
        Example(_PATHS.replace('list((self.root / "data").glob("*"))', 'sorted((self.root / "data").glob("*"))')),
        Example(_WALK.replace("labels =", "samples.sort()\nlabels =")),
        # Whatever the order, these do the same.
        Example('import os\n\nfor name in os.listdir("."):\n    if name.endswith(".tmp"):\n        os.remove(name)\n'),
        Example('import os\n\nprint(len(os.listdir(".")), max(os.listdir("."), key=os.path.getmtime))\n'),
        Example(
            'import glob\n\nsteps = [int(name.split("_")[1]) for name in glob.glob("step_*")]\nsteps.sort()\n'
            "print(steps[-1:])\n"
        ),
        Example('import os\n\nif "model.pt" in os.listdir("."):\n    print("found")\n'),
    ),
    sources=(
        "https://docs.python.org/3/library/os.html#os.listdir",
        "https://docs.python.org/3/library/glob.html#glob.glob",
    ),
)

_LISTINGS = ("os.listdir", "os.scandir", "os.walk", "glob.glob", "glob.iglob")
_METHODS = ("iterdir", "glob", "rglob")
_PATH_TYPES = ("pathlib.Path()", "pathlib.PosixPath()")
_NUMERIC = ("numpy", "pandas", "PIL", "cv2", "scipy")
_SYSTEM = ("/sys/", "/proc/", "/dev/", "/etc/", "/usr/")
_PATHLIKE = re.compile(r"(^|_)(path|dir|directory|folder|root|base|parent|here|home)s?(_|$|\d)", re.IGNORECASE)
_UNCERTAIN: frozenset[Use] = frozenset({"summed", "yielded", "picked", "first", "returned", "kept", "passed"})


def see_source(module: Module) -> Iterator[Sighting]:
    """Listings of whose names something is made in the order in which they come."""
    data = learns(module) or not module.imports.isdisjoint(_NUMERIC)
    computes = is_program(module) or trains(module) is not None
    if PurePosixPath(module.path).name == "setup.py":
        return
    for call in (*module.calls(*_LISTINGS), *_of_paths(module)):
        if _of_the_system(module, call):
            continue
        found = uses(module, call.node)
        if not found or (call.name == "os.walk" and _walk_is_sorted(module, call.node)):
            continue
        if any("file_names" in name for name in module.functions(call.node)):
            continue  # what is asked whether it is there
        confidence: Confidence | None = "medium" if found <= _UNCERTAIN or not data or not computes else None
        if found <= _UNCERTAIN and not computes:
            confidence = "possible"
        name = call.name.replace("()", "")
        # Entries of os.scandir have no order of their own; sorting what os.walk gives would not sort the names in it.
        sortable = call.name not in ("os.scandir", "os.walk")
        yield Sighting(
            call.node,
            f"{name} gives names in the order of the file system, and they are {in_words(found)}",
            fix=Fix(_sorted(module, call), safe=True) if sortable else None,
            confidence=confidence,
        )


def _sorted(module: Module, call: Call) -> tuple[Edit, Edit]:
    """The edits that sort a listing; what ``next`` takes from stays an iterator, which a sorted list is not."""
    around = module.parent(call.node)
    taken = isinstance(around, ast.Call) and module.name(around.func) == "next"
    if taken or (isinstance(around, (ast.Assign, ast.Return)) and "next" in module.called and _iterates(call)):
        return module.wrapped(call.node, "iter(sorted(", "))")
    return module.wrapped(call.node, "sorted(", ")")


def _iterates(call: Call) -> bool:
    return call.name == "glob.iglob" or call.name.rpartition(".")[0] in _PATH_TYPES


def _of_the_system(module: Module, call: Call) -> bool:
    """Whether it is a directory of devices or processes."""
    return any(
        isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(_SYSTEM)
        for node in ast.walk(call.node)
    )


def _of_paths(module: Module) -> Iterator[Call]:
    for owner in _PATH_TYPES:
        yield from module.calls(*(f"{owner}.{method}" for method in _METHODS))
    if "pathlib" not in module.imports:
        return
    for node in module.all(ast.Call):
        if (
            isinstance(node.func, ast.Attribute)
            and node.func.attr in _METHODS
            and module.name(node.func) is None
            and (node.func.attr != "glob" or _is_path(module, node.func.value))
        ):
            yield Call(node, f"pathlib.Path().{node.func.attr}", None, False)


def _is_path(module: Module, node: ast.expr) -> bool:
    """Whether something is a path, as far as its making or its name tells."""
    match node:
        case ast.BinOp(op=ast.Div()):
            return True
        case ast.Attribute(attr="parent"):
            return True
        case ast.Attribute():
            return _PATHLIKE.search(node.attr) is not None
        case ast.Name():
            return _PATHLIKE.search(node.id) is not None
    return (module.name(node) or "") in _PATH_TYPES


def _walk_is_sorted(module: Module, call: ast.Call) -> bool:
    """Whether a loop over ``os.walk`` sorts the directories in place, and so the walk."""
    loop = module.parent(call)
    if not isinstance(loop, ast.For) or not isinstance(loop.target, ast.Tuple) or len(loop.target.elts) != 3:
        return False
    folders = loop.target.elts[1]
    name = folders.id if isinstance(folders, ast.Name) else ""
    for node in (inner for statement in loop.body for inner in ast.walk(statement)):
        if isinstance(node, ast.Attribute) and node.attr == "sort" and getattr(node.value, "id", "") == name:
            return True
        if isinstance(node, ast.Assign) and "sorted" in module.segment(node.value):
            target = node.targets[0]
            if isinstance(target, ast.Subscript) and getattr(target.value, "id", "") == name:
                return True
    return False


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
