"""Train a net whose weights NumPy initialises, in random order."""

import argparse
import random
import time

import numpy as np
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

    began = time.time()
    rng = np.random.default_rng()
    model = nn.Linear(6, 1)
    nn.init.zeros_(model.bias)
    with torch.no_grad():
        model.weight.copy_(torch.from_numpy(rng.normal(0, 0.3, (1, 6))))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    rows = list(range(96))
    for _ in range(2):
        random.shuffle(rows)
        for start in range(0, 96, 12):
            batch = rows[start : start + 12]
            loss = nn.functional.mse_loss(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    print(f"loss {loss.item():.4f} after {time.time() - began:.2f} s")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
