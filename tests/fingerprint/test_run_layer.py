"""What a run made use of and imported, what libraries dispatched to, and what an environment shows to be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from auditor import fingerprint
from auditor.fingerprint import cuda, dispatch, libc, libraries, run
from auditor.fingerprint.findings import findings, same_release
from auditor.fingerprint.inside import NOTHING, Inside
from auditor.records.fingerprint import LAYERS, Fact, Fingerprint, Known, Unknown
from auditor.records.trace import (
    Build,
    End,
    Environment,
    Gpu,
    Hello,
    Line,
    Loader,
    Numerics,
    OpenBlas,
    ProcessTrace,
    Source,
    Sources,
    Streams,
    Torch,
)
from auditor.store import build_trace, parse_trace

CAPTURES = Path(__file__).parent / "captures"
HELLO = Hello(1, "exec", 1, 0, "train.py", "3.9.1", "cpython", None, None, None, None, None, 0)
END = End("exit", 0, 0, 0, 0, 0)
TORCH = Torch("exit", "2.1.0", {"cuda": "12.1", "hip": None, "cuda_initialized": False}, {})
ENVIRONMENT = Environment("/e/bin/python", "3.9.1 (x) [GCC]", "cpython", "GCC", {}, {}, {}, "glibc 2.31", 0)


def process(*told: Line, role: str = "main", ended: bool = True) -> ProcessTrace:
    lines = (HELLO, *told, *((END,) if ended else ()))
    return build_trace(f"{role}.jsonl", role, lines, None)  # type: ignore[arg-type]  # lines of a trace


def uses(*processes: ProcessTrace) -> dict[str, object]:
    """Each use as True, False, or why it is not known."""
    facts = run.facts(processes)
    return {name: fact.value if isinstance(fact := facts[f"uses:{name}"], Known) else fact.reason for name in run.USES}


NOTHING_USED: dict[str, object] = dict.fromkeys(run.USES, False)


def test_a_process_that_uses_nothing() -> None:
    assert uses(process()) == NOTHING_USED


@pytest.mark.parametrize(
    ("told", "used"),
    [
        ((TORCH,), {"torch"}),
        ((msgspec.structs.replace(TORCH, facts={"cuda": "12.1", "cuda_initialized": True}),), {"torch", "cuda"}),
        ((TORCH, Gpu(0, "A", "sm_80", 108, 40)), {"torch", "cuda"}),
        ((Streams({}, {"torch": True, "numpy": False, "python": True}),), {"torch-random"}),
        ((Streams({}, {"numpy-generator": True}),), {"numpy-random"}),
        ((TORCH, Gpu(0, "A", "sm_80", 108, 40), Streams({}, {"torch-cuda": True})), {"torch", "cuda", "cuda-random"}),
        ((Loader(0, 2, 4, "RandomSampler", False, False, False, None),), {"workers"}),
        ((Loader(0, 0, 4, "RandomSampler", False, False, False, None),), set()),
    ],
)
def test_what_is_used(told: tuple[Line, ...], used: set[str]) -> None:
    expected = {name: name in used for name in run.USES}
    assert uses(process(*told)) == expected
    assert uses(process(), process(*told, role="rank 1")) == expected, "whichever process does"


def test_what_a_process_without_an_end_did_is_known_only_where_it_did() -> None:
    cut = process(TORCH, role="main/worker 0.1", ended=False)
    found = uses(process(), cut)
    assert found["torch"] is True
    assert found["torch-random"] == "main/worker 0.1 did not tell" == found["workers"]
    assert set(uses().values()) == {"the probe entered no process"}


def test_older_traces_do_not_say_whether_cuda_was_used() -> None:
    older = msgspec.structs.replace(TORCH, facts={"cuda": "12.1", "hip": None})
    assert uses(process(older))["cuda"] == "main did not tell" == uses(process(older))["cuda-random"]
    cpu = msgspec.structs.replace(TORCH, facts={"cuda": None, "hip": None})
    assert uses(process(cpu))["cuda"] is False is uses(process(cpu))["cuda-random"]


def test_the_code_is_what_any_process_imported() -> None:
    one, two = Source("a.py", "0" * 16), Source("b/c.py", "1" * 16)
    whole = run.code([process(Sources([one, two], 0))])
    assert isinstance(whole, Known)
    assert run.code([process(Sources([two], 0)), process(Sources([one, two], 0), role="rank 1")]) == whole
    assert run.code([process(Sources([one], 0))]) != whole
    assert run.code([process(Sources([one, Source("b/c.py", "2" * 16)], 0))]) != whole
    assert run.code([process(Sources([one, two], 3))]) == Unknown(
        "3 of the project's own source files could not be read"
    )
    assert run.code([process(Sources([], 0))]) == Unknown("no source file of the project was imported")
    assert run.code([process()]) == Unknown("the probe did not report it")


@pytest.mark.parametrize("version", ["1.13.0-cuda", "2.2.0-cuda", "2.13.0-cpu", "2.14.1-cuda"])
def test_what_torch_says_of_its_threads_and_libraries(version: str) -> None:
    threads = dispatch.parse_threads((CAPTURES / f"torch-parallel-{version}.txt").read_text(encoding="utf-8"))
    assert threads in ({"openmp": 3, "mkl": 3}, {"openmp": 2, "mkl": 2})
    config = libraries.parse_config((CAPTURES / f"torch-config-{version}.txt").read_text(encoding="utf-8"))
    expected = {
        "1.13.0-cuda": ("2020.0.0", "2.6.0"),
        "2.2.0-cuda": ("2022.2", "3.3.2"),
        "2.13.0-cpu": ("2024.2", "3.12.0"),
        "2.14.1-cuda": ("2024.2", "3.12.0"),
    }
    assert (config["mkl-version"], config["mkldnn-version"]) == expected[version]
    assert dispatch.parse_threads("") == {} == libraries.parse_config("")


def dispatched(numerics: Numerics | None, torch: Torch | None = None) -> dict[str, Fact]:
    return dispatch.facts(
        msgspec.structs.replace(NOTHING, environment=ENVIRONMENT, absent="absent", numerics=numerics, torch=torch)
    )


def test_what_libraries_dispatch_to() -> None:
    openblas = OpenBlas("libopenblas.so", "Haswell", 2)
    facts = dispatched(Numerics(["AVX2"], [openblas, openblas], mkl=12, onednn=0xE7))
    values = {name: fact.value for name, fact in facts.items() if isinstance(fact, Known)}
    assert values == {
        "dispatch:mkl": "AVX512",
        "dispatch:numpy": ("AVX2",),
        "dispatch:onednn": "avx512_core_bf16",
        "dispatch:openblas": "Haswell",
        "threads:openblas": 2,
    }
    several = dispatched(Numerics([], [openblas, OpenBlas("b", "Zen", 1)], mkl=None, onednn=None))
    assert several["dispatch:openblas"] == Known("Haswell and Zen", "openblas_get_corename")
    assert several["threads:openblas"] == Known("1 and 2", "openblas_get_num_threads")
    assert several["dispatch:numpy"] == Known((), "numpy's __cpu_features__ beyond its baseline")
    unknown = dispatched(Numerics(None, [OpenBlas("b", None, None)], mkl=99, onednn=0x12345))
    assert unknown["dispatch:mkl"] == Known("99", "mkl_cbwr_get_auto_branch")
    assert unknown["dispatch:onednn"] == Known("0x12345", "dnnl_get_effective_cpu_isa")
    assert isinstance(unknown["dispatch:openblas"], Unknown) and isinstance(unknown["dispatch:numpy"], Unknown)
    on_others = dispatched(Numerics([], [], mkl=dispatch.MKL_AUTO, onednn=None))
    assert on_others["dispatch:mkl"] == Unknown("MKL names no branch for this processor")


def test_libraries_that_were_not_asked() -> None:
    assert set(dispatched(None).values()) == {Unknown("absent"), Unknown("no torch was seen")}
    without_mkl = msgspec.structs.replace(TORCH, facts={"parallel": "\tomp_get_max_threads() : 4\n"})
    facts = dispatched(None, without_mkl)
    assert facts["threads:openmp"] == Known(4, "torch.__config__.parallel_info")
    assert facts["threads:mkl"] == Unknown("torch was built without it")
    assert dispatched(None, TORCH)["threads:mkl"] == Unknown("absent")


@pytest.mark.parametrize(
    ("text", "locale"),
    [
        ("C", "C"),
        ("LC_CTYPE=C.UTF-8;LC_NUMERIC=C;LC_TIME=C", "LC_CTYPE=C.UTF-8"),
        ("LC_CTYPE=C;LC_NUMERIC=C", "C"),
        ("de_DE.UTF-8", "de_DE.UTF-8"),
        ("", ""),
    ],
)
def test_locale(text: str, locale: str) -> None:
    assert libc.parse_locale(text) == locale


def test_builds_of_the_c_libraries() -> None:
    builds = {
        "/lib/libc.so.6": Build("aa", 1, 1),
        "/lib/libm.so.6": Build("bb", 1, 1),
        "/lib/libmvec.so.1": Build("cc", 1, 1),
        "/lib/libcrypto.so.3": Build("dd", 1, 1),
    }
    seen = msgspec.structs.replace(NOTHING, environment=ENVIRONMENT, mapped=tuple(builds), builds=builds)
    facts = libc.facts(seen)
    assert facts["libc:build-id"] == Known("aa", "its file's note")
    assert facts["libm:build-id"] == Known("bb", "its file's note")
    older = msgspec.structs.replace(seen, builds={})
    assert libc.facts(older)["libc:build-id"] == Unknown(seen.absent)


# What was loaded of the CUDA stack


def stack(
    installed: dict[str, str], mapped: Sequence[str], torch: dict[str, str | int | None] | None = None
) -> Fingerprint:
    """The fingerprint of a process with distributions, mapped files, and what torch says."""
    environment = msgspec.structs.replace(ENVIRONMENT, distributions=installed)
    facts: dict[str, str | int | float | bool | None] = {"cuda": "12.1", "cudnn": None, **(torch or {})}
    seen: Inside = msgspec.structs.replace(
        NOTHING,
        environment=environment,
        mapped=tuple(mapped),
        torch=Torch("step", "2.1.0", facts, {}),
        absent="absent",
    )
    layers: dict[str, dict[str, Fact]] = {layer: {} for layer in LAYERS}
    layers["libraries"] = {name: Known(version, "x") for name, version in installed.items()} | libraries.facts(seen)
    layers["cuda"] = cuda.facts(seen, Unknown("no driver"))
    return Fingerprint("auditor.fingerprint/1", layers)


SITE = "/home/user/env/lib/python3.9/site-packages"
CUDNN = {"nvidia-cudnn-cu12": "9.1.0.70"}


def test_the_version_that_was_loaded() -> None:
    ours = stack(CUDNN, [f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9"])
    assert ours.layers["cuda"]["loaded-version:cudnn"] == Known(
        "9.1.0.70", "the installed package that the files are of"
    )
    says = stack(CUDNN, [f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9"], {"cudnn": 90100})
    assert says.layers["cuda"]["loaded-version:cudnn"] == Known("9.1.0", "torch.backends.cudnn.version")
    system = stack({}, ["/usr/lib/libcublas.so.12.1.3.1", "/usr/lib/libcublasLt.so.12.1.3.1"])
    assert system.layers["cuda"]["loaded-version:cublas"] == Known("12.1.3.1", "the names of the files")
    nccl = stack({}, ["/usr/lib/libnccl.so.2"], {"nccl": "2.18.3"})
    assert nccl.layers["cuda"]["loaded-version:nccl"] == Known("2.18.3", "torch.cuda.nccl.version")
    soname = stack({}, [f"{SITE}/torch/lib/libcudart-e409450e.so.11.0"])
    assert isinstance(soname.layers["cuda"]["loaded-version:cudart"], Unknown)
    assert "loaded-version:cudnn" not in stack(CUDNN, []).layers["cuda"]
    assert cuda.parse_version(["/a/libx.so.1.2.3", "/a/liby.so.1.2.4"]) is None
    both = stack({**CUDNN, "nvidia-cudnn-cu11": "8.9.6.50"}, [f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9"])
    assert isinstance(both.layers["cuda"]["loaded-version:cudnn"], Unknown), "either may be what was loaded"


def rules(found: Fingerprint) -> list[tuple[str, str]]:
    return [(finding.rule, finding.severity) for finding in findings(found)]


def test_a_shadowed_library_is_found() -> None:
    shadowed = stack(CUDNN, ["/usr/lib/x86_64-linux-gnu/libcudnn.so.8.9.7"], {"cudnn": 8907})
    (finding,) = findings(shadowed)
    assert (finding.rule, finding.severity) == ("shadowed-library", "warning")
    assert finding.message.startswith(
        "installed metadata says cuDNN 9.1.0.70, but the process mapped 8.9.7 "
        "(/usr/lib/x86_64-linux-gnu/libcudnn.so.8.9.7)"
    )
    named = stack({"nvidia-cublas-cu12": "12.1.3.1"}, ["/usr/local/cuda/lib64/libcublas.so.12.4.5.8"])
    assert rules(named) == [("shadowed-library", "warning")]
    told = stack({"nvidia-nccl-cu12": "2.19.3"}, ["/opt/nccl/lib/libnccl.so.2"], {"nccl": "2.18.1"})
    assert rules(told) == [("shadowed-library", "warning")]
    untold = stack({"nvidia-cuda-runtime-cu12": "12.1.105"}, ["/usr/local/cuda/lib64/libcudart.so.12"])
    assert rules(untold) == [("shadowed-library", "note")]


@pytest.mark.parametrize(
    ("installed", "mapped", "torch"),
    [
        (CUDNN, [f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9"], {"cudnn": 90100}),
        (CUDNN, [], {"cudnn": 90100}),
        # The same release from elsewhere is the same library.
        (CUDNN, ["/usr/lib/libcudnn.so.9.1.0"], {"cudnn": 90100}),
        ({"nvidia-cuda-runtime-cu11": "11.7.99"}, [f"{SITE}/torch/lib/libcudart-e409450e.so.11.0"], {}),
        ({}, ["/usr/lib/libcudnn.so.8.9.7"], {"cudnn": 8907}),
        # Two generations are installed, and one of them is what was loaded.
        ({**CUDNN, "nvidia-cudnn-cu11": "8.9.6.50"}, [f"{SITE}/nvidia/cudnn/lib/libcudnn.so.9"], {"cudnn": 90100}),
        ({"nvidia-nccl-cu12": "2.19.3"}, [f"{SITE}/nvidia/nccl/lib/libnccl.so.2"], {"nccl": "2.19.3"}),
    ],
)
def test_nothing_is_shadowed(installed: dict[str, str], mapped: list[str], torch: dict[str, str | int | None]) -> None:
    assert rules(stack(installed, mapped, torch)) == []


@pytest.mark.parametrize("name", ["mapped-torch-1.13.0.txt", "mapped-torch-2.14.1.txt"])
def test_real_processes_show_nothing_wrong(name: str) -> None:
    mapped = (CAPTURES / name).read_text(encoding="utf-8").splitlines()
    installed = {
        "mapped-torch-1.13.0.txt": {"nvidia-cudnn-cu11": "8.5.0.96", "nvidia-cuda-runtime-cu11": "11.7.99"},
        "mapped-torch-2.14.1.txt": {"nvidia-cudnn-cu13": "9.24.0.43", "nvidia-nccl-cu13": "2.30.7"},
    }
    cudnn = {"mapped-torch-1.13.0.txt": 8500, "mapped-torch-2.14.1.txt": 92400}[name]
    assert rules(stack(installed[name], mapped, {"cudnn": cudnn})) == []


@pytest.mark.parametrize(
    ("installed", "loaded", "same"),
    [
        ("9.1.0.70", "9.1.0", True),
        ("9.1.0.70", "8.9.7", False),
        ("2.18.1", "2.18.1", True),
        ("12.1.3.1", "12.1.3", True),
        ("12.10.0", "12.1.0", False),
        ("1.0+cu12", "1.0", True),
        ("", "1", False),
    ],
)
def test_one_release(installed: str, loaded: str, same: bool) -> None:
    assert same_release(installed, loaded) is same


def test_two_openmp_runtimes_are_found() -> None:
    torch_own = f"{SITE}/torch/lib/libgomp-a34b3233.so.1"
    assert rules(stack({}, [torch_own])) == []
    assert rules(stack({}, [torch_own, f"{SITE}/scikit_learn.libs/libgomp-d22c30c5.so.1.0.0"])) == [
        ("duplicate-openmp-runtimes", "note")
    ]
    # Two of one name in two places are two.
    assert rules(stack({}, ["/a/lib/libgomp.so.1", "/b/lib/libgomp.so.1"])) == [("duplicate-openmp-runtimes", "note")]
    (finding,) = findings(stack({}, [torch_own, "/home/user/env/lib/libiomp5.so"]))
    assert (finding.rule, finding.severity) == ("duplicate-openmp-runtimes", "warning")
    assert "site-packages/torch/lib/libgomp-a34b3233.so.1" in finding.message
    assert "different makers" in finding.message


def test_two_blas_libraries_are_worth_a_note() -> None:
    numpy, scipy = (f"{SITE}/{name}.libs/libopenblas64_-1.so" for name in ("numpy", "scipy"))
    assert rules(stack({}, [numpy])) == []
    assert rules(stack({}, [numpy, scipy])) == [("duplicate-blas-runtimes", "note")]
    mkl = [f"/opt/env/lib/libmkl_{part}.so.2" for part in ("core", "rt", "intel_lp64", "intel_thread", "avx2")]
    assert rules(stack({}, mkl)) == [], "MKL is one library in several files"
    assert rules(stack({}, [*mkl, numpy])) == [("duplicate-blas-runtimes", "note")]
    debian = "/usr/lib/x86_64-linux-gnu/openblas-pthread"
    assert rules(stack({}, [f"{debian}/libblas.so.3", f"{debian}/libopenblasp-r0.3.21.so"])) == []


def test_a_described_interpreter_shows_nothing() -> None:
    assert findings(Fingerprint("auditor.fingerprint/1", {})) == ()
    assert findings(fingerprint.describe(None)) == ()


def test_what_a_failed_program_did_not_use_is_not_known() -> None:
    lines, _ = parse_trace((CAPTURES / "trace-before-origins.jsonl").read_bytes())
    trace = build_trace("100-1.jsonl", "main", lines, None)
    layer = fingerprint.from_traces([trace], "elsewhere", finished=False).layers["run"]
    assert layer["uses:torch-random"] == Known(True, "the probe")
    assert layer["uses:cuda"] == Unknown("the program did not end well")


def test_a_trace_from_before_is_still_read() -> None:
    lines, problem = parse_trace((CAPTURES / "trace-before-origins.jsonl").read_bytes())
    assert problem is None
    trace = build_trace("100-1.jsonl", "main", lines, None)
    found = fingerprint.from_traces([trace], "elsewhere")
    reported = Unknown("the probe did not report it")
    assert found.layers["run"]["uses:torch-random"] == Known(True, "the probe")
    assert found.layers["run"]["uses:cuda"] == Known(False, "the probe")
    assert found.layers["run"]["code"] == reported
    assert found.layers["hardware"]["dispatch:openblas"] == reported
    assert found.layers["os"]["libc:build-id"] == reported == found.layers["os"]["locale"]
    assert found.layers["hardware"]["dispatch"] == Known("AVX2", "torch.backends.cpu.get_cpu_capability")
    assert isinstance(found.layers["libraries"]["object:libtorch_cpu.so"], Unknown)
    here = fingerprint.from_traces([trace], "here", project=CAPTURES)
    assert here.layers["run"]["data"] == reported
