"""A seeding function that is assigned to instead of called."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import UNKNOWN, Module

_BAD = """import numpy as np

np.random.seed = 42
print(np.random.rand())
"""

RULE = Rule(
    id="assigned-seed-function",
    title="A seeding function is assigned a number, not called with it",
    topic="streams",
    level="bit-exact",
    severity="error",
    confidence="medium",
    since="0.1.0",
    why=(
        "numpy.random.seed = 42 seeds nothing: it puts a number in the place of the function. The stream stays "
        "unseeded, and whatever calls the function later fails."
    ),
    remedy="Call it: numpy.random.seed(42).",
    bad=(
        Example(_BAD, needs=("numpy",)),
        Example("import torch\n\nSEED = 3\ntorch.manual_seed = SEED\nprint(torch.rand(1))\n", needs=("torch",)),
    ),
    good=(
        Example(_BAD.replace("seed = 42", "seed(42)"), needs=("numpy",)),
        # Another function in its place, as tests do.
        Example("import random\n\nrandom.seed = lambda *_: None\nrandom.seed(3)\n"),
    ),
    sources=("https://numpy.org/doc/stable/reference/random/generated/numpy.random.seed.html",),
)

_FUNCTIONS = (
    "random.seed",
    "numpy.random.seed",
    "torch.manual_seed",
    "torch.cuda.manual_seed",
    "torch.cuda.manual_seed_all",
    "tensorflow.random.set_seed",
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Assignments of a number, or of what is called a seed, to such a function."""
    for statement, value in module.assigned(*_FUNCTIONS):
        literal = module.constant(value)
        named = isinstance(value, (ast.Name, ast.Attribute)) and "seed" in ast.unparse(value).lower()
        if isinstance(literal, int) or (literal is UNKNOWN and named and module.definition(value) is None):
            target = statement.targets[0] if isinstance(statement, ast.Assign) and len(statement.targets) == 1 else None
            text = None if target is None else f"{module.segment(target)}({module.segment(value)})"
            yield Sighting(
                statement,
                f"{module.segment(statement)} replaces the function and seeds nothing",
                fix=None if text is None else Fix((module.replaced(statement, text),)),
            )
