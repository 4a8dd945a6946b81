"""Everything that one run left, as the comparison receives it."""

from __future__ import annotations

from pathlib import Path

import msgspec

from auditor.records.run import RunRecord
from auditor.records.trace import ProcessTrace


class RunEvidence(msgspec.Struct, frozen=True):
    """One run's record, its processes' traces (main first, then by role), and where its files lie.

    ``artefacts_root``, ``tensors_root``, ``stdout`` and ``stderr`` are paths inside the evidence directory; ``missing``
    says, in words, which evidence should be there and is not.
    """

    run: RunRecord
    processes: tuple[ProcessTrace, ...]
    artefacts_root: Path
    tensors_root: Path
    stdout: Path
    stderr: Path
    missing: tuple[str, ...] = ()
