"""The fingerprint of a run: only what its processes said, and of this machine only what it shares with them."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from auditor import fingerprint
from auditor.fingerprint import container, gpu, variables
from auditor.records.fingerprint import LAYERS, Fact, Fingerprint, Known, Unknown
from auditor.records.run import ImageFacts
from auditor.records.trace import Build, Data, DataFile, Environment, Gpu, Hello, ProcessTrace, Step, Torch
from auditor.store import build_trace, parse_trace

ROOT = Path(__file__).parents[2]
PROBE = ROOT / "auditor" / "probe"
SECRET = "correct-horse-battery-staple"

HELLO = Hello(
    protocol=1,
    kind="exec",
    pid=1,
    ppid=0,
    label="train.py",
    python="3.9.1",
    implementation="cpython",
    hash_seed="17",
    rank=None,
    local_rank=None,
    parent=None,
    child=None,
    ns=0,
)
ENVIRONMENT = Environment(
    executable="/home/user/env/bin/python",
    python="3.9.1 (default, x)  [GCC 9.3.0]",
    implementation="cpython",
    compiler="GCC 9.3.0",
    variables={"OMP_NUM_THREADS": "2", "AWS_SECRET_ACCESS_KEY": SECRET, "PYTHONHASHSEED": "17"},
    flags={"optimize": 0, "hash_randomization": 1},
    distributions={"torch": "2.1.0", "nvidia-cudnn-cu12": "8.9.2.26", "Ruamel.YAML": "0.18"},
    libc="glibc 2.31",
    ns=0,
)
TORCH = Torch(
    at="step",
    version="2.1.0+cu121",
    facts={"debug": False, "cuda": "12.1", "cudnn": 8902, "mkl": True, "hip": None, "cpu_capability": "AVX2"},
    switches={"threads": 2, "interop_threads": 4, "cudnn_benchmark": True},
)
A100 = Gpu(index=0, name="A", capability="sm_80", multiprocessors=108, memory=40)
H100 = Gpu(index=0, name="B", capability="sm_90", multiprocessors=132, memory=80)
STEP = Step(
    n=1,
    optimizer=0,
    batch=None,
    loss=None,
    gradients=None,
    gradients_parts="",
    parameters=None,
    parameters_parts="",
    streams={},
    ns=0,
)


CONFIGURED = Path(__file__).parent / "captures" / "torch-config-1.13.0-cuda.txt"


def process(**changes: object) -> ProcessTrace:
    """A process that said nothing but its handshake, with changes."""
    bare = build_trace("a.jsonl", "main", (HELLO,), None)
    return msgspec.structs.replace(bare, **changes)


def value(found: Fingerprint, layer: str, name: str) -> object:
    fact = found.layers[layer][name]
    assert isinstance(fact, Known), fact
    return fact.value


def every_fact(found: Fingerprint) -> list[tuple[str, str, Fact]]:
    return [(layer, name, fact) for layer, facts in found.layers.items() for name, fact in facts.items()]


TRAINING = process(
    environment=ENVIRONMENT,
    torch=(msgspec.structs.replace(TORCH, at="exit", switches={"threads": 9}), TORCH),
    gpus=(A100,),
    steps=(STEP,),
    libraries=("/home/user/env/lib/python3.9/site-packages/nvidia/cudnn/lib/libcudnn.so.8", "/usr/lib/libgomp.so.1"),
)


def test_what_the_training_process_said() -> None:
    found = fingerprint.from_traces([TRAINING], "elsewhere")
    assert found.schema == "auditor.fingerprint/1"
    assert tuple(found.layers) == LAYERS
    assert value(found, "interpreter", "version") == "3.9.1"
    assert value(found, "interpreter", "compiler") == "GCC 9.3.0"
    assert value(found, "interpreter", "hash-seed") == "17"
    assert value(found, "interpreter", "flag:hash_randomization") == 1
    assert value(found, "interpreter", "variable:OMP_NUM_THREADS") == "2"
    assert value(found, "libraries", "torch:version") == "2.1.0+cu121"
    assert value(found, "libraries", "torch") == "2.1.0"
    assert value(found, "libraries", "ruamel-yaml") == "0.18"
    assert value(found, "libraries", "switch:cudnn_benchmark") is True
    assert value(found, "libraries", "loaded:openmp") == ("/usr/lib/libgomp.so.1",)
    assert value(found, "libraries", "loaded:blas") == ()
    assert value(found, "cuda", "cuda") == "12.1"
    assert value(found, "cuda", "hip") == "none"
    assert value(found, "cuda", "cudnn") == "8.9.2"
    assert value(found, "cuda", "installed:cudnn") == "8.9.2.26"
    assert value(found, "cuda", "loaded:cudnn") == ("site-packages/nvidia/cudnn/lib/libcudnn.so.8",)
    assert value(found, "hardware", "dispatch") == "AVX2"
    assert value(found, "hardware", "threads") == 2, "as in force at the first step, not at exit"
    assert value(found, "hardware", "threads:interop") == 4
    assert value(found, "hardware", "gpu:architecture") == ("sm_80",)
    assert value(found, "hardware", "gpu:multiprocessors") == ("108",)
    assert value(found, "os", "libc") == "glibc 2.31"


def test_what_was_not_said_is_unknown() -> None:
    found = fingerprint.from_traces([TRAINING], "elsewhere")
    for layer, name in (("libraries", "torch:openmp"), ("libraries", "switch:default_dtype")):
        assert found.layers[layer][name] == Unknown("the probe did not report it")


@pytest.mark.parametrize("processes", [(), (process(),), (process(environment=ENVIRONMENT),), (TRAINING,)])
@pytest.mark.parametrize("where", ["here", "container", "elsewhere"])
def test_no_fact_is_empty(processes: tuple[ProcessTrace, ...], where: fingerprint.Where) -> None:
    for layer, name, fact in every_fact(fingerprint.from_traces(processes, where)):
        said = fact.reason if isinstance(fact, Unknown) else fact.source
        assert said, (layer, name)
        assert not isinstance(fact, Known) or fact.value != "", (layer, name)


def test_nothing_is_filled_in_from_our_own_process() -> None:
    for layer, name, fact in every_fact(fingerprint.from_traces((), "elsewhere")):
        assert isinstance(fact, Unknown), (layer, name)
    shared = {
        ("hardware", name) for name in ("cpu", "microcode", "vector-extensions")
    } | {("cuda", "driver"), ("os", "kernel"), ("os", "machine")}  # fmt: skip
    contained = fingerprint.from_traces((), "container")
    assert {(layer, name) for layer, name, fact in every_fact(contained) if isinstance(fact, Known)} <= shared
    here = fingerprint.from_traces((), "here")
    own = {("hardware", "cores"), *(("os", name) for name in ("container", "limit:cpus", "limit:memory", "release"))}
    assert {(layer, name) for layer, name, fact in every_fact(here) if isinstance(fact, Known)} <= shared | own


def test_recomputed_elsewhere_the_machine_is_that_of_the_audit() -> None:
    then = fingerprint.from_traces([TRAINING], "here")
    assert fingerprint.from_traces([TRAINING], "elsewhere", then) == then
    # What the traces say is never taken from what was stored.
    changed = msgspec.structs.replace(then, layers={**then.layers, "interpreter": {"version": Known("9.9", "made up")}})
    assert fingerprint.from_traces([TRAINING], "elsewhere", changed) == then


def test_the_process_that_trained_is_described() -> None:
    launcher = process(role="main", environment=msgspec.structs.replace(ENVIRONMENT, libc="glibc 2.99"))
    found = fingerprint.from_traces([launcher, TRAINING], "elsewhere")
    assert value(found, "os", "libc") == "glibc 2.31"
    without_steps = fingerprint.from_traces([launcher, msgspec.structs.replace(TRAINING, steps=())], "elsewhere")
    assert value(without_steps, "os", "libc") == "glibc 2.31"


def test_devices_of_all_ranks() -> None:
    other = msgspec.structs.replace(TRAINING, gpus=(H100,))
    found = fingerprint.from_traces([TRAINING, other, other], "elsewhere")
    assert value(found, "hardware", "gpu") == ("A", "B")


def test_no_torch() -> None:
    without = msgspec.structs.replace(ENVIRONMENT, distributions={})
    found = fingerprint.from_traces([process(environment=without)], "elsewhere")
    assert found.layers["libraries"]["torch:version"] == Unknown("torch is not installed")
    unused = fingerprint.from_traces([process(environment=ENVIRONMENT)], "elsewhere")
    assert unused.layers["libraries"]["torch:version"] == Unknown("the process did not import torch")


def test_no_secret_and_no_home_directory_is_shown() -> None:
    text = msgspec.json.encode(fingerprint.from_traces([TRAINING], "here")).decode()
    assert SECRET not in text
    assert "/home/" not in text
    assert os.path.expanduser("~") + "/" not in text


def test_it_is_read_back_strictly() -> None:
    found = fingerprint.from_traces([TRAINING], "here")
    assert msgspec.json.decode(msgspec.json.encode(found), type=Fingerprint) == found


def test_what_enters_the_evidence_is_what_may_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PROBE))
    facts = importlib.import_module("_auditor_probe.facts")
    for name in ("CUDA_API_KEY", "MKL_TOKEN", "TORCH_SECRET", "NCCL_PASSWORD", "OPENBLAS_X", "PYTHONSTARTUP", "HOME"):
        monkeypatch.setenv(name, SECRET)
    for name in variables.NAMES:
        monkeypatch.setenv(name, "1")
    assert set(facts.variables()) == variables.NAMES


PROGRAM = """
import torch
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
torch.set_num_threads(1)
model(torch.ones(1, 2)).sum().backward()
optimizer.step()
"""


def test_of_a_real_run(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    (tmp_path / "train.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "trace").mkdir()
    (tmp_path / "tensors").mkdir()
    settings = {
        "trace": str(tmp_path / "trace"),
        "tensors": str(tmp_path / "tensors"),
        "project": str(tmp_path),
        "run": 1,
        "plan": None,
        "steps": None,
        "directory_order": False,
        "audit_started_ns": 0,
        "run_started_ns": 0,
    }
    (tmp_path / "probe.json").write_text(json.dumps(settings), encoding="utf-8")
    secrets = {
        name: f"{SECRET}-{name}"
        for name in (
            "AWS_SECRET_ACCESS_KEY",
            "HF_TOKEN",
            "TORCH_HUB_TOKEN",
            "CUDA_API_KEY",
            "MY_PASSWORD",
            "DATABASE_URL",
        )
    }
    environment = {
        **os.environ,
        **secrets,
        "PYTHONPATH": str(PROBE),
        "_AUDITOR_PROBE": str(tmp_path / "probe.json"),
        "PYTHONHASHSEED": "5",
        "OMP_NUM_THREADS": "2",
    }
    subprocess.run([sys.executable, str(tmp_path / "train.py")], env=environment, check=True, timeout=300)
    (trace,) = (tmp_path / "trace").glob("*.jsonl")
    lines, problem = parse_trace(trace.read_bytes())
    assert problem is None
    found = fingerprint.from_traces([build_trace(trace.name, "main", lines, None)], "here")
    assert value(found, "interpreter", "version") == ".".join(map(str, sys.version_info[:3]))
    assert value(found, "interpreter", "hash-seed") == "5"
    assert value(found, "interpreter", "variable:OMP_NUM_THREADS") == "2"
    assert value(found, "libraries", "torch:version") == str(torch.__version__)
    assert value(found, "hardware", "threads") == 1
    assert value(found, "hardware", "dispatch") == torch.backends.cpu.get_cpu_capability()
    assert value(found, "hardware", "cores") == len(os.sched_getaffinity(0))
    assert value(found, "os", "release") == container.read_os_release()
    assert value(found, "libraries", "loaded:torch")
    assert value(found, "os", "loaded:libc")
    for text in (trace.read_text(encoding="utf-8"), msgspec.json.encode(found).decode()):
        assert SECRET not in text
    for layer, name, fact in every_fact(found):
        assert fact != Unknown("the probe did not report it"), (layer, name)


class StandIn:
    """Stands in for pynvml, since no machine with a GPU was to be had: it says what the tests make it say."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM = 1, 2
    NVML_NVLINK_MAX_LINKS = 18
    NVML_NVLINK_DEVICE_TYPE_SWITCH = 2

    class NVMLError(Exception):
        pass

    class NVMLError_NotSupported(NVMLError):
        pass

    class NVMLError_InvalidArgument(NVMLError):
        pass

    class NVMLError_NoPermission(NVMLError):
        pass

    class NVMLError_LibraryNotFound(NVMLError):
        pass

    class NVMLError_DriverNotLoaded(NVMLError):
        pass

    def __init__(self, fails: Exception | None = None) -> None:
        self.fails = fails
        self.open = 0

    def nvmlInit(self) -> None:
        if isinstance(self.fails, self.NVMLError_LibraryNotFound):
            raise self.fails
        self.open += 1

    def nvmlShutdown(self) -> None:
        self.open -= 1

    def nvmlSystemGetDriverVersion(self) -> bytes:
        return b"1.2.3"

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        if self.fails is not None:
            raise self.fails
        return index

    def nvmlDeviceGetCudaComputeCapability(self, handle: int) -> tuple[int, int]:
        return 12, handle

    def nvmlDeviceGetName(self, handle: int) -> str:
        return f"device {handle}"

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> object:
        class Memory:
            total = 1000 + handle

        return Memory

    def nvmlDeviceGetEccMode(self, handle: int) -> list[int]:
        return [1, 0]

    def nvmlDeviceGetMigMode(self, handle: int) -> list[int]:
        raise self.NVMLError_NotSupported

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: int) -> int:
        return 700_000 if handle else 312_500

    def nvmlDeviceGetMaxClockInfo(self, handle: int, kind: int) -> int:
        return {1: 1980, 2: 2619}[kind]

    def nvmlDeviceGetPciInfo(self, handle: int) -> object:
        class Info:
            busId = b"00000000:%02X:00.0" % (10 + handle)

        return Info

    def nvmlDeviceGetTopologyCommonAncestor(self, one: int, other: int) -> int:
        return 50

    def nvmlDeviceGetNvLinkState(self, handle: int, link: int) -> int:
        if link >= 4:
            raise self.NVMLError_InvalidArgument
        return int(link != 3)

    def nvmlDeviceGetNvLinkRemoteDeviceType(self, handle: int, link: int) -> int:
        return 0

    def nvmlDeviceGetNvLinkRemotePciInfo(self, handle: int, link: int) -> object:
        return self.nvmlDeviceGetPciInfo(1 - handle)


class Guarded(StandIn):
    """A driver that tells users without rights little."""

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> object:
        raise self.NVMLError_NoPermission("insufficient permissions")

    def nvmlDeviceGetNvLinkState(self, handle: int, link: int) -> int:
        raise self.NVMLError_NotSupported

    def nvmlDeviceGetTopologyCommonAncestor(self, one: int, other: int) -> int:
        raise self.NVMLError_NoPermission("insufficient permissions")


def test_devices_as_the_driver_tells() -> None:
    nvml = StandIn()
    driver = gpu.read_driver(nvml)
    assert isinstance(driver, gpu.Driver)
    assert driver.version == "1.2.3"
    assert [(device.name, device.capability) for device in driver.devices] == [
        ("device 0", "sm_120"),
        ("device 1", "sm_121"),
    ]
    assert gpu.of_driver(driver)["gpu:memory"] == Known(("1000", "1001"), "NVML")
    assert gpu.states(driver) == {
        "gpu:clock-limit": Known(("1980 MHz, memory 2619 MHz",) * 2, "NVML"),
        "gpu:ecc": Known(("enabled", "enabled"), "NVML"),
        "gpu:mig": Known(("not supported", "not supported"), "NVML"),
        "gpu:power-limit": Known(("312.5 W", "700 W"), "NVML"),
        "gpu:links": Known("nvlink x3 per pair", "NVML"),
    }
    assert nvml.open == 0


def test_what_a_driver_refuses_is_unknown_and_the_rest_is_told() -> None:
    driver = gpu.read_driver(Guarded())
    refused = Unknown("NVML refused: insufficient permissions")
    assert gpu.of_driver(driver)["gpu"] == Known(("device 0", "device 1"), "NVML")
    assert gpu.of_driver(driver)["gpu:memory"] == refused
    assert gpu.states(driver)["gpu:links"] == refused
    assert gpu.states(driver)["gpu:ecc"] == Known(("enabled", "enabled"), "NVML")


@pytest.mark.parametrize(
    ("remotes", "level", "expected"),
    [
        ((("b",) * 18, ("a",) * 18), 50, "nvlink x18 per pair"),
        ((("switch",) * 18, ("switch",) * 18), 50, "nvlink x18 per pair"),
        ((("switch",) * 18, ("switch",) * 12), 50, "nvlink x12 per pair"),
        (((), ()), 10, "pix"),
        (((), ()), 30, "phb"),
        (((), ()), 50, "sys"),
        (((), ()), 77, "level 77"),
    ],
)
def test_how_devices_are_connected(remotes: tuple[tuple[str, ...], ...], level: int, expected: str) -> None:
    devices = [gpu.Ends(address, ends) for address, ends in zip("ab", remotes, strict=True)]
    assert gpu.parse_links(devices, {(0, 1): level}) == expected


def test_how_many_devices_are_connected() -> None:
    pair, alone = ("b",) * 4, gpu.Ends("c", ())
    devices = [gpu.Ends("a", pair), gpu.Ends("b", ("a",) * 4), alone]
    assert gpu.parse_links(devices, {(0, 1): 10, (0, 2): 50, (1, 2): 50}) == "nvlink x4 per pair, sys"
    assert gpu.parse_links([alone], {}) == "none"
    assert gpu.parse_links([], {}) == "none"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (StandIn.NVMLError_LibraryNotFound(), "no NVIDIA driver is on this machine"),
        (StandIn.NVMLError_DriverNotLoaded(), "no NVIDIA driver is on this machine"),
        (StandIn.NVMLError("not permitted"), "NVML refused: not permitted"),
    ],
)
def test_a_driver_that_does_not_answer(error: Exception, reason: str) -> None:
    nvml = StandIn(error)
    assert gpu.read_driver(nvml) == Unknown(reason)
    assert nvml.open == 0


def test_of_a_container_only_what_it_had_from_here_is_read(tmp_path: Path) -> None:
    inner, outer = tmp_path / "project" / "libown.so", tmp_path / "libimage.so"
    inner.parent.mkdir()
    (inner.parent / "x.csv").write_text("1", encoding="utf-8")
    for path in (inner, outer):
        path.write_bytes(b"\x7fELF")
    builds = {str(path): Build("abc", 4, path.stat().st_mtime_ns) for path in (inner, outer)}
    read = DataFile("x.csv", 1, (inner.parent / "x.csv").stat().st_mtime_ns)
    trace = process(
        environment=ENVIRONMENT, libraries=tuple(builds), builds=builds, data=(Data([read], False),), sources=()
    )
    image = ImageFacts("training:latest", "sha256:12", ("registry/training@sha256:34",))
    found = fingerprint.from_traces([trace], "container", project=inner.parent, image=image)
    assert value(found, "libraries", "object:libimage.so") == ("build-id:abc",)
    own = value(found, "libraries", "object:libown.so")
    assert isinstance(own, tuple) and [part.partition(":")[0] for part in own] == ["build-id", "sha256"]
    assert value(found, "run", "data:files") == 1
    assert value(found, "os", "image:id") == "sha256:12"
    assert value(found, "os", "image:digests") == ("registry/training@sha256:34",)
    assert found.layers["run"]["git:commit"] == Unknown("the project is in no git repository")
    assert value(found, "os", "container") == "docker"
    assert isinstance(found.layers["os"]["release"], Unknown) and isinstance(found.layers["hardware"]["cores"], Unknown)
    told = msgspec.structs.replace(ENVIRONMENT, release='PRETTY_NAME="Odd Linux 1"\n', cores=3)
    telling = fingerprint.from_traces([msgspec.structs.replace(trace, environment=told)], "container", image=image)
    assert value(telling, "os", "release") == "Odd Linux 1"
    assert value(telling, "hardware", "cores") == 3
    elsewhere = fingerprint.from_traces([trace], "elsewhere", found, inner.parent, image)
    assert elsewhere == found
    local = fingerprint.from_traces([trace], "here", project=inner.parent)
    assert local.layers["os"]["image:id"] == Unknown("the run used no image")
    nameless = fingerprint.from_traces([trace], "container", image=ImageFacts("x", "sha256:1", ()))
    assert nameless.layers["os"]["image:digests"] == Unknown("no registry is known to have the image")
    assert nameless.layers["run"]["data"] == Unknown("it is not known where the project is")


def test_of_a_forked_process_the_interpreter_is_that_of_its_parent() -> None:
    parent = msgspec.structs.replace(TRAINING, steps=(), file="1-1.jsonl", torch=(), gpus=())
    hello = msgspec.structs.replace(HELLO, kind="fork", parent="1-1.jsonl", child=1, hash_seed="18")
    child = process(hello=hello, steps=(STEP,), torch=(TORCH,), file="2-2.jsonl")
    found = fingerprint.from_traces([parent, child], "elsewhere")
    assert value(found, "interpreter", "version") == "3.9.1"
    assert value(found, "libraries", "loaded:openmp") == ("/usr/lib/libgomp.so.1",)
    assert value(found, "libraries", "switch:cudnn_benchmark") is True
    orphan = msgspec.structs.replace(child, hello=msgspec.structs.replace(hello, parent="2-2.jsonl"))
    assert isinstance(fingerprint.from_traces([orphan], "elsewhere").layers["interpreter"]["version"], Unknown)


@pytest.mark.parametrize(
    ("told", "dispatch"),
    [
        ({"cpu_capability": "AVX2", "config": "  - CPU capability usage: AVX512\n"}, "AVX2"),
        ({"cpu_capability": "NO AVX"}, "DEFAULT"),
        ({"cpu_capability": None, "config": CONFIGURED.read_text(encoding="utf-8")}, "AVX2"),
        ({"cpu_capability": None, "config": "  - CPU capability usage: NO AVX\n"}, "DEFAULT"),
    ],
)
def test_releases_of_torch_tell_in_their_own_ways_which_kernels_they_take(
    told: dict[str, str | None], dispatch: str
) -> None:
    torch = msgspec.structs.replace(TORCH, facts=TORCH.facts | told)
    found = fingerprint.from_traces([process(torch=(torch,))], "elsewhere")
    assert value(found, "hardware", "dispatch") == dispatch


def test_kernels_that_no_text_names_are_not_known() -> None:
    torch = msgspec.structs.replace(TORCH, facts=TORCH.facts | {"cpu_capability": None, "config": "torch"})
    found = fingerprint.from_traces([process(torch=(torch,))], "elsewhere")
    assert isinstance(found.layers["hardware"]["dispatch"], Unknown)
