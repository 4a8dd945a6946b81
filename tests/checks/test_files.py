"""Which files are read, and what becomes of those that cannot be."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from auditor.errors import UsageError
from auditor.records.check import CheckReport
from auditor.rulebook import files
from auditor.rulebook.project import Options, check

FLAW = """import os
import random

order = []
if not order:
    order = random.sample(os.listdir("data"), 2)
print(order)
"""
LISTING = 'os.listdir("data")'


def _write(root: Path, **named: str) -> None:
    for name, text in named.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _found(root: Path, *paths: str) -> list[str]:
    return [one.name for one in files.find([Path(path) for path in paths or (".",)], root, lambda path: False)]


def _check(root: Path, *paths: str, processes: int = 1) -> CheckReport:
    return check([Path(path) for path in paths or (".",)], root, Options(processes=processes)).report


def test_of_a_directory_code_notebooks_and_documents_are_read(tmp_path: Path) -> None:
    kept = ["Dockerfile", "a/b/train.py", "environment.yml", "notes.ipynb", "pyproject.toml", "requirements.txt"]
    _write(tmp_path, **dict.fromkeys([*kept, "README.md", "stubs.pyi", "data.txt", "run.sh", "model.pt"], ""))
    assert _found(tmp_path) == kept


@pytest.mark.parametrize(
    "name",
    [
        ".hidden/x.py",
        ".auditor/x.py",
        ".x.py",
        "node_modules/x.py",
        "__pycache__/x.py",
        "site-packages/x.py",
        "venv/x.py",
        "build/x.py",
        "dist/x.py",
        "thing.egg-info/x.py",
    ],
)
def test_what_was_installed_built_or_hidden_is_passed_by(tmp_path: Path, name: str) -> None:
    _write(tmp_path, **{name: "", f"src/{name}": "", "src/kept.py": ""})
    assert _found(tmp_path) == ["src/kept.py"]
    assert _found(tmp_path, name) == [name], "what is named itself is read"
    if "/" in name:
        assert _found(tmp_path, name.partition("/")[0]) == ([] if name.startswith(".x") else [name])


def test_an_environment_is_passed_by_whatever_it_is_called(tmp_path: Path) -> None:
    _write(tmp_path, **{"mine/pyvenv.cfg": "", "mine/lib/x.py": "", "conda/conda-meta/history": "", "conda/x.py": ""})
    _write(tmp_path, **{"build/__init__.py": "", "build/x.py": ""})
    assert _found(tmp_path) == ["build/__init__.py", "build/x.py"], "a package may be called build"


IGNORED = {
    ".gitignore": "*.gen.py\n!kept.gen.py\n/only_here.py\nout/\ndocs/*\n!docs/keep/\n# x\n\\#x.py\n**/deep/*.py\n",
    "src/.gitignore": "!again.gen.py\nlocal*.py\nsub/inner.py\n",
    "src/sub/.gitignore": "!local_sub.py\n",
}
NAMES = [
    "a.gen.py",
    "kept.gen.py",
    "only_here.py",
    "src/only_here.py",
    "out/x.py",
    "src/out/x.py",
    "docs/x.py",
    "docs/keep/x.py",
    "#x.py",
    "deep/x.py",
    "src/a/deep/x.py",
    "src/again.gen.py",
    "src/other.gen.py",
    "src/local_1.py",
    "local_1.py",
    "src/sub/local_sub.py",
    "src/sub/inner.py",
    "src/sub/outer.py",
    "sub/inner.py",
]


@pytest.mark.parametrize("start", [".", "src", "src/sub"])
def test_what_git_ignores_is_ignored(tmp_path: Path, start: str) -> None:
    _write(tmp_path, **dict.fromkeys(NAMES, ""), **IGNORED)
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".git" / "info" / "exclude").write_text("sub/outer.py\n")
    listed = subprocess.run(
        ["git", "-c", "core.quotepath=off", "ls-files", "-co", "--exclude-standard", "--", start],
        cwd=tmp_path,
        env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = sorted(name for name in listed.stdout.splitlines() if name.endswith(".py"))
    assert expected
    assert _found(tmp_path, start) == expected


def test_an_ignored_directory_that_is_named_is_read(tmp_path: Path) -> None:
    _write(
        tmp_path, **{".gitignore": "scratch/\n", "scratch/a.py": "", "scratch/.gitignore": "b.py", "scratch/b.py": ""}
    )
    (tmp_path / ".git").mkdir()
    assert _found(tmp_path) == []
    assert _found(tmp_path, "scratch") == ["scratch/a.py"]


def test_ignore_files_count_without_a_repository(tmp_path: Path) -> None:
    _write(tmp_path, **{".gitignore": "a.py\n", "a.py": "", "b.py": ""})
    assert _found(tmp_path) == ["b.py"]


def test_links_are_not_followed_and_loops_end(tmp_path: Path) -> None:
    _write(tmp_path, **{"src/a.py": FLAW})
    (tmp_path / "src" / "loop").symlink_to(tmp_path)
    (tmp_path / "twice.py").symlink_to("src/a.py")
    assert _found(tmp_path) == ["src/a.py"]
    assert _found(tmp_path, "twice.py") == ["twice.py"]


def test_a_file_is_read_once_and_named_from_here(tmp_path: Path) -> None:
    _write(tmp_path, **{"src/a.py": "", "b.py": ""})
    assert _found(tmp_path, "src", "src/a.py", "./src", str(tmp_path / "src")) == ["src/a.py"]
    assert _found(tmp_path / "src", "..") == ["../b.py", "a.py"]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no-such-path"):
        _found(tmp_path, "nothing.py")


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("nul.py", b"x = 1\0\n", "null byte"),
        ("syntax.py", b"def f(:\n", "invalid syntax"),
        ("latin.py", b"name = '\xe9'\n", "encoding"),
        ("unknown.py", b"# coding: no-such-thing\n", "unknown encoding"),
        ("rot.py", b"# coding: rot13\n", "encoding"),
        ("deep.py", b"x = " + b"(" * 5000 + b")" * 5000, "nested"),
        ("chain.py", b"x = " + b"-" * 20000 + b"1\n", "nested"),
        ("sum.py", b"x = " + b"+".join([b"1"] * 20000) + b"\n", "nested"),
        ("large.py", b"x = 1\n" * 800_000, "larger than 4 MiB"),
        ("requirements.txt", b"name\xe9\n", "encoding"),
        ("pyproject.toml", b"[project\n", "line 1"),
        ("notes.ipynb", b"{", "no JSON"),
        ("list.ipynb", b"[]", "no notebook"),
        ("cells.ipynb", b'{"cells": [{"cell_type": "code", "source": "def f(:"}]}', "this cell"),
        ("notes.md", b"# notes", "no Python"),
    ],
)
def test_what_cannot_be_read_is_a_remark(tmp_path: Path, name: str, data: bytes, why: str) -> None:
    (tmp_path / name).write_bytes(data)
    report = _check(tmp_path, name)
    assert [remark.kind for remark in report.remarks] == ["unread"]
    assert why in report.remarks[0].message.replace("too many", "nested"), report.remarks
    assert not report.flaws


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_a_remark(tmp_path: Path) -> None:
    _write(tmp_path, **{"a.py": FLAW, "closed/b.py": FLAW})
    (tmp_path / "a.py").chmod(0)
    (tmp_path / "closed").chmod(0)
    try:
        assert {(one.kind, one.file) for one in _check(tmp_path).remarks} == {("unread", "a.py"), ("unread", "closed")}
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_special_files_are_passed_by(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    assert not _found(tmp_path)
    assert [one.kind for one in _check(tmp_path, "pipe.py").remarks] == ["unread"]


@pytest.mark.parametrize(
    "data",
    [
        "# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1") + FLAW.encode(),
        b"\xef\xbb\xbf" + FLAW.encode(),
        FLAW.replace("\n", "\r\n").encode(),
        FLAW.replace("\n", "\r").encode(),
        "\x0c\n".join(["# page", FLAW]).encode(),
        FLAW.rstrip().encode(),
    ],
    ids=["coding-line", "mark", "crlf", "cr", "form-feed", "no-final-newline"],
)
def test_other_ways_to_write_text_are_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.py").write_bytes(data)
    report = _check(tmp_path)
    assert not report.remarks
    (flaw,) = (flaw for flaw in report.flaws if flaw.rule == "unsorted-listing")
    assert LISTING in flaw.excerpt
    assert flaw.excerpt[flaw.spot.column - 1 : flaw.spot.end_column - 1] == LISTING


def test_a_script_without_an_ending_is_read_where_it_is_named(tmp_path: Path) -> None:
    _write(tmp_path, train="#!/usr/bin/env python3\n" + FLAW)
    assert not _found(tmp_path)
    assert [flaw.rule for flaw in _check(tmp_path, "train").flaws] == ["unsorted-listing"]


def test_columns_count_characters(tmp_path: Path) -> None:
    longer = 'os.listdir("é€😀" and "data")'
    _write(tmp_path, **{"a.py": FLAW.replace(LISTING, longer)})
    (flaw,) = _check(tmp_path).flaws
    assert flaw.excerpt[flaw.spot.column - 1 : flaw.spot.end_column - 1] == longer


def test_names_that_are_no_text_are_escaped(tmp_path: Path) -> None:
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.py"))).write_text(FLAW)
    assert [flaw.spot.file for flaw in _check(tmp_path).flaws] == ["\\xff.py"]


def test_any_number_of_processes_tells_the_same(tmp_path: Path) -> None:
    for number in range(12):
        _write(tmp_path, **{f"d{number % 3}/f{number}.py": FLAW if number % 2 else "def f(:\n"})
    alone = _check(tmp_path)
    assert alone.files == 12
    assert len(alone.flaws) == len(alone.remarks) == 6
    assert _check(tmp_path, processes=2) == alone
