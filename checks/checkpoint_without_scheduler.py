"""A checkpoint from which the learning rate begins anew."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.checkpoints import has_optimizer, has_scheduler, resumes, saved, saves_elsewhere

_BAD = """import os

import torch

torch.manual_seed(7)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
decay = torch.optim.lr_scheduler.StepLR(optimizer, 1)
start_epoch = 0
if os.path.exists("last.pt"):
    kept = torch.load("last.pt", weights_only=True)
    model.load_state_dict(kept["model"])
    optimizer.load_state_dict(kept["optimizer"])
    start_epoch = kept["epoch"] + 1
for epoch in range(start_epoch, start_epoch + 2):
    model(torch.ones(4, 2)).pow(2).sum().backward()
    optimizer.step()
    decay.step()
    torch.save({"epoch": epoch, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, "last.pt")
print(model.weight.sum().item())
"""

RULE = Rule(
    id="checkpoint-without-scheduler",
    title="A checkpoint that training goes on from lacks the scheduler",
    topic="claims",
    level="seed-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "A scheduler counts the steps that it has taken. Where it is not saved, a run that goes on counts from the "
        "beginning: warm-up comes again, decay comes later, and the result is another than without the interruption."
    ),
    remedy="Save scheduler.state_dict() too, and load it again before training goes on.",
    bad=(Example(_BAD),),
    good=(
        Example(
            _BAD.replace(
                "optimizer.state_dict()}", 'optimizer.state_dict(),\n                "scheduler": decay.state_dict()}'
            ).replace("    start_epoch =", '    decay.load_state_dict(kept["scheduler"])\n    start_epoch =')
        ),
        # It is told where to begin instead.
        Example(
            _BAD.replace("decay = torch.optim.lr_scheduler.StepLR(optimizer, 1)\n", "").replace(
                "for epoch",
                "decay = torch.optim.lr_scheduler.StepLR(optimizer, 1, last_epoch=start_epoch - 1)\nfor epoch",
            )
        ),
    ),
    sources=("https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Checkpoints with an optimizer in a program with a scheduler that none of them holds."""
    if "torch" not in module.imports or not resumes(module) or not has_optimizer(module):
        return
    found = saved(module)
    if not has_scheduler(module) or saves_elsewhere(module) or any(one.scheduler or not one.whole for one in found):
        return
    # It is told how far training had come.
    if any(given.arg == "last_epoch" for given in module.all(ast.keyword)) or ".last_epoch" in module.text:
        return
    for one in found:
        if one.model and one.optimizer:
            yield Sighting(one.node, "training goes on from this and the scheduler's state is not in it")
