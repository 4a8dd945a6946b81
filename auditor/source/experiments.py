"""What a program is as an experiment: whether it is run by itself, which seeds it takes, and what it writes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from auditor.source.streams import is_program, is_test

if TYPE_CHECKING:
    from auditor.source.module import Module

_SEED = re.compile(r"(?:\w*_)?(?:seeds?|random_state)(?:_\w+)?|seeds?\d*", re.IGNORECASE)
_STREAMS = frozenset({"numpy.random", "random", "torch", "torch.cuda"})
# What takes options of any name from the command line or from files.
_OPEN = frozenset({"fire", "hydra", "tyro", "gin", "sacred", "jsonargparse", "simple_parsing", "draccus", "tap", "chz"})


def runs(module: Module, node: ast.AST | None = None) -> bool:
    """Whether a file is started by itself: a program, or what does something at its top level outside a package.

    Of the latter only what stands at the top level is run, so that ``node`` has to be there, where one is asked for.
    """
    if is_test(module):
        return False
    if is_program(module):
        return True
    if module.path.endswith("__init__.py") or any(one.level for one in module.all(ast.ImportFrom)):
        return False
    return module.is_script and (node is None or (module.function(node) is None and module.class_(node) is None))


def is_seed(name: str) -> bool:
    """Whether a name is that of a seed."""
    return _SEED.fullmatch(name) is not None


@lru_cache(maxsize=4)
def takes_seed(module: Module) -> bool:
    """Whether whoever starts the program can give it a seed, or may be able to."""
    if not module.imports.isdisjoint(_OPEN):
        return True
    for node in module.all(ast.Constant):
        if isinstance(node.value, str) and is_seed(node.value.lstrip("-").replace("-", "_")):
            return True  # an option, a key of a configuration, a variable of the environment
    for attribute in module.all(ast.Attribute):
        owner = attribute.value
        if (
            is_seed(attribute.attr)
            and isinstance(owner, (ast.Name, ast.Attribute))
            and module.name(owner) not in _STREAMS
        ):
            return True  # args.seed, cfg.train.seed
    return any(name.startswith("sys.argv") for name in module.called) or _reads_arguments(module)


def _reads_arguments(module: Module) -> bool:
    return any(module.name(node) == "sys.argv" for node in module.all(ast.Attribute))


def seed_loops(module: Module) -> Iterator[ast.For | ast.comprehension]:
    """The loops and comprehensions over seeds, by the name of what each gives."""
    loops: list[ast.For | ast.comprehension] = [*module.all(ast.For), *module.all(ast.comprehension)]
    for loop in loops:
        names = [node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)]
        iterated = loop.iter.attr if isinstance(loop.iter, ast.Attribute) else ""
        iterated = loop.iter.id if isinstance(loop.iter, ast.Name) else iterated
        if any(is_seed(name) for name in names) or is_seed(iterated):
            yield loop


def last_name(node: ast.expr) -> str:
    """The last part of a name or attribute; empty for all else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def gathered(module: Module, loop: ast.For | ast.comprehension) -> str | None:
    """The list that a loop over seeds fills with one entry for each; None where it fills none, or several."""
    if isinstance(loop, ast.comprehension):
        made = module.parent(loop)
        statement = module.parent(made) if made is not None else None
        if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
            return last_name(statement.targets[0]) or None
        return None
    names = {
        last_name(node.func.value)
        for part in loop.body
        for node in ast.walk(part)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append"
        if module.loop(node) is loop
    }
    return names.pop() if len(names) == 1 else None


def count(module: Module, loop: ast.For | ast.comprehension) -> int | None:
    """How many seeds a loop goes through; None where the source does not tell."""
    iterated = loop.iter
    if isinstance(iterated, ast.Call) and module.name(iterated.func) == "range" and not iterated.keywords:
        limits = [module.constant(one) for one in iterated.args]
        return (
            len(range(*limits))
            if limits and all(isinstance(one, int) for one in limits) and 0 not in limits[2:]
            else None
        )
    if isinstance(iterated, ast.Call) and module.name(iterated.func) in ("enumerate", "tqdm.tqdm", "tqdm.auto.tqdm"):
        iterated = iterated.args[0] if iterated.args else iterated
    value = module.constant(iterated)
    return len(value) if isinstance(value, (list, tuple, set)) else None
