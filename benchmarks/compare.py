"""What ``auditor compare`` costs on thousands of fingerprints, made by varying real ones: time and peak memory."""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import ROOT, cost, environment, machine

CAPTURES = ROOT / "tests" / "compare" / "captures"
SIZE = 25_000  # bytes of one file, at least


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="fingerprints (default 10000)")
    parser.add_argument("--runs", type=int, default=5, help="times that they are compared (default 5)")
    parser.add_argument("captures", nargs="*", type=Path, help="fingerprints to vary (default: those of the tests)")
    arguments = parser.parse_args()
    if arguments.count < 2 or arguments.runs < 1:
        parser.error("--count must be at least 2 and --runs at least 1")

    captures = arguments.captures or sorted(CAPTURES.glob("audit-*.json"))
    sources = [json.loads(path.read_text(encoding="utf-8")) for path in captures]
    print(f"{machine()}; {arguments.count} fingerprints, {arguments.runs} times\n")
    print("| fingerprints | MB | wall s | processor s | peak MiB |\n|---|--:|--:|--:|--:|")
    for name, vary in (("a few kinds of machines", kinds), ("every layer of every one unlike any other", strangers)):
        with tempfile.TemporaryDirectory(prefix="compare-") as scratch:
            fleet = Path(scratch) / "fleet"
            fleet.mkdir()
            size = write(fleet, sources, arguments.count, vary)
            command = (sys.executable, "-m", "auditor", "compare", str(fleet), "--format", "json")
            costs = [
                cost(command, Path(scratch), environment() | {"PYTHONPATH": str(ROOT)}) for _ in range(arguments.runs)
            ]
            wall = statistics.median(one.wall for one in costs)
            cpu = statistics.median(one.cpu for one in costs)
            print(
                f"| {name} | {size / 1e6:.0f} | {wall:.2f} | {cpu:.2f} | {max(one.peak for one in costs) / 1024:.0f} |"
            )


def write(fleet: Path, sources: list[dict[str, Any]], count: int, vary: Any) -> int:
    """Write the files as ``auditor fingerprint`` does, and return how many bytes they are together."""
    draw = random.Random(2)
    size = 0
    for number in range(count):
        document = json.loads(json.dumps(draw.choice(sources)))
        vary(document["layers"], number, draw)
        libraries = document["layers"]["libraries"]
        while len(text := json.dumps(document, indent=2)) < SIZE:
            libraries.update(
                {f"package-{len(libraries) + more}": known("1.0", "installed metadata") for more in range(10)}
            )
        (fleet / f"machine-{number:05}.json").write_text(text + "\n", encoding="utf-8")
        size += len(text)
    return size


def kinds(layers: dict[str, dict[str, Any]], number: int, draw: random.Random) -> None:
    """Machines of a few kinds, whose processors, kernels and limits differ as those of real fleets do."""
    layers["hardware"]["microcode"] = known(hex(draw.randrange(1 << 12)), "/proc/cpuinfo")
    layers["hardware"]["cores"] = known(draw.choice([8, 16, 64]), "scheduler affinity")
    layers["hardware"]["dispatch"] = known(draw.choice(["AVX2", "AVX2", "AVX512"]), "torch")
    layers["os"]["kernel"] = known(f"6.1.{draw.randrange(150)}", "uname")
    if draw.random() < 0.02:
        layers["libraries"]["numpy"] = known(f"2.{draw.randrange(4)}.{draw.randrange(9)}", "installed metadata")


def strangers(layers: dict[str, dict[str, Any]], number: int, draw: random.Random) -> None:
    """Machines of which no two have a layer in common, so that nothing is decoded only once."""
    kinds(layers, number, draw)
    layers["interpreter"]["build"] = known(f"main, {number}", "sys.version")
    layers["libraries"]["setuptools"] = known(f"80.{number}", "installed metadata")
    layers["cuda"]["driver"] = known(f"550.{number}", "NVML")
    layers["hardware"]["microcode"] = known(hex(number), "/proc/cpuinfo")
    layers["os"]["kernel"] = known(f"6.1.{number}", "uname")


def known(value: object, source: str) -> dict[str, object]:
    return {"is": "known", "value": value, "source": source}


if __name__ == "__main__":
    main()
