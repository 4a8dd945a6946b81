"""Products of float32 numbers that are rounded to TF32."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.devices import is_alternative

_TRAIN = """
device = "cuda" if torch.cuda.is_available() else "cpu"
model = torch.nn.Linear(8, 1).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(torch.ones(2, 8, device=device)).mean().backward()
optimizer.step()
"""

RULE = Rule(
    id="tf32-allowed",
    title="float32 products are rounded to TF32",
    topic="kernels",
    level="seed-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "TF32 keeps 10 of float32's 23 bits of mantissa, on GPUs that have it (from Ampere on). The same program then "
        "gives other numbers on a card without TF32, or on the CPU: each factor is rounded by up to one part in 2,048. "
        "It does not by itself make two runs on one machine differ."
    ),
    remedy=(
        'Leave it off where results must agree across machines: torch.set_float32_matmul_precision("highest") and '
        "torch.backends.cudnn.allow_tf32 = False; else name the card beside the results."
    ),
    bad=(
        Example("import torch\n\ntorch.backends.cuda.matmul.allow_tf32 = True\n" + _TRAIN, needs=("torch",)),
        Example(
            'import torch as t\n\nt.set_float32_matmul_precision("high")\n' + _TRAIN.replace("torch.", "t."),
            needs=("torch",),
        ),
        Example('import torch\n\ntorch.backends.cuda.matmul.fp32_precision = "tf32"\n' + _TRAIN, needs=("torch",)),
        Example(
            'from transformers import TrainingArguments\n\narguments = TrainingArguments("out", tf32=True)\n',
            needs=("transformers", "accelerate"),
            runs=False,
        ),
    ),
    good=(
        Example("import torch\n\ntorch.backends.cuda.matmul.allow_tf32 = False\n" + _TRAIN, needs=("torch",)),
        Example('import torch\n\ntorch.set_float32_matmul_precision("highest")\n' + _TRAIN, needs=("torch",)),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/notes/cuda.html#tensorfloat-32-tf32-on-ampere-and-later-devices",
        "https://docs.pytorch.org/docs/stable/generated/torch.set_float32_matmul_precision.html",
    ),
)

_SWITCHES = ("torch.backends.cuda.matmul.allow_tf32", "torch.backends.cudnn.allow_tf32")
_PRECISIONS = (
    "torch.backends.fp32_precision",
    "torch.backends.cuda.matmul.fp32_precision",
    "torch.backends.cudnn.fp32_precision",
    "torch.backends.cudnn.conv.fp32_precision",
    "torch.backends.cudnn.rnn.fp32_precision",
)


def see_source(module: Module) -> Iterator[Sighting]:
    """TF32 switched on, by any of its switches."""
    for name in (*_SWITCHES, *_PRECISIONS):
        for statement, value in module.assigned(name):
            if module.constant(value) in (True, "tf32"):
                off = "False" if name in _SWITCHES else '"ieee"'
                yield Sighting(
                    statement,
                    f"{name} allows TF32: factors have 10 bits of mantissa on cards that have it, 23 elsewhere",
                    fix=Fix((module.replaced(value, off),)),
                    confidence=_confidence(module, name, statement),
                )
    for call in module.calls("torch.set_float32_matmul_precision"):
        precision = module.constant(call.argument("precision", 0))
        if precision in ("high", "medium"):
            yield Sighting(
                call.node,
                f'matrix products in float32 may be less exact ("{precision}"): on cards that have TF32 they differ '
                "from those elsewhere",
                confidence="possible" if is_alternative(module, call.node) else None,
            )
    for call in module.calls("transformers.TrainingArguments", "transformers.Seq2SeqTrainingArguments"):
        if module.constant(call.argument("tf32")) is True:
            yield Sighting(call.node, "tf32=True: factors in float32 have 10 bits of mantissa on cards that have TF32")


def _confidence(module: Module, name: str, statement: ast.AST) -> Confidence | None:
    """Less for convolutions, which torch computes so by default, where a file has none."""
    if is_alternative(module, statement):
        return "possible"
    return "possible" if ".cudnn." in name and "uses:convolution" not in module.facts else None


def see_run(watched: Watched) -> Iterator[Observation]:
    """The switches as they stood at the first step, where a CUDA device that has TF32 was used."""
    for run in watched.runs:
        for trace in run.processes:
            if trace.in_force is None or not any(_has_tf32(gpu.capability) for gpu in trace.gpus):
                continue
            switches = trace.in_force.switches
            if switches.get("matmul_allow_tf32") is True or switches.get("float32_matmul_precision") in (
                "high",
                "medium",
            ):
                yield Observation(
                    "matrix products in float32 were rounded to TF32: cards without it give other numbers"
                )
            convolves = any(len(shape) > 2 for optimizer in trace.optimizers for shape in optimizer.shapes)
            if switches.get("cudnn_allow_tf32") is True and convolves:
                yield Observation(
                    "convolutions in float32 were rounded to TF32 (torch's default): cards without it give "
                    "other numbers",
                    severity="note",
                )


def _has_tf32(capability: str) -> bool:
    number = capability.removeprefix("sm_")
    return number.isdigit() and int(number) >= 80
