"""cuDNN that times its algorithms and takes the fastest."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.devices import is_alternative

_TRAIN = """
device = "cuda" if torch.cuda.is_available() else "cpu"
model = torch.nn.Conv1d(1, 2, 3).to(device)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(torch.ones(2, 1, 8, device=device)).mean().backward()
optimizer.step()
"""

RULE = Rule(
    id="cudnn-benchmark",
    title="cuDNN times its algorithms and takes the fastest",
    topic="kernels",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "With torch.backends.cudnn.benchmark on, cuDNN times several algorithms for each new shape and keeps the "
        "fastest. Timing is noise: another run, or another machine, may keep another algorithm, "
        "which adds in another order."
    ),
    remedy="Set torch.backends.cudnn.benchmark = False.",
    bad=(
        Example("import torch\n\ntorch.backends.cudnn.benchmark = True\n" + _TRAIN, needs=("torch",)),
        Example(
            "import torch\nfrom torch.backends import cudnn as dnn\n\nif dnn.is_available():\n    dnn.benchmark = "
            "True\n" + _TRAIN,
            needs=("torch",),
        ),
        Example(
            "import torch\n\nwith torch.backends.cudnn.flags(enabled=True, benchmark=True):"
            + _TRAIN.replace("\n", "\n    ").rstrip(" "),
            needs=("torch",),
        ),
        Example(
            'import pytorch_lightning as pl\n\ntrainer = pl.Trainer(accelerator="gpu", benchmark=True)\n',
            needs=("pytorch_lightning",),
            runs=False,
        ),
    ),
    good=(
        Example("import torch\n\ntorch.backends.cudnn.benchmark = False\n" + _TRAIN, needs=("torch",)),
        Example(
            "import sys\n\nimport torch\n\ntorch.backends.cudnn.benchmark = '--fast' in sys.argv\n", needs=("torch",)
        ),
    ),
    sources=("https://docs.pytorch.org/docs/stable/notes/randomness.html#cuda-convolution-benchmarking",),
)

_FLAG = "torch.backends.cudnn.benchmark"


def see_source(module: Module) -> Iterator[Sighting]:
    """Assignments of True to the flag, and what is told to set it."""
    for statement, value in module.assigned(_FLAG):
        if module.constant(value) is True:
            yield Sighting(
                statement,
                f"{_FLAG} is set to True: which algorithm is used is decided by timing",
                fix=Fix((module.replaced(value, "False"),)),
                confidence="possible" if is_alternative(module, statement) else None,
            )
    for call in module.calls("torch.backends.cudnn.flags", "lightning.Trainer"):
        position = 1 if call.name.endswith("flags") else None
        if module.constant(call.argument("benchmark", position)) is True:
            yield Sighting(
                call.node,
                f"{call.name.rpartition('.')[2]}(benchmark=True) has cuDNN decide by timing which algorithm is used",
                confidence="possible" if is_alternative(module, call.node) else None,
            )


def see_run(watched: Watched) -> Iterator[Observation]:
    """The switch as it stood at the first step, where a CUDA device was used."""
    traces = [trace for run in watched.runs for trace in run.processes if trace.gpus]
    if any(trace.in_force and trace.in_force.switches.get("cudnn_benchmark") for trace in traces):
        yield Observation(f"{_FLAG} was on: which algorithm cuDNN used was decided by timing")
