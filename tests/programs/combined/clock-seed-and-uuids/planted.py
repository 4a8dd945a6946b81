"""Train on records that are kept by identifier."""

import argparse
import time
import uuid

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    x = torch.linspace(-2, 2, 576).sin().reshape(96, 6)
    y = x.cumsum(dim=1)[:, -1:]

    torch.manual_seed(time.time_ns() % 2**31)
    keys = {row: uuid.uuid4() for row in range(96)}
    rows = sorted(keys, key=keys.get)
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for start in range(0, 96, 12):
        batch = rows[start : start + 12]
        loss = nn.functional.mse_loss(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
