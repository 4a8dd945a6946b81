"""What the probe costs: bare and probed runs of real programs, taken in turn, compared pair by pair."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from measure import Cost, Trace, cost, environment, machine, probed, read_trace, write_plan
from workloads import Workload, chosen

# By default glibc gives the end of its heap back to the system and takes it again, as often as chance has it: half a
# million page faults more or less, from run to run of one program, bare or probed. Values in bytes.
STEADY_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(4 << 30),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


@dataclass(frozen=True)
class Pair:
    """One bare run and the probed run (or, to see the noise, the second bare run) beside it."""

    bare: Cost
    other: Cost
    trace: Trace | None


@dataclass(frozen=True)
class Overhead:
    """The figures of one workload; ratios are other over bare, the median of the pairs' own ratios.

    ``cpu_quartiles`` are the first and third quartile of the pairs' processor time ratios: how far to trust the median.
    ``least_ratio`` is the least processor time with the probe over the least without: what disturbs a run only adds.
    """

    name: str
    pairs: int
    bare_cpu: float
    other_cpu: float
    cpu_ratio: float
    cpu_quartiles: tuple[float, float]
    least_ratio: float
    wall_ratio: float
    peak_ratio: float
    steps: int
    digested: int
    bytes_per_step: float | None
    tensor_bytes: int
    probe_seconds: float
    faults: tuple[str, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="pairs per program (default 7)")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="measure this program (repeatable)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--follow", action="store_true", help="probe as a later run, which digests what the first did")
    parser.add_argument("--null", action="store_true", help="bare against bare: what the machine's noise alone gives")
    parser.add_argument("--together", action="store_true", help="run both sides of a pair at the same time")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")

    kind = "bare" if arguments.null else "later run" if arguments.follow else "first run"
    print(f"{machine()}; OMP_NUM_THREADS=1; {arguments.runs} pairs; bare against {kind}\n")
    print(HEADER, flush=True)
    results = []
    for workload in chosen(arguments.only):
        pairs = measure(
            workload,
            arguments.runs,
            follow=arguments.follow,
            null=arguments.null,
            together=arguments.together,
            progress=_progress,
        )
        result = summary(workload.name, pairs)
        print(row(result), flush=True)
        results.append({"overhead": asdict(result), "pairs": [asdict(pair) for pair in pairs]})
    ratios = [entry["overhead"]["cpu_ratio"] for entry in results]
    print(f"\nprocessor time: median {statistics.median(ratios) - 1:+.2%}, worst {max(ratios) - 1:+.2%}")
    least = [entry["overhead"]["least_ratio"] for entry in results]
    print(f"of the least runs: median {statistics.median(least) - 1:+.2%}, worst {max(least) - 1:+.2%}")
    if arguments.json:
        document = {"machine": machine(), "against": kind, "programs": results}
        arguments.json.write_text(json.dumps(document, indent=2) + "\n")


def measure(
    workload: Workload,
    runs: int,
    *,
    follow: bool,
    null: bool,
    together: bool,
    progress: Callable[[str, int, int], None],
) -> list[Pair]:
    """``runs`` pairs, each in a fresh directory, after one pair that warms the caches and is thrown away.

    Every second pair starts with the probed run, so that a drift of the machine's speed favours neither side.
    """
    pairs = []
    with tempfile.TemporaryDirectory(prefix="overhead-") as scratch:
        plan = Path(scratch) / "plan.json" if follow else None
        for number in range(runs + 1):
            progress(workload.name, number, runs)
            sides = [_Side(workload, Path(scratch) / f"{number}-bare", False, None, number)]
            sides.append(_Side(workload, Path(scratch) / f"{number}-other", not null, plan, number))
            begun = sides if number % 2 == 0 else sides[::-1]
            with ThreadPoolExecutor(max_workers=2 if together else 1) as pool:
                waiting = {side.place.name: pool.submit(_run, side) for side in begun}
            (bare, _), (other, trace) = (waiting[side.place.name].result() for side in sides)
            if number:
                pairs.append(Pair(bare, other, trace))
    return pairs


@dataclass(frozen=True)
class _Side:
    """One run of a pair. ``plan`` names the file of digested steps, which the first probed run writes."""

    workload: Workload
    place: Path
    is_probed: bool
    plan: Path | None
    number: int


def _run(side: _Side) -> tuple[Cost, Trace | None]:
    side.place.mkdir()
    # The size of the environment moves where things lie in memory, and with it a program's speed by several per cent:
    # it differs from pair to pair, so that no one layout is taken for the probe's cost.
    shared = {**environment(), **STEADY_MEMORY, "PADDING": "x" * (97 * side.number)}
    if not side.is_probed:
        return cost(side.workload.command, side.place, shared), None
    evidence = side.place.with_name(f"{side.place.name}-evidence")
    following = side.plan if side.plan is not None and side.plan.exists() else None
    spent = cost(side.workload.command, side.place, probed(shared, side.place, evidence, following))
    if side.plan is not None and following is None:
        write_plan(evidence, side.plan)
    return spent, read_trace(evidence)


def summary(name: str, pairs: list[Pair]) -> Overhead:
    """Medians over the pairs; of the traces, the largest one."""
    ratios = sorted(pair.other.cpu / pair.bare.cpu for pair in pairs)
    quartiles = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else [ratios[0]] * 3
    traces = [pair.trace for pair in pairs if pair.trace is not None]
    largest = max(traces, key=lambda trace: trace.line_bytes, default=Trace(0, 0, 0, 0, 0.0, ()))
    return Overhead(
        name=name,
        pairs=len(pairs),
        bare_cpu=statistics.median(pair.bare.cpu for pair in pairs),
        other_cpu=statistics.median(pair.other.cpu for pair in pairs),
        cpu_ratio=statistics.median(ratios),
        cpu_quartiles=(quartiles[0], quartiles[2]),
        least_ratio=min(pair.other.cpu for pair in pairs) / min(pair.bare.cpu for pair in pairs),
        wall_ratio=statistics.median(pair.other.wall / pair.bare.wall for pair in pairs),
        peak_ratio=statistics.median(pair.other.peak / pair.bare.peak for pair in pairs),
        steps=largest.steps,
        digested=largest.digested,
        bytes_per_step=largest.bytes_per_step,
        tensor_bytes=largest.tensor_bytes,
        probe_seconds=largest.probe_seconds,
        faults=largest.faults,
    )


HEADER = (
    "| program | bare CPU s | CPU | quartiles | least | wall | peak memory | steps | digested | trace B/step "
    "| tensors KiB | probe's own s |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
)


def row(result: Overhead) -> str:
    """One line of the Markdown table; ratios are shown as signed differences from the bare run."""
    low, high = result.cpu_quartiles
    size = "" if result.bytes_per_step is None else f"{result.bytes_per_step:.0f}"
    cells = (
        result.name + (f" ({len(result.faults)} faults!)" if result.faults else ""),
        f"{result.bare_cpu:.2f}",
        f"{result.cpu_ratio - 1:+.2%}",
        f"{low - 1:+.1%} … {high - 1:+.1%}",
        f"{result.least_ratio - 1:+.2%}",
        f"{result.wall_ratio - 1:+.1%}",
        f"{result.peak_ratio - 1:+.1%}",
        str(result.steps),
        str(result.digested),
        size,
        f"{result.tensor_bytes / 1024:.0f}",
        f"{result.probe_seconds:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def _progress(name: str, number: int, runs: int) -> None:
    if sys.stderr.isatty():
        print(f"\r{name}: {number}/{runs} ", end="\r", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
