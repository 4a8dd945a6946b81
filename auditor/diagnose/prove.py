"""Proof by intervention: the smallest set of factors that, once fixed, makes the runs agree."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

import msgspec

from auditor.diagnose.attribute import (
    FACTOR_OF,
    STREAM_FACTORS,
    STREAM_NAMES,
    STREAM_RULES,
    SURE,
    Source,
    Suspect,
    attribute,
    line_at,
    own_sources,
    rank,
    torch_alike,
)
from auditor.diagnose.localise import HARMLESS
from auditor.diagnose.reading import first_line_of, rule_of, seeded_by_entropy, sightings
from auditor.diagnose.threads import meeting_place
from auditor.records.comparison import Comparison, Divergence
from auditor.records.diagnosis import FACTORS, Factor, Localisation, Trial, Tried, Window
from auditor.records.evidence import RunEvidence
from auditor.records.trace import Draw, Place

Run = Callable[[Trial, int], "RunEvidence | None"]
"""Makes a trial; the second argument numbers (from 1) those that are held against one another. None: it cannot."""
Compare = Callable[[Sequence[RunEvidence]], Comparison]
Localise = Callable[[RunEvidence, RunEvidence], "tuple[Localisation, ...]"]

LEVEL = 0.05
"""How likely a set of factors that changes nothing may be to look like a proof."""

# A stream's state, the clock, a number of the system: two runs that differ in these differ at once and for sure, as
# they do in the order of listings, which is turned round in every second run. What the others fix comes out by chance,
# perhaps one of two ways, and two runs that agree may do so by luck.
DRAWN_ANEW = frozenset(
    {"seed-python", "seed-numpy", "seed-torch", "seed-generators", "pin-seeds", "fix-entropy", "freeze-clock"}
    | {"sort-listings"}
)
# These can be set as they were in the audit's first run, and a run then comes out as it did. The evidence tells what
# the streams began with, by these names.
_BEGUN = {"seed-python": "python", "seed-numpy": "numpy", "seed-torch": "torch", "seed-generators": "numpy-generator"}
_REPEATED = frozenset({*_BEGUN, "pin-seeds", "fix-hash-seed"})
# These change how the work is done, and so results by themselves: that results change with them shows nothing.
CHANGES_WORK = frozenset(
    {"seed-workers"} | {"one-thread", "load-in-process", "deterministic-algorithms", "no-tf32", "serial-threads"}
)
_SHUFFLING = frozenset({"RandomSampler", "WeightedRandomSampler", "SubsetRandomSampler"})
# Tried by name only: with them a program may well fail or crawl.
_LAST_RESORT = frozenset({"load-in-process", "no-tf32", "pin-seeds"})
_WORTH_STOPPING = 0.6  # of a run's time: a trial that would be ended later than this is let go on to the end
_LONGEST_CAPTURE = 4  # steps
_WIDEST_CAPTURE = 16
# What a program may read on many lines, of which most do no harm: durations that are printed, names of runs.
_READ_ON_LINES = frozenset({"freeze-clock", "fix-pid", "fix-entropy"})
_DIFFERENCES = 6
_FINDS = re.compile(
    r"\b(?:l?exists|is_?file|is_?dir|stat|access|FileNotFoundError|FileExistsError|OSError|remove|unlink|rmtree|rmdir|rename|move|touch"
    r"|listdir|scandir|i?r?glob|iterdir|walk|sqlite3?|shelve|dbm|requests|urllib\w*|http|socket|redis|subprocess|system"
    r"|Popen|os\.replace)\b"
)
_IN_SIGHT = 46  # the weight of what the evidence or the source shows, and not of what is merely possible

Outcome = Literal["agree", "differ", "failed", "unused"]


@dataclass(frozen=True)
class Found:
    """What the trials came to.

    ``members`` are the suspects whose factors together make the runs agree; it is empty where nothing did.
    ``necessary`` are the factors shown to be needed: without each, and with all the others, the runs differ. ``proof``
    are the runs that agree, ``until`` the step after which they were ended (None: they ended by themselves). ``draws``
    are the lines that drew from random streams in the trials. ``vanished``: runs that nothing was done to agree by now.
    ``repeats``: the first run of the proof is the audit's own first, as whose the factors were set.
    ``pinned`` are the factors of whose lines one was shown to differ first. ``shuffled``: a DataLoader of the program
    draws the order of its samples.
    """

    members: tuple[Suspect, ...]
    necessary: frozenset[Factor]
    suspects: tuple[Suspect, ...]
    tried: tuple[Tried, ...]
    excluded: tuple[Factor, ...]
    localisations: tuple[Localisation, ...]
    replicates: int
    runs: int
    seconds: float
    finished: bool
    interrupted: bool = False
    until: int | None = None
    proof: tuple[RunEvidence, ...] = ()
    draws: tuple[Draw, ...] = ()
    vanished: bool = False
    repeats: bool = False
    pinned: frozenset[Factor | None] = frozenset()
    shuffled: bool = False
    notes: tuple[str, ...] = ()


def agreements(replicates: int, differing: int, factors: Sequence[Factor]) -> int:
    """How many runs must agree with one another before their agreement is a proof.

    Of ``replicates`` runs ``differing`` parted from the first one. With every rate of divergence as likely as any other
    beforehand, the chance that the next run agrees as well, and the one after it, follows from that (the rule of
    succession); the chance that all of them agree though nothing was done to them must be at most ``LEVEL``. What is
    drawn anew in each run needs no more than two where every run differed.
    """
    parted, agreed = differing + 1, replicates - differing
    if agreed == 1 and all(factor in DRAWN_ANEW for factor in factors):
        return 2
    luck, further = 1.0, 0
    while luck > LEVEL:
        luck *= (agreed + further) / (parted + agreed + further)
        further += 1
    return further + 1


class _Search:
    """What was spent and tried so far; makes the runs."""

    def __init__(
        self,
        run: Run,
        compare: Compare,
        source: Source,
        budget: float,
        runs: Sequence[RunEvidence],
        comparison: Comparison,
    ) -> None:
        self.compare = compare
        self.ordinary = max(one.run.seconds for one in runs)
        self.estimate = self.ordinary
        self.tried: list[Tried] = []
        self.made = 0
        self.seconds = 0.0
        self.out = False
        self.interrupted = False
        self.vanished = False
        self.changed = ""
        self._own = dict(set.intersection(*(_own_files(one) for one in runs)))
        self._run = run
        self._budget = budget
        self._replicates = len(runs)
        self._may_turn = len(runs) == 2 and may_find(runs[0], source)
        self._differing = len({one.runs for one in comparison.divergences})

    def affordable(self, runs: int = 1) -> bool:
        """Whether so many further runs fit into the budget."""
        return not self.out and self.seconds + runs * self.estimate <= self._budget

    def trial(self, trial: Trial, replicate: int) -> RunEvidence | None:
        """One more run; None where the budget, or whoever makes them, gives no more, or the program is another now."""
        affordable = self.affordable()
        evidence = self._run(trial, replicate) if affordable else None
        if evidence is None:
            self.out, self.interrupted = True, affordable
            return None
        changed = sorted(name for name, digest in _own_files(evidence) if self._own.get(name, digest) != digest)
        if changed:
            # A diagnosis may be gone on with days later.
            self.out, self.changed = True, changed[0]
            return None
        self.made += 1
        self.seconds += evidence.run.seconds
        self.estimate = evidence.run.seconds
        return evidence

    def together(
        self, trial: Trial, new: Collection[Factor] = (), known: RunEvidence | None = None, sure: bool = True
    ) -> tuple[Tried | None, tuple[RunEvidence, ...], Comparison | None]:
        """Run with a set of factors until two runs differ or enough agree; None where the budget ended before that.

        Where none of ``new`` finds anything to change, that is the outcome. ``known`` is a run in which they were in
        force already, if there is one. A run that differs from it says nothing where not all that they fix is ``sure``
        to be as it was there: then further ones are held against the new one.
        """
        began, start = self.seconds, self.made + 1
        replicate = 1 if known is None else 2
        runs: list[RunEvidence] = [] if known is None else [known]
        comparison = None
        wanted = least = agreements(self._replicates, self._differing, trial.factors)
        if known is not None and known.run.number == 0 and self._may_turn:
            # What each run turns round (a file that it makes or removes) is in the third as in the first.
            wanted = max(least, 3)
        outcome: Outcome = "agree"
        said = ""
        while len(runs) < wanted and outcome == "agree":
            # Only the first tells which lines draw: what that costs must not reach the run whose speed is told.
            evidence = self.trial(trial if self.made + 1 == start else _plain(trial), replicate)
            if evidence is None:
                return None, tuple(runs), comparison
            runs.append(evidence)
            replicate = len(runs) + 1
            if evidence.run.ending.status != "ok":
                outcome, said = "failed", evidence.run.ending.message or evidence.run.ending.status
            elif new and not set(new) & _effective(evidence):
                outcome, said = "unused", f"nothing to change for {', '.join(sorted(new))}"
            elif len(runs) > 1:
                comparison = self.compare(runs)
                outcome = "differ" if comparison.divergences else "agree"
                if outcome == "differ" and len(runs) == 2 and runs[0] is known and not sure:
                    runs, comparison, outcome, replicate, wanted = [evidence], None, "agree", 1, least
        divergence = comparison.divergences[0] if comparison is not None and outcome == "differ" else None
        tried = Tried(
            factors=trial.factors,
            runs=tuple(range(start, self.made + 1)),
            outcome=outcome,
            seconds=round(self.seconds - began, 3),
            step=divergence.step if divergence else None,
            link=divergence.link if divergence else "",
            said=said,
        )
        self.tried.append(tried)
        return tried, tuple(runs), comparison

    def refuted(self, members: Sequence[Suspect]) -> bool:
        """Whether two runs in which all that these fix was fixed alike differed: others may agree by luck."""
        factors = {one.factor for one in members}
        differed = (one for one in self.tried if one.outcome == "differ" and len(one.runs) > 1)
        return any(factors <= set(one.factors) for one in differed)

    def until_differs(self, trial: Trial) -> tuple[tuple[RunEvidence, RunEvidence], Divergence] | None:
        """Two runs that differ, as often as it takes at the rate at which the audit's own did; None: there are none."""
        runs: list[RunEvidence] = []
        for replicate in range(1, agreements(self._replicates, self._differing, ("serial-threads",)) + 1):
            evidence = self.trial(trial, replicate)
            if evidence is None or evidence.run.ending.status != "ok":
                return None
            runs.append(evidence)
            if len(runs) > 1 and (found := self.compare((runs[0], runs[-1])).divergences):
                return (runs[0], runs[-1]), found[0]
        # Where all of the audit's runs parted from its first, and no two do now, it was the first that was another.
        # Captured runs do not tell that: what watching slows down may race no more.
        watched = trial.capture is not None or trial.draws
        self.vanished = not trial.factors and not watched and self._differing >= self._replicates - 1
        return None


def may_find(run: RunEvidence, source: Source) -> bool:
    """Whether a program may find what an earlier run left, by its own source: files and services that it asks for.

    So too where not all of its source is at hand, or something else than Python starts it.
    """
    texts = [source(name) for name in own_sources(run)]
    python = PurePath(run.run.command[0]).name.startswith("python")
    return not python or not texts or any(text is None or _FINDS.search(text) is not None for text in texts)


def _own_files(run: RunEvidence) -> set[tuple[str, str]]:
    """The project's own source files that a run imported, each with the digest of its bytes."""
    return {(file.name, file.digest) for trace in run.processes for line in trace.sources for file in line.files}


def _plain(trial: Trial) -> Trial:
    return msgspec.structs.replace(trial, capture=None, draws=False, digest=None)


def _effective(evidence: RunEvidence) -> set[str]:
    """The factors that found something to change."""
    return {line.factor for trace in evidence.processes for line in trace.perturbed}


def _trial(members: Sequence[Suspect], until: int | None, *, draws: bool = False) -> Trial:
    factors = tuple(factor for factor in FACTORS if factor in {one.factor for one in members})
    pins = tuple(dict.fromkeys(pin for one in members for pin in one.pins))
    return Trial(factors, until, None, draws, pins)


def prove(
    runs: Sequence[RunEvidence],
    comparison: Comparison,
    run: Run,
    compare: Compare,
    localise: Localise,
    source: Source,
    budget: float,
) -> Found:
    """Find a minimal set of suspects whose factors make the runs agree, by trials within ``budget`` (wall seconds).

    Suspects are taken one by one, the strongest first; each that moves the divergence on is kept, and what then comes
    to light is looked at anew. Where the evidence names none that is strong enough, operations and lines are captured
    in two runs at the step concerned, and the first that differs names the next suspects.
    """
    search = _Search(run, compare, source, budget, runs, comparison)
    hunt = _Hunt(search, localise, source, runs, comparison.divergences[0])
    members, proof = hunt.go()
    if not proof and not search.out and not hunt.hopeless:
        members, proof = _everything(search, hunt)
    if proof and not hunt.still_differs(runs[-1], proof[-1]):
        proof = ()
    needed, members, proof = _needed(search, hunt, members, proof)
    if proof:
        members = hunt.pinpointed(members)
    if search.changed:
        hunt.notes.append(f"{search.changed} has changed since the audit's runs: no trial can tell of them any more")
    in_force = {one.factor for one in members}
    settled = ("agree", "differ") if proof else ("differ",)
    excluded = {factor for one in search.tried if one.outcome in settled for factor in one.factors}
    excluded -= in_force | hunt.idle
    return Found(
        members=members if proof else (),
        necessary=frozenset(needed),
        suspects=hunt.every,
        tried=tuple(search.tried),
        excluded=tuple(factor for factor in FACTORS if factor in excluded),
        localisations=hunt.localisations,
        replicates=len(proof),
        until=hunt.until,
        runs=search.made,
        seconds=round(search.seconds, 3),
        finished=not search.out,
        interrupted=search.interrupted,
        proof=proof,
        draws=tuple(hunt.draws),
        vanished=search.vanished,
        repeats=bool(proof) and proof[0].run.number == 0,
        pinned=frozenset(hunt.pinned),
        shuffled=any(one.sampler in _SHUFFLING for trace in runs[0].processes for one in trace.loaders),
        notes=tuple(hunt.notes),
    )


def _unnumbered(run: RunEvidence) -> RunEvidence:
    """One of the audit's own runs beside trials, which are numbered by themselves."""
    return msgspec.structs.replace(run, run=msgspec.structs.replace(run.run, number=0))


def _together_with(waiting: Sequence[Suspect]) -> set[Factor]:
    """The factors to try next: the strongest suspect's, and where being wrong costs little all that are as sure."""
    first = waiting[0].factor
    found = {first}
    if first in DRAWN_ANEW:
        found |= {one.factor for one in waiting if one.weight >= SURE and one.factor in DRAWN_ANEW}
    return {factor for factor in found if factor is not None}


class _Hunt:
    """Takes one suspect after the other, until the runs agree or nothing strong enough is left."""

    def __init__(
        self,
        search: _Search,
        localise: Localise,
        source: Source,
        runs: Sequence[RunEvidence],
        divergence: Divergence,
    ) -> None:
        self.members: tuple[Suspect, ...] = ()
        self.needed: set[Factor] = set()
        self.localisations: tuple[Localisation, ...] = ()
        self.draws: list[Draw] = []
        self.notes: list[str] = []
        self._search = search
        self._localise = localise
        self._source = source
        self.idle: set[Factor] = set()
        self.pinned: set[Factor | None] = set()
        self._refused: set[Factor] = set()
        self._one_by_one = False
        self._captured = False
        self.repeats = False
        self._first = runs[0]
        self._finds_leftovers = any(trace.stale_reads for one in runs for trace in one.processes)
        self._look(runs, divergence)
        self.every = self.suspects

    def _look(self, runs: Sequence[RunEvidence], divergence: Divergence) -> None:
        """Take up a divergence: the first one, or the next that comes to light once others are removed."""
        self._pair = _pair(runs, divergence)
        self.divergence = divergence
        self.until = _until(self._pair[0], divergence)
        self.suspects = attribute(*self._pair, divergence, self._source)

    @property
    def hopeless(self) -> bool:
        """Whether the strongest suspect is one that no intervention can settle, or the runs no longer differ at all."""
        return self._search.vanished or (
            bool(self.suspects) and self.suspects[0].factor is None and self.suspects[0].weight >= SURE
        )

    def go(self) -> tuple[tuple[Suspect, ...], tuple[RunEvidence, ...]]:
        """The members of a set that suffices with the runs that show it, or what was kept so far and none."""
        while not self._search.out and not self.hopeless:
            waiting = self._waiting()
            if not self._captured and (not waiting or waiting[0].weight < SURE):
                self._capture()
                continue
            if not waiting:
                break
            proof = self._try(waiting)
            if proof:
                return self.members, proof
        return self.members, ()

    def still_differs(self, last: RunEvidence, proof: RunEvidence) -> bool:
        """Whether the agreement of trials is due to what they fixed, and not to what an earlier run left behind.

        A run with a factor fixed that comes out as the audit's last one did shows nothing: then runs are made to which
        nothing is done, and they must differ.
        """
        for found in self._search.compare((_unnumbered(last), proof)).divergences:
            if self.until is None or (found.step is not None and found.step <= self.until):
                return True
        return self._search.until_differs(_trial((), self.until)) is not None or not self._search.vanished

    def _waiting(self) -> list[Suspect]:
        done = self._refused | {one.factor for one in self.members}
        return [one for one in self.suspects if one.factor is not None and one.factor not in done]

    def _try(self, waiting: Sequence[Suspect]) -> tuple[RunEvidence, ...]:
        new = _together_with(waiting[:1] if self._one_by_one else waiting)
        wanted = (*self.members, *(one for one in waiting if one.factor in new))
        # Watching lines moves memory about: only where a stream is concerned is it worth that.
        trial = _trial(wanted, self.until, draws=bool(new & STREAM_FACTORS))
        repeating = self.repeating(trial)
        if repeating is None:
            tried, evidence, comparison = self._search.together(trial, new)
        else:
            # To the end, for that run went there.
            trial = msgspec.structs.replace(repeating, until=None)
            sure = trial.factors == ("fix-hash-seed",)
            tried, evidence, comparison = self._search.together(trial, new, _unnumbered(self._first), sure)
        if evidence:
            self.draws += [
                draw for trace in evidence[-len(tried.runs) if tried else -1].processes for draw in trace.draws
            ]
        if tried is None:
            return ()
        if tried.outcome in ("failed", "unused"):
            # Of several that fail together each is tried by itself.
            if tried.outcome == "unused":
                self.idle |= new
            if tried.outcome == "unused" or len(new) == 1:
                self._refused |= new
            self._one_by_one = True
            return ()
        idle = new - _effective(evidence[-1])
        self._refused |= idle
        self.idle |= idle
        wanted = tuple(one for one in wanted if one.factor not in idle)
        if tried.outcome == "agree":
            self.members, self.needed = wanted, (new - idle if len(new - idle) == 1 else set())
            self.repeats = repeating is not None
            self.until = trial.until
            return evidence if self.until is None else self._to_the_end(evidence)
        after = comparison.divergences[0] if comparison is not None else self.divergence
        later = _later(after, self.divergence)
        if later or new <= DRAWN_ANEW:
            # What is fixed stays so: another cause may act at the same place. What is not needed is taken out at last.
            self.members = wanted
            self._look(evidence, after)
            self.every = rank((*self.every, *self.suspects))
            self._captured = False
        else:
            self._refused |= new
        return ()

    def rivals(self, members: Sequence[Suspect]) -> tuple[Suspect, ...]:
        """The suspects that few runs cannot have cleared: what they fix comes out one of a few ways, and is in sight.

        None where it was shown of several that each is needed.
        """
        factors = {one.factor for one in members}
        if len(factors) > 1 or not factors <= DRAWN_ANEW:
            return ()
        chance = set(FACTORS) - DRAWN_ANEW - self._refused
        return tuple(one for one in self.every if one.factor in chance and one.weight >= _IN_SIGHT)

    def repeating(self, trial: Trial) -> Trial | None:
        """The trial with all that it fixes as it was in the audit's first run; None where that run does not tell it.

        Nor where runs find what earlier ones left: those that agree may do so because it is as the first one found it.
        """
        if self._finds_leftovers or not _REPEATED.issuperset(trial.factors):
            return None
        began = _began(self._first, trial.factors)
        return None if began is None else msgspec.structs.replace(trial, began=began)

    def _to_the_end(self, evidence: tuple[RunEvidence, ...]) -> tuple[RunEvidence, ...]:
        """Whether the runs agree beyond the step where they first parted, as far as the budget goes."""
        search, until = self._search, self.until
        search.estimate = search.ordinary
        if not search.affordable(2):
            self.notes.append(f"the proof goes as far as step {until}: runs to the end did not fit into the budget")
            search.estimate = evidence[-1].run.seconds
            return evidence
        tried, whole, comparison = search.together(_trial(self.members, None))
        if tried is not None and tried.outcome == "agree":
            self.until = None
            return whole
        if tried is not None and comparison is not None and comparison.divergences:
            self._look(whole, comparison.divergences[0])
            self.every = rank((*self.every, *self.suspects))
            self._captured = False
            return ()
        self.notes.append(f"the proof goes as far as step {until}")
        return evidence

    def _capture(self) -> None:
        """Run twice with operations and lines captured where the runs part; what differs first names suspects."""
        self._captured = True
        self.localisations = self._differences(self.members)
        located = tuple(_located(self.localisations, self._source, torch_alike(*self._pair)))
        self.suspects = rank((*self.suspects, *located))
        self.every = rank((*self.every, *located))

    def _differences(self, members: Sequence[Suspect]) -> tuple[Localisation, ...]:
        """What differs first between two runs in which the members' factors are in force; empty where that is not seen.

        Where steps were digested now and then only, the one concerned is looked for first. What races parts at another
        step each time: then the window is made to hold both.
        """
        search = self._search
        base = _trial(members, self.until)
        window = _window(self._pair[0], self.divergence)
        if window.last is not None and window.last - window.first >= _LONGEST_CAPTURE:
            found = search.until_differs(Trial(base.factors, base.until, None, False, base.pins, window))
            if found is None:
                return ()
            window = _window(found[0][0], found[1])
        captured = self._captured_in(base, window)
        if captured is not None:
            wider = _holding(window, _window(captured[0][0], captured[1]))
            if wider != window:
                captured = self._captured_in(base, wider)
        return self._localise(*captured[0]) if captured is not None else ()

    def _captured_in(self, base: Trial, window: Window) -> tuple[tuple[RunEvidence, RunEvidence], Divergence] | None:
        found = self._search.until_differs(Trial(base.factors, base.until, window, True, base.pins))
        if found is not None:
            self.draws += [draw for trace in found[0][0].processes for draw in trace.draws]
        return found

    def pinpointed(self, members: tuple[Suspect, ...]) -> tuple[Suspect, ...]:
        """The members, and where several lines read what one factor fixes, the line that matters first.

        With all other members' factors in force, that is the one of them that differs first.
        """
        for factor in dict.fromkeys(one.factor for one in members):
            lines = [one for one in members if one.factor == factor and one.location is not None]
            if factor not in _READ_ON_LINES or len(lines) < 2:
                continue
            seen = self._differences([one for one in members if one.factor != factor])
            self.localisations = self.localisations or seen
            for found in (one for one in seen if HARMLESS not in one.notes):
                same = next((one for one in lines if one.location == found.location), None)
                if same is not None:
                    best = msgspec.structs.replace(same, weight=max(one.weight for one in lines) + 1)
                    members = tuple(best if one == same else one for one in members)
                    self.pinned.add(factor)
                    break
        return members


def _located(localisations: Sequence[Localisation], source: Source, alike: Collection[str] = ()) -> Iterator[Suspect]:
    """What the first differences of two captures speak for: the earlier, the more.

    ``alike`` are the processes, by role, in which torch's own stream was in the same state in both runs.
    """
    for at, found in enumerate(localisations[:_DIFFERENCES]):
        weight = 96 - 4 * at - (30 if HARMLESS in found.notes else 0)
        if found.random == "torch" and "generator" in found.operation.partition(".")[2]:
            yield from _of_a_generator(found, source, weight, found.process in alike)
        elif found.random:
            rule, factor = STREAM_RULES[found.random]
            said = f"{found.operation} draws from {STREAM_NAMES[found.random]}, and nothing fixed its state"
            yield Suspect(rule, factor, found.location, said, weight)
        elif found.kind == "operation":
            if not found.inputs_agree:
                continue
            said = f"{found.operation} gave different results from the same inputs"
            yield Suspect("nondeterministic-operation", "deterministic-algorithms", found.location, said, weight)
            # A thread of the program may have had its part in it.
            yield Suspect("thread-race", "serial-threads", found.location, said, weight - 10)
            yield Suspect("thread-count", "one-thread", found.location, said, weight - 20)
        else:
            text = found.operation or line_at(found.location, source)
            known = rule_of(text)
            rules = [known] if known is not None else _by_sight(found.location, source)
            said = f"{found.variable or 'what a line computes'} differs first after this line"
            for less, name in enumerate(rules):
                place = meeting_place(found.location, source) if name == "thread-race" else None
                yield Suspect(name, FACTOR_OF[name], place or _into(found.location, source), said, weight - 8 * less)


def _of_a_generator(found: Localisation, source: Source, weight: int, alike: bool) -> Iterator[Suspect]:
    """Where a Generator that an operation was given may have got its seed.

    ``alike``: torch's own stream was in the same state in both runs, so that the seed cannot have come from it.
    """
    said = f"{found.operation} draws from a torch.Generator"
    text = None if found.location is None else source(found.location.file)
    lines = () if text is None else seeded_by_entropy(text)
    if alike and not lines:
        yield Suspect(
            "unstable-seed", "seed-torch", found.location, f"{said}, whose seed is another in each run", weight
        )
    if not alike:
        said_of_torch = f"{said}, and nothing fixed torch's stream, from which it may have its seed"
        yield Suspect("unseeded-torch", "seed-torch", found.location, said_of_torch, weight)
    for line in lines:
        assert found.location is not None
        place = Place(found.location.file, line)
        said_of_line = f"{said}, and one is seeded from the system here"
        yield Suspect("seed-from-entropy", "seed-torch", place, said_of_line, weight if alike else weight - 1)


def _into(place: Place | None, source: Source) -> Place | None:
    """The place, and for the head of a function the first line of its body: it was entered with what differs."""
    text = source(place.file) if place is not None else None
    body = first_line_of(text, place.line) if place is not None and text is not None else None
    return Place(place.file, body) if place is not None and body is not None else place


def _by_sight(place: Place | None, source: Source) -> list[str]:
    """What may be behind a line that says nothing itself, those first that its file has a sign of."""
    text = source(place.file) if place is not None else None
    seen = {one.rule for one in sightings(text)} if text is not None else set()
    if "completion-order" in seen:
        seen.add("thread-race")
    return sorted(("hash-order", "address-order", "thread-race"), key=lambda rule: rule not in seen)


def _everything(search: _Search, hunt: _Hunt) -> tuple[tuple[Suspect, ...], tuple[RunEvidence, ...]]:
    """Fix all that can be fixed; where the runs then agree, leave out what is not needed (delta debugging).

    A. Zeller and R. Hildebrandt, "Simplifying and isolating failure-inducing input", 2002.
    """
    by_factor = {one.factor: one for one in reversed(hunt.every) if one.factor is not None}
    for rule, factor in FACTOR_OF.items():
        by_factor.setdefault(factor, Suspect(rule, factor, None, "no other suspect was left", 1))
    members = tuple(one for one in by_factor.values() if one.factor not in _LAST_RESORT)
    tried, proof, _ = search.together(_trial(members, hunt.until))
    if tried is None or tried.outcome != "agree":
        return hunt.members, ()
    effective = _effective(proof[0])
    members = tuple(one for one in members if one.factor in effective)
    parts = 2
    while len(members) > 1:
        size = -(-len(members) // parts)
        chunks = [members[at : at + size] for at in range(0, len(members), size)]
        for chunk in chunks:
            rest = tuple(one for one in members if one not in chunk)
            if search.refuted(rest):
                continue
            tried, evidence, _ = search.together(_trial(rest, hunt.until))
            if tried is None:
                return members, proof
            if tried.outcome == "agree":
                members, proof, parts = rest, evidence, max(parts - 1, 2)
                break
        else:
            if parts >= len(members):
                # Each was left out once, and the runs differed.
                hunt.needed = {one.factor for one in members if one.factor is not None}
                return members, proof
            parts = min(2 * parts, len(members))
    hunt.needed = {one.factor for one in members if one.factor is not None}
    return members, proof


def _needed(
    search: _Search, hunt: _Hunt, members: tuple[Suspect, ...], proof: tuple[RunEvidence, ...]
) -> tuple[set[Factor], tuple[Suspect, ...], tuple[RunEvidence, ...]]:
    """Which factors of a set that suffices are needed: without each, and with all others, the runs must differ.

    Those of the weakest suspects are left out first.
    """
    needed = set(hunt.needed)
    by_weight = sorted(members, key=lambda one: one.weight)
    for factor in dict.fromkeys(one.factor for one in by_weight):
        factors = {one.factor for one in members}
        if not proof or factor is None or factor in needed:
            continue
        if len(factors) == 1:
            needed.add(factor)
            break
        rest = tuple(one for one in members if one.factor != factor)
        outcome, evidence = _without(search, hunt, rest, factor, proof)
        if outcome == "differ":
            needed.add(factor)
        elif outcome == "agree":
            members, proof = rest, evidence
    rivals = hunt.rivals(members) if proof else ()
    if rivals:
        tried, evidence = None, ()
        if search.affordable(2):
            tried, evidence, _ = search.together(_trial(rivals, hunt.until))
        if tried is None or tried.outcome == "failed":
            named = " and ".join(dict.fromkeys(one.rule for one in rivals))
            hunt.notes.append(f"that it was luck, and {named} the cause, is not excluded: no trial could tell")
        elif tried.outcome == "agree":
            # So it was luck that the runs agreed before.
            hunt.needed, hunt.repeats = set(), False
            return _needed(search, hunt, rivals, evidence)
    return needed, members, proof


def _without(
    search: _Search, hunt: _Hunt, rest: tuple[Suspect, ...], factor: Factor, proof: tuple[RunEvidence, ...]
) -> tuple[str, tuple[RunEvidence, ...]]:
    """Whether the runs agree without one factor: ``agree``, ``differ``, or empty where that could not be told."""
    trial = _trial(rest, hunt.until)
    if hunt.repeats:
        trial = hunt.repeating(trial) or trial
    if factor in CHANGES_WORK:
        tried, evidence, _ = search.together(trial)
    else:
        # What it fixed is now as it comes; where that has a say, such a run differs from those that had it fixed.
        tried, evidence, _ = search.together(trial, (), proof[-1])
    return (tried.outcome if tried is not None else ""), evidence


def _began(first: RunEvidence, factors: Sequence[Factor]) -> tuple[tuple[str, str], ...] | None:
    """What the streams of some factors began with in a run; None where it does not say so of each and of one process.

    The probe of a trial cannot tell beforehand which of several processes it is in.
    """
    streams = [_BEGUN[factor] for factor in factors if factor in _BEGUN]
    told = [trace.streams.began for trace in first.processes if trace.streams is not None and trace.streams.began]
    if not streams:
        return ()
    if len(told) != 1 or not told[0].keys() >= set(streams):
        return None
    return tuple((stream, value) for stream in streams for value in told[0][stream])


def _pair(runs: Sequence[RunEvidence], divergence: Divergence) -> tuple[RunEvidence, RunEvidence]:
    by_number = {one.run.number: one for one in runs}
    return by_number[divergence.runs[0]], by_number[divergence.runs[1]]


def _later(new: Divergence, old: Divergence) -> bool:
    """Whether a divergence comes after another: something was removed, and what it hid is seen now."""
    return _moment(new) > _moment(old)


def _moment(divergence: Divergence) -> tuple[float, int]:
    links = ("init", "batch", "loss", "gradients", "parameters", "steps", "final", "streams", "checkpoint", "metric")
    step = 0.0 if divergence.link == "init" else math.inf if divergence.step is None else float(divergence.step)
    return step, links.index(divergence.link)


def _until(first: RunEvidence, divergence: Divergence) -> int | None:
    """The step after which a trial may end; None where that would save little, or the divergence has no step."""
    step = 1 if divergence.link == "init" else divergence.step
    trace = next((trace for trace in first.processes if trace.role == divergence.process), None)
    if step is None or trace is None or trace.end is None or trace.end.ns <= 0:
        return None
    reached = next((one.ns for one in trace.steps if one.n >= step), None)
    return step if reached is not None and reached < _WORTH_STOPPING * trace.end.ns else None


def _holding(window: Window, other: Window) -> Window:
    """A window that holds both, of no more than so many steps."""
    if window.last is None or other.last is None:
        return Window(min(window.first, other.first), None)
    first = min(window.first, other.first)
    return Window(first, min(max(window.last, other.last), first + _WIDEST_CAPTURE - 1))


def _window(first: RunEvidence, divergence: Divergence) -> Window:
    """The steps in which two runs part; those that were digested say it only so far."""
    if divergence.link == "init":
        return Window(1, 1)
    if divergence.step is not None:
        return Window((divergence.last_identical_step or 0) + 1, divergence.step)
    ends = [trace.end.steps for trace in first.processes if trace.role == divergence.process and trace.end is not None]
    return Window((divergence.last_identical_step or max(ends, default=0)) + 1, None)
