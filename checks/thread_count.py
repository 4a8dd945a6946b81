"""As many threads for arithmetic as the machine has cores."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.devices import on_cuda
from auditor.source.streams import is_program, trains

_BAD = """import os

import torch

torch.set_num_threads(os.cpu_count())
torch.manual_seed(0)
model = torch.nn.Linear(64, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    model(torch.randn(256, 64)).square().mean().backward()
    optimizer.step()
"""

RULE = Rule(
    id="thread-count",
    title="The machine decides how many threads compute",
    topic="arithmetic",
    level="seed-stable",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "PyTorch, MKL, OpenBLAS and OpenMP split sums among threads, as many as there are cores unless they are told. "
        "Another number of threads adds in another order, so that the last bits differ on a machine, or in a "
        "container, "
        "with other cores."
    ),
    remedy="Set the number: OMP_NUM_THREADS (and MKL_NUM_THREADS) in the environment, or torch.set_num_threads(4).",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(
            _BAD.replace("os.cpu_count()", "max(1, multiprocessing.cpu_count())").replace(
                "import os\n", "import multiprocessing\n"
            ),
            needs=("torch",),
        ),
    ),
    good=(
        Example(_BAD.replace("os.cpu_count()", "1").replace("import os\n\n", ""), needs=("torch",)),
        Example(
            'import os\n\nos.environ["OMP_NUM_THREADS"] = "1"\n'
            + _BAD.replace("torch.set_num_threads(os.cpu_count())\n", ""),
            needs=("torch",),
        ),
        # Each of Numba's threads computes elements of its own.
        Example("import os\n\nimport numba\n\nnumba.set_num_threads(os.cpu_count())\n", needs=("numba",)),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/generated/torch.set_num_threads.html",
        "https://docs.pytorch.org/docs/stable/notes/numerical_accuracy.html",
        "https://www.openmp.org/spec-html/5.0/openmpse50.html",
    ),
)

# Numba's own are left out: it splits no sum but in a prange that adds to one number, which is fast-math's to tell.
_SPLITTING = ("torch.set_num_threads", "mkl.set_num_threads", "threadpoolctl.threadpool_limits")
_SETTERS = (*_SPLITTING, "numba.set_num_threads")
_COUNTS = ("os.cpu_count", "multiprocessing.cpu_count", "psutil.cpu_count", "joblib.cpu_count", "os.sched_getaffinity")
_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_THREAD_LIMIT")
_UNLESS = (*_SETTERS, *(f"os.environ[{name}]" for name in _VARIABLES))


def see_source(module: Module) -> Iterator[Sighting]:
    """Threads set to the number of cores; and programs that train on the CPU and set none, which may be set outside."""
    for call in module.calls(*_SPLITTING):
        given = call.argument("limits" if "limits" in call.name else None, 0)
        values = module.values(given) if isinstance(given, ast.expr) else []
        if any(_counts(module, value) for value in values):
            yield Sighting(
                call.node, f"{call.name} is given the number of cores: sums are split in another way elsewhere"
            )
    begun = trains(module)
    if begun is not None and is_program(module) and "torch" in module.imports and not on_cuda(module):
        yield Sighting(
            begun,
            "the number of threads is set nowhere: sums are split in another way where there are other cores",
            _UNLESS,
            confidence="possible",
        )


def _counts(module: Module, node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and module.name(node.func) == "min":
        return False  # a number of its own, as far as there are cores
    return any(isinstance(one, ast.Call) and module.name(one.func) in _COUNTS for one in ast.walk(node))


def see_run(watched: Watched) -> Iterator[Observation]:
    """Processes that computed on the CPU with as many threads as there were cores, and no variable that says so."""
    for run in watched.runs:
        for trace in run.processes:
            if trace.in_force is None or trace.environment is None or trace.gpus or not trace.steps:
                continue
            threads, cores = trace.in_force.switches.get("threads"), trace.environment.cores
            variables = trace.environment.variables
            if (
                not isinstance(threads, int)
                or threads < 2
                or str(threads) in (variables.get(one) for one in _VARIABLES)
            ):
                continue
            # PyTorch takes one for each core, or for each pair of cores that share one.
            if cores is None or threads in (cores, cores // 2):
                yield Observation(
                    f"{threads} threads computed, as many as the machine gives: set their number, or sums are split in "
                    "another way elsewhere"
                )
                return
