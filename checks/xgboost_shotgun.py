"""XGBoost's linear booster with the updater that races."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import ABSENT, Module
from auditor.source.boosting import parameters
from auditor.source.experiments import runs

_BAD = """import numpy as np
import xgboost as xgb

rows = np.random.default_rng(0).random((2000, 60))
model = xgb.XGBRegressor(booster="gblinear", n_estimators=20)
print(model.fit(rows, rows.sum(axis=1)).predict(rows)[:3])
"""
_TRAIN = """import numpy
import xgboost

rows = numpy.random.default_rng(0).random((2000, 60))
data = xgboost.DMatrix(rows, rows.sum(axis=1))
options = {"booster": "gblinear", "nthread": 2}
print(xgboost.train(options, data, 20).predict(data)[:3])
"""

RULE = Rule(
    id="xgboost-shotgun",
    title="XGBoost's linear booster updates its weights in threads that race",
    topic="domains",
    level="bit-exact",
    severity="warning",
    confidence="medium",
    since="0.1.0",
    why=(
        "booster='gblinear' takes the updater 'shotgun' unless it is told another one: its threads write to the same "
        "weights without waiting for each other, so that each run with more than one thread trains another model, "
        "whatever random_state is."
    ),
    remedy="Ask for updater='coord_descent', which computes the same in every run, or for one thread (n_jobs=1).",
    bad=(Example(_BAD, needs=("xgboost", "scikit-learn")), Example(_TRAIN, needs=("xgboost",))),
    good=(
        Example(_BAD.replace('"gblinear"', '"gblinear", updater="coord_descent"'), needs=("xgboost", "scikit-learn")),
        Example(_BAD.replace('"gblinear"', '"gblinear", n_jobs=1'), needs=("xgboost", "scikit-learn")),
        # Trees are built alike in every run.
        Example(_BAD.replace('"gblinear"', '"gbtree"'), needs=("xgboost", "scikit-learn")),
        Example(_TRAIN.replace('"nthread": 2', '"nthread": 1'), needs=("xgboost",)),
        Example(_TRAIN.replace("print", 'options["updater"] = "coord_descent"\nprint'), needs=("xgboost",)),
    ),
    sources=("https://xgboost.readthedocs.io/en/stable/parameter.html#parameters-for-linear-booster-booster-gblinear",),
)

_ESTIMATORS = tuple(f"xgboost.{name}" for name in ("XGBClassifier", "XGBRegressor", "XGBRanker", "XGBModel"))
_FUNCTIONS = ("xgboost.train", "xgboost.cv")
_THREADS = ("n_jobs", "nthread")


def see_source(module: Module) -> Iterator[Sighting]:
    """Linear boosters with the updater that is the default, or with it by name, and more threads than one."""
    if "xgboost" not in module.imports or not runs(module):
        return
    for call in (*module.calls(*_ESTIMATORS), *module.calls(*_FUNCTIONS)):
        given: dict[str, object] | None
        if call.name in _FUNCTIONS:
            given = parameters(module, call)
        else:
            asked = {name: call.argument(name) for name in ("booster", "updater", *_THREADS)}
            given = {name: module.constant(value) for name, value in asked.items() if value is not ABSENT}
        if given is None or given.get("booster") != "gblinear" or given.get("updater", "shotgun") != "shotgun":
            continue
        # What is not a number here may be one thread.
        threads = [given[name] for name in _THREADS if name in given]
        if all(isinstance(one, int) and one != 1 for one in threads) and runs(module, call.node):
            yield Sighting(
                call.node, f"{call.name.rpartition('.')[2]} with gblinear: threads race for its weights (shotgun)"
            )
