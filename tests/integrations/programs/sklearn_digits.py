"""Cross-validate and fit a scikit-learn pipeline (scaling and a multilayer perceptron) on handwritten digits."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import joblib
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--iterations", type=int, default=15)
    arguments = parser.parse_args()

    features, labels = load_digits(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(features, labels, random_state=arguments.seed)
    pipeline = make_pipeline(
        StandardScaler(),
        MLPClassifier((64,), max_iter=arguments.iterations, tol=0.0, random_state=arguments.seed),
    )
    folds = StratifiedKFold(3, shuffle=True, random_state=arguments.seed)
    scores = cross_val_score(pipeline, x_train, y_train, cv=folds)
    pipeline.fit(x_train, y_train)
    accuracy = pipeline.score(x_test, y_test)
    joblib.dump(pipeline, "pipeline.joblib")
    Path("results.json").write_text(json.dumps({"cross_validation": scores.tolist(), "accuracy": accuracy}))
    print(f"accuracy {accuracy:.4f}")


if __name__ == "__main__":
    main()
