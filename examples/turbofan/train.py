"""Remaining useful life of turbofan engines: a bidirectional LSTM on NASA's C-MAPSS data.

Reads the text files of one C-MAPSS subset (Saxena et al., PHM08) from ``--data``, or simulates a small fleet in the
same format. Writes ``seed_<n>/results.json`` and ``seed_<n>/checkpoint.pt`` under ``--out``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

WINDOW = 30  # cycles that the network sees
MAX_RUL = 125  # cycles; an engine further from failure looks healthy (Heimes, PHM08)
COLUMNS = 26  # unit, cycle, 3 operational settings, 21 sensors
FLEET_SEED = 2008  # the simulated fleet is data: the same for every --seed


class Subset(NamedTuple):
    """One C-MAPSS subset: rows of ``COLUMNS`` values, and the true RUL of each test engine."""

    train: np.ndarray  # (rows, 26)
    test: np.ndarray  # (rows, 26)
    test_rul: np.ndarray  # (test engines,), in cycles
    source: str


def read_subset(directory: Path, name: str) -> Subset:
    """Read ``train_<name>.txt``, ``test_<name>.txt`` and ``RUL_<name>.txt``."""
    train, test = (np.loadtxt(directory / f"{part}_{name}.txt", ndmin=2) for part in ("train", "test"))
    rul = np.loadtxt(directory / f"RUL_{name}.txt", ndmin=1)
    for part, rows in (("train", train), ("test", test)):
        if rows.shape[1] != COLUMNS:
            raise ValueError(f"{part}_{name}.txt has {rows.shape[1]} columns; C-MAPSS files have {COLUMNS}")
    if len(np.unique(test[:, 0])) != len(rul):
        raise ValueError(f"RUL_{name}.txt has {len(rul)} lines for {len(np.unique(test[:, 0]))} test engines")
    return Subset(train, test, rul, f"C-MAPSS {name}")


# Sensor: value of a new engine, noise (standard deviation), change at failure. Of the order of those in FD001, whose
# fault is in the high-pressure compressor: temperatures and fuel flow rise, pressures and coolant bleed fall.
SENSORS = np.array(
    [
        (518.67, 0.0, 0.0),  # T2, fan inlet temperature
        (642.3, 0.33, 1.7),  # T24, LPC outlet temperature
        (1585.0, 4.6, 22.0),  # T30, HPC outlet temperature
        (1401.0, 4.8, 30.0),  # T50, LPT outlet temperature
        (14.62, 0.0, 0.0),  # P2, fan inlet pressure
        (21.61, 0.001, 0.0),  # P15, bypass-duct pressure
        (554.2, 0.45, -3.0),  # P30, HPC outlet pressure
        (2388.05, 0.04, 0.19),  # Nf, fan speed
        (9058.0, 8.0, 15.0),  # Nc, core speed
        (1.3, 0.0, 0.0),  # epr, engine pressure ratio
        (47.3, 0.14, 1.0),  # Ps30, HPC outlet static pressure
        (522.1, 0.37, -2.6),  # phi, fuel flow over Ps30
        (2388.05, 0.04, 0.19),  # NRf, corrected fan speed
        (8140.0, 8.0, 12.0),  # NRc, corrected core speed
        (8.41, 0.021, 0.13),  # BPR, bypass ratio
        (0.03, 0.0, 0.0),  # farB, burner fuel-air ratio
        (391.5, 0.9, 6.0),  # htBleed, bleed enthalpy
        (2388.0, 0.0, 0.0),  # Nf_dmd, demanded fan speed
        (100.0, 0.0, 0.0),  # PCNfR_dmd, demanded corrected fan speed
        (39.0, 0.1, -0.7),  # W31, HPT coolant bleed
        (23.4, 0.06, -0.42),  # W32, LPT coolant bleed
    ]
)


def simulate_subset(train_engines: int = 40, test_engines: int = 40) -> Subset:
    """A simulated fleet in C-MAPSS format: wear grows exponentially from an unknown initial state until failure."""
    rng = np.random.default_rng(FLEET_SEED)

    def engine(unit: int) -> np.ndarray:
        life = int(np.clip(rng.normal(205, 45), 130, 360))
        cycle = np.arange(1, life + 1)
        initial, steepness = rng.uniform(0.0, 0.08), rng.uniform(3.0, 5.5)
        growth = np.expm1(steepness * cycle / life) / np.expm1(steepness)
        wear = initial + (1 - initial) * growth
        nominal, noise, change = SENSORS.T
        manufacture = rng.normal(0, 0.4, len(SENSORS)) * noise
        sensors = nominal + manufacture + wear[:, None] * change + rng.normal(0, 1, (life, len(SENSORS))) * noise
        settings = np.stack([rng.normal(0, 0.0022, life), rng.normal(0, 0.0003, life), np.full(life, 100.0)], axis=1)
        return np.column_stack([np.full(life, unit), cycle, settings.round(4), sensors.round(4)])

    train = [engine(unit) for unit in range(1, train_engines + 1)]
    test, rul = [], []
    for unit in range(1, test_engines + 1):
        rows = engine(unit)
        seen = int(rng.integers(WINDOW + 1, len(rows) - 5))
        test.append(rows[:seen])
        rul.append(len(rows) - seen)
    return Subset(np.concatenate(train), np.concatenate(test), np.array(rul, dtype=float), "simulated fleet")


def engines(rows: np.ndarray) -> list[np.ndarray]:
    """The rows of each engine, in order of unit number."""
    return [rows[rows[:, 0] == unit] for unit in np.unique(rows[:, 0])]


class Scaler(NamedTuple):
    """Min-max scaling to [-1, 1] of the columns that vary over the training engines."""

    columns: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def fit(cls, train: np.ndarray) -> Scaler:
        """Choose the sensors that vary, and their range."""
        sensors = np.arange(5, COLUMNS)
        columns = sensors[train[:, sensors].std(axis=0) > 2e-3]
        return cls(columns, train[:, columns].min(axis=0), train[:, columns].max(axis=0))

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        """Scaled features, shape (rows, columns kept)."""
        return (2 * (rows[:, self.columns] - self.low) / (self.high - self.low) - 1).astype(np.float32)


def training_windows(rows: np.ndarray, scale: Scaler) -> tuple[np.ndarray, np.ndarray]:
    """Every window of ``WINDOW`` cycles with the RUL at its last cycle, capped at ``MAX_RUL``."""
    windows, targets = [], []
    for engine in engines(rows):
        features = scale(engine)
        rul = np.minimum(np.arange(len(engine) - 1, -1, -1), MAX_RUL)
        for end in range(WINDOW, len(engine) + 1):
            windows.append(features[end - WINDOW : end])
            targets.append(rul[end - 1])
    return np.stack(windows), np.array(targets, dtype=np.float32)


def last_windows(rows: np.ndarray, scale: Scaler) -> np.ndarray:
    """The last ``WINDOW`` cycles of each engine; a shorter history is extended backwards with its first cycle."""
    windows = []
    for engine in engines(rows):
        features = scale(engine)[-WINDOW:]
        missing = WINDOW - len(features)
        windows.append(np.concatenate([np.repeat(features[:1], missing, axis=0), features]))
    return np.stack(windows)


class RulNet(nn.Module):
    """A bidirectional LSTM over the window, then two dense layers: (batch, cycles, sensors) to RUL / MAX_RUL."""

    def __init__(self, sensors: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.lstm = nn.LSTM(sensors, hidden, num_layers=2, batch_first=True, dropout=dropout, bidirectional=True)
        self.head = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """RUL as a fraction of ``MAX_RUL``, shape (batch,)."""
        output, _ = self.lstm(x)
        return self.head(output[:, -1]).squeeze(-1)


def rmse(predicted: np.ndarray, true: np.ndarray) -> float:
    """Root mean squared error in cycles."""
    return float(np.sqrt(np.mean((predicted - true) ** 2)))


def nasa_score(predicted: np.ndarray, true: np.ndarray) -> float:
    """The PHM08 score, lower is better: predicting a failure too late costs more than predicting it too early."""
    late = predicted - true
    return float(np.sum(np.where(late < 0, np.expm1(-late / 13), np.expm1(late / 10))))


def set_seed(seed: int) -> None:
    """Seed every generator and ask torch for deterministic kernels."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def predict(model: nn.Module, windows: torch.Tensor) -> np.ndarray:
    """Predicted RUL in cycles, limited to what can be true: 0 to ``MAX_RUL``."""
    model.eval()
    with torch.no_grad():
        return (model(windows) * MAX_RUL).clamp(0, MAX_RUL).cpu().numpy().astype(np.float64)


def main() -> None:
    """Train, test and write the results."""
    parser = argparse.ArgumentParser(description="Remaining useful life of turbofan engines with a BiLSTM.")
    parser.add_argument("--data", type=Path, help="directory of the C-MAPSS text files (default: simulate a fleet)")
    parser.add_argument("--subset", default="FD001", choices=["FD001", "FD002", "FD003", "FD004"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help="default: 16 with --data, 6 on the simulated fleet")
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--workers", type=int, default=0, help="DataLoader workers")
    parser.add_argument(
        "--threads", type=int, default=1, help="CPU threads; so small a network gains nothing from more"
    )
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--out", type=Path, default=Path("."), help="where seed_<n>/ is written")
    args = parser.parse_args()
    epochs = args.epochs or (16 if args.data else 6)

    torch.set_num_threads(args.threads)
    set_seed(args.seed)
    if args.data:
        subset = read_subset(args.data, args.subset)
    else:
        subset = simulate_subset()
        print("no --data given: training on a SIMULATED fleet; its figures say nothing about real engines")

    scale = Scaler.fit(subset.train)
    windows, targets = training_windows(subset.train, scale)
    dataset = TensorDataset(torch.from_numpy(windows), torch.from_numpy(targets) / MAX_RUL)
    loader = DataLoader(
        dataset,
        batch_size=args.batch_size,
        shuffle=True,
        drop_last=True,
        num_workers=args.workers,
        generator=torch.Generator().manual_seed(args.seed),
    )
    test_windows = torch.from_numpy(last_windows(subset.test, scale)).to(args.device)
    test_rul = np.minimum(subset.test_rul, MAX_RUL)
    print(
        f"{subset.source}: {len(dataset)} training windows, {len(test_rul)} test engines, {len(scale.columns)} sensors"
    )

    model = RulNet(len(scale.columns), args.hidden, args.dropout).to(args.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=max(1, epochs * len(loader)))
    for epoch in range(1, epochs + 1):
        model.train()
        started, total = time.perf_counter(), 0.0
        for x, y in loader:
            loss = nn.functional.mse_loss(model(x.to(args.device)), y.to(args.device))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        train_rmse = MAX_RUL * (total / len(loader)) ** 0.5
        print(
            f"epoch {epoch:3d}/{epochs}  train RMSE {train_rmse:6.2f}  {time.perf_counter() - started:5.1f} s",
            flush=True,
        )

    predicted = predict(model, test_windows)
    results = {
        "data": subset.source,
        "simulated": args.data is None,
        "seed": args.seed,
        "epochs": epochs,
        "test_engines": len(test_rul),
        "test_rmse": rmse(predicted, test_rul),
        "nasa_score": nasa_score(predicted, test_rul),
    }
    directory = args.out / f"seed_{args.seed}"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "results.json").write_text(json.dumps(results, indent=2) + "\n")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, directory / "checkpoint.pt")
    kind = " (simulated)" if results["simulated"] else ""
    print(f"test RMSE {results['test_rmse']:.2f} cycles, NASA score {results['nasa_score']:.0f}{kind}")


if __name__ == "__main__":
    main()
