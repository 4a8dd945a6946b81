"""A checkpoint from which the random streams begin anew."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.checkpoints import has_optimizer, resumes, saved, saves_elsewhere

_BAD = """import os

import torch

torch.manual_seed(7)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
start_epoch = 0
if os.path.exists("last.pt"):
    kept = torch.load("last.pt", weights_only=True)
    model.load_state_dict(kept["model"])
    optimizer.load_state_dict(kept["optimizer"])
    start_epoch = kept["epoch"] + 1
for epoch in range(start_epoch, start_epoch + 2):
    model(torch.randn(4, 2)).pow(2).sum().backward()
    optimizer.step()
    torch.save({"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, "last.pt")
print(model.weight.sum().item())
"""

RULE = Rule(
    id="checkpoint-without-random-state",
    title="A checkpoint that training goes on from lacks the random states",
    topic="claims",
    level="bit-exact",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "Shuffling, dropout and augmentation go on in the random streams. A run that goes on from a checkpoint without "
        "their states shuffles as it did at the beginning, so that it cannot equal the run that was never interrupted."
    ),
    remedy=(
        "Save torch.get_rng_state(), torch.cuda.get_rng_state_all(), numpy.random.get_state() and random.getstate(), "
        "or seed at the beginning of each epoch from its number."
    ),
    bad=(Example(_BAD),),
    good=(
        Example(
            _BAD.replace(
                "optimizer.state_dict()}", 'optimizer.state_dict(),\n                "rng": torch.get_rng_state()}'
            ).replace("    start_epoch =", '    torch.set_rng_state(kept["rng"])\n    start_epoch =')
        ),
        # Each epoch is seeded from its number.
        Example(_BAD.replace("2):\n", "2):\n    torch.manual_seed(7 + epoch)\n")),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/notes/randomness.html",
        "https://docs.pytorch.org/docs/stable/generated/torch.get_rng_state.html",
    ),
)

_SEEDS = ("torch.manual_seed", "random.seed", "numpy.random.seed", "lightning.seed_everything")


def see_source(module: Module) -> Iterator[Sighting]:
    """Checkpoints with an optimizer in a program that saves no random state and seeds no epoch."""
    if "torch" not in module.imports or not resumes(module) or not has_optimizer(module):
        return
    found = saved(module)
    if saves_elsewhere(module) or any(one.random or not one.whole for one in found):
        return
    if any(module.loop(call.node) is not None for call in module.calls(*_SEEDS)) or "set_epoch" in module.text:
        return
    for one in found:
        if one.model and one.optimizer:
            yield Sighting(
                one.node,
                "training goes on from this and no random state is in it: shuffling and dropout begin anew",
                unless=("torch.set_rng_state", "torch.random.set_rng_state", "?.set_rng_state"),
            )
