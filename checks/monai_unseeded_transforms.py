"""Random transforms of MONAI whose own streams nothing seeds."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.experiments import runs

_BAD = """import numpy as np
import torch
from monai.transforms import Compose, RandGaussianNoise

np.random.seed(7)  # neither reaches the transform
torch.manual_seed(7)
augment = Compose([RandGaussianNoise(prob=1.0)])
print(augment(np.zeros((1, 2, 2), dtype=np.float32)))
"""

RULE = Rule(
    id="monai-unseeded-transforms",
    title="Random transforms of MONAI have streams that nothing seeds",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Each random transform of MONAI holds a RandomState of its own, which begins with the system's entropy: "
        "seeding NumPy or torch does not reach it. Patches and augmentations are others in each run."
    ),
    remedy=(
        "Call monai.utils.set_determinism(seed) before transforms are composed, call set_random_state(seed) on them, "
        "or load through monai.data.DataLoader."
    ),
    bad=(Example(_BAD, needs=("monai",)),),
    good=(
        Example(
            _BAD.replace("import Compose", "import Compose as Chain")
            .replace("= Compose", "= Chain")
            .replace("np.random.seed(7)", "monai.utils.set_determinism(7)")
            .replace("import numpy", "import monai\nimport numpy"),
            needs=("monai",),
        ),
        Example(_BAD.replace("1.0)])\n", "1.0)])\naugment.set_random_state(7)\n"), needs=("monai",)),
        # MONAI's own loader seeds them from torch's stream.
        Example(
            _BAD.replace("import torch\n", "import torch\nfrom monai.data import DataLoader, Dataset\n").replace(
                "print(augment(np.zeros((1, 2, 2), dtype=np.float32)))",
                "rows = Dataset([np.zeros((1, 2, 2), dtype=np.float32)], augment)\nprint(list(DataLoader(rows)))",
            ),
            needs=("monai",),
        ),
    ),
    sources=(
        "https://monai.readthedocs.io/en/stable/utils.html#monai.utils.misc.set_determinism",
        "https://monai.readthedocs.io/en/stable/transforms.html",
    ),
)

_RANDOM = re.compile(r"monai\.transforms\.(\w+\.)*Rand[A-Z]\w*")
_SEEDED = (
    "monai.utils.set_determinism",
    "monai.utils.misc.set_determinism",
    "monai.data.DataLoader",
    "monai.data.ThreadDataLoader",
    "monai.data.dataloader.DataLoader",
    "?.set_random_state",
    "monai.transforms.Compose().set_random_state",
)


def see_source(module: Module) -> Iterator[Sighting]:
    """The first random transform of a program that seeds none."""
    if "monai" not in module.imports or not runs(module):
        return
    names = [name for name in module.called if _RANDOM.fullmatch(name)]
    calls = [call for name in names for call in module.calls(name) if runs(module, call.node)]
    if not calls or any(name.endswith(".set_random_state") for name in module.called):
        return
    first = min(calls, key=lambda call: (call.node.lineno, call.node.col_offset))
    yield Sighting(
        first.node,
        f"{first.name.rpartition('.')[2]} draws from a stream of its own, which nothing seeds",
        unless=_SEEDED,
    )
