"""Train a classifier, then test it on randomly perturbed inputs."""

import argparse
import json
import os

import numpy as np
import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x = torch.randn(200, 6)
    y = (x[:, 0] * x[:, 1] > 0).long()
    model = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(20):
        loss = nn.functional.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    rng = np.random.default_rng(args.seed)
    model.eval()
    with torch.no_grad():
        noise = torch.from_numpy(rng.normal(0, 0.5, x.shape)).float()
        robust_loss = nn.functional.cross_entropy(model(x + noise), y).item()
    print("robust loss", robust_loss)
    os.makedirs(f"seed_{args.seed}", exist_ok=True)
    with open(f"seed_{args.seed}/results.json", "w") as file:
        json.dump({"train_loss": loss.item(), "test": {"robust_loss": robust_loss}}, file)
    torch.save(model.state_dict(), f"seed_{args.seed}/model.pt")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
