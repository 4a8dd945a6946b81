"""The real image, built from the checkout's own files, with only the base image swapped where none can be pulled."""

from __future__ import annotations

import dataclasses
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TAG = "auditor-test/image:local"
# What `shared/docker-engine/start` makes; AUDITOR_TEST_BASE_IMAGE names another.
STANDIN = "auditor-standin/cuda-ubuntu22.04:local"


def output(command: Sequence[str], cwd: Path | None = None) -> str:
    """The standard output of a command that succeeds."""
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def base_image() -> str | None:
    """The base to build on; None is the Dockerfile's own."""
    named = os.environ.get("AUDITOR_TEST_BASE_IMAGE")
    if named:
        return named
    known = subprocess.run(["docker", "image", "inspect", STANDIN], capture_output=True)
    return STANDIN if known.returncode == 0 else None


def cpu_wheels() -> list[Path]:
    """Wheels of torch's CPU build in the directories that pip has been told to look in."""
    configured = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.find-links"], capture_output=True, text=True
    )
    places = f"{os.environ.get('PIP_FIND_LINKS', '')} {configured.stdout}".split()
    return sorted({wheel for place in places for wheel in Path(place).glob("torch-*+cpu-*.whl")})


@pytest.fixture(scope="session")
def context(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout without what git ignores, as a fresh clone is; with the machine's CPU wheels of torch."""
    directory = tmp_path_factory.mktemp("context")
    for name in output(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT).split("\0"):
        if name and not name.startswith("tests/") and (ROOT / name).is_file():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / name)
    for wheel in cpu_wheels():
        shutil.copy2(wheel, directory / "wheels" / wheel.name)
    return directory


Build = Callable[..., str]


@pytest.fixture(scope="session")
def build(context: Path, base_image: str | None) -> Build:
    """``build(tag, ARGUMENT=value)`` builds the image; the builder reaches the package index as this machine does."""

    def build_image(tag: str, **arguments: str) -> str:
        if base_image:
            arguments["BASE_IMAGE"] = base_image
        command = ["docker", "build", "--network", "host", "--tag", tag]
        for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
            if name in os.environ:
                command += ["--build-arg", name]
        for name, value in sorted(arguments.items()):
            command += ["--build-arg", f"{name}={value}"]
        done = subprocess.run([*command, str(context)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout[-5000:]
        return tag

    return build_image


@pytest.fixture(scope="session")
def image(context: Path, build: Build) -> str:
    """The image, with torch's CPU build where that can be had."""
    cpu = any((context / "wheels").glob("*.whl")) or "PIP_EXTRA_INDEX_URL" in os.environ
    return build(TAG, LOCK="cpu" if cpu else "cuda")


@dataclasses.dataclass(frozen=True)
class Compose:
    """Compose with the checkout's own file."""

    file: Path
    image: str

    def config(self, *overrides: Path) -> str:
        """The file as Compose understands it, with ``overrides``."""
        files = [word for file in (self.file, *overrides) for word in ("-f", str(file))]
        return output([*self._command(), *files, "config"])

    def run(self, project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """``docker compose run --rm audit …``, typed in ``project``."""
        environment = {**os.environ, "AUDITOR_IMAGE": self.image, "PWD": str(project)}
        return subprocess.run(
            [*self._command(), "-f", str(self.file), "run", "--rm", "audit", *arguments],
            cwd=project,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    @staticmethod
    def _command() -> list[str]:
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True)
        return ["docker", "compose"] if plugin.returncode == 0 else ["docker-compose"]


@pytest.fixture(scope="session")
def compose(context: Path, image: str) -> Compose:
    """Compose with the image."""
    return Compose(context / "docker-compose.yml", image)


@pytest.fixture(scope="session")
def compose_with(context: Path) -> Callable[[str], Compose]:
    """Compose with another image."""
    return lambda tag: Compose(context / "docker-compose.yml", tag)
