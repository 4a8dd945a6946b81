"""A --seed that the program takes and does nothing with."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Call, Module

_BAD = """import argparse

import torch

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--size", type=int, default=3)
args = parser.parse_args()
print(torch.rand(args.size))
"""

RULE = Rule(
    id="unused-seed-option",
    title="A program takes a seed and does nothing with it",
    topic="streams",
    level="bit-exact",
    severity="error",
    confidence="medium",
    since="0.1.0",
    why=(
        "Whoever starts the program with --seed 3 believes the run to be seeded. The option is parsed and never "
        "read, so that each run is another one."
    ),
    remedy="Seed with it: random.seed(args.seed), numpy.random.seed(args.seed), torch.manual_seed(args.seed).",
    bad=(
        Example(_BAD, needs=("torch",)),
        Example(_BAD.replace('"--seed"', '"-s", "--random-seed"'), needs=("torch",)),
    ),
    good=(
        Example(_BAD.replace("print(", "torch.manual_seed(args.seed)\nprint("), needs=("torch",)),
        # How many seeds, and none itself.
        Example(_BAD.replace("--seed", "--num-seed"), needs=("torch",)),
        # Whoever is given all options may read it.
        Example(_BAD + "torch.save(vars(args), 'options.pt')\n", needs=("torch",)),
        Example(
            _BAD.replace("args = ", "args, rest = ")
            .replace("parse_args", "parse_known_args")
            .replace("print(", "seed = getattr(args, 'seed')\ntorch.manual_seed(seed)\nprint("),
            needs=("torch",),
        ),
        Example(
            "import options\n\nargs = options.parser.parse_args()\nprint(args.seed)\n",
            beside={"options.py": _BAD.partition("args =")[0]},
        ),
    ),
    sources=("https://docs.python.org/3/library/argparse.html#the-namespace-object",),
)

_SEED = re.compile(r"--(?!n(um(ber)?)?[-_])([a-z]+[-_])*seed", re.IGNORECASE)  # and not --num-seed


def see_source(module: Module) -> Iterator[Sighting]:
    """Options called seed whose value this file neither reads nor hands on, although it parses them itself."""
    parsed = _parsed(module)
    if not parsed:
        return
    for call in module.calls("argparse.ArgumentParser().add_argument"):
        option = _option(module, call)
        if option is not None and not _reads(module, call, option) and not _escapes(module, parsed):
            yield Sighting(call.node, f"{option[0]} is parsed and never read: it seeds nothing")


def _option(module: Module, call: Call) -> tuple[str, str] | None:
    """An option that is called seed, and the attribute that its value becomes."""
    flags = [module.constant(one) for one in call.args]
    long = next((one for one in flags if isinstance(one, str) and one.startswith("--")), None)
    if long is None or not _SEED.fullmatch(long):
        return None
    attribute = module.constant(call.argument("dest"))
    return long, attribute if isinstance(attribute, str) else long[2:].replace("-", "_")


def _parsed(module: Module) -> set[str]:
    """The names that what is parsed is given, where each is a plain one."""
    found: set[str] = set()
    for call in module.calls("argparse.ArgumentParser().parse_args", "argparse.ArgumentParser().parse_known_args"):
        statement = module.parent(call.node)
        target = statement.targets[0] if isinstance(statement, ast.Assign) else None
        if isinstance(target, ast.Tuple) and target.elts:
            target = target.elts[0]
        if not isinstance(target, ast.Name):
            return set()  # returned, or kept elsewhere
        found.add(target.id)
    return found


def _reads(module: Module, call: Call, option: tuple[str, str]) -> bool:
    if any(node.attr == option[1] for node in module.all(ast.Attribute)):
        return True
    own = set(ast.walk(call.node))
    return any(node.value == option[1] and node not in own for node in module.all(ast.Constant))


def _escapes(module: Module, parsed: set[str]) -> bool:
    """Whether the options are used whole: handed to something, returned, unpacked or printed."""
    for node in module.all(ast.Name):
        if node.id not in parsed or not isinstance(node.ctx, ast.Load):
            continue
        around = module.parent(node)
        if isinstance(around, ast.Attribute):
            continue
        called = module.definition(around.func) if isinstance(around, ast.Call) else None
        # What a function of this file reads of them is seen here.
        if called is None or isinstance(called, ast.ClassDef):
            return True
    return False
