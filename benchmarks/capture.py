"""What capturing costs: a captured step against a plain one and one under PyTorch's DebugMode, in the same process."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import ROOT, environment, machine, probed

MODELS = ("mlp", "cnn", "transformer")
NEVER = 1 << 40  # a window that no step opens: the program opens its own


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=11, help="steps of each kind, in turn (default 11)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="measure this model (repeatable)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    arguments = parser.parse_args()

    print(f"{machine()}; OMP_NUM_THREADS=1; {arguments.steps} steps of each kind\n")
    print("| model | plain ms | captured | DebugMode | captured KiB/step | DebugMode KiB/step |")
    print("|---|--:|--:|--:|--:|--:|", flush=True)
    results = {}
    for name in arguments.only or MODELS:
        figures = measure(name, arguments.steps)
        results[name] = figures
        plain = statistics.median(figures["plain"])
        ratios = [
            statistics.median(other / bare for other, bare in zip(figures[kind], figures["plain"], strict=True))
            for kind in ("captured", "debugged")
        ]
        sizes = [figures["captured_bytes"] / 1024, figures["debugged_bytes"] / 1024]
        cells = [name, f"{plain * 1e3:.1f}", *(f"{r:.2f}×" for r in ratios), *(f"{size:.0f}" for size in sizes)]
        print(f"| {' | '.join(cells)} |", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "models": results}, indent=2) + "\n")


def measure(name: str, steps: int) -> dict:
    """Seconds of each kind of step, and bytes that one leaves; the last captured step's file is the one measured."""
    with tempfile.TemporaryDirectory(prefix="capture-") as scratch:
        place = Path(scratch) / "project"
        place.mkdir()
        evidence = Path(scratch) / "evidence"
        environ = probed(environment(), place, evidence)
        settings = json.loads((evidence / "probe.json").read_text())
        settings["capture"] = {"first": NEVER, "last": None}
        (evidence / "probe.json").write_text(json.dumps(settings))
        result = place / "result.json"
        command = [sys.executable, str(ROOT / "benchmarks/programs/captured.py"), name, str(steps), str(result)]
        done = subprocess.run(command, cwd=place, env=environ, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        figures = json.loads(result.read_text())
        # All windows of the process go to one file.
        size = sum(path.stat().st_size for path in sorted((evidence / "trace").glob("*.ops")))
        return {**figures, "captured_bytes": size / steps}


if __name__ == "__main__":
    main()
