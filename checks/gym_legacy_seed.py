"""A method of old gym that Gymnasium's environments do not have."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Module
from auditor.source.environments import method_calls

_BAD = """import gymnasium

env = gymnasium.make("CartPole-v1")
if hasattr(env, "seed"):
    env.seed(7)
print(env.reset()[0])
"""

RULE = Rule(
    id="gym-legacy-seed",
    title="A Gymnasium environment is seeded by a method that it does not have",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "env.seed(…) is of gym before 0.26. Gymnasium's environments have no such method: behind hasattr or try it "
        "does nothing, and the environment takes the system's entropy."
    ),
    remedy="Seed the first reset instead: env.reset(seed=seed).",
    bad=(Example(_BAD, needs=("gymnasium",)),),
    good=(
        Example(
            _BAD.replace('if hasattr(env, "seed"):\n    env.seed(7)\n', "env.reset(seed=7)\n"), needs=("gymnasium",)
        ),
        # gym itself has it, in older versions.
        Example("import gym\n\nenv = gym.make('CartPole-v1')\nenv.seed(7)\n", needs=("gym",), runs=False),
        Example(
            "import gymnasium\n\nenv = gymnasium.make('CartPole-v1')\nenv.action_space.seed(7)\nenv.reset(seed=7)\n",
            needs=("gymnasium",),
        ),
    ),
    sources=("https://gymnasium.farama.org/introduction/migration_guide/",),
)


def see_source(module: Module) -> Iterator[Sighting]:
    """``seed`` of what ``gymnasium.make`` gave, in a file that imports no gym."""
    if "gymnasium" not in module.imports or _imports_gym(module):
        return
    for node, owner in method_calls(module, "seed"):
        name = module.name(owner)
        if name in ("gymnasium.make()", "gymnasium.make_vec()", "gymnasium.make().unwrapped"):
            yield Sighting(node, "Gymnasium's environments have no method seed: nothing is seeded here")


def _imports_gym(module: Module) -> bool:
    plain = (one.name for node in module.all(ast.Import) for one in node.names)
    of = (node.module or "" for node in module.all(ast.ImportFrom))
    return any(name.partition(".")[0] == "gym" for name in (*plain, *of))
