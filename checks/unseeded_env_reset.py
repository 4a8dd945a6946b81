"""An environment that is reset and never given a seed."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.environments import SEEDED, is_environment, makes, method_calls, seeds_environments
from auditor.source.experiments import runs

_BAD = """import gymnasium as gym
import numpy as np

np.random.seed(7)  # does not reach the environment
env = gym.make("CartPole-v1")
observation, info = env.reset()
print(observation)
"""

RULE = Rule(
    id="unseeded-env-reset",
    title="An environment is reset and nothing ever gives it a seed",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "A Gymnasium environment draws from a generator of its own, which the first reset(seed=…) seeds. Without a "
        "seed it takes the system's entropy, whatever the global streams were seeded with: episodes begin and go on "
        "otherwise in each run."
    ),
    remedy="Seed the first reset: env.reset(seed=seed). Later ones go on in the same stream.",
    bad=(
        Example(_BAD, needs=("gymnasium", "numpy")),
        Example(
            "import gymnasium\n\nenvs = gymnasium.make_vec('CartPole-v1', num_envs=2)\nprint(envs.reset()[0])\n",
            needs=("gymnasium",),
        ),
        Example(
            "import gymnasium as gym\n\n\ndef rollout(env):\n    return env.reset()[0]\n\n\n"
            "if __name__ == '__main__':\n    print(rollout(gym.make('CartPole-v1')))\n",
            needs=("gymnasium",),
        ),
    ),
    good=(
        Example(_BAD.replace("reset()", "reset(seed=7)"), needs=("gymnasium", "numpy")),
        # Only the first one has to be seeded.
        Example(
            _BAD.replace("reset()", "reset(seed=7)") + "for _ in range(3):\n    print(env.reset()[0])\n",
            needs=("gymnasium", "numpy"),
        ),
        Example(
            "import gymnasium as gym\n\n\ndef make_env(name, seed):\n    env = gym.make(name)\n"
            "    env.reset(seed=seed)\n    return env\n\n\nif __name__ == '__main__':\n"
            "    print(make_env('CartPole-v1', 7).reset()[0])\n",
            needs=("gymnasium",),
        ),
    ),
    sources=(
        "https://gymnasium.farama.org/api/env/#gymnasium.Env.reset",
        "https://gymnasium.farama.org/introduction/basic_usage/",
    ),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """The first reset of a program that makes environments and gives none of them a seed."""
    if "gymnasium" not in module.imports or not runs(module) or not makes(module) or seeds_environments(module):
        return
    # A library's algorithm seeds the environments that it is given, or another rule says that it does not.
    if any(name.startswith(("stable_baselines3.", "sb3_contrib.")) and name.count(".") <= 2 for name in module.called):
        return
    for node, owner in method_calls(module, "reset"):
        if is_environment(module, owner) and not node.args and not node.keywords and runs(module, node):
            yield Sighting(node, "the environment is never given a seed: it takes the system's entropy", unless=SEEDED)
            return
