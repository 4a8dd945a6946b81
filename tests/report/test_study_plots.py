from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from auditor.cli import main


def sweep(place: Path, out: Path, seeds: range, *options: str, shift: float = 0.0) -> None:
    """A study of files that exist: of two series, and one value of seed 23 is no number."""
    for seed in seeds:
        values = [5 / (1 + epoch) + (seed * 7 % 11) / 10 + shift for epoch in range(6)]
        lines = [f"{value},{'nan' if seed == 23 and value == values[-1] else value}" for value in values]
        directory = place / f"seed_{seed}"
        directory.mkdir(parents=True)
        (directory / "log.csv").write_text("\n".join(["loss,Loss", *lines, ""]))
    pattern = "seed_{seed}/log.csv"
    assert main(["run", "--quiet", "--sweep-from", str(place), pattern, "--out", str(out), *options]) in (0, 3)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("study")
    sweep(place / "old", place / "reference", range(1, 9))
    sweep(place / "new", place / "held", range(21, 29), "--reference", str(place / "reference"), shift=0.02)
    return place


def test_each_metric_is_drawn_the_same_each_time(study: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for once in ("one", "two"):
        main(["report", str(study / "held"), "--plots", str(tmp_path / once), "-o", str(tmp_path / "report.txt")])
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    stems = {name.rpartition(".")[0] for name in names}
    # Two names that come to one file's are told apart.
    name = "seed-seed-log-csv-loss"
    assert stems == {f"{kind}-{name}{number}" for kind in ("seeds", "curve") for number in ("", "-2")}
    assert len(names) == 2 * len(stems)
    for name in names:
        data = (tmp_path / "one" / name).read_bytes()
        assert data == (tmp_path / "two" / name).read_bytes()
        assert data.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")


def test_seeds_without_a_reference_are_drawn(study: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    main(["report", str(study / "reference"), "--plots", str(tmp_path / "plots"), "-o", str(tmp_path / "report.txt")])
    stems = {path.stem for path in (tmp_path / "plots").iterdir()}
    assert stems == {"seeds-seed-seed-log-csv-loss", "seeds-seed-seed-log-csv-loss-2"}


def test_one_seed_is_no_study(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "auditor", "run", "-q", "--out", "audit", "--", sys.executable, "-c", "print(1)"]
    subprocess.run(command, cwd=tmp_path, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-m", "auditor", "report", "audit", "--plots", "plots"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "no-study" in done.stderr
    assert not (tmp_path / "plots").exists()
