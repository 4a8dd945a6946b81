"""What a program saves of its training with ``torch.save``, and whether it goes on from that."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from auditor.source.experiments import last_name

if TYPE_CHECKING:
    from auditor.source.module import Module

_OPTIMIZER = re.compile(r"optim|(?:^|_)opt(?:_|\d*$)", re.IGNORECASE)
_SCHEDULER = re.compile(r"sched|lr_?s\b|^lrs$|warmup", re.IGNORECASE)
_RANDOM = re.compile(r"rng|random|seed|generator_state", re.IGNORECASE)
_RESUMES = re.compile(
    r"resum|start_epoch|start_step|start_iter|continue_train|last_epoch|initial_epoch|begin_epoch", re.IGNORECASE
)
_PROGRESS = frozenset({"epoch", "epochs", "step", "steps", "iter", "iteration", "iterations", "global_step", "round"})
_SCHEDULERS = re.compile(
    r"torch\.optim\.lr_scheduler\.\w+|transformers\.(\w+\.)*get_\w*schedule\w*|timm\.scheduler\.\w+"
)


class Saved(NamedTuple):
    """One ``torch.save``: its node, and what is in it, by key where it is a dictionary that is in sight.

    ``words`` are the keys and the names of all that it holds. ``whole`` is false where some of it is not in sight.
    """

    node: ast.Call
    keys: tuple[str, ...]
    words: tuple[str, ...]
    whole: bool
    model_only: bool

    @property
    def model(self) -> bool:
        """Whether it holds the state of a model."""
        return self.model_only or any(
            re.search(r"model|net|state_dict|encoder|decoder|weights|params", one) for one in self.words
        )

    @property
    def optimizer(self) -> bool:
        """Whether it holds the state of an optimizer."""
        return any(_OPTIMIZER.search(one) for one in self.words)

    @property
    def scheduler(self) -> bool:
        """Whether it holds the state of a scheduler of the learning rate."""
        return any(_SCHEDULER.search(one) for one in self.words)

    @property
    def random(self) -> bool:
        """Whether it holds states of random streams."""
        return any(_RANDOM.search(one) for one in self.words)

    @property
    def progress(self) -> bool:
        """Whether it says how far training had come."""
        return any(one.lower() in _PROGRESS or one.lower().endswith(("_epoch", "_step")) for one in self.keys)


@lru_cache(maxsize=4)
def saved(module: Module) -> tuple[Saved, ...]:
    """The calls of ``torch.save``, by line; where a function is given what it saves, the calls of that function."""
    found: list[Saved] = []
    for call in module.calls("torch.save"):
        if call.node.args:
            found += _given(module, call.node, call.node.args[0])
    return tuple(sorted(found, key=lambda one: (one.node.lineno, one.node.col_offset)))


def _given(module: Module, node: ast.Call, given: ast.expr) -> Iterator[Saved]:
    function = module.function(node)
    if isinstance(given, ast.Name) and isinstance(function, ast.FunctionDef):
        parameters = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
        if given.id in parameters and not module.values(given):
            owner = module.class_(function)
            method = owner is not None and module.parent(function) is owner
            name = f".{owner.name}.{function.name}" if owner is not None and method else f".{function.name}"
            position = parameters.index(given.id) - method
            for call in module.calls(name):
                argument = call.argument(given.id, position)
                if isinstance(argument, ast.expr):
                    yield _saved(module, call.node, argument)
            return
    yield _saved(module, node, given)


def _saved(module: Module, node: ast.Call, given: ast.expr) -> Saved:
    values = module.values(given)
    if len(values) == 1 and _is_state(values[0]):
        return Saved(node, (), tuple(_words(module, values[0])), True, _is_model(module, values[0]))
    keys: list[str] = []
    words: list[str] = []
    whole = bool(values)
    for value in values:
        entries = _entries(module, value)
        whole = whole and entries is not None
        for key, held in entries or ():
            keys.append(key)
            words += [key, *_words(module, held)]
    if isinstance(given, ast.Name):
        # What is added to it later.
        for subscript in module.all(ast.Subscript):
            if isinstance(subscript.ctx, ast.Store) and last_name(subscript.value) == given.id:
                added = module.constant(subscript.slice)
                whole = whole and isinstance(added, str)
                keys.append(str(added))
                words.append(str(added))
        for call in module.all(ast.Call):
            called = call.func
            if isinstance(called, ast.Attribute) and called.attr == "update" and last_name(called.value) == given.id:
                whole = False
    return Saved(node, tuple(keys), tuple(words), whole, False)


def _entries(module: Module, value: ast.expr) -> list[tuple[str, ast.expr]] | None:
    """The keys and values of a dictionary in sight; None where it is none, or holds another one."""
    if isinstance(value, ast.Call) and module.name(value.func) == "dict" and not value.args:
        if any(one.arg is None for one in value.keywords):
            return None
        return [(str(one.arg), one.value) for one in value.keywords]
    if not isinstance(value, ast.Dict):
        return None
    found = [
        (key.value, held) for key, held in zip(value.keys, value.values, strict=True) if isinstance(key, ast.Constant)
    ]
    return [(str(key), held) for key, held in found] if len(found) == len(value.keys) else None


def _is_state(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr == "state_dict"


def _is_model(module: Module, value: ast.expr) -> bool:
    return not any(_OPTIMIZER.search(word) or _SCHEDULER.search(word) for word in _words(module, value))


def _words(module: Module, value: ast.expr) -> Iterator[str]:
    for node in ast.walk(value):
        if isinstance(node, ast.Name):
            yield node.id
            # What made it, however it is called: optim.Adam(), lr_scheduler.StepLR().
            yield ".".join((module.name(node) or "").split(".")[-2:])
        elif isinstance(node, ast.Attribute):
            yield node.attr


def has_optimizer(module: Module) -> bool:
    """Whether the file takes steps with an optimizer of torch."""
    made = any(name.startswith("torch.optim.") and "lr_scheduler" not in name for name in module.called)
    steps = [
        one.func for one in module.all(ast.Call) if isinstance(one.func, ast.Attribute) and one.func.attr == "step"
    ]
    return bool(steps) and (made or any(_OPTIMIZER.search(last_name(one.value)) for one in steps))


def has_scheduler(module: Module) -> bool:
    """Whether the file makes a scheduler of the learning rate."""
    return any(_SCHEDULERS.fullmatch(name) for name in module.called)


@lru_cache(maxsize=4)
def resumes(module: Module) -> bool:
    """Whether training can go on from what was saved: it is loaded again, and something is named for going on."""
    loads = "torch.load" in module.called
    restores = any(
        isinstance(one.func, ast.Attribute) and one.func.attr == "load_state_dict" for one in module.all(ast.Call)
    )
    if not loads or not restores:
        return False
    if any(_begins_at_saved(module, call.node) for call in module.calls("range")):
        return True
    names = [node.id for node in module.all(ast.Name)] + [node.attr for node in module.all(ast.Attribute)]
    texts = [node.value for node in module.all(ast.Constant) if isinstance(node.value, str) and len(node.value) < 40]
    return any(
        _RESUMES.search(one) for one in (*names, *texts, *(given.arg or "" for given in module.all(ast.keyword)))
    )


def _begins_at_saved(module: Module, node: ast.Call) -> bool:
    """Whether a range begins where something saved ended, such as ``range(saved["epoch"] + 1, epochs)``."""
    return len(node.args) > 1 and any(
        isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Constant) and part.slice.value in _PROGRESS
        for named in ast.walk(node.args[0])
        for value in (module.values(named) if isinstance(named, ast.Name) else [named])
        for part in ast.walk(value)
    )


def saves_elsewhere(module: Module) -> bool:
    """Whether something else may keep the rest: Accelerate, Lightning, a function elsewhere."""
    for name in module.called:
        last = name.rpartition(".")[2]
        if not name.startswith(".") and re.search(
            r"save_state|save_checkpoint|Checkpoint(er|Manager)|ModelCheckpoint", last
        ):
            return True
        if last == "get_rng_state":
            return True
    return any(
        isinstance(one.func, ast.Attribute)
        and one.func.attr in ("save_state", "save_states", "save_checkpoint", "get_rng_state")
        and module.name(one.func) is None
        for one in module.all(ast.Call)
    )
