"""What the environment was: facts by layer, from inside the training process or from an interpreter described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from auditor.fingerprint import (
    container,
    cpu,
    cuda,
    data,
    description,
    dispatch,
    gpu,
    interpreter,
    libc,
    libraries,
    objects,
    origins,
    packages,
    repository,
    run,
)
from auditor.fingerprint.findings import findings
from auditor.fingerprint.inside import Inside, parse_traces
from auditor.records.fingerprint import LAYERS, SCHEMA, Fact, Fingerprint, Known, Unknown
from auditor.records.run import ImageFacts
from auditor.records.trace import ProcessTrace

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


class Files(msgspec.Struct, frozen=True):
    """What this machine's files tell of a run: digests of the mapped objects by path, revisions of editable
    distributions by directory, and the facts of the project (see ``run.NAMES``)."""

    digests: Mapping[str, str] | Unknown
    revisions: Mapping[str, str]
    project: Mapping[str, Fact]


def from_traces(
    processes: Sequence[ProcessTrace],
    where: Where = "container",
    stored: Fingerprint | None = None,
    project: Path | None = None,
    image: ImageFacts | None = None,
    *,
    finished: bool = True,
) -> Fingerprint:
    """The environment of a run, from what the probe left inside its training process.

    ``where`` says what this machine may add. ``here``: the run was on this machine, in no container of its own, so
    processor, kernel, driver, release, limits and files are this process's too. ``container``: on this machine but
    contained, so only processor, kernel and driver are, and of the files the project's. ``elsewhere`` (a verdict
    recomputed from evidence): nothing is, and the facts of the machine are those in ``stored``, the fingerprint that
    the audit wrote, or Unknown without one. ``project`` is the audited project's directory, ``image`` the run's.
    ``finished`` is False for a run that ended before its program did: what it did not use it might have used later.
    """
    inside = parse_traces(processes)
    uses = run.facts(processes, finished)
    if where == "elsewhere":
        recomputed = _fingerprint(inside, _NOWHERE, _NO_FILES, uses, image)
        return recomputed if stored is None else _with_machine(recomputed, stored)
    files = read_files(inside, processes, where, project)
    return _fingerprint(inside, read_host(own_view=where == "here"), files, uses, image)


def describe(python: str | None) -> Fingerprint:
    """The environment of an interpreter on this machine: a path, a name on PATH, a virtual environment.

    None is what a command ``python`` would start here. The interpreter (Python 3.8 or newer) runs a script of the
    standard library alone: torch is found, not imported. Raises UsageError ``interpreter-not-found``,
    ``interpreter-too-old`` or ``interpreter-failed``.
    """
    inside = description.inside(python)
    nothing = Unknown(description.NOT_RUNNING)
    files = Files(digests=nothing, revisions=origins.read_revisions(inside), project=dict.fromkeys(run.NAMES, nothing))
    return _fingerprint(inside, read_host(own_view=True), files, None, None)


def describe_image(name: str, python: str | None) -> Fingerprint:
    """The environment of an interpreter in an image of the Docker engine, as a container of it would be here.

    ``python`` is a path in the image or a name on its PATH. The machine is this one, and so are its processor, driver
    and kernel. Raises UsageError as ``describe`` does, and ``docker-engine-unreachable`` or ``image-not-found``.
    """
    from auditor.fingerprint import image  # the engine's package takes long to import

    described = image.describe(name, python)
    nothing = Unknown(description.NOT_RUNNING)
    host = msgspec.structs.replace(read_host(own_view=False), cores=cpu.read_cores(), system=described.system)
    files = Files(digests=nothing, revisions={}, project=dict.fromkeys(run.NAMES, nothing))
    return _fingerprint(described.inside, host, files, None, described.facts)


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


def read_files(
    inside: Inside, processes: Sequence[ProcessTrace], where: Literal["here", "container"], project: Path | None
) -> Files:
    """What this machine's files tell of a run that just ended: in a container it had only the project's from here."""
    seen = (Path("/"),) if where == "here" else (project,) if project is not None else ()
    if project is None:
        facts: Mapping[str, Fact] = dict.fromkeys(run.NAMES, Unknown("it is not known where the project is"))
    else:
        state = repository.read(project)
        contents = data.read(data.parse_reading(processes), project, where)
        facts = {"git:commit": state.commit, "git:dirty": state.dirty, **contents}
    return Files(
        digests=objects.read_digests(inside.builds, seen),
        revisions=origins.read_revisions(inside, seen),
        project=facts,
    )


_ELSEWHERE = Unknown("not read on the machine of the audit")
_NOWHERE = Host(processor=_ELSEWHERE, cores=_ELSEWHERE, driver=_ELSEWHERE, system=_ELSEWHERE, kernel=_ELSEWHERE)
_NO_FILES = Files(digests=_ELSEWHERE, revisions={}, project=dict.fromkeys(run.NAMES, _ELSEWHERE))


def _fingerprint(
    inside: Inside,
    host: Host,
    files: Files,
    uses: Mapping[str, Fact] | None,
    image: ImageFacts | None,
) -> Fingerprint:
    """All layers; ``uses`` is None for an interpreter that was described without running anything in it."""
    if uses is None:
        uses = dict.fromkeys(("code", *(f"uses:{name}" for name in run.USES)), Unknown(inside.absent))
    no_image = "the run used no image" if inside.process else inside.absent
    layers: dict[str, dict[str, Fact]] = {
        "interpreter": interpreter.facts(inside),
        "libraries": {
            **packages.facts(inside),
            **origins.facts(inside, files.revisions),
            **libraries.facts(inside),
            **objects.facts(inside, files.digests, objects.CHANGED if image is None else objects.IN_IMAGE),
        },
        "cuda": cuda.facts(inside, host.driver),
        "hardware": {
            **cpu.facts(inside, host.processor, host.cores),
            **dispatch.facts(inside),
            **gpu.facts(inside, host.driver),
        },
        "os": {
            **libc.facts(inside),
            **container.facts(inside, host.system, host.kernel),
            **container.of_image(image, no_image),
        },
        "run": {**files.project, **uses},
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
                name: _completed(name, fact, stored.layers.get(layer, {}).get(name, fact))
                for name, fact in facts.items()
            }
            for layer, facts in recomputed.layers.items()
        },
    )


def contradictions(told: Fingerprint, stored: Fingerprint) -> tuple[str, ...]:
    """Where the fingerprint that an audit ``stored`` says otherwise than what its traces ``told`` (``from_traces``).

    Only what both know, from the same source, contradicts: another version of the auditor may know more, or less.
    """
    found = []
    for layer, facts in told.layers.items():
        for name, fact in facts.items():
            other = stored.layers.get(layer, {}).get(name)
            if not isinstance(fact, Known) or not isinstance(other, Known) or fact.source != other.source:
                continue
            if other.value != fact.value and _completed(name, fact, other) != other:
                found.append(f"{layer}/{name} is {_short(other.value)} in it and {_short(fact.value)} in the traces")
    return tuple(found)


def _short(value: object) -> str:
    text = (", ".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)
    return text if len(text) <= 40 else f"{text[:39]}…"


def _completed(name: str, fact: Fact, stored: Fact) -> Fact:
    """The stored fact where the recomputed one lacks what the machine alone could tell, and is a part of it."""
    if fact == _ELSEWHERE:
        return stored
    if isinstance(fact, Known) and isinstance(stored, Known) and fact.source == stored.source:
        if name.startswith("object:") and isinstance(fact.value, tuple) and isinstance(stored.value, tuple):
            added = set(stored.value) - set(fact.value)
            if set(fact.value) <= set(stored.value) and all(not part.startswith(objects.BUILD) for part in added):
                return stored
        if name.startswith("origin:") and fact.value == "editable" and str(stored.value).startswith("editable "):
            return stored
    return fact


__all__ = [
    "SCHEMA",
    "Fact",
    "Fingerprint",
    "Host",
    "Known",
    "Unknown",
    "Where",
    "contradictions",
    "describe",
    "describe_image",
    "findings",
    "from_traces",
    "read_files",
    "read_host",
]
