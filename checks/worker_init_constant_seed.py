"""A worker_init_fn that seeds all workers alike."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.module import Call, Function
from auditor.source.scopes import parameters
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
    np.random.seed(0)


def main():
    torch.manual_seed(0)
    weights = torch.zeros(4, requires_grad=True)
    optimizer = torch.optim.SGD([weights], lr=0.01)
    for batch in DataLoader(Noisy(), batch_size=4, num_workers=2, worker_init_fn=start):
        loss = (batch @ weights - 1).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(loss.item())


if __name__ == "__main__":
    main()
"""
_PARTIAL = (
    _BAD.replace("worker_init_fn=start", "worker_init_fn=partial(start, seed=3)")
    .replace("import numpy", "from functools import partial\n\nimport numpy")
    .replace("start(worker_id)", "start(worker_id, seed)")
    .replace("seed(0)\n\n\ndef", "seed(seed)\n\n\ndef")
)

RULE = Rule(
    id="worker-init-constant-seed",
    title="All workers of a DataLoader are given the same seed",
    topic="loading",
    level="distribution-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "A worker_init_fn that seeds without the worker's number has all workers draw the same numbers, and draw "
        "them again in each epoch. torch gives each worker a seed of its own; this undoes it."
    ),
    remedy=(
        "Seed from torch.initial_seed(), which is another one in each worker and epoch, or leave the worker_init_fn "
        "out."
    ),
    bad=(
        Example(_BAD, needs=("numpy", "torch")),
        Example(
            _BAD.replace("worker_init_fn=start", "worker_init_fn=lambda _: np.random.seed(SEED)").replace(
                "class", "SEED = 3\n\n\nclass"
            ),
            needs=("numpy", "torch"),
        ),
        Example(_PARTIAL, needs=("numpy", "torch")),
    ),
    good=(
        Example(
            _BAD.replace("seed(0)\n\n\ndef", "seed(torch.initial_seed() % 2**32)\n\n\ndef"), needs=("numpy", "torch")
        ),
        Example(_BAD.replace("seed(0)\n\n\ndef", "seed(worker_id)\n\n\ndef"), needs=("numpy", "torch")),
        Example(
            _BAD.replace(
                "np.random.seed(0)", "seed = torch.utils.data.get_worker_info().seed\n    np.random.seed(seed % 2**32)"
            ),
            needs=("numpy", "torch"),
        ),
        Example(_PARTIAL.replace("seed(seed)", "seed(seed + worker_id)"), needs=("numpy", "torch")),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/notes/randomness.html#dataloader",
        "https://docs.pytorch.org/docs/stable/data.html#randomness-in-multi-process-data-loading",
    ),
)

_FIXED = (ast.Constant, ast.Name, ast.Attribute, ast.BinOp, ast.operator, ast.expr_context)


def see_source(module: Module) -> Iterator[Sighting]:
    """Initialisations of workers that seed with what is neither the worker's number nor made from it."""
    for function, calls in worker_inits(module).items():
        given = any(call is not None for call in calls)
        held = _held(module, function, calls)
        for one in seedings(module):
            if one.seed is not None and inside(module, one.node, function) and _is_fixed(function, one.seed, held):
                yield Sighting(
                    one.node,
                    f"{module.segment(one.node)} seeds every worker alike",
                    confidence=None if given else "medium",
                )


def _held(module: Module, function: Function, calls: list[Call | None]) -> frozenset[str]:
    """The parameters that a ``functools.partial`` gives a function wherever it is given to a loader."""
    positional = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
    held: list[frozenset[str]] = []
    for call in calls:
        given = None if call is None else call.argument("worker_init_fn")
        for made in module.values(given) if isinstance(given, ast.expr) else []:
            if isinstance(made, ast.Call) and module.name(made.func) == "functools.partial":
                named = [one.arg for one in made.keywords if one.arg]
                held.append(frozenset((*named, *positional[: len(made.args) - 1])))
            else:
                held.append(frozenset())
    return frozenset.intersection(*held) if held else frozenset()


def _is_fixed(function: Function, seed: ast.expr, held: frozenset[str]) -> bool:
    """Whether a seed is made of constants, names from outside the function and what it holds, none a worker's."""
    if not all(isinstance(part, _FIXED) for part in ast.walk(seed)):
        return False
    own = {one.arg for one in parameters(function)} - held
    own |= {one.id for one in ast.walk(function) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    words = names(seed) | {one.attr for one in ast.walk(seed) if isinstance(one, ast.Attribute)}
    told = any(word in one.lower() for one in words for word in ("worker", "rank", "info", "initial", "base"))
    return own.isdisjoint(names(seed)) and not told
