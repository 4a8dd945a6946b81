"""Cluster points by k-means with the standard library alone."""

import argparse
import csv
import json
import pathlib
import random


def distance(a, b):
    return sum((p - q) ** 2 for p, q in zip(a, b, strict=True))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    points = [((i * 37 % 101) / 101, (i * 53 % 89) / 89) for i in range(120)]
    random.seed(args.seed)
    centres = random.sample(points, 5)
    for _ in range(4):
        groups = [[] for _ in centres]
        for point in points:
            groups[min(range(5), key=lambda k: distance(point, centres[k]))].append(point)
        centres = [
            tuple(sum(axis) / len(group) for axis in zip(*group, strict=True)) if group else c
            for group, c in zip(groups, centres, strict=True)
        ]
    inertia = sum(min(distance(point, c) for c in centres) for point in points)
    print(f"inertia {inertia:.6f}")

    out = pathlib.Path(f"seed_{args.seed}")
    out.mkdir(exist_ok=True)
    (out / "results.json").write_text(json.dumps({"inertia": inertia}))
    with open(out / "centres.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["x", "y"])
        writer.writerows(centres)
    if args.save:
        pathlib.Path(args.save).write_text(json.dumps(centres))


if __name__ == "__main__":
    main()
