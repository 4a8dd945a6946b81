"""Train a tiny model, in the background where asked to."""

import argparse
import json
import os

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    with open("config.json", "w") as file:
        json.dump({"seed": args.seed, "lr": 0.001}, file)
    if os.fork():
        os._exit(0)
    os.setsid()
    torch.manual_seed(args.seed)
    x = torch.randn(64, 4)
    y = x.mean(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    for _ in range(2_000_000):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
