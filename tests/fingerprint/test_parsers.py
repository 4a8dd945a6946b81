"""What is read from real systems' texts, captured in ``captures/``, and from texts that say little."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.fingerprint import container, cpu, cuda, description, interpreter, libc, libraries, packages, variables

CAPTURES = Path(__file__).parent / "captures"

# Written after the kernel's format, from no machine.
ARM = """processor\t: 0
BogoMIPS\t: 50.00
Features\t: fp asimd evtstrm aes sha1 fphp asimdhp sve bf16 i8mm
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd40
CPU revision\t: 1
"""


def captured(name: str) -> str:
    return (CAPTURES / name).read_text(encoding="utf-8")


def test_processor() -> None:
    processor = cpu.parse_cpuinfo(captured("cpuinfo-amd-epyc-milan.txt"))
    assert processor.model == "AMD EPYC (family 25, model 1, stepping 1)"
    assert processor.microcode == "0x1000065"
    expected = "avx avx2 f16c fma pni sse sse2 sse4_1 sse4_2 sse4a ssse3"
    assert processor.extensions == tuple(expected.split())


def test_processor_of_arm() -> None:
    processor = cpu.parse_cpuinfo(ARM)
    assert processor.model == "(Arm 0x41 0xd40 0x1 1)"
    assert processor.microcode == ""
    assert processor.extensions == ("asimd", "asimdhp", "bf16", "fphp", "i8mm", "sve")


def test_processor_of_nothing() -> None:
    assert cpu.parse_cpuinfo("") == cpu.Processor(model="", microcode="", extensions=())


@pytest.mark.parametrize(
    ("text", "release"),
    [
        (captured("os-release-debian-12.txt"), "Debian GNU/Linux 12 (bookworm)"),
        ("NAME=Alpine\nVERSION_ID=3.20.1\n", "Alpine 3.20.1"),
        ("NAME='Odd \"Linux\"'\n# PRETTY_NAME=no\n", 'Odd "Linux"'),
        ('PRETTY_NAME="unclosed\n', '"unclosed'),
        ("", ""),
    ],
)
def test_release(text: str, release: str) -> None:
    assert container.parse_os_release(text) == release


def test_groups() -> None:
    outside = container.parse_groups(captured("cgroup-version-1.txt"))
    assert outside["cpu"] == "/" and outside[""] == "/"
    inside = container.parse_groups(captured("cgroup-version-1-docker.txt"))
    assert inside["memory"] == inside[""]
    assert inside["memory"].startswith("/docker/")


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("150000 100000\n", 1.5), ("max 100000\n", None), ("-1 100000", None), ("1 0", None), ("", None), ("x y", None)],
)
def test_processors_allowed(text: str, cpus: float | None) -> None:
    assert container.parse_cpu_max(text) == cpus


@pytest.mark.parametrize(
    ("text", "memory"),
    [("536870912\n", 536870912), ("max\n", None), ("9223372036854771712\n", None), ("", None), ("-1", None)],
)
def test_memory_allowed(text: str, memory: int | None) -> None:
    assert container.parse_memory(text) == memory


def test_the_narrowest_limit_counts(tmp_path: Path) -> None:
    groups = tmp_path / "cgroup"
    groups.write_text("0::/a/b\n", encoding="utf-8")
    inner = tmp_path / "root" / "a" / "b"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("max 100000\n", encoding="utf-8")
    (inner / "memory.max").write_text("2000000\n", encoding="utf-8")
    (inner.parent / "cpu.max").write_text("50000 100000\n", encoding="utf-8")
    (inner.parent / "memory.max").write_text("1000000\n", encoding="utf-8")
    assert container.read_limits(groups, tmp_path / "root") == container.Limits(cpus=0.5, memory=1000000)


def test_limits_of_version_1_in_a_container_are_at_its_root(tmp_path: Path) -> None:
    groups = CAPTURES / "cgroup-version-1-docker.txt"
    for name, text in (
        ("cpu/cpu.cfs_quota_us", "150000\n"),
        ("cpu/cpu.cfs_period_us", "100000\n"),
        ("memory/memory.limit_in_bytes", "536870912\n"),
    ):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert container.read_limits(groups, tmp_path) == container.Limits(cpus=1.5, memory=536870912)


def test_groups_above_this_namespace_are_left_alone(tmp_path: Path) -> None:
    groups = tmp_path / "cgroup"
    groups.write_text("0::/../../elsewhere\n", encoding="utf-8")
    (tmp_path / "root").mkdir()
    (tmp_path / "memory.max").write_text("1\n", encoding="utf-8")
    assert container.read_limits(groups, tmp_path / "root") == container.Limits(cpus=None, memory=None)


@pytest.mark.parametrize(
    ("arguments", "runtime"),
    [
        ({}, "none"),
        ({"docker": True}, "docker"),
        ({"podman": True, "docker": True}, "podman"),
        ({"kubernetes": True}, "kubernetes"),
        ({"variable": "systemd-nspawn"}, "systemd-nspawn"),
        ({"variable": "a secret"}, "none"),
        ({"groups": captured("cgroup-version-1-docker.txt")}, "docker"),
        ({"groups": captured("cgroup-version-1.txt")}, "none"),
    ],
)
def test_container(arguments: dict[str, str | bool], runtime: str) -> None:
    none: dict[str, str | bool] = {"groups": "", "docker": False, "podman": False, "kubernetes": False, "variable": ""}
    assert container.parse_container(**{**none, **arguments}) == runtime  # type: ignore[arg-type]  # values by name


@pytest.mark.parametrize(
    ("number", "version"), [(8500, "8.5.0"), (8902, "8.9.2"), (7605, "7.6.5"), (90100, "9.1.0"), (92400, "9.24.0")]
)
def test_cudnn_version(number: int, version: str) -> None:
    assert cuda.parse_cudnn(number) == version


@pytest.mark.parametrize(
    ("text", "version", "build", "compiler"),
    [
        (
            "3.8.18 (default, May  9 2026, 07:33:04)  [GCC 12.2.0]",
            "3.8.18",
            "default, May  9 2026, 07:33:04",
            "GCC 12.2.0",
        ),
        ("3.13.0 (main, May  9 2026, 07:36:57) [GCC 12.2.0]", "3.13.0", "main, May  9 2026, 07:36:57", "GCC 12.2.0"),
        ("3.9.1 | packaged by conda-forge | (default, x)  [GCC 9]", "3.9.1", "default, x", "GCC 9"),
        (
            "3.13.0 experimental free-threading build (main, x) [Clang 18]",
            "3.13.0",
            "main, x, free-threading",
            "Clang 18",
        ),
        ("", "", "", ""),
    ],
)
def test_interpreter(text: str, version: str, build: str, compiler: str) -> None:
    assert interpreter.parse_version(text) == version
    assert interpreter.parse_build(text) == build
    assert description.parse_compiler(text) == compiler


@pytest.mark.parametrize(
    ("name", "version", "cuda_version"),
    [
        ("1.13.0-cuda", "1.13.0+cu117", "11.7"),
        ("2.2.0-cuda", "2.2.0+cu121", "12.1"),
        ("2.13.0-cpu", "2.13.0+cpu", None),
        ("2.14.1-cuda", "2.14.1+cu130", "13.0"),
    ],
)
def test_torch_without_importing_it(name: str, version: str, cuda_version: str | None) -> None:
    torch = description.parse_torch_version(captured(f"torch-version-{name}.txt"))
    assert torch is not None
    assert torch.version == version
    assert torch.facts["cuda"] == cuda_version
    assert torch.facts["debug"] is False
    assert torch.facts["hip"] is None
    assert len(str(torch.facts["git"])) == 40


def test_no_torch_in_another_file() -> None:
    assert description.parse_torch_version("import os\n__version__ = os.name\n") is None


def test_libraries_mapped() -> None:
    kinds = {**libraries.KINDS, **cuda.KINDS, **libc.KINDS}
    found = libraries.parse_mapped(captured("mapped-torch-1.13.0.txt").splitlines(), kinds)
    assert found["openmp"] == ("site-packages/torch/lib/libgomp-a34b3233.so.1",)
    assert found["blas"] == ("site-packages/numpy.libs/libopenblas64_p-r0-15028c96.3.21.so",)
    assert found["cudnn"] == ("site-packages/nvidia/cudnn/lib/libcudnn.so.8",)
    assert found["cudart"] == ("site-packages/torch/lib/libcudart-e409450e.so.11.0",)
    assert found["driver"] == found["nccl"] == found["onednn"] == ()
    assert found["libm"] == ("/usr/lib/x86_64-linux-gnu/libm.so.6",)
    assert found["libc"] == ("/usr/lib/x86_64-linux-gnu/libc.so.6",)
    newer = libraries.parse_mapped(captured("mapped-torch-2.14.1.txt").splitlines(), kinds)
    assert newer["nccl"] == ("site-packages/nvidia/nccl/lib/libnccl.so.2",)
    assert newer["cublas"] == (
        "site-packages/nvidia/cu13/lib/libcublas.so.13",
        "site-packages/nvidia/cu13/lib/libcublasLt.so.13",
    )


def test_two_openmp_runtimes_show() -> None:
    paths = ["/home/user/env/lib/libiomp5.so", "/usr/lib/libgomp.so.1", "/home/other/libomp.so"]
    found = libraries.parse_mapped(paths, libraries.KINDS, "/home/user/env/bin/python")
    assert found["openmp"] == (".../libomp.so", "/usr/lib/libgomp.so.1", "{prefix}/lib/libiomp5.so")


@given(st.text())
def test_a_shortened_path_names_no_home(name: str) -> None:
    assert "/home/" not in libraries.shortened(f"/home/user/{name.replace('/', '')}")


def test_names_of_distributions_are_normalised() -> None:
    assert packages.normalised("Ruamel.yaml__clib") == "ruamel-yaml-clib"


@given(st.dictionaries(st.text(), st.text()))
def test_only_allowed_variables_are_shown_and_none_is_empty(given_variables: dict[str, str]) -> None:
    shown = variables.allowed({**given_variables, "OMP_NUM_THREADS": ""})
    assert set(shown) <= variables.NAMES
    assert shown["OMP_NUM_THREADS"] == "(empty)"


def test_paths_in_variables_are_cut_to_what_matters() -> None:
    user, administrator = "/".join(("", "home", "user")), "/" + "root"
    searched = f"{user}/lib:/usr/local/cuda-12.4/lib64:/:/opt//torch/lib/;{administrator}/x:/rooted/y:"
    shown = variables.allowed({"LD_PRELOAD": f"{user}/a.so:/opt/b.so c.so", "LD_LIBRARY_PATH": searched})
    assert shown == {
        "LD_PRELOAD": ("a.so", "b.so", "c.so"),
        "LD_LIBRARY_PATH": ("~/lib", "cuda-12.4/lib64", "/", "torch/lib", "~/x", "rooted/y", "."),
    }
