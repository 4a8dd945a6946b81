"""Where installed distributions came from: an archive and its digest, a repository's commit, a directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from auditor.fingerprint import repository
from auditor.fingerprint.inside import Inside
from auditor.fingerprint.packages import normalised
from auditor.records.fingerprint import Fact, Known
from auditor.records.trace import Origin

MOST_REPOSITORIES = 8
SOURCE = "direct_url.json"


def facts(inside: Inside, revisions: Mapping[str, str]) -> dict[str, Fact]:
    """``origin:<distribution>`` for those whose origin is told; ``revisions`` are by directory (``read_revisions``)."""
    if inside.environment is None:
        return {}
    return {
        f"origin:{normalised(name)}": Known(shown(origin, revisions.get(origin.url, "")), SOURCE)
        for name, origin in inside.environment.origins.items()
    }


def shown(origin: Origin, revision: str = "") -> str:
    """An origin in words: ``https://host/.../x.whl sha256:...``, ``git https://host/x/y@commit``, ``editable git:...``.

    ``revision`` is that of an editable distribution's directory (``git:<commit>``, with ``dirty`` where it changed).
    No path of this machine is shown.
    """
    if origin.kind == "editable":
        return f"editable {revision}".rstrip()
    if origin.kind == "directory":
        return "file (a directory)"
    address = origin.url
    if address.startswith("file:"):
        address = f"file {address.removeprefix('file:')}"
    if origin.kind == "archive":
        return f"{address} {origin.digest}".rstrip()
    return f"{origin.kind} {address}@{origin.revision or '?'}"


def read_revisions(inside: Inside, inside_of: Sequence[Path] = (Path("/"),)) -> dict[str, str]:
    """``git:<commit>`` (with ``dirty``) of the directories of editable distributions under ``inside_of``."""
    if inside.environment is None:
        return {}
    editable = [Path(o.url) for o in inside.environment.origins.values() if o.kind == "editable" and o.url]
    directories = [path for path in editable if any(path == top or top in path.parents for top in inside_of)]
    found = {}
    for directory in directories[:MOST_REPOSITORIES]:
        state = repository.read(directory)
        if not isinstance(state.commit, Known):
            continue
        dirty = state.dirty.value if isinstance(state.dirty, Known) else "?"
        changed = "" if dirty == repository.CLEAN else " dirty"
        found[str(directory)] = f"git:{state.commit.value}{changed}"
    return found
