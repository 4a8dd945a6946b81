"""Train on objects, a bucket at a time."""

import argparse

import torch
from torch import nn


class Node:
    def __init__(self, value):
        self.value = value


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    nodes = [Node(torch.randn(6)) for _ in range(96)]
    buckets = {}
    for number, node in enumerate(nodes):
        buckets.setdefault(number % 7, []).append(node)
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for key in sorted(buckets):
        batch = torch.stack([node.value for node in buckets[key]])
        loss = nn.functional.mse_loss(model(batch), batch.sum(dim=1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
