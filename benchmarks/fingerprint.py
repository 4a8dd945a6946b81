"""What ``auditor fingerprint`` takes, beside ``python -m torch.utils.collect_env`` of the same interpreter, in turn."""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import ROOT, Cost, cost, environment, machine

IMPORT = "import torch"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", default=sys.executable, help="the interpreter to describe (default: this one)")
    parser.add_argument("--runs", type=int, default=11, help="pairs (default 11)")
    arguments = parser.parse_args()
    if arguments.runs < 1:
        parser.error("--runs must be at least 1")
    python = arguments.python
    has_torch = not subprocess.run([python, "-c", IMPORT], capture_output=True, check=False).returncode

    environ = environment()
    # The auditor's own interpreter runs the command, which describes the other by a script of the standard library.
    ours = environ | {"PYTHONPATH": str(ROOT)}
    commands = {"auditor fingerprint": ((sys.executable, "-m", "auditor", "fingerprint", "--python", python), ours)}
    if has_torch:
        commands["python -c 'import torch'"] = ((python, "-c", IMPORT), environ)
        commands["python -m torch.utils.collect_env"] = ((python, "-m", "torch.utils.collect_env"), environ)
    with tempfile.TemporaryDirectory(prefix="fingerprint-") as scratch:
        place = Path(scratch)
        for command, variables in commands.values():
            cost(command, place, variables)
        # In turn, and every second time in the other order, so that neither drift nor a warming cache favours one.
        rounds: list[dict[str, Cost]] = []
        for number in range(arguments.runs):
            order = list(commands)[:: 1 if number % 2 else -1]
            rounds.append({name: cost(commands[name][0], place, commands[name][1]) for name in order})
    print(f"{machine()}; {arguments.runs} rounds of {python}\n")
    print("| command | wall s | quartiles | CPU s |\n|---|--:|--:|--:|")
    for name in commands:
        walls = [one[name].wall for one in rounds]
        low, _, high = statistics.quantiles(walls, n=4) if len(walls) > 1 else (walls[0],) * 3
        cpu = statistics.median(one[name].cpu for one in rounds)
        print(f"| `{name}` | {statistics.median(walls):.3f} | {low:.3f} to {high:.3f} | {cpu:.3f} |")
    if has_torch:
        first, _, last = commands
        ratios = [one[last].wall / one[first].wall for one in rounds]
        print(f"\n`{first}` is {statistics.median(ratios):.1f} times as fast as `{last}` (least: {min(ratios):.1f})")


if __name__ == "__main__":
    main()
