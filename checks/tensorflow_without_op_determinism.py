"""A seeded TensorFlow program that leaves nondeterministic operations on."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import Module
from auditor.source.experiments import runs

_BAD = """import tensorflow as tf

tf.random.set_seed(7)
print(tf.random.normal([2]).numpy())
"""

RULE = Rule(
    id="tensorflow-without-op-determinism",
    title="TensorFlow is seeded and its operations may add in any order",
    topic="domains",
    level="bit-exact",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "A seed fixes what is drawn. On a GPU, and in tf.data with several threads, operations still finish in another "
        "order in each run. enable_op_determinism makes them take one order, at a price in speed."
    ),
    remedy="Call tf.config.experimental.enable_op_determinism() after seeding.",
    bad=(Example(_BAD, needs=("tensorflow",)),),
    good=(
        Example(
            _BAD.replace("set_seed(7)\n", "set_seed(7)\ntf.config.experimental.enable_op_determinism()\n"),
            needs=("tensorflow",),
        ),
        Example(
            'import os\n\nos.environ["KERAS_BACKEND"] = "jax"\nimport keras\n\nkeras.utils.set_random_seed(7)\n',
            needs=("keras", "jax"),
        ),
    ),
    sources=("https://www.tensorflow.org/api_docs/python/tf/config/experimental/enable_op_determinism",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """The call that seeds, in a program that imports TensorFlow."""
    if "tensorflow" not in module.imports or not runs(module):
        return
    for call in module.calls("tensorflow.random.set_seed", "keras.utils.set_random_seed"):
        if not runs(module, call.node):
            continue
        statement = module.statement(call.node)
        fix = None
        if (
            statement is not None
            and call.name.startswith("tensorflow.")
            and module.segment(call.node).startswith("tf.")
        ):
            fix = Fix((module.before(statement, "tf.config.experimental.enable_op_determinism()"),))
        yield Sighting(
            call.node,
            "TensorFlow is seeded, and enable_op_determinism is never called",
            unless=(
                "tensorflow.config.experimental.enable_op_determinism",
                "os.environ[TF_DETERMINISTIC_OPS]",
                "?.enable_op_determinism",
            ),
            fix=fix,
        )
        return
