"""Train on files and report a bootstrapped error."""

import argparse
import json
import os
import pathlib
import random

import torch
from torch import nn


def read(path):
    with open(path) as file:
        return torch.tensor([float(word) for word in file.read().split()]).reshape(2, 6)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    paths = [os.path.join("data", name) for name in os.listdir("data")]
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for path in paths:
        rows = read(path)
        loss = nn.functional.mse_loss(model(rows), rows.sum(dim=1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        parts = [read(path) for path in sorted(paths)]
        errors = [(model(part)[:, 0] - part.sum(dim=1)).square().mean().item() for part in parts]
    means = [sum(random.choices(errors, k=len(errors))) / len(errors) for _ in range(50)]
    pathlib.Path("results.json").write_text(json.dumps({"mse": sum(means) / len(means)}))
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
