"""``auditor recipe``: a small module that seeds every stream, to paste into a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli import output
from auditor.errors import UsageError

FRAMEWORKS = ("torch", "numpy")


def recipe(
    framework: Annotated[
        str, typer.Option("--framework", metavar="NAME", help="What the program computes with: torch or numpy.")
    ] = "torch",
    out: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there instead of showing it.")
    ] = None,
) -> int:
    """Print a small module that seeds all random streams, to paste into a project.

    It needs nothing but what the program uses already, and it is yours: change it as you like. The one for torch also
    asks for deterministic kernels, and has what a DataLoader needs: a generator, and seeds for its workers.
    """
    text = source(framework)
    if out is None:
        output.write(text)
    else:
        output.check_writable(out, "--output")
        output.save(out, text, "--output")
    return 0


def source(framework: str) -> str:
    """The module's text; raises UsageError ``unknown-framework``."""
    if framework not in FRAMEWORKS:
        raise UsageError(
            "unknown-framework", f"there is no recipe for {framework!r}", f"choose one of: {', '.join(FRAMEWORKS)}"
        )
    path = Path(__file__).parents[1] / "recipe" / f"seeding_{framework}.py"
    return path.read_text(encoding="utf-8")
