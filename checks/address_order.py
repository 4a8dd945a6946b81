"""Addresses of objects that decide an order or a number."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Call, Module
from auditor.source.sequences import DECISIVE, told, uses
from auditor.source.streams import by_convention

_BAD = """class Node:
    def __init__(self, weight):
        self.weight = weight


nodes = [Node(weight) for weight in (0.1, 0.2, 0.3)]
nodes.sort(key=id)
print([node.weight for node in nodes])
"""

RULE = Rule(
    id="address-order",
    title="The addresses of objects decide an order",
    topic="order",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "id() is an object's address in memory, and an object without a __hash__ of its own is hashed by it. Addresses "
        "depend on what the process allocated before, and the system shifts them by a random amount: what is "
        "sorted, picked or seeded by them differs from run to run."
    ),
    remedy="Sort by something that the object holds, such as a name or a number that it is given when it is made.",
    bad=(
        Example(_BAD),
        Example(_BAD.replace("nodes.sort(key=id)", "nodes = sorted(nodes, key=lambda node: (0, id(node)))")),
        Example(
            "class Worker:\n    def shard(self, shards):\n        return id(self) % shards\n\n\n"
            "print(Worker().shard(4))\n"
        ),
        Example("import random\n\nowner = object()\nrandom.seed(id(owner))\nprint(random.random())\n"),
    ),
    good=(
        Example(_BAD.replace("key=id", "key=lambda node: node.weight")),
        # As a key for this process they are fine.
        Example(
            "tensors = [[1], [2]]\nknown = {id(one): number for number, one in enumerate(tensors)}\n"
            "print(known[id(tensors[1])], len({id(one) for one in tensors}), id(tensors) in known)\n"
        ),
        # A name to show.
        Example(
            'class Car:\n    def __str__(self):\n        return "{}".format(id(self) % 1000)\n\n\n'
            'car = Car()\nlabel = f"#{id(car) % 1000}"\nprint(len(label) > 1, len(str(car)) > 0)\n'
        ),
    ),
    sources=(
        "https://docs.python.org/3/library/functions.html#id",
        "https://docs.python.org/3/reference/datamodel.html#object.__hash__",
    ),
)

_SORTERS = ("sorted", "min", "max", "heapq.nsmallest", "heapq.nlargest", "itertools.groupby")
_SEEDERS = ("Random", "RandomState", "default_rng", "manual_seed", "seed", "PRNGKey")
_SAID = "an object's address, another one in each run"


def see_source(module: Module) -> Iterator[Sighting]:
    """Sorting by ``id``, numbers and seeds made of it, and sets of addresses that are used in their order."""
    for node in module.all(ast.Call):
        by = next((given.value for given in node.keywords if given.arg == "key"), None)
        sorts = module.name(node.func) in _SORTERS or (
            isinstance(node.func, ast.Attribute) and node.func.attr == "sort"
        )
        if sorts and by is not None and _is_address(module, by):
            yield Sighting(node, f"sorted by {_SAID}")
    for call in module.calls("id"):
        around = module.parent(call.node)
        if told(module, call.node) or _shown(module, call.node):
            continue
        if isinstance(around, ast.BinOp) and isinstance(around.op, (ast.Mod, ast.BitAnd)) and around.left is call.node:
            yield Sighting(around, f"a number is made of {_SAID}")
        elif isinstance(around, ast.Call) and _seeds(module, around):
            yield Sighting(around, f"seeded by {_SAID}")
        elif isinstance(around, ast.SetComp) and around.elt is call.node and uses(module, around) & DECISIVE:
            yield Sighting(around, f"a set is used in its order, which is that of {_SAID}")


def _shown(module: Module, node: ast.AST) -> bool:
    """Whether it is put into a text, or is what an object calls itself."""
    if any(name in ("__str__", "__repr__") for name in module.functions(node)):
        return True
    return any(isinstance(around, ast.JoinedStr) for around in module.parents(node))


def _is_address(module: Module, key: ast.expr) -> bool:
    if module.name(key) == "id":
        return True
    if not isinstance(key, ast.Lambda):
        return False
    made = key.body.elts if isinstance(key.body, ast.Tuple) else [key.body]
    return any(isinstance(one, ast.Call) and module.name(one.func) == "id" for one in made)


def _seeds(module: Module, node: ast.Call) -> bool:
    call: Call | None = module.call(node)
    last = call.name.rpartition(".")[2] if call is not None else getattr(node.func, "attr", "")
    return last in _SEEDERS or by_convention(last)
