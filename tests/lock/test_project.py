from __future__ import annotations

import os
from pathlib import Path

import pytest

from auditor.lock.conda import judge, unpinned_in_environment
from auditor.lock.pins import LARGEST, project_files, read_unpinned
from auditor.lock.pyproject import unpinned_in_pyproject

INSTALLED = {"torch": "2.13.0", "numpy": "2.4.6"}


@pytest.mark.parametrize(
    "spec",
    [
        "numpy==1.21",
        "numpy=1.21.2",
        "numpy=1.21=py39_0",
        "numpy 1.21.2",
        "numpy 1.21 py39_0",
        "conda-forge::numpy==1.21",
        "conda-forge/linux-64::numpy=1.21.2",
        "numpy[version=1.21.2]",
        "numpy[version='==1.21.2',build=x]",
        "https://example.org/numpy-1.21.2-py39_0.tar.bz2",
    ],
)
def test_a_package_of_conda_is_pinned(spec: str) -> None:
    assert judge(spec) is None


@pytest.mark.parametrize(
    "spec",
    [
        "numpy",
        "numpy=1.21",
        "numpy=1.21.*",
        "numpy>=1.21.2",
        "numpy >=1.21.2",
        "numpy>=1,<2",
        "numpy=*=py39_0",
        "numpy!=1.0",
        "conda-forge::numpy",
        "numpy=1.21=py39*",
        "numpy[version='>=1.21']",
        "numpy~=1.21.0",
    ],
)
def test_a_package_of_conda_is_not_pinned(spec: str) -> None:
    assert judge(spec, INSTALLED) == "pin: numpy==2.4.6"


def test_an_environment_of_conda() -> None:
    text = """\
name: paper
channels: [pytorch, conda-forge]
dependencies:
  - python=3.9
  - numpy==1.21.2   # exact
  - "pytorch>=1.10"
  - pip
  - pip:
      - torch>=2.0
      - six==1.16.0
      - -r requirements.txt
      - git+https://example.org/x@main
"""
    found = unpinned_in_environment(text, "environment.yml", INSTALLED)
    assert [(one.line, one.text) for one in found] == [
        (4, "python=3.9"),
        (6, "pytorch>=1.10"),
        (7, "pip"),
        (9, "torch>=2.0"),
        (12, "git+https://example.org/x@main"),
    ]
    assert found[3].advice == "pin: torch==2.13.0"
    assert found[0].advice == "pin: python==<version>"
    known = unpinned_in_environment(text, "environment.yml", {**INSTALLED, "python": "3.9.18"})
    assert known[0].advice == "pin: python==3.9.18"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "- a",
        "dependencies: 3",
        "dependencies:",
        "dependencies: {a: b}",
        "services:\n  web:\n    image: x\n",
        "dependencies:\n  - [a, b]\n  - {conda: [x]}\n  - pip: torch\n  - null\n",
        "? [a]\n: b\n",
    ],
)
def test_what_is_no_environment_of_conda_says_nothing(text: str) -> None:
    assert {one.kind for one in unpinned_in_environment(text)} <= {"distribution"}


@pytest.mark.parametrize(
    "text",
    ["a: [", "\0", "a: &x [*y]", "- " * 20000 + "a", "[" * 20000, "{" * 20000, "%YAML 9\n---\na\n...\n%", "a: b: c"],
)
def test_damaged_yaml_is_unreadable(text: str) -> None:
    (one,) = unpinned_in_environment(text)
    assert one.kind == "unreadable" and one.line >= 1


def test_aliases_are_not_multiplied() -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    assert unpinned_in_environment("\n".join(["a0: &a0 [x]", *levels, "dependencies: *a29"])) == ()


def test_a_pyproject() -> None:
    text = """\
[build-system]
requires = ["hatchling>=1.0"]

[project]
name = "paper"
dependencies = [
  "torch>=2.0",
  "numpy==2.4.6",
  "scipy",
]

[project.optional-dependencies]
plots = ["matplotlib>=3"]

[dependency-groups]
dev = ["pytest>=8"]
"""
    found = unpinned_in_pyproject(text, installed=INSTALLED)
    assert [(one.line, one.text, one.advice) for one in found] == [
        (7, "torch>=2.0", "pin: torch==2.13.0"),
        (9, "scipy", "pin: scipy==<version>"),
    ]


def test_a_pyproject_of_poetry() -> None:
    text = """\
[tool.poetry.dependencies]
python = "^3.10"
torch = "^2.0"
numpy = "2.4.6"
scipy = "==1.0"
pandas = { version = "~2.0", extras = ["x"] }
rich = { version = ">=13", optional = true }
ours = { path = "../ours" }
six = "*"
"""
    found = unpinned_in_pyproject(text, installed=INSTALLED)
    assert [(one.line, one.text) for one in found] == [
        (3, 'torch = "^2.0"'),
        (6, 'pandas = "~2.0"'),
        (9, 'six = "*"'),
    ]


@pytest.mark.parametrize(
    "text",
    ["[", "a = " + "[" * 50000, "a = " + "9" * 10000, "a=1\na=2", "\0", "a = 9999-99-99", "[project]\n[project]"],
)
def test_a_damaged_pyproject_is_unreadable(text: str) -> None:
    (one,) = unpinned_in_pyproject(text)
    assert one.kind == "unreadable"


@pytest.mark.parametrize(
    "text",
    [
        "project = 1",
        "[project]\ndependencies = 3",
        "[project]\ndependencies = [3, [4]]",
        "[tool]\npoetry = 1",
        "[tool.poetry]\ndependencies = 1",
        "[tool.poetry.dependencies]\nx = 1",
    ],
)
def test_a_pyproject_of_other_types_says_nothing(text: str) -> None:
    assert unpinned_in_pyproject(text) == ()


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_a_project_is_looked_through(tmp_path: Path) -> None:
    root = tmp_path / "project"
    write(root / "requirements.txt", "-r requirements/more.txt\n-c constraints.txt\ntorch>=2\nnumpy\nscipy\n")
    write(root / "requirements" / "more.txt", "six\n-r ../requirements.txt\n")
    write(root / "constraints.txt", "scipy==1.0\ntorch<3\n")
    write(root / "requirements-dev.in", "pytest\n")
    write(root / "requirements.in", "what requirements.txt was compiled from\n")
    write(root / "docker" / "Dockerfile.gpu", "FROM python:3.11\n")
    write(root / "envs" / "environment.yaml", "dependencies: [numpy]\n")
    write(root / "sub" / "pyproject.toml", '[project]\ndependencies = ["tqdm"]\n')
    write(root / "locked" / "pyproject.toml", '[project]\ndependencies = ["tqdm"]\n')
    write(root / "locked" / "uv.lock", "")
    for aside in ("env/lib/x", "node_modules/x", ".git", ".auditor/1", ".venv", "x/site-packages/y", "a/b/c/d"):
        write(root / aside / "requirements.txt", "hidden\n")
    for name in ("dockerfile.py", "Dockerfile.j2", "Dockerfile.dockerignore", "my-requirements.md", "Environment.java"):
        write(root / name, "FROM python\n")
    write(root / "env" / "pyvenv.cfg", "")
    write(root / "conda" / "conda-meta" / "history", "")
    write(root / "conda" / "requirements.txt", "hidden\n")
    found = read_unpinned(root, INSTALLED)
    assert [(one.file, one.line, one.text) for one in found] == [
        ("docker/Dockerfile.gpu", 1, "python:3.11"),
        ("envs/environment.yaml", 1, "numpy"),
        ("requirements-dev.in", 1, "pytest"),
        ("requirements.txt", 3, "torch>=2"),
        ("requirements.txt", 4, "numpy"),
        ("requirements/more.txt", 1, "six"),
        ("sub/pyproject.toml", 2, "tqdm"),
    ]
    assert found[4].advice == "pin: numpy==2.4.6"


def test_files_outside_of_the_project_are_not_read(tmp_path: Path) -> None:
    root = tmp_path / "project"
    write(tmp_path / "secret.txt", "correct-horse-battery-staple\n")
    write(root / "requirements.txt", "-r ../secret.txt\n-r /etc/passwd\n-r link.txt\n-r gone.txt\n-c ../secret.txt\n")
    (root / "link.txt").symlink_to(tmp_path / "secret.txt")
    (root / "requirements-link.txt").symlink_to(tmp_path / "secret.txt")
    found = read_unpinned(root)
    assert [(one.kind, one.text) for one in found] == [
        ("unreadable", "../secret.txt"),
        ("unreadable", "/etc/passwd"),
        ("unreadable", "link.txt"),
        ("unreadable", "gone.txt"),
    ]


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    root = tmp_path / "project"
    write(root / "requirements.txt", "-r more.txt\n")
    (root / "more.txt").write_bytes(b"\xff\xfe\x00")
    (root / "Dockerfile").write_bytes(b"FROM \xff")
    (root / "environment.yml").write_bytes(b" " * (LARGEST + 1))
    os.mkfifo(root / "requirements-pipe.txt")
    assert {(one.file, one.kind) for one in read_unpinned(root)} == {
        ("more.txt", "unreadable"),
        ("Dockerfile", "unreadable"),
        ("environment.yml", "unreadable"),
        ("requirements-pipe.txt", "unreadable"),
    }


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    root = tmp_path / "project"
    (root / "requirements.txt").write_bytes(b"\xef\xbb\xbftorch==2.0\n")
    assert read_unpinned(root) == ()


def test_a_directory_without_such_files(tmp_path: Path) -> None:
    assert project_files(tmp_path / "project") == ()
    assert read_unpinned(tmp_path / "none") == ()
