"""The state of real repositories: what changed is seen, what only looks changed is not, and nothing is executed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.fingerprint import repository
from auditor.fingerprint.repository import CLEAN, Repository
from auditor.records.fingerprint import Known, Unknown

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

SECRET = "correct-horse-battery-staple"
Git = Callable[..., str]


@pytest.fixture
def project(tmp_path: Path, git: Git) -> Path:
    """A repository with one commit of four files."""
    top = tmp_path / "project"
    (top / "sub").mkdir(parents=True)
    for name in ("train.py", "sub/model.py", "tool.sh"):
        (top / name).write_text(f"# {name}\n", encoding="utf-8")
    (top / "link").symlink_to("train.py")
    git(top, "init", "--quiet")
    git(top, "add", ".")
    git(top, "commit", "--quiet", "--message", "one")
    return top


def dirty(state: Repository) -> str:
    assert isinstance(state.dirty, Known), state.dirty
    assert isinstance(state.dirty.value, str)
    return state.dirty.value


def test_a_clean_repository(project: Path, git: Git) -> None:
    state = repository.read(project)
    assert state.commit == Known(git(project, "rev-parse", "HEAD"), "git")
    assert state.dirty == Known(CLEAN, "git")
    assert repository.read(project / "sub") == state


@pytest.mark.parametrize("change", ["content", "staged", "added", "deleted", "mode", "link", "kind", "odd name"])
def test_every_change_of_a_tracked_file_is_seen(project: Path, change: str, tmp_path: Path, git: Git) -> None:
    def apply(top: Path) -> None:
        if change in ("content", "staged"):
            (top / "train.py").write_text("# other\n", encoding="utf-8")
        elif change in ("added", "odd name"):
            name = "new.py" if change == "added" else "new \t\"file'.py"
            (top / name).write_text("# new\n", encoding="utf-8")
        elif change == "deleted":
            (top / "tool.sh").unlink()
        elif change == "mode":
            (top / "tool.sh").chmod(0o755)
        else:
            (top / "link").unlink()
            (top / "link").symlink_to("tool.sh") if change == "link" else (top / "link").write_text("train.py")
        if change in ("staged", "added", "odd name"):
            git(top, "add", ".")

    apply(project)
    first = dirty(repository.read(project))
    assert first.startswith("changed:")
    # The same change in another clone has the same digest; a further one has another.
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(project), str(clone))
    apply(clone)
    assert dirty(repository.read(clone)) == first
    (clone / "sub" / "model.py").write_text("# changed too\n", encoding="utf-8")
    assert dirty(repository.read(clone)) != first


def test_what_only_looks_changed_is_not(project: Path) -> None:
    for path in (project / "train.py", project / "tool.sh"):
        os.utime(path, ns=(1, 1))
    (project / "untracked.py").write_text("# not git's business\n", encoding="utf-8")
    assert dirty(repository.read(project)) == CLEAN
    index = (project / ".git" / "index").read_bytes()
    repository.read(project)
    assert (project / ".git" / "index").read_bytes() == index, "nothing is written"


def test_a_copy_of_a_repository_is_as_clean_as_it_is(project: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(project, copy, symlinks=True, copy_function=shutil.copyfile)
    (copy / "tool.sh").chmod(0o644)
    assert repository.read(copy) == repository.read(project)


def test_without_a_commit_and_without_a_repository(tmp_path: Path, git: Git) -> None:
    git(tmp_path, "init", "--quiet")
    state = repository.read(tmp_path)
    assert state.commit == Unknown("the repository has no commit yet") == state.dirty
    elsewhere = tmp_path.parent / f"{tmp_path.name}-none"
    elsewhere.mkdir()
    assert repository.find(elsewhere) is None
    assert repository.read(elsewhere).commit == Unknown("the project is in no git repository")


def test_without_git(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert repository.read(project).commit == Unknown("git is not installed")


def test_another_working_tree_and_a_submodule(project: Path, tmp_path: Path, git: Git) -> None:
    other = tmp_path / "other"
    git(project, "worktree", "add", "--quiet", str(other), "HEAD")
    assert repository.read(other) == repository.read(project)
    (other / "train.py").write_text("# other\n", encoding="utf-8")
    assert dirty(repository.read(other)).startswith("changed:")
    assert dirty(repository.read(project)) == CLEAN
    git(project, "submodule", "--quiet", "add", str(other), "part")
    git(project, "commit", "--quiet", "--message", "two")
    assert dirty(repository.read(project)) == CLEAN
    assert isinstance(repository.read(project / "part").commit, Known)


def test_nothing_of_the_repository_is_executed(project: Path, tmp_path: Path, git: Git) -> None:
    trap, sprung = tmp_path / "trap", tmp_path / "sprung"
    trap.write_text(f"#!/bin/sh\ntouch '{sprung}'\ncat\n", encoding="utf-8")
    trap.chmod(0o755)
    for name in ("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "diff.external", "core.gitProxy"):
        git(project, "config", name, str(trap))
    for kind in ("clean", "smudge", "process"):
        git(project, "config", f"filter.evil.{kind}", str(trap))
    git(project, "config", "filter.evil.required", "true")
    git(project, "config", "diff.evil.textconv", str(trap))
    git(project, "config", "diff.evil.command", str(trap))
    (project / ".gitattributes").write_text("* filter=evil diff=evil\n", encoding="utf-8")
    for hook in ("post-index-change", "pre-commit", "post-checkout", "fsmonitor-watchman"):
        shutil.copy(trap, project / ".git" / "hooks" / hook)
    (project / "train.py").write_text("# changed\n", encoding="utf-8")
    os.utime(project / "tool.sh")
    (project / ".git" / "index").touch()
    (project / "git").write_text(f"#!/bin/sh\ntouch '{sprung}'\n", encoding="utf-8")
    (project / "git").chmod(0o755)
    assert dirty(repository.read(project)).startswith("changed:")
    assert not sprung.exists()
    subprocess.run(["git", "-c", "safe.directory=*", "status"], cwd=project, capture_output=True, check=False)
    assert sprung.exists(), "the traps are set: git itself springs them"


def test_a_git_that_the_repository_brings_is_not_started(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (project / "git").write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    (project / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(project))
    assert repository.read(project).commit == Unknown("the git on PATH lies in the repository itself")


def test_the_callers_own_variables_lead_nowhere(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = repository.read(project)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "false")
    monkeypatch.setenv("HOME", str(tmp_path / "nowhere"))
    assert repository.read(project) == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository away")
def test_a_repository_of_another_user(project: Path) -> None:
    before = repository.read(project)
    for path in (project, *project.rglob("*")):
        os.chown(path, 12345, 12345, follow_symlinks=False)
    assert repository.read(project) == before


def test_credentials_of_a_remote_are_not_told(project: Path, git: Git) -> None:
    git(project, "remote", "add", "origin", f"https://user:{SECRET}@example.org/a/b.git")
    git(project, "config", "http.extraHeader", f"Authorization: Bearer {SECRET}")
    state = repository.read(project)
    assert SECRET not in repr(state)


@pytest.mark.parametrize(
    "damage",
    [
        lambda top: (top / ".git" / "index").write_bytes(b"DIRC not an index"),
        lambda top: (top / ".git" / "HEAD").write_text("ref: refs/heads/gone\n"),
        lambda top: shutil.rmtree(top / ".git" / "objects"),
        lambda top: (top / ".git" / "config").write_text("[core\n"),
        lambda top: (shutil.rmtree(top / ".git"), (top / ".git").write_text("gitdir: /no/such/place\n")),
        lambda top: (shutil.rmtree(top / ".git"), (top / ".git").write_bytes(b"\xff\0")),
    ],
)
def test_a_damaged_repository_is_no_error_and_no_pass(project: Path, damage: object) -> None:
    assert callable(damage)
    damage(project)
    state = repository.read(project)
    assert isinstance(state.dirty, Unknown), state
    assert str(project) not in state.dirty.reason


def test_the_raw_format() -> None:
    raw = b":100644 100644 aaa 000 M\0a b.py\0:000000 100644 000 000 A\0new\n.py\0"
    assert repository.parse_changes(raw) == [("100644", "aaa", b"a b.py"), ("000000", "000", b"new\n.py")]
    assert repository.parse_changes(b"") == []
    assert repository.parse_changes(b"nonsense\0x\0:1\0") == []
