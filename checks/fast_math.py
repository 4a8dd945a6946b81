"""Compilers that may rearrange the arithmetic of floats."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import Document, Module

_BAD = """import numpy as np
from numba import njit


@njit(fastmath=True)
def total(values):
    result = 0.0
    for value in values:
        result += value
    return result


print(total(np.ones(8)))
"""
_PARALLEL = (
    _BAD.replace("fastmath=True", "parallel=True")
    .replace("import njit", "import njit, prange")
    .replace(
        "    for value in values:\n        result += value\n",
        "    for index in prange(values.size):\n        result += values[index]\n",
    )
)
_COPY = """import numpy as np
from numba import njit


@njit(fastmath=True)
def shifted(values, by):
    result = np.zeros_like(values)
    for index in range(by, values.size):
        result[index] = values[index - by]
    return result


print(shifted(np.ones(8), 2))
"""
_SETUP = """from setuptools import Extension, setup

setup(name="fast", ext_modules=[Extension("fast", ["fast.c"], extra_compile_args=["-O3", "-ffast-math"])])
"""

RULE = Rule(
    id="fast-math",
    title="A compiler may rearrange the arithmetic of floats",
    topic="arithmetic",
    level="seed-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "With -ffast-math, and fastmath=True of Numba, a compiler may add in any order, fuse and approximate: what it "
        "makes of the same source depends on its version and on the processor. -march=native makes it compile for the "
        "machine at hand, and Numba's parallel=True splits sums among as many threads as there are."
    ),
    remedy="Leave it out for code whose results must repeat; name a processor (-march=x86-64-v3) instead of native.",
    bad=(
        Example(_BAD, needs=("numba", "numpy")),
        Example(_PARALLEL, needs=("numba", "numpy")),
        Example(_SETUP, name="setup.py", runs=False),
        Example(_SETUP.replace("-ffast-math", "-march=native"), name="setup.py", runs=False),
        Example(
            "from torch.utils.cpp_extension import load\n\n"
            'fused = load("fused", ["fused.cu"], extra_cuda_cflags=["--use_fast_math"])\n',
            runs=False,
        ),
        Example('FROM python:3.11\nENV CFLAGS="-O3 -march=native"\nRUN pip install mine\n', kind="dockerfile"),
    ),
    good=(
        Example(_BAD.replace("(fastmath=True)", ""), needs=("numba", "numpy")),
        # Nothing is computed that could be rearranged.
        Example(_COPY, needs=("numba", "numpy")),
        Example(
            _PARALLEL.replace("result = 0.0", "result = np.zeros(values.size)").replace(
                "result += values[index]", "result[index] = values[index]"
            ),
            needs=("numba", "numpy"),
        ),
        Example(_SETUP.replace(', "-ffast-math"', ""), name="setup.py", runs=False),
        Example('FLAGS = "do not use -ffast-math here"\nprint(FLAGS)\n'),
        Example("FROM python:3.11\nENV CFLAGS=-O2\n# no -march=native\n", kind="dockerfile"),
    ),
    sources=(
        "https://numba.readthedocs.io/en/stable/user/performance-tips.html#fastmath",
        "https://numba.readthedocs.io/en/stable/user/parallel.html",
        "https://gcc.gnu.org/onlinedocs/gcc/Optimize-Options.html",
    ),
)

_DECORATORS = ("numba.jit", "numba.njit", "numba.vectorize", "numba.guvectorize", "numba.stencil")
_CUDA = ("numba.cuda.jit",)
_MATH = frozenset(("sum", "mean", "dot", "cumsum", "std", "var", "trace", "norm", "prod", "exp", "log", "sqrt", "tanh"))
_FLAG = re.compile(
    r"-ffast-math|-Ofast|-funsafe-math-optimizations|-fassociative-math|--?use_fast_math|-march=native|/fp:fast"
)
_WORD = re.compile(rf"(?<!\S)[\"']?({_FLAG.pattern})[\"']?(?!\S)")


def see_source(module: Module) -> Iterator[Sighting]:
    """Numba's options, and flags of compilers."""
    for call in module.calls(*_DECORATORS, *_CUDA):
        given = call.argument("fastmath")
        if module.constant(given) is True and _rearranged(module, call.node):
            fix = Fix((module.replaced(given, "False"),)) if isinstance(given, ast.Constant) else None
            yield Sighting(call.node, "fastmath=True: the compiler may add in any order, fuse and approximate", fix=fix)
        if module.constant(call.argument("parallel")) is True and _reduces(module, call.node):
            yield Sighting(call.node, "parallel=True: the sum is split among as many threads as there are")
    for node in module.all(ast.Constant):
        if isinstance(node.value, str) and _is_flags(module, node, node.value):
            yield Sighting(
                node, f"{_first(node.value)}: what the compiler makes of it depends on its version and processor"
            )


def see_document(document: Document) -> Iterator[Sighting]:
    """Flags of compilers in a Dockerfile."""
    if document.kind != "dockerfile":
        return
    for number, line in enumerate(document.text.splitlines(), 1):
        found = _FLAG.search(line)
        if found and not line.lstrip().startswith("#"):
            yield Sighting(number, f"{found[0]}: what is compiled depends on the compiler's version and the processor")


def _first(text: str) -> str:
    found = _FLAG.search(text)
    return found[0] if found else text


def _is_flags(module: Module, node: ast.Constant, text: str) -> bool:
    """Whether a string is a flag in a list of them, or a line of flags for a compiler."""
    if _FLAG.fullmatch(text.strip()):
        around = module.parent(node)
        if isinstance(around, (ast.List, ast.Tuple)):
            # A list of what is looked for is none of flags: `x in ["-Ofast", ...]`.
            return not isinstance(module.parent(around), ast.Compare)
        return isinstance(around, ast.Call) and getattr(around.func, "attr", "") in ("append", "extend", "insert")
    if not text.lstrip().startswith("-") or len(text) > 300:
        return False
    return _WORD.search(text) is not None


def _rearranged(module: Module, decorator: ast.Call) -> bool:
    """Whether the function that is decorated sums, or computes with the results of other operations."""
    function = module.parent(decorator)
    if not isinstance(function, ast.FunctionDef):
        return True  # applied to a function that is elsewhere
    indices = {one for node in ast.walk(function) if isinstance(node, ast.Subscript) for one in ast.walk(node.slice)}
    for node in ast.walk(function):
        if node in indices or node in function.decorator_list:
            continue
        if isinstance(node, ast.AugAssign) and not isinstance(node.value, ast.Constant):
            return True
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and _goes_on(node, node.value):
            return True
        if isinstance(node, ast.BinOp) and any(isinstance(one, ast.BinOp) for one in (node.left, node.right)):
            return True
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.MatMult, ast.Div, ast.Pow)):
            return True
        if isinstance(node, ast.Call) and (getattr(node.func, "attr", "") or getattr(node.func, "id", "")) in _MATH:
            return True
    return False


def _goes_on(node: ast.Assign, value: ast.BinOp) -> bool:
    """Whether a name is given something computed from itself: ``total = total + x``."""
    names = {target.id for target in node.targets if isinstance(target, ast.Name)}
    return any(isinstance(one, ast.Name) and one.id in names for one in (value.left, value.right))


def _reduces(module: Module, decorator: ast.Call) -> bool:
    """Whether the function that is decorated adds to one number in a ``prange``."""
    function = module.parent(decorator)
    if not isinstance(function, ast.FunctionDef):
        return False
    for loop in (node for node in ast.walk(function) if isinstance(node, ast.For)):
        if isinstance(loop.iter, ast.Call) and (module.name(loop.iter.func) or "").endswith("prange"):
            # One that is begun anew in each turn is that turn's own.
            begun = {
                target.id
                for node in ast.walk(loop)
                if isinstance(node, ast.Assign)
                for target in node.targets
                if isinstance(target, ast.Name)
            }
            for node in ast.walk(loop):
                if (
                    isinstance(node, ast.AugAssign)
                    and isinstance(node.target, ast.Name)
                    and node.target.id not in begun
                ):
                    return True
    return False
