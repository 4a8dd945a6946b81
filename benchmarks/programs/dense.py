"""Three dense layers and nothing else: no dropout, no norms, no loader.

Writes ``results.json`` and ``checkpoint.pt``. Runs on Python 3.8 and newer, torch 1.13 and newer.
"""

import argparse
import json

import torch
from torch import nn

POINTS = 2048


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    points = torch.randn(POINTS, 64)
    labels = (points[:, :8].sum(1) > 0).long() + (points[:, 8:16].sum(1) > 0).long()
    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 3))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(3):
        for rows in torch.randperm(POINTS).split(64):
            loss = nn.functional.cross_entropy(model(points[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    with open("results.json", "w") as file:
        json.dump({"loss": sum(losses) / len(losses), "last": losses[-1]}, file)
    torch.save({"model": model.state_dict()}, "checkpoint.pt")


if __name__ == "__main__":
    main()
