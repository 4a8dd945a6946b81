"""Batches whose order depends on which worker of a DataLoader was quicker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from auditor.records.trace import Loader, ProcessTrace
from auditor.rule import Example, Observation, Rule, Watched

_BAD = """import secrets
import time

import torch
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(0)


class Slow(Dataset):
    def __len__(self):
        return 24

    def __getitem__(self, index):
        time.sleep(secrets.randbelow(20) / 1000)  # a disk or a network, now quick, now slow
        return torch.tensor([float(index)])


if __name__ == "__main__":
    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    for batch in DataLoader(Slow(), batch_size=2, num_workers=2, in_order=False):
        optimizer.zero_grad()
        model(batch).square().mean().backward()
        optimizer.step()
    print(model.weight.item())
"""

RULE = Rule(
    id="worker-order",
    title="Which worker is quicker decides the order of batches",
    topic="loading",
    level="bit-exact",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "Workers that hand in batches as they have them ready (in_order=False), or that take their samples from one "
        "queue or file together, give the same batches in another order whenever the disk, the network or the load of "
        "the machine is another one. Each step then trains on other data than in the run before."
    ),
    remedy=(
        "Leave in_order at its default, and give each worker a share of the samples that its number alone decides "
        "(torch.utils.data.get_worker_info)."
    ),
    bad=(Example(_BAD, needs=("torch",)),),
    good=(Example(_BAD.replace(", in_order=False", ""), needs=("torch",)),),
    sources=("https://docs.pytorch.org/docs/stable/data.html#torch.utils.data.DataLoader",),
)

_SHUFFLING = frozenset({"RandomSampler", "WeightedRandomSampler", "SubsetRandomSampler"})


def see_run(watched: Watched) -> Iterator[Observation]:
    """Loaders with workers and a fixed order of samples that gave the same batches in another order in another run."""
    orders: dict[tuple[str, int], list[tuple[str, ...]]] = defaultdict(list)
    places: dict[tuple[str, int], Loader] = {}
    for run in watched.runs:
        for trace in run.processes:
            for loader in trace.loaders:
                # What is shuffled is in another order for another reason, where it is.
                if loader.workers > 1 and loader.sampler not in _SHUFFLING:
                    orders[trace.role, loader.index].append(_batches(trace, loader))
                    places[trace.role, loader.index] = loader
    for key, seen in orders.items():
        if len(set(seen)) > 1 and len({tuple(sorted(batches)) for batches in seen}) == 1:
            loader = places[key]
            yield Observation(
                f"DataLoader {loader.index} gave the same batches in another order in another run: its "
                f"{loader.workers} workers hand them in as they have them ready",
                loader.place,
            )


def _batches(trace: ProcessTrace, loader: Loader) -> tuple[str, ...]:
    """The digests of what the model was given with a loader's batches, in order."""
    name = f"loader {loader.index}"
    return tuple(step.batch.digest for step in trace.steps if step.batch and name in step.batch.sources)
