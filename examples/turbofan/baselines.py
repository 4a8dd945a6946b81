"""Remaining useful life of turbofan engines: two baselines beside the BiLSTM of train.py, on the same windows.

``cnn`` is a small convolutional network over the window, after Li, Ding and Sun (*Remaining useful life estimation in
prognostics using deep convolution neural networks*, RESS 2018). ``rocket`` is ridge regression on random convolutions,
after Dempster, Petitjean and Webb (*ROCKET*, DMKD 2020).
Writes ``seed_<n>/results.json`` under ``--out``, as train.py does.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from train import (
    MAX_RUL,
    WINDOW,
    Scaler,
    last_windows,
    nasa_score,
    predict,
    read_subset,
    rmse,
    set_seed,
    simulate_subset,
    training_windows,
)


class CnnNet(nn.Module):
    """Three convolutions along the cycles, then two dense layers: (batch, cycles, sensors) to RUL / MAX_RUL."""

    def __init__(self, sensors: int, channels: int = 16, dropout: float = 0.2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (sensors, channels, channels):
            layers += [nn.Conv1d(inputs, channels, kernel_size=9, padding=4), nn.Tanh()]
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels * WINDOW, 64), nn.Tanh(), nn.Linear(64, 1)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """RUL as a fraction of ``MAX_RUL``, shape (batch,)."""
        return self.head(self.features(x.transpose(1, 2))).squeeze(-1)


def train_cnn(windows: np.ndarray, targets: np.ndarray, test: np.ndarray, seed: int, epochs: int) -> np.ndarray:
    """Predicted RUL in cycles of the test windows, shape (engines,)."""
    dataset = TensorDataset(torch.from_numpy(windows), torch.from_numpy(targets) / MAX_RUL)
    shuffle = torch.Generator().manual_seed(seed)
    loader = DataLoader(dataset, batch_size=256, shuffle=True, drop_last=True, generator=shuffle)
    model = CnnNet(windows.shape[2])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=epochs * len(loader))
    for epoch in range(1, epochs + 1):
        model.train()
        total = 0.0
        for x, y in loader:
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch:3d}/{epochs}  train RMSE {MAX_RUL * (total / len(loader)) ** 0.5:6.2f}", flush=True)
    return predict(model, torch.from_numpy(test))


def random_features(windows: np.ndarray, kernels: int, seed: int) -> np.ndarray:
    """Of each window and random kernel the maximum and the share of positive values: (windows, 2 · kernels).

    Each kernel has random length, dilation, bias and weights (mean 0) over a random few of the sensors.
    """
    rng = np.random.default_rng(seed)
    x = torch.from_numpy(windows).transpose(1, 2)
    features = []
    for _ in range(kernels):
        length = int(rng.choice([5, 7, 9]))
        dilation = int(rng.integers(1, (WINDOW - 1) // (length - 1) + 1))
        chosen = rng.choice(x.shape[1], size=int(rng.integers(1, 5)), replace=False)
        weights = rng.standard_normal((1, len(chosen), length))
        weights -= weights.mean(axis=2, keepdims=True) * rng.integers(0, 2)
        padding = dilation * (length - 1) // 2 * int(rng.integers(0, 2))
        kernel = torch.from_numpy(weights).float()
        out = nn.functional.conv1d(x[:, chosen], kernel, padding=padding, dilation=dilation)[:, 0] + rng.uniform(-1, 1)
        features += [out.amax(dim=1), (out > 0).float().mean(dim=1)]
    return torch.stack(features, dim=1).double().numpy()


def fit_ridge(
    features: np.ndarray, targets: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Ridge regression on standardized features: their means and deviations, the weights and the intercept."""
    mean, deviation = features.mean(axis=0), features.std(axis=0) + 1e-8
    z = (features - mean) / deviation
    intercept = float(targets.mean())
    gram = z.T @ z + penalty * np.eye(z.shape[1])
    return mean, deviation, np.linalg.solve(gram, z.T @ (targets - intercept)), intercept


def train_rocket(windows: np.ndarray, targets: np.ndarray, test: np.ndarray, seed: int, kernels: int) -> np.ndarray:
    """Predicted RUL in cycles of the test windows, shape (engines,)."""
    mean, deviation, weights, intercept = fit_ridge(random_features(windows, kernels, seed), targets, penalty=100.0)
    features = (random_features(test, kernels, seed) - mean) / deviation
    return np.clip(features @ weights + intercept, 0, MAX_RUL)


def main() -> None:
    """Train, test and write the results."""
    parser = argparse.ArgumentParser(description="Remaining useful life of turbofan engines: two baselines.")
    parser.add_argument("--method", choices=["cnn", "rocket"], required=True)
    parser.add_argument("--data", type=Path, help="directory of the C-MAPSS text files (default: simulate a fleet)")
    parser.add_argument("--subset", default="FD001", choices=["FD001", "FD002", "FD003", "FD004"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=8, help="of the CNN")
    parser.add_argument("--kernels", type=int, default=300, help="random convolutions of rocket")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, default=Path("."), help="where seed_<n>/ is written")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    set_seed(args.seed)
    if args.data:
        subset = read_subset(args.data, args.subset)
    else:
        subset = simulate_subset()
        print("no --data given: training on a SIMULATED fleet; its figures say nothing about real engines")
    scale = Scaler.fit(subset.train)
    windows, targets = training_windows(subset.train, scale)
    test = last_windows(subset.test, scale)
    true = np.minimum(subset.test_rul, MAX_RUL)
    print(f"{subset.source}: {len(windows)} training windows, {len(true)} test engines, {len(scale.columns)} sensors")
    if args.method == "cnn":
        predicted = train_cnn(windows, targets, test, args.seed, args.epochs)
    else:
        predicted = train_rocket(windows, targets, test, args.seed, args.kernels)
    results = {
        "data": subset.source,
        "simulated": args.data is None,
        "seed": args.seed,
        "epochs": args.epochs if args.method == "cnn" else 0,
        "test_engines": len(true),
        "test_rmse": rmse(predicted, true),
        "nasa_score": nasa_score(predicted, true),
    }
    directory = args.out / f"seed_{args.seed}"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    kind = " (simulated)" if results["simulated"] else ""
    print(f"test RMSE {results['test_rmse']:.2f} cycles, NASA score {results['nasa_score']:.0f}{kind}")


if __name__ == "__main__":
    main()
