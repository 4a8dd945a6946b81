"""How often the rules are right on code that nobody here wrote: draws findings to read, and counts what was read."""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections import defaultdict
from pathlib import Path

from measure import ROOT

from auditor.records.check import Flaw
from auditor.rulebook import rulebook
from auditor.rulebook.project import Options, check

LABELS = ROOT / "benchmarks/checks/labels.csv"
FIELDS = ("package", "file", "line", "rule", "confidence", "label", "reason")
SHOWN = 6  # lines around a finding


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    draw = verbs.add_parser("draw", help="check each package below DIR and write findings to label to a CSV file")
    draw.add_argument(
        "directory", type=Path, metavar="DIR", help="holds one unpacked source distribution per directory"
    )
    draw.add_argument("output", type=Path, metavar="FILE")
    draw.add_argument("--confidence", choices=("high", "medium", "possible"), help="only findings of this one")
    draw.add_argument("--number", type=int, default=200)
    draw.add_argument("--seed", type=int, default=1)
    again = verbs.add_parser("again", help="which labelled findings the rules still make")
    again.add_argument("directory", type=Path, metavar="DIR")
    verbs.add_parser("table", help="print the precision of each rule, from the labels")
    arguments = parser.parse_args()
    if arguments.verb == "draw":
        _draw(arguments.directory, arguments.output, arguments.confidence, arguments.number, arguments.seed)
    elif arguments.verb == "again":
        _again(arguments.directory)
    else:
        _table()


def found(directory: Path) -> dict[str, list[Flaw]]:
    """By package, all that the rules find in it, what is only possible too."""
    packages = sorted(path for path in directory.iterdir() if path.is_dir())
    return {path.name: list(check([path], path, Options(possible=True)).report.flaws) for path in packages}


def _draw(directory: Path, output: Path, confidence: str | None, number: int, seed: int) -> None:
    """A sample without replacement of everything that was found, and so that no rule takes more than its share."""
    every = [
        (package, flaw)
        for package, flaws in found(directory).items()
        for flaw in flaws
        if confidence in (None, flaw.confidence)
    ]
    by_rule: dict[str, list[tuple[str, Flaw]]] = defaultdict(list)
    draws = random.Random(seed)
    draws.shuffle(every)
    for package, flaw in every:
        by_rule[flaw.rule].append((package, flaw))
    # Round after round one of each rule that has some left: rare rules are read too.
    chosen: list[tuple[str, Flaw]] = []
    while len(chosen) < min(number, len(every)):
        for rule in sorted(by_rule):
            if by_rule[rule] and len(chosen) < number:
                chosen.append(by_rule[rule].pop())
    chosen.sort(key=lambda one: (one[1].rule, one[0], one[1].spot.file, one[1].spot.line))
    with output.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FIELDS)
        for package, flaw in chosen:
            writer.writerow([package, flaw.spot.file, flaw.spot.line, flaw.rule, flaw.confidence, "", ""])
    for package, flaw in chosen:
        lines = (directory / package / flaw.spot.file).read_text(errors="replace").splitlines()
        first = max(0, flaw.spot.line - SHOWN)
        sys.stdout.write(f"\n=== {flaw.rule} ({flaw.confidence}) {package} {flaw.spot.file}:{flaw.spot.line}\n")
        sys.stdout.write(f"    {flaw.message}\n")
        for at in range(first, min(len(lines), flaw.spot.line + SHOWN)):
            mark = ">" if at + 1 == flaw.spot.line else " "
            sys.stdout.write(f"{mark}{at + 1:5} {lines[at][:150]}\n")


def _labels() -> list[dict[str, str]]:
    with LABELS.open(newline="") as file:
        return list(csv.DictReader(file))


def _again(directory: Path) -> None:
    made = {
        (package, flaw.spot.file, str(flaw.spot.line), flaw.rule): flaw.confidence
        for package, flaws in found(directory).items()
        for flaw in flaws
    }
    for row in _labels():
        confidence = made.get((row["package"], row["file"], row["line"], row["rule"]), "not made")
        if confidence != row["confidence"]:
            print(f"{row['package']} {row['file']}:{row['line']} {row['rule']}: {row['confidence']} → {confidence}")


def _table() -> None:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in _labels():
        right = row["label"] == "true"
        for kept in (counts[row["rule"]], totals[row["confidence"]]):
            kept[0] += right
            kept[1] += 1
    print("| rule | confidence | read | right | precision |")
    print("|---|---|--:|--:|--:|")
    for rule, (right, read) in sorted(counts.items()):
        known = rulebook().get(rule)
        print(f"| {rule} | {known.rule.confidence if known else ''} | {read} | {right} | {right / read:.0%} |")
    for confidence, (right, read) in sorted(totals.items()):
        print(f"| all findings of this confidence | {confidence} | {read} | {right} | {right / read:.0%} |")


if __name__ == "__main__":
    main()
