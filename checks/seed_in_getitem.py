"""A stream that is seeded for each sample."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator

from auditor.records.streams import STREAM_NAMES
from auditor.records.trace import ProcessTrace
from auditor.rule import Confidence, Example, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.seeds import parts
from auditor.source.streams import draws, seedings

_BAD = """import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        np.random.seed(0)
        return torch.from_numpy(np.random.rand(4)).float() + index


weights = torch.zeros(4, requires_grad=True)
optimizer = torch.optim.SGD([weights], lr=0.01)
for epoch in range(2):
    for batch in DataLoader(Noisy(), batch_size=4):
        loss = (batch @ weights - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(loss.item())
"""

RULE = Rule(
    id="seed-in-getitem",
    title="A stream is seeded for each sample",
    topic="streams",
    level="distribution-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Seeding a global stream in __getitem__ or a collate function sets back whatever else draws from it: all "
        "samples are augmented alike, in each epoch, and without workers the training's own draws begin again at "
        "each sample."
    ),
    remedy="Draw from a generator of the sample's own: numpy.random.default_rng([seed, epoch, index]).",
    bad=(
        Example(_BAD, needs=("numpy", "torch")),
        Example(
            _BAD.replace("        np.random.seed(0)\n", "        self.begin(0)\n").replace(
                "    def __getitem__", "    def begin(self, seed):\n        np.random.seed(seed)\n\n    def __getitem__"
            ),
            needs=("numpy", "torch"),
        ),
        Example(_BAD.replace("np.random.seed(0)", "np.random.seed(index)"), needs=("numpy", "torch")),
    ),
    good=(
        Example(_BAD.replace("        np.random.seed(0)\n", ""), needs=("numpy", "torch")),
        Example(
            _BAD.replace("        np.random.seed(0)\n", "        rng = np.random.default_rng([0, index])\n").replace(
                "np.random.rand(4)", "rng.random(4)"
            ),
            needs=("numpy", "torch"),
        ),
    ),
    sources=(
        "https://numpy.org/doc/stable/reference/random/generated/numpy.random.seed.html",
        "https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.Dataset",
    ),
)

_PER_SAMPLE = frozenset({"__getitem__", "__getitems__", "collate", "collate_fn", "_collate_fn", "collate_batch"})
_OFTEN = 3


def see_source(module: Module) -> Iterator[Sighting]:
    """Seeding calls in __getitem__ and in collate functions."""
    drawing = {one.node for one in draws(module)}
    for one in seedings(module):
        name = module.name(one.node.func) or ""
        per_sample = _per_sample(module, one.node)
        if one.seed is None or per_sample is None or name.endswith("state"):
            continue
        # A seed that is drawn (to have an image and its mask turned alike) differs for each sample.
        drawn = any(isinstance(part, ast.Call) and part in drawing for part, _ in parts(module, one.seed))
        confidence: Confidence | None = "possible" if drawn else None
        yield Sighting(
            one.node,
            f"{module.segment(one.node.func)} in {per_sample} sets the stream back for each sample",
            confidence=confidence,
        )


def _per_sample(module: Module, node: ast.Call) -> str | None:
    """The function that is called for each sample and makes a call, by itself or by a function of this file."""
    helper = module.function(node)
    callers = (call for call in module.all(ast.Call) if helper and module.definition(call.func) is helper)
    for call in (node, *callers):
        for function in module.functions(call):
            if function in _PER_SAMPLE:
                return function
    return None


def see_run(watched: Watched) -> Iterator[Observation]:
    """A line that seeds a stream several times between two steps, or in a worker."""
    for run in watched.runs:
        for trace in run.processes:
            yield from _often(trace)


def _often(trace: ProcessTrace) -> Iterator[Observation]:
    worker = bool(trace.workers)
    counted = Counter((seed.stream, seed.place, seed.step) for seed in trace.seeds if seed.place is not None)
    lines = Counter((stream, place) for (stream, place, _), count in counted.items() if count >= _OFTEN)
    for (stream, place), steps in lines.items():
        # Before the first step a program may seed as often as it likes.
        if stream != "torch-cuda" and (worker or steps > 1):
            name = STREAM_NAMES.get(stream, stream)
            yield Observation(
                f"{name} is seeded here again and again in {trace.role}, {_OFTEN} times a step or more", place
            )
