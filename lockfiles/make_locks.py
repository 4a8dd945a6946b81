"""Writes the locks beside it from pyproject.toml; `make lock` runs it in an environment that has uv."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OLDEST_PYTHON = "3.10"
# What only the CUDA build of torch needs.
CUDA_ONLY = re.compile(r"(nvidia|cuda)-[a-z0-9-]+|triton")


def resolve(
    requirements: list[str], output: Path, constraints: tuple[Path, ...], upgrade: bool, python: str | None = None
) -> None:
    """Lock ``requirements`` with the hash of every file.

    For every supported Python and platform, or for one ``python`` (``3.8``) on Linux.
    """
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(scratch) / "requirements.in"
        source.write_text("".join(f"{line}\n" for line in requirements))
        command = [sys.executable, "-m", "uv", "pip", "compile", str(source), "--output-file", str(output)]
        if python is None:
            command += ["--universal", "--python-version", OLDEST_PYTHON]
        else:
            command += ["--python-version", python, "--python-platform", "x86_64-manylinux_2_28"]
        command += ["--generate-hashes", "--quiet"]
        command += ["--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--no-header"]
        for constraint in constraints:
            command += ["--constraint", str(constraint)]
        if upgrade:
            command += ["--upgrade"]
        subprocess.run(command, check=True, cwd=ROOT)
    output.write_text(f"# Written by `make lock`; do not edit.\n{output.read_text()}")


def entries(lock: str) -> dict[str, str]:
    """The entries of a lock by package name and marker, hashes included."""
    return {entry.splitlines()[0]: entry for entry in re.findall(r"^[a-z0-9].*?(?=^[a-z0-9]|\Z)", lock, re.M | re.S)}


def mac_wheels(requirement: str) -> list[str]:
    """Hashes of the macOS wheels of ``requirement`` on the index: they have no CUDA in them."""
    with tempfile.TemporaryDirectory() as scratch:
        source, output = Path(scratch) / "requirements.in", Path(scratch) / "pylock.toml"
        source.write_text(f"{requirement}\n")
        command = [sys.executable, "-m", "uv", "pip", "compile", str(source), "--output-file", str(output), "--quiet"]
        command += ["--universal", "--python-version", OLDEST_PYTHON, "--format", "pylock.toml", "--no-deps"]
        subprocess.run(command, check=True)
        (package,) = tomllib.loads(output.read_text())["packages"]
    return [wheel["hashes"]["sha256"] for wheel in package["wheels"] if "macosx" in wheel["url"]]


def cpu_lock(cuda_lock: str, wheels: str, torch: str) -> str:
    """The lock ``cuda_lock`` with the CPU builds of torch: no CUDA packages, other hashes.

    ``wheels`` holds lines of ``sha256sum`` over the CPU wheels that the index lacks.
    """
    hashes = [line.split()[0] for line in wheels.splitlines()] + mac_wheels(torch)
    kept = []
    for head, entry in entries(cuda_lock).items():
        name = head.split("==")[0]
        if name == "torch":
            kept.append(" \\\n".join([torch, *(f"    --hash=sha256:{digest}" for digest in sorted(hashes))]) + "\n")
        elif not CUDA_ONLY.fullmatch(name):
            kept.append(entry)
    return "# Written by `make lock`; do not edit.\n" + "".join(kept)


def without_torch(lock: str) -> str:
    """The lock without torch and what only its CUDA build needs: those come from another lock."""
    kept = []
    for head, entry in entries(lock).items():
        name = head.split("==")[0]
        if name != "torch" and not CUDA_ONLY.fullmatch(name):
            kept.append(entry)
    return "# Written by `make lock`; do not edit.\n" + "".join(kept)


def main() -> int:
    """Write every lock; pins that still satisfy pyproject.toml are kept unless an upgrade is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions instead of keeping pins")
    upgrade = parser.parse_args().upgrade
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras, groups = declared["project"]["optional-dependencies"], declared["dependency-groups"]
    auditor, cuda, cpu = HERE / "auditor.txt", HERE / "cuda.txt", HERE / "cpu.txt"

    resolve(declared["project"]["dependencies"] + groups["build"], auditor, (), upgrade)
    resolve(extras["torch"], cuda, (auditor,), upgrade)
    (torch,) = (requirement for requirement in extras["torch"] if requirement.startswith("torch=="))
    cpu.write_text(cpu_lock(cuda.read_text(), (HERE / "torch-cpu-wheels.sha256").read_text(), torch))
    resolve(extras["dev"], HERE / "dev.txt", (auditor, cuda), upgrade)
    integrations = HERE / "integrations.txt"
    wanted = [line for line in (HERE / "integrations.in").read_text().splitlines() if not line.startswith("#")]
    resolve(wanted, integrations, (auditor, cuda, HERE / "dev.txt"), upgrade)
    integrations.write_text(without_torch(integrations.read_text()))
    resolve(extras["ray"] + extras["slurm"], HERE / "clusters.txt", (auditor, HERE / "dev.txt"), upgrade)
    resolve(groups["lock"], HERE / "lock.txt", (), upgrade)
    for line in (HERE / "interpreters.in").read_text().splitlines():
        python, *packages = line.split()
        if packages and python != "#":
            name = "-".join([f"python{python}", *(package.replace("==", "-") for package in packages)])
            resolve(packages, HERE / "interpreters" / f"{name}.txt", (), upgrade, python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
