"""A stream that is drawn from before it is seeded."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.records.streams import STREAM_NAMES
from auditor.records.trace import Place, ProcessTrace
from auditor.rule import Example, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.late import late_seedings
from auditor.source.streams import stands_alone

_BAD = """import torch
from torch import nn

model = nn.Linear(4, 1)
torch.manual_seed(0)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    loss = model(torch.ones(2, 4)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
"""
_MAIN = """import random

import numpy as np


def main():
    rows = np.random.permutation(8)
    np.random.seed(0)
    print(rows, np.random.rand(), random.Random(1).random())


if __name__ == "__main__":
    main()
"""
_CLASS = """import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 1)


def set_up(seed):
    torch.manual_seed(seed)


if __name__ == "__main__":
    net = Net()
    set_up(3)
    print(net.layer.weight, torch.rand(1))
"""

RULE = Rule(
    id="late-seed",
    title="A stream is seeded after it was drawn from",
    topic="streams",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "What was drawn before the seed was set is different in each run. Most often that is the model: its initial "
        "parameters are drawn when it is made."
    ),
    remedy="Seed first, before data and model are made.",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(_MAIN, needs=("numpy",)),
        Example(_CLASS, needs=("torch",)),
    ),
    good=(
        Example(
            _BAD.replace("torch.manual_seed(0)\n", "").replace("model =", "torch.manual_seed(0)\nmodel ="),
            needs=("torch",),
        ),
        # Seeded again, after a draw that a seed came before.
        Example(_BAD.replace("model =", "torch.manual_seed(1)\nmodel ="), needs=("torch",)),
        Example(_CLASS.replace("    net = Net()\n    set_up(3)", "    set_up(3)\n    net = Net()"), needs=("torch",)),
        # The draw is the seed.
        Example("import random\n\nseed = random.randrange(99)\nrandom.seed(seed)\nprint(seed)\n", runs=False),
    ),
    sources=("https://docs.pytorch.org/docs/stable/notes/randomness.html#controlling-sources-of-randomness",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Seeding calls after a draw from the same stream, in the order of a program's statements."""
    for late in late_seedings(module):
        yield Sighting(
            late.seeding,
            f"{STREAM_NAMES[late.stream]} is seeded here, after {late.draws} drew from it in line {_line(late.draw)}",
            confidence=None if stands_alone(module) else "medium",
        )


def _line(node: ast.AST) -> int:
    return getattr(node, "lineno", 0)


def see_run(watched: Watched) -> Iterator[Observation]:
    """Streams first seeded after the first step, or when they had been drawn from."""
    for run in watched.runs:
        for trace in run.processes:
            # A forked child's streams, and a worker's, were seeded by their parent.
            if trace.hello.kind != "fork" and not trace.workers:
                yield from _late(trace, differs=bool(watched.comparison.divergences))


def _late(trace: ProcessTrace, differs: bool) -> Iterator[Observation]:
    first: dict[str, tuple[int, Place | None, bool | None]] = {}
    for seed in trace.seeds:
        if seed.value is not None:
            first.setdefault(seed.stream, (seed.step, seed.place, seed.drawn))
    for stream, (step, place, drawn) in sorted(first.items()):
        if stream == "torch-cuda" and "torch" in first and first["torch"][1] == place:
            continue  # which torch.manual_seed does in its turn
        name = STREAM_NAMES.get(stream, stream)
        if step > 0 and trace.steps:
            yield Observation(f"{name} is first seeded after step {step}, not before the first", place)
        elif drawn:
            # Where the runs agree all the same, what was drawn did not matter.
            message = f"{name} is drawn from before the program seeds it"
            yield Observation(message, place, None if differs else "note")
