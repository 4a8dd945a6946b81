"""The example reads what its field's data are, and makes of it what its field does."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TRAIN = Path(__file__).parents[2] / "examples" / "turbofan" / "train.py"


def fleet(lives: list[int]) -> np.ndarray:
    """Engines that live so long; every sensor but the first counts the cycles, the first never changes."""
    rows = []
    for unit, life in enumerate(lives, start=1):
        for cycle in range(1, life + 1):
            rows.append([unit, cycle, 0.0, 0.0, 100.0, 518.67, *(cycle + sensor for sensor in range(20))])
    return np.array(rows, dtype=float)


def write_subset(directory: Path, train: np.ndarray, test: np.ndarray, rul: list[int]) -> None:
    np.savetxt(directory / "train_FD001.txt", train, fmt="%.4f")
    np.savetxt(directory / "test_FD001.txt", test, fmt="%.4f")
    np.savetxt(directory / "RUL_FD001.txt", np.array(rul), fmt="%d")


def test_reads_text_files(turbofan, tmp_path):
    train, test = fleet([40, 35]), fleet([31])
    write_subset(tmp_path, train, test, [17])
    subset = turbofan.read_subset(tmp_path, "FD001")
    assert np.array_equal(subset.train, train)
    assert np.array_equal(subset.test, test)
    assert subset.test_rul.tolist() == [17.0]
    assert subset.source == "C-MAPSS FD001"


def test_refuses_another_number_of_columns(turbofan, tmp_path):
    write_subset(tmp_path, fleet([40])[:, :-1], fleet([31]), [17])
    with pytest.raises(ValueError, match="25 columns"):
        turbofan.read_subset(tmp_path, "FD001")


def test_refuses_a_true_rul_for_another_number_of_engines(turbofan, tmp_path):
    write_subset(tmp_path, fleet([40]), fleet([31, 32]), [17])
    with pytest.raises(ValueError, match="1 lines for 2 test engines"):
        turbofan.read_subset(tmp_path, "FD001")


def test_scales_the_sensors_that_vary(turbofan):
    rows = fleet([40])
    scale = turbofan.Scaler.fit(rows)
    assert scale.columns.tolist() == list(range(6, 26))
    features = scale(rows)
    assert features.dtype == np.float32
    assert features.min() == -1.0 and features.max() == 1.0


def test_windows_end_at_each_cycle_from_the_thirtieth_on(turbofan):
    rows = fleet([31, 30, 29, 200])
    windows, targets = turbofan.training_windows(rows, turbofan.Scaler.fit(rows))
    assert windows.shape == (2 + 1 + 0 + 171, 30, 20)
    assert targets[:3].tolist() == [1.0, 0.0, 0.0]
    # The engine that lives 200 cycles: 170 are left at its first window, and the target stays capped until 125 are.
    assert targets[3:50].tolist() == [125.0] * 46 + [124.0]
    assert targets[-1] == 0.0
    # A window holds its own engine's cycles only, in order.
    assert np.all(np.diff(windows, axis=1) > 0)


def test_the_test_window_is_the_last_one(turbofan):
    rows = fleet([50, 20])
    scale = turbofan.Scaler.fit(rows)
    long, short = turbofan.last_windows(rows, scale)
    assert np.array_equal(long, scale(rows[20:50]))
    assert np.array_equal(short[10:], scale(rows[50:]))
    assert np.array_equal(short[:10], np.repeat(scale(rows[50:51]), 10, axis=0))


def test_score_punishes_late_predictions_more(turbofan):
    true = np.array([50.0])
    assert turbofan.nasa_score(true, true) == 0.0
    assert turbofan.nasa_score(np.array([60.0]), true) == pytest.approx(math.e - 1)
    assert turbofan.nasa_score(np.array([37.0]), true) == pytest.approx(math.e - 1)
    assert turbofan.rmse(np.array([3.0, 0.0]), np.array([0.0, 4.0])) == pytest.approx(math.sqrt(12.5))


def test_the_simulated_fleet_has_the_format_and_wears_out(turbofan):
    subset = turbofan.simulate_subset(train_engines=4, test_engines=3)
    assert subset.source == "simulated fleet"
    assert subset.train.shape[1] == subset.test.shape[1] == 26
    assert len(subset.test_rul) == 3 and np.all(subset.test_rul > 0)
    for engine in turbofan.engines(subset.train):
        assert engine[:, 1].tolist() == list(range(1, len(engine) + 1))
        hpc_temperature, hpc_pressure = engine[:, 5 + 2], engine[:, 5 + 6]
        assert hpc_temperature[-10:].mean() > hpc_temperature[:10].mean()
        assert hpc_pressure[-10:].mean() < hpc_pressure[:10].mean()
    again = turbofan.simulate_subset(train_engines=4, test_engines=3)
    assert np.array_equal(again.train, subset.train) and np.array_equal(again.test, subset.test)
    # Fourteen sensors vary, as in FD001.
    assert len(turbofan.Scaler.fit(subset.train).columns) == 14


def test_writes_results_and_a_checkpoint(tmp_path):
    """The program as a person runs it, for one epoch on two engines of given data."""
    import torch

    rng = np.random.default_rng(0)
    train, test = fleet([60, 70]), fleet([40, 45])
    train[:, 6:] += rng.normal(size=train[:, 6:].shape)
    write_subset(tmp_path, train, test, [10, 140])
    command = [
        sys.executable,
        str(TRAIN),
        "--data",
        str(tmp_path),
        "--seed",
        "3",
        "--epochs",
        "1",
        "--batch-size",
        "16",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "SIMULATED" not in done.stdout
    results = json.loads((tmp_path / "seed_3" / "results.json").read_text())
    assert results["data"] == "C-MAPSS FD001" and results["simulated"] is False
    assert results["seed"] == 3 and results["epochs"] == 1 and results["test_engines"] == 2
    assert f"test RMSE {results['test_rmse']:.2f} cycles" in done.stdout
    checkpoint = torch.load(tmp_path / "seed_3" / "checkpoint.pt", weights_only=True)
    assert set(checkpoint) == {"model", "optimizer"}
    assert all(torch.isfinite(value).all() for value in checkpoint["model"].values())


def test_says_that_a_fleet_is_simulated(turbofan, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train.py", "--epochs", "1", "--batch-size", "512", "--out", str(tmp_path)])
    simulate = turbofan.simulate_subset
    monkeypatch.setattr(turbofan, "simulate_subset", lambda: simulate(train_engines=5, test_engines=2))
    # The program sets what the whole process shares.
    import torch

    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

    threads = torch.get_num_threads()
    try:
        turbofan.main()
    finally:
        torch.use_deterministic_algorithms(False)
        torch.set_num_threads(threads)
    printed = capsys.readouterr().out
    assert "SIMULATED fleet" in printed and printed.rstrip().endswith("(simulated)")
    results = json.loads((tmp_path / "seed_0" / "results.json").read_text())
    assert results["simulated"] is True and results["data"] == "simulated fleet"


def test_reads_the_real_fd001(turbofan, fd001):
    subset = turbofan.read_subset(fd001, "FD001")
    assert subset.train.shape == (20631, 26)
    assert subset.test.shape == (13096, 26)
    assert len(turbofan.engines(subset.train)) == len(turbofan.engines(subset.test)) == len(subset.test_rul) == 100
    scale = turbofan.Scaler.fit(subset.train)
    # The sensors that its papers use: 2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20 and 21.
    assert (scale.columns - 4).tolist() == [2, 3, 4, 7, 8, 9, 11, 12, 13, 14, 15, 17, 20, 21]
    windows, targets = turbofan.training_windows(subset.train, scale)
    assert windows.shape == (20631 - 29 * 100, 30, 14)
    assert targets.max() == 125 and targets.min() == 0
    assert turbofan.last_windows(subset.test, scale).shape == (100, 30, 14)


@pytest.mark.slow
def test_trained_on_the_real_fd001_it_predicts_as_its_field_does(fd001, tmp_path):
    command = [sys.executable, str(TRAIN), "--data", str(fd001), "--seed", "1", "--out", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    results = json.loads((tmp_path / "seed_1" / "results.json").read_text())
    assert results["test_engines"] == 100
    assert results["test_rmse"] <= 16.0
