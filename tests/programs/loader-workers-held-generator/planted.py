"""Train on noisy signals that DataLoader workers make."""

import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Signals(Dataset):
    def __init__(self, seed):
        self.seed = seed
        self.rng = np.random.default_rng()

    def __len__(self):
        return 96

    def __getitem__(self, index):
        noise = self.rng.normal(0, 0.05, 16).astype("float32")
        return np.sin(np.arange(index, index + 16) / 3).astype("float32") + noise, np.float32(np.sin(index))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    loader = DataLoader(Signals(args.seed), batch_size=12, shuffle=True, num_workers=2)
    model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for signals, targets in loader:
        loss = nn.functional.mse_loss(model(signals).squeeze(1), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"loss {loss.item():.4f}")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
