"""Remarks on the evidence itself: what could not be watched, where the probe failed, how data were loaded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from auditor.records.audit import Finding
from auditor.records.evidence import RunEvidence
from auditor.records.trace import ProcessTrace


def remarks(runs: Sequence[RunEvidence]) -> tuple[Finding, ...]:
    """What the traces of all runs say about the evidence, each once; what endangers a level is for the rules to see."""
    traces = [trace for run in runs for trace in run.processes]
    return tuple(dict.fromkeys((*_faults(traces), *_unwatched(traces), *_loaders(traces))))


def _faults(traces: Iterable[ProcessTrace]) -> Iterator[Finding]:
    for trace in traces:
        for fault in trace.faults:
            yield Finding(
                "probe-fault",
                f"the probe failed in {fault.where} in {trace.role}: {fault.error}; evidence may be missing after it",
                "error",
                None,
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
