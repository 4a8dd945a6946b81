"""Two audits of one command on two machines: whether they can be compared, and the steps that both digested."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from auditor import compare
from auditor.compare.traces import is_worker
from auditor.config import Request
from auditor.records.comparison import Comparison, Divergence
from auditor.records.config import Settings
from auditor.records.environments import Digested
from auditor.records.evidence import RunEvidence
from auditor.records.fingerprint import Fingerprint, Known
from auditor.records.trace import ProcessTrace

_PYTHON = re.compile(r"python(\d+(\.\d+)*)?\Z")


class Side(msgspec.Struct, frozen=True):
    """One of the two audits: the name it goes by, what was asked for, what its runs left, and its environment.

    ``request`` is None where there is no evidence, but an ``audit.json`` by itself. ``doubt`` says why the fingerprint
    is not believed to be of these runs; empty where nothing speaks against it.
    """

    name: str
    request: Request | None
    runs: tuple[RunEvidence, ...]
    fingerprint: Fingerprint
    doubt: str = ""


class Joint(msgspec.Struct, frozen=True):
    """All runs of two audits, compared with the first one.

    ``runs`` are numbered through; ``names`` has the audit of each. ``unsteady`` names the audits whose own runs differ;
    ``divergence`` is the first between runs of different audits.
    """

    comparison: Comparison
    runs: tuple[RunEvidence, ...]
    names: tuple[str, ...]
    settings: Settings
    digested: Digested
    unsteady: tuple[str, ...]
    divergence: Divergence | None


def obstacles(first: Side, second: Side, tolerances: dict[str, float] | None) -> tuple[str, ...]:
    """Why two audits cannot be compared, each reason a clause; none where they can.

    ``tolerances`` are those that were asked for now; None leaves those of the audits, which then have to agree.
    """
    alone = [side.name for side in (first, second) if side.request is None]
    if first.request is None or second.request is None:
        verb = "is an audit.json" if len(alone) == 1 else "are each an audit.json"
        return (f"{' and '.join(alone)} {verb} by itself, without the evidence that could be compared",)
    studies = [side.name for side in (first, second) if side.request is not None and side.request.is_study]
    if studies:
        verb = "is a study" if len(studies) == 1 else "are studies"
        return (f"{' and '.join(studies)} {verb} of many seeds, held to another with auditor run --reference",)
    found = [_command(first.request, second.request, _same_data(first, second))]
    seeds = [sorted({run.run.seed for run in side.runs}, key=str) for side in (first, second)]
    if first.runs and second.runs and seeds[0] != seeds[1]:
        said = [", ".join("none" if seed is None else str(seed) for seed in each) for each in seeds]
        found.append(f"the seeds differ ({said[0]} and {said[1]})")
    if first.request.seed_env != second.request.seed_env:
        found.append("the seed is given in other environment variables (--seed-env)")
    ours, theirs = first.request.settings, second.request.settings
    for name, option in (("steps", "--steps"), ("metrics", "--metric"), ("ignore", "--ignore"), ("decide", "--decide")):
        if getattr(ours, name) != getattr(theirs, name):
            found.append(f"the settings differ ({option})")
    if tolerances is None and ours.tolerances != theirs.tolerances:
        found.append("the tolerances differ, and none was given here (--tolerance)")
    for side, settings in ((first, ours), (second, theirs)):
        if not side.runs:
            found.append(f"{side.name} has no complete run")
        elif len(side.runs) < settings.replicates and all(run.run.ending.status == "ok" for run in side.runs):
            found.append(f"{side.name} is not complete ({len(side.runs)} of {settings.replicates} runs)")
    return tuple(one for one in found if one)


def _command(first: Request, second: Request, same_data: bool) -> str:
    """How the commands differ, if they do: what names the interpreter is the environment's, not the command's."""
    ours, theirs = _words(first.command), _words(second.command)
    if ours == theirs:
        return ""
    if len(ours) != len(theirs):
        return "the commands differ"
    differing = [(one, two) for one, two in zip(ours, theirs, strict=True) if one != two]
    # The same files may lie elsewhere; that they are the same is told by what they hold.
    if same_data and all(one.startswith("/") and two.startswith("/") for one, two in differing):
        return ""
    one, two = differing[0]
    return f"the commands differ ({_short(one)} and {_short(two)})"


def _words(command: Sequence[str]) -> tuple[str, ...]:
    name = command[0].rpartition("/")[2]
    return ("python" if _PYTHON.match(name) else command[0], *command[1:])


def _same_data(first: Side, second: Side) -> bool:
    """Whether both fingerprints know what the runs read and which code they ran, and it is the same."""
    for name in ("data", "code"):
        facts = [side.fingerprint.layers.get("run", {}).get(name) for side in (first, second)]
        values = [fact.value for fact in facts if isinstance(fact, Known)]
        if len(values) < 2 or values[0] != values[1]:
            return False
    return True


def _short(word: str) -> str:
    return word if len(word) <= 60 else f"{word[:59]}…"


def join(first: Side, second: Side, tolerances: dict[str, float] | None) -> Joint:
    """Compare every run of two audits with the first run of the first one, on the steps that all of them digested.

    Each audit decided by itself which steps to digest, so that a step that one of them passed by is no gap here; the
    gaps within each audit count. The two are ``Side``s that nothing keeps from being compared.
    """
    ours, theirs = (_settings(side) for side in (first, second))
    settings = msgspec.structs.replace(
        ours,
        require=None,
        tolerances=ours.tolerances if tolerances is None else tolerances,
        replicates=len(first.runs) + len(second.runs),
        fail_fast=ours.fail_fast or theirs.fail_fast,
    )
    runs = common([_numbered(run, number) for number, run in enumerate((*first.runs, *second.runs), 1)])
    comparison = compare.replicates(runs, settings)
    own = [(side, compare.replicates(side.runs, _settings(side))) for side in (first, second)]
    doubts = [f"{side.name}: {side.doubt}" for side in (first, second) if side.doubt]
    gaps = doubts + [f"{side.name}: {gap}" for side, one in own for gap in one.gaps]
    unsound = doubts + [f"{side.name}: {gap}" for side, one in own for gap in one.unsound]
    comparison = msgspec.structs.replace(
        comparison,
        gaps=_more(comparison.gaps, gaps),
        unsound=_more(comparison.unsound, unsound),
    )
    across = len(first.runs) + 1
    return Joint(
        comparison=comparison,
        runs=tuple(runs),
        names=tuple(side.name for side, _ in own for _ in side.runs),
        settings=settings,
        digested=_digested(first, second),
        unsteady=tuple(side.name for side, one in own if one.divergences),
        divergence=next((one for one in comparison.divergences if one.runs[1] >= across), None),
    )


def _settings(side: Side) -> Settings:
    return side.request.settings if side.request is not None else Settings()


def _more(found: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Gaps of the runs together, and those of an audit by itself that are not among them in other words."""
    known = {re.sub(r"\brun \d+\b", "run", gap) for gap in found}
    return (*found, *(gap for gap in others if re.sub(r"\brun \d+\b", "run", gap.partition(": ")[2]) not in known))


def _numbered(evidence: RunEvidence, number: int) -> RunEvidence:
    return msgspec.structs.replace(evidence, run=msgspec.structs.replace(evidence.run, number=number))


def common(runs: Sequence[RunEvidence]) -> list[RunEvidence]:
    """The runs with only those steps of each process that every run which has the process digested."""
    digested: dict[str, set[int]] = {}
    for run in runs:
        for trace in run.processes:
            numbers = {step.n for step in trace.steps}
            digested[trace.role] = digested[trace.role] & numbers if trace.role in digested else numbers
    return [
        msgspec.structs.replace(run, processes=tuple(_kept(trace, digested[trace.role]) for trace in run.processes))
        for run in runs
    ]


def _kept(trace: ProcessTrace, steps: set[int]) -> ProcessTrace:
    if len(steps) == len(trace.steps):
        return trace
    return msgspec.structs.replace(trace, steps=tuple(step for step in trace.steps if step.n in steps))


def _digested(first: Side, second: Side) -> Digested:
    """How many steps the first run of each digested, over the processes that both have, and how many both did."""
    counts = [0, 0, 0]
    if first.runs and second.runs:
        ours, theirs = (
            {trace.role: {step.n for step in trace.steps} for trace in side.runs[0].processes if not is_worker(trace)}
            for side in (first, second)
        )
        for role in ours.keys() | theirs.keys():
            one, two = ours.get(role, set()), theirs.get(role, set())
            counts = [counts[0] + len(one), counts[1] + len(two), counts[2] + len(one & two)]
    return Digested(*counts)
