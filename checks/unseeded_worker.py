"""DataLoader workers that begin with other random states in each run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.records.evidence import RunEvidence
from auditor.records.streams import STREAM_NAMES, alike_at_start, loader_place, worker_start
from auditor.rule import Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import ABSENT, Module
from auditor.source.seeds import inside, unstable, worker_inits
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
    np.random.seed()


def main():
    torch.manual_seed(0)
    np.random.seed(0)
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
_TIME = _BAD.replace("np.random.seed()", "np.random.seed(int(time.time()) + worker_id)").replace(
    "import numpy", "import time\n\nimport numpy"
)

RULE = Rule(
    id="unseeded-worker",
    title="A DataLoader's workers are seeded from entropy or the clock",
    topic="loading",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "torch seeds each worker from the DataLoader's generator. A worker_init_fn that seeds again, without a seed "
        "or from the clock or the process's number, undoes that: what the workers draw is different in each run, "
        "whatever the program's seed."
    ),
    remedy="Seed from torch.initial_seed(): numpy.random.seed(torch.initial_seed() % 2**32).",
    bad=(
        Example(_BAD, needs=("numpy", "torch")),
        Example(_TIME, needs=("numpy", "torch")),
        Example(
            _BAD.replace("worker_init_fn=start", "worker_init_fn=lambda _: np.random.seed(None)"),
            needs=("numpy", "torch"),
        ),
    ),
    good=(
        Example(
            _BAD.replace("np.random.seed()", "np.random.seed(torch.initial_seed() % 2**32)"), needs=("numpy", "torch")
        ),
        Example(
            _BAD.replace(", worker_init_fn=start", "").replace("np.random.seed()", "pass"), needs=("numpy", "torch")
        ),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/notes/randomness.html#dataloader",
        "https://docs.pytorch.org/docs/stable/data.html#randomness-in-multi-process-data-loading",
    ),
)

_TAKE_NOTHING = ("torch.seed", "torch.cuda.seed", "torch.cuda.seed_all")


def see_source(module: Module) -> Iterator[Sighting]:
    """Initialisations of workers that seed without a seed, or with what differs from run to run."""
    functions = worker_inits(module)
    for call in module.calls("random.seed", "numpy.random.seed", *_TAKE_NOTHING):
        given = call.argument("a" if call.name == "random.seed" else "seed", 0)
        nothing = call.name in _TAKE_NOTHING or given is ABSENT or module.constant(given) is None
        if nothing and any(inside(module, call.node, function) for function in functions):
            yield Sighting(
                call.node,
                f"{call.name} without a seed gives each worker another one in each run",
                fix=_fix(module, call.node),
            )
    for one in seedings(module):
        if one.seed is None or not any(inside(module, one.node, function) for function in functions):
            continue
        found = unstable(module, one.seed)
        if found is not None:
            yield Sighting(one.node, f"workers are seeded from {found.what} ({found.name}), another seed in each run")


def _fix(module: Module, call: ast.Call) -> Fix | None:
    if call.args or call.keywords or module.name(call.func) in _TAKE_NOTHING:
        return None
    edit = module.with_argument(call, "torch.initial_seed() % 2**32")
    return None if edit is None else Fix((edit,), safe=True, imports=("torch",))


def see_run(watched: Watched) -> Iterator[Observation]:
    """Workers that seed from entropy, or begin otherwise than in another run although their parents agree."""
    for run in watched.runs:
        for trace in run.processes:
            for seed in trace.seeds if trace.workers else ():
                if seed.value is None:
                    name = STREAM_NAMES.get(seed.stream, seed.stream)
                    yield Observation(f"{name} is seeded from the system's entropy in a worker", seed.place)
    first: dict[int | None, RunEvidence] = {}
    for run in watched.runs:
        if run.run.seed in first:
            yield from _apart(first[run.run.seed], run)
        else:
            first[run.run.seed] = run


def _apart(one: RunEvidence, other: RunEvidence) -> Iterator[Observation]:
    parents = {trace.role: trace for trace in one.processes}
    twins = {trace.role: trace for trace in other.processes}
    for trace in one.processes:
        twin = twins.get(trace.role)
        mine, theirs = worker_start(trace), None if twin is None else worker_start(twin)
        if mine is None or theirs is None:
            continue
        parent = trace.role.rpartition("/")[0]
        # Where the parent itself is not seeded, that is what is wrong.
        if parent not in parents or parent not in twins or not alike_at_start(parents[parent], twins[parent], "torch"):
            continue
        differing = [name for name, state in mine.streams.items() if theirs.streams.get(name, state) != state]
        if differing and "numpy-generator" not in differing:
            name = STREAM_NAMES.get(differing[0], differing[0])
            yield Observation(
                f"{name} begins in another state in each run in worker {mine.worker} of DataLoader {mine.loader}, "
                "although torch is seeded in the process that starts it",
                loader_place(parents[parent], mine.loader),
            )
