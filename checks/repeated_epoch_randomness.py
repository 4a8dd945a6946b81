"""DataLoader workers that make the same random choices in each epoch."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from auditor.records.streams import loader_place, worker_end, worker_start, worker_states
from auditor.rule import Example, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.loading import is_persistent
from auditor.source.module import Function
from auditor.source.seeds import inside, names, worker_inits
from auditor.source.streams import seedings

_BAD = """import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset


class Noisy(Dataset):
    def __len__(self):
        return 16

    def __getitem__(self, index):
        return torch.from_numpy(np.random.normal(index, 1, 4)).float()


def start(worker_id):
    np.random.seed(42 + worker_id)


def main():
    torch.manual_seed(0)
    weights = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=0.01)
    for epoch in range(2):
        for batch in DataLoader(Noisy(), batch_size=4, num_workers=2, worker_init_fn=start):
            loss = (batch @ weights - 1).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print(loss.item())


if __name__ == "__main__":
    main()
"""
_LOADER = _BAD.replace(
    "    for epoch",
    "    loader = DataLoader(Noisy(), batch_size=4, num_workers=2, worker_init_fn=start)\n    for epoch",
)
_LOADER = _LOADER.replace("in DataLoader(Noisy(), batch_size=4, num_workers=2, worker_init_fn=start):", "in loader:")

RULE = Rule(
    id="repeated-epoch-randomness",
    title="A DataLoader's workers make the same random choices in each epoch",
    topic="loading",
    level="distribution-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Workers are started anew for each epoch, unless they are persistent. A worker_init_fn that seeds them with "
        "a fixed number and the worker's own gives each epoch the same augmentation, so that training sees far less "
        "variety than was meant."
    ),
    remedy=(
        "Seed from torch.initial_seed(), which is another one in each epoch and worker: "
        "numpy.random.seed(torch.initial_seed() % 2**32)."
    ),
    bad=(
        Example(_LOADER, needs=("numpy", "torch")),
        Example(
            _LOADER.replace("worker_init_fn=start", "worker_init_fn=lambda k: np.random.seed(k)"),
            needs=("numpy", "torch"),
        ),
    ),
    good=(
        Example(_LOADER.replace("42 + worker_id", "torch.initial_seed() % 2**32"), needs=("numpy", "torch")),
        Example(
            _LOADER.replace("worker_init_fn=start", "worker_init_fn=start, persistent_workers=True"),
            needs=("numpy", "torch"),
        ),
        Example(
            _LOADER.replace(
                "np.random.seed(42 + worker_id)",
                "info = torch.utils.data.get_worker_info()\n    np.random.seed((info.seed + worker_id) % 2**32)",
            ),
            needs=("numpy", "torch"),
        ),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/data.html#randomness-in-multi-process-data-loading",
        "https://docs.pytorch.org/docs/stable/notes/randomness.html#dataloader",
    ),
)

_FIXED = (ast.Constant, ast.Name, ast.Attribute, ast.BinOp, ast.operator, ast.expr_context)


def see_source(module: Module) -> Iterator[Sighting]:
    """Initialisations of workers that seed with the worker's number and what is fixed, and nothing else."""
    for function, calls in worker_inits(module).items():
        given = [call for call in calls if call is not None]
        if any(is_persistent(module, call) for call in given):
            continue
        for one in seedings(module):
            if one.seed is not None and inside(module, one.node, function) and _counts_workers_only(function, one.seed):
                yield Sighting(
                    one.node,
                    f"{module.segment(one.node)} seeds a worker alike in each epoch: workers are started anew for each",
                    confidence=None if given else "medium",
                )


def _counts_workers_only(function: Function, seed: ast.expr) -> bool:
    """Whether a seed is made of the worker's number, constants and names from outside the function."""
    parameters = [one.arg for one in function.args.args]
    if not parameters or not all(isinstance(part, _FIXED) for part in ast.walk(seed)):
        return False
    assigned = {one.id for one in ast.walk(function) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    # What counts epochs or was drawn in the parent may stand in any name; these are fixed by what they are called.
    others = names(seed) - {parameters[0]}
    if parameters[0] not in names(seed) or not others.isdisjoint(assigned):
        return False
    words = {one.attr for one in ast.walk(seed) if isinstance(one, ast.Attribute)} | others
    return not any(word in one.lower() for one in words for word in ("epoch", "step", "base", "initial", "info"))


def see_run(watched: Watched) -> Iterator[Observation]:
    """A worker that begins two epochs with an equal generator, and draws from it."""
    for run in watched.runs:
        parents = {trace.role: trace for trace in run.processes}
        # (parent, loader, generator) → worker → the states that it began with, each time that it was started
        begun: dict[tuple[str, int, str], dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        drew: set[tuple[str, int, str]] = set()
        for trace in run.processes:
            start, end = worker_start(trace), worker_end(trace)
            if start is None:
                continue
            parent = trace.role.rpartition("/")[0]
            ended = {} if end is None else worker_states(end)
            for name, state in worker_states(start).items():
                begun[parent, start.loader, name][start.worker].append(state)
                if name in ended and ended[name] != state:
                    drew.add((parent, start.loader, name))
        for key, workers in sorted(begun.items()):
            again = sorted(number for number, states in workers.items() if len(set(states)) < len(states))
            if not again or key not in drew:
                continue
            parent, loader, name = key
            listed = ", ".join(map(str, again[:8])) + (" …" if len(again) > 8 else "")
            yield Observation(
                f"workers {listed} of DataLoader {loader} begin more than one epoch with {name} in the same state and "
                "draw from it: those epochs make the same random choices",
                loader_place(parents.get(parent), loader),
            )
