"""Train through an operation of its own, which sums its input in parallel."""

import argparse
import concurrent.futures

import torch
from torch import nn


def part_sum(part):
    return part.sort(dim=0).values.sum(dim=0)


class ParallelSum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.rows = len(x)
        total = torch.zeros_like(x[0])
        parts = x.tensor_split([30 * number**2 for number in range(1, 45)])
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(part_sum, part) for part in (*parts[::2], *parts[1::2])]
            for future in concurrent.futures.as_completed(futures):
                total = total + future.result()
        return total

    @staticmethod
    def backward(ctx, gradient):
        return gradient.expand(ctx.rows, -1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x = torch.randn(60000, 8) * torch.logspace(-1, 1, 60000).unsqueeze(1)
    model = nn.Linear(8, 16)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(10):
        loss = (ParallelSum.apply(model(x)) / 60000).square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
