"""A sampler that draws from a global stream."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.records.streams import STREAM_NAMES
from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.loading import samplers
from auditor.source.seeds import inside
from auditor.source.streams import draws

_BAD = """import random

import torch
from torch.utils.data import DataLoader, Sampler, TensorDataset


class Shuffled(Sampler):
    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __iter__(self):
        order = list(range(self.size))
        random.shuffle(order)
        return iter(order)


random.seed(0)
torch.manual_seed(0)
data = TensorDataset(torch.arange(8.0))
print([batch.tolist() for (batch,) in DataLoader(data, batch_size=2, sampler=Shuffled(8))])
"""

RULE = Rule(
    id="sampler-own-stream",
    title="A sampler draws the order of samples from a global stream",
    topic="loading",
    level="seed-stable",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "A sampler that draws from a global stream gives an order that depends on whatever else draws from it, and "
        "the DataLoader's generator does not reach it. Under distributed training each process draws another order, "
        "so that shares overlap and samples are left out."
    ),
    remedy="Draw from a torch.Generator of the sampler's own, seeded with seed + epoch, as DistributedSampler does.",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(
            _BAD.replace("        random.shuffle(order)\n", "").replace(
                "iter(order)", "iter(torch.randperm(self.size).tolist())"
            ),
            needs=("torch",),
        ),
    ),
    good=(
        Example(
            _BAD.replace("        random.shuffle(order)\n", "        random.Random(3).shuffle(order)\n"),
            needs=("torch",),
        ),
        Example(
            _BAD.replace("        random.shuffle(order)\n", "").replace(
                "iter(order)",
                "iter(torch.randperm(self.size, generator=torch.Generator().manual_seed(3)).tolist())",
            ),
            needs=("torch",),
        ),
    ),
    sources=("https://docs.pytorch.org/docs/stable/data.html#data-loading-order-and-sampler",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """The first draw from each global stream in a class that is a sampler, outside its ``__init__``."""
    for owner in samplers(module):
        seen: set[str] = set()
        for draw in draws(module):
            if draw.stream in seen or not inside(module, draw.node, owner):
                continue
            if "__init__" in module.functions(draw.node):
                continue
            seen.add(draw.stream)
            yield Sighting(
                draw.node,
                f"{owner.name} draws the order of samples from {STREAM_NAMES[draw.stream]} ({draw.name})",
            )
