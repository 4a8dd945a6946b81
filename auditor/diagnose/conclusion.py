"""What a diagnosis concludes: the causes in order, each with its line, its proof, its remedy and its price."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from auditor.diagnose.attribute import (
    STREAM_FACTORS,
    STREAM_RULES,
    SURE,
    Source,
    Suspect,
    line_at,
    own_sources,
)
from auditor.diagnose.localise import HARMLESS
from auditor.diagnose.prove import CHANGES_WORK, Found
from auditor.diagnose.reading import asks_for_a_file, sightings
from auditor.diagnose.remedies import remedy
from auditor.diagnose.threads import meeting_place
from auditor.records.audit import Cause
from auditor.records.comparison import Divergence
from auditor.records.diagnosis import Diagnosis, Factor, Localisation, Tried
from auditor.records.evidence import RunEvidence
from auditor.records.trace import Draw, Place

_MOST_POSSIBLE = 5
_LEAST_POSSIBLE = 30
_LEAST_STEPS = 20
_LEAST_SECONDS = 0.2
_LEAST_NOISE = 0.03
_MOST_LINES = 4
_SEEDS_A_STREAM = STREAM_FACTORS - {"seed-generators"}  # one seed is enough for all of their lines
_VANISHED = Suspect(
    "stale-file",
    None,
    None,
    "runs that nothing is done to agree by now: the first one found, or left, something outside the project that the "
    "others did not find as it had been",
    90,
)


def causes(found: Found, runs: Sequence[RunEvidence], source: Source) -> tuple[Cause, ...]:
    """The causes, proven ones first; of suspects that no trial settled, those that something speaks for."""
    entry = _entry(runs, source)
    made: list[Cause] = []
    chosen = [_primary(found, factor) for factor in _factors(found.members)]
    for suspect in chosen:
        proven = suspect.factor in found.necessary
        share = _share(found, suspect.factor)
        price = _price(suspect.factor, runs, found.proof) if proven else None
        made.append(_cause(suspect, "proven" if proven else "likely", entry, source, price, share))
    if found.members:
        return tuple(made)
    settled = {one.rule for one in chosen}
    if found.vanished:
        made.append(_cause(_vanished(runs, source), "likely", entry, source, None, ""))
        settled.add("stale-file")
    whatever = _differs_whatever_is_fixed(found)
    racing = _racing(found, source) if whatever else None
    left = [one for one in found.suspects if one.rule == "stale-file"] if whatever else []
    if racing is not None:
        # A file may be read that an earlier run left, a library's cache, and something else race.
        left = [one for one in left if one.location is not None and one.location == racing.location]
    if left and "stale-file" not in settled:
        # What an earlier run left is there in every trial.
        made.append(_cause(left[0], "likely", entry, source, None, ""))
        settled |= {"stale-file", "nondeterministic-operation", "thread-race"}
    elif racing is not None:
        made.append(_cause(racing, "likely", entry, source, None, ""))
        settled |= {"nondeterministic-operation", racing.rule}
    refuted = set(found.excluded) | {factor for one in found.tried if one.outcome == "unused" for factor in one.factors}
    for suspect in found.suspects:
        if suspect.rule in settled or suspect.factor in refuted or suspect.weight < _LEAST_POSSIBLE:
            continue
        if racing is not None and racing.location is not None and suspect.location == racing.location:
            continue
        if len(made) >= _MOST_POSSIBLE:
            break
        made.append(
            _cause(_placed(suspect, found), "likely" if suspect.weight >= SURE else "possible", entry, source, None, "")
        )
        settled.add(suspect.rule)
    return tuple(made)


def _vanished(runs: Sequence[RunEvidence], source: Source) -> Suspect:
    """What vanished by itself, at the one line of the project that asks whether a file is there, if there is one."""
    asking = [Place(name, line) for name in own_sources(runs[0]) for line in asks_for_a_file(source(name) or "")]
    if len(asking) != 1:
        return _VANISHED
    why = f"{_VANISHED.why}; this is the project's one line that asks whether a file is there"
    return msgspec.structs.replace(_VANISHED, location=asking[0], why=why)


def diagnosis(found: Found, concluded: Sequence[Cause], divergence: Divergence, budget: float) -> Diagnosis:
    """How the causes were found, with the one sentence that says it."""
    proven = bool(found.members) and {one.factor for one in found.members} <= found.necessary
    if proven:
        state = "proven"
    elif found.finished and not found.members and any(len(one.factors) > _MOST_POSSIBLE for one in found.tried):
        state = "unremovable"
    else:
        state = "unproven"
    localisation = found.localisations[0] if found.localisations else None
    return Diagnosis(
        state=state,  # type: ignore[arg-type]  # one of the three above
        sentence=_sentence(found, concluded, divergence, state),
        localisation=localisation,
        tried=found.tried,
        excluded=found.excluded,
        replicates=found.replicates,
        runs=found.runs,
        seconds=found.seconds,
        budget=round(budget, 3),
        notes=found.notes,
        repeats=found.repeats,
        interrupted=found.interrupted,
    )


def located(divergence: Divergence, concluded: Sequence[Cause], localisation: Localisation | None) -> Divergence:
    """The divergence with the operation and the line that it was traced to."""
    place = concluded[0].location if concluded else None
    operation = None
    if localisation is not None:
        operation = localisation.operation if localisation.kind == "operation" else None
        place = place or localisation.location
    return msgspec.structs.replace(divergence, operation=operation, location=place)


def _factors(members: Sequence[Suspect]) -> list[Factor]:
    return list(dict.fromkeys(one.factor for one in members if one.factor is not None))


def _primary(found: Found, factor: Factor) -> Suspect:
    """Of the suspects that one factor settles, the one that says most, at the line that is known best."""
    mine = [one for one in found.members if one.factor == factor]
    best = max(mine, key=lambda one: (one.weight, one.location is not None))
    placed = _placed(best, found)
    others = {one.location for one in mine if one.location is not None} - {placed.location}
    if not others or factor in found.pinned or factor in _SEEDS_A_STREAM:
        return placed
    # What was fixed was fixed on all of them: that one line matters more than another is not shown.
    lines = ", ".join(sorted(f"{place.file}:{place.line}" for place in others)[:_MOST_LINES])
    return msgspec.structs.replace(placed, why=f"{placed.why} here, or at {lines}: which of them matters was not told")


def _placed(suspect: Suspect, found: Found) -> Suspect:
    """The suspect with a line: that of the record, else that which drew, else that where the runs parted.

    Of a seed that comes too late, the line that drew before it says more than the seeding itself.
    """
    if suspect.location is not None and suspect.rule != "late-seed":
        return suspect
    streams = {stream for stream, (_, factor) in STREAM_RULES.items() if factor == suspect.factor}
    draw = _draw([draw for draw in found.draws if draw.stream in streams], suspect, found.shuffled)
    if draw is not None:
        return msgspec.structs.replace(suspect, location=draw.place)
    if suspect.location is not None:
        return suspect
    alike = [one.location for one in found.suspects if one.factor == suspect.factor and one.location is not None]
    if alike:
        return msgspec.structs.replace(suspect, location=alike[0])
    return suspect


def _draw(draws: Sequence[Draw], suspect: Suspect, shuffled: bool) -> Draw | None:
    """The draw that shows where the runs part: the first one for initial parameters, else the last new one before.

    Each line is told once. What was drawn before parameters that agree did not matter; the line that was reached last
    did.
    """
    unseeded = [draw for draw in draws if not draw.seeded] or list(draws)
    # So for initial parameters; for a program without steps, where one draw is as good as another; and for batches of a
    # DataLoader that takes its samples in order: it draws too, and nothing comes of it.
    steady = suspect.step is None and not any(draw.step for draw in unseeded)
    if suspect.link == "init" or steady or (suspect.link == "batch" and not shuffled):
        return next(iter(unseeded), None)
    before = [draw for draw in unseeded if suspect.step is None or draw.step < suspect.step]
    return before[-1] if before else next(iter(unseeded), None)


def _cause(
    suspect: Suspect, confidence: str, entry: str | None, source: Source, price: float | None, share: str
) -> Cause:
    advice = remedy(suspect, entry, source)
    return Cause(
        rule=suspect.rule,
        confidence=confidence,  # type: ignore[arg-type]  # proven, likely or possible
        location=suspect.location,
        intervention=suspect.factor,
        remedy=advice.text,
        price=price,
        said=suspect.why,
        code=line_at(suspect.location, source),
        diff=advice.diff,
        share=share,
    )


def _differs_whatever_is_fixed(found: Found) -> bool:
    return any(len(one.factors) > _MOST_POSSIBLE and one.outcome == "differ" for one in found.tried)


def _racing(found: Found, source: Source) -> Suspect | None:
    """What gives different results from the same inputs; None where nothing was captured that does."""
    alike = [one for one in found.localisations if one.inputs_agree and not one.random and HARMLESS not in one.notes]
    # An operation that the program makes itself has lines inside: what it gave back is told once it has ended.
    first = next((one for one in alike if one.kind == "operation"), next(iter(alike), None))
    if first is None:
        return None
    for suspect in found.suspects:
        if suspect.rule == "completion-order" and suspect.location == first.location:
            return suspect
    text = source(first.location.file) if first.location is not None else None
    threaded = first.kind == "line" and text is not None and any(s.rule == "thread-race" for s in sightings(text))
    place = first.location
    what = first.operation or "this line"
    said = f"{what} gave different results from the same inputs, whatever was fixed around it"
    if first.kind == "line":
        said += ": it races, or reads something that no trial can fix (a file, a device, the network)"
    if threaded:
        said = "threads that share what this line changes take turns in another order each time"
        place = meeting_place(place, source) or place
    return Suspect("thread-race" if threaded else "racing-operation", None, place, said, 97)


def _share(found: Found, factor: Factor | None) -> str:
    """Where the runs differ while all members but this one are fixed."""
    everyone = set(_factors(found.members))
    for one in reversed(found.tried):
        if one.outcome == "differ" and set(one.factors) == everyone - {factor} and len(everyone) > 1:
            return f"first at {moment(one)}"
    return ""


def moment(tried: Tried) -> str:
    """Where runs part, in words: a step and a link."""
    return f"step {tried.step:,} ({tried.link})" if tried.step is not None else f"the {tried.link}"


def _entry(runs: Sequence[RunEvidence], source: Source) -> str | None:
    """The project's file that the command starts, where it is a script whose text is at hand."""
    main = next((trace for trace in runs[0].processes if trace.role in ("main", "rank 0")), None)
    if main is None or not main.hello.label.endswith(".py"):
        return None
    for name in own_sources(runs[0]):
        if name.rpartition("/")[2] == main.hello.label and source(name) is not None:
            return name
    return None


def _price(factor: Factor | None, runs: Sequence[RunEvidence], proof: Sequence[RunEvidence]) -> float | None:
    """The share of steps per second that is lost, by the medians of the audit's runs and of those that prove.

    Less than those runs differ among themselves counts as nothing. A seed, a clock, an order is fixed once: no step
    takes longer for it.
    """
    if factor not in CHANGES_WORK:
        return 0.0
    without = [speed for one in runs if (speed := _speed(one)) is not None]
    with_it = [speed for one in proof if (speed := _speed(one)) is not None]
    if len(without) < 2 or len(with_it) < 2:
        return None
    noise = max((max(speeds) - min(speeds)) / median(speeds) for speeds in (without, with_it))
    lost = 1 - median(with_it) / median(without)
    return round(lost, 3) if abs(lost) > max(noise, _LEAST_NOISE) else 0.0


def _speed(run: RunEvidence) -> float | None:
    """Steps per second of the process that took most, from its first digested step to its last."""
    best = max(run.processes, key=lambda trace: len(trace.steps), default=None)
    if best is None or len(best.steps) < 2:
        return None
    first, last = best.steps[0], best.steps[-1]
    steps, seconds = last.n - first.n, (last.ns - first.ns) / 1e9
    return steps / seconds if steps >= _LEAST_STEPS and seconds >= _LEAST_SECONDS else None


def _sentence(found: Found, concluded: Sequence[Cause], divergence: Divergence, state: str) -> str:
    where = f"Step {divergence.step:,}, {divergence.link}" if divergence.step is not None else f"The {divergence.link}"
    parts = []
    for cause in concluded[: 3 if found.members else 1]:
        at = f" ({cause.location.file}:{cause.location.line})" if cause.location is not None else ""
        parts.append(f"{cause.said}{at}")
    told = "; and ".join(parts)
    if state == "proven":
        fixed = " and ".join(_factors(found.members))
        end = "" if found.until is None else f" up to step {found.until:,}"
        if found.repeats:
            fixed, others = f"{fixed} as in run 1", found.replicates - 1
            further = "a further run comes" if others == 1 else f"{others} further runs come"
            return f"{where}: {told}. With {fixed}, {further} out as run 1 did."
        return f"{where}: {told}. With {fixed}, {found.replicates} of {found.replicates} runs agree{end}."
    if state == "unremovable":
        most = f" Most speaks for this: {told}." if told else ""
        return f"{where}: no intervention makes the runs agree.{most}"
    if not told:
        return f"{where}: nothing in the evidence says why."
    return f"{where}: {told}. That is not proven: {_why_not(found)}."


def _why_not(found: Found) -> str:
    if not found.finished:
        made = f"{found.runs} {'run' if found.runs == 1 else 'runs'}"
        if found.interrupted:
            return f"the trials were interrupted after {made}, and auditor run --resume goes on with them"
        return f"the trials ended after {made}, before it was settled" if found.runs else "no trial was made"
    return "no trial settled it" if found.tried else "there is no intervention for it"
