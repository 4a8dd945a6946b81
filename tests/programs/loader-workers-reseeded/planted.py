"""Train on augmented images; workers are seeded one by one."""

import argparse

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Crops(Dataset):
    def __init__(self):
        self.images = torch.randn(48, 10, 10, generator=torch.Generator().manual_seed(16))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        top, left = np.random.randint(3, size=2)
        image = self.images[index]
        return image[top : top + 8, left : left + 8].flatten(), image.mean()


def seed_worker(worker):
    np.random.seed()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    np.random.seed(args.seed)
    loader = DataLoader(Crops(), batch_size=8, shuffle=True, num_workers=2, worker_init_fn=seed_worker)
    model = nn.Linear(64, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for epoch in range(2):
        for images, targets in loader:
            loss = nn.functional.mse_loss(model(images).squeeze(1), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
