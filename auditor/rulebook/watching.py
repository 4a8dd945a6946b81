"""The sense of the run: what the rules see in the traces of an audit's runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.records.audit import Finding
from auditor.records.comparison import Comparison
from auditor.records.evidence import RunEvidence
from auditor.rule import Check, Watched
from auditor.rulebook import rulebook

_SEVERITIES = ("error", "warning", "note")
_READS = frozenset({"clock-read", "entropy-read", "pid-read", "uuid-made"})  # weaker than what says what is wrong


def observe(runs: Sequence[RunEvidence], comparison: Comparison) -> tuple[Finding, ...]:
    """What the rules see in the traces of all runs, each once, gravest first, in an order that no chance decides.

    It rests on what was recorded. Whether it explains a divergence is not said here.
    """
    watched = Watched(runs, comparison)
    found = {finding for check in rulebook().values() if check.run is not None for finding in _observed(check, watched)}
    return tuple(sorted(found, key=finding_order))


def finding_order(finding: Finding) -> tuple[int, bool, bool, str, str, int, str]:
    """A sort key: the gravest first, of those what runs show, and nothing left to chance."""
    place = finding.location
    return (
        _SEVERITIES.index(finding.severity),
        "run" not in finding.senses,
        finding.rule in _READS,
        finding.rule,
        place.file if place else "",
        place.line if place else 0,
        finding.message,
    )


def _observed(check: Check, watched: Watched) -> Iterator[Finding]:
    assert check.run is not None
    rule = check.rule
    try:
        seen = tuple(check.run(watched))
    except Exception as error:
        # Rules may be anybody's, and the runs may have taken days: one that fails costs its own findings alone.
        yield Finding(rule.id, f"the rule failed and saw nothing ({type(error).__name__}: {error})", "warning", None)
        return
    for one in seen:
        yield Finding(rule.id, one.message, one.severity or rule.severity, one.place)
