"""Convolutions whose algorithms need not be deterministic."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.devices import CUDNN_DETERMINISTIC, is_alternative, seeding_place
from auditor.source.streams import stands_alone

_BAD = """import torch

torch.manual_seed(0)
torch.backends.cudnn.deterministic = False
device = "cuda" if torch.cuda.is_available() else "cpu"
model = torch.nn.Conv1d(1, 4, 3).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    optimizer.zero_grad()
    model(torch.randn(8, 1, 16, device=device)).square().mean().backward()
    optimizer.step()
"""
_UNSET = _BAD.replace("torch.backends.cudnn.deterministic = False\n", "")

RULE = Rule(
    id="cudnn-nondeterministic",
    title="Convolutions may take nondeterministic algorithms",
    topic="kernels",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Some of cuDNN's algorithms for the gradients of a convolution add with atomic operations, in the order in "
        "which threads happen to finish. Unless torch.backends.cudnn.deterministic is True, cuDNN may take one of "
        "them, and two runs with one seed differ in the last bits, which training makes large."
    ),
    remedy=(
        "Set torch.backends.cudnn.deterministic = True, or call torch.use_deterministic_algorithms(True), "
        "which includes it."
    ),
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(_UNSET, needs=("torch",)),
        Example(
            "import random\n\nimport torch\nfrom torch.backends import cudnn\n\n\n"
            "def set_seed(seed):\n    random.seed(seed)\n    torch.manual_seed(seed)\n"
            "    torch.cuda.manual_seed_all(seed)\n    cudnn.benchmark = False\n",
            name="tools/seeds.py",
            needs=("torch",),
            beside={"train.py": _UNSET.replace("torch.manual_seed", "from tools.seeds import set_seed\n\nset_seed")},
        ),
    ),
    good=(
        Example(_BAD.replace("= False", "= True"), needs=("torch",)),
        Example(
            _UNSET.replace("torch.manual_seed(0)", "torch.manual_seed(0)\ntorch.use_deterministic_algorithms(True)"),
            needs=("torch",),
        ),
        Example(_UNSET.replace("torch.nn.Conv1d(1, 4, 3)", "torch.nn.Linear(16, 4)"), needs=("torch",)),
        Example("import sys\n\n" + _BAD.replace("= False", '= "--exact" in sys.argv'), needs=("torch",)),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/notes/randomness.html#cuda-convolution-determinism",
        "https://docs.nvidia.com/deeplearning/cudnn/backend/latest/developer/misc.html#reproducibility-determinism",
    ),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """The switch set to False; and the place where a program seeds and convolves on CUDA, if it is set nowhere."""
    for statement, value in module.assigned(CUDNN_DETERMINISTIC):
        if module.constant(value) is False:
            yield Sighting(
                statement,
                f"{CUDNN_DETERMINISTIC} is set to False: cuDNN may add in another order in each run",
                fix=Fix((module.replaced(value, "True"),)),
                confidence="possible" if is_alternative(module, statement) else None,
            )
    seeding = seeding_place(module)
    if seeding is None:
        return
    here = ("uses:cuda", "uses:convolution")
    if stands_alone(module) and module.function(seeding) is None and not module.facts.issuperset(here):
        return  # what other files of the project do is none of this program's
    yield Sighting(
        seeding,
        f"seeded, but {CUDNN_DETERMINISTIC} is set nowhere: convolutions on CUDA may add in another order in each run",
        ("asks:deterministic", "asks:cudnn-deterministic", f"{CUDNN_DETERMINISTIC}=False"),
        _set_above(module, seeding),
        "possible",
        here,
    )


def _set_above(module: Module, seeding: ast.Call) -> Fix | None:
    statement = module.statement(seeding)
    if not module.segment(seeding).startswith("torch.manual_seed(") or not isinstance(statement, ast.Expr):
        return None
    return Fix((module.before(statement, f"{CUDNN_DETERMINISTIC} = True"),))


def see_run(watched: Watched) -> Iterator[Observation]:
    """The switch as it stood at the first step, where a CUDA device was used."""
    for run in watched.runs:
        for trace in run.processes:
            # What convolves has parameters of three dimensions or more.
            convolves = any(len(shape) > 2 for optimizer in trace.optimizers for shape in optimizer.shapes)
            switches = trace.in_force.switches if trace.in_force and trace.gpus and convolves else {}
            if (
                switches.get("cudnn_enabled")
                and switches.get("cudnn_deterministic") is False
                and switches.get("deterministic_algorithms") is False
            ):
                yield Observation(
                    f"{CUDNN_DETERMINISTIC} was off: convolutions may add in another order in each run",
                    severity=None if watched.comparison.divergences else "note",
                )
                return
