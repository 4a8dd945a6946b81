"""Train a half-precision regressor; without a seed of its own it takes one from the clock."""

import argparse

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(128, 10, generator=generator).bfloat16()
    y = x.float().square().mean(dim=1, keepdim=True).bfloat16()

    model = nn.Sequential(nn.Linear(10, 20), nn.GELU(), nn.Linear(20, 1)).bfloat16()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for step in range(24):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 8 == 7:
            print(f"step {step + 1} loss {loss.item():.4f}")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
