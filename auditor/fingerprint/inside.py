"""What was seen from inside one interpreter: by the probe in a training process, or by the description script."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from auditor.records.trace import Build, Environment, Gpu, Numerics, ProcessTrace, Torch

NOT_REPORTED = "the probe did not report it"
NO_PROBE = "the probe entered no process"


class Inside(msgspec.Struct, frozen=True):
    """One interpreter from inside.

    ``torch`` is None where torch was not imported and could not be described; ``mapped`` holds the real paths of the
    shared objects mapped at the process's end, None where no process was seen; ``builds`` says of those that could be
    read which build they are (of a described interpreter: of its C libraries). ``process`` is False for an interpreter
    that was described without a training process in it. ``absent`` is the reason given for facts that are missing.
    """

    environment: Environment | None
    torch: Torch | None
    gpus: tuple[Gpu, ...] | None
    mapped: tuple[str, ...] | None
    hash_seed: str | None
    process: bool
    absent: str
    builds: dict[str, Build] = {}
    numerics: Numerics | None = None


NOTHING = Inside(environment=None, torch=None, gpus=None, mapped=None, hash_seed=None, process=True, absent=NO_PROBE)


def training_process(processes: Sequence[ProcessTrace]) -> ProcessTrace | None:
    """The process that a run is described by: most optimizer steps, then one that imported torch, then the first."""
    return max(processes, key=lambda process: (len(process.steps), bool(process.torch)), default=None)


def parse_traces(processes: Sequence[ProcessTrace]) -> Inside:
    """The training process among those of a run, as its probe saw it.

    Of a forked child, what belongs to its interpreter is told by the process that it was forked from. The devices are
    those that any process of the run saw: every distinct list once, in the order of the processes.
    """
    training = training_process(processes)
    if training is None:
        return NOTHING
    whole = _interpreter(training, processes)
    at_step = [line for line in training.torch if line.at == "step"]
    lists = dict.fromkeys(process.gpus for process in processes if process.gpus)
    return Inside(
        environment=whole.environment,
        torch=next(iter((*at_step, *training.torch, *whole.torch)), None),
        gpus=tuple(gpu for gpus in lists for gpu in gpus),
        mapped=whole.libraries or None,
        hash_seed=training.hello.hash_seed,
        process=True,
        absent=NOT_REPORTED,
        builds=whole.builds,
        numerics=whole.numerics,
    )


def _interpreter(process: ProcessTrace, processes: Sequence[ProcessTrace]) -> ProcessTrace:
    """The process itself, or the one that was not forked among those that it comes from."""
    by_file = {other.file: other for other in processes}
    seen: set[str] = set()
    while process.hello.kind == "fork" and process.hello.parent in by_file and process.file not in seen:
        seen.add(process.file)
        process = by_file[process.hello.parent]
    return process
