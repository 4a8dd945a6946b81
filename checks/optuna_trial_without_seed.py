"""An objective of Optuna that trains without seeding each trial."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.environments import method_calls

_BAD = """import optuna
import torch


def objective(trial):
    layer = torch.nn.Linear(2, 1)
    step = torch.optim.SGD(layer.parameters(), lr=trial.suggest_float("lr", 0.01, 0.1))
    loss = layer(torch.ones(1, 2)).pow(2).sum()
    loss.backward()
    step.step()
    return loss.item()


torch.manual_seed(7)
study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=7))
study.optimize(objective, n_trials=3)
print(study.best_value)
"""

RULE = Rule(
    id="optuna-trial-without-seed",
    title="Trials of a search go on in one random stream",
    topic="domains",
    level="bit-exact",
    severity="note",
    confidence="possible",
    since="0.1.0",
    why=(
        "Where a trial does not seed, it begins where the trial before it left the stream. The setting that was found "
        "best cannot be trained again by itself: alone it begins elsewhere, and a search that is resumed goes on "
        "otherwise."
    ),
    remedy="Seed at the beginning of the objective, from the trial's number: torch.manual_seed(seed + trial.number).",
    bad=(Example(_BAD, needs=("optuna", "torch")),),
    good=(
        Example(
            _BAD.replace("(trial):\n", "(trial):\n    torch.manual_seed(7 + trial.number)\n"), needs=("optuna", "torch")
        ),
    ),
    sources=("https://optuna.readthedocs.io/en/stable/faq.html#how-can-i-obtain-reproducible-optimization-results",),
)

_TRAINS = frozenset({"backward", "fit", "train_on_batch", "learn"})


def see_source(module: Module) -> Iterator[Sighting]:
    """Objectives of this file that train, and in whose body nothing is seeded."""
    if "optuna" not in module.imports:
        return
    for node, owner in method_calls(module, "optimize"):
        name = module.name(owner)
        if not node.args or (name is not None and not name.startswith("optuna.")):
            continue
        objective = module.definition(node.args[0])
        if not isinstance(objective, ast.FunctionDef):
            continue
        inside = [one for one in ast.walk(objective) if isinstance(one, ast.Call)]
        trains = any(isinstance(one.func, ast.Attribute) and one.func.attr in _TRAINS for one in inside)
        if trains and not re.search(r"seed|random_state", module.segment(objective)):
            yield Sighting(
                objective, f"{objective.name} trains and does not seed: each trial goes on in the one before it"
            )
