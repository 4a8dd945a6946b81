"""Both senses of an audit: the source that its runs executed is read, and held against what was seen in the runs."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import decode_source
from pathlib import Path
from typing import NamedTuple

import msgspec

from auditor.errors import UsageError
from auditor.records.audit import Finding
from auditor.records.check import Flaw
from auditor.records.evidence import RunEvidence
from auditor.records.sighted import Allowed, Sighted, Unread
from auditor.records.trace import Place
from auditor.rule import Check
from auditor.rulebook import rulebook
from auditor.rulebook.checking import Reading, read, report
from auditor.rulebook.settings import Configurations
from auditor.rulebook.watching import finding_order

MOST = 1 << 20
"""How many bytes of source are read; training programs have a tenth of it, and more would make an audit wait."""

_SHOWN = 3
_COMPILED = (".so", ".pyd", ".pyc")
_SOURCE = "seen in the source"
_NO_CUDA = "seen in the source; these runs used no CUDA device"
_AGREE = "seen in the source; these runs agree all the same"
_NOT_RUN = "seen in the source, not in these runs"
_RUN_ELSEWHERE = "seen in the source; these runs show it elsewhere"
_NOT_SOURCE = "seen in these runs; no line of the project's source shows it"
_SOURCE_ELSEWHERE = "seen in these runs; the source shows it elsewhere"


class Agreed(msgspec.Struct, frozen=True):
    """The findings of both senses, and those of the runs that the project allows."""

    findings: tuple[Finding, ...]
    allowed: tuple[Finding, ...]


class _Wishes(NamedTuple):
    """What settings say of one file: the rules that are allowed in it, and those that are not asked there."""

    allowed: frozenset[str] = frozenset()
    unasked: frozenset[str] = frozenset()


def sight(runs: Sequence[RunEvidence], source: Callable[[str], bytes | None], project: Path | None = None) -> Sighted:
    """Read the project's own source files that the runs executed, as they executed them.

    ``source`` gives the bytes of a file of the project by its name, or None. One whose digest is not that of the runs
    is another file by now, and is not read. Where ``project`` lies says which settings hold.
    """
    digests: dict[str, set[str]] = defaultdict(set)
    left_out, silent = 0, 0
    for trace in (trace for run in runs for trace in run.processes):
        silent += trace.hello.kind == "exec" and not trace.sources
        for line in trace.sources:
            left_out = max(left_out, line.left_out)
            for file in line.files:
                if not file.name.endswith(_COMPILED):
                    digests[file.name].add(file.digest)
    readings, unread, size = [], [], 0
    for name in sorted(digests, key=lambda name: (name.count("/"), name)):
        data = source(name)
        why = _other(data, digests[name])
        if data is not None and not why:
            size += len(data)
            why = "there is more source than is read" if size > MOST else ""
        if data is None or why:
            unread.append(Unread(name, why))
            continue
        reading, why = _read(name, data)
        if reading is None:
            unread.append(Unread(name, why))
        else:
            readings.append(reading)
    if unread or left_out or silent:
        # What mends a flaw may be in a file that was not read.
        readings = [
            one._replace(candidates=tuple(candidate for candidate in one.candidates if not candidate.unless))
            for one in readings
        ]
    faults = [
        f"{remark.file}: {remark.message}" for one in readings for remark in one.remarks if remark.kind == "fault"
    ]
    wishes, problem = _wishes(project, [one.path for one in readings])
    allowed = [Allowed(rule, one.path, line) for one in readings for rule, line in one.allowed]
    allowed += [Allowed(rule, name, 0) for name, one in wishes.items() for rule in sorted(one.allowed)]
    flaws = report(readings, possible=True).flaws
    return Sighted(
        files=len(readings),
        flaws=tuple(_wished(flaw, wishes) for flaw in flaws if flaw.rule not in wishes[flaw.spot.file].allowed),
        allowed=tuple(allowed),
        unread=tuple(unread),
        faults=(*faults, *problem),
        more=left_out + silent,
    )


def _wishes(project: Path | None, names: Sequence[str]) -> tuple[dict[str, _Wishes], tuple[str, ...]]:
    """What the settings say of each file, and what is wrong with them."""
    found = dict.fromkeys(names, _Wishes())
    if project is None:
        return found, ()
    known = frozenset(rulebook())
    configurations = Configurations(known)
    try:
        for name in names:
            configuration = configurations.of((project / name).parent)
            if configuration is None:
                continue
            path, settings = project / name, configuration.settings
            asked = (known if settings.select is None else frozenset(settings.select)) - frozenset(settings.ignore)
            found[name] = _Wishes(
                frozenset(rule for one in configuration.allows(path) for rule in one.rules),
                known if configuration.excludes(path) else known - asked,
            )
    except UsageError as error:
        # It was in order when the audit began, and the runs are worth more than it is.
        return found, (error.what,)
    return found, ()


def _wished(flaw: Flaw, wishes: Mapping[str, _Wishes]) -> Flaw:
    """A flaw, which counts only where the runs show it too if its rule is not to be asked."""
    if flaw.rule not in wishes[flaw.spot.file].unasked:
        return flaw
    return msgspec.structs.replace(flaw, confidence="possible")


def _other(data: bytes | None, digests: set[str]) -> str:
    """Why the bytes of a file are not what the runs executed; empty where they are."""
    if len(digests) > 1:
        return "it was not the same in all runs"
    if data is None:
        return "it cannot be read any more"
    if hashlib.blake2b(data, digest_size=8).hexdigest() not in digests:
        return "it has changed since the runs"
    return ""


def _read(name: str, data: bytes) -> tuple[Reading | None, str]:
    """A file's reading, or why there is none."""
    try:
        reading = read(name, decode_source(data), executed=True)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        return None, f"it is no text that Python reads ({error})"
    problem = next((remark.message for remark in reading.remarks if remark.kind == "unread"), None)
    return (reading, "") if problem is None else (None, problem.removeprefix("not read: "))


class Circumstances(NamedTuple):
    """What else is known of the runs: whether they were bit-exact, and used a CUDA device (None: nobody knows)."""

    bit_exact: bool = False
    cuda: bool | None = None


_NOTHING_KNOWN = Circumstances()


def agree(
    observed: Iterable[Finding], sighted: Sighted | None, circumstances: Circumstances = _NOTHING_KNOWN
) -> Agreed:
    """Make one finding of what both senses saw in one place, and say where only one of a rule's two senses saw it.

    Without ``sighted`` nothing was read. A flaw of ``possible`` confidence counts where the runs show it too. What the
    source alone shows, and these runs would have shown had it done harm, is a note.
    """
    if sighted is None:
        return Agreed(tuple(sorted(observed, key=finding_order)), ())
    speaks = {(one.rule, one.file, one.line) for one in sighted.allowed}
    seen: dict[str, list[Finding]] = defaultdict(list)
    allowed = []
    for finding in observed:
        place = finding.location
        if place is not None and speaks & {(finding.rule, place.file, line) for line in (0, place.line)}:
            allowed.append(finding)
        else:
            seen[finding.rule].append(finding)
    flaws: dict[str, list[Flaw]] = defaultdict(list)
    for flaw in sighted.flaws:
        flaws[flaw.rule].append(flaw)
    found: set[Finding] = set()
    for rule in seen | flaws:
        found.update(_agreed(rule, seen[rule], flaws[rule], sighted.complete, circumstances))
    return Agreed(tuple(sorted(found, key=finding_order)), tuple(sorted(allowed, key=finding_order)))


def notes(agreed: Agreed, sighted: Sighted | None) -> tuple[str, ...]:
    """What there is to know about the findings: which are allowed, and which files of the project were not read."""
    said = []
    for one in agreed.allowed:
        where = f" at {one.location.file}:{one.location.line}" if one.location is not None else ""
        said.append(f"{one.rule}{where} is allowed in the project")
    if sighted is not None:
        unread = [f"{one.file} was not read for flaws: {one.why}" for one in sighted.unread]
        said += [*sighted.faults, *unread[:_SHOWN]]
        if len(unread) > _SHOWN:
            said.append(f"{len(unread) - _SHOWN} more of the project's source files were not read for flaws")
    return tuple(dict.fromkeys(said))


def _agreed(
    rule: str, observed: list[Finding], flaws: list[Flaw], complete: bool, circumstances: Circumstances
) -> Iterable[Finding]:
    check = rulebook().get(rule)
    placed = [one for one in observed if one.location is not None]
    anywhere = [one for one in observed if one.location is None]
    open_flaws = []
    both = set()
    for flaw in flaws:
        met = [one for one in placed if one.location is not None and _covers(flaw, one.location)]
        both.update(met)
        if not met:
            open_flaws.append(flaw)
    yield from (msgspec.structs.replace(one, senses=("source", "run")) for one in both)
    shown = [flaw for flaw in open_flaws if _shown(flaw)]
    if anywhere and shown:
        # The runs show the flaw and not its line, which the source does.
        severity = min(anywhere, key=finding_order).severity
        yield from (Finding(rule, flaw.message, severity, _place(flaw), ("source", "run")) for flaw in shown)
        shown, anywhere = [], []
    for flaw in shown:
        clause = _RUN_ELSEWHERE if observed else _of_source_alone(flaw, check, circumstances)
        severity = flaw.severity if clause in (_SOURCE, _RUN_ELSEWHERE) else "note"
        yield Finding(rule, _with(flaw.message, clause), severity, _place(flaw), ("source",))
    for one in (*(one for one in placed if one not in both), *anywhere):
        clause = ""
        if complete and check is not None and check.source is not None:
            clause = _SOURCE_ELSEWHERE if any(map(_shown, flaws)) else _NOT_SOURCE
        yield msgspec.structs.replace(one, message=_with(one.message, clause))


def _of_source_alone(flaw: Flaw, check: Check | None, circumstances: Circumstances) -> str:
    """What is said of a flaw that no run shows."""
    if check is not None and check.rule.topic == "kernels" and circumstances.cuda is False:
        return _NO_CUDA
    if check is not None and check.run is not None:
        return _NOT_RUN
    return _AGREE if circumstances.bit_exact and flaw.level == "bit-exact" else _SOURCE


def _shown(flaw: Flaw) -> bool:
    return flaw.confidence != "possible"


def _covers(flaw: Flaw, place: Place) -> bool:
    return place.file == flaw.spot.file and flaw.spot.line <= place.line <= flaw.spot.end_line


def _place(flaw: Flaw) -> Place:
    return Place(flaw.spot.file, flaw.spot.line)


def _with(message: str, clause: str) -> str:
    return f"{message} ({clause})" if clause else message
