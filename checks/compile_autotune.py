"""Compiled kernels that are chosen by timing them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Fix, Rule, Sighting
from auditor.source import Module
from auditor.source.devices import times_speed

_BAD = """import torch


def square(x):
    return x * x


fast = torch.compile(square, mode="max-autotune", backend="eager" if not torch.cuda.is_available() else "inductor")
print(square(torch.ones(2)).sum())
"""

RULE = Rule(
    id="compile-autotune",
    title="Compiled kernels are chosen by timing them",
    topic="kernels",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "With mode max-autotune, torch.compile times several kernels for each matrix product and convolution and keeps "
        "the fastest; triton.autotune does the same for its configurations. Block sizes decide the order of sums, and "
        "timing is noise: another run, or another machine, may keep another kernel."
    ),
    remedy=("Leave mode out (or take reduce-overhead); give Triton one configuration where results must repeat."),
    bad=(
        Example(
            _BAD.replace(', backend="eager" if not torch.cuda.is_available() else "inductor"', ""), needs=("torch",)
        ),
        Example(
            "import torch\nimport torch._inductor.config\n\ntorch._inductor.config.max_autotune = True\n",
            needs=("torch",),
        ),
        Example(
            'import torch\n\n\n@torch.compile(options={"max_autotune": True})\ndef double(x):\n    return 2 * x\n',
            needs=("torch",),
        ),
        Example(
            "import triton\nimport triton.language as tl\n\n\n"
            '@triton.autotune(configs=[triton.Config({"B": 64}), triton.Config({"B": 128})], key=["n"])\n'
            "@triton.jit\ndef total(x, y, n, B: tl.constexpr):\n"
            "    tl.store(y, tl.sum(tl.load(x + tl.arange(0, B))))\n",
            needs=("triton",),
            runs=False,
        ),
    ),
    good=(
        Example(_BAD.replace('mode="max-autotune", ', ""), needs=("torch",)),
        # Each element by itself: in whatever blocks, it is the same.
        Example(
            "import triton\nimport triton.language as tl\n\n\n"
            '@triton.autotune(configs=[triton.Config({"B": 64}), triton.Config({"B": 128})], key=["n"])\n'
            "@triton.jit\ndef double(x, y, n, B: tl.constexpr):\n"
            "    at = tl.arange(0, B)\n    tl.store(y + at, 2 * tl.load(x + at))\n",
            needs=("triton",),
            runs=False,
        ),
        Example(
            "import triton\nimport triton.language as tl\n\n\n"
            '@triton.autotune(configs=[triton.Config({"B": 64})], key=["n"])\n'
            "@triton.jit\ndef total(x, y, n, B: tl.constexpr):\n"
            "    tl.store(y, tl.sum(tl.load(x + tl.arange(0, B))))\n",
            needs=("triton",),
            runs=False,
        ),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/generated/torch.compile.html",
        "https://triton-lang.org/main/python-api/generated/triton.autotune.html",
    ),
)

_OPTIONS = ("max_autotune", "max_autotune_gemm", "max_autotune_pointwise", "coordinate_descent_tuning")
_MESSAGE = "which kernels are compiled is decided by timing"
# Since torch 2.10 deterministic algorithms switch it off.
_UNLESS = ("asks:deterministic",)


def see_source(module: Module) -> Iterator[Sighting]:
    """The modes and options that tune, and Triton kernels with several configurations."""
    confidence: Confidence | None = "possible" if times_speed(module) else None
    for call in module.calls("torch.compile"):
        mode = module.constant(call.argument("mode"))
        if isinstance(mode, str) and mode.startswith("max-autotune"):
            given = call.argument("mode")
            fix = Fix((module.replaced(given, '"default"'),)) if isinstance(given, ast.Constant) else None
            yield Sighting(call.node, f'mode="{mode}": {_MESSAGE}', _UNLESS, fix, confidence)
        options = module.constant(call.argument("options"))
        if isinstance(options, dict) and any(options.get(name) is True for name in _OPTIONS):
            yield Sighting(call.node, f"the options tune: {_MESSAGE}", _UNLESS, confidence=confidence)
    for name in _OPTIONS:
        for statement, value in module.assigned(f"torch._inductor.config.{name}"):
            if module.constant(value) is True:
                yield Sighting(
                    statement,
                    f"{name} is set: {_MESSAGE}",
                    _UNLESS,
                    Fix((module.replaced(value, "False"),)),
                    confidence,
                )
    for call in module.calls("triton.autotune"):
        configurations = call.argument("configs", 0)
        if isinstance(configurations, ast.expr) and _several(module, configurations) and _sums(module, call.node):
            yield Sighting(
                call.node, "which of the kernel's configurations is used is decided by timing", confidence=confidence
            )


_SUMS = frozenset({"sum", "dot", "cumsum", "reduce", "associative_scan", "atomic_add"})


def _sums(module: Module, decorator: ast.Call) -> bool:
    """Whether the kernel that is decorated adds, so that its blocks decide in which order."""
    kernel = module.parent(decorator)
    return not isinstance(kernel, ast.FunctionDef) or any(
        isinstance(node, ast.AugAssign)
        or (isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in _SUMS)
        for node in ast.walk(kernel)
    )


def _several(module: Module, node: ast.expr) -> bool:
    values = module.values(node)
    if len(values) != 1:
        return False
    if isinstance(values[0], (ast.List, ast.Tuple)):
        return len(values[0].elts) > 1
    return isinstance(values[0], ast.ListComp)
