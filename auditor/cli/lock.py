"""``auditor lock``: write down what an environment is, so that others can be held against it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli import output

if TYPE_CHECKING:
    from auditor.lock import Written

LOCKFILES = Path("lockfiles")


def lock(
    target: Annotated[str | None, typer.Argument(metavar="TARGET", hidden=True)] = None,
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            metavar="INTERPRETER",
            help="A path, a name on PATH, or a virtual environment; by default what the command python starts here.",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where to write; by default lockfiles.", show_default=False)
    ] = LOCKFILES,
) -> int:
    """Lock an environment into pylock.toml (what is installed, with hashes) and environment.toml (everything else).

    The files of what is installed are looked up where pip would look for them: its configuration and its PIP_ variables
    say where. Nothing is installed and nothing is built. A lock that is there is replaced; other files are not.

    TARGET is an audit of the same interpreter: what only a run tells (threads, kernels chosen, switches) is locked too.
    """
    from auditor import pipeline

    written = pipeline.lock(target, python, out, lambda: sys.stdin.buffer)
    output.write(_told(written))
    return 0


def _told(written: Written) -> str:
    """What was written, and what is not in ``pylock.toml``, in words."""
    from auditor.report.wording import plain

    noun = "distribution" if written.distributions == 1 else "distributions"
    counts = (f"{written.distributions} {noun}, with hashes", f"{written.facts} facts of the other layers")
    lines = [f"{plain(str(path))}  {count}" for path, count in zip(written.files, counts, strict=True)]
    if written.left_out:
        lines.append("Without a version in pylock.toml (environment.toml has it):")
    lines += [f"  {plain(one.name)} {plain(one.version)}: {plain(one.reason)}" for one in written.left_out]
    lines += [f"Note: {plain(note)}." for note in written.notes]
    return "\n".join(lines) + "\n"
