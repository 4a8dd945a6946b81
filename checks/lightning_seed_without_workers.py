"""Lightning's seeding that leaves the workers to torch."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import ABSENT, Module

_BAD = """import lightning as L
import torch

L.seed_everything(7)
rows = torch.utils.data.DataLoader(torch.arange(8.0), batch_size=4, num_workers=2)
print([batch.sum().item() for batch in rows])
"""

RULE = Rule(
    id="lightning-seed-without-workers",
    title="seed_everything leaves the workers of DataLoaders to torch",
    topic="domains",
    level="seed-stable",
    severity="note",
    confidence="possible",
    since="0.1.0",
    why=(
        "With workers=True Lightning gives each worker of each rank its own seed for Python, NumPy and torch. Without "
        "it that is left to torch: every rank's workers draw alike, and older torch does not seed NumPy in workers, so "
        "that they augment alike, too."
    ),
    remedy="Call seed_everything(seed, workers=True).",
    bad=(Example(_BAD, needs=("lightning",)),),
    good=(
        Example(_BAD.replace("(7)", "(7, workers=True)"), needs=("lightning",)),
        Example(_BAD.replace(", num_workers=2", ""), needs=("lightning",)),
    ),
    sources=("https://lightning.ai/docs/pytorch/stable/common/trainer.html#reproducibility",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Seeding without ``workers`` in a file that makes DataLoaders with workers."""
    if "lightning" not in module.imports:
        return
    loaders = [*module.calls("torch.utils.data.DataLoader")]
    counts = [module.constant(call.argument("num_workers", 5)) for call in loaders]
    if not any(isinstance(count, int) and count > 0 for count in counts):
        return
    if any(call.has("worker_init_fn", 9) for call in loaders):
        return
    for call in module.calls("lightning.seed_everything"):
        if call.argument("workers", 1) is not ABSENT:
            continue
        added = module.with_argument(call.node, "workers=True")
        yield Sighting(
            call.node,
            "seed_everything without workers=True leaves the workers' seeds to torch",
            fix=None if added is None else Fix((added,)),
        )
