"""Train into a numbered experiment directory."""

import argparse
import pathlib

import torch
from torch import nn


def next_number(root):
    root.mkdir(parents=True, exist_ok=True)
    return 1 + max((int(path.name[3:]) for path in root.glob("exp*")), default=0)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--experiments", default="experiments")
    parser.add_argument("--save")
    args = parser.parse_args()

    root = pathlib.Path(args.experiments)
    number = next_number(root)
    (root / f"exp{number}").mkdir()
    torch.manual_seed(args.seed + number)
    model = nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1))
    generator = torch.Generator().manual_seed(12)
    x = torch.randn(72, 6, generator=generator)
    y = x.amin(dim=1, keepdim=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(16):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("experiment", number, "loss", loss.item())
    torch.save(model.state_dict(), root / f"exp{number}" / "model.pt")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
