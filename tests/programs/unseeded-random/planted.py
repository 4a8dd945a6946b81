"""Train a linear classifier, visiting the examples in a fresh order each epoch."""

import argparse
import random

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(240, 12, generator=generator)
    y = (x @ torch.randn(12, 3, generator=generator)).argmax(dim=1)

    model = nn.Linear(12, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    rows = list(range(len(x)))
    for epoch in range(4):
        random.shuffle(rows)
        for start in range(0, len(rows), 24):
            batch = rows[start : start + 24]
            loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch}: {loss.item():.5f}")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
