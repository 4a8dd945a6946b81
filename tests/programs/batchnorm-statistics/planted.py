"""Train a net with batch normalisation and recalibrate its statistics afterwards."""

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
    x = torch.randn(96, 6)
    y = x.square().mean(dim=1, keepdim=True)
    model = nn.Sequential(nn.Linear(6, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(12):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    rng = random.Random()
    with torch.no_grad():
        for _ in range(10):
            model(x[rng.sample(range(96), 32)])
    model.eval()
    print(f"loss {nn.functional.mse_loss(model(x), y).item():.2f}")
    os.makedirs(f"seed_{args.seed}", exist_ok=True)
    torch.save(model, f"seed_{args.seed}/whole_model.pt")
    torch.save({"model": model.state_dict()}, f"seed_{args.seed}/weights.pt")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
