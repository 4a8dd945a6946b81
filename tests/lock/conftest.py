"""Tiny wheels and environments made of them: no network, and nothing of this machine's own configuration."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uv

Wheel = Callable[[str, str], Path]
Make = Callable[..., Path]


@pytest.fixture(autouse=True)
def _of_no_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No configuration of pip or uv but what a test says, and no network to fall back on."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "wheels").mkdir()
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    yield


@pytest.fixture
def wheel(tmp_path: Path) -> Wheel:
    """Put a wheel without dependencies into the directory that pip is configured with."""

    def make(name: str, version: str) -> Path:
        stem = f"{name.replace('-', '_')}-{version}"
        files = {
            f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n",
            f"{stem}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
            f"{stem}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        record = f"{stem}.dist-info/RECORD"
        lines = [f"{path},sha256={_digest(text)},{len(text)}" for path, text in files.items()]
        files[record] = "\n".join([*lines, f"{record},,", ""])
        path = tmp_path / "wheels" / f"{stem}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name_inside, text in files.items():
                # The same bytes, and the same digest, whenever it is made.
                archive.writestr(zipfile.ZipInfo(name_inside), text)
        return path

    return make


@pytest.fixture
def environment(tmp_path: Path) -> Make:
    """Make a virtual environment with these requirements in it, installed from the wheels; returns its directory."""

    def make(*requirements: str, name: str = "env") -> Path:
        directory = tmp_path / name
        if not directory.exists():
            venv.create(directory, with_pip=False, symlinks=True)
        install(directory, *requirements)
        return directory

    return make


def install(environment: Path, *requirements: str) -> None:
    """Install into a virtual environment that has no pip of its own."""
    if requirements:
        command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--python", str(environment / "bin" / "python")]
        subprocess.run(
            [*command, "--no-index", "--find-links", os.environ["PIP_FIND_LINKS"], *requirements], check=True
        )


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def sha256(path: Path) -> str:
    """A file's digest."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


PYTHON = sys.executable
