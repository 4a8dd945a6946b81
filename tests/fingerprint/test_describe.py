"""Any interpreter on the machine described: without importing torch, the same twice, and bad ones refused."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import msgspec
import pytest

from auditor import fingerprint
from auditor.cli import main
from auditor.errors import UsageError
from auditor.fingerprint import description
from auditor.records.fingerprint import Fact, Fingerprint, Known, Unknown

SECRET = "correct-horse-battery-staple"
VERSION = ".".join(map(str, sys.version_info[:3]))


def facts(found: Fingerprint) -> dict[str, Fact]:
    return {f"{layer}/{name}": fact for layer, named in found.layers.items() for name, fact in named.items()}


def script(path: Path, text: str) -> Path:
    """An executable file that is no interpreter."""
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_this_interpreter() -> None:
    found = facts(fingerprint.describe(sys.executable))
    assert found["interpreter/version"] == Known(VERSION, "sys.version")
    assert found["interpreter/implementation"] == Known(sys.implementation.name, "sys.implementation")
    assert found["libraries/msgspec"] == Known(msgspec.__version__, "installed metadata")
    assert isinstance(found["hardware/cpu"], Known)
    assert isinstance(found["os/libc"], Known)
    assert found["interpreter/hash-seed"] == Unknown("chosen for each process: an audit reports it")


def test_no_fact_is_empty() -> None:
    for name, fact in facts(fingerprint.describe(sys.executable)).items():
        said = fact.reason if isinstance(fact, Unknown) else fact.source
        assert said, name
        assert not isinstance(fact, Known) or fact.value != "", name


def test_the_same_in_any_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = fingerprint.describe(sys.executable)
    assert fingerprint.describe(sys.executable) == before
    monkeypatch.setenv("LC_ALL", "tr_TR.UTF-8")
    monkeypatch.setenv("TZ", "Pacific/Chatham")
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "json.py").write_text("raise ImportError('the wrong one')", encoding="utf-8")
    assert fingerprint.describe(sys.executable) == before
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fingerprint.describe(sys.executable) == before


def test_bytes_that_are_no_text_spoil_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_SCHEDULE", "\udcff")
    monkeypatch.setenv("XLA_FLAGS", "--dump=gs://me:hidden@host/x")
    found = facts(fingerprint.describe(sys.executable))
    assert found["interpreter/variable:OMP_SCHEDULE"] == Known("\\udcff", "environment")
    assert found["interpreter/variable:XLA_FLAGS"] == Known("--dump=gs://host/x", "environment")


def test_torch_is_found_and_not_imported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "torch"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('torch was imported')", encoding="utf-8")
    (package / "version.py").write_text("__version__ = '9.8.7+cpu'\ndebug = False\ncuda = None\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = facts(fingerprint.describe(sys.executable))
    assert found["libraries/torch:version"] == Known("9.8.7+cpu", "torch/version.py")
    assert found["cuda/cuda"] == Known("none", "torch/version.py")
    assert found["cuda/hip"] == Unknown(description.NOT_RUNNING)


@pytest.mark.parametrize("name", ["numpy", "json", "libc", "container"])
def test_what_lies_beside_the_script_is_not_imported(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / f"{name}.py").write_text("raise RuntimeError('imported')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert isinstance(facts(fingerprint.describe(sys.executable))["interpreter/version"], Known)


def test_what_the_interpreter_prints_when_it_starts_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('welcome', end='')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = facts(fingerprint.describe(sys.executable))
    assert found["interpreter/version"] == Known(VERSION, "sys.version")


def test_variables_by_name_only(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "HF_TOKEN", "TORCH_HUB_TOKEN", "MKL_SECRET", "OMP_PASSWORD", "CUDA_API_KEY"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = fingerprint.describe(sys.executable)
    assert facts(found)["interpreter/variable:OMP_NUM_THREADS"] == Known("3", "environment")
    assert SECRET not in msgspec.json.encode(found).decode()
    for form in ("terminal", "json"):
        assert main(["fingerprint", "--python", sys.executable, "--format", form]) == 0
        printed = capsys.readouterr()
        assert "3" in printed.out and SECRET not in printed.out + printed.err


def test_by_name_by_virtual_environment_and_by_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = tmp_path / "env" / "bin" / "python"
    wanted.parent.mkdir(parents=True)
    script(wanted, f'exec "{sys.executable}" "$@"')
    assert description.find(str(tmp_path / "env")) == str(wanted)
    monkeypatch.setenv("PATH", str(wanted.parent), prepend=os.pathsep)
    assert description.find("python") == str(wanted)
    assert description.find(None) == str(wanted)
    assert facts(fingerprint.describe(None))["interpreter/version"] == Known(VERSION, "sys.version")


def test_a_relative_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script(tmp_path / "python", f'exec "{sys.executable}" "$@"')
    monkeypatch.chdir(tmp_path)
    assert description.find("./python") == str(tmp_path / "python")


def test_no_interpreter(tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("x", encoding="utf-8")
    for given in ("no-such-python", str(tmp_path / "none"), str(tmp_path), str(tmp_path / "plain.txt"), ""):
        with pytest.raises(UsageError) as raised:
            fingerprint.describe(given)
        assert raised.value.slug == "interpreter-not-found", given


@pytest.mark.parametrize(
    ("text", "slug", "words"),
    [
        ("exit 0", "interpreter-failed", "printed no description of itself"),
        ("echo broken >&2; exit 3", "interpreter-failed", "ended with exit code 3: broken"),
        ("echo 'auditor-describes:{}'", "interpreter-failed", "described itself in another form"),
        ("echo 'version 3.7'; exit 1", "interpreter-too-old", "is Python 3.7"),
        ("echo 'version 2.7'; exit 1", "interpreter-too-old", "is Python 2.7"),
        ("kill -9 $$", "interpreter-failed", "ended with exit code -9"),
    ],
)
def test_what_does_not_describe_itself(text: str, slug: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        fingerprint.describe(str(script(tmp_path / "python", text)))
    assert raised.value.slug == slug
    assert words in raised.value.what


def test_what_is_no_program(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_bytes(b"\x7fELF nothing")
    broken.chmod(0o755)
    with pytest.raises(UsageError) as raised:
        fingerprint.describe(str(broken))
    assert raised.value.slug == "interpreter-failed"


def test_what_never_answers(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as raised:
        description.run(str(script(tmp_path / "python", "exec cat /dev/zero > /dev/null")), timeout=0.2)
    assert raised.value.slug == "interpreter-failed"
    assert "did not answer within 0.2 seconds" in raised.value.what


def test_the_verb_writes_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "fingerprint.json"
    assert main(["fingerprint", "--python", sys.executable, "-o", str(file)]) == 0
    assert capsys.readouterr().out == ""
    written = msgspec.json.decode(file.read_bytes(), type=Fingerprint)
    assert written == fingerprint.describe(sys.executable)
    assert main(["fingerprint", "--python", sys.executable, "--format", "json"]) == 0
    assert capsys.readouterr().out == file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "slug"),
    [
        (["--format", "junit"], "unknown-format"),
        (["-o", "/no/such/directory/file.json"], "cannot-write"),
        (["--python", "no-such-python"], "interpreter-not-found"),
    ],
)
def test_the_verb_refuses(arguments: list[str], slug: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fingerprint", *arguments]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and slug in printed.err and "Traceback" not in printed.err
