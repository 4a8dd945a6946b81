"""Train a tiny model into a directory of its own."""

import argparse
import datetime
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

    out = pathlib.Path("runs") / datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    out.mkdir(parents=True)
    torch.manual_seed(args.seed)
    x = torch.randn(64, 4)
    y = x.square().sum(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(12):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    evaluation = random.Random(args.seed)
    rows = evaluation.sample(range(64), 32)
    with torch.no_grad():
        score = nn.functional.mse_loss(model(x[rows]), y[rows]).item()
    (out / "results.json").write_text(json.dumps({"test_mse": score}))
    torch.save(model.state_dict(), out / "model.pt")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
