"""What is installed: distributions by the names of their metadata folders, and where they were installed from.

Used by the probe and by the script that describes an interpreter; standard library only.
"""

import json
import os
import sys

# Before anything is watched.
_access = os.access
_listdir = os.listdir
_open = open

_LARGEST = 65536


def installed(paths=None):
    """(version by name, origin by name) of the distributions on ``paths`` (``sys.path``); the first found counts.

    Versions come from the folders' names, which is quick. An origin is there where ``direct_url.json`` tells one.
    """
    versions = {}
    origins = {}
    for entry in sys.path if paths is None else paths:
        try:
            names = sorted(_listdir(entry or os.curdir))
        except OSError:
            continue
        for name in names:
            stem, _, suffix = name.rpartition(".")
            if suffix in ("dist-info", "egg-info") and "-" in stem:
                parts = stem.split("-")
                distribution = parts[0].lower().replace("_", "-")
                if distribution in versions:
                    continue
                versions[distribution] = parts[1]
                found = read_origin(os.path.join(entry or os.curdir, name, "direct_url.json"))
                if found is not None:
                    origins[distribution] = found
    return dict(sorted(versions.items())), dict(sorted(origins.items()))


def read_origin(path):
    """What ``direct_url.json`` at ``path`` tells (see ``parse_origin``), or None."""
    if not _access(path, os.R_OK):
        return None
    try:
        with _open(path, encoding="utf-8") as file:
            return parse_origin(file.read(_LARGEST))
    except (OSError, ValueError):
        return None


def parse_origin(text):
    """The origin in the text of a ``direct_url.json``, without anything secret; None where it tells none.

    ``kind``: editable, directory, archive, or the version control system's name. ``url``: the local path of a
    directory; else the address without user, password, query and fragment, an archive's cut to its host and file name
    and a repository's to its host and last two parts, since addresses may carry tokens anywhere.
    ``revision``: the commit. ``digest``: the archive's, as ``sha256:<hex>``. Source:
    https://packaging.python.org/en/latest/specifications/direct-url-data-structure/
    """
    try:
        told = json.loads(text)
        url = told["url"]
        if not isinstance(url, str):
            return None
        if isinstance(told.get("vcs_info"), dict):
            kind, revision = told["vcs_info"].get("vcs"), told["vcs_info"].get("commit_id")
            return _origin(_word(kind) or "vcs", address(url, 2), _word(revision), "")
        if isinstance(told.get("archive_info"), dict):
            return _origin("archive", address(url, 1), "", _digest(told["archive_info"]))
        if isinstance(told.get("dir_info"), dict):
            kind = "editable" if told["dir_info"].get("editable") is True else "directory"
            return _origin(kind, _local(url), "", "")
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    return None


def address(url, kept):
    """``url`` as it may be shown: scheme, host and the last ``kept`` parts of its path; a file's name alone."""
    scheme, found, rest = url.partition("://")
    if not found:
        scheme, rest = "", url  # as git takes them: user@host:path
        host, _, path = rest.rpartition("@")[2].partition(":")
    else:
        host, _, path = rest.partition("/")
        host = host.rpartition("@")[2]
    for mark in "?#;":
        host = host.partition(mark)[0]
        path = path.partition(mark)[0]
    parts = [part.rpartition("@")[2] for part in path.split("/") if part]
    shown = parts[-kept:]
    if len(parts) > kept:
        shown.insert(0, "...")
    if scheme.rpartition("+")[2] == "file" or not host:
        return "file:" + (parts[-1] if parts else "")
    return (scheme + "://" if scheme else "") + "/".join([host, *shown])


def _origin(kind, url, revision, digest):
    return {"kind": kind, "url": url, "revision": revision, "digest": digest}


def _local(url):
    scheme, found, rest = url.partition("://")
    if not found or scheme != "file":
        return ""
    # Percent signs as in RFC 3986; urllib.parse would bring more into the process than it may use itself.
    first, *others = ("/" + rest.partition("/")[2]).split("%")
    pieces = [first.encode("utf-8", "surrogatepass")]
    for other in others:
        pieces.append(bytes.fromhex(other[:2]) + other[2:].encode("utf-8", "surrogatepass"))
    return b"".join(pieces).decode("utf-8", "backslashreplace")


def _digest(told):
    hashes = told.get("hashes")
    if isinstance(hashes, dict) and _word(hashes.get("sha256")):
        return "sha256:" + hashes["sha256"]
    name, _, value = str(told.get("hash") or "").partition("=")
    return name + ":" + value if _word(name) and _word(value) else ""


def _word(value):
    return value if isinstance(value, str) and value.isalnum() and len(value) <= 128 else ""
