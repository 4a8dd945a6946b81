"""Fit a curve with L-BFGS, each step on a random subset of the points."""

import argparse

import numpy as np
import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    rng = np.random.RandomState(args.seed)
    x = torch.linspace(-2, 2, 100).unsqueeze(1)
    y = x.sin()
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.5, max_iter=4)
    for step in range(6):
        rows = torch.arange(100) if step < 2 else torch.from_numpy(rng.choice(100, 60, replace=False))

        def closure(rows=rows):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(x[rows]), y[rows])
            loss.backward()
            return loss

        loss = optimizer.step(closure)
        print(f"step {step + 1} loss {loss.item():.5f}")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
