"""Train a tiny regressor and write its results and its weights."""

import argparse
import json
import os

import torch
from torch import nn


class Trainer(nn.Module):
    def __init__(self, model):
        super().__init__()
        self.parts = nn.ModuleList([model])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(60, 5, generator=generator)
    y = x.prod(dim=1, keepdim=True)
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(15):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("mse", loss.item())
    os.makedirs(f"seed_{args.seed}", exist_ok=True)
    with open(f"seed_{args.seed}/results.json", "w") as file:
        json.dump({"mse": loss.item()}, file)
    torch.save(Trainer(model).state_dict(), f"seed_{args.seed}/model.pt")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
