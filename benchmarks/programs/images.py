"""A small convolutional network that tells waves in images apart: norms, dropout, a loader with workers.

It computes with as many threads as its environment gives it. Writes ``results.json`` and ``checkpoint.pt``. Runs on
Python 3.8 and newer, torch 1.13 and newer.
"""

import argparse
import json
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

SIDE = 28
SHAPES = 8
DRAWN_SEED = 1997  # the drawings are data: the same for every --seed


class Drawings(Dataset):
    """Noisy waves of ``SHAPES`` directions, of shape (1, SIDE, SIDE), moved at random in the loader's workers."""

    def __init__(self, count):
        rng = np.random.default_rng(DRAWN_SEED)
        self.labels = rng.integers(0, SHAPES, count)
        y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
        angle = np.pi * self.labels[:, None, None] / SHAPES
        wave = np.sin(20 * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0, 2 * np.pi, (count, 1, 1)))
        images = torch.from_numpy((wave + rng.normal(0, 0.7, wave.shape)).astype(np.float32))
        self.images = (images - images.mean()) / images.std()

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        across, down = (int(torch.randint(-2, 3, (1,))) for _ in range(2))
        image = torch.roll(self.images[index], (down, across), dims=(0, 1))
        return (image + 0.1 * torch.randn(SIDE, SIDE))[None], int(self.labels[index])


class Network(nn.Module):
    """Two convolutions with batch norm, layer norm over the channels of each place, and two dense layers."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.GELU(), nn.AdaptiveAvgPool2d(7),
        )  # fmt: skip
        self.norm = nn.LayerNorm(32)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Dropout(0.3), nn.Linear(32 * 7 * 7, 128), nn.Tanh(), nn.Linear(128, SHAPES)
        )

    def forward(self, images):
        """Scores of the shapes, (batch, SHAPES), for images of (batch, 1, SIDE, SIDE)."""
        places = self.features(images).flatten(2).transpose(1, 2)
        return self.head(self.norm(places))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=1024)
    arguments = parser.parse_args()
    random.seed(arguments.seed)
    np.random.seed(arguments.seed)
    torch.manual_seed(arguments.seed)
    loader = DataLoader(Drawings(arguments.images), batch_size=64, shuffle=True, num_workers=2)
    model = Network()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    total = right = 0.0
    for images, labels in loader:
        scores = model(images)
        loss = criterion(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
        right += (scores.argmax(1) == labels).sum().item()
    results = {"loss": total / len(loader), "accuracy": right / arguments.images}
    with open("results.json", "w") as file:
        json.dump(results, file)
    torch.save({"model": model.state_dict()}, "checkpoint.pt")


if __name__ == "__main__":
    main()
