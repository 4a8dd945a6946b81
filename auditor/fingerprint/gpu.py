"""The GPUs: model, architecture, multiprocessors and memory, as the process saw them or as the driver tells."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import msgspec

from auditor.fingerprint.inside import Inside
from auditor.records.fingerprint import Fact, Known, Unknown
from auditor.records.trace import Gpu

NAMES = ("gpu", "gpu:architecture", "gpu:memory", "gpu:multiprocessors")


class Device(msgspec.Struct, frozen=True):
    """One device as the driver tells: ``capability`` as ``sm_90``, ``memory`` in bytes."""

    name: str
    capability: str
    memory: int


class Driver(msgspec.Struct, frozen=True):
    """The NVIDIA driver and its devices, in its own order."""

    version: str
    devices: tuple[Device, ...]


def facts(inside: Inside, driver: Driver | Unknown) -> dict[str, Fact]:
    """``gpu`` (models), ``gpu:architecture``, ``gpu:multiprocessors``, ``gpu:memory`` (bytes): one entry per device."""
    if not inside.process:
        return of_driver(driver)
    if inside.gpus:
        return of_process(inside.gpus)
    if inside.environment is None:
        return {name: Unknown(inside.absent) for name in NAMES}
    return {name: Unknown("the process used no CUDA device") for name in NAMES}


def of_process(gpus: Sequence[Gpu]) -> dict[str, Fact]:
    """The facts of the devices that a training process saw."""
    source = "torch.cuda.get_device_properties"
    return {
        "gpu": Known(tuple(gpu.name for gpu in gpus), source),
        "gpu:architecture": Known(tuple(gpu.capability for gpu in gpus), source),
        "gpu:memory": Known(tuple(str(gpu.memory) for gpu in gpus), source),
        "gpu:multiprocessors": Known(tuple(str(gpu.multiprocessors) for gpu in gpus), source),
    }


def of_driver(driver: Driver | Unknown) -> dict[str, Fact]:
    """The facts of the devices that the driver tells of, used or not."""
    if isinstance(driver, Unknown):
        return dict.fromkeys(NAMES, driver)
    return {
        "gpu": Known(tuple(device.name for device in driver.devices), "NVML"),
        "gpu:architecture": Known(tuple(device.capability for device in driver.devices), "NVML"),
        "gpu:memory": Known(tuple(str(device.memory) for device in driver.devices), "NVML"),
        "gpu:multiprocessors": Unknown("the driver does not tell it: an audit reports it"),
    }


def read_driver(nvml: Any = None) -> Driver | Unknown:
    """The NVIDIA driver on this machine through NVML (``nvml``: the ``pynvml`` module, or what stands in for it)."""
    if nvml is None:
        nvml = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return Unknown(_why(nvml, error))
    try:
        return Driver(
            version=_text(nvml.nvmlSystemGetDriverVersion()),
            devices=tuple(_device(nvml, index) for index in range(nvml.nvmlDeviceGetCount())),
        )
    except nvml.NVMLError as error:
        return Unknown(_why(nvml, error))
    finally:
        nvml.nvmlShutdown()


def _device(nvml: Any, index: int) -> Device:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Device(
        name=_text(nvml.nvmlDeviceGetName(handle)),
        capability=f"sm_{major}{minor}",
        memory=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
    )


def _why(nvml: Any, error: Exception) -> str:
    if isinstance(error, (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded)):
        return "no NVIDIA driver is on this machine"
    return f"NVML refused: {error}"


def _text(value: str | bytes) -> str:
    # Releases before 11.5 return bytes.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
