"""``auditor compare``: what separates environments, what they can reach, and what audits reached together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import output
from auditor.errors import UsageError

FORMATS = ("terminal", "json", "markdown")


def compare(
    things: Annotated[list[str] | None, typer.Argument(metavar="A B", hidden=True)] = None,
    require: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL",
            help="bit-exact or seed-stable: exit 1 where it was not reached or is ruled out, 3 where it is at risk or "
            "cannot be told.",
        ),
    ] = None,
    tolerance: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE",
            help="Absolute tolerance of the metrics of audits, as in run, instead of their own (repeatable).",
        ),
    ] = [],  # noqa: B006 (typer copies it)
    everything: Annotated[
        bool, typer.Option("--all", help="Show every difference, those that do not matter too.")
    ] = False,
    form: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help="terminal, json or markdown.")
    ] = "terminal",
    file: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of to the screen.")
    ] = None,
) -> int:
    """Compare environments and audits across machines: two in detail, more of them in groups.

    A, B ... are fingerprints (auditor fingerprint -o FILE), evidence directories of audits, audit.json files,
    directories of any of these, or - for standard input (one document, or one on each line).

    Fingerprints tell what can be expected. Two audits of one command tell what was reached: their runs are compared,
    step by step.
    """
    from auditor.config import parse_level, parse_tolerances

    if form not in FORMATS:
        raise UsageError("unknown-format", f"there is no format {form!r}", f"choose one of: {', '.join(FORMATS)}")
    if not things:
        raise UsageError(
            "nothing-to-compare",
            "there is nothing to compare",
            "name two fingerprints or audits, or a directory of them",
        )
    level = parse_level(require, one_seed=True)
    tolerances = parse_tolerances(tolerance) if tolerance else None
    if file is not None:
        output.check_writable(file, "--output")
        if any(thing != "-" and Path(thing).exists() and file.exists() and file.samefile(thing) for thing in things):
            raise UsageError("cannot-write", f"--output {file} is one of what is compared", "name another file")
    from auditor import pipeline

    compared = pipeline.compare_environments(things, lambda: sys.stdin.buffer, tolerances)
    if file is not None:
        output.save(file, output.environments_renderer(form)(compared, everything), "--output")
    elif form == "terminal":
        output.show_environments(compared, everything)
    else:
        output.write(output.environments_renderer(form)(compared, everything))
    return pipeline.exit_code_of_environments(compared, level)
