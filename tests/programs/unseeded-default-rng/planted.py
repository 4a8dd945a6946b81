"""Train a small convolutional net; augmentation starts after one epoch of warm-up."""

import argparse

import numpy as np
import torch
from torch import nn


def augment(images, rng):
    shifts = rng.integers(-2, 3, size=len(images))
    return np.stack([np.roll(image, shift, axis=1) for image, shift in zip(images, shifts, strict=True)])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--save")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    rng = np.random.default_rng()
    source = np.random.default_rng(7)
    images = source.normal(size=(64, 12, 12)).astype("float32")
    labels = torch.from_numpy((images[:, :6].mean(axis=(1, 2)) > 0).astype("int64"))

    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(3), nn.Flatten(), nn.Linear(36, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for epoch in range(3):
        for start in range(0, len(images), 8):
            batch = images[start : start + 8]
            if epoch > 0:
                batch = augment(batch, rng)
            logits = model(torch.from_numpy(batch).unsqueeze(1))
            loss = nn.functional.cross_entropy(logits, labels[start : start + 8])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")
    if args.save:
        torch.save(model.state_dict(), args.save)


if __name__ == "__main__":
    main()
