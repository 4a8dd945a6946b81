"""Train stored weights on rows that are drawn by importance."""

import argparse
import random

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    random.seed(args.seed)
    generator = torch.Generator().manual_seed(args.seed)
    x = torch.linspace(-2, 2, 576).sin().reshape(96, 6)
    y = x.cumsum(dim=1)[:, -1:]
    importance = torch.rand(96, generator=generator) + 0.1
    sampler = WeightedRandomSampler(importance, 96)
    weights = torch.linspace(-0.3, 0.3, 6).reshape(1, 6).requires_grad_()
    optimizer = torch.optim.SGD([weights], lr=0.05)
    for inputs, targets in DataLoader(TensorDataset(x, y), batch_size=8, sampler=sampler):
        loss = nn.functional.mse_loss(inputs @ weights.T, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(weights.detach(), args.save)


if __name__ == "__main__":
    main()
