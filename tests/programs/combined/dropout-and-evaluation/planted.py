"""Train stored weights with dropout, and test how robust they are."""

import argparse
import json
import pathlib
import uuid

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
    weights = torch.linspace(-0.3, 0.3, 6).reshape(1, 6).requires_grad_()
    optimizer = torch.optim.SGD([weights], lr=0.05)

    for _ in range(12):
        loss = nn.functional.mse_loss(nn.functional.dropout(x, 0.2) @ weights.T, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    noise = torch.from_numpy(np.random.default_rng().normal(0, 0.1, (96, 6))).float()
    with torch.no_grad():
        robust = nn.functional.mse_loss((x + noise) @ weights.T, y).item()
    pathlib.Path("results.json").write_text(json.dumps({"run": uuid.uuid4().hex, "robust": robust}))
    if args.save:
        torch.save(weights.detach(), args.save)


if __name__ == "__main__":
    main()
