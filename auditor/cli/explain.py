"""``auditor explain``: what an error means and what to do about it, or what a rule looks for and why."""

from __future__ import annotations

from typing import Annotated

import typer

from auditor.cli import output
from auditor.errors import UsageError


def explain(
    name: Annotated[str | None, typer.Argument(metavar="NAME", hidden=True)] = None,
) -> int:
    """Say what an error means and what to do about it, or what a rule of the rulebook looks for and why.

    NAME is the word in parentheses below an error, or that of a finding or a cause; without one, all are listed.
    """
    from auditor.cli import catalogue, remarks

    word = None if name is None else name.strip().strip("()").rstrip(";").lower()
    if word is not None and word in catalogue.PAGES:
        output.write(catalogue.page(word))
        return 0
    if word is not None and word in remarks.REMARKS:
        output.write(remarks.page(word))
        return 0
    # Only now: the rulebook is a hundred files.
    from auditor.cli import rules
    from auditor.rulebook import rulebook

    if word is None:
        errors = "".join(f"  {slug}\n" for slug in sorted(catalogue.PAGES))
        others = "".join(f"  {remark}\n" for remark in sorted(remarks.REMARKS))
        output.write(f"Errors:\n{errors}\nRemarks:\n{others}\nRules:\n{rules.listing(rulebook().values())}")
        return 0
    if word in rulebook():
        output.write(rules.page(rulebook()[word]))
        return 0
    raise _unknown(word, [*catalogue.PAGES, *remarks.REMARKS, *rulebook()])


def _unknown(word: str, known: list[str]) -> UsageError:
    from difflib import get_close_matches

    near = get_close_matches(word, known, n=3, cutoff=0.4)
    return UsageError(
        "unknown-slug",
        f"there is no page named {word!r}",
        f"did you mean {' or '.join(near)}?" if near else "auditor explain lists what there is",
    )
