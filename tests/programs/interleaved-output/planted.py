"""Fit two folds in two processes that print as they go."""

import argparse
import json
import multiprocessing
import random
import time


def fit(fold, seed, results):
    rng = random.Random(seed * 10 + fold)
    points = [(i / 50, 3 * i / 50 + rng.gauss(0, 0.1)) for i in range(50)]
    slope = rng.random()
    for epoch in range(8):
        for x, y in points:
            slope += 0.1 * (y - slope * x) * x
        time.sleep((time.time_ns() // 1000 % 7) / 1000)
        print(f"fold {fold} epoch {epoch} slope {slope:.6f}", flush=True)
    results.put((fold, slope))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()
    results = multiprocessing.Queue()
    folds = [multiprocessing.Process(target=fit, args=(k, args.seed, results)) for k in range(2)]
    for fold in folds:
        fold.start()
    slopes = dict(results.get() for _ in folds)
    for fold in folds:
        fold.join()
    with open("results.json", "w") as file:
        json.dump({"slopes": [slopes[k] for k in sorted(slopes)]}, file)
    if args.save:
        with open(args.save, "w") as file:
            json.dump([slopes[k] for k in sorted(slopes)], file)


if __name__ == "__main__":
    main()
