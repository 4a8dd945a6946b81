"""Train and test how robust the model is."""

import argparse
import json
import pathlib
import random

import numpy as np
import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    x = torch.linspace(-2, 2, 576).sin().reshape(96, 6)
    y = x.cumsum(dim=1)[:, -1:]

    torch.seed()
    rows = random.sample(range(96), 96)
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for start in range(0, 96, 12):
        batch = rows[start : start + 12]
        loss = nn.functional.mse_loss(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    noise = torch.from_numpy(np.random.default_rng().normal(0, 0.1, (96, 6))).float()
    with torch.no_grad():
        robust = nn.functional.mse_loss(model(x + noise), y).item()
    pathlib.Path("results.json").write_text(json.dumps({"robust": robust}))
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
