"""A Lightning program that is seeded and leaves nondeterministic kernels on."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import ABSENT, Module

_BAD = """import lightning as L

L.seed_everything(7)
trainer = L.Trainer(max_epochs=1, logger=False, enable_checkpointing=False)
print(trainer.max_epochs)
"""

RULE = Rule(
    id="lightning-nondeterministic-trainer",
    title="A seeded Lightning program leaves nondeterministic kernels on",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "seed_everything fixes what is drawn, not the order in which GPU kernels add. Trainer(deterministic=True) asks "
        "torch for deterministic algorithms and sets the variable that cuBLAS needs."
    ),
    remedy="Pass deterministic=True to the Trainer ('warn' where an operation has no deterministic algorithm).",
    bad=(Example(_BAD, needs=("lightning",)),),
    good=(
        Example(_BAD.replace("max_epochs=1", "max_epochs=1, deterministic=True"), needs=("lightning",)),
        Example(_BAD.replace("max_epochs=1", 'max_epochs=1, accelerator="cpu"'), needs=("lightning",)),
        Example(_BAD.replace("L.seed_everything(7)\n", ""), needs=("lightning",)),
        Example(
            "import torch\n" + _BAD.replace("\nL.seed", "\ntorch.use_deterministic_algorithms(True)\nL.seed"),
            needs=("lightning",),
        ),
    ),
    sources=(
        "https://lightning.ai/docs/pytorch/stable/common/trainer.html#reproducibility",
        "https://lightning.ai/docs/pytorch/stable/common/trainer.html#deterministic",
    ),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Trainers without ``deterministic`` in a file that seeds everything."""
    if "lightning" not in module.imports or "lightning.seed_everything" not in module.called:
        return
    for call in module.calls("lightning.Trainer"):
        device = module.constant(call.argument("accelerator"))
        if call.argument("deterministic") is not ABSENT or device == "cpu" or call.has("benchmark"):
            continue
        added = module.with_argument(call.node, "deterministic=True")
        yield Sighting(
            call.node,
            "everything is seeded, and Trainer without deterministic=True lets kernels add in any order",
            unless=("torch.use_deterministic_algorithms", "torch.backends.cudnn.deterministic=True"),
            fix=None if added is None else Fix((added,)),
        )
