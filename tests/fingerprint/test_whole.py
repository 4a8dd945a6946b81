"""The whole way: the command in real processes in other surroundings, and audits with secrets planted around them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SECRET = "correct-horse-battery-staple"
# Not the auditor's own environment: its editable distribution changes with the repository.
PYTHON = os.path.realpath(sys.executable)

DATA = "1.0,2.0\n3.0,4.0\n"
PROGRAM = """
import ctypes, json, sys
import numpy as np
import helper
values = np.loadtxt("data/x.csv", delimiter=",")
np.random.seed(1)
for library in sys.argv[1:]:
    ctypes.CDLL(library)
open("data/made.csv", "w").write("1")
open("data/made.csv").read()
json.dump({"sum": float((values * np.random.rand(2, 2)).sum())}, open("result.json", "w"))
"""


def auditor(*words: str, umask: int = 0o022, cwd: Path | None = None, **variables: str) -> str:
    """Call the command in a process of its own, and return what it prints."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("auditor")), *words],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        encoding="utf-8",
        umask=umask,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_fingerprint_is_the_same_in_any_surroundings(tmp_path: Path) -> None:
    def described(**changed: Any) -> str:
        return auditor("fingerprint", "--python", PYTHON, "--format", "json", **changed)

    (tmp_path / "json.py").write_text("raise ImportError('the wrong one')", encoding="utf-8")
    (tmp_path / "sitecustomize.py").write_text("import random; random.random()", encoding="utf-8")
    first = described()
    assert json.loads(first)["schema"] == "auditor.fingerprint/1"
    assert described() == first
    assert described(LC_ALL="tr_TR.UTF-8", LANG="de_DE.UTF-8", TZ="Pacific/Chatham", PYTHONHASHSEED="1") == first
    assert described(LC_ALL="C", TZ="UTC", PYTHONHASHSEED="0", HOME=str(tmp_path), COLUMNS="40") == first
    assert described(cwd=tmp_path, umask=0o077, PYTHONHASHSEED="random") == first


@pytest.fixture
def project(tmp_path: Path, git: Callable[..., str]) -> Path:
    """A project in a repository, whose remote has credentials."""
    top = tmp_path / "project"
    (top / "data").mkdir(parents=True)
    (top / "data" / "x.csv").write_text(DATA, encoding="utf-8")
    (top / "train.py").write_text(PROGRAM, encoding="utf-8")
    (top / "helper.py").write_text("x = 1\n", encoding="utf-8")
    (top / ".env").write_text(f"TOKEN={SECRET}\n", encoding="utf-8")
    if shutil.which("git") is not None:
        git(top, "init", "--quiet")
        git(top, "add", "data", "train.py", "helper.py")
        git(top, "commit", "--quiet", "--message", "one")
        git(top, "remote", "add", "origin", f"https://user:{SECRET}@example.org/a/b.git")
    return top


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, str]:
    """Variables that hold secrets, and a distribution whose address does."""
    site = tmp_path / "site"
    for name, url in (
        ("one", f"https://user:{SECRET}@host/one.whl"),
        ("two", f"https://host/two.whl?token={SECRET}"),
        ("three", f"https://host/{SECRET}/simple/three.whl#{SECRET}"),
    ):
        (site / f"planted_{name}-1.0.dist-info").mkdir(parents=True)
        told = json.dumps({"url": url, "archive_info": {"hashes": {"sha256": "ab12"}}})
        (site / f"planted_{name}-1.0.dist-info" / "direct_url.json").write_text(told, encoding="utf-8")
    names = (
        "CUDA_API_KEY MKL_TOKEN TORCH_SECRET NCCL_PASSWORD OPENBLAS_AUTH CUBLAS_CREDENTIALS TF32_KEY PYTORCH_PWD "
        "HF_TOKEN WANDB_API_KEY AWS_SECRET_ACCESS_KEY DATABASE_URL PIP_INDEX_URL SSH_AUTH_SOCK OMP_X GOMP_Y KMP_Z"
    )
    return {**{name: f"{SECRET}-{name}" for name in names.split()}, "PYTHONPATH": str(site)}


def texts(directory: Path) -> Iterator[tuple[Path, bytes]]:
    for path in directory.rglob("*"):
        if path.is_file() and not path.is_symlink():
            yield path, path.read_bytes()


def test_no_secret_is_told(project: Path, secrets: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    out = tmp_path / "evidence"
    printed = auditor("run", "--out", str(out), "--", sys.executable, "train.py", cwd=project, **secrets)
    printed += auditor("report", str(out), "--format", "markdown", cwd=project, **secrets)
    file = tmp_path / "described.json"
    printed += auditor("fingerprint", "--python", sys.executable, cwd=project, **secrets)
    auditor("fingerprint", "--python", sys.executable, "-o", str(file), cwd=project, **secrets)
    assert SECRET not in printed
    searched = 0
    for path, content in (*texts(out), (file, file.read_bytes())):
        assert SECRET.encode() not in content, path
        searched += len(content)
    assert searched > 10_000
    facts = json.loads((out / "fingerprint.json").read_bytes())["layers"]
    for name, origin in (
        ("one", "https://host/one.whl sha256:ab12"),
        ("two", "https://host/two.whl sha256:ab12"),
        ("three", "https://host/.../three.whl sha256:ab12"),
    ):
        assert facts["libraries"][f"origin:planted-{name}"]["value"] == origin
        assert json.loads(file.read_bytes())["layers"]["libraries"][f"origin:planted-{name}"]["value"] == origin


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_an_audit_tells_the_project_its_data_and_what_was_mapped_twice(
    project: Path, tmp_path: Path, git: Callable[..., str]
) -> None:
    pytest.importorskip("numpy")
    library = next(iter(sorted(Path(sys.prefix).glob("lib/python3*/site-packages/torch/lib/libgomp*.so*"))), None)
    if library is None:
        pytest.skip("there is no libgomp to map twice")
    copies = [str(tmp_path / name / "libgomp.so.1") for name in ("a", "b")]
    for copy in copies:
        Path(copy).parent.mkdir()
        shutil.copy(library, copy)
    out = tmp_path / "evidence"
    auditor("run", "--out", str(out), "--", sys.executable, "train.py", *copies, cwd=project)
    audit = json.loads((out / "audit.json").read_bytes())
    layers = audit["fingerprint"]["layers"]
    run = {name: fact.get("value", fact.get("reason")) for name, fact in layers["run"].items()}
    assert run["git:commit"] == git(project, "rev-parse", "HEAD")
    assert run["git:dirty"] == "clean"
    assert run["data:files"] == 1 and run["data:how"] == "whole" and len(run["data"]) == 32
    assert len(run["code"]) == 32
    assert run["uses:numpy-random"] is True and run["uses:torch"] is False and run["uses:workers"] is False
    assert layers["libraries"]["loaded:openmp"]["value"] == [".../libgomp.so.1", ".../libgomp.so.1"]
    assert [f["rule"] for f in audit["findings"] if f["rule"].startswith("duplicate")] == ["duplicate-openmp-runtimes"]
    parts = layers["libraries"]["object:libgomp.so.1"]["value"]
    assert [part.partition(":")[0] for part in parts] == ["build-id", "sha256"]
    # Computed again from the evidence alone, the audit says the same, whatever became of the project.
    (project / "data" / "x.csv").write_text("changed", encoding="utf-8")
    (project / "train.py").unlink()
    assert "audit.json does not say" not in auditor("report", str(out))
    recomputed = json.loads(auditor("report", str(out), "--format", "json"))
    assert recomputed["fingerprint"] == audit["fingerprint"]


def test_isolation_by_copy_tells_the_same(project: Path, tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    found = []
    for isolation in ("auto", "copy"):
        out = tmp_path / isolation
        words = () if isolation == "auto" else ("--isolation", isolation)
        auditor("run", *words, "--out", str(out), "--", sys.executable, "train.py", cwd=project)
        found.append(json.loads((out / "fingerprint.json").read_bytes())["layers"]["run"])
    assert found[0] == found[1]
    assert found[0]["data:files"]["value"] == 1
