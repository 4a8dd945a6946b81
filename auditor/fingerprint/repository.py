"""The state of a git repository: its commit, and a digest of how its tracked files differ from it."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from auditor.records.fingerprint import Fact, Known, Unknown

CLEAN = "clean"
TIMEOUT = 20.0
MOST_CHANGED = 10_000
_LARGEST = 64 << 20
_HEX = frozenset("0123456789abcdef")


class Repository(msgspec.Struct, frozen=True):
    """``commit``: the hash of HEAD. ``dirty``: ``clean``, or the digest of the tracked files that differ from it."""

    commit: Fact
    dirty: Fact


class _Directory(msgspec.Struct, frozen=True):
    """Where a working tree's top is, its own git directory, and the one that it shares with other working trees."""

    top: Path
    own: Path
    common: Path


def read(directory: Path) -> Repository:
    """The repository that ``directory`` lies in.

    Nothing that the repository brings is executed: no hook, no filter, no monitor, no diff driver. git is given the
    objects and the index of the repository in a directory of settings that is made here, and never its settings. What
    it does not track is not looked at: the files that a run imports and reads are told apart. Ownership does not matter
    for that reason (``safe.directory`` protects from settings).
    """
    place = find(directory)
    if place is None:
        return _unknown("the project is in no git repository")
    git = shutil.which("git")
    if git is None:
        return _unknown("git is not installed")
    git = os.path.abspath(git)
    if place.top in Path(git).parents:
        return _unknown("the git on PATH lies in the repository itself")
    try:
        return _read(git, place)
    except subprocess.TimeoutExpired:
        return _unknown(f"git did not answer within {TIMEOUT:g} seconds")
    except OSError as error:
        return _unknown(f"git cannot be used: {error.strerror or error}")


def find(directory: Path) -> _Directory | None:
    """The repository that ``directory`` lies in, as git looks for it; None where there is none."""
    for top in (directory, *directory.parents):
        dot = top / ".git"
        own = dot
        if dot.is_file():
            # A working tree of several, or a submodule: gitrepository-layout(5).
            text = _line(dot)
            if not text.startswith("gitdir: "):
                return None
            own = (top / text.removeprefix("gitdir: ")).resolve()
        if not (own / "HEAD").is_file():
            continue
        shared = _line(own / "commondir")
        return _Directory(top, own, (own / shared).resolve() if shared else own)
    return None


def parse_changes(raw: bytes) -> list[tuple[str, str, bytes]]:
    """What ``git diff-index --raw -z`` tells: the mode and the object of each changed path in the commit, and the path.

    Source: git-diff-index(1), "Raw output format"; no renames are looked for, so that every entry has one path.
    """
    fields = raw.split(b"\0")
    found = []
    for head, path in zip(fields[::2], fields[1::2], strict=False):
        words = head.decode("ascii", "replace").lstrip(":").split(" ")
        if len(words) == 5 and path:
            found.append((words[0], words[2], path))
    return found


def _read(git: str, place: _Directory) -> Repository:
    with tempfile.TemporaryDirectory(prefix="auditor-git-") as scratch:
        settings = Path(scratch)
        environment = _environment(settings, place)
        commit = _commit(git, place, environment)
        if isinstance(commit, Unknown):
            return Repository(commit, commit)
        for name in ("objects", "refs"):
            (settings / name).mkdir()
        (settings / "HEAD").write_text(f"{commit}\n", encoding="ascii")
        kind = "sha1" if len(commit) == 40 else "sha256"
        extension = "" if kind == "sha1" else f"[extensions]\n\tobjectformat = {kind}\n"
        version = 0 if kind == "sha1" else 1
        text = f"[core]\n\trepositoryformatversion = {version}\n\tbare = false\n{extension}"
        (settings / "config").write_text(text, encoding="ascii")
        head = Known(commit, "git")
        words = ["diff-index", "--raw", "-z", "--no-renames", "--full-index", "--ignore-submodules=dirty", commit]
        done = _run(git, place.top, words, environment)
        if done.returncode:
            return Repository(head, Unknown(f"git could not compare the files ({_said(done)})"))
        changes = parse_changes(done.stdout)
        if len(changes) > MOST_CHANGED:
            return Repository(head, Unknown(f"more than {MOST_CHANGED} tracked files seem to have changed"))
        lines = sorted(line for change in changes if (line := _changed(place.top, kind, *change)) is not None)
        if not lines:
            return Repository(head, Known(CLEAN, "git"))
        digest = hashlib.sha256(b"\n".join(lines)).hexdigest()[:16]
        return Repository(head, Known(f"changed:{digest}", f"git, and the {len(lines)} tracked files that differ"))


def _environment(settings: Path, place: _Directory) -> dict[str, str]:
    """git's environment: of ours PATH alone, no settings of the system or the user, and the repository's files."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "HOME": str(settings),
        "XDG_CONFIG_HOME": str(settings),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_DIR": str(settings),
        "GIT_WORK_TREE": str(place.top),
        "GIT_INDEX_FILE": str(place.own / "index"),
        "GIT_OBJECT_DIRECTORY": str(place.common / "objects"),
    }


def _commit(git: str, place: _Directory, environment: Mapping[str, str]) -> str | Unknown:
    # Asked in the repository itself, since it knows how its references are stored; resolving one executes nothing.
    own = {**environment, "GIT_DIR": str(place.own)}
    done = _run(git, place.top, ["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], own)
    commit = done.stdout.decode("ascii", "replace").strip()
    if done.returncode or len(commit) not in (40, 64) or not set(commit) <= _HEX:
        said = _said(done)
        return Unknown(f"git names no commit ({said})" if said else "the repository has no commit yet")
    return commit


def _changed(top: Path, kind: str, mode: str, object_id: str, path: bytes) -> bytes | None:
    """A line for a tracked file that differs from the commit; None for one of which only the times differ."""
    name = path + b"\0"
    full = os.path.join(os.fsencode(top), path)
    try:
        status = os.lstat(full)
    except OSError:
        return name + b"deleted"
    if stat.S_ISLNK(status.st_mode):
        content, now = os.fsencode(os.readlink(full)), "120000"
    elif stat.S_ISREG(status.st_mode):
        now = "100755" if status.st_mode & stat.S_IXUSR else "100644"
        if status.st_size > _LARGEST:
            return name + b"%s %d bytes" % (now.encode(), status.st_size)
        try:
            with open(full, "rb") as file:
                content = file.read()
        except OSError:
            return name + b"unreadable"
    else:
        return name + b"another kind of file"  # a submodule at another commit, too
    digest = hashlib.new(kind, b"blob %d\0" % len(content) + content).hexdigest()
    return None if (mode, object_id) == (now, digest) else name + f"{now} {digest}".encode()


def _run(
    git: str, directory: Path, words: list[str], environment: Mapping[str, str]
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [git, *words],
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIMEOUT,
        check=False,
    )


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    """The first line of what git complained about, without the paths that it may name."""
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    words = [word for word in lines[0].removeprefix("fatal: ").split() if "/" not in word] if lines else []
    return " ".join(words).rstrip(":")[:80]


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape").strip()
    except OSError:
        return ""


def _unknown(reason: str) -> Repository:
    return Repository(Unknown(reason), Unknown(reason))
