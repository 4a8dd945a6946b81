"""A random.Random that was given no seed."""

from __future__ import annotations

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
    confidence="high",
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
        if seed is ABSENT or module.constant(seed) is None:
            edit = module.with_argument(call.node, "0") if seed is ABSENT else None
            yield Sighting(
                call.node,
                "random.Random() takes its seed from the system's entropy; random.seed does not reach it",
                fix=None if edit is None else Fix((edit,)),
            )
