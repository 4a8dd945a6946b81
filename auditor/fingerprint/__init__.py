"""What the environment was: facts by layer, from inside the training process or from an interpreter described."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from auditor.fingerprint import container, cpu, cuda, description, gpu, interpreter, libc, libraries, packages
from auditor.fingerprint.inside import Inside, parse_traces
from auditor.records.fingerprint import LAYERS, Fact, Fingerprint, Known, Unknown
from auditor.records.trace import ProcessTrace

SCHEMA = "auditor.fingerprint/1"

Where = Literal["here", "container", "elsewhere"]


class Host(msgspec.Struct, frozen=True):
    """What is read from this machine rather than from inside the process: the hardware, the driver and the kernel.

    ``system`` and ``cores`` are this process's own view, and Unknown where the audited process had another.
    """

    processor: cpu.Processor | Unknown
    cores: int | Unknown
    driver: gpu.Driver | Unknown
    system: container.System | Unknown
    kernel: container.Kernel | Unknown


def from_traces(
    processes: Sequence[ProcessTrace], where: Where = "container", stored: Fingerprint | None = None
) -> Fingerprint:
    """The environment of a run, from what the probe left inside its training process.

    ``where`` says what this machine may add. ``here``: the run was on this machine, in no container of its own, so
    processor, kernel, driver, release and limits are this process's too. ``container``: on this machine but contained,
    so only processor, kernel and driver are. ``elsewhere`` (a verdict recomputed from evidence): nothing is, and the
    facts of the machine are those in ``stored``, the fingerprint that the audit wrote, or Unknown without one.
    """
    inside = parse_traces(processes)
    if where != "elsewhere":
        return _fingerprint(inside, read_host(own_view=where == "here"))
    recomputed = _fingerprint(inside, _NOWHERE)
    return recomputed if stored is None else _with_machine(recomputed, stored)


def describe(python: str | None) -> Fingerprint:
    """The environment of an interpreter on this machine: a path, a name on PATH, a virtual environment.

    None is what a command ``python`` would start here. The interpreter (Python 3.8 or newer) runs a script of the
    standard library alone: torch is found, not imported. Raises UsageError ``interpreter-not-found``,
    ``interpreter-too-old`` or ``interpreter-failed``.
    """
    return _fingerprint(description.inside(python), read_host(own_view=True))


def read_host(own_view: bool) -> Host:
    """This machine now; without ``own_view`` not what only this process sees of it."""
    contained = Unknown("the run had a container of its own, and the probe did not report it")
    return Host(
        processor=cpu.read_cpuinfo(),
        cores=cpu.read_cores() if own_view else contained,
        driver=gpu.read_driver(),
        system=container.read_system() if own_view else contained,
        kernel=container.read_kernel(),
    )


_ELSEWHERE = Unknown("not read on the machine of the audit")
_NOWHERE = Host(processor=_ELSEWHERE, cores=_ELSEWHERE, driver=_ELSEWHERE, system=_ELSEWHERE, kernel=_ELSEWHERE)


def _fingerprint(inside: Inside, host: Host) -> Fingerprint:
    layers: dict[str, dict[str, Fact]] = {
        "interpreter": interpreter.facts(inside),
        "libraries": {**packages.facts(inside), **libraries.facts(inside)},
        "cuda": cuda.facts(inside, host.driver),
        "hardware": {**cpu.facts(inside, host.processor, host.cores), **gpu.facts(inside, host.driver)},
        "os": {**libc.facts(inside), **container.facts(host.system, host.kernel)},
        "run": {},
    }
    return Fingerprint(
        schema=SCHEMA, layers={layer: {name: layers[layer][name] for name in sorted(layers[layer])} for layer in LAYERS}
    )


def _with_machine(recomputed: Fingerprint, stored: Fingerprint) -> Fingerprint:
    """The recomputed facts, and for those that only the machine of the audit could tell the stored ones."""
    return Fingerprint(
        schema=recomputed.schema,
        layers={
            layer: {
                name: stored.layers.get(layer, {}).get(name, fact) if fact == _ELSEWHERE else fact
                for name, fact in facts.items()
            }
            for layer, facts in recomputed.layers.items()
        },
    )


__all__ = ["SCHEMA", "Fact", "Fingerprint", "Host", "Known", "Unknown", "Where", "describe", "from_traces", "read_host"]
