"""The whole product on one screen: request, runs, evidence, comparison, findings, verdict, audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import msgspec

from auditor import compare, experiment, fingerprint, verdict
from auditor.compare.names import path_matches
from auditor.config import Request
from auditor.diagnose.findings import findings
from auditor.errors import AuditorError, EvidenceError, Inconclusive, ProgramFailed
from auditor.records.audit import SCHEMA, Audit
from auditor.records.comparison import Comparison
from auditor.records.config import Settings
from auditor.records.fingerprint import Fingerprint
from auditor.records.progress import Event
from auditor.records.run import RunRecord
from auditor.records.trace import ProcessTrace
from auditor.report.wording import ending, plain
from auditor.store import HOME, Store, open_regular

LAST_LINES = 12
_TAIL_BYTES = 16 << 10


def audit(request: Request, on_event: Callable[[Event], None]) -> Audit:
    """Carry out an audit, or go on with the one in ``request.resume``, and leave it in its evidence directory.

    The audit's ``state`` says whether the program failed or the audit was interrupted. Raises AuditorError for what the
    user can mend, Inconclusive ``interrupted`` where the interrupt came after the last run.
    """
    experiment.preflight(request)
    if request.resume is not None:
        store = Store.open(request.resume)
    else:
        store = Store.create(request.out, request.project, request.command)
    store.write_request(request)
    try:
        experiment.perform(request, store, on_event, compare.steps_agree)
    except KeyboardInterrupt:
        # Nothing is lost: the runs that ended are kept, and the audit says how many are missing.
        pass
    try:
        with store.lock():
            concluded = _conclude(store, request, "container" if request.executor == "docker" else "here")
            store.write_fingerprint(concluded.fingerprint)
            store.write_audit(concluded)
    except KeyboardInterrupt:
        raise Inconclusive(
            "interrupted",
            "the audit was interrupted after its runs; they are kept",
            f"go on with it: auditor run --resume {store.path}",
        ) from None
    return concluded


def recompute(directory: Path) -> Audit:
    """The audit as the evidence in ``directory`` has it; nothing of ``audit.json`` is used. Raises EvidenceError."""
    store = Store.open(directory)
    return _conclude(store, store.read_request(Request), "elsewhere")


def request_to_resume(directory: Path) -> Request:
    """The request of the interrupted audit in ``directory``; raises EvidenceError ``nothing-to-resume``."""
    store = Store.open(directory)
    if store.complete():
        raise EvidenceError(
            "nothing-to-resume",
            f"the audit in {directory} is complete",
            f"see it again with auditor report {directory}, or start a new audit",
        )
    request = store.read_request(Request)
    return msgspec.structs.replace(request, resume=str(store.path))


def directory_of(request: Request, concluded: Audit) -> Path:
    """Where the evidence of an audit lies."""
    given = request.resume or request.out
    return Path(given) if given is not None else Path(request.project) / HOME / concluded.id


def exit_code(concluded: Audit) -> int:
    """The exit code that the audit ends with."""
    return int(verdict.exit_code(concluded))


def problem(concluded: Audit, directory: Path) -> AuditorError | None:
    """The error to show beside the report, or None for an audit that is complete.

    Where the program failed, it says how, its last words, and where its output is; where the audit was interrupted, how
    to go on.
    """
    if concluded.state == "interrupted":
        return Inconclusive(
            "interrupted",
            f"the audit was interrupted ({concluded.problem}); what the finished runs left is kept",
            f"go on with it: auditor run --resume {directory}",
        )
    if concluded.state == "complete":
        return None
    run = next(run for run in concluded.runs if run.ending.status in ("failed", "timeout"))
    logs = Store.open(directory).paths(run.number)
    last_words = _tail(logs.stderr) or _tail(logs.stdout)
    slug = "program-timed-out" if run.ending.status == "timeout" else "program-failed"
    remedy = (
        "give it more time with --timeout SECONDS, or find what it waits for"
        if slug == "program-timed-out"
        else "make it end with exit code 0 by itself first"
    )
    what = "\n".join([f"run {run.number} of the program {ending(run)}", *last_words])
    return ProgramFailed(slug, what, f"{remedy}; its whole output is in {logs.root} (stdout, stderr)")


def differences(directory: Path, recomputed: Audit) -> tuple[str, ...]:
    """Where the stored ``audit.json`` is at odds with the recomputed audit; empty where there is none, or it agrees."""
    store = Store.open(directory)
    if not (store.path / "audit.json").exists():
        return ()
    try:
        stored = store.read_audit()
    except EvidenceError as error:
        return (error.what,)
    before, now = _comparable(stored), _comparable(recomputed)
    return tuple(
        f"{name} (audit.json: {_brief(before.get(name))}; evidence: {_brief(now.get(name))})"
        for name in sorted(before | now)
        if before.get(name) != now.get(name)
    )


def _conclude(store: Store, request: Request, where: fingerprint.Where) -> Audit:
    settings = request.settings
    evidence = tuple(store.evidence(number) for number in store.runs())
    records = tuple(one.run for one in evidence)
    comparison = compare.replicates(evidence, settings)
    judgement = verdict.judge(comparison, records, settings)
    state, problem = _state(records, settings.replicates)
    return Audit(
        schema=SCHEMA,
        id=store.id,
        state=state,
        level=judgement.level,
        levels=judgement.levels,
        command=request.command,
        settings=settings,
        runs=records,
        metrics={metric.name: metric for metric in comparison.metrics},
        artefacts=comparison.artefacts,
        compared=comparison.compared,
        divergence=comparison.divergences[0] if comparison.divergences else None,
        causes=(),
        findings=findings(evidence, comparison),
        gaps=comparison.gaps,
        notes=comparison.notes + (_matched_nothing(comparison, settings) if state == "complete" else ()),
        detection=judgement.detection,
        fingerprint=_fingerprint(store, evidence[0].processes if evidence else (), where),
        times=_times(records),
        problem=problem,
    )


def _matched_nothing(comparison: Comparison, settings: Settings) -> tuple[str, ...]:
    """Names and patterns of the user that fit nothing in the runs, as notes: a misspelt tolerance is none."""
    if any(note.endswith("are not listed") for note in comparison.notes):
        return ()
    metrics = {metric.name for metric in comparison.metrics}
    leaves = {m.name.removeprefix(f"{m.source}:") for m in comparison.metrics if not m.declared}
    files = {artefact.path for artefact in comparison.artefacts}
    # Patterns may also name what is inside a checkpoint, and those names are not in the comparison.
    opened = any(artefact.kind == "tensors" for artefact in comparison.artefacts)
    noun = "number and no file" + (" (names inside checkpoints aside)" if opened else "")
    given = (
        ("--tolerance", settings.tolerances, metrics | leaves, "metric"),
        ("--ignore", settings.ignore, metrics | leaves | files, noun),
        ("--decide", settings.decide, metrics | leaves | files, noun),
    )
    notes = []
    for option, patterns, known, what in given:
        for pattern in patterns:
            paths = () if option == "--tolerance" else files
            if pattern == "*" or pattern in known or any(fnmatchcase(name, pattern) for name in known):
                continue
            if any(path_matches(path, pattern) for path in paths):
                continue
            near = get_close_matches(pattern, sorted(known), n=3, cutoff=0.5)
            hint = f"; near it: {', '.join(near)}" if near else ""
            notes.append(f"{option} {pattern} matches no {what}{hint}")
    return tuple(notes)


def _fingerprint(store: Store, processes: Sequence[ProcessTrace], where: fingerprint.Where) -> Fingerprint:
    # Only the audited machine knows its processor and driver: elsewhere those facts are the ones written then.
    stored = store.read_fingerprint() if where == "elsewhere" and (store.path / "fingerprint.json").exists() else None
    return fingerprint.from_traces(processes, where, stored)


def _state(records: Sequence[RunRecord], replicates: int) -> tuple[Literal["complete", "failed", "interrupted"], str]:
    for record in records:
        if record.ending.status in ("failed", "timeout"):
            return "failed", f"run {record.number} {ending(record)}"
    ended = [record for record in records if record.ending.status != "interrupted"]
    if len(ended) < replicates and not any(record.ending.status == "stopped" for record in ended):
        return "interrupted", f"{len(ended)} of {replicates} runs ended"
    return "complete", ""


def _times(records: Sequence[RunRecord]) -> dict[str, str | float]:
    if not records:
        return {}
    return {"started": records[0].started, "runs_seconds": round(sum(record.seconds for record in records), 3)}


def _tail(path: Path) -> list[str]:
    """The last lines of a log; empty where there is none."""
    try:
        with open_regular(path) as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [plain(line.rstrip()) for line in text.splitlines() if line.strip()][-LAST_LINES:]


def _comparable(concluded: Audit) -> dict[str, Any]:
    """The audit's fields by name, a level's apart; without the times, which are not recomputed."""
    fields: dict[str, Any] = msgspec.to_builtins(concluded)
    del fields["times"]
    levels = fields.pop("levels")
    return fields | {f"levels.{name}": level for name, level in levels.items()}


def _brief(value: Any) -> str:
    if isinstance(value, dict) and "verdict" in value:
        value = value["verdict"]
    text = msgspec.json.encode(value, order="deterministic").decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
