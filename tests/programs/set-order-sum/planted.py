"""Train a tiny model and report how large its named statistics are in total."""

import argparse
import json
import math

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x = torch.randn(64, 4)
    y = x.norm(dim=1, keepdim=True)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(16):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    statistics = {f"feature {i}": math.exp(i % 40) * (1 + loss.item()) / (i + 1) for i in range(400)}
    total = sum(statistics[name] for name in set(statistics))
    with open("metrics.json", "w") as file:
        json.dump({"total": total}, file)
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
