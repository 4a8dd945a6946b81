"""An iterable dataset whose batches depend on how many workers load it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.loading import datasets, has_workers, initialises_workers, loaders, method

_SHARDED = """import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info


class Numbers(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, 12, step))


def main():
    print([batch.tolist() for batch in DataLoader(Numbers(), batch_size=3, num_workers=2)])


if __name__ == "__main__":
    main()
"""
_WHOLE = (
    _SHARDED.replace("        info = get_worker_info()\n", "")
    .replace("        first, step = (0, 1) if info is None else (info.id, info.num_workers)\n", "")
    .replace("range(first, 12, step)", "range(12)")
    .replace(", get_worker_info", "")
)
_START = """def start(worker):
    numbers = torch.utils.data.get_worker_info().dataset
    numbers.share = (worker * 6, worker * 6 + 6)


"""

RULE = Rule(
    id="shard-by-worker-count",
    title="What an iterable dataset yields depends on the number of workers",
    topic="loading",
    level="seed-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Each worker iterates over a copy of an iterable dataset. Where the dataset does not ask which worker it is "
        "in, every worker yields everything, and each sample comes as often as there are workers; where it shares "
        "the samples out, which of them meet in a batch depends on how many there are."
    ),
    remedy=(
        "Share the samples out by torch.utils.data.get_worker_info(), and fix num_workers with the experiment, not "
        "with the machine."
    ),
    bad=(Example(_WHOLE, needs=("torch",)), Example(_SHARDED, needs=("torch",))),
    good=(
        Example(_WHOLE.replace("num_workers=2", "num_workers=0"), needs=("torch",)),
        # A map-style dataset: the sampler decides what each worker loads.
        Example(
            _WHOLE.replace("IterableDataset", "Dataset").replace(
                "    def __iter__(self):\n        return iter(range(12))",
                "    def __len__(self):\n        return 12\n\n    def __getitem__(self, index):\n        return index",
            ),
            needs=("torch",),
        ),
        # The workers are told their shares when they start.
        Example(
            _WHOLE.replace("range(12)", "range(*self.share)")
            .replace("num_workers=2", "num_workers=2, worker_init_fn=start")
            .replace("def main", _START + "def main"),
            needs=("torch",),
        ),
    ),
    sources=("https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Iterable datasets that ignore their worker, where a loader here has some; and those that count workers."""
    for owner in datasets(module, "IterableDataset"):
        iterates = method(owner, "__iter__")
        if iterates is None:
            continue
        text = module.segment(owner)
        if "num_workers" in text and "worker_info" in text:
            said = f"{owner.name} shares samples out by the number of workers: another number makes other batches"
            yield Sighting(iterates, said, confidence="possible")
        elif "worker" not in text and not _is_endless(iterates) and _is_loaded_by_workers(module, owner):
            yield Sighting(
                iterates, f"{owner.name} does not ask which worker it is in: each worker yields every sample"
            )


def _is_endless(iterates: ast.AST) -> bool:
    """Whether a method goes on for ever, as one that samples at random does: then there is nothing to share out."""
    return any(isinstance(node, ast.While) and isinstance(node.test, ast.Constant) for node in ast.walk(iterates))


def _is_loaded_by_workers(module: Module, owner: ast.ClassDef) -> bool:
    """Whether a loader with workers, which nothing initialises, is given an instance of a class."""
    for call in loaders(module):
        given = call.argument("dataset", 0)
        if not isinstance(given, ast.expr) or has_workers(module, call) is not True or initialises_workers(call):
            continue
        if module.name(given) == f".{owner.name}()":
            return True
    return False
