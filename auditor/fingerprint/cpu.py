"""The CPU: model, microcode, vector extensions, cores visible, and what torch dispatches to and how widely."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from auditor.fingerprint.fact import fact
from auditor.fingerprint.inside import Inside
from auditor.records.fingerprint import Fact, Unknown

# What kernels are chosen by: https://www.kernel.org/doc/html/latest/arch/x86/cpuinfo.html and, for Arm,
# https://www.kernel.org/doc/html/latest/arch/arm64/elf_hwcaps.html.
VECTOR_EXTENSIONS = re.compile(
    r"sse|sse2|pni|ssse3|sse4_1|sse4_2|sse4a|avx|avx2|fma|fma4|f16c|avx512\w+|avx_\w+|avx10\w*|amx_\w+"
    r"|asimd\w*|neon|sve\w*|sme(?!p)\w*|bf16|i8mm|fphp|altivec|vsx"
)

_USAGE = re.compile(r"^ +- CPU capability usage: (.+)$", re.MULTILINE)
_OLDER_NAMES = {"NO AVX": "DEFAULT"}  # of the kernels without any: what torch 2.4 still says


class Processor(msgspec.Struct, frozen=True):
    """The first processor of ``/proc/cpuinfo``; empty where it does not say. ``extensions`` are sorted."""

    model: str
    microcode: str
    extensions: tuple[str, ...]


def facts(inside: Inside, processor: Processor | Unknown, cores: int | Unknown) -> dict[str, Fact]:
    """The facts of the machine's processor and of how the process used it; ``cores`` where it did not tell its own."""
    told = inside.environment.cores if inside.environment is not None else None
    own = cores if told is None else told
    found: dict[str, Fact] = {"cores": own if isinstance(own, Unknown) else fact(own, "scheduler affinity", "")}
    if isinstance(processor, Unknown):
        found.update(dict.fromkeys(("cpu", "microcode", "vector-extensions"), processor))
    else:
        source = "/proc/cpuinfo"
        absent = f"{source} does not name it"
        found["cpu"] = fact(processor.model, source, absent)
        found["microcode"] = fact(processor.microcode, source, absent)
        found["vector-extensions"] = fact(processor.extensions or None, source, absent)
    torch = inside.torch
    reason = inside.absent if torch is not None or inside.environment is None else "no torch was seen"
    threads = torch.switches.get("threads") if torch is not None else None
    interop = torch.switches.get("interop_threads") if torch is not None else None
    found["dispatch"] = fact(*_capability(torch.facts if torch is not None else {}), reason)
    found["threads"] = fact(threads, "torch.get_num_threads", reason)
    found["threads:interop"] = fact(interop, "torch.get_num_interop_threads", reason)
    return found


def _capability(facts: Mapping[str, object]) -> tuple[str | None, str]:
    """Which of its kernels torch takes, if it tells, and where that was read; releases before 2.1 have it in a text."""
    told, source = facts.get("cpu_capability"), "torch.backends.cpu.get_cpu_capability"
    if told is None:
        config = facts.get("config")
        usage = _USAGE.search(config) if isinstance(config, str) else None
        told, source = usage[1] if usage is not None else None, "torch.__config__.show"
    return (_OLDER_NAMES.get(told, told) if isinstance(told, str) else None), source


def parse_cpuinfo(text: str) -> Processor:
    """The processor that ``/proc/cpuinfo`` describes first, on x86, Arm and POWER."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon and value.strip():
            fields.setdefault(name.strip().lower(), value.strip())
    model = fields.get("model name") or fields.get("cpu") or fields.get("hardware") or ""
    if "vendor_id" in fields and "cpu family" in fields:
        # Virtual machines often name a family only: these three numbers tell which one it is.
        numbers = [f"{name} {fields.get(key, '?')}" for name, key in _NUMBERS]
        model = f"{model or fields['vendor_id']} ({', '.join(numbers)})"
    elif "cpu implementer" in fields:
        numbers = [fields.get(key, "?") for key in ("cpu implementer", "cpu part", "cpu variant", "cpu revision")]
        model = f"{model} (Arm {' '.join(numbers)})".strip()
    flags = (fields.get("flags") or fields.get("features") or "").split()
    return Processor(
        model=" ".join(model.split()),
        microcode=fields.get("microcode", ""),
        extensions=tuple(sorted({flag for flag in flags if VECTOR_EXTENSIONS.fullmatch(flag)})),
    )


_NUMBERS = (("family", "cpu family"), ("model", "model"), ("stepping", "stepping"))


def read_cpuinfo(path: Path = Path("/proc/cpuinfo")) -> Processor | Unknown:
    """The processor of this machine."""
    try:
        return parse_cpuinfo(path.read_text(encoding="utf-8", errors="replace"))
    except OSError as error:
        return Unknown(f"{path} cannot be read: {error.strerror}")


def read_cores() -> int | Unknown:
    """How many processors this process may run on."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return Unknown("the system does not tell which processors a process may run on")
