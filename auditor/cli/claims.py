"""``auditor claims``: a paper's numbers and orders held to the files that they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import output
from auditor.errors import UsageError

FORMATS = ("terminal", "json", "markdown", "latex")


def claims(
    ledger: Annotated[Path, typer.Argument(metavar="LEDGER", help="The TOML file that holds sources and claims.")],
    json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    power: Annotated[
        bool, typer.Option("--power", help="Also simulate how many seeds the claims need, and say why.")
    ] = False,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", min=0, help="What the simulated studies are drawn with (default 1).")
    ] = 1,
    plots: Annotated[
        Path | None,
        typer.Option("--plots", metavar="DIR", help="Draw the results there, as SVG and PNG (needs auditor[plots])."),
    ] = None,
    form: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help="terminal, json, markdown or latex.")
    ] = "terminal",
    file: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of to the screen.")
    ] = None,
) -> int:
    """Check the claims of a ledger that is kept beside a paper: every number is computed again from the files.

    Exit codes: 0 every claim is supported, 1 one is not supported or contradicted, 3 one cannot be checked and none
    failed, 2 the ledger cannot be used.
    """
    if json and form not in ("terminal", "json"):
        raise UsageError("unknown-format", f"--json and --format {form} are two formats", "choose one of them")
    form = "json" if json else form
    if form not in FORMATS:
        raise UsageError("unknown-format", f"there is no format {form!r}", f"choose one of: {', '.join(FORMATS)}")
    if file is not None:
        output.check_writable(file, "--output")
        if file.exists() and ledger.exists() and file.samefile(ledger):
            raise UsageError("cannot-write", f"--output {file} is the ledger itself", "name another file")
    if plots is not None:
        output.check_plots(plots)
    from auditor import pipeline

    report = pipeline.claims(ledger, with_power=power, seed=seed)
    if plots is not None:
        output.save_plots(plots, report)
    if file is not None:
        output.save(file, output.claims_renderer(form)(report), "--output")
    elif form == "terminal":
        output.show_claims(report)
    else:
        output.write(output.claims_renderer(form)(report))
    return pipeline.exit_code_of_claims(report)
