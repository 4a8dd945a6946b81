"""The CUDA stack: driver, runtime, cuDNN, cuBLAS, NCCL and Triton, as built against, as installed and as loaded."""

from __future__ import annotations

import re

from auditor.fingerprint import libraries, packages
from auditor.fingerprint.fact import fact
from auditor.fingerprint.gpu import Driver
from auditor.fingerprint.inside import Inside
from auditor.records.fingerprint import Fact, Known, Unknown

KINDS = {
    "cublas": re.compile(r"libcublas(Lt)?[-.]"),
    "cudart": re.compile(r"libcudart[-.]"),
    "cudnn": re.compile(r"libcudnn"),
    "driver": re.compile(r"libcuda\.so"),
    "nccl": re.compile(r"libnccl[-.]"),
}
INSTALLED = {
    "cublas": r"nvidia-cublas(-cu\d+)?",
    "cuda-runtime": r"nvidia-cuda-runtime(-cu\d+)?",
    "cudnn": r"nvidia-cudnn(-cu\d+)?",
    "nccl": r"nvidia-nccl(-cu\d+)?",
    "triton": r"triton|pytorch-triton",
}


def facts(inside: Inside, driver: Driver | Unknown) -> dict[str, Fact]:
    """``cuda`` and ``hip`` (built against), ``cudnn`` (loaded), ``driver``, ``installed:<part>``, ``loaded:<part>``."""
    found: dict[str, Fact] = {
        "cuda": built(inside, "cuda"),
        "hip": built(inside, "hip"),
        "cudnn": _cudnn(inside),
        "driver": driver if isinstance(driver, Unknown) else Known(driver.version, "NVML"),
    }
    for part, pattern in INSTALLED.items():
        if inside.environment is None:
            found[f"installed:{part}"] = Unknown(inside.absent)
            continue
        version = packages.version_of(inside, pattern)
        found[f"installed:{part}"] = fact(version, "installed metadata", "no distribution of it is installed")
    found.update(libraries.loaded(inside, KINDS))
    return found


def built(inside: Inside, platform: str) -> Fact:
    """The ``cuda`` or ``hip`` version that torch was built against: ``none`` where it was built without."""
    if inside.torch is None:
        return Unknown("no torch was seen" if inside.environment is not None else inside.absent)
    if platform not in inside.torch.facts:
        return Unknown(inside.absent)
    return Known(inside.torch.facts[platform] or "none", "torch" if inside.process else "torch/version.py")


def parse_cudnn(number: int) -> str:
    """cuDNN's version of its number, as ``cudnnGetVersion`` counts: 8500 is 8.5.0, 90100 is 9.1.0 (from 9 on)."""
    if number >= 90000:
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return f"{number // 1000}.{number // 100 % 10}.{number % 100}"


def _cudnn(inside: Inside) -> Fact:
    if inside.torch is None or "cudnn" not in inside.torch.facts:
        return Unknown(inside.absent if inside.process else libraries.NO_PROCESS)
    number = inside.torch.facts["cudnn"]
    if isinstance(number, int):
        return Known(parse_cudnn(number), "torch.backends.cudnn.version")
    return Unknown("torch could use no cuDNN")
