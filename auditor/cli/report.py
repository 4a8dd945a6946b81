"""``auditor report``: recompute the verdict from an evidence directory and show it again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import output, problems
from auditor.errors import UsageError


def report(
    directory: Annotated[Path, typer.Argument(metavar="DIR", hidden=True)],
    form: Annotated[
        str,
        typer.Option("--format", "-f", metavar="FORMAT", help="terminal, json, junit, markdown, sarif or fix-plan."),
    ] = "terminal",
    file: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of to the screen.")
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(
            "--plots", metavar="DIR", help="Draw a study's seeds there, as SVG and PNG (needs auditor[plots])."
        ),
    ] = None,
) -> int:
    """Recompute the verdict from the evidence alone and make any report of it again.

    DIR is an evidence directory: .auditor/<audit-id>, or what --out said. The exit code is the one that
    the run itself ends with.
    """
    chosen = output.parse_format(form)
    if file is not None:
        output.check_writable(file, "--output")
    from auditor import pipeline

    audit = pipeline.recompute(directory)
    if plots is not None:
        if audit.study is None:
            raise UsageError(
                "no-study", f"--plots draws seeds, and {directory} holds one seed's runs", "give --seeds to auditor run"
            )
        output.check_plots(plots)
        if not output.save_plots(plots, audit.study):
            problems.say("auditor: no plot was drawn: no metric has a finite value")
    differences = pipeline.differences(directory, audit)
    if differences:
        problems.say(
            "auditor: audit.json does not say what the evidence says; what follows is recomputed from the evidence\n"
            + "\n".join(f"  differs: {line}" for line in differences)
            + "\n  audit.json or the evidence was changed, or another version of the auditor wrote it"
        )
    if file is not None:
        output.save(file, output.renderer(chosen)(audit), "--output")
    elif chosen == "terminal":
        output.show(audit, str(directory))
    else:
        output.write(output.renderer(chosen)(audit))
    problem = pipeline.problem(audit, directory)
    if problem is not None:
        problems.show(problem)
    return pipeline.exit_code(audit)
