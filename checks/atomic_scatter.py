"""Message passing that adds with atomic operations."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Rule, Sighting
from auditor.source import ABSENT, Module
from auditor.source.devices import on_cuda
from auditor.source.streams import is_program, trains

_BAD = """import torch
from torch_scatter import scatter

values = torch.rand(100, device="cuda")
groups = torch.arange(100, device="cuda") % 7
print(scatter(values, groups, dim=0, reduce="mean"))
"""

RULE = Rule(
    id="atomic-scatter",
    title="torch_scatter adds in the order in which threads finish",
    topic="kernels",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "The scatter functions of torch_scatter, and those of PyTorch Geometric that stand on them, add on CUDA with "
        "atomic operations: the order, and with it the last bits of a float, is another one in each run. "
        "torch.use_deterministic_algorithms does not reach torch_scatter's own kernels."
    ),
    remedy=(
        "Sort by group and use torch_scatter.segment_csr, or use torch's own scatter_add under "
        "torch.use_deterministic_algorithms(True)."
    ),
    bad=(
        Example(_BAD, needs=("torch_scatter",), runs=False),
        Example(
            _BAD.replace("import scatter", "import scatter_mean as pool")
            .replace("scatter(", "pool(")
            .replace(', reduce="mean"', ""),
            runs=False,
        ),
        Example(
            _BAD.replace("from torch_scatter import", "from torch_geometric.utils import"),
            needs=("torch_geometric",),
            runs=False,
        ),
    ),
    good=(
        Example(
            _BAD.replace("import scatter", "import segment_csr").replace(
                'scatter(values, groups, dim=0, reduce="mean")',
                "segment_csr(values[groups.argsort()], torch.tensor([0, 50, 100]))",
            ),
            runs=False,
        ),
        # The greatest of some numbers is the same in any order.
        Example(_BAD.replace('"mean"', '"max"'), runs=False),
        Example(_BAD.replace(', device="cuda"', ""), needs=("torch_scatter",)),
    ),
    sources=("https://github.com/rusty1s/pytorch_scatter/issues/226",),
)

_ADDING = ("scatter_add", "scatter_sum", "scatter_mean", "scatter_mul", "scatter_softmax", "scatter_log_softmax")
_MORE = ("scatter_std", "scatter_logsumexp")
_GENERAL = ("torch_scatter.scatter", "torch_geometric.utils.scatter")


def see_source(module: Module) -> Iterator[Sighting]:
    """Scatter functions that add, in projects that use CUDA."""
    confidence: Confidence | None = None if on_cuda(module) else "medium"
    if not (is_program(module) or trains(module)):
        confidence = "possible"  # a library's layer: the program that trains it decides
    for call in module.calls(*(f"torch_scatter.{name}" for name in (*_ADDING, *_MORE)), *_GENERAL):
        if call.name in _GENERAL:
            # dim_size stands before reduce in both, and out in one of them.
            given = call.argument("reduce", 5 if call.name.startswith("torch_scatter") else 4)
            reduced = module.constant(given)
            if given is not ABSENT and reduced not in ("sum", "add", "mean", "mul"):
                continue
        if any(_counts(module, one) for one in call.args[:1]):
            continue
        unless = ("asks:deterministic",) if call.name.startswith("torch_geometric") else ()
        yield Sighting(
            call.node,
            f"{call.name} adds on CUDA with atomic operations: in another order in each run",
            unless,
            None,
            confidence,
            ("uses:cuda",),
        )


def _counts(module: Module, node: ast.expr) -> bool:
    """Whether what is added is ones, as where things are counted: exact in any order."""
    return any("ones" in (module.name(value) or module.segment(value)) for value in module.values(node))
