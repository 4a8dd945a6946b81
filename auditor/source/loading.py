"""DataLoaders, datasets and samplers in a file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from auditor.source.module import ABSENT, UNKNOWN, Call, Function, Module

LOADERS = (
    "torch.utils.data.DataLoader",
    "torch_geometric.loader.DataLoader",
    "torch_geometric.data.DataLoader",
    "torchdata.stateful_dataloader.StatefulDataLoader",
)
_WORKERS, _WORKER_INIT = 5, 10  # positions in torch's signature
_DATASETS = frozenset({"Dataset", "IterableDataset", "VisionDataset", "MapDataset"})
_SAMPLERS = frozenset({"Sampler", "BatchSampler"})
_GENERATORS = {
    "numpy.random.default_rng": "a NumPy generator",
    "numpy.random.Generator": "a NumPy generator",
    "numpy.random.RandomState": "a NumPy RandomState",
    "random.Random": "a random.Random",
    "torch.Generator": "a torch generator",
    "torch.Generator().manual_seed": "a torch generator",
}


def loaders(module: Module) -> Iterator[Call]:
    """The calls that make a DataLoader."""
    yield from module.calls(*LOADERS)


def has_workers(module: Module, call: Call) -> bool | None:
    """Whether a DataLoader loads in processes of its own; None where the source does not tell."""
    given = call.argument("num_workers", _WORKERS if call.name.startswith("torch.utils") else None)
    if given is ABSENT:
        return False
    number = module.constant(given)
    return None if number is UNKNOWN or not isinstance(number, int) else number > 0


def initialises_workers(call: Call) -> bool:
    """Whether a DataLoader is given a ``worker_init_fn``, or may be."""
    return call.has("worker_init_fn", _WORKER_INIT if call.name.startswith("torch.utils") else None)


def is_persistent(module: Module, call: Call) -> bool:
    """Whether a DataLoader keeps its workers from epoch to epoch, or may do so."""
    given = call.argument("persistent_workers")
    return not (given is ABSENT or module.constant(given) is False)


def datasets(module: Module, *kinds: str) -> Iterator[ast.ClassDef]:
    """The classes of this file that are datasets of torch, by their bases; of some kinds only, where they are given."""
    wanted = frozenset(kinds) or _DATASETS
    yield from _derived(module, wanted)


def samplers(module: Module) -> Iterator[ast.ClassDef]:
    """The classes of this file that are samplers of torch, by their bases."""
    yield from _derived(module, _SAMPLERS)


def _derived(module: Module, kinds: frozenset[str], seen: frozenset[str] = frozenset()) -> Iterator[ast.ClassDef]:
    for node in module.all(ast.ClassDef):
        if any(_is_kind(module, base, kinds, seen | {node.name}) for base in node.bases):
            yield node


def _is_kind(module: Module, base: ast.expr, kinds: frozenset[str], seen: frozenset[str]) -> bool:
    if isinstance(base, ast.Subscript):
        base = base.value  # Dataset[int]
    name = module.name(base) or ""
    root, _, last = name.rpartition(".")
    if last in kinds and root.partition(".")[0] in ("torch", "torchvision", "torch_geometric"):
        return True
    parent = module.definition(base)
    if not isinstance(parent, ast.ClassDef) or parent.name in seen:
        return False
    return any(_is_kind(module, one, kinds, seen | {parent.name}) for one in parent.bases)


def method(owner: ast.ClassDef, *names: str) -> Function | None:
    """A method of a class by its name; the first of several that it has."""
    for node in owner.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name in names:
            return node
    return None


class Generator(NamedTuple):
    """A generator that lives as long as the dataset: its name, what it is in words, and the call that makes it."""

    name: str
    what: str
    made: ast.Call


def global_generators(module: Module, function: Function) -> Iterator[Generator]:
    """The generators of a module's top level that a function calls methods of."""
    found: dict[str, Generator] = {}
    for node in ast.walk(function):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
        ):
            values = module.values(node.func.value)
            made = values[0] if len(values) == 1 else None
            called = module.name(made.func) if isinstance(made, ast.Call) else None
            if isinstance(made, ast.Call) and called in _GENERATORS and module.scope(made).parent is None:
                name = node.func.value.id
                found.setdefault(name, Generator(name, _GENERATORS[called], made))
    yield from found.values()


def held_generators(module: Module, owner: ast.ClassDef) -> Iterator[Generator]:
    """The generators that a class makes in ``__init__`` and nowhere else, by the attribute that holds each."""
    start = method(owner, "__init__")
    stored: dict[str, list[ast.Attribute]] = {}
    for node in module.all(ast.Attribute):
        if isinstance(node.ctx, ast.Store) and module.class_(node) is owner and _is_self(node):
            stored.setdefault(node.attr, []).append(node)
    for name, targets in stored.items():
        values = module.values(targets[0])
        if len(targets) == 1 and len(values) == 1 and start is not None and module.function(targets[0]) is start:
            made = values[0]
            called = module.name(made.func) if isinstance(made, ast.Call) else None
            if isinstance(made, ast.Call) and called in _GENERATORS:
                yield Generator(name, _GENERATORS[called], made)


def _is_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def uses(module: Module, function: Function, attribute: str) -> bool:
    """Whether a method reads an attribute of ``self``."""
    return any(
        isinstance(node, ast.Attribute) and node.attr == attribute and _is_self(node) and isinstance(node.ctx, ast.Load)
        for node in ast.walk(function)
    )
