"""The shared objects mapped into the process: which build each is, and the digest of its file on this machine."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from auditor.fingerprint.inside import Inside
from auditor.records.fingerprint import Fact, Known, Unknown
from auditor.records.trace import Build

LARGEST = 64 << 20
"""Bytes up to which an object is digested whole. CUDA's largest have hundreds of megabytes, and all have build ids."""
BUDGET = 512 << 20
"""Bytes that are digested whole in all; what comes after, in the order of the paths, is told by its build id."""
SAMPLES, SAMPLE = 16, 16 << 10

CHANGED = "does not lie here as it was mapped"
IN_IMAGE = "lies in the image, whose id covers it"
WHOLE, SAMPLED, BUILD = "sha256:", "sampled:", "build-id:"


def facts(inside: Inside, digests: Mapping[str, str] | Unknown, gone: str = CHANGED) -> dict[str, Fact]:
    """``object:<file name>``: its build id and digest, where known; ``digests`` are by path (``read_digests``).

    Objects of one name have one fact with the parts of all. Where neither is known, Unknown says why (``gone``: why a
    digest can be missing).
    """
    if inside.mapped is None:
        return {}
    parts: dict[str, set[str]] = {}
    for path in inside.mapped:
        found = parts.setdefault(path.rpartition("/")[2].removesuffix(" (deleted)"), set())
        build = inside.builds.get(path)
        if build is not None and build.id:
            found.add(f"{BUILD}{build.id}")
        if not isinstance(digests, Unknown) and path in digests:
            found.add(digests[path])
    absent = digests if isinstance(digests, Unknown) else Unknown(f"it has no build id, and {gone}")
    source = "the file mapped in /proc/self/maps"
    return {f"object:{name}": Known(tuple(sorted(found)), source) if found else absent for name, found in parts.items()}


def read_digests(builds: Mapping[str, Build], inside_of: Sequence[Path] = (Path("/"),)) -> dict[str, str]:
    """The digest of each mapped object that lies here as it was mapped (same size and time of modification), by path.

    ``sha256:<hex>`` of the whole file, where it has at most ``LARGEST`` bytes and the ``BUDGET`` lasts; of others, and
    only where they have no build id, ``sampled:<hex>``: the SHA-256 of the size and of evenly spread pieces. Only files
    under the directories ``inside_of`` are looked at.
    """
    digests: dict[str, str] = {}
    left = BUDGET
    for path in sorted(builds):
        build = builds[path]
        if not build.size or not any(directory in Path(path).parents for directory in inside_of):
            continue
        whole = build.size <= max(min(LARGEST, left), SAMPLES * SAMPLE)
        if not whole and build.id:
            continue
        left -= build.size if whole else 0
        found = _digest(Path(path), build, whole)
        if found is not None:
            digests[path] = f"{WHOLE if whole else SAMPLED}{found}"
    return digests


def _digest(path: Path, build: Build, whole: bool) -> str | None:
    """The hexadecimal digest, or None where the file is not there, not readable, or not the one that was mapped."""
    from auditor.store import open_regular  # describing an interpreter needs none of it, and should be quick

    digest = hashlib.sha256()
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
            if (status.st_size, status.st_mtime_ns) != (build.size, build.modified):
                return None
            if whole:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
            else:
                digest.update(b"%d" % build.size)
                for i in range(SAMPLES):
                    file.seek(i * (build.size - SAMPLE) // (SAMPLES - 1))
                    digest.update(file.read(SAMPLE))
    except OSError:
        return None
    return digest.hexdigest()
