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
from auditor.rulebook.project import Options, check

LABELS = ROOT / "benchmarks/checks/labels.csv"
FIELDS = ("sample", "package", "file", "line", "rule", "confidence", "now", "label", "reason")
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
    again = verbs.add_parser("again", help="write into the labels what the rules say of each finding by now")
    again.add_argument("directory", type=Path, metavar="DIR")
    verbs.add_parser("table", help="print the precision of each rule, from the labels")
    arguments = parser.parse_args()
    if arguments.verb == "draw":
        _draw(arguments.directory.resolve(), arguments.output, arguments.confidence, arguments.number, arguments.seed)
    elif arguments.verb == "again":
        _again(arguments.directory.resolve())
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
            spot = flaw.spot
            writer.writerow([directory.name, package, spot.file, spot.line, flaw.rule, flaw.confidence, "", "", ""])
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
    """Writes into the labels what the rules say of each finding by now, of the packages that lie in ``directory``."""
    made = {
        (package, flaw.spot.file, str(flaw.spot.line), flaw.rule): flaw.confidence
        for package, flaws in found(directory).items()
        for flaw in flaws
    }
    packages = {path.name for path in directory.iterdir()}
    rows = _labels()
    for row in rows:
        if row["package"] in packages:
            row["now"] = made.get((row["package"], row["file"], row["line"], row["rule"]), "not made")
    with LABELS.open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _table() -> None:
    """The precision of each rule among the findings that it makes by now, and that of each sample when it was drawn."""
    rows = _labels()
    print("| rule | confidence | read | right |")
    print("|---|---|--:|--:|")
    for rule, confidence in sorted({(row["rule"], row["now"]) for row in rows if row["now"] != "not made"}):
        kept = [row["label"] == "true" for row in rows if (row["rule"], row["now"]) == (rule, confidence)]
        print(f"| {rule} | {confidence} | {len(kept)} | {sum(kept)} |")
    print("\n| sample | confidence | when it was drawn | by now |")
    print("|---|---|--:|--:|")
    for sample in dict.fromkeys(row["sample"] for row in rows):
        for confidence in ("high", "medium", "possible"):
            shares = []
            for column in ("confidence", "now"):
                kept = [row["label"] == "true" for row in rows if (row["sample"], row[column]) == (sample, confidence)]
                shares.append(f"{sum(kept)}/{len(kept)}" + (f" ({sum(kept) / len(kept):.0%})" if kept else ""))
            print(f"| {sample} | {confidence} | {' | '.join(shares)} |")


if __name__ == "__main__":
    main()
