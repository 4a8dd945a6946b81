"""Trials of Optuna that run at the same time."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.environments import method_calls

_BAD = """import time

import optuna


def objective(trial):
    x = trial.suggest_float("x", -1, 1)
    time.sleep(abs(x) / 100)
    return x * x


study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=7, n_startup_trials=2))
study.optimize(objective, n_trials=12, n_jobs=4)
print(study.best_params)
"""

RULE = Rule(
    id="optuna-parallel-trials",
    title="Trials of a search run at the same time",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "A sampler proposes the next setting from the trials that have ended. With n_jobs other than 1, how long each "
        "took decides which ones have: a seeded search still tries other settings in each run. The trials are "
        "threads of one process, too, and share its random streams."
    ),
    remedy="Search with n_jobs=1 where the search has to repeat, and run what it chose again by itself.",
    bad=(Example(_BAD, needs=("optuna",)),),
    good=(
        Example(_BAD.replace(", n_jobs=4", ""), needs=("optuna",)),
        Example(_BAD.replace("n_jobs=4", "n_jobs=1"), needs=("optuna",)),
        Example(
            "class Plan:\n    def optimize(self, how, n_jobs):\n        return how\n\n\nPlan().optimize(1, n_jobs=4)\n"
        ),
    ),
    sources=("https://optuna.readthedocs.io/en/stable/faq.html#how-can-i-obtain-reproducible-optimization-results",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """``study.optimize`` with ``n_jobs`` other than 1."""
    if "optuna" not in module.imports:
        return
    for node, owner in method_calls(module, "optimize"):
        name = module.name(owner)
        if name is not None and not name.startswith("optuna."):
            continue
        given = next((one.value for one in node.keywords if one.arg == "n_jobs"), None)
        if given is None and len(node.args) > 3 and not any(isinstance(one, ast.Starred) for one in node.args):
            given = node.args[3]
        jobs = module.constant(given)
        if isinstance(jobs, int) and jobs != 1:
            yield Sighting(node, f"n_jobs={jobs}: which trials have ended when the next is proposed depends on timing")
