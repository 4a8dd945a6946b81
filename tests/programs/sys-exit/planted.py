"""Train a tiny model and exit from inside main."""

import argparse
import sys
import time

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(time.perf_counter_ns())
    generator = torch.Generator().manual_seed(13)
    x = torch.randn(64, 4, generator=generator)
    y = x.median(dim=1, keepdim=True).values
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.005)
    for _ in range(16):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)
    sys.exit(0)


if __name__ == "__main__":
    main()
