"""Random identifiers that decide something."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Observation, Rule, Severity, Sighting, Watched
from auditor.source import Module
from auditor.source.flows import flows, last_name, seeds

_BAD = """import uuid

fold = uuid.uuid4().int % 5
print(fold)
"""

RULE = Rule(
    id="uuid-made",
    title="A random identifier is made",
    topic="order",
    level="bit-exact",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "uuid.uuid4 takes the system's entropy and uuid.uuid1 the clock and the machine's address. As a name it only "
        "keeps two runs from being compared; where samples are sorted, split or hashed by it, each run computes on "
        "other ones."
    ),
    remedy="Number things, or take uuid.uuid5 of what they are, which is the same in each run.",
    bad=(
        Example(_BAD),
        Example(
            "import uuid\n\nsamples = [{'id': str(uuid.uuid4()), 'x': number} for number in range(4)]\n"
            "samples.sort(key=lambda one: one['id'])\nprint([one['x'] for one in samples])\n"
        ),
    ),
    good=(
        Example("import uuid\n\nfold = uuid.uuid5(uuid.NAMESPACE_URL, 'images/a.png').int % 5\nprint(fold)\n"),
        Example("samples = [{'id': f'{number:04}', 'x': number} for number in range(4)]\nprint(samples)\n"),
    ),
    sources=("https://docs.python.org/3/library/uuid.html#uuid.uuid4",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """UUIDs: surely harmful as numbers, possibly as names."""
    for call in module.calls("uuid.uuid4", "uuid.uuid1"):
        places = list(flows(module, call.node))
        if any(seeds(module, place) for place in places):
            continue  # a seed from it is a rule of its own
        counts = any(
            (isinstance(place.node, ast.Attribute) and place.node.attr in ("int", "fields", "node", "time_low"))
            or (isinstance(place.around, ast.Call) and last_name(module, place.around) == "hash")
            for place in places
        )
        confidence: Confidence | None = None if counts else "possible"
        what = "as a number" if counts else "which keeps runs from being compared, or decides an order"
        yield Sighting(call.node, f"{call.name} gives another identifier in each run, {what}", confidence=confidence)


def see_run(watched: Watched) -> Iterator[Observation]:
    """Lines of the program that make a random UUID."""
    differs = bool(watched.comparison.divergences)
    weight = "it may be why the runs differ" if differs else "harmless unless it reaches the results"
    for run in watched.runs:
        for trace in run.processes:
            for read in trace.entropy:
                if read.kind == "uuid":
                    severity: Severity = "warning" if differs else "note"
                    yield Observation(f"the program makes a random UUID: {weight}", read.place, severity)
