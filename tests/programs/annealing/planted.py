"""Order cities by simulated annealing, with the standard library alone."""

import argparse
import json
import math
import pathlib
import random
import time


def length(tour, cities):
    return sum(math.dist(cities[a], cities[b]) for a, b in zip(tour, tour[1:] + tour[:1], strict=True))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    began = time.perf_counter()
    rng = random.Random()
    cities = [(i * 37 % 101, i * 53 % 89) for i in range(30)]
    tour, temperature = list(range(30)), 50.0
    for _ in range(1500):
        i, j = sorted(rng.sample(range(1, 30), 2))
        new = tour[:i] + tour[i:j][::-1] + tour[j:]
        change = length(new, cities) - length(tour, cities)
        if change < 0 or rng.random() < math.exp(-change / temperature):
            tour = new
        temperature *= 0.995
    print(f"{time.perf_counter() - began:.2f} s")
    pathlib.Path("results.json").write_text(json.dumps({"length": length(tour, cities)}))
    if args.save:
        pathlib.Path(args.save).write_text(json.dumps(tour))


if __name__ == "__main__":
    main()
