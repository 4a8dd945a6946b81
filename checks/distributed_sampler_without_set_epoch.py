"""A DistributedSampler that is never told the epoch."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Rule, Sighting
from auditor.source import ABSENT, Module
from auditor.source.streams import trains

_BAD = """import torch
from torch.utils.data import DataLoader, TensorDataset
from torch.utils.data.distributed import DistributedSampler

torch.manual_seed(0)
data = TensorDataset(torch.arange(16.0).reshape(16, 1))
sampler = DistributedSampler(data, num_replicas=2, rank=0)
weights = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([weights], lr=0.001)
for epoch in range(2):
    for (batch,) in DataLoader(data, batch_size=4, sampler=sampler):
        loss = (batch @ weights - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(loss.item())
"""

RULE = Rule(
    id="distributed-sampler-without-set-epoch",
    title="A DistributedSampler shuffles alike in each epoch",
    topic="loading",
    level="distribution-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "DistributedSampler shuffles by its seed and the epoch that set_epoch tells it. Where nothing calls "
        "set_epoch, the epoch stays 0: each epoch gives the same samples in the same order to each process."
    ),
    remedy="Call sampler.set_epoch(epoch) at the beginning of each epoch.",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(
            _BAD.replace(
                "from torch.utils.data.distributed import DistributedSampler", "import torch.utils.data as D"
            ).replace("= DistributedSampler(data,", "= D.DistributedSampler(data, shuffle=True,"),
            needs=("torch",),
        ),
    ),
    good=(
        Example(_BAD.replace("    for (batch", "    sampler.set_epoch(epoch)\n    for (batch"), needs=("torch",)),
        Example(_BAD.replace("rank=0", "rank=0, shuffle=False"), needs=("torch",)),
        # Another file of the project tells it, and it may not be known there what it is.
        Example(
            _BAD,
            needs=("torch",),
            beside={"loop.py": "def start(loader, epoch):\n    loader.sampler.set_epoch(epoch)\n"},
        ),
    ),
    sources=("https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.distributed.DistributedSampler",),
)

_NAMES = ("torch.utils.data.distributed.DistributedSampler", "torch.utils.data.DistributedSampler")
# These call set_epoch themselves.
_TOLD = (
    "?.set_epoch",
    *(f"{name}().set_epoch" for name in _NAMES),
    "torch.utils.data.DataLoader().sampler.set_epoch",
    "torch.utils.data.DataLoader().batch_sampler.set_epoch",
    "lightning.Trainer",
    "lightning.LightningCLI",
    "lightning.Fabric",
    "transformers.Trainer",
    "transformers.Seq2SeqTrainer",
    "accelerate.Accelerator",
)
_EVALUATES = re.compile(r"val|test|eval|dev", re.IGNORECASE)


def see_source(module: Module) -> Iterator[Sighting]:
    """Samplers made to shuffle, in a project that nowhere calls set_epoch."""
    for call in module.calls(*_NAMES):
        shuffle = call.argument("shuffle", 3)
        if shuffle is not ABSENT and module.constant(shuffle) is not True:
            continue
        statement = module.statement(call.node)
        # What is evaluated once needs no other order.
        if statement is not None and _EVALUATES.search(module.segment(statement)):
            continue
        confidence: Confidence | None = None if trains(module) is not None else "medium"
        yield Sighting(
            call.node,
            "nothing calls set_epoch: this sampler gives the same order in each epoch",
            unless=_TOLD,
            confidence=confidence,
        )
