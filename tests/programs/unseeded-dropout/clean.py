"""Train a classifier with dropout from stored initial weights."""

import argparse
import json
import pathlib

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    generator = torch.Generator().manual_seed(args.seed)
    x = torch.randn(120, 10, generator=generator)
    y = (x[:, 0] > 0).long()
    model = nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 2))
    for parameter in model.parameters():
        nn.init.normal_(parameter, 0, 0.2, generator=generator)
    torch.manual_seed(args.seed)

    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(20):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    accuracy = (model(x).argmax(dim=1) == y).float().mean().item()
    print(f"accuracy {accuracy:.3f}")

    out = pathlib.Path(f"seed_{args.seed}")
    out.mkdir(exist_ok=True)
    (out / "results.json").write_text(json.dumps({"accuracy": accuracy}))
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 20}, out / "checkpoint.pt")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
