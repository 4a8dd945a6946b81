"""A stream that is seeded alike in each epoch or for each batch."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

from auditor.records.streams import STREAM_NAMES
from auditor.records.trace import Place, ProcessTrace
from auditor.rule import Example, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.seeds import varies_in
from auditor.source.streams import seedings

_BAD = """import torch
from torch import nn

torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.rand(16, 4)
for epoch in range(4):
    torch.manual_seed(0)
    for rows in torch.randperm(16).split(4):
        loss = (model(x[rows]) - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(loss.item())
"""
_SWEEP = """import torch
from torch import nn


def train(width):
    model = nn.Linear(width, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(3):
        loss = model(torch.rand(8, width)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return loss.item()


for width in (2, 4):
    torch.manual_seed(0)
    print(train(width))
"""

RULE = Rule(
    id="seed-in-loop",
    title="A stream is seeded alike in each epoch",
    topic="streams",
    level="distribution-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "A stream that is set back to the same seed in each epoch, or for each batch, gives the same numbers each "
        "time: the same order of samples, the same dropout masks, the same augmentation. The result repeats, and is "
        "that of less random training than was meant."
    ),
    remedy="Seed once, before the loop, or with a seed that counts with it (seed + epoch).",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(
            _BAD.replace("    torch.manual_seed(0)\n", "    if epoch:\n        torch.manual_seed(0)\n"),
            needs=("torch",),
        ),
        Example(
            "import numpy as np\n\nstep, seed = 0, 3\nwhile step < 4:\n    np.random.seed(seed)\n"
            "    batch = np.random.permutation(8)[:4]\n    step += 1\nprint(batch)\n",
            needs=("numpy",),
        ),
    ),
    good=(
        Example(_BAD.replace("    torch.manual_seed(0)\n", ""), needs=("torch",)),
        Example(_BAD.replace("    torch.manual_seed(0)\n", "    torch.manual_seed(epoch)\n"), needs=("torch",)),
        # Each model begins alike, which is the point.
        Example(_SWEEP, needs=("torch",)),
        Example(
            _SWEEP.replace(
                "for width in (2, 4):\n    torch.manual_seed(0)\n    print(train(width))",
                "for seed in range(2):\n    torch.manual_seed(seed)\n    print(train(2))",
            ),
            needs=("torch",),
        ),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/notes/randomness.html",
        "https://numpy.org/doc/stable/reference/random/generated/numpy.random.seed.html",
    ),
)

_COUNTS = re.compile(r"(^|_)(epochs?|steps?|batch(es)?|batch_idx|iter(ation)?s?|it|episodes?|updates?|n_iter)(_|$|\d)")
_FEEDS = re.compile(r"(^|_)(data_?loader|loader|dataloaders?|batches|num_epochs|n_epochs|epochs|max_steps|num_steps)$")


def see_source(module: Module) -> Iterator[Sighting]:
    """Seeding calls in a loop over epochs, steps or batches, whose seed is the same in each turn."""
    for one in seedings(module):
        loop = module.loop(one.node)
        name = module.name(one.node.func) or ""
        if one.seed is None or not isinstance(loop, (ast.For, ast.While)) or name.endswith("state"):
            continue
        if _trains_on(loop) and not varies_in(loop, one.seed) and not _made_anew(module, loop):
            what = module.segment(one.node.func)
            yield Sighting(one.node, f"{what} sets the stream back to the same seed in each turn of the loop")


def _trains_on(loop: ast.For | ast.While) -> bool:
    """Whether a loop counts epochs, steps or batches, by the names in its head."""
    head: list[ast.AST] = [loop.test] if isinstance(loop, ast.While) else [loop.target]
    if any(_COUNTS.search(name) for part in head for name in _words(part)):
        return True
    return isinstance(loop, ast.For) and any(_FEEDS.search(name) for name in _words(loop.iter))


def _words(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Name):
            yield one.id.lower()
        elif isinstance(one, ast.Attribute):
            yield one.attr.lower()


def _made_anew(module: Module, loop: ast.AST) -> bool:
    """Whether each turn of a loop makes an optimizer of its own, so that it is a training of its own."""
    for node in ast.walk(loop):
        name = module.name(node.func) if isinstance(node, ast.Call) else None
        if name is None or "()" in name:
            continue  # not made here, but used
        if name.startswith("torch.optim.") or name.endswith(("Trainer", "Model", "Net")):
            return True
    return False


def see_run(watched: Watched) -> Iterator[Observation]:
    """A line that seeds a stream with the same value again and again while one optimizer trains."""
    for run in watched.runs:
        for trace in run.processes:
            yield from _again(trace)


def _again(trace: ProcessTrace) -> Iterator[Observation]:
    steps: dict[tuple[str, Place, str], set[int]] = defaultdict(set)
    for seed in trace.seeds:
        if seed.place is not None and seed.value is not None:
            steps[seed.stream, seed.place, seed.value].add(seed.step)
    for (stream, place, value), seen in steps.items():
        # Of two seedings that one optimizer steps before and after, the second is in the midst of training.
        inner = [step for step in sorted(seen) if step > 0 and _goes_on(trace, step)]
        if len(seen) > 1 and inner and stream != "torch-cuda":
            name = STREAM_NAMES.get(stream, stream)
            yield Observation(
                f"{name} is set back to the seed {value} while training goes on, after step {inner[0]}", place
            )


def _goes_on(trace: ProcessTrace, step: int) -> bool:
    before = {one.optimizer for one in trace.steps if one.n <= step}
    return any(one.optimizer in before for one in trace.steps if one.n > step)
