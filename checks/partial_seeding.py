"""A function that seeds some of the streams and leaves out one that the program draws from."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.records.streams import STREAM_NAMES
from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.seeds import inside
from auditor.source.streams import Seeding, Stream, by_convention, draws, seedings

_HELPER = """import numpy as np
import torch


def set_seed(seed):
    np.random.seed(seed)
    torch.manual_seed(seed)
"""
_MAIN = """import random

import torch

from helper import set_seed

set_seed(0)
print(random.random(), torch.rand(1))
"""

RULE = Rule(
    id="partial-seeding",
    title="A seeding function leaves out a stream that the program draws from",
    topic="streams",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "A function called set_seed is taken to seed everything. Python's random module, NumPy's global stream and "
        "torch are three streams, and each must be seeded by itself."
    ),
    remedy="Have it seed them all: random.seed(seed), numpy.random.seed(seed) and torch.manual_seed(seed).",
    bad=(
        Example(_HELPER, name="helper.py", beside={"train.py": _MAIN}, runs=False),
        Example(_HELPER.replace("(seed)", "(s)"), name="helper.py", beside={"train.py": _MAIN}, runs=False),
        Example(
            _MAIN.replace(
                "from helper import set_seed",
                _HELPER.partition("torch\n")[2].strip().replace("    np.random.seed(seed)\n", ""),
            ).replace("import torch\n", "import torch\n"),
            needs=("torch",),
        ),
    ),
    good=(
        Example(
            _HELPER.replace("import numpy", "import random\n\nimport numpy").replace(
                "    np.random", "    random.seed(seed)\n    np.random"
            ),
            name="helper.py",
            beside={"train.py": _MAIN},
            runs=False,
        ),
        # Nothing draws from the stream that is left out.
        Example(_HELPER, name="helper.py", beside={"train.py": _MAIN.replace("random.random()", "0")}, runs=False),
        # Another function seeds it.
        Example(
            _HELPER,
            name="helper.py",
            beside={"train.py": _MAIN.replace("set_seed(0)\n", "set_seed(0)\nrandom.seed(0)\n")},
            runs=False,
        ),
        Example(
            "import numpy as np\n\n\ndef seed_worker(worker):\n    np.random.seed(worker)\n",
            beside={"train.py": _MAIN},
            name="w.py",
        ),
    ),
    sources=("https://docs.pytorch.org/docs/stable/notes/randomness.html#controlling-sources-of-randomness",),
)

_EACH: tuple[Stream, ...] = ("python", "numpy", "torch")
_LINES = {"python": "random.seed", "numpy": "numpy.random.seed", "torch": "torch.manual_seed"}


def see_source(module: Module) -> Iterator[Sighting]:
    """Functions called like set_seed that seed one or two of three streams, where the third is drawn from unseeded."""
    drawn = {one.stream for one in draws(module)}
    for function in module.all(ast.FunctionDef):
        if not by_convention(function.name) or "worker" in function.name:
            continue
        own = [one for one in seedings(module) if inside(module, one.node, function)]
        if not _takes_a_seed(function, own):
            continue
        # Only calls that are known to the letter: a helper of another name may do the rest.
        if not own or any(set(_EACH) <= one.streams for one in own):
            continue
        seeded = {stream for one in own for stream in one.streams}
        for stream in _EACH:
            if stream not in seeded:
                yield Sighting(
                    function,
                    f"{function.name} does not seed {STREAM_NAMES[stream]}, which the program draws from "
                    f"({_LINES[stream]})",
                    unless=(f"seeds:{stream}",),
                    given=() if stream in drawn else (f"draws:{stream}",),
                )


def _takes_a_seed(function: ast.FunctionDef, own: list[Seeding]) -> bool:
    """Whether a parameter is a seed, by its name or by what is seeded with it."""
    seeds = {one.seed.id for one in own if isinstance(one.seed, ast.Name)}
    return any("seed" in one.arg or one.arg in seeds for one in (*function.args.args, *function.args.kwonlyargs))
