"""What was seen from inside one interpreter: by the probe in a training process, or by the description script."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from auditor.records.trace import Environment, Gpu, ProcessTrace, Torch

NOT_REPORTED = "the probe did not report it"
NO_PROBE = "the probe entered no process"


class Inside(msgspec.Struct, frozen=True):
    """One interpreter from inside.

    ``torch`` is None where torch was not imported and could not be described; ``mapped`` holds the real paths of the
    shared objects mapped at the process's end, None where no process was seen. ``process`` is False for an interpreter
    that was described without a training process in it. ``absent`` is the reason given for facts that are missing.
    """

    environment: Environment | None
    torch: Torch | None
    gpus: tuple[Gpu, ...] | None
    mapped: tuple[str, ...] | None
    hash_seed: str | None
    process: bool
    absent: str


NOTHING = Inside(environment=None, torch=None, gpus=None, mapped=None, hash_seed=None, process=True, absent=NO_PROBE)


def parse_traces(processes: Sequence[ProcessTrace]) -> Inside:
    """The training process among those of a run, as its probe saw it.

    That is the process with the most optimizer steps, then one that imported torch, then the first. The devices are
    those that any process of the run saw: every distinct list once, in the order of the processes.
    """
    if not processes:
        return NOTHING
    training = max(processes, key=lambda process: (len(process.steps), bool(process.torch)))
    at_step = [line for line in training.torch if line.at == "step"]
    lists = dict.fromkeys(process.gpus for process in processes if process.gpus)
    return Inside(
        environment=training.environment,
        torch=next(iter((*at_step, *training.torch)), None),
        gpus=tuple(gpu for gpus in lists for gpu in gpus),
        mapped=training.libraries or None,
        hash_seed=training.hello.hash_seed,
        process=True,
        absent=NOT_REPORTED,
    )
