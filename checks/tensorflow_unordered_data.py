"""A tf.data pipeline that is told to give elements as they come."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import Module

_BAD = """import tensorflow as tf

rows = tf.data.Dataset.range(20).map(lambda x: x * x, num_parallel_calls=4, deterministic=False)
print(list(rows.as_numpy_iterator()))
"""

RULE = Rule(
    id="tensorflow-unordered-data",
    title="tf.data gives elements in the order in which threads finish",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "deterministic=False allows tf.data to give elements in whatever order its threads finish them, for speed. "
        "Batches hold other elements in each run, whatever the seed."
    ),
    remedy="Leave deterministic at its default, or set it to True.",
    bad=(
        Example(_BAD, needs=("tensorflow",)),
        Example(
            "import tensorflow as tf\n\nrows = tf.data.Dataset.range(20)\noptions = tf.data.Options()\n"
            "options.deterministic = False\nprint(list(rows.with_options(options).as_numpy_iterator()))\n",
            needs=("tensorflow",),
        ),
    ),
    good=(
        Example(_BAD.replace("False", "True"), needs=("tensorflow",)),
        Example(_BAD.replace(", deterministic=False", ""), needs=("tensorflow",)),
        Example("import torch\n\ntorch.use_deterministic_algorithms(mode=False)\nprint(torch.ones(1))\n"),
    ),
    sources=(
        "https://www.tensorflow.org/api_docs/python/tf/data/Dataset#map",
        "https://www.tensorflow.org/api_docs/python/tf/data/Options",
    ),
)

_METHODS = frozenset({"map", "interleave", "padded_batch", "batch", "from_generator", "ragged_batch", "map_and_batch"})
_OPTIONS = frozenset({"deterministic", "experimental_deterministic"})


def see_source(module: Module) -> Iterator[Sighting]:
    """``deterministic=False`` for a transformation, and the option."""
    if "tensorflow" not in module.imports:
        return
    for node in module.all(ast.Call):
        if not isinstance(node.func, ast.Attribute) or node.func.attr not in _METHODS:
            continue
        for given in node.keywords:
            if given.arg == "deterministic" and module.constant(given.value) is False:
                yield Sighting(
                    node,
                    f"{node.func.attr} gives elements in the order in which threads finish",
                    fix=Fix((module.replaced(given.value, "True"),), safe=True),
                )
    for statement in module.all(ast.Assign):
        for target in statement.targets:
            if not isinstance(target, ast.Attribute) or target.attr not in _OPTIONS:
                continue
            if module.constant(statement.value) is False and module.name(target.value) in (
                None,
                "tensorflow.data.Options()",
            ):
                yield Sighting(
                    statement,
                    "tf.data may give elements in the order in which threads finish",
                    fix=Fix((module.replaced(statement.value, "True"),), safe=True),
                )
