"""A NumPy Generator that was given no seed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Example, Observation, Rule, Sighting, Watched
from auditor.source import ABSENT, Module

_BAD = """import numpy as np

np.random.seed(0)  # does not reach the generator below
rng = np.random.default_rng()
print(rng.normal())
"""

RULE = Rule(
    id="unseeded-numpy-generator",
    title="A NumPy Generator is made without a seed",
    topic="streams",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "numpy.random.default_rng() and the bit generators take their seed from the system's entropy where none is "
        "given. numpy.random.seed seeds NumPy's old global stream only and does not reach them."
    ),
    remedy="Give it a seed: numpy.random.default_rng(seed).",
    bad=(Example(_BAD, needs=("numpy",)),),
    good=(
        Example(_BAD.replace("default_rng()", "default_rng(7)"), needs=("numpy",)),
        # The caller's choice.
        Example(
            "import numpy as np\n\n\ndef noise(size, rng=None):\n    if rng is None:\n"
            "        rng = np.random.default_rng()\n    return rng.normal(size=size)\n\n\n"
            "print(noise(2, np.random.default_rng(1)))\n",
            needs=("numpy",),
        ),
        Example(
            "import numpy as np\n\n\ndef noise(size, np_random=None):\n"
            "    return (np_random or np.random.RandomState()).normal(size=size)\n\n\n"
            "print(noise(2, np.random.RandomState(1)))\n",
            needs=("numpy",),
        ),
    ),
    sources=(
        "https://numpy.org/doc/stable/reference/random/generator.html#numpy.random.default_rng",
        "https://numpy.org/neps/nep-0019-rng-policy.html",
    ),
)

_MAKERS = (
    "numpy.random.default_rng",
    "numpy.random.SeedSequence",
    "numpy.random.RandomState",
    "numpy.random.MT19937",
    "numpy.random.PCG64",
    "numpy.random.PCG64DXSM",
    "numpy.random.Philox",
    "numpy.random.SFC64",
)


_CHOSEN = re.compile(r"(^|_)(seed|rng|generator|gen|random_state|state|prng)s?(_|$)|^(np_|py_)?random$")
_SETTER = re.compile(r"^set_(random_)?(seed|state|rng|generator)|^(re)?seed")


def see_source(module: Module) -> Iterator[Sighting]:
    """Generators made from nothing, or from None."""
    for call in module.calls(*_MAKERS):
        seed = call.argument("entropy" if call.name.endswith("SeedSequence") else "seed", 0)
        if (seed is ABSENT or module.constant(seed) is None) and not _is_the_callers(module, call.node):
            yield Sighting(
                call.node,
                f"{call.name}() takes its seed from the system's entropy; numpy.random.seed does not reach it",
            )


def _is_the_callers(module: Module, node: ast.AST) -> bool:
    """Whether it stands in for a seed or a generator that a caller may give, or one of its class may set."""
    function = module.function(node)
    if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        arguments = function.args
        positional = [*arguments.posonlyargs, *arguments.args]
        given = positional[len(positional) - len(arguments.defaults) :]
        given += [one for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default]
        return any(_CHOSEN.search(one.arg) for one in given)
    owner = module.class_(node)
    return owner is not None and any(
        isinstance(one, ast.FunctionDef) and _SETTER.search(one.name) for one in owner.body
    )


def see_run(watched: Watched) -> Iterator[Observation]:
    """Generators that drew the system's entropy."""
    for run in watched.runs:
        for trace in run.processes:
            told = set()
            for generator in trace.generators:
                if not generator.seeded:
                    told.add(generator.place)
                    yield Observation(
                        f"a NumPy generator ({generator.kind}) is made without a seed: it takes the system's entropy",
                        generator.place,
                    )
            # Of those that default_rng does not make, what NumPy read for them is seen.
            for read in trace.entropy:
                if read.kind == "numpy-entropy" and read.place not in told:
                    yield Observation("NumPy takes a seed from the system's entropy for a generator", read.place)
