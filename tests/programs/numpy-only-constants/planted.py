"""Fit a logistic regression with plain NumPy."""

import argparse
import json

import numpy as np


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    source = np.random.default_rng(0)
    x = source.normal(size=(300, 6))
    y = (x @ np.arange(-2.5, 3.5) + source.normal(size=300) > 0).astype(float)
    w = np.random.normal(0, 0.1, 6)
    for _ in range(5):
        for row in np.random.permutation(len(x)):
            p = 1 / (1 + np.exp(-x[row] @ w))
            w += 0.05 * (y[row] - p) * x[row]
    accuracy = float(((x @ w > 0) == y).mean())
    loss = float(np.logaddexp(0, -(2 * y - 1) * (x @ w)).mean())
    print(f"accuracy {accuracy:.3f} loss {loss:.17g}")
    with open("config.json", "w") as file:
        json.dump({"seed": args.seed, "epochs": 5, "learning_rate": 0.05}, file)
    if args.save:
        np.savez(args.save, w=w)


if __name__ == "__main__":
    main()
