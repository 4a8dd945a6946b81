"""LightGBM that times two layouts and takes the faster one."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import ABSENT, HIDDEN, UNKNOWN, Module
from auditor.source.boosting import parameters
from auditor.source.experiments import runs

_BAD = """import lightgbm as lgb
import numpy as np

rows = np.arange(400.0).reshape(100, 4) % 7
model = lgb.LGBMRegressor(n_estimators=3, random_state=7, verbose=-1)
print(model.fit(rows, rows[:, 0]).predict(rows)[:3])
"""

RULE = Rule(
    id="lightgbm-nondeterministic",
    title="LightGBM chooses by timing how it adds",
    topic="domains",
    level="bit-exact",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "Unless it is told force_row_wise or force_col_wise, LightGBM tries both ways of building histograms and keeps "
        "the faster one, and it adds in another order with another number of threads. deterministic=True asks for "
        "results that do not depend on either."
    ),
    remedy="Pass deterministic=True and force_row_wise=True (or force_col_wise=True), and fix num_threads.",
    bad=(
        Example(_BAD, needs=("lightgbm",)),
        Example(
            "import lightgbm\nimport numpy as np\n\nrows = np.arange(400.0).reshape(100, 4) % 7\n"
            "options = {'objective': 'regression', 'seed': 7, 'verbose': -1}\n"
            "model = lightgbm.train(options, lightgbm.Dataset(rows, rows[:, 0]), 3)\nprint(model.predict(rows)[:3])\n",
            needs=("lightgbm",),
        ),
        Example(
            "import lightgbm\nimport numpy as np\n\nrows = np.arange(400.0).reshape(100, 4) % 7\n"
            "options = dict(objective='regression', seed=7, verbose=-1, num_threads=2)\n"
            "model = lightgbm.train(options, lightgbm.Dataset(rows, rows[:, 0]), 3)\nprint(model.predict(rows)[:3])\n",
            needs=("lightgbm",),
        ),
    ),
    good=(
        Example(_BAD.replace("verbose=-1", "verbose=-1, deterministic=True, force_row_wise=True"), needs=("lightgbm",)),
        Example(_BAD.replace("verbose=-1", "verbose=-1, n_jobs=1"), needs=("lightgbm",)),
        Example(
            "import lightgbm\nimport numpy as np\n\nrows = np.arange(400.0).reshape(100, 4) % 7\n"
            "options = dict(objective='regression', seed=7, verbose=-1)\n"
            "options['deterministic'] = True\n"
            "model = lightgbm.train(options, lightgbm.Dataset(rows, rows[:, 0]), 3)\nprint(model.predict(rows)[:3])\n",
            needs=("lightgbm",),
        ),
    ),
    sources=(
        "https://lightgbm.readthedocs.io/en/latest/Parameters.html#deterministic",
        "https://lightgbm.readthedocs.io/en/latest/Parameters.html#force_col_wise",
    ),
)

_ESTIMATORS = tuple(f"lightgbm.{name}" for name in ("LGBMClassifier", "LGBMRegressor", "LGBMRanker", "LGBMModel"))
_FUNCTIONS = ("lightgbm.train", "lightgbm.cv")
_FIXES = ("deterministic", "force_row_wise", "force_col_wise")
_THREADS = ("n_jobs", "num_threads", "nthread", "num_thread", "nthreads")


def see_source(module: Module) -> Iterator[Sighting]:
    """Estimators and training calls whose parameters are in sight and ask for nothing of this."""
    if "lightgbm" not in module.imports or not runs(module):
        return
    for call in module.calls(*_ESTIMATORS):
        if not runs(module, call.node):
            continue
        given = {keyword: call.argument(keyword) for keyword in (*_FIXES, *_THREADS)}
        if HIDDEN in given.values() or any(given[one] is not ABSENT for one in _FIXES):
            continue
        if not any(module.constant(given[one]) == 1 for one in _THREADS):
            yield Sighting(
                call.node, f"{call.name.rpartition('.')[2]} without deterministic=True adds as timing decides"
            )
    for call in module.calls(*_FUNCTIONS):
        given_as = parameters(module, call)
        if given_as is None or not given_as.keys().isdisjoint(_FIXES) or not runs(module, call.node):
            continue
        if not any(given_as[one] in (1, UNKNOWN) for one in _THREADS if one in given_as):
            yield Sighting(call.node, f"{call.name} without deterministic in its parameters adds as timing decides")
