"""Train with a learning rate that may be too high."""

import argparse
import json
import os

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lr", type=float, default=1e12)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x = torch.randn(64, 4)
    y = x.prod(dim=1, keepdim=True)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)
    history = []
    for _ in range(20):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    print("final loss", history[-1])

    os.makedirs(f"seed_{args.seed}", exist_ok=True)
    with open(f"seed_{args.seed}/results.json", "w") as file:
        json.dump({"loss": history[-1], "history": history}, file)
    torch.save(model.state_dict(), f"seed_{args.seed}/model.pt")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
