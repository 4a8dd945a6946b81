"""A program that trains with TensorFlow or Keras and seeds neither."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.experiments import runs

_BAD = """import numpy as np
from tensorflow import keras

np.random.seed(7)  # does not reach the weights
model = keras.Sequential([keras.layers.Dense(2), keras.layers.Dropout(0.5), keras.layers.Dense(1)])
model.compile("sgd", "mse")
rows = np.random.normal(size=(8, 3))
print(model.fit(rows, rows[:, :1], verbose=0).history["loss"])
"""

RULE = Rule(
    id="unseeded-tensorflow",
    title="A program trains with TensorFlow or Keras and seeds neither",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "Weights, dropout and shuffled datasets draw from TensorFlow's own generators, which neither random.seed nor "
        "numpy.random.seed reaches: each run begins with other weights."
    ),
    remedy="Call keras.utils.set_random_seed(seed) before the model is made: it seeds Python, NumPy and the backend.",
    bad=(Example(_BAD, needs=("tensorflow",)),),
    good=(
        Example(_BAD.replace("np.random.seed(7)", "keras.utils.set_random_seed(7)"), needs=("tensorflow",)),
        Example(
            _BAD.replace("from tensorflow import", "import tensorflow as tf\nfrom tensorflow import").replace(
                "np.random.seed(7)  # does not reach the weights", "np.random.seed(7)\ntf.random.set_seed(7)"
            ),
            needs=("tensorflow",),
        ),
    ),
    sources=(
        "https://www.tensorflow.org/api_docs/python/tf/random/set_seed",
        "https://keras.io/api/utils/python_utils/",
    ),
)

_MADE = re.compile(r"(keras|tensorflow\.keras)\.(Sequential|Model|layers\.\w+|applications\.[\w.]+|models\.\w+)")
_TRAINS = frozenset({"fit", "train_on_batch", "fit_generator", "minimize", "apply_gradients"})
SEEDS = (
    "tensorflow.random.set_seed",
    "tensorflow.set_random_seed",
    "tensorflow.random.set_random_seed",
    "keras.utils.set_random_seed",
    "keras.backend.set_random_seed",
    # A function that is called like one that seeds everything.
    "seeds:torch",
    "?.set_seed",
    "?.set_random_seed",
)


def see_source(module: Module) -> Iterator[Sighting]:
    """The first layer or model of a program that then trains it."""
    if module.imports.isdisjoint({"tensorflow", "keras"}) or not runs(module):
        return
    trains = any(isinstance(one.func, ast.Attribute) and one.func.attr in _TRAINS for one in module.all(ast.Call))
    made = [
        call.node
        for name in module.called
        if _MADE.fullmatch(name)
        for call in module.calls(name)
        if runs(module, call.node)
    ]
    # Layers that are given a seed each are seeded.
    if not trains or not made or any(name.startswith("keras.") and "seed" in name.lower() for name in module.called):
        return
    first = min(made, key=lambda node: (node.lineno, node.col_offset))
    yield Sighting(first, "nothing seeds TensorFlow: weights and dropout are others in each run", unless=SEEDS)
