"""``auditor fingerprint``: what an interpreter on this machine is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import output
from auditor.errors import UsageError

FORMATS = ("terminal", "json")


def fingerprint(
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            metavar="INTERPRETER",
            help="A path, a name on PATH, or a virtual environment; by default what the command python starts here.",
        ),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", "-f", metavar="FORMAT", help="terminal or json; by default json for a file."),
    ] = None,
    file: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of to the screen.")
    ] = None,
) -> int:
    """Describe an interpreter (Python 3.8 or newer), its packages, and this machine; nothing is installed or imported.

    What only a running program shows (threads, libraries loaded, switches) is in an audit's own fingerprint.
    """
    chosen = form if form is not None else "terminal" if file is None else "json"
    if chosen not in FORMATS:
        raise UsageError("unknown-format", f"there is no format {chosen!r}", f"choose one of: {', '.join(FORMATS)}")
    if file is not None:
        output.check_writable(file, "--output")
    from auditor.fingerprint import describe
    from auditor.report import fingerprint as report

    described = describe(python)
    text = report.render(described) if chosen == "terminal" else report.render_json(described)
    if file is None:
        output.write(text)
    else:
        output.save(file, text, "--output")
    return 0
