"""A study of Optuna whose sampler has no seed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import ABSENT, Call, Module
from auditor.source.environments import method_calls

_BAD = """import optuna

study = optuna.create_study()
study.optimize(lambda trial: trial.suggest_float("x", -1, 1) ** 2, n_trials=5)
print(study.best_params)
"""
_SEEDED = "create_study(sampler=optuna.samplers.TPESampler(seed=7))"

RULE = Rule(
    id="optuna-unseeded-sampler",
    title="A hyper-parameter search of Optuna has no seed",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Optuna's samplers draw from generators of their own, which take the system's entropy where no seed is given; "
        "global seeds do not reach them. Another search tries other settings and ends with another best one."
    ),
    remedy="Pass a seeded sampler: optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed)).",
    bad=(
        Example(_BAD, needs=("optuna",)),
        Example(
            _BAD.replace("create_study()", "create_study(sampler=optuna.samplers.RandomSampler())"), needs=("optuna",)
        ),
        Example(
            _BAD.replace(
                "import optuna\n", "import optuna\nfrom optuna.samplers import TPESampler as Sampler\n"
            ).replace("create_study()", "create_study(sampler=Sampler(multivariate=True))"),
            needs=("optuna",),
        ),
    ),
    good=(
        Example(_BAD.replace("create_study()", _SEEDED), needs=("optuna",)),
        # Whoever calls it chooses the sampler; a grid has nothing to draw but its order.
        Example(
            "import optuna\n\n\ndef search(sampler=None, **options):\n    optuna.create_study(**options)\n"
            "    optuna.create_study(sampler=optuna.samplers.GridSampler({'x': [1, 2]}))\n"
            "    return optuna.create_study(sampler=sampler)\n\n\nsearch()\n",
            needs=("optuna",),
        ),
    ),
    sources=(
        "https://optuna.readthedocs.io/en/stable/faq.html#how-can-i-obtain-reproducible-optimization-results",
        "https://optuna.readthedocs.io/en/stable/reference/samplers/generated/optuna.samplers.TPESampler.html",
    ),
)

_SAMPLER = re.compile(
    r"optuna\.(samplers|integration)\.(\w+\.)*(TPE|Random|CmaEs|NSGAII|NSGAIII|QMC|GP|BoTorch|MOTPE|Skopt)Sampler"
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Studies without a sampler, and samplers without a seed."""
    if "optuna" not in module.imports:
        return
    for call in (*module.calls("optuna.create_study"), *module.calls("optuna.study.create_study")):
        sampler = call.argument("sampler")
        if (sampler is ABSENT or module.constant(sampler) is None) and _searches(module, call.node):
            yield Sighting(call.node, "create_study without a sampler: its default one takes the system's entropy")
    for name in module.called:
        if _SAMPLER.fullmatch(name):
            for call in module.calls(name):
                yield from _unseeded(module, call)


def _searches(module: Module, made: ast.Call) -> bool:
    """Whether anything is tried in a study: one that is only opened, to be filled or looked at, draws nothing."""
    if not any(True for _ in method_calls(module, "optimize", "ask")):
        return False
    statement = module.parent(made)
    if not isinstance(statement, ast.Assign) or not all(isinstance(one, ast.Name) for one in statement.targets):
        return True
    names = {one.id for one in statement.targets if isinstance(one, ast.Name)}
    for node in module.all(ast.Name):
        if node.id in names and isinstance(node.ctx, ast.Load) and module.function(node) is module.function(made):
            around = module.parent(node)
            # Given to another function or returned, it may be searched there.
            if not isinstance(around, ast.Attribute) or around.attr in ("optimize", "ask"):
                return True
    return False


def _unseeded(module: Module, call: Call) -> Iterator[Sighting]:
    if isinstance(module.parent(call.node), (ast.BoolOp, ast.IfExp)):
        return  # what is taken where whoever calls it chooses none
    kind = call.name.rpartition(".")[2]
    seed = call.argument("seed", 0 if kind == "RandomSampler" else None)
    if seed is not ABSENT and module.constant(seed) is not None:
        return
    added = module.with_argument(call.node, "seed=0") if seed is ABSENT else None
    safe = module.function(call.node) is None and module.loop(call.node) is None
    yield Sighting(
        call.node,
        f"{kind} is made without a seed: it takes the system's entropy",
        fix=None if added is None else Fix((added,), safe=safe),
    )
