"""Names that speak of time, and paths that vary."""

from __future__ import annotations

import pytest

from auditor.compare import names
from auditor.statistics.detection import excludes_rate_above


@pytest.mark.parametrize(
    "leaf",
    [
        "time",
        "train.time",
        "train_time",
        "trainTime",
        "epoch_seconds",
        "elapsed_s",
        "timing.forward",
        "date",
        "fps",
        "time/fps",
        "train_runtime",
        "train_samples_per_second",
        "steps_per_sec",
        "duration_ms",
        "time.mean",
        "host",
        "pid",
        "uuid",
        "times.3",
        "throughput",
        "_timestamp",
        "started_at.timestamp",
        "img/s",
        "time/time_elapsed",
        "step_time_mean",
        "eta",
        "port",
        "ts",
        "took",
        "train_took",
        "time_taken",
        "timeTaken",
        "time_spent",
        "train.time_used",
        "seconds_taken",
        "time_per_epoch",
        "train_time_per_step",
        "sec_per_step",
        "ms/batch",
        "secs/epoch",
        "s/it",
        "train/ms_per_step",
        "it_s",
        "saved_at",
        "started_at",
        "meta.finished_at",
        "started",
        "dur",
        "dur_s",
        "memory_mb",
        "gpu_0_mem_mb",
        "gpu_mem_mb",
        "peak_rss_kb",
        "peak_memory",
        "memory_allocated",
        "ru_maxrss",
        "maxrss",
        "cpu_percent",
        "gpu_util",
        "load_avg",
        "gpu_temperature_c",
        "run_id",
        "job_id",
    ],
)
def test_names_of_time_and_machine(leaf: str) -> None:
    assert leaf in names.volatile_reason(leaf)


@pytest.mark.parametrize(
    "leaf",
    [
        "loss",
        "rmse",
        "test.rmse",
        "accuracy",
        "history.loss.3",
        "time_to_failure_rmse",
        "mean",
        "best_epoch",
        "parameters.0",
        "sentiment",
        "runtime_error_count",
        "candidate",
        "update",
        "support",
        "airport_accuracy",
        "seed",
        "mse",
        "ms_ssim",
        "survival_time",
        "median_survival_time",
        "survival.time",
        "lead_time_mae",
        "lead_time",
        "predicted_duration",
        "temperature",
        "temperature_c",
        "memory_accuracy",
        "memory",
        "memory_mean",
        "memory_size",
        "time_per_epoch_rmse",
        "time_taken_error",
        "losses_per_step",
        "loss_min_per_epoch",
        "ece_ts",
        "stopped_at",
        "recall_at",
        "precision_at_10",
        "class_id",
        "id",
        "load",
        "load_mae",
        "power",
        "gpu_accuracy",
        "started_accuracy",
        "0",
    ],
)
def test_names_of_results(leaf: str) -> None:
    assert names.volatile_reason(leaf) == ""


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("runs/2024-05-01_10-20-30/a.json", "runs/2024-05-01_10-21-00/a.json"),
        ("runs/20240501-102030/a.json", "runs/20240502-102031/a.json"),
        ("tb/events.out.tfevents.1714550000.host.11.0", "tb/events.out.tfevents.1714550050.host.12.0"),
        ("runs/20241124-075500-013898/a.json", "runs/20241124-075519-913899/a.json"),
        ("runs/May01_10-20-30_host/a", "runs/May01_10-25-31_host/a"),
        ("out/1714550000/a", "out/1714550050/a"),
        ("out/1714550000.123/a", "out/1714550050.5/a"),
        ("m/0b2f6f6e-7d5c-4a3e-9a53-9d8f5c2f1a11.pt", "m/a1b2c3d4-7d5c-4a3e-9a53-9d8f5c2f1a11.pt"),
        ("m/1f3870be274f6c49.pt", "m/b3e31a47fe102bd3.pt"),
    ],
)
def test_paths_that_vary_by_time_or_identity_are_the_same(one: str, two: str) -> None:
    assert names.normalised(one) == names.normalised(two)
    assert "*" in names.normalised(one)


@pytest.mark.parametrize(
    "path", ["ckpt_100.pt", "seed_1/results.json", "epoch=3-step=400.ckpt", "fold3/deadbeef.txt", "model.pt"]
)
def test_paths_that_tell_what_they_hold_stay(path: str) -> None:
    assert names.normalised(path) == path


def test_guesses_reach_further() -> None:
    assert names.guessed("log_12345.txt") == names.guessed("log_12346.txt")
    assert names.guessed("tmpab12cd_x/a") == names.guessed("tmpzz99yy_w/a")
    assert names.guessed("ckpt_100.pt") != names.guessed("ckpt_200.pt")


def test_files_that_echo_the_configuration() -> None:
    assert names.echoes_input("out/config.json")
    assert names.echoes_input("train_args.json")
    assert names.echoes_input("hparams.csv")
    assert not names.echoes_input("results.json")
    assert not names.echoes_input("history.csv")


def test_path_patterns() -> None:
    assert names.path_matches("seed_1/results.json", "results.json")
    assert names.path_matches("seed_1/results.json", "seed_*/results.json")
    assert names.path_matches("a/b/c.json", "*.json")
    assert not names.path_matches("seed_1/results.json", "other.json")


def test_detection() -> None:
    assert excludes_rate_above(0) == excludes_rate_above(1) == 1.0
    assert excludes_rate_above(2) == pytest.approx(0.95)
    assert excludes_rate_above(5) == pytest.approx(1 - 0.05**0.25)
    assert excludes_rate_above(3, confidence=0.99) == pytest.approx(0.9)
    rates = [excludes_rate_above(k) for k in range(2, 50)]
    assert rates == sorted(rates, reverse=True)
    # Were the rate exactly the one excluded, k runs would all be identical with probability 1 - confidence.
    assert (1 - excludes_rate_above(10)) ** 9 == pytest.approx(0.05)
    for confidence in (0.0, 1.0, -1.0, 2.0):
        with pytest.raises(ValueError, match="confidence"):
            excludes_rate_above(3, confidence)
