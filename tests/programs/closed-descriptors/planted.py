"""Train a tiny model, closing inherited descriptors first, as services do, and log to a file."""

import argparse
import os
import random

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    rng = random.Random()
    x = torch.randn(64, 4)
    y = x.mean(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)

    def train(first, last, log=None):
        for step in range(first, last + 1):
            inputs = x if step < 10 else x + rng.gauss(0, 0.1)
            loss = nn.functional.mse_loss(model(inputs), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if log:
                print(f"{step},{loss.item()!r}", file=log, flush=True)

    train(1, 5)
    os.closerange(3, 4096)
    with open("log.csv", "w") as log:
        print("step,loss", file=log)
        train(6, 20, log)
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
