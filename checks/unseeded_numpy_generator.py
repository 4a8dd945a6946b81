"""A NumPy Generator that was given no seed."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Observation, Rule, Sighting, Watched
from auditor.source import ABSENT, Module

_BAD = """import numpy as np

np.random.seed(0)  # does not reach the generator below
rng = np.random.default_rng()
print(rng.normal())
"""

RULE = Rule(
    id="unseeded-numpy-generator",
    title="A NumPy Generator is made without a seed",
    topic="streams",
    level="bit-exact",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "numpy.random.default_rng() and the bit generators take their seed from the system's entropy where none is "
        "given. numpy.random.seed seeds NumPy's old global stream only and does not reach them."
    ),
    remedy="Give it a seed: numpy.random.default_rng(seed).",
    bad=(Example(_BAD, needs=("numpy",)),),
    good=(Example(_BAD.replace("default_rng()", "default_rng(7)"), needs=("numpy",)),),
    sources=(
        "https://numpy.org/doc/stable/reference/random/generator.html#numpy.random.default_rng",
        "https://numpy.org/neps/nep-0019-rng-policy.html",
    ),
)

_MAKERS = (
    "numpy.random.default_rng",
    "numpy.random.SeedSequence",
    "numpy.random.RandomState",
    "numpy.random.MT19937",
    "numpy.random.PCG64",
    "numpy.random.PCG64DXSM",
    "numpy.random.Philox",
    "numpy.random.SFC64",
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Generators made from nothing, or from None."""
    for call in module.calls(*_MAKERS):
        seed = call.argument("entropy" if call.name.endswith("SeedSequence") else "seed", 0)
        if seed is ABSENT or module.constant(seed) is None:
            yield Sighting(
                call.node,
                f"{call.name}() takes its seed from the system's entropy; numpy.random.seed does not reach it",
            )


def see_run(watched: Watched) -> Iterator[Observation]:
    """Generators that drew the system's entropy."""
    for run in watched.runs:
        for trace in run.processes:
            for generator in trace.generators:
                if not generator.seeded:
                    yield Observation(
                        f"a NumPy generator ({generator.kind}) is made without a seed: it takes the system's entropy",
                        generator.place,
                    )
