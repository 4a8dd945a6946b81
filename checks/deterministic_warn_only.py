"""Deterministic algorithms that are asked for, and not insisted on."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import Module

_BAD = """import torch

torch.use_deterministic_algorithms(True, warn_only=True)
print(torch.ones(2).sum())
"""

RULE = Rule(
    id="deterministic-warn-only",
    title="Nondeterministic operations only warn",
    topic="kernels",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "With warn_only=True an operation that has no deterministic kernel runs all the same and prints a warning. "
        "The program looks as if it were deterministic, and is not. Some kernels, those of attention among them, stay "
        "nondeterministic although they have a deterministic variant."
    ),
    remedy="Leave warn_only out, and replace the operations that then raise an error.",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example('import torch\n\ntorch.set_deterministic_debug_mode("warn")\n', needs=("torch",)),
        Example(
            'import lightning as L\n\ntrainer = L.Trainer(max_epochs=1, deterministic="warn")\n', needs=("lightning",)
        ),
    ),
    good=(
        Example(_BAD.replace(", warn_only=True", ""), needs=("torch",)),
        Example(_BAD.replace("True, warn_only", "False, warn_only"), needs=("torch",)),
        Example('import torch\n\ntorch.set_deterministic_debug_mode("error")\n', needs=("torch",)),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/generated/torch.use_deterministic_algorithms.html",
        "https://lightning.ai/docs/pytorch/stable/common/trainer.html#deterministic",
    ),
)

_MESSAGE = "operations without a deterministic kernel run all the same, with a warning"


def see_source(module: Module) -> Iterator[Sighting]:
    """``warn_only=True`` and its equivalents."""
    for call in module.calls("torch.use_deterministic_algorithms"):
        given = call.argument("warn_only")
        if _is_chosen(module, call.node):
            continue
        if module.constant(given) is True and module.constant(call.argument("mode", 0)) is not False:
            fix = Fix((module.replaced(given, "False"),)) if isinstance(given, ast.Constant) else None
            yield Sighting(call.node, f"warn_only=True: {_MESSAGE}", fix=fix)
    for call in module.calls("torch.set_deterministic_debug_mode"):
        if module.constant(call.argument("debug_mode", 0)) in ("warn", 1):
            yield Sighting(call.node, f"the debug mode is only to warn: {_MESSAGE}")
    for call in module.calls("lightning.Trainer"):
        if module.constant(call.argument("deterministic")) == "warn":
            yield Sighting(call.node, f'Trainer(deterministic="warn"): {_MESSAGE}')


def _is_chosen(module: Module, node: ast.AST) -> bool:
    """Whether it is done where a caller asked for a warning by that word."""
    return any(
        isinstance(around, ast.If)
        and any(isinstance(one, ast.Constant) and one.value == "warn" for one in ast.walk(around.test))
        for around in module.parents(node)
    )


def see_run(watched: Watched) -> Iterator[Observation]:
    """The switch as it stood at the first step."""
    for run in watched.runs:
        for trace in run.processes:
            switches = trace.in_force.switches if trace.in_force else {}
            if switches.get("deterministic_algorithms") and switches.get("deterministic_warn_only"):
                yield Observation(f"deterministic algorithms were on with warn_only: {_MESSAGE}")
                return
