"""A DataLoader with as many workers as the machine has processors."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Rule, Sighting
from auditor.source import Module
from auditor.source.loading import datasets, loaders
from auditor.source.seeds import inside, parts
from auditor.source.streams import draws

_BAD = """import os
import random

import torch
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        return torch.tensor([index + random.random()])


def main():
    torch.manual_seed(0)
    print([batch.flatten().tolist() for batch in DataLoader(Noisy(), batch_size=2, num_workers=os.cpu_count())])


if __name__ == "__main__":
    main()
"""

RULE = Rule(
    id="worker-count-from-machine",
    title="The number of a DataLoader's workers is that of the machine's processors",
    topic="loading",
    level="seed-stable",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "Batches are dealt out to the workers in turn, and each worker draws from a stream of its own. With another "
        "number of workers each sample meets another stream, so that augmentation is different on a machine with "
        "more processors, with the same seed."
    ),
    remedy="Fix the number with the experiment's other settings.",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(
            _BAD.replace(
                "    torch.manual_seed(0)\n",
                "    torch.manual_seed(0)\n    workers = min(4, len(os.sched_getaffinity(0)))\n",
            ).replace("os.cpu_count()", "workers"),
            needs=("torch",),
        ),
    ),
    good=(
        Example(_BAD.replace("os.cpu_count()", "2"), needs=("torch",)),
        # The samples are what they are, whoever loads them.
        Example(
            _BAD.replace("index + random.random()", "float(index)").replace("import random\n", ""), needs=("torch",)
        ),
    ),
    sources=("https://docs.pytorch.org/docs/stable/data.html#randomness-in-multi-process-data-loading",),
)

_COUNTS = frozenset(
    {"os.cpu_count", "multiprocessing.cpu_count", "os.sched_getaffinity", "os.process_cpu_count", "psutil.cpu_count"}
)
_TRANSFORMS = ("torchvision.transforms.Random", "torchvision.transforms.v2.Random", "albumentations.", "imgaug.")


def see_source(module: Module) -> Iterator[Sighting]:
    """Loaders whose workers are counted by the machine, where samples are drawn for or transformed at random here."""
    for call in loaders(module):
        given = call.argument("num_workers", 5)
        if not isinstance(given, ast.expr):
            continue
        counting = next(
            (
                part
                for part, _ in parts(module, given)
                if isinstance(part, ast.Call) and module.name(part.func) in _COUNTS
            ),
            None,
        )
        random = _is_random(module)
        # A dataset that stands here can be seen to draw nothing.
        if counting is not None and (random or not any(datasets(module))):
            confidence: Confidence | None = None if random else "possible"
            yield Sighting(
                call.node,
                f"the machine's processors ({module.name(counting.func)}) decide which worker draws for which sample",
                confidence=confidence,
            )


def _is_random(module: Module) -> bool:
    """Whether this file draws in a dataset, or transforms samples at random."""
    if any(name.startswith(_TRANSFORMS) for name in module.called):
        return True
    return any(inside(module, draw.node, owner) for owner in datasets(module) for draw in draws(module))
