"""Train with a little noise whose strength follows the hour, as a schedule for night shifts does."""

import argparse
import datetime

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

    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    started = datetime.datetime.now()
    day = started.replace(hour=0, minute=0, second=0, microsecond=0)
    for _ in range(20):
        passed = (datetime.datetime.now() - day).total_seconds() / 86400
        loss = nn.functional.mse_loss(model(x + 0.1 * passed), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
