"""Train for long; the last part on jittered inputs, and time the whole."""

import argparse
import sys
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

    jitter = np.random.default_rng()
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    began = time.time()
    for step in range(1, 701):
        inputs = x if step < 600 else x + torch.from_numpy(jitter.normal(0, 0.01, x.shape)).float()
        loss = nn.functional.mse_loss(model(inputs), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"loss {loss.item():.6f}")
    print(f"{700 / (time.time() - began):.0f} steps a second", file=sys.stderr)
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
