"""What traces say of the random streams: which are drawn from unseeded, and what a worker begins with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from auditor.records.evidence import RunEvidence
from auditor.records.trace import Place, ProcessTrace, Worker

STREAM_NAMES = {
    "python": "Python's random module",
    "numpy": "NumPy's global stream",
    "torch": "torch's CPU stream",
    "torch-cuda": "torch's CUDA stream",
    "numpy-generator": "the NumPy generators",
}


def drawn_unseeded(runs: Sequence[RunEvidence], stream: str) -> Iterator[tuple[str, Place | None]]:
    """The processes that drew from a stream that they never seeded, by role, with the line that drew where it is told.

    A forked child's streams were its parent's to seed, but for Python's: the interpreter gives it a state from the
    system's entropy in each fork, and torch seeds it in its workers.
    """
    for run in runs:
        for trace in run.processes:
            if trace.streams is None or inherits(trace, stream) or not trace.streams.drawn.get(stream):
                continue
            if not any(seed.stream == stream and seed.value is not None for seed in trace.seeds):
                drawing = (one.place for one in trace.draws if one.stream == stream and not one.seeded)
                yield trace.role, next(drawing, None)


def inherits(trace: ProcessTrace, stream: str) -> bool:
    """Whether a process begins with a stream as its parent, or torch, left it: then it is not its own to seed."""
    return trace.hello.kind == "fork" and (stream != "python" or bool(trace.workers))


def alike_at_start(a: ProcessTrace, b: ProcessTrace, stream: str) -> bool:
    """Whether two processes told of a stream at their first step, and it was in the same state."""
    if not (a.steps and b.steps):
        return False
    state = a.steps[0].streams.get(stream)
    return state is not None and state == b.steps[0].streams.get(stream)


def worker_start(trace: ProcessTrace) -> Worker | None:
    """What a DataLoader's worker began with; None where a process is none, or did not tell."""
    return next((line for line in trace.workers if line.at == "start"), None)


def worker_end(trace: ProcessTrace) -> Worker | None:
    """What a DataLoader's worker ended with; None where it was ended from outside."""
    return next((line for line in reversed(trace.workers) if line.at == "end"), None)


def loader_place(parent: ProcessTrace | None, loader: int) -> Place | None:
    """Where the process that starts the workers made a DataLoader."""
    made = parent.loaders if parent is not None else ()
    return next((one.place for one in made if one.index == loader), None)


def worker_states(line: Worker) -> dict[str, str]:
    """The state of each stream and each generator that the dataset holds, by what it is called in words."""
    states = {f"the dataset's generator {name}": state for name, state in line.held.items()}
    for name, state in line.streams.items():
        # The streams' digest over all generators says again what those that the dataset holds already say.
        if name != "numpy-generator" or not line.held:
            states[STREAM_NAMES.get(name, name)] = state
    return states
