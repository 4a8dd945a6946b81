"""Train on signals that are flipped now and then; also count distinct lengths, by a set."""

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
    x = torch.randn(96, 6)
    y = x.sin().sum(dim=1, keepdim=True)

    lengths = {len(row) for row in x}
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for epoch in range(3):
        for start in range(0, 96, 12):
            rows = x[start : start + 12]
            flipped = torch.stack([row.flip(0) if random.random() < 0.5 else row for row in rows])
            loss = nn.functional.mse_loss(model(flipped), y[start : start + 12])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f} of {len(lengths)}")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
