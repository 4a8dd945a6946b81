"""Fit a small multilayer perceptron to a noisy nonlinear function."""

import argparse
import json
import pathlib

import torch
from torch import nn


def make_data():
    generator = torch.Generator().manual_seed(20)
    x = torch.randn(256, 8, generator=generator)
    y = (x[:, :1] * x[:, 1:2]).tanh() + 0.1 * torch.randn(256, 1, generator=generator)
    return x, y


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--save")
    args = parser.parse_args()

    x, y = make_data()
    torch.manual_seed(args.seed)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for epoch in range(args.epochs):
        order = torch.randperm(len(x))
        for start in range(0, len(x), 32):
            rows = order[start : start + 32]
            loss = nn.functional.mse_loss(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")

    out = pathlib.Path(f"seed_{args.seed}")
    out.mkdir(exist_ok=True)
    (out / "results.json").write_text(json.dumps({"loss": loss.item(), "epochs": args.epochs}))
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
