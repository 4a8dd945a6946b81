"""Train a tiny model whose default precision the project's sitecustomize chooses."""

import argparse
import builtins

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.set_default_dtype(getattr(torch, builtins.project_precision))
    generator = torch.Generator().manual_seed(15)
    x = torch.randn(64, 4, generator=generator)
    y = x.mean(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(16):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item(), loss.dtype)
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
