"""The identity of a run's data: a digest of the contents of the files that it opened for reading."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from auditor.fingerprint.inside import NOT_REPORTED
from auditor.records.fingerprint import Fact, Known, Unknown
from auditor.records.trace import DataFile, ProcessTrace

NAMES = ("data", "data:files", "data:how")
LARGEST = 64 << 20
"""Bytes up to which a file is digested whole."""
BUDGET = 512 << 20
"""Bytes that are digested whole in all; of the files after that, in the order of their names, pieces are."""
SAMPLES, SAMPLE = 16, 16 << 10
MOST = 2048
"""Files of which anything is digested, as many as the probe tells of one process."""

_SOURCE = "files opened for reading"
_ALL = 1 << 64


class Reading(msgspec.Struct, frozen=True):
    """The files that a run's processes read, by name; ``estimate`` is how many there are, where not all are told.

    ``problem`` says why they are not known, or is empty.
    """

    files: tuple[DataFile, ...]
    estimate: int | None = None
    problem: str = ""


class Part(msgspec.Struct, frozen=True):
    """What is digested of a file: all of it, or (``whole`` False) its size and evenly spread pieces."""

    file: DataFile
    whole: bool


def parse_reading(processes: Sequence[ProcessTrace]) -> Reading:
    """What the processes of a run read together, each file once."""
    if not any(process.data for process in processes):
        return Reading((), problem=NOT_REPORTED)
    silent = [process.role for process in processes if not process.data]
    if silent:
        return Reading((), problem=f"{silent[0]} ended before it could tell what it read")
    files: dict[str, DataFile] = {}
    more = any(line.more for process in processes for line in process.data)
    for process in processes:
        for line in process.data:
            for file in line.files:
                if files.setdefault(file.name, file) != file:
                    return Reading((), problem=f"{label(file)} changed while the run read it")
    if not more and len(files) <= MOST:
        return Reading(tuple(files[name] for name in sorted(files)))
    by_key = sorted((key(name), name) for name in files)[:MOST]
    # k names whose digests lie evenly below the highest of them: 2^64 holds so many times as many as lie there.
    estimate = len(by_key) if len(by_key) < 2 else (len(by_key) - 1) * _ALL // (by_key[-1][0] + 1)
    return Reading(tuple(files[name] for name in sorted(name for _, name in by_key)), _rounded(estimate))


def key(name: str) -> int:
    """What the probe sorts names by: their 64-bit BLAKE2b digest, as a number."""
    return int.from_bytes(hashlib.blake2b(name.encode("utf-8"), digest_size=8).digest(), "big")


def label(file: DataFile) -> str:
    """A file as it may be shown, and what counts of its name: its place in the project, else its own name alone."""
    return file.name.rpartition("/")[2] if file.name.startswith("/") else file.name


def plan(files: Sequence[DataFile]) -> tuple[Part, ...]:
    """How much of each file is digested: it depends on names and sizes alone, so that two machines do the same."""
    parts = []
    left = BUDGET
    for file in sorted(files, key=lambda file: (label(file), file.size)):
        whole = file.size <= max(min(LARGEST, left), SAMPLES * SAMPLE)
        left -= file.size if whole else 0
        parts.append(Part(file, whole))
    return tuple(parts)


def read(reading: Reading, project: Path, where: Literal["here", "container"]) -> dict[str, Fact]:
    """``data``, ``data:files`` and ``data:how``, from the files as they lie on this machine.

    The project's own files are those of the project itself, never what a run made of them. A file that is gone, or has
    another size or time of modification than when it was opened, makes ``data`` Unknown. ``container``: what lies
    outside the project lies in the image.
    """
    if reading.problem:
        return dict.fromkeys(NAMES, Unknown(reading.problem))
    count = len(reading.files)
    if reading.estimate is None:
        files: Fact = Known(count, _SOURCE)
    else:
        files = Known(reading.estimate, f"{_SOURCE}, estimated from the {count} that are told")
    if not count:
        return {"data": Known("none", _SOURCE), "data:files": files, "data:how": Known("whole", _SOURCE)}
    digest = hashlib.blake2b(digest_size=16)
    parts = plan(reading.files)
    found = []
    for part in parts:
        path = _path(part.file, project, where)
        content = path if isinstance(path, Unknown) else _content(path, part)
        if isinstance(content, Unknown):
            return {"data": content, "data:files": files, "data:how": content}
        found.append(f"{label(part.file)}\0{part.file.size}\0{content}\n")
    for line in sorted(found):
        digest.update(line.encode("utf-8"))
    how = Known(_how(reading, parts), _SOURCE)
    return {"data": Known(digest.hexdigest(), _SOURCE), "data:files": files, "data:how": how}


def _path(file: DataFile, project: Path, where: Literal["here", "container"]) -> Path | Unknown:
    """Where a file lies on this machine, links resolved."""
    if ".." in file.name.split("/"):
        return Unknown("a file's name leads out of the project")
    try:
        path = (project / file.name).resolve()
    except (OSError, RuntimeError):
        return Unknown(f"{label(file)} cannot be read any more: its links lead nowhere")
    if where == "container" and project not in path.parents:
        return Unknown(f"{label(file)} lies in the image, whose id covers it, or outside the project")
    return path


def _how(reading: Reading, parts: Sequence[Part]) -> str:
    sampled = sum(not part.whole for part in parts)
    said = []
    if reading.estimate is not None:
        said.append(f"{len(parts)} of about {reading.estimate} files")
    if sampled:
        said.append(f"{sampled} of {len(parts)} files in part ({SAMPLES} pieces of {SAMPLE >> 10} KiB)")
    return f"sampled: {', '.join(said)}" if said else "whole"


def _content(path: Path, part: Part) -> str | Unknown:
    """The digest of a file's content in hexadecimal digits, or why there is none."""
    from auditor.store import open_regular  # describing an interpreter needs none of it, and should be quick

    file, digest = part.file, hashlib.blake2b(digest_size=16)
    try:
        with open_regular(path) as opened:
            if _state(opened) != (file.size, file.modified):
                return Unknown(f"{label(file)} changed after the run had read it")
            if part.whole:
                while chunk := opened.read(1 << 20):
                    digest.update(chunk)
            else:
                for i in range(SAMPLES):
                    opened.seek(i * (file.size - SAMPLE) // (SAMPLES - 1))
                    digest.update(opened.read(SAMPLE))
            if _state(opened) != (file.size, file.modified):
                return Unknown(f"{label(file)} changed while it was read again")
    except OSError as error:
        return Unknown(f"{label(file)} cannot be read any more: {error.strerror or error}")
    return digest.hexdigest()


def _state(opened: BinaryIO) -> tuple[int, int]:
    status = os.fstat(opened.fileno())
    return status.st_size, status.st_mtime_ns


def _rounded(number: int) -> int:
    """Two digits of a number: an estimate promises no more."""
    scale: int = 10 ** max(0, len(str(number)) - 2)
    return (number + scale // 2) // scale * scale
