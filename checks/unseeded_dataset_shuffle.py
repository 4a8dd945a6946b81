"""A dataset of the datasets library that is shuffled or split without a seed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import Module

_BAD = """from datasets import Dataset

rows = Dataset.from_dict({"x": list(range(100))})
print(rows.shuffle()["x"][:5])
"""

RULE = Rule(
    id="unseeded-dataset-shuffle",
    title="A dataset is shuffled or split without a seed",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Without seed=, Dataset.shuffle and train_test_split take their seed from NumPy's global stream, which nothing "
        "has seeded here, and a streamed dataset takes it from the system's entropy. Another run trains on other rows, "
        "and tests on other rows."
    ),
    remedy="Pass the seed: dataset.shuffle(seed=seed).",
    bad=(
        Example(_BAD, needs=("datasets",)),
        Example(_BAD.replace('shuffle()["x"]', 'train_test_split(test_size=0.2)["test"]["x"]'), needs=("datasets",)),
        Example(
            "from datasets import load_dataset\n\nraw = load_dataset('a/b', revision='v1')\n"
            "train = raw['train'].shuffle().select(range(100))\n",
            needs=("datasets",),
            runs=False,
        ),
    ),
    good=(
        Example(_BAD.replace("shuffle()", "shuffle(seed=7)"), needs=("datasets",)),
        Example(_BAD.replace("\n\n", "\nimport numpy as np\n\nnp.random.seed(7)\n", 1), needs=("datasets", "numpy")),
        Example("import random\n\nrows = [1, 2, 3]\nrandom.Random(7).shuffle(rows)\nprint(rows)\n"),
    ),
    sources=(
        "https://huggingface.co/docs/datasets/package_reference/main_classes#datasets.Dataset.shuffle.seed",
        "https://huggingface.co/docs/datasets/package_reference/main_classes#datasets.IterableDataset.shuffle.seed",
    ),
)

_SOURCES = (
    "datasets.load_dataset()",
    "datasets.load_from_disk()",
    "datasets.Dataset.from_",
    "datasets.Dataset()",
    "datasets.concatenate_datasets()",
    "datasets.interleave_datasets()",
    "datasets.IterableDataset.from_",
)


def see_source(module: Module) -> Iterator[Sighting]:
    """``shuffle`` and ``train_test_split`` of what the library loaded, without seed and generator."""
    if "datasets" not in module.imports:
        return
    for node in module.all(ast.Call):
        called = node.func
        if not isinstance(called, ast.Attribute) or called.attr not in ("shuffle", "train_test_split"):
            continue
        if any(given.arg in ("seed", "generator", "shuffle", "seeds", None) for given in node.keywords) or node.args:
            continue
        origin = _origin(module, called.value)
        if not origin.startswith(_SOURCES):
            continue
        added = module.with_argument(node, "seed=0")
        safe = module.function(node) is None and module.loop(node) is None
        streamed = "streaming" in origin or "Iterable" in origin
        yield Sighting(
            node,
            f"{called.attr} without a seed: "
            + ("the system's entropy" if streamed else "NumPy's global stream")
            + " decides",
            unless=() if streamed else ("seeds:numpy",),
            fix=None if added is None else Fix((added,), safe=safe),
        )


def _origin(module: Module, node: ast.expr) -> str:
    """What an expression is made from, through methods, keys and names: the dotted name of its beginning."""
    for _ in range(12):
        name = module.name(node)
        if name is not None and name.startswith("datasets."):
            streamed = isinstance(node, ast.Call) and any(given.arg == "streaming" for given in node.keywords)
            return f"{name} streaming" if streamed else name
        if isinstance(node, ast.Subscript):
            node = node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func.value
        elif isinstance(node, (ast.Name, ast.Attribute)):
            values = module.values(node)
            # A name that is bound again to what is made of it: the first value is where it begins.
            if not values or values[0] is node:
                return ""
            node = values[0]
        else:
            return ""
    return ""
