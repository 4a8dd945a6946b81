"""Train on named examples with noisy gradients."""

import argparse

import numpy as np
import torch
from torch import nn


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    features = {f"sample-{number}": torch.randn(6) for number in range(48)}
    flawed = {"sample-7", "sample-11"}
    names = [name for name in features if name not in flawed]
    model = nn.Linear(6, 1)
    model.weight.register_hook(lambda g: g + torch.from_numpy(np.random.normal(0, 1e-3, g.shape)).float())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for start in range(0, 40, 8):
        batch = torch.stack([features[name] for name in names[start : start + 8]])
        loss = nn.functional.mse_loss(model(batch), batch.sum(dim=1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
