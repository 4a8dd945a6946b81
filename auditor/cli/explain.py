"""``auditor explain``: what an error means and what to do about it."""

from __future__ import annotations

from typing import Annotated

import typer

from auditor.cli import output
from auditor.errors import UsageError


def explain(
    slug: Annotated[str, typer.Argument(metavar="SLUG", help="The word in parentheses below an error.")],
) -> int:
    """Say what an error means and what to do about it."""
    from difflib import get_close_matches

    from auditor.cli import catalogue

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
