"""The whole product on one screen: request, runs, evidence, comparison, findings, verdict, audit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, NamedTuple

import msgspec

from auditor import compare, diagnose, experiment, fingerprint, verdict
from auditor.compare import seeds
from auditor.compare.names import path_matches
from auditor.config import Request, parse_figures
from auditor.diagnose.findings import remarks
from auditor.errors import AuditorError, EvidenceError, ExitCode, Inconclusive, ProgramFailed, UsageError
from auditor.fingerprint import description, variables
from auditor.records.audit import SCHEMA, Audit, Finding
from auditor.records.comparison import Comparison
from auditor.records.config import Settings
from auditor.records.control import Control
from auditor.records.environments import SCHEMA as COMPARISON
from auditor.records.environments import EnvironmentComparison, Group, Many, Pair, Prediction, Reached, Together
from auditor.records.evidence import RunEvidence
from auditor.records.fingerprint import Fingerprint, Known
from auditor.records.lock import LOCKED_LAYERS, Drift, Target
from auditor.records.progress import Event
from auditor.records.run import RunRecord
from auditor.records.study import References, Study
from auditor.report.wording import ending, plain
from auditor.store import HOME, Store, damaged, open_regular

if TYPE_CHECKING:
    from auditor.compare.inputs import Reader
    from auditor.compare.together import Side
    from auditor.diagnose import Run
    from auditor.lock import Written
    from auditor.records.check import CheckReport
    from auditor.records.claims import ClaimsReport
    from auditor.rulebook.project import Checked

State = Literal["complete", "failed", "interrupted"]
Mend = Literal["none", "safe", "unsafe"]

LAST_LINES = 12
_TAIL_BYTES = 16 << 10
_KEPT_SOURCES = 200
_LEAST_BUDGET = 300.0  # seconds: whoever waited for two short runs can wait for a few more
_REFERENCES = 8  # audits that are tried as the one that the others are held against


def audit(request: Request, on_event: Callable[[Event], None]) -> Audit:
    """Carry out an audit, or go on with the one in ``request.resume``, and leave it in its evidence directory.

    The audit's ``state`` says whether the program failed or the audit was interrupted. Raises AuditorError for what the
    user can mend, Inconclusive ``interrupted`` where the interrupt came after the last run.
    """
    experiment.preflight(request)
    _check_rules(Path(request.project))
    if request.resume is not None:
        store = Store.open(request.resume)
    else:
        store = Store.create(request.out, request.project, request.command)
    store.write_request(request)
    if request.reference and store.read_references() is None:
        store.write_references(_references(request))
    try:
        experiment.perform(request, store, on_event, compare.steps_agree)
    except KeyboardInterrupt:
        # Nothing is lost: the runs that ended are kept, and the audit says how many are missing.
        pass
    trials = experiment.trials(request, store, on_event, compare.steps_agree)
    try:
        with store.lock():
            concluded = _conclude(store, request, _where(request), trials, now=True)
            store.write_fingerprint(concluded.fingerprint)
            store.write_audit(concluded)
    except KeyboardInterrupt:
        raise Inconclusive(
            "interrupted",
            "the audit was interrupted after its runs; they are kept",
            f"go on with it: auditor run --resume {store.path}",
        ) from None
    finally:
        trials.close()
    return concluded


def _where(request: Request) -> fingerprint.Where:
    """What this machine may tell of the runs: nothing, where others executed them, or nobody knows who did."""
    if request.sweep_from is not None or request.executor == "slurm" or request.resources.ray_address is not None:
        return "elsewhere"
    return "container" if request.executor == "docker" else "here"


def seeds_of_reference(reference: Sequence[str]) -> tuple[int, ...]:
    """The seeds that a reference has run: those of the study that it names, or none where it gives figures."""
    directory = _reference_directory(reference)
    return () if directory is None else _study_in(directory)[1].settings.seeds


def seeds_found(directory: str, pattern: str) -> tuple[int, ...]:
    """The seeds that there are results of already (``--sweep-from``)."""
    return experiment.seeds_found(directory, pattern)


def recompute(directory: Path) -> Audit:
    """The audit as the evidence in ``directory`` has it; nothing of ``audit.json`` is used. Raises EvidenceError."""
    store = Store.open(directory)
    return _conclude(store, store.read_request(Request), "elsewhere", experiment.Recorded(store), now=False)


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
    run = _failing(concluded)
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


def _failing(concluded: Audit) -> RunRecord:
    """The run that the program failed in; in a study the last attempt at the first seed that is lost."""
    failed = [run for run in concluded.runs if run.ending.status in ("failed", "timeout")]
    if concluded.study is not None and concluded.study.lost:
        seed = concluded.study.lost[0].seed
        return [run for run in failed if run.seed == seed][-1]
    return failed[0]


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


def lock(target: str | None, python: str | None, directory: Path, stdin: Callable[[], BinaryIO]) -> Written:
    """Lock an interpreter of this machine (see ``fingerprint.describe``) into ``directory``, for the project here.

    With a ``target``, the fingerprint of an audit of that interpreter, what only a run tells is locked too. Raises
    UsageError ``not-a-lock`` where a file there is none of ours, ``other-environment`` where the target is of another
    interpreter, and what describing and looking up raise.
    """
    from auditor import lock as locking
    from auditor.compare.inputs import Reader

    executable = description.find(python)
    here = fingerprint.describe(executable)
    described = here if target is None else locking.check_same(_read_one(Reader(stdin), target), here)
    return locking.write(described, executable, directory, Path.cwd(), _why_locked, variables.OF_A_PROCESS)


def verify(
    target: str | None,
    lock_directory: Path,
    stdin: Callable[[], BinaryIO],
    *,
    python: str | None = None,
    image: str | None = None,
    layers: Sequence[str] = (),
    strict: bool = False,
) -> Drift:
    """Hold an environment against the lock in ``lock_directory``, and the project here against being pinned.

    ``target`` is a fingerprint or an audit (``-`` for what ``stdin`` gives); None is an interpreter of this machine, or
    of an image. ``layers`` are those to hold, by default all. Raises UsageError and EvidenceError where the lock or the
    target cannot be used.
    """
    from auditor import lock as locking
    from auditor.compare import drift
    from auditor.compare.inputs import Reader

    if target is not None and (python is not None or image is not None):
        raise UsageError("bad-usage", "a TARGET is no interpreter and no image", "leave --python and --image out")
    unknown = [layer for layer in layers if layer not in LOCKED_LAYERS]
    if unknown:
        raise UsageError(
            "bad-usage", f"--layer {unknown[0]!r}: a lock has no such layer", f"it has {', '.join(LOCKED_LAYERS)}"
        )
    locked = locking.read(lock_directory)
    if target is not None:
        reader = Reader(stdin)
        found = _read_one(reader, target)
        subject = Target("fingerprint" if reader.fleet.subjects[0].kind == "fingerprint" else "audit", target)
    elif image is not None:
        found, subject = fingerprint.describe_image(image, python), Target("image", image)
    else:
        found, subject = fingerprint.describe(python), Target("interpreter", python or "")
    skipped = tuple(layer for layer in LOCKED_LAYERS if layers and layer not in layers)
    held = drift.hold(locked, found, skipped, variables.OF_A_PROCESS)
    unpinned = locking.read_unpinned(Path.cwd(), locking.versions_of(locked, found))
    return drift.conclude(held, subject, skipped, unpinned, strict)


def _read_one(reader: Reader, target: str) -> Fingerprint:
    found = reader.read_one(target)
    _believed(reader)
    return found


def exit_code_of_drift(drift: Drift) -> int:
    """The exit code that verifying ends with."""
    codes = {"none": ExitCode.OK, "drift": ExitCode.NOT_REACHED, "cannot-be-told": ExitCode.INCONCLUSIVE}
    return int(codes[drift.verdict])


def _why_locked(layer: str, name: str) -> str | None:
    """The reason for which a fact decides a level; None where a difference in it is irrelevant."""
    from auditor.compare import risks

    rule = risks.rule_of(layer, name)
    return rule.reason if rule is not None and rule.risk != "irrelevant" else None


def compare_environments(
    arguments: Sequence[str], stdin: Callable[[], BinaryIO], tolerances: dict[str, float] | None = None
) -> EnvironmentComparison:
    """Hold fingerprints and audits against one another: two of them in detail, more in groups.

    Each argument is a file, a directory, or ``-`` for what ``stdin`` gives. ``tolerances`` replace those of the audits.
    Raises UsageError and EvidenceError where something named cannot be used.
    """
    from auditor.compare.inputs import Reader

    reader = Reader(stdin)
    reader.read(arguments)
    audits = all(subject.kind != "fingerprint" for subject in reader.fleet.subjects)
    if tolerances is not None and not audits:
        raise UsageError(
            "bad-usage", "--tolerance is for metrics, which fingerprints have none of", "leave it out, or name audits"
        )
    if not audits:
        _believed(reader)
    notes = tuple(f"not looked at: {entry}" for entry in reader.passed_by)
    if len(reader.fleet) == 2:
        return _pair(reader, audits, tolerances, notes)
    return _many(reader, audits, tolerances, notes)


def claims(ledger: Path, *, with_power: bool = False, seed: int = 1) -> ClaimsReport:
    """What became of each claim of a ledger, and with ``with_power`` how many seeds they need, drawn with ``seed``.

    Raises UsageError ``ledger-not-found``, ``bad-ledger`` or ``ledger-too-wide``.
    """
    from auditor.claims import judging, results
    from auditor.claims.ledger import read_ledger

    read = read_ledger(ledger)
    return judging.examine(read, results.collect(read, ledger.parent), with_power, seed)


def exit_code_of_claims(report: ClaimsReport) -> int:
    """0 where every claim is supported, 1 where one is not or is contradicted, else 3: one cannot be checked."""
    statuses = {one.status for one in report.claims}
    if statuses & {"not-supported", "contradicted"}:
        return int(ExitCode.NOT_REACHED)
    return int(ExitCode.INCONCLUSIVE if "cannot-be-checked" in statuses else ExitCode.OK)


def check(
    paths: Sequence[Path],
    *,
    select: tuple[str, ...] = (),
    ignore: tuple[str, ...] = (),
    possible: bool = False,
    fix: Mend = "none",
    write: bool = True,
    processes: int | None = None,
) -> Checked:
    """What the source of a project shows, and what was mended in it; without ``write``, how it would be.

    Raises UsageError ``no-such-path``, ``unknown-rule``, ``bad-configuration`` or ``bad-rule``.
    """
    from auditor.rulebook import project

    return project.check(paths, Path.cwd(), project.Options(select, ignore, possible, fix, write, processes))


def exit_code_of_check(report: CheckReport) -> int:
    """0 where nothing graver than a note is shown, 1 where something is; a fault where a rule failed on a file."""
    if any(remark.kind == "fault" for remark in report.remarks):
        return int(ExitCode.INTERNAL)
    shown = any(flaw.severity != "note" for flaw in report.flaws)
    return int(ExitCode.NOT_REACHED if shown else ExitCode.OK)


def exit_code_of_environments(comparison: EnvironmentComparison, required: str | None) -> int:
    """The exit code that a comparison of environments ends with."""
    return int(verdict.exit_code_of_environments(comparison, required))


def _pair(reader: Reader, audits: bool, tolerances: dict[str, float] | None, notes: tuple[str, ...]) -> Pair:
    from auditor.compare import environments

    found = environments.differences([reader.fleet.fingerprint(0), reader.fleet.fingerprint(1)])
    prediction = verdict.foresee(found.differences, found.unknown)
    answer, together = prediction.answer, None
    if audits:
        answer, together = _together(_side(reader, 0), _side(reader, 1), tolerances, prediction)
    subjects = tuple(reader.fleet.subjects)
    return Pair(COMPARISON, answer, subjects, prediction, together, notes)


def _many(reader: Reader, audits: bool, tolerances: dict[str, float] | None, notes: tuple[str, ...]) -> Many:
    from auditor.compare import groups

    grouping = groups.group(reader.fleet)
    names = [subject.name for subject in reader.fleet.subjects]
    overall = verdict.foresee(grouping.differences, grouping.missing, len(names))
    found = []
    for number, cluster in enumerate(grouping.clusters, 1):
        prediction = verdict.foresee(cluster.differences, cluster.unknown)
        members = tuple(names[member] for member in cluster.members)
        differs = tuple(difference.said for difference in cluster.differences)
        found.append(Group(number, members, prediction.at_best, prediction.levels, differs))
    first, outlook = names[0], verdict.answer_many(len(found), overall)
    reached = None
    if audits:
        first, reached = _reached(reader, tolerances)
    return Many(
        schema=COMPARISON,
        answer=outlook if reached is None else verdict.answer_reached(first, reached),
        count=len(names),
        at_best=overall.at_best,
        levels=overall.levels,
        groups=tuple(found),
        odd=grouping.odd,
        separating=grouping.separating,
        irrelevant=grouping.irrelevant,
        unknown=grouping.unknown,
        first=first,
        reached=reached,
        together=verdict.reached_by_all(first, reached) if reached is not None else None,
        outlook=outlook if reached is not None else "",
        notes=notes,
    )


def _reached(reader: Reader, tolerances: dict[str, float] | None) -> tuple[str, tuple[Reached, ...]]:
    """What each audit reached together with one of them, and which one that is.

    That is the first of the largest group of those that are bit-exact with one another, the earlier of equal ones; only
    where that many are alike in none is it looked for among the first few of them.
    """
    names = [subject.name for subject in reader.fleet.subjects]
    best, held, rest = 0, _held_against(reader, 0, range(1, len(names)), tolerances), list(range(len(names)))
    most = 0
    for _ in range(_REFERENCES):
        if len(rest) <= most:
            break
        reference = rest[0]
        tried = held if reference == 0 else _held_against(reader, reference, rest[1:], tolerances)
        alike = {index for index in rest[1:] if tried[index].levels["bit-exact"].verdict == "reached"}
        if 1 + len(alike) > most:
            best, most = reference, 1 + len(alike)
            held = tried
        rest = [index for index in rest[1:] if index not in alike]
    others = [index for index in range(len(names)) if index != best]
    held = {**_held_against(reader, best, [index for index in others if index not in held], tolerances), **held}
    return names[best], tuple(held[index] for index in others)


def _held_against(
    reader: Reader, reference: int, others: Iterable[int], tolerances: dict[str, float] | None
) -> dict[int, Reached]:
    """What each of the others reached together with one audit, by their places."""
    from auditor.compare import environments

    first = _side(reader, reference)
    reached = {}
    for index in others:
        other = _side(reader, index)
        between = environments.differences([first.fingerprint, other.fingerprint])
        prediction = verdict.foresee(between.differences, between.unknown)
        _, together = _together(first, other, tolerances, prediction)
        reached[index] = Reached(other.name, together.level, together.levels, together.divergence)
    return reached


def _side(reader: Reader, index: int) -> Side:
    """One of the audits to compare; without runs where only its ``audit.json`` was named."""
    from auditor.compare.together import Side

    name, environment = reader.fleet.subjects[index].name, reader.fleet.fingerprint(index)
    if index not in reader.audits:
        return Side(name, None, (), environment)
    store = Store.open(reader.audits[index])
    runs = tuple(store.evidence(number) for number in store.runs())
    doubt = _doubt(store, runs[0]) if runs else ""
    return Side(name, store.read_request(Request), runs, environment, doubt)


def _doubt(store: Store, run: RunEvidence) -> str:
    """What the traces of a run tell otherwise than the fingerprint beside them; empty where they contradict nothing."""
    finished = run.run.ending.status == "ok"
    project = Path(store.header.project)
    told = fingerprint.from_traces(run.processes, "elsewhere", None, project, run.run.image, finished=finished)
    found = fingerprint.contradictions(told, store.read_fingerprint())
    more = f", and so on ({len(found)} facts)" if len(found) > 1 else ""
    return f"fingerprint.json is not of these runs: {found[0]}{more}" if found else ""


def _believed(reader: Reader) -> None:
    """Raise EvidenceError ``damaged-evidence`` where the fingerprint of an audit that was read is of other runs."""
    for path in reader.audits.values():
        store = Store.open(path)
        for number in store.runs()[:1]:
            doubt = _doubt(store, store.evidence(number, verify=False))
            if doubt:
                raise damaged(path, doubt)


def _together(
    first: Side, second: Side, tolerances: dict[str, float] | None, prediction: Prediction
) -> tuple[str, Together]:
    from auditor.compare import together

    names = (first.name, second.name)
    obstacles = together.obstacles(first, second, tolerances)
    if obstacles:
        judgement = verdict.incomparable(obstacles, len(first.runs) + len(second.runs))
        return verdict.answer_together(names, judgement, prediction), Together(
            judgement.level, judgement.levels, obstacles=obstacles
        )
    joint = together.join(first, second, tolerances)
    records = [run.run for run in joint.runs]
    judgement = verdict.judge_together(joint.comparison, records, joint.settings, joint.unsteady)
    given = msgspec.structs.replace(joint.settings, ignore=(), decide=())
    misspelt = _matched_nothing(joint.comparison, given) if tolerances is not None else ()
    return verdict.answer_together(names, judgement, prediction), Together(
        level=judgement.level,
        levels=judgement.levels,
        runs=joint.names,
        unsteady=joint.unsteady,
        compared=joint.comparison.compared,
        digested=joint.digested,
        divergence=joint.divergence,
        metrics={metric.name: metric for metric in joint.comparison.metrics},
        gaps=joint.comparison.gaps,
        notes=joint.comparison.notes + misspelt,
        explanation=verdict.explain_together(judgement, joint.unsteady, prediction),
    )


def _conclude(store: Store, request: Request, where: fingerprint.Where, trials: Run, *, now: bool) -> Audit:
    """The audit of what was run; ``now`` where the project still is what was run, so that its source can be read."""
    settings = request.settings
    if request.is_study:
        return _conclude_study(store, request, where, now=now)
    evidence = tuple(store.evidence(number) for number in store.runs())
    records = tuple(one.run for one in evidence)
    comparison = compare.replicates(evidence, settings)
    judgement = verdict.judge(comparison, records, settings)
    environment = _fingerprint(store, evidence[0] if evidence else None, where)
    audit = _audit(store, request, records, comparison, judgement, environment, _state(records, settings.replicates))
    matched = _matched_nothing(comparison, settings) if audit.state == "complete" else ()
    found = _findings(store, evidence, _observed(evidence, comparison), environment, judgement, now=now)
    if request.diagnose and audit.state == "complete" and comparison.divergences:
        audit = _diagnosed(store, request, audit, evidence, comparison, trials)
    return msgspec.structs.replace(
        audit,
        findings=found.findings,
        notes=comparison.notes + matched + found.notes,
        controls=_controls(evidence, environment, judgement, found.findings),
    )


def _check_rules(project: Path) -> None:
    """Make sure that the rules, and the project's settings of them, can be used, before anything is run.

    Raises UsageError ``bad-rule``, ``bad-configuration`` or ``unknown-rule``.
    """
    from auditor.rulebook import rulebook
    from auditor.rulebook.settings import Configurations

    Configurations(rulebook().keys()).of(project)


class _Found(NamedTuple):
    """The findings of an audit, gravest first, and what there is to know about them."""

    findings: tuple[Finding, ...]
    notes: tuple[str, ...]


def _observed(evidence: Sequence[RunEvidence], comparison: Comparison) -> tuple[Finding, ...]:
    """What the runs show: to the rules, and of the evidence itself."""
    from auditor.rulebook import watching

    return watching.observe(evidence, comparison) + remarks(evidence)


def _findings(
    store: Store,
    evidence: Sequence[RunEvidence],
    observed: Iterable[Finding],
    environment: Fingerprint,
    judgement: verdict.Judgement,
    *,
    now: bool,
) -> _Found:
    """What the runs and the project's source show together; the source is read once, and what it showed is kept."""
    from auditor.rulebook import agreement

    sighted = None if now and evidence else store.read_sighted()
    if now and evidence:
        sighted = agreement.sight(evidence, store.project_source, Path(store.header.project))
        store.write_sighted(sighted)
    cuda = environment.layers["run"]["uses:cuda"]
    circumstances = agreement.Circumstances(
        judgement.levels["bit-exact"].verdict == "reached", cuda.value is True if isinstance(cuda, Known) else None
    )
    agreed = agreement.agree(observed, sighted, circumstances)
    return _Found(_gravest_first(agreed.findings + fingerprint.findings(environment)), agreement.notes(agreed, sighted))


def _controls(
    evidence: Sequence[RunEvidence],
    environment: Fingerprint,
    judgement: verdict.Judgement,
    findings: Sequence[Finding],
) -> tuple[Control, ...]:
    from auditor.rulebook import controls

    return controls.controls(evidence, environment, findings, judgement.levels["bit-exact"].verdict == "reached")


def _diagnosed(
    store: Store, request: Request, audit: Audit, evidence: Sequence[RunEvidence], comparison: Comparison, trials: Run
) -> Audit:
    """The audit with why its runs differ. The project's own files that they imported are kept with it, once."""
    for name in diagnose.own_sources(evidence[0])[:_KEPT_SOURCES]:
        store.keep_source(name)
    own = sum(one.run.seconds for one in evidence)
    budget = max(own, _LEAST_BUDGET) if request.diagnose_budget is None else request.diagnose_budget
    found = diagnose.diagnose(
        evidence,
        comparison,
        trials,
        lambda runs: compare.replicates(runs, request.settings),
        diagnose.differences,
        store.source,
        budget,
    )
    return msgspec.structs.replace(audit, causes=found.causes, diagnosis=found.diagnosis, divergence=found.divergence)


def _audit(
    store: Store,
    request: Request,
    records: tuple[RunRecord, ...],
    comparison: Comparison,
    judgement: verdict.Judgement,
    environment: Fingerprint,
    ended: tuple[State, str],
) -> Audit:
    """What an audit of one seed and one of many have alike; without findings."""
    state, problem = ended
    return Audit(
        schema=SCHEMA,
        id=store.id,
        state=state,
        level=judgement.level,
        levels=judgement.levels,
        command=request.command,
        settings=request.settings,
        runs=records,
        metrics={metric.name: metric for metric in comparison.metrics},
        artefacts=comparison.artefacts,
        compared=comparison.compared,
        divergence=comparison.divergences[0] if comparison.divergences else None,
        causes=(),
        findings=(),
        gaps=comparison.gaps,
        notes=comparison.notes,
        detection=judgement.detection,
        fingerprint=environment,
        times=_times(records),
        problem=problem,
    )


def _conclude_study(store: Store, request: Request, where: fingerprint.Where, *, now: bool) -> Audit:
    settings = request.settings
    records = tuple(store.record(number) for number in store.runs())
    groups, lost, waiting = seeds.group(records, settings)
    replicated: dict[int, tuple[Comparison, tuple[RunRecord, ...]]] = {}
    reported, missing = [], []
    observed: set[Finding] = set()
    first: tuple[RunEvidence, ...] = ()
    # One seed's evidence after the other: a thousand of them would not fit into memory.
    for seed, numbers in groups.items():
        runs = tuple(store.evidence(number) for number in numbers)
        first = first or runs
        missing += [f"run {run.run.number} (seed {seed}): {lack}" for run in runs for lack in run.missing]
        reported.append(seeds.read(runs[0], settings))
        compared = compare.replicates(runs, settings) if settings.replicates > 1 else seeds.NOTHING
        observed.update(_observed(runs, compared))
        if settings.replicates > 1:
            replicated[seed] = compared, tuple(run.run for run in runs)
    references = store.read_references()
    gathered = seeds.gather(
        reported, settings, tuple(references.metrics) if references and not references.audit else ()
    )
    held, lacking = seeds.hold(gathered, references, settings.margins, settings.seeds)
    study = Study(
        seeds=settings.seeds,
        metrics=held,
        references=references,
        lost=lost,
        waiting=waiting,
        constant=tuple(one.name for one in gathered.constant),
        missing=(*seeds.missing(lost, waiting, swept=request.sweep_from is not None), *missing, *lacking),
    )
    judgement = verdict.judge_study(study, replicated, settings)
    environment = _fingerprint(store, first[0] if first else None, where)
    together = seeds.together({seed: comparison for seed, (comparison, _) in replicated.items()})
    found = _findings(store, first, observed, environment, judgement, now=now)
    ended = _state_of_study(study, swept=request.sweep_from is not None)
    return msgspec.structs.replace(
        _audit(store, request, records, together, judgement, environment, ended),
        findings=found.findings,
        gaps=tuple(dict.fromkeys((*together.gaps, *study.missing))),
        notes=(*together.notes, *gathered.notes, *seeds.notes(records), *found.notes),
        study=study,
        controls=_controls(first, environment, judgement, found.findings),
    )


def _state_of_study(study: Study, swept: bool) -> tuple[State, str]:
    if study.waiting and not swept:
        done = len(study.seeds) - len(study.waiting)
        return "interrupted", f"{done} of {len(study.seeds)} seeds are done"
    if study.lost:
        first, more = study.lost[0], len(study.lost) - 1
        others = f", and {more} more {'seed' if more == 1 else 'seeds'} failed" if more else ""
        return "failed", f"seed {first.seed} {first.why}{others}"
    return "complete", ""


def _reference_directory(reference: Sequence[str]) -> Path | None:
    """The directory that a reference names; None where it gives figures, or there is none. Raises UsageError."""
    directories = [text for text in reference if parse_figures(text) is None]
    if not directories:
        return None
    if len(reference) > 1:
        raise UsageError(
            "bad-reference",
            f"--reference {directories[0]!r} is given beside another one",
            "give one study's directory, or figures for each metric: --reference rmse=7.72±0.66,n=5",
        )
    if not Path(directories[0]).is_dir():
        raise UsageError(
            "bad-reference",
            f"--reference {directories[0]!r} is neither a directory nor NAME=MEAN±STD,n=N",
            "name the evidence directory of an earlier study, or give for instance --reference rmse=7.72±0.66,n=5",
        )
    return Path(directories[0])


def _study_in(directory: Path) -> tuple[Store, Request]:
    store = Store.open(directory)
    request = store.read_request(Request)
    if not request.is_study:
        raise UsageError(
            "bad-reference",
            f"the audit in {directory} has one seed, and so no spread that others could be held to",
            "run a study first (auditor run --seeds 5 --out DIR -- …), or give figures: rmse=7.72±0.66,n=5",
        )
    return store, request


def _references(request: Request) -> References:
    """What the seeds of a request are held to. Raises UsageError ``bad-reference``, EvidenceError."""
    directory = _reference_directory(request.reference)
    if directory is None:
        figures = [figure for figure in map(parse_figures, request.reference) if figure is not None]
        given = dict(figures)
        if len(given) < len(figures):
            raise UsageError("bad-reference", "--reference is given twice for one metric", "leave one of them out")
        return References("figures that were given", given)
    store, theirs = _study_in(directory)
    groups, lost, waiting = seeds.group([store.record(number) for number in store.runs()], theirs.settings)
    settings = msgspec.structs.replace(theirs.settings, metrics=request.settings.metrics)
    reported = [seeds.read(store.evidence(numbers[0]), settings) for numbers in groups.values()]
    gathered = seeds.gather(reported, settings)
    metrics, missing = seeds.references_of(gathered)
    unseen = seeds.missing(lost, waiting, swept=theirs.sweep_from is not None)
    return References(
        "an earlier study", metrics, store.id, theirs.settings.seeds, (*unseen, *missing), seeds.curves_of(gathered)
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


def _fingerprint(store: Store, run: RunEvidence | None, where: fingerprint.Where) -> Fingerprint:
    # Only the audited machine knows its processor and driver: elsewhere those facts are the ones written then.
    stored = store.read_fingerprint() if where == "elsewhere" and (store.path / "fingerprint.json").exists() else None
    processes, image = (run.processes, run.run.image) if run is not None else ((), None)
    finished = run is not None and run.run.ending.status == "ok"
    return fingerprint.from_traces(processes, where, stored, Path(store.header.project), image, finished=finished)


def _gravest_first(found: tuple[Finding, ...]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda finding: ("error", "warning", "note").index(finding.severity)))


def _state(records: Sequence[RunRecord], replicates: int) -> tuple[State, str]:
    for record in records:
        if record.ending.status in ("failed", "timeout"):
            return "failed", f"run {record.number} {ending(record)}"
    ended = [record for record in records if record.ending.status != "interrupted"]
    if len(ended) < replicates and not any(record.ending.status == "stopped" for record in ended):
        return "interrupted", f"{len(ended)} of {replicates} runs ended"
    return "complete", ""


def _times(records: Sequence[RunRecord]) -> dict[str, str | float]:
    if not records or not records[0].started:
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
    fields: dict[str, Any] = msgspec.to_builtins(concluded, str_keys=True)
    del fields["times"]
    levels = fields.pop("levels")
    return fields | {f"levels.{name}": level for name, level in levels.items()}


def _brief(value: Any) -> str:
    if isinstance(value, dict) and "verdict" in value:
        value = value["verdict"]
    text = msgspec.json.encode(value, order="deterministic").decode()
    return text if len(text) <= 60 else f"{text[:57]}..."
