"""A key of JAX that is drawn from twice."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.devices import times_speed

_BAD = """import jax

key = jax.random.key(7)
weights = jax.random.normal(key, (3,))
noise = jax.random.normal(key, (3,))
print(weights - noise)
"""

RULE = Rule(
    id="jax-key-reuse",
    title="A key of JAX is drawn from twice",
    topic="domains",
    level="distribution-stable",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "A key is no stream: whatever is drawn from the same key is the same numbers, or depends on them. Weights and "
        "noise, or all steps of a loop, are then correlated, and runs with other seeds do not show how results vary."
    ),
    remedy="Split it and draw from each part once: key, part = jax.random.split(key).",
    bad=(
        Example(_BAD, needs=("jax",)),
        Example(
            "from jax import random as jr\n\n\ndef steps(key):\n    for _ in range(3):\n"
            "        print(jr.uniform(key))\n\n\nsteps(jr.PRNGKey(7))\n",
            needs=("jax",),
        ),
        Example(
            "import jax\n\nkey = jax.random.key(7)\n"
            "rows = [jax.random.bernoulli(key=key) for _ in range(3)]\nprint(rows)\n",
            needs=("jax",),
        ),
    ),
    good=(
        Example(
            "import jax\n\nfor_weights, for_noise = jax.random.split(jax.random.key(7))\n"
            "print(jax.random.normal(for_weights, (3,)) - jax.random.normal(for_noise, (3,)))\n",
            needs=("jax",),
        ),
        Example(
            "import jax\n\nkey = jax.random.key(7)\nfor _ in range(3):\n    key, part = jax.random.split(key)\n"
            "    print(jax.random.uniform(part))\nfor step in range(3):\n"
            "    print(jax.random.uniform(jax.random.fold_in(key, step)))\n",
            needs=("jax",),
        ),
        # Only one of the two is drawn.
        Example(
            "import jax\n\n\ndef noise(key, normal):\n    if normal:\n        return jax.random.normal(key)\n"
            "    return jax.random.uniform(key)\n\n\nprint(noise(jax.random.key(7), True))\n",
            needs=("jax",),
        ),
    ),
    sources=(
        "https://docs.jax.dev/en/latest/jax.random.html",
        "https://docs.jax.dev/en/latest/jax.experimental.key_reuse.html",
    ),
)

# Of jax.random, what draws from a key that it is given first.
# fmt: off
_DRAWS = frozenset({
    "ball", "bernoulli", "beta", "binomial", "bits", "categorical", "cauchy", "chisquare", "choice", "dirichlet",
    "double_sided_maxwell", "exponential", "f", "gamma", "generalized_normal", "geometric", "gumbel", "laplace",
    "loggamma", "logistic", "lognormal", "maxwell", "multinomial", "multivariate_normal", "normal", "orthogonal",
    "pareto", "permutation", "poisson", "rademacher", "randint", "rayleigh", "shuffle", "t", "triangular",
    "truncated_normal", "uniform", "wald", "weibull_min",
})
# fmt: on
_MADE_UP = re.compile(r"(?:^|_)(?:fake|dummy|mock)", re.IGNORECASE)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)


class Use(NamedTuple):
    """A draw: its node, the key's name, and whether a comprehension repeats it."""

    node: ast.Call
    key: str
    repeated: bool


def see_source(module: Module) -> Iterator[Sighting]:
    """Keys, by name, that are drawn from twice on one way through a body without being bound again."""
    if "jax" not in module.imports:
        return
    bodies: list[Sequence[ast.stmt]] = [module.tree.body, *(node.body for node in module.all(ast.FunctionDef))]
    for body in bodies:
        told: dict[ast.Call, str] = {}
        _follow(module, body, {}, told)
        for node, message in told.items():
            yield Sighting(node, message, confidence="possible" if _is_made_up(module, node) else None)


def _is_made_up(module: Module, node: ast.AST) -> bool:
    """Whether the numbers that are drawn are there for their shape only."""
    return times_speed(module) or any(_MADE_UP.search(name) for name in module.functions(node))


def _follow(
    module: Module, body: Sequence[ast.stmt], used: dict[str, int], told: dict[ast.Call, str]
) -> dict[str, int] | None:
    """Go through statements with the keys that were drawn from, and their lines; None where no way leads out."""
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            continue
        for use in _uses(module, statement):
            if use.repeated:
                told[use.node] = f"each element is drawn from the same key {use.key}"
            elif use.key in used:
                said = f"{use.key} was drawn from in line {used[use.key]} already: split it before"
                if said not in told.values():  # once for each key
                    told[use.node] = said
            else:
                used[use.key] = use.node.lineno
        match statement:
            case ast.If():
                branches = [_follow(module, part, dict(used), told) for part in (statement.body, statement.orelse)]
                left = [branch for branch in branches if branch is not None]
                if not left:
                    return None
                # Drawn from on either way; bound again on one, it is a new key there.
                used = {key: line for branch in left for key, line in branch.items() if all(key in one for one in left)}
            case ast.For() | ast.AsyncFor() | ast.While():
                bound = _bound(statement)
                inside = _follow(
                    module, statement.body, {key: line for key, line in used.items() if key not in bound}, told
                )
                for use in _all_uses(module, statement.body):
                    if use.key not in bound and use.node not in told and not _leaves(statement.body):
                        told[use.node] = f"each turn of the loop draws from the same key {use.key}"
                if inside is not None:
                    used = {**{key: line for key, line in used.items() if key not in bound}, **inside}
            case ast.With() | ast.AsyncWith():
                inside = _follow(module, statement.body, used, told)
                if inside is None:
                    return None
                used = inside
            case ast.Try():
                inside = _follow(module, statement.body, dict(used), told)
                if inside is not None:
                    used = inside
            case ast.Return() | ast.Raise() | ast.Continue() | ast.Break():
                return None
        for name in _bound(statement, deep=False):
            used.pop(name, None)
    return used


def _uses(module: Module, statement: ast.stmt) -> Iterator[Use]:
    """The draws that a statement itself makes, not those of statements in it, nor what may be left out."""
    pending: list[tuple[ast.AST, bool, frozenset[str]]] = []
    for name, value in ast.iter_fields(statement):
        if name not in ("body", "orelse", "finalbody", "handlers"):
            values = value if isinstance(value, list) else [value]
            pending += [(one, False, frozenset()) for one in values if isinstance(one, ast.AST)]
    found: list[Use] = []
    while pending:
        node, repeated, bound = pending.pop()
        if isinstance(node, (*_SCOPES, ast.IfExp, ast.BoolOp)):
            continue
        if isinstance(node, _COMPREHENSIONS):
            names = {one.id for part in node.generators for one in ast.walk(part.target) if isinstance(one, ast.Name)}
            pending += [(child, True, bound | names) for child in ast.iter_child_nodes(node)]
            continue
        if isinstance(node, ast.Call):
            key = _key(module, node)
            if key is not None and key not in bound:
                found.append(Use(node, key, repeated))
        pending += [(child, repeated, bound) for child in ast.iter_child_nodes(node)]
    yield from sorted(found, key=lambda use: (use.node.lineno, use.node.col_offset))


def _all_uses(module: Module, body: Sequence[ast.stmt]) -> Iterator[Use]:
    """The draws of a loop's body that every turn makes: those under a condition are left out."""
    for statement in body:
        if isinstance(statement, (*_SCOPES, ast.If, ast.Try, ast.For, ast.While)):
            continue
        yield from (use for use in _uses(module, statement) if not use.repeated)
        if isinstance(statement, ast.With):
            yield from _all_uses(module, statement.body)


def _key(module: Module, call: ast.Call) -> str | None:
    name = module.name(call.func)
    if name is None or not name.startswith("jax.random.") or name.removeprefix("jax.random.") not in _DRAWS:
        return None
    given = next((one.value for one in call.keywords if one.arg == "key"), call.args[0] if call.args else None)
    return given.id if isinstance(given, ast.Name) else None


def _bound(statement: ast.stmt, deep: bool = True) -> set[str]:
    """The names that a statement binds; with ``deep``, also in the statements in it."""
    parts = ast.walk(statement) if deep else _shallow(statement)
    return {node.id for node in parts if isinstance(node, ast.Name) and isinstance(node.ctx, (ast.Store, ast.Del))}


def _shallow(statement: ast.stmt) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(statement):
        if name in ("target", "targets", "optional_vars", "value", "items", "test"):
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, ast.AST):
                    yield from ast.walk(one)


def _leaves(body: Sequence[ast.stmt]) -> bool:
    """Whether a loop's body ends after its first turn."""
    return any(isinstance(one, (ast.Return, ast.Break, ast.Raise)) for one in body)
