"""Train on images to which DataLoader workers add seeded noise."""

import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, get_worker_info


class Noisy(Dataset):
    def __init__(self, seed):
        self.images = np.linspace(-1, 1, 64 * 9).reshape(64, 9).astype("float32")
        self.rng = np.random.default_rng(seed)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index] + self.rng.normal(0, 0.1, 9).astype("float32")
        return image, np.float32(index % 2)


def seed_worker(worker):
    info = get_worker_info()
    info.dataset.rng = np.random.default_rng(info.seed)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    loader = DataLoader(Noisy(args.seed), batch_size=8, num_workers=2, worker_init_fn=seed_worker)
    model = nn.Linear(9, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for epoch in range(2):
        for images, labels in loader:
            loss = nn.functional.binary_cross_entropy_with_logits(model(images).squeeze(1), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
