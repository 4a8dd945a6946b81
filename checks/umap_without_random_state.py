"""UMAP that lets threads race where no random state is given."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import ABSENT, Module

_BAD = """import numpy as np
import umap

np.random.seed(7)
rows = np.random.normal(size=(60, 4))
print(umap.UMAP(n_epochs=20).fit_transform(rows)[:2])
"""

RULE = Rule(
    id="umap-without-random-state",
    title="UMAP optimises in threads that race",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Without random_state UMAP optimises its embedding in several threads that write to it at once, in whatever "
        "order they come. Seeding NumPy does not help: only a random_state makes it use one thread."
    ),
    remedy="Pass random_state=seed to UMAP.",
    bad=(Example(_BAD, needs=("umap-learn", "numpy")),),
    good=(Example(_BAD.replace("n_epochs=20", "n_epochs=20, random_state=7"), needs=("umap-learn", "numpy")),),
    sources=("https://umap-learn.readthedocs.io/en/latest/reproducibility.html",),
)

_NAMES = (
    "umap.UMAP",
    "umap.umap_.UMAP",
    "umap.ParametricUMAP",
    "umap.parametric_umap.ParametricUMAP",
    "umap.AlignedUMAP",
)


def see_source(module: Module) -> Iterator[Sighting]:
    """UMAP without ``random_state``, or with None."""
    if "umap" not in module.imports:
        return
    for call in module.calls(*_NAMES):
        state = call.argument("random_state")
        if state is not ABSENT and module.constant(state) is not None:
            continue
        added = module.with_argument(call.node, "random_state=0") if state is ABSENT else None
        yield Sighting(
            call.node,
            "UMAP without random_state optimises in several threads that race",
            fix=None if added is None else Fix((added,)),
        )
