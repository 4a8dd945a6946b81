"""Vector instructions that the machine decides."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.records.trace import ProcessTrace
from auditor.rule import Example, Observation, Rule, Watched

_BAD = """import torch

torch.manual_seed(0)
model = torch.nn.Linear(8, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(torch.randn(16, 8)).square().mean().backward()
optimizer.step()
"""

RULE = Rule(
    id="vector-dispatch",
    title="The machine decides which vector instructions compute",
    topic="arithmetic",
    level="seed-stable",
    severity="note",
    confidence="high",
    since="0.1.0",
    why=(
        "PyTorch and NumPy look at the processor when they start and take the widest vector instructions that it has. "
        "A wider vector adds more partial sums side by side, and fused instructions round once instead of twice: on a "
        "processor with others, the last bits are others."
    ),
    remedy=(
        "Where bits must agree across processors, set ATEN_CPU_CAPABILITY=default (and MKL_CBWR=COMPATIBLE) before the "
        "program starts; else record which instructions were taken, as auditor fingerprint does."
    ),
    bad=(Example(_BAD, needs=("torch",)),),
    good=(Example('import os\n\nos.environ["ATEN_CPU_CAPABILITY"] = "default"\n' + _BAD, needs=("torch",)),),
    sources=(
        "https://docs.pytorch.org/docs/stable/backends.html#torch.backends.cpu.get_cpu_capability",
        "https://numpy.org/doc/stable/reference/simd/how-it-works.html",
        "https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html",
    ),
)


def see_run(watched: Watched) -> Iterator[Observation]:
    """What PyTorch, or NumPy where there is no PyTorch, took, unless a variable decided it."""
    taken = {_taken(trace) for run in watched.runs for trace in run.processes}
    for what in sorted(one for one in taken if one):
        yield Observation(f"{what}, which the processor decided: on another one the last bits may be others")


def _taken(trace: ProcessTrace) -> str:
    variables = trace.environment.variables if trace.environment is not None else {}
    if trace.in_force is not None:
        capability = trace.in_force.facts.get("cpu_capability")
        lowest = capability in (None, "DEFAULT", "NO AVX")
        if lowest or "ATEN_CPU_CAPABILITY" in variables or trace.gpus or not trace.steps:
            return ""
        return f"PyTorch computed with {capability} instructions"
    numpy = trace.numerics.numpy if trace.numerics is not None else None
    if not numpy or "NPY_DISABLE_CPU_FEATURES" in variables:
        return ""
    return f"NumPy computed with {numpy[-1]} instructions"
