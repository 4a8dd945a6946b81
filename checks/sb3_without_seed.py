"""An algorithm of Stable-Baselines3 that is made without a seed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import ABSENT, Module
from auditor.source.environments import SEEDED
from auditor.source.experiments import runs

_BAD = """import torch
from stable_baselines3 import PPO

torch.manual_seed(7)  # does not reach the environment
model = PPO("MlpPolicy", "CartPole-v1", n_steps=16, batch_size=16, device="cpu")
model.learn(32)
print(model.policy.value_net.weight.sum().item())
"""

RULE = Rule(
    id="sb3-without-seed",
    title="An algorithm of Stable-Baselines3 is made without a seed",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "The algorithms take a seed and pass it to Python, NumPy and torch, to the environment and to its action "
        "space. Without it all of them begin from whatever they hold; seeding torch alone does not reach the "
        "environment."
    ),
    remedy="Pass the seed: PPO(policy, env, seed=seed).",
    bad=(
        Example(_BAD, needs=("stable-baselines3",)),
        Example(
            "import stable_baselines3 as sb3\n\n\ndef main():\n    sb3.SAC('MlpPolicy', 'Pendulum-v1').learn(10)\n\n\n"
            "if __name__ == '__main__':\n    main()\n",
            needs=("stable-baselines3",),
        ),
    ),
    good=(
        Example(_BAD.replace('device="cpu"', 'device="cpu", seed=7'), needs=("stable-baselines3",)),
        Example(
            "from stable_baselines3 import PPO\n\n\ndef make(env, **other):\n"
            "    return PPO('MlpPolicy', env, **other)\n"
            "\n\nif __name__ == '__main__':\n    make('CartPole-v1', seed=7, n_steps=16, batch_size=16).learn(16)\n",
            needs=("stable-baselines3",),
        ),
        # A model that was trained is only loaded.
        Example(
            "from stable_baselines3 import PPO\n\n\nif __name__ == '__main__':\n    print(PPO.load('trained.zip'))\n",
            needs=("stable-baselines3",),
            runs=False,
        ),
    ),
    sources=(
        "https://stable-baselines3.readthedocs.io/en/master/modules/base.html",
        "https://stable-baselines3.readthedocs.io/en/master/guide/algos.html#reproducibility",
    ),
)

_ALGORITHMS = re.compile(
    r"(stable_baselines3|sb3_contrib)\.(\w+\.)*"
    r"(A2C|DDPG|DQN|PPO|SAC|TD3|ARS|MaskablePPO|RecurrentPPO|QRDQN|TQC|TRPO|CrossQ)"
)


def see_source(module: Module) -> Iterator[Sighting]:
    """Algorithms without ``seed``, or with None, in a program that seeds no environment itself."""
    if module.imports.isdisjoint({"stable_baselines3", "sb3_contrib"}) or not runs(module):
        return
    for name in module.called:
        if not _ALGORITHMS.fullmatch(name):
            continue
        for call in module.calls(name):
            seed = call.argument("seed")
            if (seed is not ABSENT and module.constant(seed) is not None) or not runs(module, call.node):
                continue
            added = module.with_argument(call.node, "seed=0") if seed is ABSENT else None
            yield Sighting(
                call.node,
                f"{name.rpartition('.')[2]} is made without a seed: environment, actions and network begin anywhere",
                unless=(*SEEDED, "stable_baselines3.common.utils.set_random_seed"),
                fix=None if added is None else Fix((added,)),
            )
