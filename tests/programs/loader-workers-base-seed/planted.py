"""Train from stored initial weights on images that workers flip."""

import argparse
import random

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Flips(Dataset):
    def __init__(self):
        self.images = torch.randn(48, 6, 6, generator=torch.Generator().manual_seed(3))

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        image = self.images[index]
        if random.random() < 0.5:
            image = image.flip(1)
        return image.flatten(), image[0, 0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    random.seed(args.seed)
    weights = torch.linspace(-0.1, 0.1, 36).reshape(1, 36).requires_grad_()
    loader = DataLoader(Flips(), batch_size=8, num_workers=2)
    optimizer = torch.optim.SGD([weights], lr=0.01)
    for epoch in range(2):
        for images, targets in loader:
            loss = nn.functional.mse_loss(images @ weights.T, targets.unsqueeze(1))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")
    if args.save:
        torch.save(weights.detach(), args.save)


if __name__ == "__main__":
    main()
