"""Diagnosis: from a divergence to the operation, the line, the proven cause, the remedy and its price."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from auditor.diagnose.attribute import Source, own_sources
from auditor.diagnose.conclusion import causes, diagnosis, located
from auditor.diagnose.localise import differences
from auditor.diagnose.prove import Compare, Localise, Run, prove
from auditor.records.audit import Cause
from auditor.records.comparison import Comparison, Divergence
from auditor.records.diagnosis import Diagnosis
from auditor.records.evidence import RunEvidence

__all__ = ["Diagnosed", "Run", "diagnose", "differences", "own_sources"]


class Diagnosed(msgspec.Struct, frozen=True):
    """The causes in order, how they were found, and the divergence with its operation and line."""

    causes: tuple[Cause, ...]
    diagnosis: Diagnosis
    divergence: Divergence


def diagnose(
    runs: Sequence[RunEvidence],
    comparison: Comparison,
    run: Run,
    compare: Compare,
    localise: Localise,
    source: Source,
    budget: float,
) -> Diagnosed:
    """Say why the runs differ: by what they left, and by trials that ``run`` makes within ``budget`` (wall seconds).

    ``comparison`` has at least one divergence. Given the same evidence and the same trials it concludes the same.
    """
    found = prove(runs, comparison, run, compare, localise, source, budget)
    concluded = causes(found, runs, source)
    divergence = comparison.divergences[0]
    localisation = found.localisations[0] if found.localisations else None
    return Diagnosed(
        concluded, diagnosis(found, concluded, divergence, budget), located(divergence, concluded, localisation)
    )
