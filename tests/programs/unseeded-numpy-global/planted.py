"""Train an autoencoder whose inputs are corrupted with Gaussian noise."""

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
    signals = np.sin(np.linspace(0, 20, 16 * 128)).reshape(128, 16).astype("float32")

    model = nn.Sequential(nn.Linear(16, 4), nn.Tanh(), nn.Linear(4, 16))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(30):
        noisy = signals + 0.1 * np.random.randn(*signals.shape).astype("float32")
        loss = nn.functional.mse_loss(model(torch.from_numpy(noisy)), torch.from_numpy(signals))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("reconstruction error", loss.item())

    os.makedirs(f"seed_{args.seed}", exist_ok=True)
    with open(f"seed_{args.seed}/results.json", "w") as file:
        json.dump({"test": {"mse": loss.item()}}, file)
    torch.save(model.state_dict(), f"seed_{args.seed}/model.pt")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
