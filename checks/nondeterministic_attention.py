"""Fused attention whose gradient adds in another order each time."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import ABSENT, Module
from auditor.source.devices import differentiated
from auditor.source.streams import is_program, trains

_BAD = """import torch
from flash_attn import flash_attn_func

q, k, v = (torch.randn(2, 128, 4, 64, device="cuda", dtype=torch.bfloat16, requires_grad=True) for _ in range(3))
flash_attn_func(q, k, v, causal=True).square().mean().backward()
"""
_TORCH = """import torch
from torch.nn import functional as F

device = "cuda" if torch.cuda.is_available() else "cpu"
q, k, v = (torch.randn(2, 4, 16, 8, device=device, requires_grad=True) for _ in range(3))
F.scaled_dot_product_attention(q, k, v).square().mean().backward()
print(q.grad.norm())
"""

RULE = Rule(
    id="nondeterministic-attention",
    title="The gradient of fused attention is nondeterministic",
    topic="kernels",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "FlashAttention and memory-efficient attention add the gradient of the queries with atomic operations, in "
        "another order in each run, unless they are asked for their deterministic variant. PyTorch's own "
        "scaled_dot_product_attention chooses among them and asks for it only under "
        "torch.use_deterministic_algorithms(True), without warn_only."
    ),
    remedy=(
        "Pass deterministic=True to flash_attn's functions; for PyTorch's and xFormers' call "
        "torch.use_deterministic_algorithms(True)."
    ),
    bad=(
        Example(_BAD, needs=("flash_attn",), runs=False),
        Example(_BAD.replace("causal=True", "causal=True, deterministic=False"), needs=("flash_attn",), runs=False),
        Example(_TORCH, needs=("torch",)),
    ),
    good=(
        Example(_BAD.replace("causal=True", "causal=True, deterministic=True"), needs=("flash_attn",), runs=False),
        Example(_BAD.replace("causal=True", "**options"), needs=("flash_attn",), runs=False),
        Example(_TORCH.replace("device =", "torch.use_deterministic_algorithms(True)\ndevice =", 1), needs=("torch",)),
        Example(
            _TORCH.replace("requires_grad=True", "requires_grad=False")
            .replace("F.scaled", "with torch.inference_mode():\n    F.scaled")
            .replace(".backward()\nprint(q.grad.norm())", ""),
            needs=("torch",),
        ),
    ),
    sources=(
        "https://github.com/Dao-AILab/flash-attention/pull/147",
        "https://github.com/pytorch/pytorch/pull/91979",
        "https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html",
    ),
)

_FLASH = (
    "flash_attn_func",
    "flash_attn_varlen_func",
    "flash_attn_qkvpacked_func",
    "flash_attn_kvpacked_func",
    "flash_attn_varlen_qkvpacked_func",
    "flash_attn_varlen_kvpacked_func",
)
_TORCHS = ("torch.nn.functional.scaled_dot_product_attention", "xformers.ops.memory_efficient_attention")


def see_source(module: Module) -> Iterator[Sighting]:
    """Calls that leave the deterministic variant out, where gradients may be taken."""
    for call in module.calls(
        *(f"{place}.{name}" for place in ("flash_attn", "flash_attn.flash_attn_interface") for name in _FLASH)
    ):
        given = call.argument("deterministic")
        if (given is ABSENT or module.constant(given) is False) and differentiated(module, call.node):
            edit = module.with_argument(call.node, "deterministic=True") if given is ABSENT else None
            yield Sighting(
                call.node,
                f"{call.name.rpartition('.')[2]} without deterministic=True: its gradient is added in another order in "
                "each run",
                fix=None if edit is None else Fix((edit,)),
            )
    for call in module.calls(*_TORCHS):
        if differentiated(module, call.node):
            yield Sighting(
                call.node,
                f"{call.name.rpartition('.')[2]} on CUDA takes fused kernels whose gradient is added in another order "
                "in each run, unless deterministic algorithms are asked for",
                ("asks:deterministic",),
                None,
                # A library's layer leaves the choice of kernels to the program that trains it.
                "medium" if is_program(module) or trains(module) else "possible",
                ("uses:cuda", "trains"),
            )
