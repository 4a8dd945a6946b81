"""A DataLoader that shuffles, and gives the same order in each epoch."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from auditor.records.trace import ProcessTrace
from auditor.rule import Example, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.seeds import varies_in

_BAD = """import torch
from torch.utils.data import DataLoader, TensorDataset

data = TensorDataset(torch.arange(16.0).reshape(16, 1))
weights = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([weights], lr=0.001)
order = torch.Generator()
loader = DataLoader(data, batch_size=4, shuffle=True, generator=order)
for epoch in range(3):
    order.manual_seed(0)
    for (batch,) in loader:
        loss = (batch @ weights - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(loss.item())
"""
_MADE = _BAD.replace("order = torch.Generator()\n", "").replace(
    "loader = DataLoader(data, batch_size=4, shuffle=True, generator=order)\n", ""
)
_MADE = _MADE.replace(
    "    order.manual_seed(0)\n",
    "    order = torch.Generator().manual_seed(0)\n    loader = DataLoader(data, 4, shuffle=True, generator=order)\n",
)

RULE = Rule(
    id="repeated-epoch-order",
    title="A DataLoader shuffles alike in each epoch",
    topic="loading",
    level="distribution-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "A generator that is seeded anew in each epoch has the DataLoader shuffle into the same order each time. The "
        "run repeats, and is that of training without shuffling between epochs."
    ),
    remedy="Seed the generator once, before the loop, or with a seed that counts the epochs.",
    bad=(Example(_BAD, needs=("torch",)), Example(_MADE, needs=("torch",))),
    good=(
        Example(_BAD.replace("manual_seed(0)", "manual_seed(epoch)"), needs=("torch",)),
        Example(
            _BAD.replace("    order.manual_seed(0)\n", "").replace(
                "torch.Generator()", "torch.Generator().manual_seed(0)"
            ),
            needs=("torch",),
        ),
        # Each fold is a training of its own.
        Example(
            "import torch\n\nfor fold in range(3):\n    generator = torch.Generator().manual_seed(0)\n"
            "    print(torch.randperm(8, generator=generator))\n",
            needs=("torch",),
        ),
    ),
    sources=("https://docs.pytorch.org/docs/stable/data.html#data-loading-order-and-sampler",),
)

_SHUFFLING = frozenset({"RandomSampler", "WeightedRandomSampler", "SubsetRandomSampler"})


def see_source(module: Module) -> Iterator[Sighting]:
    """Generators of torch that a loop over epochs seeds with what does not count."""
    for call in module.calls("torch.Generator().manual_seed"):
        loop = module.loop(call.node)
        seed = call.argument("seed", 0)
        if not isinstance(loop, ast.For) or not isinstance(seed, ast.expr) or varies_in(loop, seed):
            continue
        if isinstance(loop.target, ast.Name) and "epoch" in loop.target.id.lower():
            yield Sighting(call.node, "the generator is set back to the same seed in each epoch")


def see_run(watched: Watched) -> Iterator[Observation]:
    """Batches of a loader that shuffles which come again in the same order."""
    for run in watched.runs:
        for trace in run.processes:
            yield from _repeated(trace)


def _repeated(trace: ProcessTrace) -> Iterator[Observation]:
    shuffling = {f"loader {one.index}": one for one in trace.loaders if one.sampler in _SHUFFLING}
    for name, loader in sorted(shuffling.items()):
        digests = [step.batch.digest for step in trace.steps if step.batch and set(step.batch.sources) == {name}]
        # Only steps that follow one another show an order.
        numbers = [step.n for step in trace.steps if step.batch and set(step.batch.sources) == {name}]
        if not digests or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
            continue
        period = _period(digests)
        if period is not None:
            yield Observation(
                f"DataLoader {loader.index} shuffles, and yet the same {period} batches come in the same order "
                f"again and again in {trace.role}: it is seeded anew in every epoch",
                loader.place,
            )


def _period(digests: Sequence[str]) -> int | None:
    """After how many digests, all of them different, the whole sequence repeats itself; None where it does not."""
    first = digests[0]
    period = next((at for at in range(1, len(digests)) if digests[at] == first), None)
    if period is None or period < 2 or len(digests) < 2 * period or len(set(digests)) != period:
        return None
    alike = all(one == other for one, other in zip(digests, digests[period:], strict=False))
    return period if alike else None
