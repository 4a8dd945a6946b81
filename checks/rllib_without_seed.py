"""An algorithm of RLlib that is configured without a seed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.experiments import runs

_BAD = """from ray.rllib.algorithms.ppo import PPOConfig

config = PPOConfig().environment("CartPole-v1").env_runners(num_env_runners=1)
algorithm = config.build_algo()
print(algorithm.train())
"""

RULE = Rule(
    id="rllib-without-seed",
    title="An algorithm of RLlib is configured without a seed",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "RLlib runs environments in processes of its own, which a seed set in the program does not reach. "
        "config.debugging(seed=…) is what seeds each of them, by its index."
    ),
    remedy="Configure it: PPOConfig().debugging(seed=seed).",
    bad=(Example(_BAD, needs=("ray[rllib]",), runs=False),),
    good=(
        Example(_BAD.replace(".env_runners", ".debugging(seed=7).env_runners"), needs=("ray[rllib]",), runs=False),
        Example(_BAD.replace("algorithm =", "config.seed = 7\nalgorithm ="), needs=("ray[rllib]",), runs=False),
    ),
    sources=(
        "https://docs.ray.io/en/master/rllib/api/doc/ray.rllib.algorithms.algorithm_config.AlgorithmConfig.debugging.html",
    ),
)

_CONFIG = re.compile(r"ray\.rllib\.algorithms\.(\w+\.)*(?!Algorithm)\w+Config")


def see_source(module: Module) -> Iterator[Sighting]:
    """The first configuration that a program makes and gives no seed."""
    if "ray" not in module.imports or not runs(module):
        return
    if any(
        isinstance(one, ast.Attribute) and one.attr == "seed" for node in module.all(ast.Assign) for one in node.targets
    ):
        return
    for name in sorted(one for one in module.called if _CONFIG.fullmatch(one)):
        for call in module.calls(name):
            if not runs(module, call.node):
                continue
            yield Sighting(
                call.node,
                f"{name.rpartition('.')[2]} is given no seed: its environments run in processes that nothing seeds",
                unless=("*.debugging(seed)", "*.update_from_dict(seed)"),
            )
            return
