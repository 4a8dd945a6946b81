"""Flaws of reproducibility that other linters find in the same files, beside those of auditor check."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

OURS = "auditor check --all"
# The messages of dslinter that are about reproducibility; its others are about style and performance.
_DSLINTER = (
    "randomness-control-numpy,randomness-control-pytorch,randomness-control-tensorflow,randomness-control-scikitlearn,"
    "randomness-control-dataloader-pytorch,deterministic-pytorch"
)
_LOCATED = re.compile(r"^(?P<file>[^:\n]+\.py):(?P<line>\d+):", re.MULTILINE)


class Peer(NamedTuple):
    """A tool: the command for a directory, and what makes places of its output."""

    name: str
    command: list[str]
    places: Callable[[str, Path], set[tuple[str, int]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path, metavar="DIR", help="the files that every tool reads")
    parser.add_argument("--bin", action="append", default=[], metavar="DIR", help="where others are installed")
    parser.add_argument("--timeout", type=float, default=900.0)
    arguments = parser.parse_args()
    directory = arguments.directory.resolve()
    tools = peers(os.pathsep.join(str(Path(one).resolve()) for one in arguments.bin), directory)
    found: dict[str, set[tuple[str, int]]] = {}
    seconds: dict[str, float] = {}
    for tool in tools:
        began = time.perf_counter()
        try:
            done = subprocess.run(
                tool.command, cwd=directory, capture_output=True, text=True, timeout=arguments.timeout, check=False
            )
        except (FileNotFoundError, subprocess.TimeoutExpired) as error:
            print(f"{tool.name}: {type(error).__name__}", flush=True)
            continue
        seconds[tool.name] = time.perf_counter() - began
        found[tool.name] = tool.places(done.stdout, directory)
    print("| tool | lines that it names | of them auditor too | no other tool | seconds |")
    print("|---|--:|--:|--:|--:|")
    for name, places in found.items():
        others = set().union(*(kept for other, kept in found.items() if other != name))
        both = len(places & found[OURS])
        print(f"| {name} | {len(places)} | {both} | {len(places - others)} | {seconds[name]:.1f} |")


def peers(path: str, directory: Path) -> tuple[Peer, ...]:
    """The tools, ours first; the others are looked for in the directories of ``path``."""

    def program(name: str) -> str:
        return shutil.which(name, path=path) or name

    lint = ["--load-plugins=dslinter", "--disable=all", f"--enable={_DSLINTER}"]
    numpy = ["check", "--isolated", "--select", "NPY002", "--output-format", "json"]
    return (
        Peer(OURS, [sys.executable, "-m", "auditor", "check", "--all", "--format", "json", "."], _of_auditor),
        Peer("ruff NPY002", [program("ruff"), *numpy, "."], _of_ruff),
        Peer("torchdetscan", [program("torchdetscan"), "."], _of_torchdetscan),
        Peer("dslinter", [program("pylint"), *lint, *sorted(map(str, directory.rglob("*.py")))], _of_pylint),
    )


def _of_auditor(output: str, directory: Path) -> set[tuple[str, int]]:
    return {(flaw["spot"]["file"], flaw["spot"]["line"]) for flaw in json.loads(output)["flaws"]}


def _of_ruff(output: str, directory: Path) -> set[tuple[str, int]]:
    return {
        (str(Path(one["filename"]).relative_to(directory)), one["location"]["row"])
        for one in json.loads(output or "[]")
    }


def _of_torchdetscan(output: str, directory: Path) -> set[tuple[str, int]]:
    """Its tables: the file's name above, broken where it is long, then rows whose second column is the line."""
    found, file, title = set(), "", ""
    for line in output.splitlines():
        if not line.strip():
            title = ""
        elif not line.startswith(("┏", "┃", "┡", "│", "└")):
            title += line.strip()
        elif line.startswith("┏"):
            file, title = str(Path(title).relative_to(directory)) if title.startswith("/") else title, ""
        elif line.startswith("│") and line.split("│")[2].strip().isdigit():
            found.add((file, int(line.split("│")[2])))
    return found


def _of_pylint(output: str, directory: Path) -> set[tuple[str, int]]:
    found = {(one["file"], int(one["line"])) for one in _LOCATED.finditer(output)}
    return {
        (str(Path(file).relative_to(directory) if Path(file).is_absolute() else file), line) for file, line in found
    }


if __name__ == "__main__":
    main()
