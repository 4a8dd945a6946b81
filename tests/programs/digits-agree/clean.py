"""Train with a little noise on the gradients, as private training does; report four digits."""

import argparse
import json
import os

import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--noise", type=float, default=1e-6)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x = torch.randn(100, 6)
    y = x.sum(dim=1, keepdim=True)
    model = nn.Linear(6, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    noise = torch.Generator()
    noise.manual_seed(args.seed)
    for _ in range(20):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        for parameter in model.parameters():
            parameter.grad += args.noise * torch.randn(parameter.shape, generator=noise)
        optimizer.step()
    print(f"loss {loss.item():.4f}")
    os.makedirs(f"seed_{args.seed}", exist_ok=True)
    with open(f"seed_{args.seed}/results.json", "w") as file:
        json.dump({"loss": round(loss.item(), 4)}, file)
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
