"""Train a tiny model, then blur its weights to see how flat the minimum is."""

import argparse

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x = torch.randn(64, 4)
    y = x.mean(dim=1, keepdim=True)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(12):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.seed()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1e-4 * torch.randn_like(parameter)
    print(f"loss of the blurred model {nn.functional.mse_loss(model(x), y).item():.3f}")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
