"""A DataLoader that gives batches as workers have them ready."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import Module
from auditor.source.loading import has_workers, loaders

_BAD = """import time

import torch
from torch.utils.data import DataLoader, Dataset


class Slow(Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        time.sleep(0.02 * (index % 3))
        return torch.tensor([float(index)])


def main():
    loader = DataLoader(Slow(), batch_size=2, num_workers=2, in_order=False)
    print([batch.flatten().tolist() for batch in loader])


if __name__ == "__main__":
    main()
"""

RULE = Rule(
    id="out-of-order-loader",
    title="A DataLoader gives batches in the order in which workers have them ready",
    topic="loading",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "With in_order=False the next batch is whichever worker is done first, which depends on the machine and its "
        "load. The order of batches, and with it every step of training, is different in each run."
    ),
    remedy="Leave in_order at its default, True.",
    bad=(Example(_BAD, needs=("torch",)),),
    good=(
        Example(_BAD.replace(", in_order=False", ""), needs=("torch",)),
        Example(_BAD.replace("in_order=False", "in_order=True"), needs=("torch",)),
        # Without workers there is but one order.
        Example(_BAD.replace("num_workers=2", "num_workers=0"), needs=("torch",)),
    ),
    sources=("https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Loaders with workers, or perhaps with them, that are told not to keep the order."""
    for call in loaders(module):
        given = call.argument("in_order")
        if module.constant(given) is False and has_workers(module, call) is not False:
            value = next((one.value for one in call.node.keywords if one.arg == "in_order"), None)
            yield Sighting(
                call.node,
                "in_order=False: batches come in the order in which workers have them ready",
                fix=None if value is None else Fix((module.replaced(value, "True"),), safe=True),
            )
