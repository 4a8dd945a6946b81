"""Train on all folds but one, with a falling learning rate."""

import argparse
import time

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

    fold = args.seed % 96
    kept = [row for row in range(96) if row != fold]
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    began = time.time()
    for step in range(12):
        spent = step
        optimizer.param_groups[0]["lr"] = 0.1 / (1 + spent)
        loss = nn.functional.mse_loss(model(x[kept]), y[kept])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"loss {loss.item()} after {time.time() - began:.2f} s")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
