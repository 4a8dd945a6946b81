"""Train on windows of a signal that DataLoader workers jitter."""

import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Windows(Dataset):
    def __init__(self, length=96):
        self.signal = np.sin(np.arange(length + 16) / 3).astype("float32")
        self.length = length
        self.rng = None

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        if self.rng is None:
            self.rng = np.random.default_rng()
        window = self.signal[index : index + 16] + self.rng.normal(0, 0.05, 16).astype("float32")
        return window, self.signal[index + 16 - 1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    loader = DataLoader(Windows(), batch_size=12, shuffle=True, num_workers=2)
    model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for epoch in range(2):
        for windows, targets in loader:
            loss = nn.functional.mse_loss(model(windows).squeeze(1), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
