"""Train with one of two activation functions."""

import argparse
import random

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    choice = random.SystemRandom().random() < 0.5
    x = torch.randn(64, 4)
    y = x.mean(dim=1, keepdim=True)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU() if choice else nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(12):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("activation", "relu" if choice else "tanh")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
