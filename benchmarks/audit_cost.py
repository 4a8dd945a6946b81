"""What a whole audit costs: its wall time over twice the wall time of the bare command."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from measure import ROOT, cost, environment, machine
from workloads import Workload, chosen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="bare runs and audits per program (default 3)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="measure this program (repeatable)")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")

    print(f"{machine()}; OMP_NUM_THREADS=1; {arguments.runs} pairs\n")
    print("| program | bare wall s | audit wall s | audit / (2 × bare) |\n|---|--:|--:|--:|", flush=True)
    for workload in chosen(arguments.only):
        print(measure(workload, arguments.runs), flush=True)


def measure(workload: Workload, runs: int) -> str:
    """The table's line for one program: medians, and the median of the pairs' own ratios."""
    bare, audits = [], []
    with tempfile.TemporaryDirectory(prefix="audit-cost-") as scratch:
        for number in range(runs + 1):
            for kind, walls in (("bare", bare), ("audit", audits)):
                place = Path(scratch) / f"{number}-{kind}"
                place.mkdir()
                wall = _wall(workload, place, audited=kind == "audit")
                if number:  # the first pair warms the caches
                    walls.append(wall)
    ratio = statistics.median(audit / (2 * single) for single, audit in zip(bare, audits, strict=True))
    return f"| {workload.name} | {statistics.median(bare):.1f} | {statistics.median(audits):.1f} | {ratio:.3f} |"


def _wall(workload: Workload, place: Path, *, audited: bool) -> float:
    """Seconds of one bare run, or of one audit; the audit's evidence stays outside the audited directory."""
    if not audited:
        return cost(workload.command, place, environment()).wall
    evidence = place.with_name(f"{place.name}-evidence")
    # Not by PYTHONPATH, which the audited program would inherit.
    start = f"import sys; sys.path[0] = {str(ROOT)!r}; from auditor.cli import main; sys.exit(main())"
    audit = (sys.executable, "-c", start, "run", "--quiet", "--out", str(evidence), "--")
    return cost((*audit, *workload.command), place, environment()).wall


if __name__ == "__main__":
    main()
