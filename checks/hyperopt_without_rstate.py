"""A search of Hyperopt that has no seed."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import ABSENT, Module

_BAD = """import numpy as np
from hyperopt import fmin, hp, tpe

np.random.seed(7)  # does not reach the search
print(fmin(lambda x: x * x, hp.uniform("x", -1, 1), algo=tpe.suggest, max_evals=5, show_progressbar=False))
"""

RULE = Rule(
    id="hyperopt-without-rstate",
    title="A hyper-parameter search of Hyperopt has no seed",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "hyperopt.fmin draws from the generator that it is given as rstate. Without one it makes one from the system's "
        "entropy, unless the variable HYPEROPT_FMIN_SEED is set: another search tries other settings."
    ),
    remedy="Pass a generator: fmin(…, rstate=numpy.random.default_rng(seed)).",
    bad=(Example(_BAD, needs=("hyperopt", "numpy")),),
    good=(
        Example(
            _BAD.replace("max_evals=5", "max_evals=5, rstate=np.random.default_rng(7)"), needs=("hyperopt", "numpy")
        ),
        Example(
            "import os\n" + _BAD.replace("np.random.seed(7)", 'os.environ["HYPEROPT_FMIN_SEED"] = "7"'),
            needs=("hyperopt", "numpy"),
        ),
    ),
    sources=("https://github.com/hyperopt/hyperopt/blob/master/hyperopt/fmin.py",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """``fmin`` without ``rstate``."""
    if "hyperopt" not in module.imports:
        return
    for call in (*module.calls("hyperopt.fmin"), *module.calls("hyperopt.fmin.fmin")):
        state = call.argument("rstate", 8)
        if state is ABSENT or module.constant(state) is None:
            yield Sighting(
                call.node,
                "fmin without rstate: the search takes the system's entropy",
                unless=("os.environ[HYPEROPT_FMIN_SEED]",),
            )
