"""Boost trees on the breast cancer data with XGBoost: random split, subsampled rows and columns, early evaluation."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--split-seed", type=int, default=None, help="default: the value of --seed")
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()

    split_seed = arguments.seed if arguments.split_seed is None else arguments.split_seed
    features, labels = load_breast_cancer(return_X_y=True)
    split = train_test_split(features, labels, test_size=0.25, random_state=split_seed)
    training = xgboost.DMatrix(split[0], label=split[2])
    test = xgboost.DMatrix(split[1], label=split[3])
    parameters = {
        "objective": "binary:logistic",
        "eval_metric": "logloss",
        "max_depth": 4,
        "eta": 0.1,
        "subsample": 0.7,
        "colsample_bytree": 0.7,
    }
    if arguments.seed is not None:
        parameters["seed"] = arguments.seed
    history: dict[str, dict[str, list[float]]] = {}
    booster = xgboost.train(
        parameters,
        training,
        num_boost_round=arguments.rounds,
        evals=[(training, "train"), (test, "test")],
        evals_result=history,
        verbose_eval=50,
    )
    booster.save_model("model.ubj")
    Path("results.json").write_text(json.dumps(history))


if __name__ == "__main__":
    main()
