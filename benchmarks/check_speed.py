"""What ``auditor check`` costs on 100,000 lines of other people's code: time, memory, and which rules take it."""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import sysconfig
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

from measure import ROOT, cost, environment, machine

from auditor.rulebook import rulebook
from auditor.rulebook.checking import read
from auditor.source import Module

DIRECTORY = Path(sysconfig.get_path("purelib"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="directory", type=Path, default=DIRECTORY, metavar="DIR")
    parser.add_argument("--lines", type=int, default=100_000, help="lines to check (default 100000)")
    parser.add_argument("--runs", type=int, default=5, help="times that they are checked (default 5)")
    parser.add_argument("--rules", action="store_true", help="time each rule by itself instead, in this process")
    arguments = parser.parse_args()
    chosen = choose(arguments.directory, arguments.lines)
    lines = sum(text.count("\n") for text in chosen.values())
    print(f"{lines:,} lines in {len(chosen):,} files; {machine()}")
    if arguments.rules:
        rules(chosen)
    else:
        whole(chosen, lines, arguments.runs)


def choose(directory: Path, lines: int) -> dict[str, str]:
    """Files from all over a directory, by name, until there are so many lines."""
    paths = sorted(path for path in directory.rglob("*.py") if path.stat().st_size < 1 << 20)
    step = max(1, round(len(paths) * 0.618))  # far apart, and each once
    chosen: dict[str, str] = {}
    number = 0
    for index in range(len(paths)):
        path = paths[index * step % len(paths)]
        if number >= lines:
            break
        text = path.read_text(encoding="utf-8", errors="replace")
        chosen[path.relative_to(directory).as_posix()] = text
        number += text.count("\n")
    return chosen


def whole(chosen: dict[str, str], lines: int, runs: int) -> None:
    """The command itself on these files, cold each time."""
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch, "project")
        for name, text in chosen.items():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "auditor", "check", "--all", "-f", "json", "-o", f"{scratch}/report.json"]
        # The command ends with 1 where it finds flaws, which is no failure here.
        shell = ["sh", "-c", '"$@"; test $? -le 1', "sh", *command, str(project)]
        environ = {**environment(), "PYTHONPATH": str(ROOT)}
        costs = [cost(shell, Path(scratch), environ) for _ in range(runs)]
        report = json.loads(Path(scratch, "report.json").read_text(encoding="utf-8"))
    wall, cpu = (sorted(getattr(one, name) for one in costs) for name in ("wall", "cpu"))
    print(f"wall time    {statistics.median(wall):.2f} s ({wall[0]:.2f} … {wall[-1]:.2f})")
    print(f"CPU time     {statistics.median(cpu):.2f} s ({cpu[0]:.2f} … {cpu[-1]:.2f}), {lines / cpu[0]:,.0f} lines/s")
    print(f"peak memory  {max(one.peak for one in costs) / 1024:.0f} MiB, of the largest process")
    print(f"found        {len(report['flaws'])} flaws, {len(report['remarks'])} remarks, {len(rulebook())} rules")


def rules(chosen: dict[str, str]) -> None:
    """CPU time of parsing and of each rule; what the first rule to ask for it makes a module compute is its own."""
    warnings.simplefilter("ignore")
    gc.freeze()
    gc.set_threshold(100_000, 20, 20)
    spent: Counter[str] = Counter()
    slowest: dict[str, tuple[float, str]] = {}
    for name, text in chosen.items():
        started = time.process_time()
        try:
            module = Module(name, text)
        except (SyntaxError, ValueError):
            continue
        parsed = time.process_time()
        facts = module.facts
        spent["(parsing)"] += parsed - started
        spent["(facts)"] += time.process_time() - parsed
        assert isinstance(facts, frozenset)
        for rule, check in rulebook().items():
            if check.source is not None:
                started = time.process_time()
                try:
                    list(check.source(module))
                except RecursionError:
                    print(f"{rule} goes too deep in {name}")
                took = time.process_time() - started
                spent[rule] += took
                slowest[rule] = max(slowest.get(rule, (0.0, "")), (took, name))
    started = time.process_time()
    for name, text in chosen.items():
        read(name, text)
    total = time.process_time() - started
    print(f"{total:.2f} s of CPU time in all\n\n   ms  share  its slowest file")
    for rule, seconds in spent.most_common():
        took, name = slowest.get(rule, (0.0, ""))
        worst = f"{1000 * took:.0f} ms in {name}" if took > 0.01 else ""
        print(f"{1000 * seconds:5.0f}  {seconds / sum(spent.values()):5.1%}  {rule}  {worst}")


if __name__ == "__main__":
    main()
