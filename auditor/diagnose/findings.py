"""Remarks on the evidence itself: what could not be watched, where the probe failed, how data were loaded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from auditor.records.audit import Finding
from auditor.records.evidence import RunEvidence
from auditor.records.trace import Place, ProcessTrace, Worker

Severity = Literal["error", "warning", "note"]
_SEVERITIES = ("error", "warning", "note")

_STREAM_NAMES = {
    "python": "Python's random module",
    "numpy": "NumPy's global stream",
    "torch": "torch's CPU stream",
    "torch-cuda": "torch's CUDA stream",
    "numpy-generator": "the NumPy generators",
}
_SEEDERS = {
    "python": "random.seed",
    "numpy": "numpy.random.seed",
    "torch": "torch.manual_seed",
    "torch-cuda": "torch.cuda.manual_seed_all",
}
_ENTROPY = {
    "clock": ("clock-read", "reads the clock"),
    "urandom": ("system-entropy-read", "reads the system's entropy"),
    "uuid": ("uuid-made", "makes a random UUID"),
    "numpy-entropy": ("numpy-entropy-read", "has NumPy draw entropy from the system"),
}


_SHUFFLING = frozenset({"RandomSampler", "WeightedRandomSampler", "SubsetRandomSampler"})
_READS = frozenset(rule for rule, _ in _ENTROPY.values())  # weaker than a rule that says what is wrong


def remarks(runs: Sequence[RunEvidence]) -> tuple[Finding, ...]:
    """What the traces of all runs say about the evidence, each once; what endangers a level is for the rules to see."""
    traces = [trace for run in runs for trace in run.processes]
    return tuple(dict.fromkeys((*_faults(traces), *_unwatched(traces), *_loaders(traces))))


def _worker_randomness(runs: Sequence[RunEvidence]) -> Iterator[Finding]:
    """Workers of one loader that begin with equal generators, and draw from them, all augment alike."""
    for run in runs:
        parents = {trace.role: trace for trace in run.processes}
        # (parent, loader, generator, state at the start) → the workers that began so and whether they drew:
        # a loader's later epochs start other workers in other states.
        alike: dict[tuple[str, int, str, str], dict[int, bool | None]] = defaultdict(dict)
        for trace in run.processes:
            start = next((line for line in trace.workers if line.at == "start"), None)
            end = next((line for line in reversed(trace.workers) if line.at == "end"), None)
            if start is None:
                continue
            begun, ended = _generator_states(start), None if end is None else _generator_states(end)
            parent = trace.role.rpartition("/")[0]
            for name, state in begun.items():
                drew = None if ended is None or name not in ended else ended[name] != state
                alike[parent, start.loader, name, state][start.worker] = drew
        for (parent, loader, name, _), workers in sorted(alike.items()):
            # Of a worker that was ended from outside nobody knows whether it drew.
            numbers = sorted(number for number, drew in workers.items() if drew is not False)
            if len(numbers) < 2 or not any(workers.values()):
                continue
            made = parents[parent].loaders if parent in parents else ()
            listed = ", ".join(map(str, numbers[:8])) + (" …" if len(numbers) > 8 else "")
            yield Finding(
                "identical-worker-randomness",
                f"workers {listed} of DataLoader {loader} begin with {name} in the same state and draw from it: "
                "they all make the same random choices",
                "warning",
                next((one.place for one in made if one.index == loader), None),
            )


def _worker_repeats(runs: Sequence[RunEvidence]) -> Iterator[Finding]:
    """A worker that begins two epochs with an equal generator, and draws from it, makes the same choices in both."""
    for run in runs:
        parents = {trace.role: trace for trace in run.processes}
        # (parent, loader, generator) → worker → the states that it began with, each time that it was started
        begun: dict[tuple[str, int, str], dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        drew: set[tuple[str, int, str]] = set()
        for trace in run.processes:
            start = next((line for line in trace.workers if line.at == "start"), None)
            end = next((line for line in reversed(trace.workers) if line.at == "end"), None)
            if start is None:
                continue
            parent = trace.role.rpartition("/")[0]
            ended = {} if end is None else _generator_states(end)
            for name, state in _generator_states(start).items():
                begun[parent, start.loader, name][start.worker].append(state)
                if name in ended and ended[name] != state:
                    drew.add((parent, start.loader, name))
        for key, workers in sorted(begun.items()):
            again = sorted(number for number, states in workers.items() if len(set(states)) < len(states))
            if not again or key not in drew:
                continue
            parent, loader, name = key
            made = parents[parent].loaders if parent in parents else ()
            listed = ", ".join(map(str, again[:8])) + (" …" if len(again) > 8 else "")
            yield Finding(
                "repeated-epoch-randomness",
                f"workers {listed} of DataLoader {loader} begin more than one epoch with {name} in the same state and "
                "draw from it: those epochs make the same random choices",
                "warning",
                next((one.place for one in made if one.index == loader), None),
            )


def _repeated_order(traces: Iterable[ProcessTrace]) -> Iterator[Finding]:
    """Batches of a loader that shuffles which come again in the same order: it was seeded anew in every epoch."""
    for trace in traces:
        shuffling = {f"loader {one.index}": one for one in trace.loaders if one.sampler in _SHUFFLING}
        for name, loader in sorted(shuffling.items()):
            digests = [step.batch.digest for step in trace.steps if step.batch and set(step.batch.sources) == {name}]
            # Only steps that follow one another show an order.
            numbers = [step.n for step in trace.steps if step.batch and set(step.batch.sources) == {name}]
            if not digests or numbers != list(range(numbers[0], numbers[0] + len(numbers))):
                continue
            period = _period(digests)
            if period is not None:
                yield Finding(
                    "repeated-epoch-order",
                    f"DataLoader {loader.index} shuffles, and yet the same {period} batches come in the same order "
                    f"again and again in {trace.role}: it is seeded anew in every epoch",
                    "warning",
                    loader.place,
                )


def _period(digests: Sequence[str]) -> int | None:
    """After how many digests, all of them different, the whole sequence repeats itself; None where it does not."""
    first = digests[0]
    period = next((at for at in range(1, len(digests)) if digests[at] == first), None)
    if period is None or period < 2 or len(digests) < 2 * period or len(set(digests)) != period:
        return None
    alike = all(one == other for one, other in zip(digests, digests[period:], strict=False))
    return period if alike else None


def _generator_states(line: Worker) -> dict[str, str]:
    """Return the state of each stream and each generator that the dataset holds, by what it is called in words."""
    states = {f"the dataset's generator {name}": state for name, state in line.held.items()}
    for name, state in line.streams.items():
        # The streams' digest over all generators says again what those the dataset holds already say.
        if name != "numpy-generator" or not line.held:
            states[_STREAM_NAMES.get(name, name)] = state
    return states


def _generators(traces: Iterable[ProcessTrace]) -> Iterator[Finding]:
    for trace in traces:
        for generator in trace.generators:
            if not generator.seeded:
                yield Finding(
                    "unseeded-numpy-generator",
                    f"a NumPy generator ({generator.kind}) is made without a seed: it takes the system's entropy",
                    "warning",
                    generator.place,
                )


def _unseeded_streams(traces: Iterable[ProcessTrace]) -> Iterator[Finding]:
    for trace in traces:
        if trace.streams is None:
            continue
        seeded = {seed.stream for seed in trace.seeds if seed.value is not None}
        inherited = trace.hello.kind == "fork"  # a forked child's streams were its parent's to seed
        for stream, drawn in sorted(trace.streams.drawn.items()):
            if drawn and stream in _SEEDERS and stream not in seeded and not inherited:
                yield Finding(
                    "unseeded-stream",
                    f"{_STREAM_NAMES[stream]} is drawn from in {trace.role} and never seeded ({_SEEDERS[stream]})",
                    "warning",
                    None,
                )


def _entropy_seeds(traces: Iterable[ProcessTrace]) -> Iterator[Finding]:
    for trace in traces:
        for seed in trace.seeds:
            if seed.value is None:
                yield Finding(
                    "seed-from-entropy",
                    f"{_STREAM_NAMES.get(seed.stream, seed.stream)} is seeded from the system's entropy",
                    "warning",
                    seed.place,
                )


def _late_seeds(traces: Iterable[ProcessTrace]) -> Iterator[Finding]:
    """Streams first seeded after the first step: what came before them (the initial parameters) was not."""
    for trace in traces:
        first: dict[str, tuple[int, Place | None]] = {}
        for seed in trace.seeds:
            first.setdefault(seed.stream, (seed.step, seed.place))
        for stream, (step, place) in sorted(first.items()):
            if step > 0 and trace.steps:
                yield Finding(
                    "late-seed",
                    f"{_STREAM_NAMES.get(stream, stream)} is first seeded after step {step}, not before the first",
                    "warning",
                    place,
                )


def _unwatched(traces: Iterable[ProcessTrace]) -> Iterator[Finding]:
    for trace in traces:
        for child in trace.unwatched:
            yield Finding(
                "unwatched-child",
                f"{child.child} is started so that the probe cannot enter it (isolated, or without its environment)",
                "warning",
                child.place,
            )


def _entropy(traces: Iterable[ProcessTrace], differs: bool) -> Iterator[Finding]:
    for trace in traces:
        # A generator made without a seed is how NumPy came to draw entropy there: said once, by the specific rule.
        unseeded = {generator.place for generator in trace.generators if generator.place and not generator.seeded}
        for read in trace.entropy:
            if read.kind not in _ENTROPY or (read.kind in ("numpy-entropy", "urandom") and read.place in unseeded):
                continue
            rule, what = _ENTROPY[read.kind]
            # Most programs time themselves; a read weighs only where the runs differ.
            severity: Severity = "warning" if differs and read.kind != "clock" else "note"
            weight = "it may be why the runs differ" if differs else "harmless unless it reaches the results"
            yield Finding(rule, f"the program {what}: {weight}", severity, read.place)


def _listings(runs: Sequence[RunEvidence]) -> Iterator[Finding]:
    """Directory listings of the same names that the program got in another order in another run."""
    orders: dict[tuple[str, str, int, str], set[str]] = defaultdict(set)
    for run in runs:
        for trace in run.processes:
            for read in trace.entropy:
                if read.kind == "listing" and read.place and read.order and read.names:
                    orders[trace.role, read.place.file, read.place.line, read.names].add(read.order)
    # Seen in one order in run one and in others later; a line that lists several directories has several names.
    for (_, file, line, _), seen in orders.items():
        if len(seen) > 1:
            yield Finding(
                "unsorted-listing",
                "a directory is listed in the order of the file system, and the runs got it in different ones: "
                "sort it, unless its order cannot matter",
                "note",
                Place(file, line),
            )


def _loaders(traces: Iterable[ProcessTrace]) -> Iterator[Finding]:
    for trace in traces:
        for loader in trace.loaders:
            if loader.workers > 0:
                generator = "with" if loader.generator else "without"
                init = "with" if loader.worker_init_fn else "without"
                persistent = ", persistent" if loader.persistent else ""
                yield Finding(
                    "dataloader-workers",
                    f"a DataLoader with {loader.workers} workers ({loader.sampler}{persistent}), "
                    f"{generator} a generator of its own, {init} a worker_init_fn",
                    "note",
                    loader.place,
                )


def _stale_reads(traces: Iterable[ProcessTrace]) -> Iterator[Finding]:
    for trace in traces:
        for read in trace.stale_reads:
            yield Finding(
                "stale-read",
                f"{read.path} lies outside the project, changed after the audit began, and was read: "
                "a run may have started from what an earlier one left",
                "warning",
                read.place,
            )


def _faults(traces: Iterable[ProcessTrace]) -> Iterator[Finding]:
    for trace in traces:
        for fault in trace.faults:
            yield Finding(
                "probe-fault",
                f"the probe failed in {fault.where} in {trace.role}: {fault.error}; evidence may be missing after it",
                "error",
                None,
            )
