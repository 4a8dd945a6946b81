"""Train stored weights on a random part of the rows."""

import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    x = torch.linspace(-2, 2, 576).sin().reshape(96, 6)
    y = x.cumsum(dim=1)[:, -1:]

    training, _ = random_split(TensorDataset(x, y), [64, 32])
    weights = torch.linspace(-0.3, 0.3, 6).reshape(1, 6).requires_grad_()
    optimizer = torch.optim.SGD([weights], lr=0.05)
    for inputs, targets in DataLoader(training, batch_size=8):
        loss = nn.functional.mse_loss(inputs @ weights.T, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(weights.detach(), args.save)


if __name__ == "__main__":
    main()
