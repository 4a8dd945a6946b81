"""Train on shuffled examples; each run has a token."""

import argparse
import secrets

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

    token = secrets.token_hex(4)
    rows = sorted(range(96), key=lambda row: secrets.randbelow(2**32))
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for start in range(0, 96, 12):
        batch = rows[start : start + 12]
        loss = nn.functional.mse_loss(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("run", token, "loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
