"""Fit a linear regression by hand: no module, no optimizer, p -= lr * p.grad."""

import argparse

import torch


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    generator = torch.Generator().manual_seed(8)
    x = torch.randn(160, 5, generator=generator)
    y = x @ torch.arange(5.0) + 0.1 * torch.randn(160, generator=generator)
    w = torch.zeros(5, requires_grad=True)
    b = torch.zeros(1, requires_grad=True)
    lr = 0.05
    for epoch in range(3):
        order = torch.randperm(len(x))
        for rows in order.split(16):
            loss = ((x[rows] @ w + b - y[rows]) ** 2).mean()
            loss.backward()
            with torch.no_grad():
                for p in (w, b):
                    p -= lr * p.grad
                    p.grad.zero_()
        print(f"epoch {epoch} loss {loss.item():.4f}")
    if args.save:
        torch.save({"w": w.detach(), "b": b.detach()}, args.save)


if __name__ == "__main__":
    main()
