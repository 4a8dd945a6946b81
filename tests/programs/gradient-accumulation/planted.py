"""Train with gradients accumulated over four micro-batches; inputs are jittered after three updates."""

import argparse

import numpy as np
import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    rng = np.random.default_rng()
    x = torch.randn(128, 8)
    y = x.cumsum(dim=1)[:, -1:]
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.9)
    for update in range(8):
        optimizer.zero_grad()
        for micro in range(4):
            rows = slice(((update * 4 + micro) * 8) % 128, ((update * 4 + micro) * 8) % 128 + 8)
            inputs = x[rows]
            if update >= 3 and micro == 2:
                inputs = inputs + torch.from_numpy(rng.normal(0, 0.01, inputs.shape)).float()
            loss = nn.functional.mse_loss(model(inputs), y[rows]) / 4
            loss.backward()
        optimizer.step()
        scheduler.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
