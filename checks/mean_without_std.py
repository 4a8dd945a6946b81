"""A mean over seeds that is reported without how far they spread."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.experiments import gathered, last_name, runs, seed_loops

_BAD = """import numpy as np
import torch

scores = []
for seed in range(5):
    torch.manual_seed(seed)
    scores.append(torch.nn.Linear(4, 1)(torch.ones(1, 4)).item())
print("mean", np.mean(scores))
"""

RULE = Rule(
    id="mean-without-std",
    title="A mean over seeds is reported without its spread",
    topic="claims",
    level="distribution-stable",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "A mean over seeds is a claim only together with how far they spread: without a standard deviation or an "
        "interval nobody can tell whether another mean differs from it, or only drew otherwise."
    ),
    remedy="Report the standard deviation and the number of seeds too: numpy.std(scores, ddof=1).",
    bad=(
        Example(_BAD, needs=("numpy", "torch")),
        Example(_BAD.replace("np.mean(scores)", "sum(scores) / len(scores)"), needs=("numpy", "torch")),
    ),
    good=(
        Example(_BAD.replace("np.mean(scores)", "np.mean(scores), np.std(scores, ddof=1)"), needs=("numpy", "torch")),
        Example(_BAD.replace("np.mean(scores)", "scores"), needs=("numpy", "torch")),
        # All of them are reported.
        Example(_BAD.replace("np.mean(scores)", "np.mean(scores), scores"), needs=("numpy", "torch")),
    ),
    sources=("https://arxiv.org/abs/2108.13264", "https://arxiv.org/abs/1806.08295"),
)

_MEANS = frozenset(
    {"numpy.mean", "numpy.average", "numpy.nanmean", "statistics.mean", "statistics.fmean", "torch.mean"}
)
_SPREAD = re.compile(
    r"std|stdev|deviation|\bvar\b|variance|sem\b|stderr|error_?bar|interval|\bci\b|percentile|quantile|bootstrap|iqm|"
    r"describe|boxplot|errorbar|fill_between|to_csv|dump|savez?\b|ttest|wilcoxon|mannwhitney",
    re.IGNORECASE,
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Means of a list with one entry for each seed, where the list is used for nothing else after."""
    if not runs(module):
        return
    for loop in seed_loops(module):
        name = gathered(module, loop)
        at = loop if isinstance(loop, ast.For) else loop.iter
        if name is None:
            continue
        function = module.function(at)
        uses = [
            node
            for node in module.all(ast.Name)
            if node.id == name and isinstance(node.ctx, ast.Load) and module.function(node) is function
        ]
        means = [mean for node in uses if (mean := _mean(module, node)) is not None]
        others = [node for node in uses if _mean(module, node) is None and not _filled(module, node)]
        text = module.segment(function) if function is not None else module.text
        if means and not others and not _SPREAD.search(text) and runs(module, means[0]):
            yield Sighting(means[0], f"the mean of {name} over the seeds is reported, and not how far they spread")


def _mean(module: Module, node: ast.Name) -> ast.expr | None:
    """The mean that a name is taken for: of a function, of its own method, or a sum over a length."""
    around = module.parent(node)
    if isinstance(around, ast.Call) and node in around.args:
        called = module.name(around.func)
        if called in _MEANS:
            return around
        if called in ("sum", "len"):
            division = module.parent(around)
            return division if isinstance(division, ast.BinOp) and isinstance(division.op, ast.Div) else None
    return None


def _filled(module: Module, node: ast.Name) -> bool:
    """Whether a use of the list only fills it, or counts it."""
    around = module.parent(node)
    if isinstance(around, ast.Attribute) and around.attr in ("append", "extend"):
        return True
    return isinstance(around, ast.Call) and last_name(around.func) == "len"
