"""Holds two captures against each other: which operations and lines first gave other results from the same inputs."""

from __future__ import annotations

import base64
import bisect
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from auditor.records.diagnosis import Localisation
from auditor.records.evidence import RunEvidence
from auditor.records.operations import (
    AUTOCAST,
    COMPILED,
    INNER,
    PHASES,
    RECOMPUTED,
    Capture,
    Line,
    Moment,
    Operation,
    Rest,
    Sample,
    Spot,
    Value,
    Watched,
)
from auditor.records.trace import Place
from auditor.store import read_captures

MOST = 16
HARMLESS = "nothing that was captured afterwards was seen to depend on it"
_AHEAD = 2000  # how far ahead the two sides are searched for a place where they go on alike
_ALIKE = 3  # records in a row that make such a place

_RANDOM = re.compile(
    r"(native_dropout|.*dropout|bernoulli|normal|uniform|randn|rand|randint|randperm|random|multinomial|exponential"
    r"|geometric|log_normal|cauchy|poisson|binomial|rrelu\w*|_standard_gamma|_sample_dirichlet)(_functional|_like)?_?\Z"
)
_WORKER = re.compile(r"worker (\d+)\.(\d+)")
_NUMBER = re.compile(r"-?\d+\.?\d*(?:e[+-]?\d+)?")
_METHODS = frozenset(("forward", "backward", "__getitem__", "__call__"))
_COLLECTIVE = ("c10d::", "_c10d_functional::", "c10d_functional::")

_Key = tuple[str | int, ...]
_Origins = frozenset[int]
_NONE: _Origins = frozenset()


class _Record(msgspec.Struct, frozen=True):
    """An operation, a line or a line's rest, with where it stands in its capture and which sample it belongs to."""

    at: int
    ns: int
    steps: int
    sample: int | None
    entry: Operation | Line | Rest


class _Pair(msgspec.Struct, frozen=True):
    """Two records that stand for each other; ``other`` is None where the runs part after ``first``."""

    role: str
    first: _Record
    other: _Record | None
    skipped: tuple[tuple[_Record, ...], tuple[_Record, ...]] = ((), ())


class _Origin(msgspec.Struct):
    """A difference that nothing before explains.

    ``used`` once an operation, or the way taken, depends on it; ``perhaps`` once one does whose difference nothing
    explains. ``line`` is the line's own record where an operation is told by the line that it belongs to.
    """

    pair: _Pair
    variable: str
    agree: bool
    notes: list[str]
    used: bool = False
    perhaps: bool = False
    line: _Pair | None = None


def localise(first: RunEvidence, other: RunEvidence, *, until: int | None = None) -> Localisation | None:
    """The likeliest origin of what differs between two captured runs: the first of ``differences``."""
    found = differences(first, other, until=until)
    return found[0] if found else None


def differences(first: RunEvidence, other: RunEvidence, *, until: int | None = None) -> tuple[Localisation, ...]:
    """Where the captures of two runs differ and nothing before explains it, at most 16, in order of time.

    Differences on which operations, or the way that the program took, depend come before those of which nothing that
    was captured depends (a clock that is only printed): these have the note ``HARMLESS``. ``until`` leaves out what
    came after that step. Empty where nothing that was captured in both differs.
    """
    mine, theirs = read_captures(first), read_captures(other)
    ends = {trace.role: None if trace.end is None else trace.end.steps for trace in first.processes}
    return compared(mine, theirs, ends, until)


def compared(
    first: Mapping[str, Capture],
    other: Mapping[str, Capture],
    ends: Mapping[str, int | None],
    until: int | None = None,
) -> tuple[Localisation, ...]:
    """``differences`` of captures by role; ``ends`` gives how many steps the first run's processes took in all."""
    sides: dict[str, tuple[_Side, _Side]] = {}
    pairs: list[_Pair] = []
    general: list[str] = []
    for role in sorted(set(first) | set(other)):
        if role not in first or role not in other:
            general.append(f"{role} was captured in one run only")
            continue
        keys: dict[_Key, int] = {}
        mine, theirs = _Side(first[role], keys), _Side(other[role], keys)
        sides[role] = (mine, theirs)
        lost = sorted(set(first[role].lost) | set(other[role].lost))
        general += [f"{role}: not captured: {what}" for what in lost]
        shared = _shared(mine, theirs)
        for names in shared:
            pairs += _matched(role, mine, theirs, names, until)
        for thread in sorted((set(mine.threads) | set(theirs.threads)) - {name for names in shared for name in names}):
            if thread not in mine.threads or thread not in theirs.threads:
                general.append(f"{role}: {thread} ran in one run only")
                continue
            found, notes = _aligned(role, mine, theirs, thread, until)
            pairs += found
            general += [f"{role}: {note}" for note in notes]
    pairs.sort(key=lambda pair: (pair.first.ns, pair.role, pair.first.at))
    origins = _Tracing(sides).run(pairs)
    ordered = sorted(range(len(origins)), key=lambda at: (_rank(origins[at]), at))
    told: dict[tuple[object, ...], Localisation] = {}
    for at in ordered:
        one = _told(origins[at], sides, ends, general)
        # A line in a loop differs each time.
        told.setdefault((one.process, one.kind, one.operation, one.location, one.variable), one)
    return tuple(told.values())[:MOST]


def _rank(origin: _Origin) -> int:
    if origin.agree:
        return 0 if origin.used else 1 if origin.perhaps else 3
    return 2


# One side


class _Side:
    """A capture sorted by thread, with each record's key: what it must share with its counterpart."""

    def __init__(self, capture: Capture, keys: dict[_Key, int]) -> None:
        self.capture = capture
        self.threads: dict[str, list[_Record]] = {}
        self.keys: dict[str, list[int]] = {}
        self._known = keys
        self._numbers: dict[tuple[str, int, int, int], int] = {}
        self.loads: dict[tuple[str, int], set[str]] = {}
        for watched in capture.watched.values():
            spot = self.spot(watched.spot)
            if spot is not None and watched.kind != "call":
                self.loads.setdefault((spot.file, spot.line), set()).update(watched.loads)
        steps = capture.steps
        samples: dict[int, int] = {}
        us = 0
        for at, entry in enumerate(capture.entries):
            if isinstance(entry, Moment):
                steps = entry.steps
                continue
            if isinstance(entry, Sample):
                samples[entry.thread] = entry.index
                continue
            if not isinstance(entry, Rest):
                us = entry.us
            thread = self.text(entry.thread)
            record = _Record(at, capture.ns + us * 1000, steps, samples.get(entry.thread), entry)
            self.threads.setdefault(thread, []).append(record)
            self.keys.setdefault(thread, []).append(self._key(entry))

    def _key(self, entry: Operation | Line | Rest) -> int:
        if isinstance(entry, Operation):
            short = ("o", entry.name, entry.stack, entry.node)
        else:
            short = ("r" if isinstance(entry, Rest) else "l", entry.watched, 0, 0)
        number = self._numbers.get(short)
        if number is None:
            number = self._numbers[short] = self._known.setdefault(self._whole(entry), len(self._known))
        return number

    def _whole(self, entry: Operation | Line | Rest) -> _Key:
        if isinstance(entry, Operation):
            places = [(place.file, place.line) for place in self.stack(entry.stack)[:4]]
            return ("o", self.text(entry.name), self.text(entry.node), *(part for place in places for part in place))
        watched = self.capture.watched.get(entry.watched)
        spot = self.spot(watched.spot) if watched is not None else None
        if watched is None or spot is None:
            return ("?", entry.watched)
        return ("r" if isinstance(entry, Rest) else "l", spot.file, spot.line, spot.function, watched.kind)

    def text(self, number: int) -> str:
        return self.capture.texts.get(number, "")

    def spot(self, number: int) -> Spot | None:
        return self.capture.spots.get(number)

    def stack(self, number: int) -> tuple[Place, ...]:
        spots = [self.spot(at) for at in self.capture.stacks.get(number, ())]
        return tuple(Place(spot.file, spot.line) for spot in spots if spot is not None)

    def innermost(self, number: int) -> Spot | None:
        spots = self.capture.stacks.get(number, ())
        return self.spot(spots[0]) if spots else None

    def watched(self, number: int) -> tuple[Watched, Spot] | None:
        watched = self.capture.watched.get(number)
        spot = self.spot(watched.spot) if watched is not None else None
        return None if watched is None or spot is None else (watched, spot)


# Alignment


def _aligned(role: str, mine: _Side, theirs: _Side, thread: str, until: int | None) -> tuple[list[_Pair], list[str]]:
    """The pairs of one thread, in order, and what is to be said of those that have no counterpart."""
    ours, yours = mine.threads[thread], theirs.threads[thread]
    keys, others = mine.keys[thread], theirs.keys[thread]
    pairs: list[_Pair] = []
    notes: list[str] = []
    i = j = 0
    while i < len(keys) and j < len(others):
        if until is not None and ours[i].steps >= until:
            break
        if keys[i] == others[j]:
            pairs.append(_Pair(role, ours[i], yours[j]))
            i, j = i + 1, j + 1
            continue
        further = _resumed(keys, others, i, j)
        before = pairs[-1].first if pairs else ours[i]
        a, b = (len(keys), len(others)) if further is None else further
        pairs.append(_Pair(role, before, None, (tuple(ours[i:a]), tuple(yours[j:b]))))
        if further is None:
            notes.append(f"from where the runs part in {thread} on, its records could not be aligned")
            return pairs, notes
        i, j = further
    whole = until is None or i >= len(ours)
    if whole and (i < len(keys) or j < len(others)) and pairs:
        pairs.append(_Pair(role, pairs[-1].first, None, (tuple(ours[i:]), tuple(yours[j:]))))
    return pairs, notes


def _resumed(keys: Sequence[int], others: Sequence[int], i: int, j: int) -> tuple[int, int] | None:
    """Where both sides go on alike for a few records, as near as possible; None within reach there is no such place."""
    places: dict[tuple[int, ...], int] = {}
    for b in range(j, min(len(others), j + _AHEAD)):
        places.setdefault(tuple(others[b : b + _ALIKE]), b)
    best: tuple[int, int] | None = None
    for a in range(i, min(len(keys), i + _AHEAD)):
        if best is not None and a - i >= best[0] - i + best[1] - j:
            break
        b = places.get(tuple(keys[a : a + _ALIKE]), -1)
        if b >= 0 and (best is None or a + b < best[0] + best[1]):
            best = (a, b)
    return best


def _shared(mine: _Side, theirs: _Side) -> list[list[str]]:
    """Threads that may have shared work among them, by name: who did which part is chance."""
    groups: dict[str, set[str]] = {}
    for name in (*mine.threads, *theirs.threads):
        if name != "MainThread":
            groups.setdefault(re.sub(r"\d+", "", name), set()).add(name)
    return [sorted(names) for _, names in sorted(groups.items()) if len(names) > 1]


def _matched(role: str, mine: _Side, theirs: _Side, names: Sequence[str], until: int | None) -> list[_Pair]:
    """The pairs of threads that shared work: records of one key that say the same are counterparts, whoever made them.

    What is left over on both sides is paired in order; what only one side has is left out.
    """
    left: dict[int, list[_Record]] = {}
    for name in names:
        for key, record in zip(theirs.keys.get(name, ()), theirs.threads.get(name, ()), strict=True):
            left.setdefault(key, []).append(record)
    ours = [
        (record, key)
        for name in names
        for key, record in zip(mine.keys.get(name, ()), mine.threads.get(name, ()), strict=True)
        if until is None or record.steps < until
    ]
    ours.sort(key=lambda one: one[0].at)
    open_: list[tuple[_Record, int]] = []
    counted: dict[tuple[int, object], list[_Record]] = {}
    for key, records in left.items():
        for record in reversed(records):
            counted.setdefault((key, _said(theirs, record.entry)), []).append(record)
    taken: set[int] = set()
    for record, key in ours:
        same = counted.get((key, _said(mine, record.entry)))
        if same:
            taken.add(same.pop().at)
        else:
            open_.append((record, key))
    pairs = []
    waiting = {key: iter([other for other in records if other.at not in taken]) for key, records in left.items()}
    for record, key in open_:
        counterpart = next(waiting.get(key, iter(())), None)
        if counterpart is not None:
            pairs.append(_Pair(role, record, counterpart))
    return pairs


def _said(side: _Side, entry: Operation | Line | Rest) -> object:
    match entry:
        case Operation():
            return side.text(entry.arguments), entry.inputs, entry.outputs
        case Line():
            return entry.values
        case Rest():
            return entry.count, entry.digest


# What follows from what


class _Tracing:
    """Goes through the pairs in order of time and keeps what each difference comes from.

    A value is known again by its digest, in whatever process; a name by the function that it belongs to.
    """

    def __init__(self, sides: Mapping[str, tuple[_Side, _Side]]) -> None:
        self._sides = sides
        self._origins: list[_Origin] = []
        self._values: dict[str, _Origins] = {}
        self._names: dict[tuple[str, ...], _Origins] = {}
        # Differing records by process and thread: their places, and what they come from.
        self._places: dict[tuple[str, int], list[int]] = {}
        self._causes: dict[tuple[str, int], list[_Origins]] = {}
        # Operations told by themselves although their inputs differ, until the line that they belong to has ended.
        self._open: dict[tuple[str, int], list[int]] = {}
        # By process, thread and loop: what differed while it made or took what it goes through.
        self._looped: dict[tuple[str, int, Spot], _Origins] = {}
        self._joined: set[str] = set()  # processes that exchange tensors with others

    def run(self, pairs: Sequence[_Pair]) -> list[_Origin]:
        """The origins, in order of time."""
        for pair in pairs:
            first = pair.first.entry
            if pair.other is None:
                self._parted(pair)
            elif isinstance(first, Operation):
                if isinstance(pair.other.entry, Operation):
                    self._operation(pair, first, pair.other.entry)
            elif isinstance(first, Line):
                if isinstance(pair.other.entry, Line):
                    self._line(pair, first, pair.other.entry)
            elif isinstance(pair.other.entry, Rest):
                self._rest(pair, first, pair.other.entry)
        return self._origins

    def _operation(self, pair: _Pair, mine: Operation, other: Operation) -> None:
        side = self._sides[pair.role]
        inputs = [(a, b) for a, b in zip(mine.inputs, other.inputs, strict=False) if a != b and "?" not in (a, b)]
        arguments = side[0].text(mine.arguments) != side[1].text(other.arguments)
        unlike = len(mine.inputs) != len(other.inputs) or arguments
        outputs = [(a, b) for a, b in zip(mine.outputs, other.outputs, strict=False) if a != b and "?" not in (a, b)]
        if side[0].text(mine.name).startswith(_COLLECTIVE):
            self._joined.add(pair.role)
        if not (inputs or outputs or unlike):
            return
        sources = _NONE
        for digest, _ in inputs:
            sources |= self._values.get(digest, _NONE)
        if (inputs or unlike) and not sources:
            spot = side[0].innermost(mine.stack)
            if spot is not None:
                loads = side[0].loads.get((spot.file, spot.line), set())
                sources = self._named(pair.role, spot, loads)
        if unlike and not sources:
            sources = self._numbers(side[0].text(mine.arguments), side[1].text(other.arguments))
        if not sources and (inputs or unlike) and pair.role in self._joined:
            others = self._joined - {pair.role}
            sources = frozenset(n for n, origin in enumerate(self._origins) if origin.pair.role in others)
        if not sources:
            agree = not (inputs or unlike)
            notes = [] if agree else ["its inputs differ, and nothing that was captured before says why"]
            if "?" in mine.inputs:
                notes.append("one of its inputs was never written as a whole: what it holds is chance")
            if not agree:
                for origin in self._in_force(pair.role):
                    self._origins[origin].perhaps = True
            sources = self._origin(pair, "", agree, notes)
            if not agree:
                self._open.setdefault((pair.role, mine.thread), []).extend(sources)
        for origin in sources:
            if inputs or unlike:
                self._origins[origin].used = True
        for digest, _ in outputs or inputs:
            self._values[digest] = self._values.get(digest, _NONE) | sources
        self._remember(pair, mine.thread, sources)

    def _line(self, pair: _Pair, mine: Line, other: Line) -> None:
        side = self._sides[pair.role][0]
        found = side.watched(mine.watched)
        if found is None:
            return
        watched, spot = found
        values = list(zip(watched.names, mine.values, other.values, strict=False))
        differing = [(name, a) for name, a, b in values if a != b and a and b]
        if watched.kind != "call":
            self._explain(pair, mine, watched, spot, differing)
        within = self._within(pair, mine.thread, mine.span)
        loop = (pair.role, mine.thread, spot)
        if watched.kind == "loop" and within:
            self._looped[loop] = within
        if not differing:
            self._forget(pair, spot, values)
            return
        sources = self._named(pair.role, spot, watched.loads) | within
        if not sources and all(name == "return" for name, _ in differing):
            # Told of the line that leaves the block around it.
            sources = self._in_function(pair.role, spot)
        for _, value in differing:
            sources |= self._values.get(value[1:], _NONE) if _is_telling(value) else _NONE
        if not sources:
            sources = self._looped.get(loop, _NONE)
        if not sources and watched.kind == "call":
            sources = self._in_force(pair.role)
        if not sources:
            sources = self._origin(pair, differing[0][0], True, [])
        self._forget(pair, spot, values)
        for name, value in differing:
            if name != "return":
                self._names[self._scope(pair.role, spot, name)] = sources
            if _is_telling(value):
                self._values[value[1:]] = self._values.get(value[1:], _NONE) | sources
        self._remember(pair, mine.thread, sources)

    def _rest(self, pair: _Pair, mine: Rest, other: Rest) -> None:
        found = self._sides[pair.role][0].watched(mine.watched)
        if found is None or (mine.count, mine.digest) == (other.count, other.digest):
            return
        watched, spot = found
        if not self._named(pair.role, spot, (*watched.loads, *watched.names)):
            self._origin(pair, watched.names[0], True, ["in one of its later repetitions, which are told together"])

    def _parted(self, pair: _Pair) -> None:
        """The runs take different ways after a record: by what that line read, if it is known to differ."""
        side = self._sides[pair.role][0]
        entry = pair.first.entry
        sources = _NONE
        if isinstance(entry, Line):
            found = side.watched(entry.watched)
            if found is not None:
                sources = self._named(pair.role, found[1], (*found[0].loads, *found[0].names))
        sources |= self._at(pair, entry.thread)
        if not sources:
            sources = self._in_force(pair.role)
        if not sources:
            mine, theirs = (len(records) for records in pair.skipped)
            said = f"after it the runs take different ways: {mine} records of the first run and {theirs} of the other"
            sources = self._origin(pair, "", True, [f"{said} have no counterpart"])
        for origin in sources:
            self._origins[origin].used = True
        # What only one of them did, the other did not.
        for one, records in zip(self._sides[pair.role], pair.skipped, strict=True):
            for record in records:
                self._depends(pair.role, one, record.entry, sources)

    def _depends(self, role: str, side: _Side, entry: Operation | Line | Rest, sources: _Origins) -> None:
        if isinstance(entry, Operation):
            for digest in entry.outputs:
                self._values[digest] = self._values.get(digest, _NONE) | sources
        elif isinstance(entry, Line):
            found = side.watched(entry.watched)
            if found is None:
                return
            for name, value in zip(found[0].names, entry.values, strict=False):
                if value and name != "return" and found[0].kind != "call":
                    self._names[self._scope(role, found[1], name)] = sources

    def _explain(
        self, pair: _Pair, mine: Line, watched: Watched, spot: Spot, differing: Sequence[tuple[str, str]]
    ) -> None:
        """An operation whose inputs differ for no reason seen: its line brought the difference in from elsewhere."""
        key = (pair.role, mine.thread)
        side = self._sides[pair.role][0]
        waiting = [self._origins[number] for number in self._open.pop(key, [])]
        named = self._named(pair.role, spot, watched.loads)
        for origin in waiting:
            entry = origin.pair.first.entry
            place = side.innermost(entry.stack) if isinstance(entry, Operation) else None
            if place is None or (place.file, place.line) != (spot.file, spot.line) or not isinstance(entry, Operation):
                continue
            # Within a module's own code the difference may have come by its parameters.
            inside = not side.text(entry.module) or spot.function.rpartition(".")[2] in _METHODS
            if origin.pair.first.at >= pair.first.at - mine.span and inside and not named and entry.phase != 2:
                origin.line = pair
                origin.agree = True
                origin.variable = differing[0][0] if differing else ""
                origin.notes = [f"{side.text(entry.name)} there got inputs that differ"]

    def _forget(self, pair: _Pair, spot: Spot, values: Sequence[tuple[str, str, str]]) -> None:
        """Names whose values agree depend on no difference any more."""
        for name, mine, other in values:
            if mine and mine == other:
                self._names.pop(self._scope(pair.role, spot, name), None)

    # -- looking up -------------------------------------------------------------------------------------------

    def _origin(self, pair: _Pair, variable: str, agree: bool, notes: list[str]) -> _Origins:
        self._origins.append(_Origin(pair, variable, agree, notes))
        return frozenset((len(self._origins) - 1,))

    def _scope(self, role: str, spot: Spot, name: str) -> tuple[str, ...]:
        root, _, rest = name.partition(".")
        if rest:
            return (role, "attribute", name.rpartition(".")[2])
        if spot.function == "<module>":
            return (role, "global", root)
        return (role, "local", spot.file, spot.function, root)

    def _named(self, role: str, spot: Spot, names: Sequence[str] | set[str]) -> _Origins:
        found = _NONE
        for name in names:
            root, _, rest = name.partition(".")
            function = spot.function
            while function and function != "<module>":
                found |= self._names.get((role, "local", spot.file, function, root), _NONE)
                function = function.rpartition(".<locals>.")[0]
            found |= self._names.get((role, "global", root), _NONE)
            if rest:
                found |= self._names.get((role, "attribute", name.rpartition(".")[2]), _NONE)
        return found

    def _in_function(self, role: str, spot: Spot) -> _Origins:
        """All that any local name of a function comes from just now."""
        start = (role, "local", spot.file, spot.function)
        return frozenset(origin for key, found in self._names.items() if key[:4] == start for origin in found)

    def _numbers(self, mine: str, other: str) -> _Origins:
        """What numbers come from that differ between the arguments of an operation, whatever their sign."""
        found = _NONE
        for a, b in zip(_NUMBER.findall(mine), _NUMBER.findall(other), strict=False):
            if a != b:
                found |= self._values.get(abs(float(a)).hex(), _NONE)
        return found

    def _in_force(self, role: str) -> _Origins:
        """All that any name of a process comes from just now."""
        return frozenset(origin for key, found in self._names.items() if key[0] == role for origin in found)

    def _remember(self, pair: _Pair, thread: int, sources: _Origins) -> None:
        key = (pair.role, thread)
        self._places.setdefault(key, []).append(pair.first.at)
        self._causes.setdefault(key, []).append(sources)

    def _within(self, pair: _Pair, thread: int, span: int) -> _Origins:
        """What the differing records that lie within a line's own time come from."""
        key = (pair.role, thread)
        places = self._places.get(key, [])
        start = bisect.bisect_left(places, pair.first.at - span)
        return frozenset(origin for found in self._causes.get(key, [])[start:] for origin in found)

    def _at(self, pair: _Pair, thread: int) -> _Origins:
        """What the record itself comes from, where it differs."""
        key = (pair.role, thread)
        places = self._places.get(key, [])
        return self._causes[key][-1] if places and places[-1] == pair.first.at else _NONE


def _is_telling(value: str) -> bool:
    """Whether two values of this text are hardly alike by chance."""
    return value[:1] in ("d", "t") or (value[:1] == "f" and len(value) > 10)


# Telling


def _told(
    origin: _Origin,
    sides: Mapping[str, tuple[_Side, _Side]],
    ends: Mapping[str, int | None],
    general: Sequence[str],
) -> Localisation:
    pair = origin.pair
    mine = sides[pair.role][0]
    record = pair.first
    worker = _WORKER.search(pair.role)
    notes = list(origin.notes)
    if not (origin.used or origin.perhaps):
        notes.append(HARMLESS)
    end = ends.get(pair.role)
    step: int | None = record.steps + 1
    if worker is not None or (end is not None and record.steps >= end):
        step = None
    entry = record.entry
    if origin.line is not None:
        pair, entry = origin.line, origin.line.first.entry
    if not isinstance(entry, Operation):
        found = mine.watched(entry.watched)
        place = Place(found[1].file, found[1].line) if found is not None else None
        function = found[1].function if found is not None else ""
        return Localisation(
            kind="line",
            phase="python",
            operation="",
            location=place,
            process=pair.role,
            step=step,
            stack=(place,) if place is not None else (),
            variable=origin.variable,
            inputs_agree=origin.agree,
            worker=int(worker[2]) if worker is not None else None,
            sample=_sample(record, worker is not None or function.endswith("__getitem__")),
            max_abs_difference=_line_difference(pair, origin.variable, mine),
            notes=(*notes, *general),
        )
    name = mine.text(entry.name)
    phase = PHASES[entry.phase] if entry.phase < len(PHASES) else "forward"
    stack = mine.stack(entry.stack)
    forward = phase == "backward" and not entry.flags & (INNER | RECOMPUTED) and entry.forward >= 0
    module = mine.text(entry.module)
    if forward:
        stack = mine.stack(entry.forward) or stack
        module = mine.text(entry.origin) or module
    node = mine.text(entry.node) if phase == "backward" else ""
    if node:
        notes.append(f"within {node}")
    if entry.flags & RECOMPUTED:
        notes.append("while a gradient checkpoint was computed again")
    if entry.flags & AUTOCAST:
        notes.append("under autocast")
    if name.startswith(_COLLECTIVE):
        notes.append("between processes")
    in_dataset = any(spot is not None and spot.function.endswith("__getitem__") for spot in _spots(mine, entry))
    return Localisation(
        kind="operation",
        phase=phase,
        operation=name.removeprefix("compiled::"),
        location=stack[0] if stack else None,
        process=pair.role,
        step=step,
        stack=stack,
        module=module,
        forward=forward,
        inputs_agree=origin.agree,
        random=_stream(name, mine.text(entry.arguments)) if origin.agree else "",
        worker=int(worker[2]) if worker is not None else None,
        sample=_sample(record, worker is not None or in_dataset),
        max_abs_difference=_operation_difference(pair),
        compiled=bool(entry.flags & COMPILED),
        notes=(*notes, *general),
    )


def _spots(side: _Side, entry: Operation) -> Iterator[Spot | None]:
    return (side.spot(number) for number in side.capture.stacks.get(entry.stack, ()))


def _sample(record: _Record, within: bool) -> int | None:
    return record.sample if within and record.sample is not None and record.sample >= 0 else None


def _stream(name: str, arguments: str) -> str:
    """The random stream that an operation draws from, or an empty text."""
    plain = name.rpartition("::")[2].partition(".")[0]
    if not name.startswith("aten::") or not _RANDOM.match(plain):
        return ""
    return "torch-cuda" if "device=cuda" in arguments else "torch"


def _line_difference(pair: _Pair, variable: str, side: _Side) -> float | None:
    """The absolute difference of a number that a line bound."""
    if pair.other is None or not isinstance(pair.first.entry, Line) or not isinstance(pair.other.entry, Line):
        return None
    found = side.watched(pair.first.entry.watched)
    if found is None or variable not in found[0].names:
        return None
    at = found[0].names.index(variable)
    values = []
    for entry in (pair.first.entry, pair.other.entry):
        text = entry.values[at] if at < len(entry.values) else ""
        if text[:1] == "f":
            values.append(float.fromhex(text[1:]))
        elif text[:1] == "i":
            values.append(float(int(text[1:])))
    return _finite(abs(values[0] - values[1])) if len(values) == 2 else None


def _operation_difference(pair: _Pair) -> float | None:
    """The largest absolute difference of the outputs that were kept."""
    if pair.other is None or not isinstance(pair.first.entry, Operation) or not isinstance(pair.other.entry, Operation):
        return None
    mine, other = pair.first.entry.value, pair.other.entry.value
    if mine is None or other is None or mine.dtype != other.dtype:
        return None
    first, second = _numbers(mine), _numbers(other)
    if first is None or second is None or len(first) != len(second):
        return None
    return _finite(max((abs(a - b) for a, b in zip(first, second, strict=True)), default=0.0))


def _numbers(value: Value) -> list[float] | None:
    import numpy as np

    try:
        data = base64.b64decode(value.data, validate=True)
    except ValueError:
        return None
    if value.dtype == "bfloat16":
        wide = np.frombuffer(data, np.uint16).astype(np.uint32) << 16
        return [float(number) for number in wide.view(np.float32)]
    if value.dtype in ("float16", "float32", "float64"):
        return [float(number) for number in np.frombuffer(data, value.dtype)]
    return None


def _finite(value: float) -> float | None:
    return value if value - value == 0 else None
