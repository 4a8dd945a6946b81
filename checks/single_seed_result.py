"""A result from one seed that is written into the program."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.experiments import runs, seed_loops, takes_seed
from auditor.source.streams import seedings, trains

_BAD = """import torch

torch.manual_seed(42)
rows, wanted = torch.randn(64, 2), torch.randn(64, 1)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(5):
    optimizer.zero_grad()
    loss = (model(rows) - wanted).pow(2).mean()
    loss.backward()
    optimizer.step()
print(f"test MSE: {loss.item():.3f}")
"""

RULE = Rule(
    id="single-seed-result",
    title="A result comes from one seed, and the program takes no other",
    topic="claims",
    level="distribution-stable",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "One seed shows one draw of a distribution. How far another lies from it cannot be told, and the seed may have "
        "been kept because it was a good one. Nobody can repeat the program with others without changing it."
    ),
    remedy="Take the seed as an option (--seed), run at least five of them, and report mean and standard deviation.",
    bad=(Example(_BAD),),
    good=(
        Example(
            _BAD.replace("import torch\n", "import sys\n\nimport torch\n", 1).replace(
                "seed(42)", "seed(int(sys.argv[1]))"
            ),
            arguments=("7",),
        ),
        Example(
            _BAD.replace("import torch\n", "import argparse\n\nimport torch\n", 1).replace(
                "torch.manual_seed(42)",
                "options = argparse.ArgumentParser()\noptions.add_argument('--seed', type=int, default=42)\n"
                "torch.manual_seed(options.parse_args().seed)",
            )
        ),
        # Nothing is reported.
        Example(
            _BAD.replace('print(f"test MSE: {loss.item():.3f}")\n', "torch.save(model.state_dict(), 'model.pt')\n")
        ),
    ),
    sources=(
        "https://arxiv.org/abs/1707.09861",
        "https://arxiv.org/abs/2109.08203",
    ),
)

_METRIC = re.compile(
    r"\b(accuracy|acc|f1|auc|auroc|score|mse|rmse|mae|mape|bleu|rouge|map|iou|miou|dice|perplexity|ppl|precision|recall|r2|"
    r"return|reward|error rate|wer|cer|psnr|ssim|fid)\b",
    re.IGNORECASE,
)


def see_source(module: Module) -> Iterator[Sighting]:
    """The one constant seed of a program that trains, reports a metric and can be given no seed."""
    if not runs(module) or trains(module) is None or takes_seed(module):
        return
    found = [one for one in seedings(module) if one.seed is not None]
    values = {module.constant(one.seed) for one in found}
    if len(values) != 1 or not all(isinstance(value, int) for value in values) or any(True for _ in seed_loops(module)):
        return
    if any(module.loop(one.node) is not None for one in found) or not _reports(module):
        return
    if not runs(module, found[0].node):
        return
    yield Sighting(
        found[0].node, f"a metric is reported from the seed {values.pop()} alone, and the program takes no other"
    )


def _reports(module: Module) -> bool:
    """Whether a metric is printed, logged or written as JSON, by its name in the text."""
    for call in module.all(ast.Call):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if name in ("print", "info", "write", "log", "dump", "dumps") and any(
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and _METRIC.search(node.value.replace("_", " "))
            for argument in call.args
            for node in ast.walk(argument)
        ):
            return True
    return False
