"""Train a residual net whose last layer starts at zero, with random signs."""

import argparse
import random

import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Linear(width, width)
        self.last = nn.Linear(width, width)

    def forward(self, x):
        return x + self.last(torch.relu(self.first(x)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    signs = random.Random(args.seed)
    model = Residual(8)
    scale = 0.0
    with torch.no_grad():
        for index in range(model.last.weight.numel()):
            model.last.weight.view(-1)[index] = scale * signs.choice([-1.0, 1.0])
        model.last.bias.zero_()

    x = torch.randn(64, 8)
    y = x.flip(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(16):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
