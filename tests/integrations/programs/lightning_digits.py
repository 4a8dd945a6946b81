"""Classify handwritten digits with a Lightning Trainer, shuffled batches from DataLoader workers, and a CSV log."""

from __future__ import annotations

import argparse

import lightning as L
import torch
from lightning.pytorch.loggers import CSVLogger
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split


class Classifier(L.LightningModule):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.network = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Dropout(0.2),
            nn.Linear(width * 16, 10),
        )

    def training_step(self, batch: list[torch.Tensor], batch_idx: int) -> torch.Tensor:
        images, labels = batch
        loss = nn.functional.cross_entropy(self.network(images), labels)
        self.log("train_loss", loss, on_step=True)
        return loss

    def validation_step(self, batch: list[torch.Tensor], batch_idx: int) -> None:
        images, labels = batch
        logits = self.network(images)
        self.log("val_loss", nn.functional.cross_entropy(logits, labels))
        self.log("val_accuracy", (logits.argmax(1) == labels).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--width", type=int, default=16)
    arguments = parser.parse_args()

    if arguments.seed is not None:
        L.seed_everything(arguments.seed, workers=True)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    training, validation = random_split(TensorDataset(images, torch.tensor(digits.target)), [0.8, 0.2])
    trainer = L.Trainer(max_epochs=arguments.epochs, accelerator="cpu", logger=CSVLogger("logs"), log_every_n_steps=10)
    trainer.fit(
        Classifier(arguments.width),
        DataLoader(training, batch_size=64, shuffle=True, num_workers=arguments.workers),
        DataLoader(validation, batch_size=256, num_workers=arguments.workers),
    )
    trainer.save_checkpoint("final.ckpt")


if __name__ == "__main__":
    main()
