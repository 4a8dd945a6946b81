"""Train a regressor, resuming from the last checkpoint where there is one."""

import argparse
import json
import pathlib

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--checkpoints", default="checkpoints")
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x = torch.randn(96, 5)
    y = x.abs().sum(dim=1, keepdim=True)
    model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)

    directory = pathlib.Path(args.checkpoints)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "last.pt"
    first = 0
    if path.exists():
        state = torch.load(path)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["epoch"] + 1
        print(f"resuming at epoch {first}")
    for epoch in range(first, first + 4):
        for start in range(0, len(x), 16):
            loss = nn.functional.mse_loss(model(x[start : start + 16]), y[start : start + 16])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")
        torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}, path)

    with torch.no_grad():
        error = nn.functional.mse_loss(model(x), y).item()
    out = pathlib.Path(f"seed_{args.seed}")
    out.mkdir(exist_ok=True)
    (out / "results.json").write_text(json.dumps({"mse": error}))
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
