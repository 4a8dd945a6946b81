"""A stream that is seeded without a seed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.records.streams import STREAM_NAMES
from auditor.rule import Confidence, Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import ABSENT, Module
from auditor.source.seeds import inside, worker_inits
from auditor.source.streams import is_program

_BAD = """import random

random.seed()
print(random.random())
"""
_TORCH = """import torch

torch.seed()
print(torch.rand(2))
"""

RULE = Rule(
    id="seed-from-entropy",
    title="A stream is seeded from the system's entropy",
    topic="streams",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "random.seed(), numpy.random.seed() and torch.seed() look like seeding and are the opposite: given no seed "
        "they take the system's entropy, and undo a seed that was set before."
    ),
    remedy="Give the call a seed that you keep: random.seed(seed), numpy.random.seed(seed), torch.manual_seed(seed).",
    bad=(
        Example(_BAD),
        Example(_BAD.replace("random.seed()", "seed = None\nrandom.seed(seed)")),
        Example(_TORCH, needs=("torch",)),
        Example("from numpy import random as r\n\nr.seed(seed=None)\nprint(r.rand())\n", needs=("numpy",)),
    ),
    good=(
        Example(_BAD.replace("seed()", "seed(0)")),
        Example(_TORCH.replace("seed()", "manual_seed(0)"), needs=("torch",)),
        # None is the caller's choice here.
        Example(
            "import random\n\n\ndef start(seed=None):\n    random.seed(seed)\n\n\nstart(7)\nprint(random.random())\n"
        ),
    ),
    sources=(
        "https://docs.python.org/3/library/random.html#random.seed",
        "https://docs.pytorch.org/docs/stable/generated/torch.seed.html",
    ),
)

_SEEDER = re.compile(r"seed", re.IGNORECASE)
_TAKE_NONE = ("random.seed", "numpy.random.seed")
_TAKE_NOTHING = ("torch.seed", "torch.cuda.seed", "torch.cuda.seed_all", "torch.Generator().seed")


def see_source(module: Module) -> Iterator[Sighting]:
    """Seeding calls that are given nothing, or None; in a worker's initialisation they are another rule's."""
    initialising = worker_inits(module)
    for call in module.calls(*_TAKE_NONE, *_TAKE_NOTHING):
        if any(inside(module, call.node, function) for function in initialising):
            continue
        # A library's function that is there to seed does what its caller wants.
        wraps = not is_program(module) and any(_SEEDER.search(name) for name in module.functions(call.node))
        # So does who keeps what the generator chose, to tell it.
        kept = call.name in _TAKE_NOTHING and not isinstance(module.parent(call.node), ast.Expr)
        confidence: Confidence | None = "possible" if wraps or kept else None
        given = call.argument("a" if call.name == "random.seed" else "seed", 0)
        if call.name in _TAKE_NOTHING:
            yield Sighting(
                call.node,
                f"{call.name.replace('()', '')}() takes its seed from the system's entropy",
                confidence=confidence,
            )
        elif given is ABSENT or module.constant(given) is None:
            edit = module.with_argument(call.node, "0") if given is ABSENT else None
            yield Sighting(
                call.node,
                f"{call.name} without a seed takes it from the system's entropy",
                fix=None if edit is None else Fix((edit,)),
                confidence=confidence,
            )


def see_run(watched: Watched) -> Iterator[Observation]:
    """Streams that were seeded from entropy; a DataLoader's workers are another rule's."""
    for run in watched.runs:
        for trace in run.processes:
            for seed in trace.seeds:
                if seed.value is None and not trace.workers:
                    name = STREAM_NAMES.get(seed.stream, seed.stream)
                    yield Observation(f"{name} is seeded from the system's entropy", seed.place)
