"""``audit.json``: the contract between an audit and whatever reads it."""

from __future__ import annotations

from typing import Literal

import msgspec

from auditor.records.comparison import ArtefactDifference, Compared, Divergence, Metric
from auditor.records.config import Settings
from auditor.records.control import Control
from auditor.records.diagnosis import Diagnosis
from auditor.records.fingerprint import Fingerprint
from auditor.records.run import RunRecord
from auditor.records.study import Study
from auditor.records.trace import Place

SCHEMA = "auditor.audit/1"
LEVELS = ("bit-exact", "seed-stable", "distribution-stable")

LevelName = Literal["bit-exact", "seed-stable", "distribution-stable"]
Verdict = Literal["reached", "not-reached", "inconclusive", "not-tested"]


class LevelVerdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One level's verdict, why, and the figures it rests on (name: number)."""

    verdict: Verdict
    reason: str
    measured: dict[str, float] = {}


class Cause(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the runs differ, how sure that is, and what to do.

    ``proven``: the runs agree with the ``intervention`` (a factor of ``auditor.records.diagnosis``) in force, and
    differ without it when every other cause is removed. ``said`` is the evidence in a sentence, ``code`` the line's
    text. ``remedy`` is what to change, ``diff`` the same as a unified diff where that is mechanical, else empty.
    ``price`` is the share of the steps per second that is lost with the intervention (0.04: 4 % slower; 0 where none
    can be told from noise, or nothing is done per step), None where too few steps were timed. ``share`` says where the
    runs differ when this cause alone is left.
    """

    rule: str
    confidence: Literal["proven", "likely", "possible"]
    location: Place | None
    intervention: str | None
    remedy: str | None
    price: float | None
    said: str = ""
    code: str = ""
    diff: str = ""
    share: str = ""


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something seen that endangers a level or the results, whatever the verdict.

    ``senses`` are those that saw it: the project's ``source`` was read, the ``run`` was watched.
    """

    rule: str
    message: str
    severity: Literal["error", "warning", "note"]
    location: Place | None
    senses: tuple[Literal["source", "run"], ...] = ("run",)


class Detection(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What k identical replicates prove: with this confidence, a divergence rate above this is excluded.

    ``excludes_rate_above`` is 1 − (1 − confidence)^(1/(k−1)); 1.0 where nothing is excluded (differences, or k = 1).
    """

    replicates: int
    confidence: float
    excludes_rate_above: float


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One examination of a command.

    ``level`` is the highest level reached, or None. ``state`` is ``complete``, ``failed`` (the program failed) or
    ``interrupted`` (``problem`` says what is missing). ``times`` is the one field that holds wall-clock times. An audit
    over several seeds has a ``study``; its ``metrics`` are then those of replicates of one seed. ``causes`` are in
    order of how much speaks for them; ``diagnosis`` says how they were found, None where none was made. ``controls``
    are what the levels demand to be held fixed; they decide nothing.
    """

    schema: str
    id: str
    state: Literal["complete", "failed", "interrupted"]
    level: LevelName | None
    levels: dict[LevelName, LevelVerdict]
    command: tuple[str, ...]
    settings: Settings
    runs: tuple[RunRecord, ...]
    metrics: dict[str, Metric]
    artefacts: tuple[ArtefactDifference, ...]
    compared: Compared
    divergence: Divergence | None
    causes: tuple[Cause, ...]
    findings: tuple[Finding, ...]
    gaps: tuple[str, ...]
    notes: tuple[str, ...]
    detection: Detection
    fingerprint: Fingerprint
    times: dict[str, str | float]
    problem: str = ""
    study: Study | None = None
    diagnosis: Diagnosis | None = None
    controls: tuple[Control, ...] = ()

    @property
    def cut_off(self) -> bool:
        """Whether it can be gone on with: its runs, or the trials of its diagnosis, were interrupted."""
        return self.state == "interrupted" or (self.diagnosis is not None and self.diagnosis.interrupted)
