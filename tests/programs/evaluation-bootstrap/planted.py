"""Train a classifier and report its accuracy with a bootstrapped interval."""

import argparse
import json
import pathlib
import random

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x = torch.randn(96, 6)
    y = x.sin().sum(dim=1, keepdim=True)

    labels = (y > 0).float()
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(15):
        loss = nn.functional.binary_cross_entropy_with_logits(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        hits = ((model(x) > 0) == labels.bool()).flatten().tolist()
    samples = sorted(sum(random.choices(hits, k=96)) / 96 for _ in range(200))
    interval = {"low": samples[5], "high": samples[-6], "mean": sum(samples) / 200}
    pathlib.Path("results.json").write_text(json.dumps({"accuracy": sum(hits) / 96, "interval": interval}))
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
