"""A pipeline of Albumentations that is given no seed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import ABSENT, Call, Module

_BAD = """import random

import albumentations as A
import numpy as np

random.seed(7)
np.random.seed(7)  # neither reaches the pipeline
augment = A.Compose([A.HorizontalFlip(p=0.5), A.RandomBrightnessContrast(p=1.0)])
print(augment(image=np.arange(48, dtype=np.uint8).reshape(4, 4, 3))["image"].sum())
"""

RULE = Rule(
    id="albumentations-without-seed",
    title="An augmentation pipeline is given no seed",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Albumentations 2 draws from generators of its own, which Compose(seed=…) seeds; random.seed and "
        "numpy.random.seed do not reach them. Older releases drew from the global streams."
    ),
    remedy="Pass the seed: A.Compose([…], seed=seed).",
    bad=(Example(_BAD, needs=("albumentations",)),),
    good=(
        Example(_BAD.replace("p=1.0)])", "p=1.0)], seed=7)"), needs=("albumentations",)),
        # Nothing in it is drawn.
        Example(
            _BAD.replace(
                "[A.HorizontalFlip(p=0.5), A.RandomBrightnessContrast(p=1.0)]", "[A.Resize(2, 2), A.Normalize()]"
            ),
            needs=("albumentations",),
        ),
        # A part of a pipeline that is seeded as a whole.
        Example(_BAD.replace("p=1.0)])", "p=1.0), A.Compose([A.VerticalFlip()])], seed=7)"), needs=("albumentations",)),
    ),
    sources=("https://albumentations.ai/docs/4-advanced-guides/reproducibility",),
)

_FIXED = frozenset(
    {"Resize", "Normalize", "ToFloat", "FromFloat", "CenterCrop", "PadIfNeeded", "LongestMaxSize", "SmallestMaxSize"}
    | {"Crop", "Lambda", "NoOp", "ToTensorV2", "CropAndPad", "Pad", "ToGray", "ToRGB"}
)
_PIPELINES = ("albumentations.Compose", "albumentations.ReplayCompose", "albumentations.core.composition.Compose")


def see_source(module: Module) -> Iterator[Sighting]:
    """Outermost pipelines without ``seed`` in which something is drawn."""
    if "albumentations" not in module.imports:
        return
    for call in module.calls(*_PIPELINES):
        seed = call.argument("seed")
        if (seed is ABSENT or module.constant(seed) is None) and not _part(module, call.node) and _draws(module, call):
            yield Sighting(
                call.node,
                "Compose without seed: what it draws comes from the system's entropy, whatever the global seeds",
                unless=("?.set_random_seed", "albumentations.Compose().set_random_seed"),
            )


def _part(module: Module, node: ast.Call) -> bool:
    """Whether a pipeline stands inside another one."""
    return any(
        isinstance(around, ast.Call) and (module.name(around.func) or "").startswith("albumentations.")
        for around in module.parents(node)
    )


def _draws(module: Module, pipeline: Call) -> bool:
    given = pipeline.argument("transforms", 0)
    values = module.values(given) if isinstance(given, ast.expr) else []
    for value in values:
        for node in ast.walk(value):
            name = module.name(node.func) if isinstance(node, ast.Call) else None
            if name is not None and name.startswith("albumentations.") and name.rpartition(".")[2] not in _FIXED:
                return True
    return False
