"""Results that do not say which seed they are of."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.experiments import is_seed, runs

_BAD = """import argparse
import json

import torch

options = argparse.ArgumentParser()
options.add_argument("--seed", type=int, default=0)
args = options.parse_args()
torch.manual_seed(args.seed)
score = torch.rand(1).item()
with open("results.json", "w") as file:
    json.dump({"score": score}, file)
"""

RULE = Rule(
    id="seedless-results",
    title="Results do not say which seed they are of",
    topic="claims",
    level="seed-stable",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "The program takes a seed and writes its results to the same file for all of them, without the seed in it. A "
        "second run overwrites the first, and nobody can tell later which seed gave the number that was published."
    ),
    remedy="Write the seed into the results, or into their path: open(f'results-{args.seed}.json', 'w').",
    bad=(
        Example(_BAD),
        Example(
            _BAD.replace(
                'with open("results.json", "w") as file:\n    json.dump({"score": score}, file)\n',
                'import numpy as np\n\nnp.save("test_scores.npy", [score])\n',
            )
        ),
    ),
    good=(
        Example(_BAD.replace('"results.json"', 'f"results-{args.seed}.json"')),
        Example(_BAD.replace('{"score": score}', '{"score": score, "seed": args.seed}')),
        Example(_BAD.replace('{"score": score}', '{**vars(args), "score": score}')),
        # Where it is written is whoever's who starts it.
        Example(
            _BAD.replace("args =", 'options.add_argument("--out", default="results.json")\nargs =').replace(
                '"results.json", "w"', 'args.out, "w"'
            )
        ),
    ),
    sources=("https://arxiv.org/abs/2003.12206",),
)

_RESULT = re.compile(
    r"(?=.*(result|metric|score|histor|summary|eval|accurac|loss|perf|report))[\w./-]+\.(json|jsonl|csv|tsv|txt|npy|npz|pkl|yaml|yml)",
    re.IGNORECASE,
)
_WRITERS = {"numpy.save": 0, "numpy.savez": 0, "numpy.savetxt": 0, "numpy.savez_compressed": 0}
_METHODS = frozenset({"to_csv", "to_json", "to_pickle"})
# What writes all options, the seed among them.
_ALL_OPTIONS = frozenset(
    {"vars", "asdict", "to_dict", "to_yaml", "to_container", "_get_kwargs", "model_dump", "save_config"}
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Files with a constant name of a result, written by a program with ``--seed`` that puts the seed nowhere."""
    if not runs(module) or not _takes_option(module) or _tells(module):
        return
    for node, path in _written(module):
        name = module.constant(path)
        if isinstance(name, str) and _RESULT.fullmatch(name) and runs(module, node):
            yield Sighting(node, f"{name} is written for every seed and holds none")


def _takes_option(module: Module) -> bool:
    """Whether the program has an option for a seed."""
    return any(
        isinstance(argument, ast.Constant)
        and str(argument.value).startswith("--")
        and is_seed(str(argument.value).lstrip("-").replace("-", "_"))
        for call in module.all(ast.Call)
        if getattr(call.func, "attr", getattr(call.func, "id", "")) in ("add_argument", "option", "Option")
        for argument in call.args
    )


def _tells(module: Module) -> bool:
    """Whether a seed is written anywhere: as a key, in a text, or with all options."""
    for mapping in module.all(ast.Dict):
        if any(isinstance(key, ast.Constant) and "seed" in str(key.value).lower() for key in mapping.keys):
            return True
    for call in module.all(ast.Call):
        name = getattr(call.func, "attr", getattr(call.func, "id", ""))
        if name in _ALL_OPTIONS or (name == "dict" and any(given.arg == "seed" for given in call.keywords)):
            return True
        if name in ("write", "writerow", "writerows", "format", "str", "append", "join") and _mentions(call):
            return True
    if any(_mentions(text) for text in module.all(ast.JoinedStr)) or "__dict__" in module.text:
        return True
    subscripts = module.all(ast.Subscript)
    return any(isinstance(one.slice, ast.Constant) and "seed" in str(one.slice.value).lower() for one in subscripts)


def _mentions(node: ast.AST) -> bool:
    for one in ast.walk(node):
        if (
            isinstance(one, (ast.Name, ast.Attribute))
            and "seed" in (one.id if isinstance(one, ast.Name) else one.attr).lower()
        ):
            return True
    return False


def _written(module: Module) -> Iterator[tuple[ast.Call, ast.expr]]:
    for call in module.calls("open"):
        path, mode = call.argument("file", 0), module.constant(call.argument("mode", 1))
        if isinstance(path, ast.expr) and isinstance(mode, str) and mode[:1] in ("w", "a"):
            yield call.node, path
    for name, position in _WRITERS.items():
        for call in module.calls(name):
            path = call.argument("file", position)
            if isinstance(path, ast.expr):
                yield call.node, path
    for node in module.all(ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in _METHODS and node.args:
            yield node, node.args[0]
