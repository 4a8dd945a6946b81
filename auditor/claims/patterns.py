"""File patterns with labels in them: ``phase1/{dataset}/{method}/seed_{seed}/results.json``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from auditor.errors import UsageError

MAX_ENTRIES = 200_000  # names in directories that are looked at
MAX_FILES = 50_000  # files that match
_MAX_LENGTH = 1_000
_MAX_PARTS = 40
_PART = re.compile(r"\{([^{}]*)\}|(\*)|([{}])")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_REMEDY = "mend the ledger; auditor explain bad-ledger shows one that works"


class Label(NamedTuple):
    """A part of a name that is read: ``{name}``, or ``*`` (an empty name), which is not kept."""

    name: str


class Pattern(NamedTuple):
    """A path's segments, each of fixed texts and labels in turn."""

    segments: tuple[tuple[str | Label, ...], ...]
    labels: frozenset[str]


class Found(NamedTuple):
    """A file that matches, relative to the ledger's directory; ``ambiguous`` where its name can be read in two ways."""

    path: str
    labels: dict[str, str]
    ambiguous: bool


def _bad(what: str) -> UsageError:
    return UsageError("bad-ledger", what, _REMEDY)


def check_path(text: str, where: str) -> tuple[str, ...]:
    """The segments of a relative path that stays in its directory; raises UsageError ``bad-ledger``."""
    if not text or len(text) > _MAX_LENGTH:
        raise _bad(f"{where}: {'an empty path' if not text else f'a path of {len(text)} characters'}")
    if any(ord(character) < 32 for character in text):
        raise _bad(f"{where}: {text!r} has a control character in it")
    segments = tuple(segment for segment in text.split("/") if segment not in ("", "."))
    if text.startswith(("/", "~")) or "\\" in text:
        raise _bad(f"{where}: {text!r} must be relative to the ledger's directory, with / between its parts")
    if ".." in segments:
        raise _bad(f"{where}: {text!r} leaves the ledger's directory")
    if not segments or len(segments) > _MAX_PARTS:
        raise _bad(f"{where}: {text!r} names no file" if not segments else f"{where}: a path of {len(segments)} parts")
    return segments


def parse_pattern(text: str, where: str = "files") -> Pattern:
    """The pattern in a text; raises UsageError ``bad-ledger`` for one that leaves its directory or is malformed."""
    segments = []
    labels: set[str] = set()
    for segment in check_path(text, where):
        if "**" in segment:
            raise _bad(f"{where}: ** is not known; name each directory, as in */{{method}}/results.json")
        parts: list[str | Label] = []
        end = 0
        for match in _PART.finditer(segment):
            if match[3]:
                raise _bad(f"{where}: {segment!r} has a brace that does not belong to a label")
            if match.start() > end:
                parts.append(segment[end : match.start()])
            name = match[1] or ""
            if match[2] is None and (not _LABEL.match(name) or name == "metric"):
                raise _bad(f"{where}: {{{name}}} cannot be a label; use {{method}}, {{dataset}}, {{seed}} or a word")
            if parts and isinstance(parts[-1], Label):
                raise _bad(f"{where}: {segment!r} has two labels with nothing between them")
            parts.append(Label(name))
            labels |= {name} - {""}
            end = match.end()
        if end < len(segment):
            parts.append(segment[end:])
        segments.append(tuple(parts))
    return Pattern(tuple(segments), frozenset(labels))


def match_name(parts: tuple[str | Label, ...], name: str) -> tuple[dict[str, str], bool] | None:
    """The labels of a name, and whether it can be read in two ways; None where it does not match.

    A label is at least one character long (``*`` may be none), and ``{seed}`` a whole number where the name allows it.
    """
    for whole_seeds in (True, False):
        first, last = (_read(parts, name, whole_seeds, longest) for longest in (False, True))
        if first is not None:
            return first, first != last
    return None


def _read(parts: tuple[str | Label, ...], name: str, whole_seeds: bool, longest: bool) -> dict[str, str] | None:
    # From the end: rest[j] says whether the parts from i on match name[j:]. No backtracking, whatever the name.
    size = len(name)
    rests = [[False] * size + [True]]
    for part in reversed(parts):
        after = rests[-1]
        now = [False] * (size + 1)
        for start in range(size + 1):
            now[start] = any(after[end] for end in _ends(part, name, start, whole_seeds))
        rests.append(now)
    rests.reverse()
    if not rests[0][0]:
        return None
    found: dict[str, str] = {}
    start = 0
    for part, after in zip(parts, rests[1:], strict=True):
        possible = [end for end in _ends(part, name, start, whole_seeds) if after[end]]
        end = possible[-1 if longest else 0]
        if isinstance(part, Label) and part.name:
            if found.get(part.name, name[start:end]) != name[start:end]:
                return None
            found[part.name] = name[start:end]
        start = end
    return found


def _ends(part: str | Label, name: str, start: int, whole_seeds: bool) -> Iterator[int]:
    if isinstance(part, str):
        if name.startswith(part, start):
            yield start + len(part)
        return
    for end in range(start + (1 if part.name else 0), len(name) + 1):
        if part.name == "seed" and whole_seeds and not name[start:end].lstrip("-").isdecimal():
            if end > start + 1 or name[start:end] != "-":
                return
            continue
        yield end


def find_files(base: Path, pattern: Pattern) -> tuple[list[Found], list[str]]:
    """The regular files below ``base`` that match, sorted by path, and what could not be looked at.

    Links are followed as long as they stay in ``base``. Raises UsageError ``ledger-too-wide`` for a pattern that would
    look at more than ``MAX_ENTRIES`` names or match more than ``MAX_FILES`` files.
    """
    root = base.resolve()
    seen = 0
    problems: list[str] = []
    level: list[tuple[str, dict[str, str], bool]] = [("", {}, False)]
    for depth, parts in enumerate(pattern.segments):
        is_last = depth == len(pattern.segments) - 1
        following: list[tuple[str, dict[str, str], bool]] = []
        for directory, labels, ambiguous in level:
            if len(parts) == 1 and isinstance(parts[0], str):
                names = [parts[0]]
            else:
                try:
                    names = sorted(os.listdir(base / directory))
                except NotADirectoryError:
                    continue
                except OSError as error:
                    problems.append(f"{directory or '.'} cannot be looked at ({error.strerror})")
                    continue
            seen += len(names)
            if seen > MAX_ENTRIES:
                raise UsageError(
                    "ledger-too-wide",
                    f"a pattern of the ledger looks at more than {MAX_ENTRIES:,} names",
                    "name more of the directories in it",
                )
            for name in names:
                # A name that is not UTF-8 is nothing that a report could show or a claim could name.
                if not _is_text(name):
                    problems.append(f"a name in {directory or '.'} is not UTF-8")
                    continue
                read = match_name(parts, name)
                if read is None or any(labels.get(key, value) != value for key, value in read[0].items()):
                    continue
                path = f"{directory}/{name}" if directory else name
                place = base / path
                if not (place.is_file() if is_last else place.is_dir()):
                    continue
                if place.is_symlink() and not place.resolve().is_relative_to(root):
                    problems.append(f"{path} is a link out of the ledger's directory, and not read")
                    continue
                following.append((path, {**labels, **read[0]}, ambiguous or read[1]))
        level = following
        if len(level) > MAX_FILES:
            raise UsageError(
                "ledger-too-wide",
                f"a pattern of the ledger matches more than {MAX_FILES:,} files",
                "name more of the directories in it",
            )
    return [Found(*one) for one in sorted(level, key=lambda one: one[0])], problems


def _is_text(name: str) -> bool:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
