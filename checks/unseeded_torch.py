"""torch's global stream, drawn from and not seeded."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.records.streams import drawn_unseeded
from auditor.rule import Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.streams import unseeded

_BAD = """import torch
from torch import nn

model = nn.Linear(4, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
x = torch.linspace(0, 1, 32).reshape(8, 4)
for _ in range(4):
    loss = ((model(x) - 1) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
"""
_BESIDE = {"model.py": "from torch import nn\n\n\ndef make():\n    return nn.Linear(4, 1)\n"}
_ELSEWHERE = _BAD.replace("from torch import nn\n", "\nimport model as models\n").replace(
    "nn.Linear(4, 1)", "models.make()"
)
_SPLIT = """import torch
from torch.utils.data import DataLoader, TensorDataset

weights = torch.zeros(1, requires_grad=True)
data = TensorDataset(torch.arange(8.0))
for (x,) in DataLoader(data, batch_size=2, shuffle=True):
    ((weights * x - 1) ** 2).sum().backward()
    with torch.no_grad():
        weights -= 0.001 * weights.grad
print(weights)
"""

RULE = Rule(
    id="unseeded-torch",
    title="torch is drawn from and not seeded",
    topic="streams",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Initial parameters, dropout, shuffling and augmentation come from torch's global stream. Unless the program "
        "seeds it, each process begins it with the system's entropy, so that each run trains another model."
    ),
    remedy="Call torch.manual_seed(seed), which seeds the CPU and all GPUs, before the model is made.",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(_SPLIT, needs=("torch",)),
        Example(_ELSEWHERE, needs=("torch",), beside=_BESIDE),
    ),
    good=(
        Example(_BAD.replace("model = ", "torch.manual_seed(0)\nmodel = "), needs=("torch",)),
        Example(_ELSEWHERE.replace("model = ", "torch.manual_seed(0)\nmodel = "), needs=("torch",), beside=_BESIDE),
        Example(
            _BAD.replace("from torch import nn", "from lightning import seed_everything\nfrom torch import nn").replace(
                "model = ", "seed_everything(1)\nmodel = "
            ),
            needs=("torch", "lightning"),
        ),
        # An example input of an export draws, and nothing depends on it: the runs show the draw, the source tells why.
        Example(
            "import torch\nfrom torch import nn\n\n\ndef main():\n    model = nn.ReLU()\n"
            '    print(torch.jit.trace(model, torch.rand(1, 4)))\n\n\nif __name__ == "__main__":\n    main()\n',
            name="export.py",
            needs=("torch",),
            runs=False,
        ),
    ),
    sources=(
        "https://docs.pytorch.org/docs/stable/notes/randomness.html#pytorch-random-number-generator",
        "https://docs.pytorch.org/docs/stable/generated/torch.manual_seed.html",
    ),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """The first draw of a program that trains and never seeds torch."""
    found = unseeded(module, "torch")
    if found is None or not found.trains:
        return  # example inputs of exports and speed measurements, mostly
    yield Sighting(
        found.node,
        found.said,
        found.unless,
        None if found.edit is None else Fix((found.edit,), imports=found.imports),
        None if found.sure else "medium",
        found.given,
    )


def see_run(watched: Watched) -> Iterator[Observation]:
    """Processes that drew from the stream and never seeded it."""
    for role, place in drawn_unseeded(watched.runs, "torch"):
        yield Observation(f"torch's global stream is drawn from in {role} and never seeded (torch.manual_seed)", place)
