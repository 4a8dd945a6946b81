"""A DataLoader that shuffles by torch's global stream."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.loading import loaders
from auditor.source.streams import is_program, seedings

_BAD = """import torch
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
data = TensorDataset(torch.arange(16.0).reshape(16, 1))
loader = DataLoader(data, batch_size=4, shuffle=True)
weights = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([weights], lr=0.001)
for (batch,) in loader:
    loss = (batch @ weights - 1).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
"""

RULE = Rule(
    id="shuffle-without-generator",
    title="The order of samples comes from torch's global stream",
    topic="loading",
    level="seed-stable",
    severity="note",
    confidence="possible",
    since="0.1.0",
    why=(
        "Without a generator the DataLoader, or its sampler, shuffles by torch's global stream. With the stream "
        "seeded the same program gives the same order again, but whatever else draws from it (another layer, a "
        "resumed run, an evaluation in between) changes the order of all later samples."
    ),
    remedy="Give it a generator of its own: DataLoader(..., generator=torch.Generator().manual_seed(seed)).",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(_BAD.replace("shuffle=True", "sampler=torch.utils.data.RandomSampler(data)"), needs=("torch",)),
    ),
    good=(
        Example(
            _BAD.replace("shuffle=True", "shuffle=True, generator=torch.Generator().manual_seed(0)"), needs=("torch",)
        ),
        Example(_BAD.replace("shuffle=True", "shuffle=False"), needs=("torch",)),
        # Nothing seeds torch: that is what is wrong here.
        Example(_BAD.replace("torch.manual_seed(0)\n", ""), needs=("torch",)),
        Example(
            "from torch.utils.data import DataLoader\n\n\ndef make(data, **options):\n"
            "    return DataLoader(data, shuffle=True, **options)\n",
            needs=("torch",),
        ),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/notes/randomness.html#dataloader",
        "https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.RandomSampler",
    ),
)

_SAMPLERS = {
    "torch.utils.data.RandomSampler": 3,
    "torch.utils.data.WeightedRandomSampler": 3,
    "torch.utils.data.SubsetRandomSampler": 1,
}


def see_source(module: Module) -> Iterator[Sighting]:
    """Loaders that shuffle, and random samplers, without a generator, in a program or project that seeds torch."""
    # A library leaves the seed to its caller, and where nothing seeds torch, that is what is wrong.
    if not is_program(module):
        return
    seeds = any("torch" in one.streams for one in seedings(module))
    given = () if seeds else ("seeds:torch",)
    for call in loaders(module):
        if module.constant(call.argument("shuffle", 2)) is True and not call.has("generator", 12):
            yield Sighting(call.node, "this DataLoader shuffles by torch's global stream", given=given)
    for call in module.calls(*_SAMPLERS):
        if not call.has("generator", _SAMPLERS[call.name]):
            yield Sighting(call.node, f"{call.name.rpartition('.')[2]} draws from torch's global stream", given=given)
