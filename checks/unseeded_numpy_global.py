"""NumPy's global stream, drawn from and not seeded."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.records.streams import drawn_unseeded
from auditor.rule import Example, Fix, Observation, Rule, Sighting, Watched
from auditor.source import Module
from auditor.source.streams import unseeded

_BAD = """import numpy as np
import torch

x = torch.from_numpy(np.random.rand(32, 4))
weights = torch.zeros(4, dtype=torch.float64, requires_grad=True)
optimizer = torch.optim.SGD([weights], lr=0.1)
for _ in range(4):
    loss = ((x @ weights - 1) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(loss.item())
"""
_FROM = "import torch\n\nfrom helpers import seed_everything\n"
_SHUFFLE = "from numpy.random import shuffle\nimport numpy\nimport torch\n\nrows = numpy.arange(8)\n"
_SHUFFLE += "shuffle(rows)\nparameter = torch.zeros(8, requires_grad=True)\n"
_SHUFFLE += "loss = ((parameter - torch.from_numpy(rows)) ** 2 * torch.arange(8)).sum()\nloss.backward()\n"
_SHUFFLE += "print(parameter.grad)\n"

RULE = Rule(
    id="unseeded-numpy-global",
    title="NumPy's global stream is drawn from and not seeded",
    topic="streams",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "numpy.random.rand, shuffle, choice and the other functions of numpy.random draw from one global stream, "
        "which begins with the system's entropy in every process. Many libraries draw from it too where they are "
        "given no random_state."
    ),
    remedy="Call numpy.random.seed(seed) before anything draws, or better: draw from a numpy.random.default_rng(seed).",
    bad=(
        Example(_BAD, needs=("numpy", "torch")),
        Example(_SHUFFLE, needs=("numpy", "torch")),
    ),
    good=(
        Example(_BAD.replace("x = torch", "np.random.seed(0)\nx = torch"), needs=("numpy", "torch")),
        Example(
            _BAD.replace("np.random.rand(32, 4)", "np.random.default_rng(0).random((32, 4))"), needs=("numpy", "torch")
        ),
        Example(
            _BAD.replace("x = torch", "seed_everything(0)\nx = torch").replace("import torch\n", _FROM, 1),
            needs=("numpy", "torch"),
            beside={"helpers.py": "import numpy\n\n\ndef seed_everything(seed):\n    numpy.random.seed(seed)\n"},
        ),
        Example(
            "import numpy as np\n\n\ndef jitter(x):\n    return x + np.random.normal(size=x.shape)\n", name="augment.py"
        ),
    ),
    sources=(
        "https://numpy.org/doc/stable/reference/random/legacy.html",
        "https://numpy.org/doc/stable/reference/random/generated/numpy.random.seed.html",
    ),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """The first draw of a program that never seeds the stream."""
    found = unseeded(module, "numpy")
    if found is None:
        return
    yield Sighting(
        found.node,
        found.said,
        found.unless,
        None if found.edit is None else Fix((found.edit,), imports=found.imports),
        None if found.sure and found.trains else "medium",
        found.given,
    )


def see_run(watched: Watched) -> Iterator[Observation]:
    """Processes that drew from the stream and never seeded it."""
    for role, place in drawn_unseeded(watched.runs, "numpy"):
        yield Observation(f"NumPy's global stream is drawn from in {role} and never seeded (numpy.random.seed)", place)
