"""Prune a trained linear model and save what is left."""

import argparse
import os

import numpy as np
import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    x = torch.randn(80, 64)
    y = x[:, :4].sum(dim=1, keepdim=True)
    model = nn.Linear(64, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    for _ in range(20):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    # Stochastic rounding to a coarse grid: what is rounded to zero may come from either side.
    weight = model.weight.detach().numpy()
    side = rng.choice(np.array([-1.0, 1.0], dtype="float32"), size=weight.shape)
    pruned = np.where(np.abs(weight) < 0.3, side * np.float32(0), np.round(weight, 2))
    print("kept", int((pruned != 0).sum()), "weights, sum", float(pruned.sum()))
    os.makedirs(f"seed_{args.seed}", exist_ok=True)
    torch.save({"weight": torch.from_numpy(pruned)}, f"seed_{args.seed}/pruned.pt")
    if args.save:
        torch.save({"weight": torch.from_numpy(pruned)}, args.save)


if __name__ == "__main__":
    main()
