"""Deterministic algorithms on CUDA without a workspace for cuBLAS that allows them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import Module

_VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
_BAD = """import torch

torch.manual_seed(0)
torch.use_deterministic_algorithms(True)
device = "cuda" if torch.cuda.is_available() else "cpu"
print(torch.randn(4, 4, device=device) @ torch.randn(4, 4, device=device))
"""
_SET = 'import os\n\nos.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"\n' + _BAD

RULE = Rule(
    id="cublas-workspace-unset",
    title="CUBLAS_WORKSPACE_CONFIG is not set for deterministic algorithms",
    topic="kernels",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "cuBLAS picks its workspace, and with it the order of its sums, by what other streams are doing, unless it is "
        "given one. Before torch 2.10, torch.use_deterministic_algorithms(True) therefore wants "
        "CUBLAS_WORKSPACE_CONFIG set to :4096:8 or :16:8; without it, matrix products on CUDA raise a RuntimeError, or "
        "with warn_only=True go on and only warn. From 2.10 on, torch gives cuBLAS a workspace of its own."
    ),
    remedy="Set CUBLAS_WORKSPACE_CONFIG=:4096:8 in the environment, or os.environ before torch touches the GPU.",
    # Since torch 2.10 it runs without.
    bad=(Example(_BAD, needs=("torch",), runs=False),),
    good=(
        Example(_SET, needs=("torch",)),
        Example('import os\n\nos.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":16:8")\n' + _BAD, needs=("torch",)),
        Example(_BAD.replace('"cuda" if torch.cuda.is_available() else "cpu"', '"cpu"'), needs=("torch",)),
    ),
    sources=(
        "https://docs.nvidia.com/cuda/cublas/index.html#results-reproducibility",
        "https://docs.pytorch.org/docs/2.9/generated/torch.use_deterministic_algorithms.html",
        "https://github.com/pytorch/pytorch/pull/161749",
    ),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Deterministic algorithms asked for in a project that uses CUDA, with the variable named nowhere in the file."""
    if _VARIABLE in module.text:
        return  # set by other means than an assignment, or written about where the variable is expected to be set
    for call in module.calls("torch.use_deterministic_algorithms"):
        if module.constant(call.argument("mode", 0)) is not True:
            continue
        statement = module.statement(call.node)
        fix = None
        if isinstance(statement, ast.Expr):
            fix = Fix((module.before(statement, f'os.environ["{_VARIABLE}"] = ":4096:8"'),), imports=("os",))
        yield Sighting(
            call.node,
            f"deterministic algorithms are asked for and {_VARIABLE} is not set: before torch 2.10, matrix products "
            "on CUDA raise an error then",
            (
                f"os.environ[{_VARIABLE}]",
                "lightning.Trainer(deterministic=True)",
                "transformers.enable_full_determinism",
            ),
            fix,
            given=("uses:cuda",),
        )


def see_run(watched: Watched) -> Iterator[Observation]:
    """A CUDA device in use, deterministic algorithms on, and the variable not set when the process began."""
    for run in watched.runs:
        for trace in run.processes:
            torch, environment = trace.in_force, trace.environment
            if not trace.gpus or torch is None or environment is None or _VARIABLE in environment.variables:
                continue
            if torch.facts.get("cublas_workspace"):
                continue  # the program set it itself
            if torch.switches.get("deterministic_algorithms") and _version(torch.version) < (2, 10):
                yield Observation(
                    f"{_VARIABLE} was not in the environment while deterministic algorithms were on: cuBLAS chooses "
                    "its workspace, and with it the order of its sums"
                )
                return


def _version(text: str) -> tuple[int, ...]:
    found = re.match(r"(\d+)\.(\d+)", text)
    return tuple(map(int, found.groups())) if found else (0, 0)
