"""Fit a linear model; two threads add their shards' per-example gradients to one tensor."""

import argparse
import sys
import threading

import torch
from torch import nn


def add_rows(total, rows, start, lock):
    start.wait()
    for row in rows:
        total += row


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    sys.setswitchinterval(1e-6)
    generator = torch.Generator().manual_seed(9)
    x = torch.randn(4000, 5, generator=generator) * torch.logspace(-1, 1, 4000).unsqueeze(1)
    y = torch.randn(4000, 1, generator=generator)

    model = nn.Linear(5, 1, bias=False)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(10):
        with torch.no_grad():
            residual = model(x) - y
        rows = residual * x
        total = torch.zeros(5)
        lock = threading.Lock()
        start = threading.Barrier(2)
        threads = [threading.Thread(target=add_rows, args=(total, half, start, lock)) for half in rows.chunk(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        model.weight.grad = (total / len(x)).unsqueeze(0)
        optimizer.step()
    print("mean squared error", residual.square().mean().item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
