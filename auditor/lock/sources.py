"""Where installed distributions came from that no index gave: a direct URL, a commit, a directory (PEP 610)."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import msgspec
from packaging.utils import canonicalize_name

from auditor.errors import UsageError

TIMEOUT = 60.0

_SCRIPT = Path(__file__).with_name("direct_urls_script.py")
_MARKER = "auditor-direct-urls:"
_SECRET = re.compile(r"(?i)token|sig|secret|pass|key|cred|auth|jwt|session")


class _Vcs(msgspec.Struct, frozen=True):
    vcs: str
    commit_id: str


class _Archive(msgspec.Struct, frozen=True):
    hash: str | None = None
    hashes: dict[str, str] | None = None


class _Directory(msgspec.Struct, frozen=True):
    editable: bool = False


class DirectUrl(msgspec.Struct, frozen=True):
    """``direct_url.json``. Source: https://packaging.python.org/en/latest/specifications/direct-url-data-structure/"""

    url: str
    vcs_info: _Vcs | None = None
    archive_info: _Archive | None = None
    dir_info: _Directory | None = None
    subdirectory: str | None = None


class Source(NamedTuple):
    """Where a distribution came from, as a table of ``pylock.toml``: the table's ``key`` and its ``fields``.

    Without fields the format cannot say it, for the ``reason``.
    """

    key: Literal["vcs", "directory", "archive"]
    fields: dict[str, Any]
    reason: str = ""


def read(executable: str) -> dict[str, DirectUrl | None]:
    """The direct URLs of what is installed, by normalised name; None where the file is damaged.

    Raises UsageError ``interpreter-failed``.
    """
    command = [executable, str(_SCRIPT), _MARKER]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _failed(executable, str(error)) from error
    lines = [line for line in done.stdout.decode("utf-8", "replace").splitlines() if line.startswith(_MARKER)]
    if done.returncode or not lines:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise _failed(executable, words[-1][:200] if words else f"exit code {done.returncode}")
    return {canonicalize_name(name): parse(text) for name, text in json.loads(lines[-1][len(_MARKER) :]).items()}


def parse(text: str) -> DirectUrl | None:
    """The contents of a ``direct_url.json``; None where it is damaged."""
    try:
        return msgspec.json.decode(text, type=DirectUrl)
    except (msgspec.DecodeError, RecursionError):
        return None


def source(direct: DirectUrl, lock: Path, project: Path) -> Source:
    """What a lock in the directory ``lock`` says of a direct URL: no credential, and no path of this machine.

    A path is given relative to the lock where it lies in the ``project``. An archive is known by its hash; one of
    another directory is named by its file name alone, as if it lay beside the lock.
    """
    path = local_path(direct.url)
    inside = relative(path, lock, project) if path is not None else None
    subdirectory = {"subdirectory": direct.subdirectory} if direct.subdirectory else {}
    if direct.vcs_info is not None:
        commit = direct.vcs_info.commit_id
        if path is not None and inside is None:
            return Source("vcs", {}, f"from commit {commit} of a repository on this machine")
        place = {"path": inside} if inside is not None else {"url": without_credentials(direct.url)}
        return Source("vcs", {"type": direct.vcs_info.vcs, **place, "commit-id": commit, **subdirectory})
    if direct.dir_info is not None:
        if inside is None:
            return Source("directory", {}, "from a directory of this machine, outside of the project")
        editable = {"editable": True} if direct.dir_info.editable else {}
        return Source("directory", {"path": inside, **editable, **subdirectory})
    hashes = _hashes(direct.archive_info)
    if not hashes:
        return Source("archive", {}, "from an archive of which no hash was kept")
    return Source("archive", {**place_of(direct.url, lock, project), "hashes": hashes, **subdirectory})


def place_of(address: str, lock: Path, project: Path) -> dict[str, str]:
    """A file's ``url`` or ``path`` in a lock: without credentials, and without the places of this machine.

    A path is relative to the lock where the file lies in the project, else the file's name alone.
    """
    path = local_path(address)
    if path is None:
        return {"url": without_credentials(address)}
    return {"path": relative(path, lock, project) or path.name}


def without_credentials(url: str) -> str:
    """The address without user, password and fragment, and without a query that holds something secret.

    ``git@`` is a name that everybody uses, and stays.
    """
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"git@{host}" if user == "git" else host
    secret = any(_SECRET.search(name) for name, _ in parse_qsl(parts.query, keep_blank_values=True))
    return urlunsplit((parts.scheme, netloc, parts.path, "" if secret else parts.query, ""))


def local_path(url: str) -> Path | None:
    """The path that a ``file:`` address names; None for another address."""
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme.lower().rpartition("+")[2] == "file" else None


def relative(path: Path, lock: Path, project: Path) -> str | None:
    """The path from the lock's directory, with slashes; None where it, or the lock, lies outside of the project."""
    whole, root, here = (Path(os.path.realpath(one)) for one in (path, project, lock))
    if not whole.is_relative_to(root) or not here.is_relative_to(root):
        return None
    return Path(os.path.relpath(whole, here)).as_posix()


def _hashes(archive: _Archive | None) -> dict[str, str]:
    if archive is None:
        return {}
    if archive.hashes:
        return dict(sorted(archive.hashes.items()))
    algorithm, equals, digest = (archive.hash or "").partition("=")
    return {algorithm: digest} if equals and digest else {}


def _failed(executable: str, why: str) -> UsageError:
    return UsageError(
        "interpreter-failed",
        f"{executable} did not tell where its distributions came from: {why}",
        "check that it is a Python interpreter that starts: run it with -c 'import sys; print(sys.version)'",
    )
