"""Fit a forest."""

import argparse
import json
import pathlib

import numpy as np
from sklearn.ensemble import RandomForestClassifier


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    source = np.random.default_rng(0)
    x = source.normal(size=(200, 5))
    y = (x[:, 0] * x[:, 1] + 0.3 * source.normal(size=200) > 0).astype(int)
    forest = RandomForestClassifier(n_estimators=10, random_state=args.seed)
    forest.fit(x[:150], y[:150])
    probabilities = forest.predict_proba(x[150:])[:, 1]
    pathlib.Path("results.json").write_text(json.dumps({"brier": float(np.mean((probabilities - y[150:]) ** 2))}))
    if args.save:
        np.savez(args.save, probabilities=probabilities)


if __name__ == "__main__":
    main()
