"""A seed that is made of what differs from run to run."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.records.evidence import RunEvidence
from auditor.records.streams import STREAM_NAMES
from auditor.records.trace import ProcessTrace
from auditor.rule import Confidence, Example, Observation, Rule, Sighting, Watched
from auditor.source import Call, Module
from auditor.source.seeds import generator_seeds, inside, parts, stands_in, unstable, worker_inits
from auditor.source.streams import draws, seedings

_CLOCK = """import random
import time

seed = int(time.time() * 1000)
random.seed(seed)
print(random.random())
"""
_OPTION = """import argparse
import random
import time

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=time.time_ns())
args = parser.parse_args()
random.seed(args.seed)
print(random.random())
"""
_DRAWN = """import random

import torch

torch.manual_seed(random.randint(0, 10000))
print(torch.rand(2))
"""

RULE = Rule(
    id="unstable-seed",
    title="A seed is made of what differs from run to run",
    topic="streams",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "A seed from the clock, the process's number, a UUID, an address, or hash() of a text is another one in each "
        "process, so that seeding by it is no seeding at all. The hash of a text changes with PYTHONHASHSEED, which "
        "Python draws at each start."
    ),
    remedy="Take the seed from the command line or a configuration, and for hash(text) use zlib.crc32(text.encode()).",
    bad=(
        Example(_CLOCK),
        Example(_CLOCK.replace("int(time.time() * 1000)", "time.time_ns() % 2**32")),
        Example(
            "import os\n\nimport numpy as np\n\nrng = np.random.default_rng(os.getpid())\nprint(rng.random())\n",
            needs=("numpy",),
        ),
        Example('import random\n\nrandom.seed(hash("train") % 2**32)\nprint(random.random())\n'),
        Example(_OPTION),
        Example(_DRAWN, needs=("torch",)),
    ),
    good=(
        Example(_CLOCK.replace("int(time.time() * 1000)", "7")),
        Example(_CLOCK.replace("seed = int", "started = int").replace("random.seed(seed)", "random.seed(7)")),
        Example(_OPTION.replace("time.time_ns()", "7")),
        Example('import random\nimport zlib\n\nrandom.seed(zlib.crc32(b"train"))\nprint(random.random())\n'),
        # Numbers, and tuples of them, have the same hash everywhere.
        Example("import random\n\nrandom.seed(hash((7, 2)))\nprint(random.random())\n"),
        Example(_DRAWN.replace("torch.manual", "random.seed(7)\ntorch.manual"), needs=("torch",)),
    ),
    sources=(
        "https://docs.python.org/3/reference/datamodel.html#object.__hash__",
        "https://docs.python.org/3/library/random.html#notes-on-reproducibility",
    ),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """What is handed to a seeding call, a generator or a ``seed`` parameter, followed through names."""
    initialising = worker_inits(module)
    handed = [(one.node, one.seed) for one in seedings(module) if one.seed is not None]
    handed += [(node, seed) for node, _, seed in generator_seeds(module)]
    for node, seed in handed:
        if any(inside(module, node, function) for function in initialising):
            continue
        found = unstable(module, seed)
        if found is not None:
            confidence: Confidence | None = None if found.sure else "medium"
            if found.fallback or stands_in(module, node):
                confidence = "possible"  # a caller may give one
            yield Sighting(node, f"this seed is made of {found.what} ({found.name})", confidence=confidence)
        else:
            yield from _drawn(module, node, seed)
    for call in _options(module):
        default = call.argument("default")
        found = unstable(module, default) if isinstance(default, ast.expr) else None
        if found is not None:
            said = f"unless a seed is given, it is made of {found.what} ({found.name})"
            yield Sighting(call.node, said, confidence="medium")


def _options(module: Module) -> Iterator[Call]:
    for name in module.called:
        if name.endswith(".add_argument"):
            for call in module.calls(name):
                option = module.constant(call.argument(None, 0))
                if isinstance(option, str) and option.endswith("seed"):
                    yield call


def _drawn(module: Module, node: ast.Call, seed: ast.expr) -> Iterator[Sighting]:
    """Seeds that are drawn from a stream that nothing but that very seed seeds."""
    known = {one.node: one for one in draws(module)}
    reached = list(parts(module, seed))
    draw, fallback = next(((known[one], told) for one, told in reached if one in known), (None, False))
    if draw is None:
        return
    for one in seedings(module):
        if draw.stream in one.streams and one.node is not node:
            return
    other = frozenset({f"seeds:{draw.stream}", f"may-seed:{draw.stream}"})
    if any(draw.stream in one.streams for one in seedings(module)):
        other = frozenset()
    yield Sighting(
        node,
        f"this seed is drawn from {STREAM_NAMES[draw.stream]}, which nothing seeds",
        unless=tuple(sorted(other)),
        confidence="possible" if fallback or module.function(node) is not None else "medium",
    )


def see_run(watched: Watched) -> Iterator[Observation]:
    """Seeding calls that got other values in another run of the same seed."""
    for first, other in _replicates(watched):
        theirs = {trace.role: trace for trace in other.processes}
        for trace in first.processes:
            # What torch seeds its workers by is drawn in their parent.
            if trace.role in theirs and not trace.workers:
                yield from _compared(trace, theirs[trace.role])


def _replicates(watched: Watched) -> Iterator[tuple[RunEvidence, RunEvidence]]:
    first: dict[int | None, RunEvidence] = {}
    for run in watched.runs:
        if run.run.seed in first:
            yield first[run.run.seed], run
        else:
            first[run.run.seed] = run


def _compared(one: ProcessTrace, other: ProcessTrace) -> Iterator[Observation]:
    torch = {seed.place for seed in one.seeds if seed.stream == "torch"}
    for ours, theirs in zip(one.seeds, other.seeds, strict=False):
        if ours.stream != theirs.stream:
            break
        told_by_torch = ours.stream == "torch-cuda" and ours.place in torch
        if None not in (ours.value, theirs.value) and ours.value != theirs.value and not told_by_torch:
            name = STREAM_NAMES.get(ours.stream, ours.stream)
            yield Observation(f"{name} is seeded with another value in each run", ours.place)
    for made, twin in zip(one.generators, other.generators, strict=False):
        if None not in (made.value, twin.value) and made.value != twin.value and made.place == twin.place:
            yield Observation("a NumPy generator is seeded with another value in each run", made.place)
