"""Attribution: which causes the evidence at hand speaks for, ranked, each with its line and the factor to try."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from auditor.diagnose.reading import lines_of, rule_of, sightings, takes_messages
from auditor.diagnose.threads import meeting
from auditor.records import streams
from auditor.records.comparison import Divergence
from auditor.records.diagnosis import Factor
from auditor.records.evidence import RunEvidence
from auditor.records.streams import alike_at_start, loader_place, worker_start
from auditor.records.trace import Entropy, Place, ProcessTrace, Seed

Source = Callable[[str], str | None]
"""The text of one of the project's source files by its name, or None."""

SURE = 60
"""From this weight on a suspect is worth a trial before anything is localised."""

STREAM_RULES: dict[str, tuple[str, Factor]] = {
    "python": ("unseeded-python-random", "seed-python"),
    "numpy": ("unseeded-numpy-global", "seed-numpy"),
    "torch": ("unseeded-torch", "seed-torch"),
    "torch-cuda": ("unseeded-torch", "seed-torch"),
    "numpy-generator": ("unseeded-numpy-generator", "seed-generators"),
}
STREAM_FACTORS = frozenset(factor for _, factor in STREAM_RULES.values())
FACTOR_OF: dict[str, Factor] = {
    **dict(STREAM_RULES.values()),
    "unstable-seed": "pin-seeds",
    "entropy-read": "fix-entropy",
    "clock-read": "freeze-clock",
    "pid-read": "fix-pid",
    "hash-order": "fix-hash-seed",
    "address-order": "fix-addresses",
    "unsorted-listing": "sort-listings",
    "thread-count": "one-thread",
    "thread-race": "serial-threads",
    "unseeded-worker": "seed-workers",
    "worker-order": "load-in-process",
    "nondeterministic-operation": "deterministic-algorithms",
}
STREAM_NAMES = {**streams.STREAM_NAMES, "numpy-generator": "a NumPy generator"}
_READS: dict[str, tuple[str, str, int]] = {
    "urandom": ("entropy-read", "the system's entropy is read", 62),
    "uuid": ("entropy-read", "a random UUID is made", 40),
    "pid": ("pid-read", "the process's number is read", 61),
    "clock": ("clock-read", "the clock is read", 20),
    "numpy-entropy": ("unseeded-numpy-generator", "NumPy draws entropy from the system", 84),
}
# What a link that differs first says of the kind of cause: what came before it agreed.
_FAVOURED: dict[str, dict[str, int]] = {
    "init": {"unseeded-torch": 8, "late-seed": 8},
    "batch": {"unseeded-numpy-global": 8, "unseeded-python-random": 8, "unsorted-listing": 8, "hash-order": 8},
    "loss": {"unseeded-torch": 8},
    # Gradients agree, and the step that was made of them does not: a learning rate, or the optimizer's own noise.
    "parameters": {"clock-read": 44},
}


class Suspect(msgspec.Struct, frozen=True):
    """A cause that the evidence speaks for.

    ``factor`` is what settles it, None where no intervention can. ``why`` is the evidence in words, ``weight`` how much
    it says (higher first). ``pins`` are what ``pin-seeds`` is to change: stream, file, line, value. ``link`` and
    ``step`` are those of the divergence that it is suspected of.
    """

    rule: str
    factor: Factor | None
    location: Place | None
    why: str
    weight: int
    pins: tuple[tuple[str, str, int, str], ...] = ()
    link: str = ""
    step: int | None = None


def attribute(first: RunEvidence, other: RunEvidence, divergence: Divergence, source: Source) -> tuple[Suspect, ...]:
    """The suspects for the divergence of two runs, the strongest first; what cannot have mattered yet is none.

    Nothing is run: this reads what the two runs left and the project's source.
    """
    before = _before(divergence)
    ours = {trace.role: trace for trace in first.processes}
    theirs = {trace.role: trace for trace in other.processes}
    found: list[Suspect] = []
    for role, trace in ours.items():
        twin = theirs.get(role)
        if twin is None:
            continue
        found += _seeds(trace, twin, before)
        found += _generators(trace, twin, before)
        found += _streams(trace, twin, divergence)
        found += _reads(trace, before)
        found += _listings(trace, twin, before, source)
        found += _stale(trace, twin, before)
    found += _workers(first, other, divergence)
    found += _devices(first, divergence)
    found += _messages(first, source)
    found += _sighted(first, other, source)
    return rank(_of(suspect, divergence) for suspect in _unexplained(found))


def line_at(place: Place | None, source: Source) -> str:
    """The text of a line of the project's source without its indentation; empty where that is not at hand."""
    text = source(place.file) if place is not None else None
    lines = lines_of(text) if text is not None else []
    return lines[place.line - 1].strip() if place is not None and 0 < place.line <= len(lines) else ""


def rank(suspects: Iterable[Suspect]) -> tuple[Suspect, ...]:
    """Suspects by weight, each rule and place once."""
    best: dict[tuple[str, str, int], Suspect] = {}
    for suspect in suspects:
        place = suspect.location
        key = (suspect.rule, place.file if place else "", place.line if place else 0)
        if key not in best or suspect.weight > best[key].weight:
            best[key] = suspect
    return tuple(sorted(best.values(), key=_order))


def _order(suspect: Suspect) -> tuple[int, str, str, int]:
    place = suspect.location
    return -suspect.weight, suspect.rule, place.file if place else "", place.line if place else 0


def _of(suspect: Suspect, divergence: Divergence) -> Suspect:
    favour = _FAVOURED.get(divergence.link, {}).get(suspect.rule, 0)
    return msgspec.structs.replace(suspect, weight=suspect.weight + favour, link=divergence.link, step=divergence.step)


def _before(divergence: Divergence) -> int | None:
    """How many steps had been taken when the runs parted: what came later is no cause. None: nothing is known."""
    if divergence.link == "init":
        return 0
    return None if divergence.step is None else divergence.step - 1


def _in_time(step: int, before: int | None) -> bool:
    return before is None or step <= before


def _seeds(a: ProcessTrace, b: ProcessTrace, before: int | None) -> Iterator[Suspect]:
    """Seeding calls whose value is another in each run, or comes from the system; and those that come too late."""
    torch = {seed.place for seed in a.seeds if seed.stream == "torch"}
    for one, two in zip(a.seeds, b.seeds, strict=False):
        if one.stream != two.stream or not _in_time(one.step, before):
            continue
        if one.stream == "torch-cuda" and one.place in torch:
            continue  # which torch.manual_seed and torch.seed do in their turn
        factor = STREAM_RULES[one.stream][1]
        name = STREAM_NAMES[one.stream]
        if one.value is None:
            yield Suspect("seed-from-entropy", factor, one.place, f"{name} is seeded from the system's entropy", 95)
        elif one.value != two.value:
            yield _unstable(one, two.value)
        elif one.drawn:
            said = f"{name} is drawn from before the program seeds it"
            yield Suspect("late-seed", factor, one.place, said, 78)


def _unstable(seed: Seed, other: str | None) -> Suspect:
    pins: tuple[tuple[str, str, int, str], ...] = ()
    if seed.place is not None and seed.value is not None:
        pins = ((seed.stream, seed.place.file, seed.place.line, seed.value),)
    said = f"{STREAM_NAMES[seed.stream]} is seeded with {seed.value} in one run and {other} in the other"
    return Suspect("unstable-seed", "pin-seeds", seed.place, said, 100, pins)


def _generators(a: ProcessTrace, b: ProcessTrace, before: int | None) -> Iterator[Suspect]:
    for one, two in zip(a.generators, b.generators, strict=False):
        if not _in_time(one.step, before):
            continue
        if not one.seeded:
            said = f"a NumPy generator ({one.kind}) is made without a seed"
            yield Suspect("unseeded-numpy-generator", "seed-generators", one.place, said, 88)
        elif one.value is not None and one.value != two.value and one.place is not None:
            pins = (("numpy-generator", one.place.file, one.place.line, one.value),)
            said = f"a NumPy generator is seeded with {one.value} in one run and {two.value} in the other"
            yield Suspect("unstable-seed", "pin-seeds", one.place, said, 100, pins)


def _streams(a: ProcessTrace, b: ProcessTrace, divergence: Divergence) -> Iterator[Suspect]:
    """Streams that nothing seeded, that were drawn from, and whose state differs. A forked child inherits its own."""
    if a.hello.kind == "fork" or a.streams is None or b.streams is None:
        return
    seeded = {seed.stream for seed in a.seeds if seed.value is not None}
    for stream in ("torch", "torch-cuda", "numpy", "python"):
        drawn = a.streams.drawn.get(stream) or b.streams.drawn.get(stream)
        if not drawn or stream in seeded or a.streams.states.get(stream) == b.streams.states.get(stream):
            continue
        rule, factor = STREAM_RULES[stream]
        where = "" if a.role == "main" else f" in {a.role}"
        said = f"{STREAM_NAMES[stream]} is drawn from{where} and nothing seeds it"
        yield Suspect(rule, factor, None, said, 80 if divergence.process == a.role else 70)


def _reads(trace: ProcessTrace, before: int | None) -> Iterator[Suspect]:
    made = {generator.place for generator in trace.generators if not generator.seeded}
    reads = [
        read for read in trace.entropy if read.kind in _READS and _in_time(read.step, before) and read.place not in made
    ]
    last = {read.kind: read for read in reads}
    for read in reads:
        rule, said, weight = _READS[read.kind]
        # Each line is told once: the one that was reached last is nearest to where the runs part.
        yield Suspect(rule, FACTOR_OF[rule], read.place, said, weight + (read is last[read.kind]))


def _listings(a: ProcessTrace, b: ProcessTrace, before: int | None, source: Source) -> Iterator[Suspect]:
    theirs: dict[tuple[Place | None, str | None], set[str | None]] = defaultdict(set)
    for read in b.entropy:
        if read.kind == "listing":
            theirs[read.place, read.names].add(read.order)
    for read in a.entropy:
        if read.kind == "listing" and _in_time(read.step, before) and _reordered(read, theirs):
            said = "a directory is listed in another order in each run"
            weight = 52 if _is_settled(read.place, source) else 58
            yield Suspect("unsorted-listing", "sort-listings", read.place, said, weight)


def _is_settled(place: Place | None, source: Source) -> bool:
    """Whether the source shows that a line sorts, or only counts, what it lists."""
    text = source(place.file) if place is not None else None
    if text is None or place is None or rule_of(line_at(place, source)) != "unsorted-listing":
        return False
    return not any(one.rule == "unsorted-listing" and one.line == place.line for one in sightings(text))


def _reordered(read: Entropy, theirs: dict[tuple[Place | None, str | None], set[str | None]]) -> bool:
    orders = theirs.get((read.place, read.names))
    return orders is not None and read.order not in orders


def _stale(trace: ProcessTrace, twin: ProcessTrace, before: int | None) -> Iterator[Suspect]:
    """Files outside the project that an earlier run left; what the second run alone read may be a library's cache."""
    known = {read.path for read in trace.stale_reads}
    later = [read for read in twin.stale_reads if read.path not in known]
    for weight, reads in ((90, trace.stale_reads), (_UNSURE, later)):
        for read in reads:
            if _in_time(read.step, before):
                name = read.path.rpartition("/")[2]
                said = f"{name}, outside the project, was changed by an earlier run and read by this one"
                yield Suspect("stale-file", None, read.place, said, weight)


def _workers(first: RunEvidence, other: RunEvidence, divergence: Divergence) -> Iterator[Suspect]:
    """DataLoader workers that begin with other states than in the other run, while their parents' streams agree."""
    theirs = {trace.role: worker_start(trace) for trace in other.processes}
    parents = {trace.role: trace for trace in first.processes}
    twins = {trace.role: trace for trace in other.processes}
    for trace in first.processes:
        mine, twin = worker_start(trace), theirs.get(trace.role)
        if mine is None or twin is None:
            continue
        parent = trace.role.rpartition("/")[0]
        place = loader_place(parents.get(parent), mine.loader)
        states = twin.streams
        differing = [name for name, state in mine.streams.items() if name in states and states[name] != state]
        seeded = parent in parents and parent in twins and alike_at_start(parents[parent], twins[parent], "torch")
        if differing and seeded and "numpy-generator" not in differing:
            name = STREAM_NAMES[differing[0]]
            yield Suspect("unseeded-worker", "seed-workers", place, f"{name} begins in another state in workers", 66)
    if divergence.link == "batch":
        for trace in first.processes:
            for loader in trace.loaders:
                if loader.workers > 0:
                    said = f"a DataLoader with {loader.workers} workers feeds the model"
                    yield Suspect("worker-order", "load-in-process", loader.place, said, 16)


def torch_alike(first: RunEvidence, other: RunEvidence) -> frozenset[str]:
    """The processes, by role, whose torch stream was in the same state in both runs at their first step."""
    theirs = {trace.role: trace for trace in other.processes}
    pairs = ((trace, theirs.get(trace.role)) for trace in first.processes)
    return frozenset(a.role for a, b in pairs if b is not None and alike_at_start(a, b, "torch"))


def _devices(first: RunEvidence, divergence: Divergence) -> Iterator[Suspect]:
    """Kernels: nearly all of them are deterministic on a CPU, many are not on a GPU."""
    arithmetic = divergence.link in ("loss", "gradients", "parameters", "final")
    gpu = any(trace.gpus for trace in first.processes)
    if gpu:
        said = "the model is trained on a GPU, where some operations add up in no fixed order"
        weight = 74 if arithmetic else 30
    else:
        said, weight = "an operation of torch may have no fixed order", 6
    yield Suspect("nondeterministic-operation", "deterministic-algorithms", None, said, weight)
    yield Suspect("thread-race", "serial-threads", None, "threads of the program may take turns in another order", 12)
    yield Suspect("address-order", "fix-addresses", None, "objects lie at other addresses in each run", 10)
    if any(_threads(trace) > 1 for trace in first.processes):
        yield Suspect("thread-count", "one-thread", None, "sums are shared out among several threads", 8)


def _messages(first: RunEvidence, source: Source) -> Iterator[Suspect]:
    """Where the messages of several processes come together, through a queue or connections."""
    senders = Counter(
        trace.role.rpartition("/")[0] for trace in first.processes if _OWN_PROCESS.search(trace.role) is not None
    )
    several = max(senders.values(), default=0)
    texts = {name: source(name) or "" for name in own_sources(first)} if several > 1 else {}
    if any(word in text for text in texts.values() for word in ("Queue(", "connection")):
        for name, text in texts.items():
            for line in takes_messages(text):
                said = f"messages of {several} processes are taken in the order in which they arrive"
                yield Suspect("completion-order", None, Place(name, line), said, _UNSURE)


_OWN_PROCESS = re.compile(r"/(Fork|Spawn|ForkServer)?Process-[0-9:]+$")  # as multiprocessing calls them


def _threads(trace: ProcessTrace) -> int:
    found = [torch.switches.get("threads") for torch in trace.torch]
    return max((value for value in found if isinstance(value, int)), default=1)


_UNSURE = 55  # below SURE: the other suspects are tried all the same
_CAUSES = {"unseeded-python-generator": "unseeded-python-random", "completion-order": "thread-race"}
_SIGHTED: dict[str, tuple[int, str]] = {
    "unseeded-python-generator": (82, "a random.Random is made without a seed: it takes the system's entropy"),
    "unseeded-python-random": (62, "Python's random module is drawn from, and nothing in sight seeds it"),
    "hash-order": (60, "a set is iterated, or a hash taken: both depend on the hash seed, another one in each process"),
    "address-order": (60, "objects are told apart or ordered by their addresses"),
    "completion-order": (79, "results are taken in the order in which threads or processes have them ready"),
    "unsorted-listing": (61, "a directory is listed in whatever order it has"),
    "thread-race": (46, "work is shared out among threads or processes"),
    "clock-read": (24, "the clock is read"),
    "pid-read": (50, "the process's number is read"),
    "entropy-read": (40, "the system's entropy is read"),
}


def _sighted(first: RunEvidence, other: RunEvidence, source: Source) -> Iterator[Suspect]:
    """What the project's own source shows, where the trace does not tell it; weaker than what was seen to happen."""
    texts = {name: source(name) or "" for name in own_sources(first)}
    seen = {name: sightings(text) for name, text in texts.items()}
    # The streams are watched once NumPy or torch is there; of a program without them the source alone tells.
    unwatched = not any(trace.streams is not None for trace in first.processes)
    hashed = first.run.varied.get("PYTHONHASHSEED") != other.run.varied.get("PYTHONHASHSEED")
    for name, found in seen.items():
        for sighting in found:
            if sighting.rule not in _SIGHTED or (sighting.rule == "hash-order" and not hashed):
                continue
            if sighting.rule in ("unseeded-python-random", "unsorted-listing") and not unwatched:
                continue
            weight, said = _SIGHTED[sighting.rule]
            if unwatched and sighting.rule in ("entropy-read", "pid-read"):
                weight = SURE + 1
            line = meeting(texts[name], sighting.line) if sighting.rule == "thread-race" else None
            place = Place(name, line or sighting.line)
            rule = _CAUSES.get(sighting.rule, sighting.rule)
            yield Suspect(rule, FACTOR_OF[rule], place, said, weight)
    if hashed and not any(one.rule == "hash-order" for found in seen.values() for one in found):
        yield Suspect(
            "hash-order",
            "fix-hash-seed",
            None,
            "the hash seed is another one in each process, and sets are ordered by it",
            22,
        )


def own_sources(run: RunEvidence) -> tuple[str, ...]:
    """The project's own source files that a run executed, by name: scripts first."""
    scripts = [trace.hello.label for trace in run.processes if trace.hello.label.endswith(".py")]
    imported = [file.name for trace in run.processes for line in trace.sources for file in line.files]
    return tuple(dict.fromkeys([*(name for name in imported if name.rpartition("/")[2] in scripts), *imported]))


_EXPLAIN = ("unstable-seed", "seed-from-entropy", "unseeded-numpy-generator")


def _unexplained(found: Sequence[Suspect]) -> Iterator[Suspect]:
    """Leave out what another suspect explains: an entropy or clock read on the very line of a seeding call."""
    explained = {
        (suspect.location.file, suspect.location.line)
        for suspect in found
        if suspect.location is not None and suspect.rule in _EXPLAIN
    }
    for suspect in found:
        place = suspect.location
        at = None if place is None else (place.file, place.line)
        if at in explained and suspect.rule in ("clock-read", "entropy-read", "pid-read", "hash-order"):
            continue
        yield suspect
