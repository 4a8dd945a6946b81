"""A checkpoint from which training goes on with a new optimizer."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.checkpoints import has_optimizer, resumes, saved, saves_elsewhere

_BAD = """import os

import torch

torch.manual_seed(7)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.Adam(model.parameters())
start_epoch = 0
if os.path.exists("last.pt"):
    kept = torch.load("last.pt", weights_only=True)
    model.load_state_dict(kept["model"])
    start_epoch = kept["epoch"] + 1
for epoch in range(start_epoch, start_epoch + 2):
    optimizer.zero_grad()
    model(torch.ones(4, 2)).pow(2).sum().backward()
    optimizer.step()
    torch.save({"epoch": epoch, "model": model.state_dict()}, "last.pt")
print(model.weight.sum().item())
"""
_GOOD = _BAD.replace('"model": model.state_dict()}', '"model": model.state_dict(), "adam": optimizer.state_dict()}')

RULE = Rule(
    id="checkpoint-without-optimizer",
    title="A checkpoint that training goes on from lacks the optimizer",
    topic="claims",
    level="seed-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Momentum and Adam's moments are part of what training has reached. A run that goes on from the model alone "
        "begins with empty ones and takes other steps than the run that was never interrupted."
    ),
    remedy="Save optimizer.state_dict() with the model's, and load it again before training goes on.",
    bad=(
        Example(_BAD),
        Example(_BAD.replace("start_epoch", "start")),
        Example(
            _BAD.replace('{"epoch": epoch, "model": model.state_dict()}', "model.state_dict()")
            .replace('kept["model"]', "kept")
            .replace('kept["epoch"] + 1', "1")
        ),
    ),
    good=(
        Example(_GOOD.replace("    start_epoch =", '    optimizer.load_state_dict(kept["adam"])\n    start_epoch =')),
        Example(_GOOD.replace("optimizer", "rule").replace('"adam"', '"moments"')),
        # The best model is kept to be used, and nothing goes on from it.
        Example(
            "import torch\n\nmodel = torch.nn.Linear(2, 1)\noptimizer = torch.optim.SGD(model.parameters(), lr=0.1)\n"
            "model(torch.ones(1, 2)).sum().backward()\noptimizer.step()\ntorch.save(model.state_dict(), 'best.pt')\n"
            "model.load_state_dict(torch.load('best.pt', weights_only=True))\nprint(model(torch.ones(1, 2)).shape)\n"
        ),
    ),
    sources=("https://docs.pytorch.org/tutorials/beginner/saving_loading_models.html",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Saved models in a program that goes on from what it saves, where nothing that it saves holds an optimizer."""
    if "torch" not in module.imports or not resumes(module) or not has_optimizer(module):
        return
    found = saved(module)
    if saves_elsewhere(module) or any(one.optimizer or not one.whole for one in found):
        return
    models = [one for one in found if one.model]
    for one in models:
        if one.progress or len(models) == 1:
            yield Sighting(
                one.node,
                "training goes on from this and the optimizer's state is not in it",
                confidence=None if one.progress else "possible",
            )
