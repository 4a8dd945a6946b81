"""A stream that is seeded twice before anything is drawn from it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.records.streams import STREAM_NAMES
from auditor.rule import Example, Rule, Sighting
from auditor.source import UNKNOWN, Module
from auditor.source.streams import Seeding, seedings

_BAD = """import sys

import torch


def set_seed(seed):
    torch.manual_seed(seed)


set_seed(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
torch.manual_seed(42)
print(torch.rand(2))
"""

RULE = Rule(
    id="two-seeds-one-stream",
    title="A stream is seeded twice, and the first seed has no effect",
    topic="streams",
    level="seed-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "The second seeding undoes the first before anything is drawn. Where the first is the seed that the program "
        "was given, runs with different seeds draw the same numbers, and their spread says nothing."
    ),
    remedy="Seed each stream once, with the seed that the program is given.",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example("import random\n\nrandom.seed(1)\nrandom.seed(2)\nprint(random.random())\n"),
    ),
    good=(
        Example(_BAD.replace("torch.manual_seed(42)\n", ""), needs=("torch",)),
        Example(
            "import random\n\nimport numpy as np\n\nrandom.seed(1)\nnp.random.seed(2)\nprint(random.random())\n",
            needs=("numpy",),
        ),
        # Something is drawn in between.
        Example("import random\n\nrandom.seed(1)\nprint(random.random())\nrandom.seed(2)\nprint(random.random())\n"),
        # The same seed, said twice: harmless.
        Example(
            "import torch\n\ntorch.manual_seed(1)\ntorch.cuda.manual_seed_all(1)\nprint(torch.rand(2))\n",
            needs=("torch",),
        ),
    ),
    sources=("https://docs.pytorch.org/docs/stable/notes/randomness.html#controlling-sources-of-randomness",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Seeding calls that stand in a row, each a statement, and have other seeds for one stream."""
    known = {one.node: one for one in seedings(module)}
    for block in _blocks(module):
        last: dict[str, Seeding] = {}
        for statement in block:
            call = statement.value if isinstance(statement, ast.Expr) else None
            one = _seeding(module, call, known) if isinstance(call, ast.Call) else None
            if one is None:
                if not isinstance(statement, (ast.Import, ast.ImportFrom)) and not _is_literal(statement):
                    last = {}
                continue
            for stream in sorted(one.streams):
                earlier = last.get(stream)
                if earlier is not None and _differ(module, earlier, one):
                    line = earlier.node.lineno
                    said = f"{STREAM_NAMES[stream]} is seeded with another seed here, right after line {line}"
                    yield Sighting(one.node, said)
                    break
            last |= dict.fromkeys(one.streams, one)


def _seeding(module: Module, call: ast.Call, known: dict[ast.Call, Seeding]) -> Seeding | None:
    """A call as a seeding; that of a function of this file that does nothing but seed is one too."""
    if call in known:
        return known[call]
    called = module.definition(call.func)
    if not isinstance(called, ast.FunctionDef) or len(call.args) != 1 or call.keywords:
        return None
    inner = [
        known.get(one.value) for one in called.body if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call)
    ]
    if len(inner) != len(called.body) or None in inner:
        return None
    streams = frozenset(stream for one in inner if one is not None for stream in one.streams)
    return Seeding(call, streams, call.args[0], sure=True)


def _blocks(module: Module) -> Iterator[list[ast.stmt]]:
    yield module.tree.body
    for kind in (ast.FunctionDef, ast.AsyncFunctionDef, ast.If, ast.With, ast.For, ast.While):
        for node in module.all(kind):
            yield node.body  # type: ignore[attr-defined]  # each of these has a body


def _is_literal(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant)


def _differ(module: Module, one: Seeding, other: Seeding) -> bool:
    """Whether two seeds are different constants, or one is a constant and the other is none."""
    if one.seed is None or other.seed is None:
        return False
    first, second = module.constant(one.seed), module.constant(other.seed)
    if first is UNKNOWN and second is UNKNOWN:
        return False
    return bool(first != second)
