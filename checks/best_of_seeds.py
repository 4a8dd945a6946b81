"""The best of several seeds, reported as the result."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.experiments import gathered, last_name, runs, seed_loops

_BAD = """import torch

scores = []
for seed in range(5):
    torch.manual_seed(seed)
    scores.append(torch.nn.Linear(4, 1)(torch.ones(1, 4)).item())
print("score", max(scores))
"""

RULE = Rule(
    id="best-of-seeds",
    title="The best of several seeds is reported",
    topic="claims",
    level="distribution-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "The best of five seeds is what luck gave, and it grows with the number of seeds that were tried. Against "
        "another method's mean, or its single run, it wins although nothing is better."
    ),
    remedy="Report the mean and the standard deviation over all seeds that were run.",
    bad=(Example(_BAD),),
    good=(
        Example(_BAD.replace("max(scores)", "sum(scores) / len(scores), min(scores), max(scores)")),
        Example(_BAD.replace("max(scores)", "max(scores), scores")),
    ),
    sources=("https://arxiv.org/abs/1709.06560", "https://arxiv.org/abs/1909.03004"),
)

_BEST = frozenset({"max", "min", "numpy.max", "numpy.min", "numpy.amax", "numpy.amin", "numpy.nanmax", "numpy.nanmin"})


def see_source(module: Module) -> Iterator[Sighting]:
    """The largest or smallest of a list with one entry for each seed, where the list is used for nothing else."""
    if not runs(module):
        return
    for loop in seed_loops(module):
        name = gathered(module, loop)
        if name is None:
            continue
        function = module.function(loop if isinstance(loop, ast.For) else loop.iter)
        best: list[ast.Call] = []
        for node in module.all(ast.Name):
            if node.id != name or not isinstance(node.ctx, ast.Load) or module.function(node) is not function:
                continue
            around = module.parent(node)
            if isinstance(around, ast.Call) and node in around.args and module.name(around.func) in _BEST:
                best.append(around)
            elif not (isinstance(around, ast.Attribute) and around.attr == "append") and not _counted(around):
                best = []
                break
        if len({last_name(one.func) for one in best}) == 1 and runs(module, best[0]):
            yield Sighting(best[0], f"the best of {name} over the seeds is taken, and the others are not reported")


def _counted(around: ast.AST | None) -> bool:
    return isinstance(around, ast.Call) and last_name(around.func) == "len"
