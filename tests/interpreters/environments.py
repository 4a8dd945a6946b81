"""The interpreters on this machine, and virtual environments of them with the oldest and newest torch."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "lockfiles"
# Only a hang ends by it: torch's CUDA builds are several gigabytes.
LIMIT = 1800


@dataclasses.dataclass(frozen=True)
class Environment:
    """An interpreter (``3.8``) and the packages in its virtual environment, none for a bare one."""

    python: str
    packages: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        return "-".join((f"python{self.python}", *(package.replace("==", "-") for package in self.packages)))


def _listed() -> tuple[Environment, ...]:
    lines = [line.split() for line in (LOCKS / "interpreters.in").read_text(encoding="utf-8").splitlines()]
    return tuple(Environment(python, tuple(packages)) for python, *packages in lines if python != "#")


TORCH = tuple(one for one in _listed() if any(package.startswith("torch==") for package in one.packages))
NUMPY = tuple(one for one in _listed() if one.packages and one not in TORCH)
BARE = tuple(one for one in _listed() if not one.packages)


class Unavailable(Exception):
    """An environment cannot be had on this machine, and why."""


def interpreters() -> dict[str, Path]:
    """The interpreters of this machine by version (``3.8``).

    Those that ``AUDITOR_INTERPRETERS`` names (paths, separated as in PATH), else pyenv's and ``python3.X`` on PATH.
    """
    named = os.environ.get("AUDITOR_INTERPRETERS")
    if named is not None:
        candidates = [Path(name) for name in named.split(os.pathsep) if name]
    else:
        pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser() / "versions"
        candidates = sorted(pyenv.glob("3.*/bin/python"))
        candidates += [Path(found) for minor in range(8, 15) if (found := shutil.which(f"python3.{minor}")) is not None]
    versions: dict[str, Path] = {}
    for candidate in candidates:
        version = _version(candidate)
        if version is not None:
            versions.setdefault(version, candidate)
    return versions


def make(environment: Environment, home: Path) -> Path:
    """The environment's interpreter, made from its lock in ``home`` unless it is there; raises Unavailable."""
    base = interpreters().get(environment.python)
    if base is None:
        raise Unavailable(f"no Python {environment.python} is on this machine (pyenv's and PATH were searched)")
    lock = LOCKS / "interpreters" / f"{environment.id}.txt"
    wanted = hashlib.sha256(str(base).encode() + (lock.read_bytes() if environment.packages else b"")).hexdigest()[:8]
    directory = home / f"{environment.id}-{wanted}"
    python = directory / "bin" / "python"
    if (directory / "complete").exists():
        return python
    shutil.rmtree(directory, ignore_errors=True)
    tool = uv(home)
    _do([tool, "venv", "--quiet", "--no-project", "--python", str(base), str(directory)])
    if environment.packages:
        _do([tool, "pip", "install", "--quiet", "--python", str(python), "--require-hashes", "-r", str(lock)])
    (directory / "complete").touch()
    return python


def uv(home: Path) -> str:
    """uv, from its lock: it unpacks a wheel once, and every environment after that shares the files."""
    lock = LOCKS / "lock.txt"
    directory = home / f"uv-{hashlib.sha256(lock.read_bytes()).hexdigest()[:8]}"
    if not (directory / "complete").exists():
        _do([sys.executable, "-m", "venv", "--clear", str(directory)])
        pip = [str(directory / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check"]
        _do([*pip, "install", "--require-hashes", "-r", str(lock)])
        (directory / "complete").touch()
    return str(directory / "bin" / "uv")


def _version(python: Path) -> str | None:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _do(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["nothing was said"]
        raise Unavailable(f"it cannot be installed: {said[-1][:300]}")
