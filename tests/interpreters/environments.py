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


# Each interpreter with the oldest torch from 1.13 on, and the newest, that has a wheel for it.
TORCH = (
    Environment("3.8", ("torch==1.13.0", "numpy==1.24.4")),
    Environment("3.8", ("torch==2.4.1", "numpy==1.24.4")),
    Environment("3.10", ("torch==2.14.1", "numpy==2.2.6")),
    Environment("3.12", ("torch==2.2.0", "numpy==1.26.4")),
    Environment("3.12", ("torch==2.14.1", "numpy==2.5.5")),
)
NUMPY = (Environment("3.8", ("numpy==1.24.4",)), Environment("3.13", ("numpy==2.5.5",)))
BARE = tuple(Environment(python) for python in ("3.8", "3.9", "3.10", "3.12", "3.13"))


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
    """The environment's interpreter, made in ``home`` unless it is there; raises Unavailable."""
    base = interpreters().get(environment.python)
    if base is None:
        raise Unavailable(f"no Python {environment.python} is on this machine (pyenv's and PATH were searched)")
    wanted = hashlib.sha256("\n".join([str(base), *environment.packages]).encode()).hexdigest()[:8]
    directory = home / f"{environment.id}-{wanted}"
    python = directory / "bin" / "python"
    if (directory / "complete").exists():
        return python
    shutil.rmtree(directory, ignore_errors=True)
    uv = _uv()
    if uv is not None:
        _do([*uv, "venv", "--quiet", "--no-project", "--python", str(base), str(directory)])
        install = [*uv, "pip", "install", "--quiet", "--python", str(python)]
    else:
        _do([str(base), "-m", "venv", str(directory)])
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if environment.packages:
        _do([*install, "--only-binary", ":all:", *environment.packages])
    (directory / "complete").touch()
    return python


def _uv() -> list[str] | None:
    """uv, which installs from its cache without copying: beside the tests' own interpreter, or on PATH."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    return None if found is None else [found]


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
