"""Seeds for every random stream of a training program, and kernels that compute the same in every run.

Call ``rng = seed_everything(seed)`` before anything is drawn and before CUDA is used, and give every DataLoader
``generator=loader_generator(seed)`` and ``worker_init_fn=seed_worker``. Out of reach from here: where the order of a
set of strings matters, set PYTHONHASHSEED before Python starts.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from itertools import islice
from types import ModuleType
from typing import Any

try:
    import numpy
except ImportError:
    numpy = None  # type: ignore[assignment]
try:
    import torch
except ImportError:
    torch = None  # type: ignore[assignment]


def seed_everything(seed: int, *, deterministic: bool = True) -> Any:
    """Seed Python, NumPy and torch on all devices; return a NumPy Generator of that seed (None without NumPy).

    ``deterministic=False`` leaves the kernels as they are, for a program that cannot do without a random one.
    """
    random.seed(seed)
    if torch is not None:
        torch.manual_seed(seed)  # the stream of the CPU, and those of all CUDA devices
        if deterministic:
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when CUDA starts
            torch.use_deterministic_algorithms(True)
            torch.backends.cudnn.benchmark = False
            torch.backends.cudnn.allow_tf32 = False
            torch.set_float32_matmul_precision("highest")  # no TF32 in matrix products either
    if numpy is None:
        return None
    numpy.random.seed(seed % 2**32)  # the global stream only: a Generator has a seed of its own
    return numpy.random.default_rng(seed)


def loader_generator(seed: int) -> torch.Generator:
    """The generator by which a DataLoader shuffles, and from which it seeds its workers in each epoch."""
    return torch.Generator().manual_seed(seed)


def seed_worker(worker_id: int) -> None:
    """Give a DataLoader's worker streams of its own, and the generators that its dataset holds as well."""
    seeds = random.Random(torch.initial_seed())  # in a worker: the loader's seed for this epoch plus worker_id
    random.seed(seeds.getrandbits(64))
    if numpy is not None:
        numpy.random.seed(seeds.getrandbits(32))
    info = torch.utils.data.get_worker_info()
    for held in _generators(info.dataset, set()) if info is not None else ():
        if isinstance(held, random.Random):
            held.seed(seeds.getrandbits(64))
        elif isinstance(held, torch.Generator):
            held.manual_seed(seeds.getrandbits(63))
        elif isinstance(held, numpy.random.RandomState):
            held.seed(seeds.getrandbits(32))
        else:
            held.bit_generator.state = type(held.bit_generator)(seeds.getrandbits(64)).state


def _generators(owner: Any, seen: set[int]) -> Iterator[Any]:
    """The generators among an object's attributes and among those of what it holds, such as its transforms."""
    numpys = () if numpy is None else (numpy.random.Generator, numpy.random.RandomState)
    if isinstance(owner, (random.Random, torch.Generator, *numpys)):
        yield owner
    elif id(owner) not in seen and not isinstance(owner, (type, ModuleType)):
        seen.add(id(owner))
        parts = owner if isinstance(owner, (dict, list, tuple)) else getattr(owner, "__dict__", {})
        for held in islice(parts.values() if isinstance(parts, dict) else parts, 99):
            yield from _generators(held, seen)
