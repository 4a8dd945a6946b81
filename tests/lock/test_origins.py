"""Where distributions came from, locked and held: real environments, wheels and repositories."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.cli import main
from auditor.lock import distributions, read, toml
from auditor.records.lock import Exactly
from tests.fingerprint.conftest import run_git
from tests.lock.conftest import Make, Wheel, install, sha256

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PYLOCK = 'lock-version = "1.0"\ncreated-by = "auditor"\n'
DIGEST = "a" * 64

Verify = Callable[[], tuple[int, list[tuple[str, str]]]]
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def env(wheel: Wheel, environment: Make) -> Path:
    for version in ("1.0", "2.0"):
        wheel("ours", version)
    return environment("ours==1.0")


@pytest.fixture
def verify(env: Path, capsys: pytest.CaptureFixture[str]) -> Verify:
    """Hold the environment's distributions against the lock; returns the exit code, and what is not as wanted."""

    def held() -> tuple[int, list[tuple[str, str]]]:
        capsys.readouterr()
        code = main(["verify", "--python", str(env), "--layer", "libraries", "--format", "json"])
        printed = capsys.readouterr().out
        rows = json.loads(printed)["deviations"] if printed else []
        return code, [(one["kind"], one["name"]) for one in rows]

    return held


def lock(env: Path) -> None:
    assert main(["lock", "--python", str(env)]) == 0


def came_from(env: Path, url: str, **told: Any) -> None:
    """Say where the distribution came from, as an installer would."""
    (metadata,) = env.glob("lib/python3*/site-packages/ours-*.dist-info")
    (metadata / "direct_url.json").write_text(json.dumps({"url": url, **told}), encoding="utf-8")


def repository(directory: Path) -> Path:
    directory.mkdir()
    (directory / "ours.py").write_text("x = 1\n", encoding="utf-8")
    run_git(directory, "init", "--quiet")
    commit(directory)
    return directory


def commit(directory: Path) -> None:
    run_git(directory, "add", ".")
    run_git(directory, "commit", "--quiet", "--allow-empty", "--message", "more")


def test_a_version_is_taken_from_the_names_of_files(env: Path, wheel: Wheel, verify: Verify) -> None:
    lock(env)
    path = Path("lockfiles/pylock.toml")
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('version = "1.0"\nwheels', "wheels"), encoding="utf-8")
    assert "\nversion" not in path.read_text(encoding="utf-8")
    assert verify() == (0, [])
    install(env, "ours==2.0")
    assert verify() == (1, [("drift", "ours")])


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ('wheels = [{path = "a_b-1.5-py3-none-any.whl", hashes = {sha256 = "%s"}}]', "1.5"),
        ('wheels = [{url = "https://h/x/a_b-1.5%%2Bcpu-py3-none-any.whl#f", hashes = {sha256 = "%s"}}]', "1.5+cpu"),
        ('wheels = [{name = "a_b-1.5-py3-none-any.whl", url = "https://h/1", hashes = {sha256 = "%s"}}]', "1.5"),
        ('sdist = {path = "dist/a_b-1.5.tar.gz", hashes = {sha256 = "%s"}}', "1.5"),
        ('archive = {path = "a_b-1.5.tar.gz", hashes = {sha256 = "%s"}}', None),
        ('directory = {path = "."}#%s', None),
    ],
)
def test_versions_of_files(files: str, version: str | None) -> None:
    (one,) = distributions.read(PYLOCK + '[[packages]]\nname = "a-b"\n' + files % DIGEST + "\n")
    assert one.version == version


def test_files_of_two_versions_tell_none(env: Path, verify: Verify) -> None:
    lock(env)
    files = "".join(
        f'{{path = "ours-{version}-py3-none-any.whl", hashes = {{sha256 = "{DIGEST}"}}}},' for version in ("1.0", "2.0")
    )
    text = PYLOCK + f'[[packages]]\nname = "ours"\nwheels = [{files}]\n'
    Path("lockfiles/pylock.toml").write_text(text, encoding="utf-8")
    assert verify() == (3, [("unknown", "ours")])


def test_a_directory_without_more_is_not_told(env: Path, verify: Verify) -> None:
    lock(env)
    text = PYLOCK + '[[packages]]\nname = "ours"\ndirectory = {path = "."}\n'
    Path("lockfiles/pylock.toml").write_text(text, encoding="utf-8")
    assert verify() == (3, [("unknown", "ours")])


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        ("", "", 2),
        ("python_version > '3'", "python_version > '3'", 2),
        ("", "python_version > '3'", 2),
        ("python_version < '3'", "python_version > '3'", 0),
    ],
)
def test_a_distribution_that_is_wanted_twice(first: str, second: str, code: int, env: Path, verify: Verify) -> None:
    lock(env)
    text = PYLOCK
    for version, marker in (("2.0", first), ("1.0", second)):
        wheel = f'wheels = [{{path = "ours-{version}-py3-none-any.whl", hashes = {{sha256 = "{DIGEST}"}}}}]\n'
        text += f'[[packages]]\nname = "ours"\nversion = "{version}"\n' + (f'marker = "{marker}"\n' if marker else "")
        text += wheel
    Path("lockfiles/pylock.toml").write_text(text, encoding="utf-8")
    assert verify() == (code, [])
    if first == second:
        with pytest.raises(toml.Damaged, match="ours twice"):
            distributions.read(text)


@needs_git
@pytest.mark.parametrize("inside", [True, False])
def test_editable_code_is_held_by_its_commit(inside: bool, env: Path, verify: Verify, tmp_path: Path) -> None:
    top = repository(Path.cwd() / "code" if inside else tmp_path / "code")
    came_from(env, top.as_uri(), dir_info={"editable": True})
    lock(env)
    first = run_git(top, "rev-parse", "HEAD").strip()
    assert read(Path("lockfiles")).facts["libraries"]["origin:ours"] == Exactly(f"editable git:{first}")
    assert verify() == (0, [])
    (top / "ours.py").write_text("x = 2\n", encoding="utf-8")
    assert verify() == (1, [("drift", "origin:ours")])
    commit(top)
    assert verify() == (1, [("drift", "origin:ours")])
    # Back where it was.
    run_git(top, "checkout", "--quiet", first)
    assert verify() == (0, [])


@needs_git
def test_changes_that_are_not_committed_cannot_be_told_apart(env: Path, verify: Verify) -> None:
    top = repository(Path.cwd() / "code")
    (top / "ours.py").write_text("x = 2\n", encoding="utf-8")
    came_from(env, top.as_uri(), dir_info={"editable": True})
    lock(env)
    assert "Which code it is cannot be told" in Path("lockfiles/environment.toml").read_text(encoding="utf-8")
    assert verify() == (3, [("unknown", "origin:ours")])
    run_git(top, "checkout", "--quiet", ".")
    assert verify() == (1, [("drift", "origin:ours")])


@needs_git
def test_editable_code_without_a_commit_is_not_told(env: Path, verify: Verify) -> None:
    top = repository(Path.cwd() / "code")
    came_from(env, top.as_uri(), dir_info={"editable": True})
    lock(env)
    shutil.rmtree(top / ".git")
    assert verify() == (3, [("unknown", "origin:ours")])
    lock(env)
    assert verify() == (3, [("unknown", "origin:ours")])


def test_a_directory_is_held_by_its_version_and_kind(env: Path, verify: Verify) -> None:
    came_from(env, (Path.cwd() / "code").as_uri(), dir_info={})
    lock(env)
    assert verify() == (0, [])
    came_from(env, (Path.cwd() / "code").as_uri(), dir_info={"editable": True})
    assert verify() == (1, [("drift", "origin:ours")])


def test_an_address_without_a_digest_is_held(env: Path, verify: Verify) -> None:
    came_from(env, "https://example.org/ours-1.0.whl", archive_info={})
    lock(env)
    assert verify() == (0, [])
    came_from(env, "https://example.com/ours-1.0.whl", archive_info={})
    assert verify() == (1, [("drift", "origin:ours")])
    came_from(env, "https://example.org/ours-1.0.whl", archive_info={"hashes": {"sha256": DIGEST}})
    assert verify() == (3, [("unknown", "origin:ours")])


def test_a_file_is_held_by_its_digest(env: Path, verify: Verify, wheel: Wheel) -> None:
    digest = sha256(wheel("ours", "1.0"))
    came_from(env, "https://example.org/ours.whl", archive_info={"hashes": {"sha256": digest}})
    lock(env)
    assert verify() == (0, [])
    came_from(env, "https://example.org/ours.whl", archive_info={"hashes": {"sha256": DIGEST}})
    assert verify() == (1, [("drift", "origin:ours")])


def test_a_repository_is_held_by_its_commit(env: Path, verify: Verify) -> None:
    came_from(env, "https://example.org/x", vcs_info={"vcs": "git", "commit_id": COMMIT})
    lock(env)
    assert verify() == (0, [])
    came_from(env, "https://example.org/x", vcs_info={"vcs": "git", "commit_id": "1" * 40})
    assert verify() == (1, [("drift", "origin:ours")])
    (told,) = env.glob("lib/python3*/site-packages/ours-*.dist-info/direct_url.json")
    told.unlink()
    assert verify() == (3, [("unknown", "origin:ours")])
