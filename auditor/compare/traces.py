"""Two runs' traces: aligned by role and step, down to the first link that differs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from auditor.compare import checkpoints
from auditor.compare.tensors import Tensor, Unreadable, difference
from auditor.records.comparison import Compared, Divergence
from auditor.records.evidence import RunEvidence
from auditor.records.trace import Batch, Final, Init, Loss, Optimizer, ProcessTrace, Step

_ORDER = ("init", "batch", "loss", "gradients", "parameters", "steps", "final")
_INFINITY = float("inf")
_PLACE = re.compile(r"(?P<name>[^/:]+)(?::(?P<start>\d{1,18}):(?P<size>\d{1,18}))?")
_NUMBER = re.compile(r"[0-9]{1,18}")
_WORKER = re.compile(r"(?:^|/)worker \d")
# The workers of a pool take tasks as they become free: which of them does what is no property of the program.
_POOL = re.compile(r"(?P<pool>.*(?:PoolWorker|LokyProcess))-\d+(?:[:.]\d+)?(?:#\d+)?")
# What is not kept since it is no file: links and the like hold no results of their own; what is too large was hashed.
_NO_FILE = ("a symbolic link", "a pipe", "a socket", "a device", "hashed only")

# Directories that tools fill on first use. A file there that one run made and the next one read tells nothing, unless
# it could be a model: those are what a run resumes from.
_CACHES = frozenset(
    {".cache", "__pycache__", ".triton", ".nv", ".matplotlib", ".ipython", ".numba", "numba_cache", "fontconfig"}
)
_MODEL_SUFFIXES = checkpoints.TENSOR_SUFFIXES | {".h5", ".hdf5", ".keras", ".onnx", ".ubj", ".cbm", ".json"}


@dataclass(frozen=True)
class StreamDifference:
    """A random stream that was drawn from and ended in another state."""

    process: str
    stream: str


@dataclass(frozen=True)
class TraceComparison:
    """What two runs' traces have and have not in common.

    ``unsound`` are those of the gaps that speak against the runs themselves, and so against their metrics too.
    ``unseen`` is what training did and nobody could read: a gap, unless the program's own checkpoints hold it.
    """

    divergence: Divergence | None
    compared: Compared
    gaps: tuple[str, ...]
    unseen: tuple[str, ...]
    unsound: tuple[str, ...]
    notes: tuple[str, ...]
    identical_until: int | None
    streams: tuple[StreamDifference, ...]


@dataclass
class _Tally:
    """What is counted and said while two runs are compared."""

    steps: int = 0
    taken: int = 0
    parameters: int = 0
    gradients: int = 0
    losses: int = 0
    batches: int = 0
    drawn: int = 0
    gaps: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    unsound: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    streams: list[StreamDifference] = field(default_factory=list)


def _steps_taken(trace: ProcessTrace) -> int:
    if trace.end is not None:
        return trace.end.steps
    return trace.steps[-1].n if trace.steps else 0


def is_worker(trace: ProcessTrace) -> bool:
    """Whether a trace is a DataLoader worker's: those inform findings only."""
    return _WORKER.search(trace.role) is not None


def _pool(trace: ProcessTrace) -> str:
    """Return the name that a pool's workers share, or an empty string for what is no such worker."""
    match = _POOL.fullmatch(trace.role)
    return match["pool"] if match else ""


def trains(trace: ProcessTrace) -> bool:
    """Whether anything in a trace says that the process trained a model."""
    return bool(trace.optimizers or trace.inits or trace.steps or trace.finals or (trace.end and trace.end.steps))


def _loss_same(a: Loss, b: Loss) -> bool:
    return a.count == b.count and a.digest == b.digest


def _batch_same(a: Batch, b: Batch) -> bool:
    return a.count == b.count and a.digest == b.digest and a.sources == b.sources


def _links(a: Step, b: Step) -> Iterator[tuple[str, bool | None]]:
    """Yield each link of a step with whether it agrees: None where seen in one run only, nothing where in neither."""
    if a.batch is not None or b.batch is not None:
        yield "batch", None if a.batch is None or b.batch is None else _batch_same(a.batch, b.batch)
    if a.loss is not None or b.loss is not None:
        yield "loss", None if a.loss is None or b.loss is None else _loss_same(a.loss, b.loss)
    if a.gradients is not None or b.gradients is not None:
        yield "gradients", None if a.gradients is None or b.gradients is None else a.gradients == b.gradients
    if a.parameters is not None or b.parameters is not None:
        yield "parameters", None if a.parameters is None or b.parameters is None else a.parameters == b.parameters


def steps_agree(a: Step, b: Step) -> bool:
    """Whether nothing that both steps hold differs. What only one of them holds is no disagreement.

    The two are of the same process and number; random streams are not compared.
    """
    return a.optimizer == b.optimizer and all(agrees is not False for _, agrees in _links(a, b))


def _first_part(a: str, b: str, width: int) -> int | None:
    if width < 1 or len(a) != len(b):
        return None
    for index in range(0, len(a), width):
        if a[index : index + width] != b[index : index + width]:
            return index // width
    return None


def _tensor_indices(optimizer: Optimizer | None, a: str, b: str) -> range | None:
    """Return the indices of the tensors behind the first part that differs."""
    if optimizer is None:
        return None
    part = _first_part(a, b, optimizer.width)
    if part is None:
        return None
    start = part * max(optimizer.groups, 1)
    stop = min(start + max(optimizer.groups, 1), len(optimizer.names))
    return range(start, stop) if start < stop else None


def _named(optimizer: Optimizer | None, indices: range | None, link: str) -> str:
    if optimizer is None or indices is None:
        return link
    first, last = optimizer.names[indices[0]], optimizer.names[indices[-1]]
    return first if len(indices) == 1 else f"{first} … {last}"


def _kept(root: Path, places: str) -> dict[str, Tensor]:
    """Return the tensors of blocks ``NAME:OFFSET:SIZE`` in the safetensors format, separated by blanks.

    Raises Unreadable where a block is not there or damaged.
    """
    tensors: dict[str, Tensor] = {}
    for place in places.split():
        match = _PLACE.fullmatch(place)
        if match is None or match["name"] in (".", ".."):
            raise Unreadable("their place is not given as a file, an offset and a size")
        start, size = (int(match["start"]), int(match["size"])) if match["start"] else (0, None)
        tensors.update(checkpoints.read_safetensors(root / match["name"], start, size).tensors)
    return tensors


class _Pair:
    """One process of two runs."""

    def __init__(self, first: RunEvidence, other: RunEvidence, a: ProcessTrace, b: ProcessTrace, tally: _Tally) -> None:
        self.first, self.other = first, other
        self.a, self.b = a, b
        self.tally = tally
        self.optimizers = ({o.index: o for o in a.optimizers}, {o.index: o for o in b.optimizers})
        self.last_identical = 0

    @property
    def runs(self) -> tuple[int, int]:
        return self.first.run.number, self.other.run.number

    def divergence(self, step: int | None, link: str, quantity: str, delta: float | None, reason: str) -> Divergence:
        return Divergence(
            step=step,
            link=link,
            process=self.a.role,
            quantity=quantity,
            max_abs_difference=delta,
            last_identical_step=self.last_identical,
            reason=reason,
            runs=self.runs,
        )

    def first_divergence(self) -> Divergence | None:
        """Return the earliest difference: init, then steps, then their number, then the end."""
        if self.a.unordered or self.b.unordered:
            found = _together((self.first, self.other), self.a.role, "threads", ([self.a], [self.b]), self.tally)
            self._streams()
            return found
        self.tally.taken += min(_steps_taken(self.a), _steps_taken(self.b))
        found = self._init()
        found = self._steps(found)
        if found is None:
            found = self._count()
        if found is None:
            found = self._final()
        self._streams()
        return found

    def _init(self) -> Divergence | None:
        ours, theirs = self.optimizers
        for index in ours.keys() & theirs.keys():
            a, b = ours[index], theirs[index]
            if (a.kind, a.shapes, a.dtypes) != (b.kind, b.shapes, b.dtypes):
                what = "class" if a.kind != b.kind else "shapes" if a.shapes != b.shapes else "element types"
                return self.divergence(None, "init", f"optimizer {index}", None, f"it moves parameters of other {what}")
        return self._whole("init", {i.optimizer: i for i in self.a.inits}, {i.optimizer: i for i in self.b.inits})

    def _whole(
        self, link: str, ours: dict[int, Init] | dict[int, Final], theirs: dict[int, Init] | dict[int, Final]
    ) -> Divergence | None:
        for index in sorted(ours.keys() | theirs.keys()):
            a, b = ours.get(index), theirs.get(index)
            if a is None or b is None:
                if self.a.end is not None and self.b.end is not None:
                    run = self.runs[0] if b is None else self.runs[1]
                    self.tally.gaps.append(
                        f"{self.a.role}: the {link} parameters of optimizer {index} were digested in run {run} only"
                    )
                continue
            if link == "final":
                self.tally.parameters += 1
            if a.digest == b.digest:
                continue
            optimizer = self._optimizer(index)
            indices = _tensor_indices(optimizer, a.parts, b.parts)
            delta, reason = self._values(
                (a.kept, b.kept), "p", optimizer, indices, "at the end" if link == "final" else "at the start"
            )
            return self.divergence(None, link, _named(optimizer, indices, "parameters"), delta, reason)
        return None

    def _optimizer(self, index: int) -> Optimizer | None:
        """Return the optimizer's description if both runs give the same number of tensors and width of parts."""
        a, b = self.optimizers[0].get(index), self.optimizers[1].get(index)
        if a is None or b is None or (len(a.names), a.width, a.groups) != (len(b.names), b.width, b.groups):
            return None
        return a

    def _steps(self, found: Divergence | None) -> Divergence | None:
        ours, theirs = self.a.steps, self.b.steps
        ends = tuple(
            trace.end.steps if trace.end else (trace.steps[-1].n if trace.steps else 0) for trace in (self.a, self.b)
        )
        planned = self.a.hello.label == self.b.hello.label
        alone: list[tuple[int, int]] = []  # (run, step) of steps that the other run passed without digesting them
        halves: dict[str, tuple[int, int]] = {}  # link → its first step, how many, where it was seen in one run only
        streams: dict[str, int] = {}
        i = j = 0
        while i < len(ours) and j < len(theirs):
            a, b = ours[i], theirs[j]
            if a.n != b.n:
                # Run two follows run one's plan, which holds what any process of this label digested; so only what run
                # one has and run two passed by is missing.
                if a.n < b.n:
                    alone.append((self.runs[0], a.n))
                    i += 1
                else:
                    j += 1
                continue
            i, j = i + 1, j + 1
            if a.optimizer >= 0:  # what follows the last step is none
                self.tally.steps += 1
            agrees = True
            for link, same in _links(a, b):
                if same is None:
                    first, count = halves.get(link, (a.n, 0))
                    halves[link] = (first, count + 1)
                    continue
                if a.optimizer != b.optimizer and link in ("gradients", "parameters"):
                    continue
                match link:
                    case "batch":
                        self.tally.batches += 1
                    case "loss":
                        self.tally.losses += 1
                    case "gradients":
                        self.tally.gradients += 1
                    case "parameters":
                        self.tally.parameters += 1
                if not same:
                    agrees = False
                    if found is None:
                        found = self._at(a, b, link)
            if agrees and a.optimizer != b.optimizer:
                agrees = False
                if found is None:
                    one, two = self.runs
                    reason = f"optimizer {a.optimizer} in run {one}, optimizer {b.optimizer} in run {two}"
                    found = self.divergence(a.n, "steps", "which optimizer steps", None, reason)
            if found is None:
                self.last_identical = a.n
            for name in a.streams.keys() & b.streams.keys():
                if name not in streams and a.streams[name] != b.streams[name]:
                    streams[name] = a.n
        alone.extend((self.runs[0], step.n) for step in ours[i:] if step.n <= ends[1])
        if alone and found is None:
            if planned:
                run, step = alone[0]
                more = f" (and {len(alone) - 1} more)" if len(alone) > 1 else ""
                self.tally.gaps.append(f"{self.a.role}: step {step} was digested in run {run} only{more}")
            else:
                self.tally.notes.append(f"{self.a.role}: {len(alone)} steps were digested in one run only")
        for link, (first, count) in halves.items():
            self.tally.gaps.append(
                f"{self.a.role}: the {link} of {count} steps, the first of them {first}, was seen in one run only"
            )
        drawn = self._drawn()
        for name, step in sorted(streams.items()):
            if name in drawn:
                self.tally.notes.append(f"{self.a.role}: the random stream {name} differs from step {step} on")
        return found

    def _drawn(self) -> set[str]:
        return {
            name for trace in (self.a, self.b) if trace.streams for name, drawn in trace.streams.drawn.items() if drawn
        }

    def _at(self, a: Step, b: Step, link: str) -> Divergence:
        if link == "batch" and a.batch is not None and b.batch is not None:
            return self.divergence(a.n, link, *self._batch(a.batch, b.batch))
        if link == "loss" and a.loss is not None and b.loss is not None:
            return self.divergence(a.n, link, "loss", *self._loss(a.loss, b.loss))
        optimizer = self._optimizer(a.optimizer)
        gradients = link == "gradients"
        parts = (a.gradients_parts, b.gradients_parts) if gradients else (a.parameters_parts, b.parameters_parts)
        indices = _tensor_indices(optimizer, *parts)
        delta, reason = self._values((a.kept, b.kept), "g" if gradients else "p", optimizer, indices, "at that step")
        return self.divergence(a.n, link, _named(optimizer, indices, link), delta, reason)

    def _batch(self, a: Batch, b: Batch) -> tuple[str, float | None, str]:
        reason = "inputs are kept as digests only"
        if a.count != b.count:
            return "batch", None, f"{a.count} inputs in run {self.runs[0]}, {b.count} in run {self.runs[1]}"
        for one, two in zip(a.sources, b.sources, strict=False):
            if one != two:
                return one, None, f"an input of {one} in run {self.runs[0]}, of {two} in run {self.runs[1]}"
        part = _first_part(a.parts, b.parts, 4)
        if part is None or part >= len(a.sources):
            return a.sources[0] if len(set(a.sources)) == 1 else "batch", None, reason
        return a.sources[part], None, reason

    def _loss(self, a: Loss, b: Loss) -> tuple[float | None, str]:
        if a.count != b.count:
            return (
                None,
                f"backward was called {a.count} times in run {self.runs[0]}, {b.count} times in run {self.runs[1]}",
            )
        if not a.values or not b.values:
            return None, "what backward started from is not a scalar"
        largest = 0.0
        said = ""
        for one, two in zip(a.values, b.values, strict=False):
            if one == two:
                continue
            try:
                x, y = float.fromhex(one), float.fromhex(two)
            except ValueError:
                return None, "a loss that is no number"
            said = said or f"{x!r} in run {self.runs[0]}, {y!r} in run {self.runs[1]}"
            delta = abs(x - y)
            if not delta < _INFINITY:
                return None, f"a loss is not finite ({said})"
            largest = max(largest, delta)
        if not said:
            return None, "the values kept agree; they differ in a later value, or in bits that the number does not show"
        return largest, said if largest else f"the sign of zero ({said})"

    def _values(
        self,
        kept: tuple[str | None, str | None],
        kind: str,
        optimizer: Optimizer | None,
        indices: range | None,
        when: str,
    ) -> tuple[float | None, str]:
        """Return the largest |Δ| over all tensors of a link, and what is to be said, from the values kept."""
        if kept[0] is None or kept[1] is None:
            return None, f"the values {when} were not kept"
        try:
            one, two = _kept(self.first.tensors_root, kept[0]), _kept(self.other.tensors_root, kept[1])
            found: dict[int, tuple[float | None, str]] = {}
            for name, tensor in one.items():
                prefix, _, number = name.partition(":")
                if prefix != kind or _NUMBER.fullmatch(number) is None or name not in two:
                    continue
                differs = difference(tensor, two[name])
                if differs is not None:
                    found[int(number)] = (differs.max_abs_difference, differs.reason)
        except Unreadable as error:
            return None, f"the values kept {when} cannot be read: {error}"
        if not found:
            return None, f"the values kept {when} do not show it"
        deltas = [delta for delta, _ in found.values() if delta is not None]
        first = min((index for index in found if indices is None or index in indices), default=min(found))
        delta, reason = found[first]
        name = optimizer.names[first] if optimizer and first < len(optimizer.names) else f"tensor {first}"
        said = f"{name}: " + (reason if delta is None or not delta else f"|Δ| up to {delta:.3g}")
        if delta == 0.0:
            said = f"{name}: the sign of zero"
        return (max(deltas) if deltas else None), f"{said}; {len(found)} tensors differ"

    def _count(self) -> Divergence | None:
        a, b = self.a.end, self.b.end
        if a is None or b is None:
            return None
        if any(evidence.run.ending.status != "ok" for evidence in (self.first, self.other)):
            return None  # said by the run's own gap
        if a.steps != b.steps:
            reason = f"{a.steps} steps in run {self.runs[0]}, {b.steps} in run {self.runs[1]}"
            return self.divergence(
                min(a.steps, b.steps) + 1, "steps", "number of steps", float(abs(a.steps - b.steps)), reason
            )
        if a.backwards != b.backwards:
            self.tally.notes.append(
                f"{self.a.role}: backward was called {a.backwards} times in run {self.runs[0]}, "
                f"{b.backwards} times in run {self.runs[1]}"
            )
        return None

    def _final(self) -> Divergence | None:
        if any(evidence.run.ending.status != "ok" for evidence in (self.first, self.other)):
            return None  # the ends of a run that was cut short are no ends
        return self._whole("final", {f.optimizer: f for f in self.a.finals}, {f.optimizer: f for f in self.b.finals})

    def _streams(self) -> None:
        a, b = self.a.streams, self.b.streams
        if a is None or b is None:
            return
        for name in sorted(a.states.keys() & b.states.keys()):
            if not (a.drawn.get(name) or b.drawn.get(name)):
                continue
            self.tally.drawn += 1
            if a.states[name] != b.states[name]:
                self.tally.streams.append(StreamDifference(self.a.role, name))


def _together(
    evidence: tuple[RunEvidence, RunEvidence],
    process: str,
    who: str,
    traces: tuple[Sequence[ProcessTrace], Sequence[ProcessTrace]],
    tally: _Tally,
) -> Divergence | None:
    """Compare what was trained in no fixed order (by threads, by a pool's workers): which models, not which when.

    The initial and the final digests of all optimizers are compared as multisets. A difference is one only where both
    runs read every model's end; where some was read in one run only, what is left over may be just that.
    """
    runs = (evidence[0].run.number, evidence[1].run.number)
    trained = [[trace for trace in side if trains(trace)] for side in traces]
    if not any(trained):
        return None
    finals = [Counter(final.digest for trace in side for final in trace.finals) for side in trained]
    inits = [Counter(init.digest for trace in side for init in trace.inits) for side in trained]
    complete = (
        not any(trace.unseen or (trace.end is None and not trace.finals) for side in trained for trace in side)
        and sum(finals[0].values()) == sum(finals[1].values())
        and all(sum(inits[side].values()) == sum(finals[side].values()) for side in (0, 1))
    )
    quantity = f"the parameters of the models that {who} trained"
    found = None
    for link, (one, two) in (("init", inits), ("final", finals)):
        if one == two:
            continue
        alone = (one - two, two - one)
        said = (
            f"of {sum(one.values())} models in run {runs[0]} and {sum(two.values())} in run {runs[1]}, "
            f"{max(sum(side.values()) for side in alone)} have no counterpart"
        )
        if complete and found is None:
            found = Divergence(None, link, process, quantity, None, None, said, runs)
        elif not complete:
            tally.gaps.append(f"{process}: {quantity} cannot be matched ({link}: {said})")
    if not finals[0] or not finals[1]:
        tally.gaps.append(f"{process}: no final parameters were read of what {who} trained")
    elif finals[0] == finals[1]:
        count = sum(finals[0].values())
        tally.parameters += count
        tally.notes.append(
            f"{process}: {who} train in no fixed order, so their steps were not aligned; "
            f"the final parameters of their models ({count}) were compared all together"
        )
    return found


def order(divergence: Divergence) -> tuple[float, int, bool, str]:
    """Return what divergences are sorted by: the step, then the link, then the process, the main one first."""
    link = divergence.link
    if link == "init":
        step = 0.0
    elif divergence.step is not None:
        step = float(divergence.step)
    else:
        step = _INFINITY
    rank = _ORDER.index(link) if link in _ORDER else len(_ORDER) + ("streams", "checkpoint", "metric").index(link)
    return step, rank, divergence.process != "main", divergence.process


def _stale(path: str) -> bool:
    parts = Path(path).parts
    cached = any(part in _CACHES or part.startswith(("torchinductor_", "torch_extensions")) for part in parts)
    return not (cached or path.endswith((".pyc", ".nbi", ".nbc"))) or Path(path).suffix.lower() in _MODEL_SUFFIXES


def _own_gaps(evidence: RunEvidence, tally: _Tally) -> None:
    """Say what one run's evidence lacks by itself."""
    number = evidence.run.number
    ending = evidence.run.ending
    if ending.status != "ok":
        what = {
            "stopped": "was stopped on purpose before its end",
            "timeout": "was ended by the time limit",
            "interrupted": "was interrupted",
        }.get(ending.status, "failed")
        tally.gaps.append(f"run {number} {what}{f' ({ending.message})' if ending.message else ''}")
        tally.unsound.append(tally.gaps[-1])
    for missing in evidence.missing:
        tally.gaps.append(f"run {number}: {missing}")
        tally.unsound.append(tally.gaps[-1])
    for unsaved in evidence.run.unsaved:
        harmless = unsaved.rpartition(": ")[2].startswith(_NO_FILE)
        (tally.notes if harmless else tally.gaps).append(f"run {number}: not kept: {unsaved}")
    for label in evidence.run.unwatched:
        tally.gaps.append(f"run {number}: the probe did not enter {label}")
    finished = ending.status == "ok" and any(t.role == "main" and t.end is not None for t in evidence.processes)
    for trace in evidence.processes:
        where = f"run {number}, {trace.role}"
        if trace.problem:
            (tally.notes if is_worker(trace) else tally.gaps).append(f"{where}: {trace.problem}")
        if trace.faults:
            fault = trace.faults[0]
            more = f" (and {len(trace.faults) - 1} more)" if len(trace.faults) > 1 else ""
            said = f"{where}: the probe failed in {fault.where} at step {fault.step}: {fault.error}{more}"
            (tally.notes if is_worker(trace) else tally.gaps).append(said)
        if trace.end is None and not trace.problem and not is_worker(trace):
            said = f"{where}: the trace ends without a last line (the process was killed, or crashed)"
            # A pool ends its workers by force when it is left: what matters is what they had trained by then.
            whole = finished and bool(_pool(trace)) and len(trace.finals) >= max(len(trace.inits), 1)
            (tally.gaps if (trains(trace) and not whole) or trace.role == "main" else tally.notes).append(said)
        for what in dict.fromkeys(line.what for line in trace.unseen):
            tally.unseen.append(f"{where}: {what} could not be read")
        for child in trace.unwatched:
            tally.gaps.append(f"{where}: it started {child.child} so that the probe could not enter it")
        stale = sorted({read.path for read in trace.stale_reads if _stale(read.path)})
        if stale:
            more = f" (and {len(stale) - 1} more)" if len(stale) > 1 else ""
            tally.gaps.append(
                f"{where}: it read {stale[0]}{more}, outside the project, which changed after the audit began: "
                "the run may have started from what an earlier one left"
            )
            tally.unsound.append(tally.gaps[-1])


def compare_traces(first: RunEvidence, other: RunEvidence) -> TraceComparison:
    """Compare two runs' traces: what agreed, the first divergence, what is missing.

    Processes are aligned by role, steps by number; only steps that both runs digested are compared. The first
    divergence is the one of the smallest step, then the earliest link, then the process. Time and memory are linear in
    the number of digested steps.
    """
    tally = _Tally()
    for evidence in (first, other):
        _own_gaps(evidence, tally)
    ours = {trace.role: trace for trace in first.processes if not is_worker(trace)}
    theirs = {trace.role: trace for trace in other.processes if not is_worker(trace)}
    divergences: list[Divergence] = []
    until: list[int] = []
    pools = dict.fromkeys(_pool(trace) for trace in (*ours.values(), *theirs.values()))
    for pool in filter(None, pools):
        members = tuple([trace for trace in side.values() if _pool(trace) == pool] for side in (ours, theirs))
        found = _together((first, other), pool, "the pool's workers", (members[0], members[1]), tally)
        if found is not None:
            divergences.append(found)
    for role, trace in ours.items():
        if role not in theirs or _pool(trace):
            continue
        pair = _Pair(first, other, trace, theirs[role], tally)
        found = pair.first_divergence()
        if found is not None:
            divergences.append(found)
        if (trace.steps or theirs[role].steps) and not (trace.unordered or theirs[role].unordered):
            until.append(pair.last_identical)
    for number, alone in (
        (first.run.number, [trace for role, trace in ours.items() if role not in theirs]),
        (other.run.number, [trace for role, trace in theirs.items() if role not in ours]),
    ):
        for trace in alone:
            said = f"the process {trace.role} ({trace.hello.label}) is in run {number} only"
            if _pool(trace):
                tally.notes.append(said)
                continue
            # A helper that trained nothing cannot hide a difference in what was digested elsewhere.
            (tally.gaps if trains(trace) or trace.role == "main" or not tally.parameters else tally.notes).append(said)
    divergence = min(divergences, key=order, default=None)
    return TraceComparison(
        divergence=divergence,
        compared=Compared(
            steps=tally.steps,
            steps_taken=tally.taken,
            parameter_digests=tally.parameters,
            gradient_digests=tally.gradients,
            losses=tally.losses,
            batches=tally.batches,
            drawn_streams=tally.drawn,
        ),
        gaps=tuple(tally.gaps),
        unseen=tuple(tally.unseen),
        unsound=tuple(tally.unsound),
        notes=tuple(tally.notes),
        identical_until=min(until, default=None),
        streams=tuple(tally.streams),
    )


def fold(counts: Sequence[Compared]) -> Compared:
    """Return, for each kind of evidence, what was compared in every one of several comparisons."""
    if not counts:
        return Compared()
    return Compared(**{name: min(getattr(count, name) for count in counts) for name in Compared.__struct_fields__})
