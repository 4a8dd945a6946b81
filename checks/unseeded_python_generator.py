"""A random.Random that was given no seed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import ABSENT, Module

_BAD = """import random

random.seed(0)  # does not reach the generator below
shuffler = random.Random()
rows = list(range(8))
shuffler.shuffle(rows)
print(rows)
"""

RULE = Rule(
    id="unseeded-python-generator",
    title="A random.Random is made without a seed",
    topic="streams",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "random.Random() takes its seed from the system's entropy. random.seed seeds the module's own instance only "
        "and does not reach it."
    ),
    remedy="Give it a seed: random.Random(seed).",
    bad=(
        Example(_BAD),
        Example("from random import Random as Stream\n\nprint(Stream(None).random())\n"),
    ),
    good=(
        Example(_BAD.replace("Random()", "Random(7)")),
        # A first value, replaced before it is used.
        Example(
            "import random\n\n\nclass Rows:\n    def __init__(self):\n        self.rng = random.Random()\n\n"
            "    def __iter__(self):\n        self.rng = random.Random(3)\n        yield self.rng.random()\n\n\n"
            "print(list(Rows()))\n"
        ),
        # Seeded in the next line.
        Example(_BAD.replace("Random()\n", "Random()\nshuffler.seed(7)\n")),
        # None is the caller's choice here.
        Example(
            "import random\n\n\ndef stream(seed=None):\n    return random.Random(seed)\n\n\nprint(stream(1).random())\n"
        ),
    ),
    sources=("https://docs.python.org/3/library/random.html#random.Random",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Instances made from nothing, or from None, in a file that seeds none of them later."""
    if "random.Random().seed" in module.called or "random.Random().setstate" in module.called:
        return
    for call in module.calls("random.Random"):
        seed = call.argument("x", 0)
        if (seed is ABSENT or module.constant(seed) is None) and not _replaced(module, call.node):
            edit = module.with_argument(call.node, "0") if seed is ABSENT else None
            yield Sighting(
                call.node,
                "random.Random() takes its seed from the system's entropy; random.seed does not reach it",
                fix=None if edit is None else Fix((edit,)),
            )


def _replaced(module: Module, made: ast.Call) -> bool:
    """Whether what a generator is assigned to is given another one, with a seed, elsewhere."""
    around = module.parent(made)
    targets = around.targets if isinstance(around, ast.Assign) else ()
    others = [one for target in targets for one in module.values(target) if one is not made]
    return any(isinstance(one, ast.Call) and (one.args or one.keywords) for one in others)
