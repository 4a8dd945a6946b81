"""The directory outside the project that runs need: one path for every run of an audit, also after a resumption."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from auditor.errors import AuditorError
from auditor.store import Store, remove_tree, writing


def candidates(store: Store) -> tuple[Path, ...]:
    """Where the scratch directory may lie, the best first: outside the project, and rather on a disk than in memory."""
    project = Path(store.header.project)
    found: list[Path] = []
    for base in (tempfile.gettempdir(), "/var/tmp", "/tmp", "/dev/shm"):
        path = Path(os.path.realpath(base))
        outside = path != project and project not in path.parents
        if outside and path not in found and path.is_dir() and os.access(path, os.W_OK | os.X_OK):
            found.append(path)
    if "TMPDIR" not in os.environ:
        # Checkpoints can be larger than memory: an unasked-for file system in memory comes last.
        found.sort(key=_in_memory)
    if not found:
        raise AuditorError(
            "no-scratch-directory",
            "there is no writable directory outside the project for the runs' temporary files",
            "set TMPDIR to a directory outside the project",
        )
    return tuple(found)


def claim(base: Path, store: Store, place: str = "") -> Path:
    """Make this audit's scratch directory under ``base``, empty and open to nobody else.

    Its name follows from the evidence directory and the ``place`` (where several are at work at the same time), so that
    replicates see the same path, and what a killed audit left is found and removed. Raises AuditorError.
    """
    whose = f"{store.path}\n{store.id}" + (f"\n{place}" if place else "")
    name = hashlib.sha256(whose.encode()).hexdigest()[:10]
    path = base / f"auditor-{name}"
    with writing(path):
        if os.path.lexists(path):
            if path.is_symlink() or os.lstat(path).st_uid != os.getuid():
                return Path(tempfile.mkdtemp(prefix="auditor-", dir=base))
            remove_tree(path)
        path.mkdir(mode=0o700)
    return path


def _in_memory(path: Path) -> bool:
    device = os.stat(path).st_dev
    text = Path("/proc/self/mountinfo").read_text(errors="replace") if os.path.exists("/proc/self/mountinfo") else ""
    return memory_backed(text, os.major(device), os.minor(device))


def memory_backed(mountinfo: str, major: int, minor: int) -> bool:
    """Whether the device is a tmpfs, by the text of ``/proc/self/mountinfo``. Source: proc_pid_mountinfo(5)."""
    for line in mountinfo.splitlines():
        left, dash, right = line.partition(" - ")
        if dash and left.split()[2] == f"{major}:{minor}":
            return right.split()[0] in ("tmpfs", "ramfs")
    return False
