"""``auditor explain``: what an error means and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer

from auditor.cli import output
from auditor.errors import UsageError


def explain(
    slug: Annotated[str | None, typer.Argument(metavar="SLUG", hidden=True)] = None,
) -> int:
    """Say what an error means and what to do about it.

    SLUG is the word in parentheses below an error; without one, all of them are listed.
    """
    from difflib import get_close_matches

    from auditor.cli import catalogue

    if slug is None:
        output.write("".join(f"{name}\n" for name in sorted(catalogue.PAGES)))
        return 0
    word = slug.strip().strip("()").rstrip(";").lower()
    if word not in catalogue.PAGES:
        near = get_close_matches(word, catalogue.PAGES, n=3, cutoff=0.4)
        raise UsageError(
            "unknown-slug",
            f"there is no page named {slug!r}",
            f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(sorted(catalogue.PAGES))}",
        )
    output.write(catalogue.page(word))
    return 0
