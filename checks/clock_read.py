"""The time of day as data."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Observation, Rule, Severity, Sighting, Watched
from auditor.source import Module
from auditor.source.flows import Place, flows, last_name, seeds
from auditor.source.sequences import told

_BAD = """import time

slot = int(time.time()) % 4
print(slot)
"""
_YEAR = """from datetime import datetime

births = [1970, 1985, 2001]
ages = [datetime.now().year - birth for birth in births]
print(ages)
"""

RULE = Rule(
    id="clock-read",
    title="The time of day is used as data",
    topic="order",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "The clock says something else in each run. A number, a feature or a window of dates that is computed from it "
        "makes the same program with the same seed compute on other data. Measuring how long something took does no "
        "harm, as long as nothing is decided by it."
    ),
    remedy="Take the date or number from the configuration and write it beside the results.",
    bad=(
        Example(_BAD),
        Example(_YEAR, runs=False),
        Example(
            "import time\n\nimport torch\n\nfeatures = torch.tensor([time.time(), 1.0])\nprint(features.sum())\n",
            needs=("torch",),
        ),
        Example(
            "from datetime import date, timedelta\n\nimport pandas as pd\n\n"
            'table = pd.DataFrame({"day": [date(2024, 1, 1)]})\n'
            'recent = table[table["day"] > date.today() - timedelta(days=30)]\nprint(len(recent))\n',
            needs=("pandas",),
            runs=False,
        ),
    ),
    good=(
        Example(_BAD.replace("int(time.time()) % 4", "3")),
        Example("import time\n\nstart = time.perf_counter()\nprint(sum(range(9)), time.perf_counter() - start)\n"),
        Example(
            "import time\n\nstart = time.time()\nprint(sum(range(9)))\nprint(f'took {time.time() - start:.1f} s')\n"
            "rate = 9 / (time.time() - start + 1)\nprint(rate)\n",
            runs=False,
        ),
        Example(_YEAR.replace("datetime.now().year", "2024")),
    ),
    sources=(
        "https://docs.python.org/3/library/time.html#time.time",
        "https://docs.python.org/3/library/datetime.html#datetime.datetime.now",
    ),
)

_CLOCKS = ("time.time", "time.time_ns", "time.localtime", "time.gmtime")
_DATES = (
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
    "pandas.Timestamp.now",
    "pandas.Timestamp.today",
    "pandas.Timestamp.utcnow",
)
_PARTS = ("year", "month", "day", "hour", "weekday", "isoweekday", "toordinal", "tm_year", "tm_mon", "tm_mday")
_ARRAYS = ("tensor", "as_tensor", "array", "asarray", "full", "FloatTensor", "DataFrame")


def see_source(module: Module) -> Iterator[Sighting]:
    """Clocks whose value is reduced to a number below another, put in an array, or compared with data."""
    for call in (*module.calls(*_CLOCKS), *module.calls(*_DATES)):
        places = list(flows(module, call.node))
        if any(seeds(module, place) for place in places) or told(module, call.node):
            continue
        if call.name in _CLOCKS and any(_is_duration(place) for place in places):
            continue
        for place in places:
            becomes = _becomes(module, place, call.name in _DATES)
            if becomes:
                yield Sighting(call.node, f"{call.name} becomes {becomes}: it is another one in each run")
                break


def _is_duration(place: Place) -> bool:
    return isinstance(place.around, ast.BinOp) and isinstance(place.around.op, ast.Sub)


def _becomes(module: Module, place: Place, date: bool) -> str:
    node, around = place
    if told(module, node):
        return ""
    match around:
        case ast.BinOp(op=ast.Mod(), left=left) if left is node and not date:
            return "a number below another"
        case ast.BinOp(op=ast.Sub() | ast.Add()) if date:
            part = isinstance(node, ast.Attribute) and node.attr in _PARTS
            return "a part of what is computed" if part else ""
        case ast.Compare() if date:
            others = (around.left, *around.comparators)
            of_table = any(isinstance(one, ast.Subscript) for one in others if one is not node)
            return "what data is compared with" if of_table else ""
        case ast.Call() if node in around.args and last_name(module, around) in _ARRAYS:
            name = module.name(around.func) or ""
            return "data" if name.startswith(("torch.", "numpy.", "jax.", "pandas.")) else ""
    return ""


def see_run(watched: Watched) -> Iterator[Observation]:
    """Lines of the program that read the clock."""
    differs = bool(watched.comparison.divergences)
    # Most programs time themselves.
    severity: Severity = "note"
    weight = "it may be why the runs differ" if differs else "harmless unless it reaches the results"
    for run in watched.runs:
        for trace in run.processes:
            for read in trace.entropy:
                if read.kind == "clock":
                    yield Observation(f"the program reads the clock: {weight}", read.place, severity)
