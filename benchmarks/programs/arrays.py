"""A network of two layers by hand, with NumPy alone: products of matrices, exponentials, NumPy's and Python's streams.

Writes ``results.json`` and ``weights.npz``. Runs on Python 3.8 and newer.
"""

import argparse
import json
import random

import numpy as np

RINGS = 3


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    rng = np.random.default_rng(arguments.seed)

    labels = np.arange(1500) % RINGS
    angles = rng.uniform(0, 2 * np.pi, len(labels))
    radii = 1 + labels + rng.normal(0, 0.25, len(labels))
    points = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    lift = rng.normal(0, 1, (2, 64))
    first, second = rng.normal(0, 0.2, (64, 128)), rng.normal(0, 0.2, (128, RINGS))
    into_first, into_second = np.zeros_like(first), np.zeros_like(second)

    order = list(range(len(labels)))
    losses = []
    for _ in range(5):
        random.shuffle(order)
        for start in range(0, len(order), 100):
            rows = order[start : start + 100]
            features = np.sin(points[rows] @ lift)
            kept = rng.random((len(rows), 128)) > 0.1
            hidden = np.tanh(features @ first) * kept / 0.9
            scores = hidden @ second
            scores -= scores.max(axis=1, keepdims=True)
            chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
            losses.append(float(-np.log(chances[np.arange(len(rows)), labels[rows]]).mean()))
            slope = (chances - np.eye(RINGS)[labels[rows]]) / len(rows)
            into_hidden = slope @ second.T * kept / 0.9 * (1 - np.tanh(features @ first) ** 2)
            into_first, into_second = 0.9 * into_first + features.T @ into_hidden, 0.9 * into_second + hidden.T @ slope
            first -= 0.3 * into_first
            second -= 0.3 * into_second
    with open("results.json", "w") as file:
        json.dump({"loss": sum(losses) / len(losses), "last": losses[-1]}, file)
    np.savez("weights.npz", first=first, second=second)


if __name__ == "__main__":
    main()
