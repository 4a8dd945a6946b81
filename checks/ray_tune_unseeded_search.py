"""A search algorithm of Ray Tune that has no seed."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Fix, Rule, Sighting
from auditor.source import ABSENT, Module

_BAD = """from ray import tune
from ray.tune.search.optuna import OptunaSearch

search = OptunaSearch(metric="loss", mode="min")
tuner = tune.Tuner(lambda config: {"loss": config["x"] ** 2}, param_space={"x": tune.uniform(-1, 1)},
                   tune_config=tune.TuneConfig(search_alg=search, num_samples=5))
print(tuner.fit().get_best_result("loss", "min").config)
"""

RULE = Rule(
    id="ray-tune-unseeded-search",
    title="A search algorithm of Ray Tune has no seed",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "The search algorithms draw from generators of their own; without a seed these take the system's entropy. "
        "Another search tries other settings and ends with another best one."
    ),
    remedy="Pass the seed: OptunaSearch(seed=…), HyperOptSearch(random_state_seed=…), TuneBOHB(seed=…).",
    bad=(Example(_BAD, needs=("ray[tune]", "optuna"), runs=False),),
    good=(
        Example(
            _BAD.replace('mode="min")\ntuner', 'mode="min", seed=7)\ntuner'), needs=("ray[tune]", "optuna"), runs=False
        ),
        # A sampler that is passed brings its own seed, or lacks it: that is another rule's.
        Example(
            _BAD.replace('mode="min")\ntuner', 'mode="min", sampler=make_sampler())\ntuner'),
            needs=("ray[tune]", "optuna"),
            runs=False,
        ),
    ),
    sources=(
        "https://docs.ray.io/en/latest/tune/api/suggestion.html",
        "https://docs.ray.io/en/latest/tune/faq.html#how-can-i-reproduce-experiments",
    ),
)

_SEEDS = {
    "OptunaSearch": "seed",
    "TuneBOHB": "seed",
    "HyperOptSearch": "random_state_seed",
    "HEBOSearch": "random_state_seed",
}


def see_source(module: Module) -> Iterator[Sighting]:
    """Search algorithms without the argument that seeds them."""
    if "ray" not in module.imports:
        return
    for name in module.called:
        keyword = _SEEDS.get(name.rpartition(".")[2])
        if keyword is None or not name.startswith(("ray.tune.", "ray.air.")):
            continue
        for call in module.calls(name):
            seed = call.argument(keyword)
            if (
                call.has("sampler")
                or call.has("bohb_config")
                or (seed is not ABSENT and module.constant(seed) is not None)
            ):
                continue
            added = module.with_argument(call.node, f"{keyword}=0") if seed is ABSENT else None
            yield Sighting(
                call.node,
                f"{name.rpartition('.')[2]} without {keyword}: it takes the system's entropy",
                fix=None if added is None else Fix((added,)),
            )
