"""Actions that are drawn from an action space that has no seed."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.environments import makes, method_calls
from auditor.source.experiments import runs

_BAD = """import gymnasium as gym

env = gym.make("CartPole-v1")
env.reset(seed=7)  # does not reach the action space
print([int(env.action_space.sample()) for _ in range(40)])
"""

RULE = Rule(
    id="unseeded-action-space",
    title="Actions are drawn from an action space that nothing seeds",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "A space of Gymnasium has a generator of its own: env.reset(seed=…) does not reach it, nor do the global "
        "streams. Random actions (warm-up, epsilon-greedy exploration) are others in each run."
    ),
    remedy="Seed it once: env.action_space.seed(seed).",
    bad=(
        Example(_BAD, needs=("gymnasium",)),
        Example(
            _BAD.replace("print", "actions = env.action_space\nprint").replace(
                "env.action_space.sample", "actions.sample"
            ),
            needs=("gymnasium",),
        ),
    ),
    good=(
        Example(_BAD.replace("env.reset(seed=7)", "env.action_space.seed(7)"), needs=("gymnasium",)),
        # One call of sample to learn what an action looks like draws nothing that is used.
        Example(
            _BAD.replace("[int(env.action_space.sample()) for _ in range(40)]", "env.action_space"),
            needs=("gymnasium",),
        ),
    ),
    sources=("https://gymnasium.farama.org/api/spaces/",),
)

_SPACES = ("action_space", "single_action_space")
_SEEDED = ("*.action_space.seed", "*.single_action_space.seed", "?.seed", "stable_baselines3.env_util.make_vec_env")


def see_source(module: Module) -> Iterator[Sighting]:
    """The first sample of a program that seeds no action space."""
    if "gymnasium" not in module.imports or not runs(module) or not makes(module):
        return
    for node, owner in method_calls(module, "sample"):
        spaces = (owner, *module.values(owner))  # env.action_space, or a name that holds it
        space = next((one.attr for one in spaces if isinstance(one, ast.Attribute)), "")
        if space in _SPACES and not node.args and runs(module, node):
            if any(name.endswith("_space.seed") or name.endswith("seed_spaces") for name in module.called):
                return
            yield Sighting(
                node, f"nothing seeds {space}: what it samples comes from the system's entropy", unless=_SEEDED
            )
            return
