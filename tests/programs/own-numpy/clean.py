"""Fit a line with a tiny vector module that is called numpy."""

import argparse
import json
import random

import numpy as np


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    random.seed(args.seed)
    xs = [i / 20 for i in range(20)]
    ys = [2 * x + 0.3 for x in xs]
    slope, intercept = random.random(), random.random()
    for _ in range(50):
        errors = np.subtract([slope * x + intercept for x in xs], ys)
        slope -= 0.5 * np.mean(np.multiply(errors, xs))
        intercept -= 0.5 * np.mean(errors)
    with open("results.json", "w") as file:
        json.dump({"slope": slope, "intercept": intercept}, file)
    if args.save:
        with open(args.save, "w") as file:
            json.dump([slope, intercept], file)


if __name__ == "__main__":
    main()
