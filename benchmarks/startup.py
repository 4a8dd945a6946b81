"""What ``auditor --help`` costs over a bare ``python -c pass``, run in turn."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from measure import ROOT, cost, environment, machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=21, help="pairs (default 21)")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")

    environ = environment() | {"PYTHONPATH": str(ROOT)}
    bare = (sys.executable, "-c", "pass")
    program = (sys.executable, "-m", "auditor", "--help")
    with tempfile.TemporaryDirectory(prefix="startup-") as scratch:
        place = Path(scratch)
        for command in (bare, program):
            cost(command, place, environ)
        pairs = [(cost(bare, place, environ), cost(program, place, environ)) for _ in range(arguments.runs)]
    print(f"{machine()}; {arguments.runs} pairs\n")
    print("| | `python -c pass` | `auditor --help` | difference |\n|---|--:|--:|--:|")
    for name in ("wall", "cpu"):
        first = [getattr(pair[0], name) * 1000 for pair in pairs]
        second = [getattr(pair[1], name) * 1000 for pair in pairs]
        difference = statistics.median(b - a for a, b in zip(first, second, strict=True))
        print(f"| {name} ms | {statistics.median(first):.1f} | {statistics.median(second):.1f} | {difference:+.1f} |")


if __name__ == "__main__":
    main()
