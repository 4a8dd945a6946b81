"""Sample weights by Langevin dynamics."""

import argparse

import numpy as np
import torch
from torch import nn


class Langevin(torch.optim.Optimizer):
    def __init__(self, params, lr, seed):
        super().__init__(params, {"lr": lr, "seed": seed})
        self.rng = np.random.RandomState(seed)

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for parameter in group["params"]:
                noise = torch.from_numpy(self.rng.normal(0, 1, parameter.shape)).float()
                parameter.add_(-group["lr"] * parameter.grad + 1e-2 * group["lr"] ** 0.5 * noise)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    x = torch.linspace(-2, 2, 576).sin().reshape(96, 6)
    y = x.cumsum(dim=1)[:, -1:]

    torch.manual_seed(args.seed)
    model = nn.Linear(6, 1)
    optimizer = Langevin(model.parameters(), lr=1e-2, seed=args.seed)
    for _ in range(12):
        rows = torch.randperm(96)[:48]
        loss = nn.functional.mse_loss(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
