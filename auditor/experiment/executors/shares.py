"""How many runs a machine takes at a time, and what each of them gets of it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from auditor.config import Resources
from auditor.errors import UsageError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
"""What libraries take their number of threads from; where the first is set, MKL and OpenBLAS follow it."""
DEVICES = "CUDA_VISIBLE_DEVICES"

_GIB = 1 << 30
_LEAST_FREE = 0.1  # of the memory, below which no further run is begun beside another
_DEVICE = re.compile(r"nvidia(\d+)\Z")


class Machine(msgspec.Struct, frozen=True):
    """What this process may use: cores, bytes of memory, and the names of GPUs as ``CUDA_VISIBLE_DEVICES`` has them."""

    cores: int
    memory: int
    gpus: tuple[str, ...]


class Shares(msgspec.Struct, frozen=True):
    """What is given to each of the runs that go at a time: variables to set, by lane. There are as many as lanes."""

    variables: tuple[dict[str, str], ...]


def divide(machine: Machine, asked: Resources, runs: int, environment: Mapping[str, str]) -> Shares:
    """Divide a machine among ``runs`` runs so that cores, memory and GPUs are not given twice.

    ``environment`` is the user's: threads that it sets are left alone. One run at a time is given everything, and
    nothing is set for it, unless it was ``asked`` for less. Raises UsageError ``too-few-resources``.
    """
    own = environment.get(THREADS[0], "")
    wanted = asked.cpus or (int(own) if own.isdigit() and int(own) else 1)
    gpus = asked.gpus if asked.gpus is not None else min(1, len(machine.gpus))
    limits = [runs, machine.cores // wanted if asked.jobs is None else asked.jobs]
    if asked.memory is not None:
        limits.append(int(machine.memory // (asked.memory * _GIB)))
        if limits[-1] < 1:
            raise _too_few(f"{asked.memory:g} GiB of memory", f"{machine.memory / _GIB:.3g} GiB")
    if gpus and (asked.jobs is None or asked.gpus):
        limits.append(len(machine.gpus) // gpus)
        if limits[-1] < 1:
            raise _too_few(f"{gpus} GPUs", str(len(machine.gpus)))
    if asked.cpus is not None and asked.cpus > machine.cores:
        raise _too_few(f"{asked.cpus} cores", str(machine.cores))
    jobs = max(1, min(limits))
    if jobs == 1 and asked.cpus is None and asked.gpus is None:
        return Shares(({},))
    threads = dict.fromkeys(THREADS, str(asked.cpus or max(1, machine.cores // jobs)))
    lanes = []
    for lane in range(jobs):
        devices = [machine.gpus[(lane * gpus + index) % len(machine.gpus)] for index in range(gpus)]
        lanes.append({**threads, **({DEVICES: ",".join(devices)} if devices else {})})
    return Shares(tuple(lanes))


def _too_few(wanted: str, there: str) -> UsageError:
    return UsageError(
        "too-few-resources",
        f"a run is to have {wanted}, and this machine has {there}",
        "ask for less, or run where there is more (--executor ray or slurm)",
    )


def imposed(variables: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, str]:
    """Which ``variables`` of a share to set in an ``environment``: threads only where the user left them open."""
    settled = THREADS[0] in environment
    return {
        name: value for name, value in variables.items() if name not in THREADS or not (settled or name in environment)
    }


def read_machine(environment: Mapping[str, str]) -> Machine:
    """This machine as far as this process may use it. Source: cgroups(7), sched_getaffinity(2), proc_meminfo(5)."""
    cores = len(os.sched_getaffinity(0))
    quota = parse_quota(_read("/sys/fs/cgroup/cpu.max"))
    total = parse_meminfo(_read("/proc/meminfo"), "MemTotal")
    limit = _read("/sys/fs/cgroup/memory.max").strip()
    named = environment.get(DEVICES)
    if named is None:
        gpus = tuple(sorted((m[1] for m in map(_DEVICE.match, _listing("/dev")) if m), key=int))
    else:
        gpus = tuple(name.strip() for name in named.split(",") if name.strip() not in ("", "-1", "NoDevFiles"))
    return Machine(
        cores=max(1, min(cores, int(quota) or 1) if quota is not None else cores),
        memory=min(total, int(limit)) if limit.isdigit() else total,
        gpus=gpus,
    )


def is_crowded(memory: int) -> bool:
    """Whether so little of ``memory`` bytes is free that no further run should be begun beside those that go."""
    return parse_meminfo(_read("/proc/meminfo"), "MemAvailable") < _LEAST_FREE * memory


def parse_quota(text: str) -> float | None:
    """The cores that ``cpu.max`` of a cgroup allows, or None where it sets no limit. Source: kernel, cgroup-v2.rst."""
    quota, _, period = text.strip().partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None


def parse_meminfo(text: str, name: str) -> int:
    """The bytes that ``/proc/meminfo`` gives under ``name``; 0 where it does not say."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) << 10 if found else 0


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""  # no such limit is set here


def _listing(path: str) -> list[str]:
    try:
        return sorted(os.listdir(path))
    except OSError:
        return []
