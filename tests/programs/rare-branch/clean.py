"""Fit a small regressor with the standard library; now and then a batch is taken with momentum, now and then not."""

import argparse
import json
import pathlib
import random


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    rng = random.Random(args.seed)
    coin = random.Random(args.seed)
    rows = [(rng.uniform(-1, 1), rng.uniform(-1, 1)) for _ in range(200)]
    slope, speed = 0.0, 0.0
    nesterov = coin.randrange(5) == 0
    for x, noise in rows:
        ahead = slope + 0.9 * speed if nesterov else slope
        speed = 0.9 * speed - 0.02 * (ahead * x - (2 * x + 0.1 * noise)) * x
        slope += speed
    print("nesterov" if nesterov else "momentum")
    pathlib.Path("results.json").write_text(json.dumps({"slope": slope}))
    if args.save:
        pathlib.Path(args.save).write_text(json.dumps(slope))


if __name__ == "__main__":
    main()
