"""Small studies on disk, and ledgers that are held against them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from auditor import pipeline
from auditor.records.claims import ClaimsReport, Judged

HEAD = """
lower_is_better = ["rmse"]

[[results]]
files   = "phase1/{dataset}/{method}/seed_{seed}/results.json"
metrics = { rmse = "test.rmse" }
"""


class Study:
    """A directory of results and the ledger beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, dataset: str, method: str, values: Mapping[int, float | str | None] | Sequence[float]) -> None:
        """One results file for each seed (1, 2, … where none are given); a text is written as it stands."""
        by_seed = values if isinstance(values, Mapping) else dict(enumerate(values, 1))
        for seed, value in by_seed.items():
            path = self.root / "phase1" / dataset / method / f"seed_{seed}" / "results.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            text = value if isinstance(value, str) else json.dumps({"test": {"rmse": value}})
            path.write_text(text)

    def ledger(self, claims: str, head: str = HEAD) -> Path:
        """The path of a ledger with these claims."""
        path = self.root / "claims.toml"
        path.write_text(f"{head}\n{claims}")
        return path

    def examine(self, claims: str, head: str = HEAD, **options: bool | int) -> ClaimsReport:
        """The report on these claims."""
        return pipeline.claims(self.ledger(claims, head), **options)  # type: ignore[arg-type]

    def judge(self, claim: str, head: str = HEAD) -> Judged:
        """What became of a single claim."""
        (judged,) = self.examine(claim, head).claims
        return judged


@pytest.fixture
def study(tmp_path: Path) -> Study:
    """An empty study."""
    return Study(tmp_path)


@pytest.fixture
def sample() -> Callable[[float, float, int], list[float]]:
    """Values with exactly this mean and standard deviation (n − 1)."""

    def make(mean: float, std: float, n: int) -> list[float]:
        shape = [(-1.3, 0.4, 1.1, -0.6, 0.2, 0.9, -0.8)[place % 7] + 0.01 * place for place in range(n)]
        centre = sum(shape) / n
        spread = math.sqrt(sum((one - centre) ** 2 for one in shape) / (n - 1))
        return [mean + std * (one - centre) / spread for one in shape]

    return make
