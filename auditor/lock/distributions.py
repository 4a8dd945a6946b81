"""The Python layer of a lock: ``pylock.toml`` (PEP 751), its files and hashes found by uv."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

import tomlkit
from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock, PylockValidationError
from packaging.utils import parse_sdist_filename, parse_wheel_filename
from packaging.version import Version

from auditor.errors import AuditorError
from auditor.lock import indexes, sources, toml
from auditor.records.lock import LeftOut, Pinned
from auditor.store import sha256_of

UV_TIMEOUT = 900.0
CREATED_BY = "auditor"

_HEADER = (
    "Written by `auditor lock`: what is installed in the locked environment, with the digests of its files.",
    "It is a pylock.toml (PEP 751), which installers take.",
)
_CREDENTIALS = re.compile(r"(://)[^/@\s]*@")


class Layer(NamedTuple):
    """The Python layer of an environment: the file's text, what is not in it, and what to tell of how it was made."""

    text: str
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


def lock(executable: str, installed: Mapping[str, str], python: str, directory: Path, project: Path) -> Layer:
    """``pylock.toml`` for the distributions ``installed`` in an interpreter (normalised name: version).

    ``python`` is the interpreter's exact version, ``directory`` is where the file will lie, ``project`` the root to
    which paths may be relative. What an index has is locked with the digests of its files, and what came from elsewhere
    by its direct URL, commit or directory; everything else is left out and said so. Raises AuditorError
    ``index-unreachable`` and UsageError ``interpreter-failed``.
    """
    direct = sources.read(executable)
    packages: list[dict[str, Any]] = []
    left_out: list[LeftOut] = []
    wanted: dict[str, str] = {}
    for name, version in sorted(installed.items()):
        known = direct.get(name)
        if known is not None:
            source = sources.source(known, directory, project)
            if source.fields:
                # What a source tree builds may say another version each time: the format forbids to name one.
                named = {"version": version} if source.key == "archive" and _is_version(version) else {}
                packages.append({"name": name, **named, source.key: source.fields})
                if source.key != "archive":
                    place = "commit" if source.key == "vcs" else "directory"
                    left_out.append(LeftOut(name, version, f"its {place} is there", placed=source.key == "vcs"))
            else:
                left_out.append(LeftOut(name, version, source.reason))
        elif name in direct:
            left_out.append(LeftOut(name, version, "its direct_url.json is damaged"))
        elif _is_version(version):
            wanted[name] = version
        else:
            left_out.append(LeftOut(name, version, "its version is none of PEP 440"))
    found, missing, notes = _from_indexes(executable, wanted)
    for package in (_placed(package, directory, project) for package in found):
        if _files(package):
            packages.append(package)
        else:
            left_out.append(LeftOut(package["name"], package["version"], "its index gives no digest of any file"))
    left_out += [LeftOut(name, wanted[name], "no index that pip is configured with has it") for name in missing]
    alone = sorted(file["path"] for package in packages for file in _files(package) if "/" not in file.get("path", "/"))
    if alone:
        files = f"{alone[0]} lies" if len(alone) == 1 else f"{len(alone)} files ({alone[0]} and others) lie"
        notes.append(f"{files} in directories of this machine only: to install from the lock, put them beside it")
    return Layer(write(packages, python), tuple(sorted(left_out, key=lambda one: one.name)), tuple(notes))


def write(packages: Sequence[Mapping[str, Any]], python: str) -> str:
    """The text of a ``pylock.toml`` with these packages, sorted by name, for interpreters from ``python`` on."""
    document = tomlkit.document()
    for line in _HEADER:
        document.add(tomlkit.comment(line))
    document.add("lock-version", tomlkit.item("1.0"))
    if _is_version(python):
        document.add("requires-python", tomlkit.item(f">={python}"))
    document.add("created-by", tomlkit.item(CREATED_BY))
    tables = tomlkit.aot()
    for package in sorted(packages, key=lambda one: str(one["name"])):
        table = tomlkit.table()
        for key, value in package.items():
            table.add(key, _item(value))
        tables.append(table)
    # Without tables the key would not be there, which the format requires.
    document.add("packages", tables if packages else tomlkit.array())
    return tomlkit.dumps(document)


def read(text: str) -> tuple[Pinned, ...]:
    """The distributions of a ``pylock.toml``.

    Raises toml.Damaged where it is none, of another version, or has a distribution twice under the same marker.
    """
    fields = toml.parse(text)
    try:
        pinned = tuple(_pinned(package) for package in Pylock.from_dict(fields).packages)
    except (PylockValidationError, ValueError, RecursionError) as error:
        raise toml.Damaged(f"it is no pylock.toml ({str(error)[:200] or type(error).__name__})") from None
    seen: set[tuple[str, str]] = set()
    for one in pinned:
        if (one.name, one.marker) in seen:
            raise toml.Damaged(f"it has {one.name[:60]} twice, and no marker decides which of them is wanted")
        seen.add((one.name, one.marker))
    return pinned


def is_ours(text: str) -> bool:
    """Whether ``auditor lock`` wrote this ``pylock.toml``."""
    try:
        return toml.parse(text).get("created-by") == CREATED_BY
    except toml.Damaged:
        return False


def _from_indexes(executable: str, wanted: Mapping[str, str]) -> tuple[list[Any], list[str], list[str]]:
    """What the indexes of the interpreter's pip have of ``wanted``, the names that they have not, and notes."""
    if not wanted:
        return [], [], []
    with tempfile.TemporaryDirectory(prefix="auditor-lock-") as scratch:
        where = Path(scratch)
        configured, note = indexes.read(executable, where)
        # Told here, the metadata need not be downloaded, nor a source distribution built to have them.
        known = "".join(f'[[dependency-metadata]]\nname = "{n}"\nversion = "{v}"\n' for n, v in wanted.items())
        (where / "uv.toml").write_text(known, encoding="utf-8")
        found: list[Any] = []
        missing: list[str] = []
        waiting = [sorted(wanted)]
        while waiting:
            names = waiting.pop()
            text = _compile(executable, where, configured, [f"{name}=={wanted[name]}" for name in names])
            if text is not None:
                found += toml.parse(text).get("packages", [])
            elif len(names) == 1:
                missing += names
            else:
                # One that no index has fails them all, and each is independent of the others: halve, and ask again.
                middle = len(names) // 2
                waiting += [names[:middle], names[middle:]]
    return found, sorted(missing), [note] if note else []


def _compile(executable: str, where: Path, configured: indexes.Indexes, pins: Sequence[str]) -> str | None:
    """What ``uv pip compile`` makes of exact pins; None where it finds no such release for this interpreter."""
    import uv

    # In a file that only this user can read, since an address may hold a password.
    lines = ["--no-index"] if configured.no_index else []
    if configured.index is not None:
        lines.append(f"--index-url {configured.index}")
    lines += [f"--extra-index-url {address}" for address in configured.extra]
    lines += [f"--find-links {_absolute(place)}" for place in configured.find_links]
    source = where / "requirements.in"
    source.touch(mode=0o600)
    source.write_text("\n".join([*lines, *pins, ""]), encoding="utf-8")
    # Of several indexes the best release counts, as to pip, not the first index that knows the name.
    command = [uv.find_uv_bin(), "pip", "compile", str(source), "--no-deps", "--format", "pylock.toml", "--no-header"]
    command += ["--generate-hashes"]
    command += ["--python", executable, "--index-strategy", "unsafe-best-match", "--quiet"]
    # Without its file beside the requirements uv would build what has no wheel, which executes what is in it.
    environment = {name: value for name, value in os.environ.items() if name not in ("UV_NO_CONFIG", "UV_CONFIG_FILE")}
    if configured.trusted_hosts:
        environment.setdefault("UV_INSECURE_HOST", ",".join(configured.trusted_hosts))
    if configured.certificates is not None:
        environment.setdefault("SSL_CERT_FILE", configured.certificates)
    try:
        done = subprocess.run(
            command,
            cwd=where,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=UV_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise _unreachable(f"no answer within {UV_TIMEOUT:g} seconds") from error
    if done.returncode == 0:
        return done.stdout.decode("utf-8")
    if done.returncode == 1:
        return None
    raise _unreachable(_CREDENTIALS.sub(r"\1", done.stderr.decode("utf-8", "replace").strip()))


def _absolute(place: str) -> str:
    """A place of files as an address: relative to the working directory, as pip takes it."""
    return place if "://" in place else Path(os.path.abspath(os.path.expanduser(place))).as_uri()


def _placed(package: Mapping[str, Any], directory: Path, project: Path) -> dict[str, Any]:
    """What uv says of a package, each file's address as a lock may hold it; no file that has no digest."""

    def placed(file: Mapping[str, Any]) -> list[dict[str, Any]]:
        rest = {key: value for key, value in file.items() if key not in ("url", "path", "upload-time")}
        if not rest.get("hashes"):
            # Some versions of uv give no digest of a file on this machine.
            path = sources.local_path(file["url"])
            if path is None:
                return []
            rest["hashes"] = {"sha256": sha256_of(path.resolve())}
        return [{**sources.place_of(file["url"], directory, project), **rest}]

    placed_package: dict[str, Any] = {key: package[key] for key in ("name", "version")}
    for file in placed(package["sdist"]) if "sdist" in package else ():
        placed_package["sdist"] = file
    wheels = [file for wheel in package.get("wheels", ()) for file in placed(wheel)]
    return {**placed_package, "wheels": wheels} if wheels else placed_package


def _files(package: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*package.get("wheels", ()), *(package[key] for key in ("sdist", "archive") if key in package)]


def _item(value: Any) -> Any:
    """A value as an inline one; of a list of tables each on a line of its own."""
    if isinstance(value, dict):
        table = tomlkit.inline_table()
        for key, inner in value.items():
            table.add(key, _item(inner))
        return table
    if isinstance(value, list):
        array = tomlkit.array()
        for inner in value:
            array.append(_item(inner))
        return array.multiline(True)
    return tomlkit.item(value)


def _is_version(text: str) -> bool:
    try:
        Version(text)
    except ValueError:
        return False
    return True


def _unreachable(why: str) -> AuditorError:
    return AuditorError(
        "index-unreachable",
        f"the package index could not be asked:\n{why}",
        "check the network and pip's configuration (pip config list, PIP_INDEX_URL, PIP_FIND_LINKS)",
    )


def _pinned(package: Package) -> Pinned:
    files = [*(package.wheels or ()), *([package.sdist] if package.sdist is not None else ())]
    hashes = [file.hashes for file in files] + ([package.archive.hashes] if package.archive is not None else [])
    kind: Literal["index", "vcs", "archive", "directory"] = "index"
    if package.vcs is not None:
        kind = "vcs"
    elif package.directory is not None:
        kind = "directory"
    elif package.archive is not None:
        kind = "archive"
    return Pinned(
        name=package.name,
        version=str(package.version) if package.version is not None else _version_of_files(package),
        kind=kind,
        commit=package.vcs.commit_id if package.vcs is not None else "",
        sha256=tuple(sorted({one["sha256"] for one in hashes if "sha256" in one})),
        marker=str(package.marker) if package.marker is not None else "",
    )


def _version_of_files(package: Package) -> str | None:
    """The version in the names of a package's files, which the format wants to be one; None where they tell none."""
    try:
        versions = {parse_wheel_filename(_file_name(wheel))[1] for wheel in package.wheels or ()}
        if package.sdist is not None:
            versions.add(parse_sdist_filename(_file_name(package.sdist))[1])
    except ValueError:
        return None
    return str(versions.pop()) if len(versions) == 1 else None


def _file_name(file: PackageWheel | PackageSdist) -> str:
    """A file's name, or the last part of where it lies: the format leaves the name out where the two are the same."""
    if file.name:
        return file.name
    if file.path:
        return PurePosixPath(file.path.replace("\\", "/")).name
    return unquote(PurePosixPath(urlsplit(file.url or "").path).name)
