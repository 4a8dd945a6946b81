"""DataLoader workers that all make the same random choices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from auditor.records.streams import loader_place, worker_end, worker_start, worker_states
from auditor.rule import Confidence, Example, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.loading import (
    datasets,
    global_generators,
    has_workers,
    held_generators,
    initialises_workers,
    loaders,
    method,
    uses,
)

_BAD = """import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class Signals(Dataset):
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        return 16

    def __getitem__(self, index):
        return torch.from_numpy(self.rng.normal(index, 1, 4)).float()


def main():
    torch.manual_seed(0)
    weights = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=0.01)
    for batch in DataLoader(Signals(0), batch_size=4, num_workers=2):
        loss = (batch @ weights - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(loss.item())


if __name__ == "__main__":
    main()
"""
_EACH = """    def __getitem__(self, index):
        rng = np.random.default_rng([3, index])
        return torch.from_numpy(rng.normal(index, 1, 4)).float()
"""
_SHARED = _BAD[_BAD.index("    def __getitem__") : _BAD.index("\n\ndef main")]

RULE = Rule(
    id="identical-worker-randomness",
    title="A DataLoader's workers all make the same random choices",
    topic="loading",
    level="distribution-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Each worker gets a copy of the dataset, and with it a copy of every generator that the dataset holds. The "
        "copies begin in the same state, so that all workers draw the same numbers, and draw them again in each "
        "epoch. torch seeds the global streams of its workers, but no generator of one's own."
    ),
    remedy=(
        "Make the generator in the worker: in worker_init_fn, from torch.initial_seed(), or for each sample from "
        "numpy.random.default_rng([seed, epoch, index])."
    ),
    bad=(
        Example(_BAD, needs=("numpy", "torch")),
        Example(
            _BAD.replace("import numpy as np", "import random\n")
            .replace("np.random.default_rng(seed)", "random.Random(seed)")
            .replace(
                "torch.from_numpy(self.rng.normal(index, 1, 4)).float()", "torch.full((4,), self.rng.gauss(index, 1))"
            ),
            needs=("torch",),
        ),
        Example(
            _BAD.replace("class", "RNG = np.random.default_rng(3)\n\n\nclass", 1)
            .replace("        self.rng = np.random.default_rng(seed)", "        self.seed = seed")
            .replace("self.rng.normal", "RNG.normal"),
            needs=("numpy", "torch"),
        ),
    ),
    good=(
        Example(_BAD.replace(", num_workers=2", ""), needs=("numpy", "torch")),
        Example(_BAD.replace(_SHARED, _EACH), needs=("numpy", "torch")),
        Example(
            _BAD.replace("num_workers=2", "num_workers=2, worker_init_fn=start").replace(
                "def main",
                "def start(worker):\n    info = torch.utils.data.get_worker_info()\n"
                "    info.dataset.rng = np.random.default_rng(info.seed)\n\n\ndef main",
            ),
            needs=("numpy", "torch"),
        ),
        # Drawn from before the workers start, and not in them.
        Example(
            _BAD.replace(
                "self.rng = np.random.default_rng(seed)",
                "self.rng = np.random.default_rng(seed)\n        self.means = self.rng.normal(size=16)",
            ).replace("self.rng.normal(index, 1, 4)", "self.means[index : index + 1].repeat(4)"),
            needs=("numpy", "torch"),
        ),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/data.html#randomness-in-multi-process-data-loading",
        "https://docs.pytorch.org/docs/stable/notes/randomness.html#dataloader",
    ),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Datasets that draw from a generator made in __init__, where workers load that nothing initialises."""
    loading = [call for call in loaders(module) if not initialises_workers(call)]
    numbers = [has_workers(module, call) for call in loading]
    if True not in numbers and None not in numbers:
        return
    confidence: Confidence | None = None if True in numbers else "medium"
    for owner in datasets(module):
        item = method(owner, "__getitem__", "__getitems__", "__iter__")
        if item is None or "worker" in (module.segment(owner)):
            continue
        held = [one for one in held_generators(module, owner) if uses(module, item, one.name)]
        for one in (*held, *global_generators(module, item)):
            yield Sighting(
                one.made,
                f"{owner.name} {'holds' if one in held else 'draws from'} {one.what} ({one.name}): each worker draws "
                "from a copy of it, and all copies begin alike",
                confidence=confidence,
            )


def see_run(watched: Watched) -> Iterator[Observation]:
    """Workers of one loader that begin with equal generators, and draw from them."""
    for run in watched.runs:
        parents = {trace.role: trace for trace in run.processes}
        # (parent, loader, generator, state at the start) → the workers that began so and whether they drew:
        # a loader's later epochs start other workers in other states.
        alike: dict[tuple[str, int, str, str], dict[int, bool | None]] = defaultdict(dict)
        for trace in run.processes:
            start, end = worker_start(trace), worker_end(trace)
            if start is None:
                continue
            begun, ended = worker_states(start), None if end is None else worker_states(end)
            parent = trace.role.rpartition("/")[0]
            for name, state in begun.items():
                drew = None if ended is None or name not in ended else ended[name] != state
                alike[parent, start.loader, name, state][start.worker] = drew
        for (parent, loader, name, _), workers in sorted(alike.items()):
            # Of a worker that was ended from outside nobody knows whether it drew.
            numbers = sorted(number for number, drew in workers.items() if drew is not False)
            if len(numbers) < 2 or not any(workers.values()):
                continue
            listed = ", ".join(map(str, numbers[:8])) + (" …" if len(numbers) > 8 else "")
            yield Observation(
                f"workers {listed} of DataLoader {loader} begin with {name} in the same state and draw from it: "
                "they all make the same random choices",
                loader_place(parents.get(parent), loader),
            )
