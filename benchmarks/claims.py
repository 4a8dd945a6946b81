"""``auditor claims`` beside autorank, scikit-posthocs, deepsig and rliable: nine methods, ten blocks, five seeds.

Each program is started cold, reads the same fifty files per method, and answers what its package answers: the ledger's
value, order and Friedman claim for ours, the nearest that the others have. Medians of the runs, taken in turn.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import statistics
import sys
import tempfile
from pathlib import Path

from measure import ROOT, cost, environment, machine

METHODS = ("GRACE", "GABA", "Uniform", "DWA", "PCGrad", "CAGrad", "IMTL", "NashMTL", "RLW")
DATASETS = tuple(f"FD{number:03d}" for number in range(1, 11))
LEDGER = """
lower_is_better = ["rmse"]

[[results]]
files   = "phase1/{dataset}/{method}/seed_{seed}/results.json"
metrics = { rmse = "test.rmse" }

[[claim]]
kind = "value"
of   = { dataset = "FD002", method = "GRACE", metric = "rmse" }
mean = MEAN
std  = STD
n    = 5

[[claim]]
kind   = "order"
of     = { dataset = "FD002", metric = "rmse" }
better = "GRACE"
than   = "RLW"

[[claim]]
kind    = "friedman"
of      = { metric = "rmse" }
p_below = 0.05
best    = "GRACE"
"""
READ = """
import json, pathlib, numpy as np
METHODS, DATASETS = {methods!r}, {datasets!r}
scores = {{m: np.array([[json.loads(pathlib.Path(f"phase1/{{d}}/{{m}}/seed_{{s}}/results.json").read_text())
    ["test"]["rmse"] for s in range(1, 6)] for d in DATASETS]) for m in METHODS}}
table = np.stack([scores[m].mean(axis=1) for m in METHODS], axis=1)
"""
OTHERS = {
    "autorank": """
import pandas, autorank
result = autorank.autorank(pandas.DataFrame(table, columns=METHODS), alpha=0.05, verbose=False,
                           force_mode="nonparametric", order="ascending")
print(result.pvalue, result.cd)
""",
    "scikit_posthocs": """
from scipy import stats
import scikit_posthocs
print(stats.friedmanchisquare(*table.T), scikit_posthocs.posthoc_nemenyi_friedman(table))
""",
    "deepsig": """
import deepsig
print(deepsig.aso(-scores["GRACE"][1], -scores["RLW"][1], seed=1, show_progress=False, num_bootstrap_iterations=1000))
""",
    "rliable": """
from rliable import library, metrics
scored = {m: -scores[m].T for m in METHODS}
print(library.get_interval_estimates(scored, lambda x: np.array([metrics.aggregate_iqm(x)]), reps=1000)[0])
""",
}


def write(root: Path) -> None:
    """Nine methods on ten data sets with five seeds each, and the ledger."""
    random.seed(1)
    for base, dataset in enumerate(DATASETS):
        for place, method in enumerate(METHODS):
            for seed in range(1, 6):
                path = root / "phase1" / dataset / method / f"seed_{seed}" / "results.json"
                path.parent.mkdir(parents=True, exist_ok=True)
                value = 7 + 0.3 * base + 0.4 * place + random.gauss(0, 0.6)
                path.write_text(json.dumps({"seed": seed, "test": {"rmse": value}}))
    cell = [
        json.loads((root / f"phase1/FD002/GRACE/seed_{seed}/results.json").read_text())["test"]["rmse"]
        for seed in range(1, 6)
    ]
    figures = LEDGER.replace("MEAN", f"{statistics.mean(cell):.2f}").replace("STD", f"{statistics.stdev(cell):.2f}")
    (root / "claims.toml").write_text(figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="runs of each (default 7)")
    arguments = parser.parse_args()
    environ = environment() | {"PYTHONPATH": str(ROOT)}
    programs = {"auditor claims": (sys.executable, "-m", "auditor", "claims", "claims.toml")}
    read = READ.format(methods=METHODS, datasets=DATASETS)
    for name, code in OTHERS.items():
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed", file=sys.stderr)
        else:
            programs[name] = (sys.executable, "-c", read + code)
    with tempfile.TemporaryDirectory(prefix="claims-") as scratch:
        place = Path(scratch)
        write(place)
        for name, command in list(programs.items()):
            try:
                cost(command, place, environ)
            except RuntimeError as error:
                print(f"{name} does not run here: {str(error).strip().splitlines()[-1]}", file=sys.stderr)
                del programs[name]
        runs = [
            {name: cost(command, place, environ) for name, command in programs.items()} for _ in range(arguments.runs)
        ]
    print(f"{machine()}; medians of {arguments.runs} cold starts\n")
    print("| | wall s | cpu s | peak MiB |\n|---|--:|--:|--:|")
    for name in programs:
        wall, cpu, peak = (
            statistics.median(getattr(run[name], field) for run in runs) for field in ("wall", "cpu", "peak")
        )
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {peak / 1024:.0f} |")


if __name__ == "__main__":
    main()
