"""Train layers that are kept in a plain list, and save the module's state."""

import argparse
import os

import torch
from torch import nn


class Stack(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(4, 8), nn.Linear(8, 1)]

    def forward(self, x):
        return self.layers[1](self.layers[0](x).relu())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    generator = torch.Generator().manual_seed(6)
    x = torch.randn(64, 4, generator=generator)
    y = x[:, :1] - x[:, 1:2]
    model = Stack()
    optimizer = torch.optim.SGD([p for layer in model.layers for p in layer.parameters()], lr=0.05)
    for _ in range(16):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("done")
    os.makedirs(f"seed_{args.seed}", exist_ok=True)
    torch.save(model.state_dict(), f"seed_{args.seed}/model.pt")
    if args.save:
        torch.save([layer.state_dict() for layer in model.layers], args.save)


if __name__ == "__main__":
    main()
