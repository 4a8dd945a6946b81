"""A dataset that is split by torch's global stream."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Confidence, Example, Fix, Rule, Sighting
from auditor.source import ABSENT, Module
from auditor.source.streams import draws, is_program, seedings

_BAD = """import torch
from torch.utils.data import TensorDataset, random_split

torch.manual_seed(0)
model = torch.nn.Linear(1, 1)
data = TensorDataset(torch.arange(16.0).reshape(16, 1))
training, test = random_split(data, [12, 4])
print(test.indices, model(data[0][0]))
"""

RULE = Rule(
    id="split-without-generator",
    title="Which samples are held out comes from torch's global stream",
    topic="loading",
    level="seed-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "random_split without a generator draws from torch's global stream. Which samples are held out then depends "
        "on the seed and on whatever was drawn before: with another model, or in a script that evaluates what an "
        "earlier one trained, they are others, and training samples stand among the test samples."
    ),
    remedy="Give it a generator with a seed of its own: random_split(data, lengths, torch.Generator().manual_seed(0)).",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(
            _BAD.replace("random_split(data, [12, 4])", "random_split(dataset=data, lengths=(0.75, 0.25))"),
            needs=("torch",),
        ),
    ),
    good=(
        Example(_BAD.replace("[12, 4])", "[12, 4], generator=torch.Generator().manual_seed(0))"), needs=("torch",)),
        Example(_BAD.replace("[12, 4])", "[12, 4], torch.Generator().manual_seed(0))"), needs=("torch",)),
        # The stream is set right before, by a constant.
        Example(_BAD.replace("training, test", "torch.manual_seed(7)\ntraining, test"), needs=("torch",)),
    ),
    sources=("https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.random_split",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Splits without a generator, unless nothing can have been drawn since torch was seeded."""
    for call in module.calls("torch.utils.data.random_split"):
        if call.argument("generator", 2) is not ABSENT or _seeded_right_before(module, call.node.lineno):
            continue
        edit = module.with_argument(call.node, "generator=torch.Generator().manual_seed(0)")
        own = module.function(call.node) is None or is_program(module)
        confidence: Confidence | None = None if own else "possible"
        yield Sighting(
            call.node,
            "random_split draws from torch's global stream: what was drawn before decides which samples are held out",
            fix=None if edit is None else Fix((edit,), imports=("torch",)),
            confidence=confidence,
        )


def _seeded_right_before(module: Module, line: int) -> bool:
    """Whether torch is seeded above a line of this file, and nothing in between draws."""
    seeded = [one.node.lineno for one in seedings(module) if "torch" in one.streams and one.node.lineno < line]
    drawn = [one.node.lineno for one in draws(module) if one.stream == "torch" and one.node.lineno < line]
    return bool(seeded) and max(seeded) > max(drawn, default=0)
