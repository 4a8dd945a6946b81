"""Operations that PyTorch's documentation calls nondeterministic."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import ABSENT, HIDDEN, UNKNOWN, Call, Module
from auditor.source.devices import differentiated, on_cuda
from auditor.source.nondeterministic import LATEST, OPERATIONS, Operation, address
from auditor.source.streams import trains

_BAD = """import torch
from torch import nn
from torch.nn import functional as F

device = "cuda" if torch.cuda.is_available() else "cpu"
small = nn.Conv2d(3, 4, 3, padding=1).to(device)(torch.ones(1, 3, 4, 4, device=device))
large = F.interpolate(small, scale_factor=2, mode="bilinear", align_corners=False)
large.square().mean().backward()
"""
_SCATTER = """import torch

values = torch.rand(100, requires_grad=True, device="cuda" if torch.cuda.is_available() else "cpu")
groups = torch.arange(100, device=values.device) % 7
print(torch.zeros(7, device=values.device).index_add(0, groups, values))
"""
_POOL = """from torch import nn


class Head(nn.Module):
    def __init__(self):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d((7, 7))

    def forward(self, x):
        return self.pool(x).flatten(1)
"""
_TRAIN = """import torch
from model import Head

print(Head().to("cuda" if torch.cuda.is_available() else "cpu"))
"""

RULE = Rule(
    id="nondeterministic-operation",
    title="An operation is documented as nondeterministic",
    topic="kernels",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "PyTorch lists operations whose kernels, most of them for CUDA, add with atomic operations in the order in "
        "which threads happen to finish. The last bits of their results differ between runs with one seed, and "
        "training makes that large. The list changes with the version: some have a deterministic kernel by now."
    ),
    remedy=(
        "Call torch.use_deterministic_algorithms(True): the operation takes its deterministic kernel, or, where it has "
        "none, raises an error; then use another operation."
    ),
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(_SCATTER, needs=("torch",)),
        Example(_POOL, name="model.py", needs=("torch",), beside={"train.py": _TRAIN}),
        Example(
            "import torch\n\npad = torch.nn.ReflectionPad2d(1).cuda()\n"
            "pad(torch.ones(1, 1, 4, 4, device='cuda', requires_grad=True)).sum().backward()\n",
            runs=False,
        ),
        Example(
            "import torch\n\nx = torch.rand(9).cuda()\nprint(torch.bincount(x.long(), x), x.median(dim=0))\n",
            runs=False,
        ),
        Example(
            "import torch\n\nsums, places = torch.zeros(3).cuda(), torch.zeros(9, dtype=torch.long).cuda()\n"
            "print(sums.put_(places, torch.rand(9).cuda(), accumulate=True))\n",
            runs=False,
        ),
        Example("import torch\n\nprint(torch.rand(9, device='cuda').cumsum(0))\n", runs=False),
        Example("import torch\n\nprint(torch.rand(9, 2, device='cuda').median(dim=0))\n", runs=False),
    ),
    good=(
        Example(_BAD.replace("device =", "torch.use_deterministic_algorithms(True)\ndevice =", 1), needs=("torch",)),
        Example(_BAD.replace('mode="bilinear", align_corners=False', 'mode="nearest"'), needs=("torch",)),
        # Nothing is differentiated here.
        Example(
            _BAD.replace("large = F", "with torch.no_grad():\n    large = F").replace(
                "large.square().mean().back", "#"
            ),
            needs=("torch",),
        ),
        # Pooling to one place is a mean.
        Example(_POOL.replace("(7, 7)", "1"), name="model.py", needs=("torch",), beside={"train.py": _TRAIN}),
        # On the CPU these add in a fixed order.
        Example(_SCATTER.replace('"cuda" if torch.cuda.is_available() else "cpu"', '"cpu"'), needs=("torch",)),
        Example(
            "import torch\n\ncounts = torch.bincount(torch.arange(9, device='cuda') % 3)\n",
            runs=False,
        ),
        # Another library's method of the same name, and a function of processes.
        Example(
            "import pandas as pd\nimport torch\n\nprint(pd.Series([1.0, 2.0]).cumsum(), torch.ones(1).cuda())\n"
            "torch.distributed.gather(torch.ones(1).cuda())\n",
            runs=False,
        ),
    ),
    sources=(address(LATEST), "https://docs.pytorch.org/docs/2.9/generated/torch.use_deterministic_algorithms.html"),
)

_BY_CALL: dict[str, list[Operation]] = defaultdict(list)
_BY_METHOD: dict[str, list[Operation]] = defaultdict(list)
for _operation in OPERATIONS:
    for _name in _operation.calls:
        _BY_CALL[_name].append(_operation)
    for _name in _operation.methods:
        _BY_METHOD[_name].append(_operation)
# Methods that other libraries' objects have as well: they are told only of what torch is seen to make.
_COMMON = frozenset({"gather", "scatter", "scatter_", "cumsum", "median"})
_BLURRED = frozenset({"linear", "bilinear", "bicubic", "trilinear"})
_PADDED = {"reflect": "torch.nn.ReflectionPad2d", "replicate": "torch.nn.ReplicationPad2d"}
_REDUCED = {"sum": ("sum",), "mean": ("sum",), "add": ("sum",), "prod": ("prod",)}
_UNLESS = ("asks:deterministic",)


def see_source(module: Module) -> Iterator[Sighting]:
    """Calls of operations on the list, in files that differentiate them, in projects that use CUDA."""
    if "torch" not in module.imports:
        return
    seen: set[ast.AST] = set()
    here, trained = on_cuda(module), trains(module) is not None
    for call, operation, method in _calls(module):
        if call.node in seen or (operation.direction == "backward" and not differentiated(module, call.node)):
            continue
        if operation.direction == "backward" and "__init__" in module.functions(call.node) and not _makes_layer(call):
            continue  # what is computed there once is no part of what is differentiated
        seen.add(call.node)
        certainty = operation.certainty
        if certainty == "high" and (method or not here or not (trained or _in_network(module, call.node))):
            certainty = "medium"
        name = f"Tensor.{call.name.rpartition('.')[2]}" if method else call.name
        yield Sighting(call.node, _said(name, operation), _UNLESS, None, certainty, ("uses:cuda",))


def _makes_layer(call: Call) -> bool:
    return call.name.startswith("torch.nn.") and not call.name.startswith("torch.nn.functional.")


def _calls(module: Module) -> Iterator[tuple[Call, Operation, bool]]:
    for name, operations in _BY_CALL.items():
        for call in module.calls(name):
            for operation in operations:
                if _meets(module, call, operation, 1):
                    yield call, operation, False
    for call in module.calls("torch.nn.functional.pad"):
        named = _PADDED.get(_text(module, call.argument("mode", 2)))
        for operation in OPERATIONS:
            if operation.name == named:
                yield call, operation, False
    for node in module.all(ast.Call):
        function = node.func
        if not isinstance(function, ast.Attribute) or function.attr not in _BY_METHOD:
            continue
        known = module.name(function)
        if function.attr in _COMMON and not re.match(r"torch\.\w+\(\)", known or ""):
            continue
        if known is not None and known.partition(".")[0].removesuffix("()") not in ("torch", ""):
            continue  # another library's
        if known in _BY_CALL:
            continue
        call = Call(node, known or function.attr, None, False)
        for operation in _BY_METHOD[function.attr]:
            if _meets(module, call, operation, 0):
                yield call, operation, True


def _meets(module: Module, call: Call, operation: Operation, first: int) -> bool:
    """Whether a call's arguments are such as the documentation names; ``first`` is 1 where the tensor is one."""
    last = operation.name.rpartition(".")[2]
    if last.startswith("AdaptiveAvgPool"):
        size = module.constant(call.argument("output_size", 1 if "functional" in call.name else 0))
        return size is not UNKNOWN and size not in (1, (1, 1), [1, 1], (1, 1, 1), [1, 1, 1])
    if last == "interpolate":
        if call.name.endswith(("Bilinear2d", "upsample_bilinear")):
            return True
        return _text(module, call.argument("mode", 2 if call.name.endswith("Upsample") else 3)) in _BLURRED
    if last == "EmbeddingBag":
        return _text(module, call.argument("mode", 5 if call.name.endswith("Bag") else 6)) == "max"
    if last == "scatter_reduce":
        reduced = _text(module, call.argument("reduce", 3 + first))
        return ("prod" if "prod" in operation.when else "sum") in _REDUCED.get(reduced, ())
    if last == "bincount":
        weights = call.argument("weights", first)
        return "weights" not in operation.when or (weights is not ABSENT and weights is not HIDDEN)
    if last == "median":
        # Without a dimension it gives the value alone.
        dimension = call.argument("dim", first)
        return dimension is not ABSENT and dimension is not HIDDEN
    if last == "put_" or last == "index_put":
        return module.constant(call.argument("accumulate", 2)) is ("accumulate=True" in operation.when)
    if last == "scatter":
        source = call.argument("src", 2 + first)
        return isinstance(source, (ast.Name, ast.Call, ast.Subscript)) and module.constant(source) is UNKNOWN
    if last in ("scatter_add_", "index_add"):
        return not any(_counts(module, one) for one in (*call.args, *(given.value for given in call.keywords)))
    return True


def _counts(module: Module, node: ast.expr) -> bool:
    """Whether what is added is the number one, as where things are counted: exact in any order."""
    for value in module.values(node):
        name = (module.name(value) or "").removesuffix("()")
        if name in ("torch.ones", "torch.ones_like") or name.startswith("torch.ones"):
            return True
    return False


def _text(module: Module, node: object) -> str:
    value = module.constant(node) if isinstance(node, ast.expr) else None
    return value if isinstance(value, str) else ""


def _in_network(module: Module, node: ast.AST) -> bool:
    """Whether something is in a class that is a network's, where most is differentiated."""
    owner = module.class_(node)
    return owner is not None and any((module.name(base) or "").endswith("Module") for base in owner.bases)


def _said(name: str, operation: Operation) -> str:
    where = " and ".join(device.upper() for device in operation.devices)
    direction = "its gradient on" if operation.direction == "backward" else "its result on"
    return (
        f"{name}: {direction} {where} is documented as nondeterministic"
        f"{' ' + operation.when if operation.when else ''}; with deterministic algorithms {_modes(operation)}"
    )


def _modes(operation: Operation) -> str:
    said = []
    for span in operation.spans:
        what = "it takes another kernel" if span.mode == "alternative" else "it raises an error"
        since = f" from torch {span.since} on" if span.since != "1.13" else ""
        until = f" up to torch {span.until}" if span.until else ""
        said.append(what + since + until)
    return ", ".join(said)
