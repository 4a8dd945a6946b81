"""``auditor verify``: hold an environment against its lock."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli import output
from auditor.cli.lock import LOCKFILES
from auditor.errors import UsageError

if TYPE_CHECKING:
    from auditor.records.lock import Drift

FORMATS = ("terminal", "json", "markdown")


def verify(
    target: Annotated[str | None, typer.Argument(metavar="TARGET", hidden=True)] = None,
    lock: Annotated[
        Path, typer.Option("--lock", metavar="DIR", help="The lock; by default lockfiles.", show_default=False)
    ] = LOCKFILES,
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            metavar="INTERPRETER",
            help="A path, a name on PATH, or a virtual environment; with --image, of the image.",
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option("--image", metavar="IMAGE", help="An image of the Docker engine, as it would run here."),
    ] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(
            "--layer",
            metavar="LAYER",
            help="Hold this layer only (repeatable): interpreter, libraries, cuda, hardware or os.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="What the lock does not have, and what is not pinned, count as drift.")
    ] = False,
    form: Annotated[
        str,
        typer.Option(
            "--format", "-f", metavar="FORMAT", help="terminal (the default), json or markdown.", show_default=False
        ),
    ] = "terminal",
    file: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of to the screen.")
    ] = None,
) -> int:
    """Hold an environment against its lock, layer by layer, and name what the project leaves unpinned.

    That is what the command python starts here, or the TARGET: a fingerprint file or an audit's directory.

    Exit codes: 0 no drift, 1 drift, 2 no lock or one that cannot be used, 3 it cannot be told.
    """
    if form not in FORMATS:
        raise UsageError("unknown-format", f"there is no format {form!r}", f"choose one of: {', '.join(FORMATS)}")
    if file is not None:
        output.check_writable(file, "--output")
    from auditor import pipeline

    drift = pipeline.verify(
        target,
        lock,
        lambda: sys.stdin.buffer,
        python=python,
        image=image,
        layers=tuple(layers or ()),
        strict=strict,
    )
    text = _text(drift, form, to_file=file is not None)
    if file is None:
        output.write(text)
    else:
        output.save(file, text, "--output")
    return pipeline.exit_code_of_drift(drift)


def _text(drift: Drift, form: str, *, to_file: bool) -> str:
    from auditor.report import drift as report

    match form:
        case "json":
            return report.render_json(drift)
        case "markdown":
            return report.render_markdown(drift)
        case _:
            if to_file:
                return report.render(drift)
            screen = output.screen()
            return report.render(drift, width=screen.width, colour=screen.colour, ascii_only=screen.ascii_only)
