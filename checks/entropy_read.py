"""The system's entropy as data."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.flows import Place, flows, seeds

_BAD = """import os

noise = [byte / 255 for byte in os.urandom(4)]
print(sum(noise))
"""

RULE = Rule(
    id="entropy-read",
    title="The system's entropy is used as data",
    topic="order",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "os.urandom, the secrets module and random.SystemRandom give what the system's entropy gives. No seed reaches "
        "them: numbers, choices and shuffles that come from them are others in each run."
    ),
    remedy="Draw from a seeded generator, such as random.Random(seed) or numpy.random.default_rng(seed).",
    bad=(
        Example(_BAD),
        Example("import random\n\nrandom.seed(0)\nprint(random.SystemRandom().choice([1, 2, 3]))\n"),
        Example("import secrets\n\nfold = secrets.randbelow(5)\nprint(fold)\n"),
    ),
    good=(
        Example(
            "import random\n\nrandom.seed(0)\nnoise = [byte / 255 for byte in random.randbytes(4)]\nprint(noise)\n"
        ),
        # A key for a service is meant to be unknown.
        Example("import secrets\n\npassword = secrets.token_urlsafe(16)\nprint(len(password))\n", runs=False),
    ),
    sources=(
        "https://docs.python.org/3/library/os.html#os.urandom",
        "https://docs.python.org/3/library/random.html#random.SystemRandom",
    ),
)

_READERS = (
    "os.urandom",
    "os.getrandom",
    "secrets.randbelow",
    "secrets.randbits",
    "secrets.choice",
    "random.SystemRandom().*",
    "secrets.SystemRandom().*",
)
_SECRET = ("token", "key", "secret", "password", "port", "salt", "nonce", "name", "uid")


def see_source(module: Module) -> Iterator[Sighting]:
    """Reads of the system's entropy that are no seed and no key."""
    for call in module.calls(*_READERS):
        # A seed from the system's entropy is a rule of its own; names, keys and free ports are meant to be unknown.
        places = list(flows(module, call.node))
        if any(seeds(module, place) or _is_name(place) for place in places):
            continue
        if any(word in name.lower() for name in module.functions(call.node) for word in _SECRET):
            continue
        yield Sighting(call.node, f"{call.name.replace('()', '')} reads the system's entropy, which no seed reaches")


def _is_name(place: Place) -> bool:
    """Whether a value becomes text, or is called a port where it is looped over or kept."""
    match place.around:
        case ast.Attribute():
            return place.around.attr in ("hex", "decode")
        case ast.For(target=ast.Name() as target) | ast.Assign(targets=[ast.Name() as target]):
            return any(word in target.id.lower() for word in _SECRET)
    return False


def see_run(watched: Watched) -> Iterator[Observation]:
    """Lines of the program that read the system's entropy."""
    differs = bool(watched.comparison.divergences)
    weight = "it may be why the runs differ" if differs else "harmless unless it reaches the results"
    for run in watched.runs:
        for trace in run.processes:
            # Of generators that are made without a seed another rule speaks.
            unseeded: set[object] = {one.place for one in trace.generators if one.place is not None and not one.seeded}
            unseeded |= {one.place for one in trace.entropy if one.kind == "numpy-entropy"}
            for read in trace.entropy:
                if read.kind == "urandom" and read.place not in unseeded:
                    said = f"the program reads the system's entropy: {weight}"
                    yield Observation(said, read.place, "warning" if differs else "note")
