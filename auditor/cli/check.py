"""``auditor check``: what in a project's source makes its training hard to reproduce, without running anything."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import output, problems
from auditor.errors import UsageError

FORMATS = ("terminal", "json", "sarif", "github")


def check(
    paths: Annotated[list[Path] | None, typer.Argument(metavar="PATH", hidden=True)] = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended without changing what is meant.")] = False,
    unsafe: Annotated[
        bool, typer.Option("--unsafe", help="With --fix or --diff: also mend what changes what the program does.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show what --fix would change, as a unified diff, and change nothing.")
    ] = False,
    select: Annotated[
        list[str] | None, typer.Option("--select", metavar="RULE,...", help="Ask these rules only; may be repeated.")
    ] = None,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="RULE,...", help="Leave these rules out; may be repeated.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also show what is only possibly a flaw.")] = False,
    form: Annotated[
        str, typer.Option("--format", "-f", metavar="FORMAT", help="terminal, json, sarif or github.")
    ] = "terminal",
    file: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there instead of to the screen.")
    ] = None,
) -> int:
    """Read source for what endangers reproducibility: Python, notebooks, requirements, environments, Dockerfiles.

    PATH is a file or a directory, by default this one. In directories, what git ignores, hidden directories,
    environments and built things are passed by, and links are not followed. Nothing is imported and nothing is run.

    A comment allows a rule on its line, or on the next one: # auditor: allow[RULE] reason. The table
    [tool.auditor.check] of the nearest pyproject.toml has select, ignore, exclude and allow. auditor explain lists the
    rules.

    Exit codes: 0 nothing graver than a note is shown, 1 something is, 2 usage or configuration, 70 a rule failed.
    """
    if form not in FORMATS:
        raise UsageError("unknown-format", f"there is no format {form!r}", f"choose one of: {', '.join(FORMATS)}")
    if unsafe and not (fix or diff):
        raise UsageError("bad-usage", "--unsafe says which flaws are mended, and none are", "add --fix, or --diff")
    if diff and form != "terminal":
        raise UsageError("bad-usage", f"--diff and --format {form} are two outputs", "choose one of them")
    if file is not None:
        output.check_writable(file, "--output")
    from auditor import pipeline

    mode: pipeline.Mend = "none" if not (fix or diff) else "unsafe" if unsafe else "safe"
    checked = pipeline.check(
        paths or [Path()],
        select=_words(select),
        ignore=_words(ignore),
        possible=everything,
        fix=mode,
        write=not diff,
    )
    if diff:
        from auditor.report.check import summary

        problems.say(summary(checked.report))
        text = checked.diff
    elif form == "terminal" and file is None:
        text = output.drawn_check(checked.report)
    else:
        text = output.check_renderer(form)(checked.report)
    if file is not None:
        output.save(file, text, "--output")
    else:
        output.write(text)
    return pipeline.exit_code_of_check(checked.report)


def _words(given: Iterable[str] | None) -> tuple[str, ...]:
    return tuple(word.strip() for one in given or () for word in one.split(",") if word.strip())
