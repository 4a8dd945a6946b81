"""What determines a run besides its environment: the project's revision and code, data, what it makes use of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from auditor.fingerprint.inside import NO_PROBE, NOT_REPORTED
from auditor.records.fingerprint import Fact, Known, Unknown
from auditor.records.trace import ProcessTrace

NAMES = ("git:commit", "git:dirty", "data", "data:files", "data:how")
"""The facts that only the machine of the run can tell."""

_PROBE = "the probe"


def facts(processes: Sequence[ProcessTrace], finished: bool = True) -> dict[str, Fact]:
    """``code`` and ``uses:<what>``, from the traces of all processes of a run.

    Where the run has not ``finished``, what it did not use is not known: it may have failed for want of just that.
    """
    uses = {f"uses:{name}": _used(processes, rule) for name, rule in USES.items()}
    if not finished:
        unfinished = Unknown("the program did not end well")
        uses = {name: unfinished if fact == Known(False, _PROBE) else fact for name, fact in uses.items()}
    return {"code": code(processes), **uses}


def code(processes: Sequence[ProcessTrace]) -> Fact:
    """A digest of the project's own source files that any process of the run imported, by name and content."""
    told = [line for process in processes for line in process.sources]
    if not told:
        return Unknown(NOT_REPORTED if processes else NO_PROBE)
    left_out = sum(line.left_out for line in told)
    if left_out:
        return Unknown(f"{left_out} of the project's own source files could not be read")
    files = {(file.name, file.digest) for line in told for file in line.files}
    if not files:
        return Unknown("no source file of the project was imported")
    text = "".join(f"{name}\0{digest}\n" for name, digest in sorted(files))
    return Known(hashlib.blake2b(text.encode("utf-8"), digest_size=16).hexdigest(), "imported source files")


def _torch(process: ProcessTrace) -> bool | None:
    return bool(process.torch)


def _cuda(process: ProcessTrace) -> bool | None:
    if process.gpus or any(line.facts.get("cuda_initialized") for line in process.torch):
        return True
    built = [line for line in process.torch if line.facts.get("cuda") or line.facts.get("hip")]
    # Older traces do not say whether CUDA was set up, only which devices it had at the first step.
    return None if any("cuda_initialized" not in line.facts for line in built) else False


def _cuda_random(process: ProcessTrace) -> bool | None:
    used = _cuda(process)
    return _drawn(process, "torch-cuda") if used else used


def _torch_random(process: ProcessTrace) -> bool | None:
    return _drawn(process, "torch")


def _numpy_random(process: ProcessTrace) -> bool | None:
    return _drawn(process, "numpy", "numpy-generator")


def _workers(process: ProcessTrace) -> bool | None:
    return any(loader.workers > 0 for loader in process.loaders)


USES: dict[str, Callable[[ProcessTrace], bool | None]] = {
    "torch": _torch,
    "cuda": _cuda,
    "cuda-random": _cuda_random,
    "torch-random": _torch_random,
    "numpy-random": _numpy_random,
    "workers": _workers,
}


def _drawn(process: ProcessTrace, *streams: str) -> bool | None:
    """Whether a process drew from any of the streams, which it tells at its end; most processes have none."""
    if process.streams is None:
        return False if process.end is not None else None
    return any(process.streams.drawn.get(stream, False) for stream in streams)


def _used(processes: Sequence[ProcessTrace], rule: Callable[[ProcessTrace], bool | None]) -> Fact:
    """True where any process did; False where all tell that they did not."""
    if not processes:
        return Unknown(NO_PROBE)
    told = [rule(process) for process in processes]
    if any(told):
        return Known(True, _PROBE)
    # A process without an end was cut short, and may have done afterwards what it had not done before.
    silent = [
        process.role for process, said in zip(processes, told, strict=True) if said is None or process.end is None
    ]
    return Unknown(f"{silent[0]} did not tell") if silent else Known(False, _PROBE)
