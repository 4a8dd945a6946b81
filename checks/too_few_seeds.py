"""A comparison over too few seeds to tell a difference from noise."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.experiments import count, runs, seed_loops
from auditor.source.streams import learns

_BAD = """import torch

scores = []
for seed in range(3):
    torch.manual_seed(seed)
    model = torch.nn.Linear(4, 1)
    scores.append(model(torch.ones(1, 4)).item())
print(sum(scores) / len(scores))
"""

RULE = Rule(
    id="too-few-seeds",
    title="A result is taken over too few seeds",
    topic="claims",
    level="distribution-stable",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "Three runs tell little: with 95 % confidence the true standard deviation lies between half and six times "
        "theirs, so that only large differences between two methods show. Fewer than three do not even choose between "
        "settings of a search."
    ),
    remedy="Run at least five seeds for what is published, and three for each setting of a search.",
    bad=(
        Example(_BAD),
        Example(_BAD.replace("scores = []", "SEEDS = (1, 2)\nscores = []").replace("range(3)", "SEEDS")),
        Example(
            "import torch\n\n\ndef run(seed):\n    return torch.manual_seed(seed).seed()\n\n\nseeds = [0, 1]\n"
            "scores = [run(one) for one in seeds]\nprint(len(scores))\n"
        ),
    ),
    good=(
        Example(_BAD.replace("range(3)", "range(5)")),
        Example(
            _BAD.replace("import torch\n", "import sys\n\nimport torch\n", 1).replace(
                "range(3)", "range(int(sys.argv[1]))"
            ),
            arguments=("5",),
        ),
        # No seeds of runs: one for each of three streams.
        Example(
            "import torch\n\nnames = ['data', 'model', 'order']\nfor seed, name in enumerate(names):\n"
            "    print(name, seed, torch.ones(1))\n"
        ),
    ),
    sources=(
        "https://arxiv.org/abs/1806.08295",
        "https://arxiv.org/abs/1904.06979",
    ),
)

_CHOICE, _CLAIM = 3, 5


def see_source(module: Module) -> Iterator[Sighting]:
    """Loops over two to four seeds that the program names itself."""
    if not runs(module) or not learns(module):
        return
    for loop in seed_loops(module):
        iterated = loop.iter
        at = loop if isinstance(loop, ast.For) else iterated
        if (isinstance(iterated, ast.Call) and module.name(iterated.func) == "enumerate") or not runs(module, at):
            continue  # the names count something else
        seeds = count(module, loop)
        if seeds is None or not 1 < seeds < _CLAIM:
            continue
        few = f"{seeds} seeds are too few to publish a comparison ({_CLAIM})"
        if seeds < _CHOICE:
            few += f", and to choose between settings ({_CHOICE})"
        yield Sighting(at, few)
