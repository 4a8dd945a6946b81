"""Sums in half precision that are kept in half precision."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import Module

_BAD = """import torch

torch.backends.cuda.matmul.allow_fp16_accumulation = True
print(torch.ones(2).sum())
"""

RULE = Rule(
    id="reduced-precision-reduction",
    title="Partial sums are kept in half precision",
    topic="arithmetic",
    level="seed-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "A matrix product of half-precision numbers may be split into parts whose sums are themselves rounded to half "
        "precision. How it is split depends on the GPU, the shape and the version of cuBLAS, and with 8 or 11 bits of "
        "mantissa the order of a sum is no matter of last bits."
    ),
    remedy="Set it to False: parts are then summed in float32, at little cost on most shapes.",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(
            "import torch\n\ntorch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = True\n",
            needs=("torch",),
        ),
    ),
    good=(
        Example(_BAD.replace("True", "False"), needs=("torch",)),
        Example(
            "import torch\n\ntorch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False\n",
            needs=("torch",),
        ),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html"
        "#reduced-precision-reduction-for-fp16-and-bf16-gemms",
        "https://docs.pytorch.org/docs/stable/notes/cuda.html#full-fp16-accmumulation-in-fp16-gemms",
    ),
)

_SWITCHES = (
    "torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction",
    "torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction",
    "torch.backends.cuda.matmul.allow_fp16_accumulation",
)


def see_source(module: Module) -> Iterator[Sighting]:
    """The switches set to True."""
    for name in _SWITCHES:
        for statement, value in module.assigned(name):
            if module.constant(value) is True:
                yield Sighting(
                    statement,
                    f"{name} is set to True: partial sums may be rounded to half precision",
                    fix=Fix((module.replaced(value, "False"),)),
                )
    for call in module.calls("torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp"):
        if module.constant(call.argument("enabled", 0)) is True:
            yield Sighting(call.node, "attention may sum in half precision")
