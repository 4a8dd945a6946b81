"""An old torch, whose workers all begin with the same NumPy stream."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Document
from auditor.source.requirements import requirements

_TRAIN = """import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    def __len__(self):
        return 8

    def __getitem__(self, index):
        return torch.from_numpy(np.random.normal(index, 1, 4)).float()


if __name__ == "__main__":
    np.random.seed(0)
    torch.manual_seed(0)
    print([batch.sum().item() for batch in DataLoader(Noisy(), batch_size=2, num_workers=2)])
"""
_PINNED = "numpy==1.19.5\ntorch==1.8.1\n"

RULE = Rule(
    id="worker-augmentation-numpy-global",
    title="Before torch 1.9, all workers draw the same numbers from NumPy's global stream",
    topic="loading",
    level="distribution-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "From 1.9 on torch seeds NumPy's global stream in each worker. Before, forked workers begin with copies of "
        "their parent's, so that all of them augment alike and again in each epoch, and spawned ones with the "
        "system's entropy."
    ),
    remedy="Install torch 1.9 or later, or seed in a worker_init_fn: numpy.random.seed(torch.initial_seed() % 2**32).",
    bad=(
        Example(_PINNED, kind="requirements", name="requirements.txt", beside={"train.py": _TRAIN}),
        Example("torch>=1.4,<1.8\n", kind="requirements", name="requirements.txt", beside={"train.py": _TRAIN}),
    ),
    good=(
        Example(
            _PINNED.replace("1.8.1", "1.9.0"), kind="requirements", name="requirements.txt", beside={"train.py": _TRAIN}
        ),
        Example("torch>=1.8\n", kind="requirements", name="requirements.txt", beside={"train.py": _TRAIN}),
        # Nothing draws from NumPy's global stream.
        Example(
            _PINNED,
            kind="requirements",
            name="requirements.txt",
            beside={"train.py": _TRAIN.replace("np.random.normal(index, 1, 4)", "np.ones(4)")},
        ),
    ),
    sources=("https://github.com/pytorch/pytorch/pull/56488",),
)


def see_document(document: Document) -> Iterator[Sighting]:
    """A torch below 1.9 in a project whose programs draw from NumPy's stream and load with torch."""
    if document.kind != "requirements":
        return
    for one in requirements(document.text):
        if one.name.lower() == "torch" and _is_old(one.specifier):
            yield Sighting(
                one.line,
                f"torch {one.specifier} does not seed NumPy's stream in DataLoader workers: they all draw alike",
                given=("draws:numpy", "torch.utils.data.DataLoader"),
                unless=("torch.utils.data.get_worker_info", "torch.initial_seed"),
            )


def _is_old(specifier: str) -> bool:
    """Whether a specifier allows no version from 1.9 on."""
    for relation, major, minor in re.findall(r"(===?|<=?|~=)\s*(\d+)(?:\.(\d+))?", specifier):
        version = (int(major), int(minor or 0))
        if version < (1, 9) or (relation == "<" and version == (1, 9)):
            return True
    return False
