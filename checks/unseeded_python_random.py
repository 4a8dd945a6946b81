"""Python's random module, drawn from and not seeded."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.records.streams import drawn_unseeded
from auditor.rule import Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.streams import unseeded

_BAD = """import random

import torch

weights = torch.zeros(4, requires_grad=True)
optimizer = torch.optim.SGD([weights], lr=0.1)
rows = list(range(8))
random.shuffle(rows)
for row in rows:
    loss = (weights.sum() - row) ** 2
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
"""
_SAMPLE = "from random import sample as pick\n\nimport torch\n\n\ndef main():\n"
_SAMPLE += '    print(torch.tensor(pick(range(100), 3)))\n\n\nif __name__ == "__main__":\n    main()\n'
_OWN = _BAD.replace("random.shuffle", "random.Random(0).shuffle")

RULE = Rule(
    id="unseeded-python-random",
    title="Python's random module is drawn from and not seeded",
    topic="streams",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "The global stream of Python's random module begins with the system's entropy in every process. What a "
        "program draws from it (the order of samples, augmentation, which action is tried) is different each time."
    ),
    remedy="Call random.seed(seed) before anything draws, or draw from a random.Random(seed) of your own.",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(_SAMPLE, needs=("torch",)),
    ),
    good=(
        Example(_BAD.replace("rows = list", "random.seed(0)\nrows = list"), needs=("torch",)),
        Example(_OWN, needs=("torch",)),
        Example(
            "from common import set_up\n\n" + _BAD.replace("rows = list", "set_up()\nrows = list"),
            needs=("torch",),
            beside={"common.py": "import random\n\n\ndef set_up():\n    random.seed(0)\n"},
        ),
        Example("import random\n\n\ndef pick(rows):\n    return random.choice(rows)\n", name="library.py"),
    ),
    sources=(
        "https://docs.python.org/3/library/random.html#random.seed",
        "https://docs.pytorch.org/docs/stable/notes/randomness.html#python",
    ),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """The first draw of a program that never seeds the stream."""
    found = unseeded(module, "python")
    if found is None:
        return
    yield Sighting(
        found.node,
        found.said,
        found.unless,
        None if found.edit is None else Fix((found.edit,), imports=found.imports),
        None if found.sure and found.trains else "medium",
        found.given,
    )


def see_run(watched: Watched) -> Iterator[Observation]:
    """Processes that drew from the stream and never seeded it."""
    for role, place in drawn_unseeded(watched.runs, "python"):
        yield Observation(f"Python's random module is drawn from in {role} and never seeded (random.seed)", place)
