"""The order in which a program seeds and draws, statement by statement, as far as its text tells."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from auditor.source.module import Module
from auditor.source.seeds import inside, names, parts
from auditor.source.streams import Draw, Seeding, Stream, draws, is_known, is_program, seedings

_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
# These draw when they are iterated over, not when they are made.
_LAZY = ("torch.utils.data.DataLoader", "torch.utils.data.RandomSampler", "torch.utils.data.WeightedRandomSampler")


class Late(NamedTuple):
    """A seeding call that comes after a draw of its stream; ``draws`` names what drew."""

    seeding: ast.Call
    stream: Stream
    draw: ast.AST
    draws: str


def late_seedings(module: Module) -> Iterator[Late]:
    """The first seeding of each stream by a program, where something drew from the stream before it.

    Calls are taken in the order of the text, with those of this file's functions followed one step. After a call of
    something that is not known nothing is said, since it may seed.
    """
    if not seedings(module) or not draws(module) or not is_program(module):
        return
    known = _Known({one.node: one for one in seedings(module)}, {one.node: one for one in draws(module)})
    yield from _late(module, module.tree.body, frozenset(), known)
    for node in module.all(ast.FunctionDef):
        own = [one for one in seedings(module) if module.function(one.node) is node]
        if own:
            others = (one for one in seedings(module) if not inside(module, one.node, node))
            outside = frozenset(stream for one in others for stream in one.streams)
            yield from _late(module, node.body, outside, known)


class _Known(NamedTuple):
    seedings: dict[ast.Call, Seeding]
    draws: dict[ast.Call, Draw]


def _late(module: Module, body: list[ast.stmt], before: frozenset[Stream], known: _Known) -> Iterator[Late]:
    seeded = set(before)
    drawn: dict[Stream, tuple[ast.AST, str]] = {}
    for call in _calls(body):
        if call in known.seedings:
            one = known.seedings[call]
            made_of = _made_of(module, one)
            for stream in sorted(one.streams - seeded - {"torch-cuda"}):
                if stream in drawn and drawn[stream][0] not in made_of and not _optional(module, call):
                    yield Late(call, stream, *drawn[stream])
            seeded |= one.streams
        elif call in known.draws:
            draw = known.draws[call]
            if draw.name not in _LAZY:
                drawn.setdefault(draw.stream, (call, draw.name))
        else:
            called = module.definition(call.func)
            if called is None:
                if not is_known(module, call):
                    return
                continue
            streams = {
                stream for node, one in known.seedings.items() if inside(module, node, called) for stream in one.streams
            }
            for stream in sorted(streams - seeded - {"torch-cuda"}):
                if stream in drawn:
                    yield Late(call, stream, *drawn[stream])
            seeded |= streams
            if not streams:
                for draw in known.draws.values():
                    if draw.name not in _LAZY and _runs_at_once(module, draw.node, called):
                        drawn.setdefault(draw.stream, (call, f"{_name(module, call)} ({draw.name})"))


def _made_of(module: Module, seeding: Seeding) -> set[ast.AST]:
    """The nodes that a seed is made of, with whatever else is assigned to the names in it."""
    if seeding.seed is None:
        return set()
    found = {part.node for part in parts(module, seeding.seed)}
    read = names(seeding.seed)
    function = module.function(seeding.node)
    for node in module.all(ast.Assign):
        if module.function(node) is function and any(not names(target).isdisjoint(read) for target in node.targets):
            found.update(ast.walk(node.value))
    return found


def _calls(body: Iterable[ast.stmt]) -> Iterator[ast.Call]:
    """The calls of statements in the order in which they are made, without those in functions and classes."""
    for statement in body:
        if not isinstance(statement, _DEFINITIONS):
            yield from _calls_of(statement)


def _calls_of(node: ast.AST) -> Iterator[ast.Call]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, _DEFINITIONS):
            yield from _calls_of(child)
    if isinstance(node, ast.Call):
        yield node


def _optional(module: Module, call: ast.Call) -> bool:
    """Whether a seeding call stands in a loop or in a part of the program that starts anew."""
    return module.loop(call) is not None


def _runs_at_once(module: Module, node: ast.Call, called: ast.AST) -> bool:
    """Whether a call is made when a function is called, or a class of this file is instantiated."""
    if isinstance(called, ast.ClassDef):
        function = module.function(node)
        return (
            isinstance(function, ast.FunctionDef) and function.name == "__init__" and module.parent(function) is called
        )
    return module.function(node) is called


def _name(module: Module, call: ast.Call) -> str:
    return (module.name(call.func) or "a call").removeprefix(".")
