"""Reinforcement learning in a source: which objects are environments, and whether anything seeds them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from auditor.source.module import Module

# What makes an environment, or wraps one.
_MAKERS = re.compile(
    r"gymnasium\.(make|make_vec|vector\.make|vector\.(Sync|Async)VectorEnv|wrappers\.[\w.]+)\(\)|"
    r"stable_baselines3\.(env_util\.make_(vec|atari)_env|vec_env\.\w+)\(\)"
)
_NAMED = re.compile(r"(?:.*_)?envs?\d*|environment", re.IGNORECASE)

# Facts of any file of the project that say that an environment is seeded there.
SEEDED = (
    "*.reset(seed)",
    "*.make_vec_env(seed)",
    "*.make_atari_env(seed)",
    "*.make_env(seed)",
    "*.make_envs(seed)",
    "*.set_seed(seed)",
    "*.RLTrainer(seed)",
    "?.seed",
    "?.set_random_seed",
    "stable_baselines3.vec_env.DummyVecEnv().seed",
    "stable_baselines3.vec_env.SubprocVecEnv().seed",
    "stable_baselines3.vec_env.VecNormalize().seed",
    "gymnasium.make().seed",
    "gymnasium.make().reset(seed)",
)


def is_environment(module: Module, node: ast.expr) -> bool:
    """Whether an expression is an environment by what made it, or by its name where that is not known."""
    name = module.name(node)
    if name is not None:
        return bool(_MAKERS.fullmatch(name) or (name.startswith("gymnasium.make().") and name.endswith("unwrapped")))
    called = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return bool(_NAMED.fullmatch(called))


def makes(module: Module) -> bool:
    """Whether the file makes environments of Gymnasium (or gym) itself."""
    return any(_MAKERS.fullmatch(f"{name}()") for name in module.called)


def method_calls(module: Module, *names: str) -> Iterator[tuple[ast.Call, ast.expr]]:
    """The calls of methods so named, each with the object whose method it is."""
    for node in module.all(ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr in names:
            yield node, node.func.value


def seeds_environments(module: Module) -> bool:
    """Whether the file gives a seed to an environment in a way that facts do not tell."""
    for node in module.all(ast.Call):
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
        given = [argument.id for argument in node.args if isinstance(argument, ast.Name)]
        given += [argument.attr for argument in node.args if isinstance(argument, ast.Attribute)]
        by_keyword = any(one.arg and "seed" in one.arg for one in node.keywords)
        if (name == "reset" or "env" in name.lower()) and (by_keyword or any("seed" in one for one in given)):
            return True
        if name in ("reset", "seed") and any(one.arg is None for one in node.keywords):
            return True
    return False
