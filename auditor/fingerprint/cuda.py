"""The CUDA stack: driver, runtime, cuDNN, cuBLAS, NCCL and Triton, as built against, as installed and as loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

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
    "triton": re.compile(r"libtriton[-.]"),
}
INSTALLED = {
    "cublas": r"nvidia-cublas(-cu\d+)?",
    "cuda-runtime": r"nvidia-cuda-runtime(-cu\d+)?",
    "cudnn": r"nvidia-cudnn(-cu\d+)?",
    "nccl": r"nvidia-nccl(-cu\d+)?",
    "triton": r"triton|pytorch-triton",
}
# What the parts that are loaded are called among those that are installed.
PARTS = {"cublas": "cublas", "cudart": "cuda-runtime", "cudnn": "cudnn", "nccl": "nccl", "triton": "triton"}

# Where NVIDIA's and Triton's packages put their libraries; torch's own copies lie in torch/lib.
_IN_PACKAGE = re.compile(r"(?:site|dist)-packages/(?:nvidia|triton)/")
# Two numbers are the interface's version (libcudart.so.11.0), which many releases share.
_IN_NAME = re.compile(r"\.so\.(\d+(?:\.\d+){2,})$")


def facts(inside: Inside, driver: Driver | Unknown) -> dict[str, Fact]:
    """``cuda`` and ``hip`` (built against), ``cudnn`` (loaded), ``driver``, and what of each part is where.

    ``installed:<part>`` is a distribution's version, ``loaded:<part>`` the files mapped, and ``loaded-version:<part>``
    their version, for what was loaded.
    """
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
        versions = packages.versions_of(inside, pattern)
        absent = "no distribution of it is installed"
        found[f"installed:{part}"] = fact(" and ".join(versions), "installed metadata", absent)
    found.update(libraries.loaded(inside, KINDS))
    for part in PARTS:
        version = _loaded_version(inside, part, found)
        if version is not None:
            found[f"loaded-version:{part}"] = version
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


def parse_version(paths: Sequence[str]) -> str | None:
    """The version that the names of a library's files tell (``libcudnn.so.8.9.7``), where it is one."""
    told = {found[1] for path in paths if (found := _IN_NAME.search(path)) is not None}
    return told.pop() if len(told) == 1 else None


def _loaded_version(inside: Inside, part: str, found: Mapping[str, Fact]) -> Fact | None:
    """The version of a part that was loaded: as it says itself, as its package is, or as its file is named."""
    files, says = found[f"loaded:{part}"], None
    if not isinstance(files, Known) or not isinstance(files.value, tuple) or not files.value:
        return None
    if part == "cudnn" and isinstance(found["cudnn"], Known):
        return found["cudnn"]
    if part == "nccl" and inside.torch is not None:
        says = inside.torch.facts.get("nccl")
    if isinstance(says, str) and says:
        return Known(says, "torch.cuda.nccl.version")
    installed = packages.versions_of(inside, INSTALLED[PARTS[part]])
    if len(installed) == 1 and all(_IN_PACKAGE.match(path) for path in files.value):
        return Known(installed[0], "the installed package that the files are of")
    return fact(parse_version(files.value), "the names of the files", "neither its files nor torch tell its version")


def _cudnn(inside: Inside) -> Fact:
    if inside.torch is None or "cudnn" not in inside.torch.facts:
        return Unknown(inside.absent if inside.process else libraries.NO_PROCESS)
    number = inside.torch.facts["cudnn"]
    if isinstance(number, int):
        return Known(parse_cudnn(number), "torch.backends.cudnn.version")
    return Unknown("torch could use no cuDNN")
