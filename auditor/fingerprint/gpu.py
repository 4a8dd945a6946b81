"""The GPUs: what the process saw of them, and what the driver tells: memory errors, partitions, limits and links."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from auditor.fingerprint.inside import Inside
from auditor.records.fingerprint import Fact, Known, Unknown
from auditor.records.trace import Gpu

NAMES = ("gpu", "gpu:architecture", "gpu:memory", "gpu:multiprocessors")
STATES = ("gpu:clock-limit", "gpu:ecc", "gpu:mig", "gpu:power-limit")
LINKS = "gpu:links"
NOT_SUPPORTED = "not supported"
SWITCH = "switch"

# nvmlGpuTopologyLevel_t, in the words of nvidia-smi topo -m:
# https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceEnumvs.html
LEVELS = {0: "internal", 10: "pix", 20: "pxb", 30: "phb", 40: "node", 50: "sys"}


class Device(msgspec.Struct, frozen=True):
    """One device as the driver tells: ``capability`` as ``sm_90``, ``memory`` in bytes.

    ``ecc`` and ``mig`` are ``enabled``, ``disabled`` or ``not supported``; ``power_limit`` is in watts and
    ``clock_limit`` in megahertz, in words. What the driver refuses is Unknown.
    """

    name: str
    capability: str
    memory: str | Unknown
    ecc: str | Unknown
    mig: str | Unknown
    power_limit: str | Unknown
    clock_limit: str | Unknown


class Ends(msgspec.Struct, frozen=True):
    """Where a device is and where its active NVLinks end: other devices' addresses on the bus, or ``switch``."""

    address: str
    remotes: tuple[str, ...]


class Driver(msgspec.Struct, frozen=True):
    """The NVIDIA driver and its devices, in its own order; ``links`` is the class of their connections in words."""

    version: str
    devices: tuple[Device, ...]
    links: str | Unknown


def facts(inside: Inside, driver: Driver | Unknown) -> dict[str, Fact]:
    """``gpu`` (models), ``gpu:architecture``, ``gpu:multiprocessors``, ``gpu:memory`` (bytes): one entry per device.

    Of all the machine's devices: ``gpu:ecc``, ``gpu:mig``, ``gpu:power-limit``, ``gpu:clock-limit``, ``gpu:links``.
    """
    if not inside.process:
        return {**of_driver(driver), **states(driver)}
    if inside.gpus:
        return {**of_process(inside.gpus), **states(driver)}
    reason = inside.absent if inside.environment is None else "the process used no CUDA device"
    return dict.fromkeys((*NAMES, *STATES, LINKS), Unknown(reason))


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
        "gpu:memory": _each([device.memory for device in driver.devices]),
        "gpu:multiprocessors": Unknown("the driver does not tell it: an audit reports it"),
    }


def states(driver: Driver | Unknown) -> dict[str, Fact]:
    """How the machine's devices are set up and connected, used or not."""
    if isinstance(driver, Unknown):
        return dict.fromkeys((*STATES, LINKS), driver)
    return {
        "gpu:clock-limit": _each([device.clock_limit for device in driver.devices]),
        "gpu:ecc": _each([device.ecc for device in driver.devices]),
        "gpu:mig": _each([device.mig for device in driver.devices]),
        "gpu:power-limit": _each([device.power_limit for device in driver.devices]),
        LINKS: driver.links if isinstance(driver.links, Unknown) else Known(driver.links, "NVML"),
    }


def parse_links(devices: Sequence[Ends], levels: Mapping[tuple[int, int], int]) -> str:
    """How the devices are connected, each kind once: ``nvlink x18 per pair``, ``nvlink x4 per pair, sys``.

    ``levels`` holds the nearest common ancestor of each pair (i < j) on the bus, which counts where no NVLink leads
    from one to the other; ``none`` for fewer than two devices. At one switch, devices reach others by all their links.
    """
    kinds = set()
    for i, one in enumerate(devices):
        for j in range(i + 1, len(devices)):
            other = devices[j]
            links = one.remotes.count(other.address) + min(one.remotes.count(SWITCH), other.remotes.count(SWITCH))
            level = levels[i, j]
            kinds.add(f"nvlink x{links} per pair" if links else LEVELS.get(level, f"level {level}"))
    return ", ".join(sorted(kinds)) or "none"


def read_driver(nvml: Any = None) -> Driver | Unknown:
    """The NVIDIA driver on this machine through NVML (``nvml``: the ``pynvml`` module, or what stands in for it)."""
    if nvml is None:
        nvml = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        return Unknown(_why(nvml, error))
    try:
        handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        return Driver(
            version=_text(nvml.nvmlSystemGetDriverVersion()),
            devices=tuple(_device(nvml, handle) for handle in handles),
            links=_asked(nvml, lambda: _links(nvml, handles)),
        )
    except nvml.NVMLError as error:
        return Unknown(_why(nvml, error))
    finally:
        nvml.nvmlShutdown()


def _device(nvml: Any, handle: Any) -> Device:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Device(
        name=_text(nvml.nvmlDeviceGetName(handle)),
        capability=f"sm_{major}{minor}",
        memory=_asked(nvml, lambda: str(int(nvml.nvmlDeviceGetMemoryInfo(handle).total))),
        # The mode in force comes first, then the one after the next start.
        ecc=_asked(nvml, lambda: _mode(nvml.nvmlDeviceGetEccMode(handle)[0])),
        mig=_asked(nvml, lambda: _mode(nvml.nvmlDeviceGetMigMode(handle)[0])),
        power_limit=_asked(nvml, lambda: f"{nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000:g} W"),
        clock_limit=_asked(nvml, lambda: _clocks(nvml, handle)),
    )


def _clocks(nvml: Any, handle: Any) -> str:
    fastest = [nvml.nvmlDeviceGetMaxClockInfo(handle, kind) for kind in (nvml.NVML_CLOCK_SM, nvml.NVML_CLOCK_MEM)]
    return f"{fastest[0]} MHz, memory {fastest[1]} MHz"


def _links(nvml: Any, handles: Sequence[Any]) -> str:
    devices = [Ends(_address(nvml.nvmlDeviceGetPciInfo(handle)), _remotes(nvml, handle)) for handle in handles]
    levels = {
        (i, j): int(nvml.nvmlDeviceGetTopologyCommonAncestor(handles[i], handles[j]))
        for i in range(len(handles))
        for j in range(i + 1, len(handles))
    }
    return parse_links(devices, levels)


def _remotes(nvml: Any, handle: Any) -> tuple[str, ...]:
    found = []
    for link in range(nvml.NVML_NVLINK_MAX_LINKS):
        try:
            if not nvml.nvmlDeviceGetNvLinkState(handle, link):
                continue
        except (nvml.NVMLError_NotSupported, nvml.NVMLError_InvalidArgument):
            break  # no NVLink, or no more of them
        if nvml.nvmlDeviceGetNvLinkRemoteDeviceType(handle, link) == nvml.NVML_NVLINK_DEVICE_TYPE_SWITCH:
            found.append(SWITCH)
        else:
            found.append(_address(nvml.nvmlDeviceGetNvLinkRemotePciInfo(handle, link)))
    return tuple(found)


def _address(info: Any) -> str:
    return _text(info.busId).lower()


def _mode(value: int) -> str:
    return "enabled" if value else "disabled"


def _asked(nvml: Any, question: Callable[[], str]) -> str | Unknown:
    try:
        return question()
    except nvml.NVMLError_NotSupported:
        return NOT_SUPPORTED
    except nvml.NVMLError as error:
        return Unknown(f"NVML refused: {error}")


def _each(values: Sequence[str | Unknown]) -> Fact:
    """One value per device; Unknown where the driver refused any."""
    known = tuple(value for value in values if not isinstance(value, Unknown))
    refused = next((value for value in values if isinstance(value, Unknown)), None)
    return Known(known, "NVML") if refused is None else refused


def _why(nvml: Any, error: Exception) -> str:
    if isinstance(error, (nvml.NVMLError_LibraryNotFound, nvml.NVMLError_DriverNotLoaded)):
        return "no NVIDIA driver is on this machine"
    return f"NVML refused: {error}"


def _text(value: str | bytes) -> str:
    # Releases before 11.5 return bytes.
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
