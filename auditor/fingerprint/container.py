"""The operating system and what contains the process: release, kernel, container, and the limits of its group."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path, PurePosixPath

import msgspec

from auditor.fingerprint.fact import fact
from auditor.fingerprint.inside import Inside
from auditor.records.fingerprint import Fact, Known, Unknown
from auditor.records.run import ImageFacts

UNLIMITED = 1 << 60
_RUNTIMES = ("apptainer", "docker", "lxc", "lxc-libvirt", "oci", "podman", "rkt", "systemd-nspawn", "wsl")
_VARIABLE = "container"  # in lowercase: https://systemd.io/CONTAINER_INTERFACE


class Limits(msgspec.Struct, frozen=True):
    """What a control group allows: processors (a fraction, or None) and bytes of memory (or None)."""

    cpus: float | None
    memory: int | None


class System(msgspec.Struct, frozen=True):
    """This process's view of the system: its release, the runtime that contains it (or ``none``), its limits."""

    release: str
    container: str
    limits: Limits


class Kernel(msgspec.Struct, frozen=True):
    """The kernel, which containers share with their host."""

    release: str
    machine: str


def facts(inside: Inside, system: System | Unknown, kernel: Kernel | Unknown) -> dict[str, Fact]:
    """``release``, ``container``, ``limit:cpus``, ``limit:memory`` (bytes), ``kernel`` and ``machine``.

    The release is the process's own where it told it.
    """
    found: dict[str, Fact] = {}
    if isinstance(system, Unknown):
        found.update(dict.fromkeys(("container", "limit:cpus", "limit:memory", "release"), system))
    else:
        limits = system.limits
        found["container"] = Known(system.container, "marker files, control groups and environment")
        found["limit:cpus"] = Known("none" if limits.cpus is None else limits.cpus, "control group")
        found["limit:memory"] = Known("none" if limits.memory is None else limits.memory, "control group")
        found["release"] = fact(system.release, "os-release", "there is no os-release file")
    told = parse_os_release(inside.environment.release) if inside.environment is not None else ""
    if told:
        found["release"] = Known(told, "os-release")
    if isinstance(kernel, Unknown):
        found.update(dict.fromkeys(("kernel", "machine"), kernel))
    else:
        found["kernel"] = fact(kernel.release, "uname", "uname does not say")
        found["machine"] = fact(kernel.machine, "uname", "uname does not say")
    return found


def of_image(image: ImageFacts | None, absent: str) -> dict[str, Fact]:
    """``image:id`` and ``image:digests`` (in registries) of the image that a run started from; ``container``, too."""
    if image is None:
        return {"image:digests": Unknown(absent), "image:id": Unknown(absent)}
    return {
        "container": Known("docker", "the run's image"),
        "image:digests": fact(image.digests or None, "Docker engine", "no registry is known to have the image"),
        "image:id": fact(image.id, "Docker engine", "the engine names none"),
    }


def parse_os_release(text: str) -> str:
    """The distribution and version in an ``os-release`` file: ``Debian GNU/Linux 12 (bookworm)``; empty if unnamed.

    The format is a list of shell assignments: https://www.freedesktop.org/software/systemd/man/os-release.html.
    """
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and not name.startswith("#"):
            try:
                fields[name] = "".join(shlex.split(value)[:1])
            except ValueError:
                fields[name] = value
    named = " ".join(part for part in (fields.get("NAME"), fields.get("VERSION_ID")) if part)
    return fields.get("PRETTY_NAME") or named


def read_os_release() -> str:
    """The distribution of this system; empty where no file names it."""
    for path in (Path("/etc/os-release"), Path("/usr/lib/os-release")):
        try:
            return parse_os_release(path.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            continue
    return ""


def parse_groups(text: str) -> dict[str, str]:
    """The control groups in ``/proc/self/cgroup``: path by controller; the unified hierarchy's under an empty name."""
    groups: dict[str, str] = {}
    for line in text.splitlines():
        parts = line.split(":", 2)
        if len(parts) == 3:
            for controller in parts[1].split(","):
                groups[controller] = parts[2]
    return groups


def parse_cpu_max(text: str) -> float | None:
    """The processors that ``cpu.max`` allows (``150000 100000`` is 1.5); None for ``max`` and what is no such text."""
    found = re.fullmatch(r"\s*([0-9]{1,18})\s+([1-9][0-9]{0,17})\s*", text)
    return int(found[1]) / int(found[2]) if found is not None else None


def parse_memory(text: str) -> int | None:
    """The bytes that ``memory.max`` or ``memory.limit_in_bytes`` allows; None for no limit."""
    word = text.strip()
    if re.fullmatch(r"[0-9]{1,30}", word) is None or int(word) >= UNLIMITED:
        return None
    return int(word)


def read_limits(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> Limits:
    """The narrowest limits from this process's control group up to the root, of either version of control groups."""
    found = parse_groups(_text(groups))
    quotas = [_text(directory / "cpu.max") for directory in _upwards(root, found.get(""))]
    for directory in _upwards(root / "cpu", found.get("cpu")):
        quotas.append(f"{_text(directory / 'cpu.cfs_quota_us')} {_text(directory / 'cpu.cfs_period_us')}")
    memories = [_text(directory / "memory.max") for directory in _upwards(root, found.get(""))]
    for directory in _upwards(root / "memory", found.get("memory")):
        memories.append(_text(directory / "memory.limit_in_bytes"))
    return Limits(
        cpus=min((cpus for text in quotas if (cpus := parse_cpu_max(text)) is not None), default=None),
        memory=min((memory for text in memories if (memory := parse_memory(text)) is not None), default=None),
    )


def parse_container(groups: str, docker: bool, podman: bool, kubernetes: bool, variable: str) -> str:
    """The runtime that contains a process, or ``none``.

    ``groups`` is ``/proc/1/cgroup``; ``docker`` and ``podman`` say whether their marker files exist, ``kubernetes``
    whether a cluster announces itself; ``variable`` is the environment's ``container``, by which others do.
    """
    if kubernetes:
        return "kubernetes"
    if podman:
        return "podman"
    if docker:
        return "docker"
    for word, runtime in (("kubepods", "kubernetes"), ("docker", "docker"), ("libpod", "podman"), ("lxc", "lxc")):
        if f"/{word}" in groups:
            return runtime
    return variable if variable in _RUNTIMES else "none"


def read_container() -> str:
    """The runtime that contains this process, or ``none``."""
    apptainer = "APPTAINER_CONTAINER" in os.environ or "SINGULARITY_CONTAINER" in os.environ
    return parse_container(
        groups=_text(Path("/proc/1/cgroup")),
        docker=Path("/.dockerenv").exists(),
        podman=Path("/run/.containerenv").exists(),
        kubernetes="KUBERNETES_SERVICE_HOST" in os.environ,
        variable="apptainer" if apptainer else os.environ.get(_VARIABLE, ""),
    )


def read_system() -> System:
    """The system as this process sees it."""
    return System(release=read_os_release(), container=read_container(), limits=read_limits())


def read_kernel() -> Kernel:
    """The kernel of this machine."""
    name = os.uname()
    return Kernel(release=name.release, machine=name.machine)


def _upwards(root: Path, group: str | None) -> list[Path]:
    """The group's directory and those above it, up to the root; none where the group is unknown."""
    if group is None:
        return []
    inside = PurePosixPath(group.lstrip("/"))
    # A group outside this namespace shows as /../..: only what can be reached from the root is ours to read.
    parts = () if ".." in inside.parts else inside.parts
    return [root.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]


def _text(path: Path) -> str:
    """A small file's text; empty where it is not there or may not be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
