"""What boosting libraries are told by a dictionary of parameters."""

from __future__ import annotations

import ast

from auditor.source.module import UNKNOWN, Call, Module


def parameters(module: Module, call: Call) -> dict[str, object] | None:
    """The ``params`` of a call, with what is known of their values; None where not all of them are in sight."""
    given = call.argument("params", 0)
    values = module.values(given) if isinstance(given, ast.expr) else []
    found = _entries(module, values[0]) if len(values) == 1 else None
    if found is None:
        return None
    # Set later, one by one.
    for node in module.all(ast.Subscript):
        key = module.constant(node.slice) if isinstance(node.ctx, ast.Store) else UNKNOWN
        if isinstance(key, str):
            found[key] = UNKNOWN
    return found


def _entries(module: Module, made: ast.expr) -> dict[str, object] | None:
    if isinstance(made, ast.Call) and module.name(made.func) == "dict" and not made.args:
        if any(one.arg is None for one in made.keywords):
            return None
        return {str(one.arg): module.constant(one.value) for one in made.keywords}
    if not isinstance(made, ast.Dict):
        return None
    found: dict[str, object] = {}
    for key, value in zip(made.keys, made.values, strict=True):
        name = module.constant(key)
        if not isinstance(name, str):
            return None
        found[name] = module.constant(value)
    return found
