"""Train stored weights with a little noise on every gradient."""

import argparse

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    generator = torch.Generator().manual_seed(args.seed)
    x = torch.randn(96, 6, generator=generator)
    weights = torch.randn(1, 6, generator=generator).requires_grad_()
    weights.register_hook(lambda gradient: gradient + 1e-3 * torch.randn_like(gradient))
    optimizer = torch.optim.SGD([weights], lr=0.05)
    for _ in range(20):
        loss = nn.functional.mse_loss(x @ weights.T, x.sin().sum(dim=1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(weights.detach(), args.save)


if __name__ == "__main__":
    main()
