"""What is to be compared: fingerprints and audits in files, directories and standard input, each read strictly once."""

from __future__ import annotations

import errno
import functools
import itertools
import json
import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import msgspec

from auditor.compare.fleet import Fleet
from auditor.errors import EvidenceError, UsageError
from auditor.records.audit import SCHEMA as AUDIT
from auditor.records.audit import Audit
from auditor.records.environments import Subject
from auditor.records.fingerprint import SCHEMA as FINGERPRINT
from auditor.records.fingerprint import Fact, Fingerprint
from auditor.store import Store, fault_of

STDIN = "-"

_LARGEST_FINGERPRINT = 16 << 20
_LARGEST_AUDIT = 256 << 20
_NAMED = 10  # problems that are named one by one
_SCHEMA = re.compile(r"auditor\.(fingerprint|audit)/([1-9][0-9]{0,8})")
_REPORT = re.compile(r"auditor\.(comparison|drift|lock)/[1-9][0-9]{0,8}")
_PIPES = ("/dev/fd/", "/proc/self/fd/")

_Layer = dict[str, Fact]


class _Outer(msgspec.Struct, forbid_unknown_fields=True):
    """A fingerprint whose layers are not decoded yet: most of them are equal to those of another one."""

    schema: str
    layers: dict[str, msgspec.Raw]


class _Last(NamedTuple):
    """How the last fingerprint was written: what is between its layers, and each layer's text and number."""

    between: list[bytes]
    layers: dict[str, tuple[bytes, int]]


class _Head(msgspec.Struct):
    """What tells which document it is."""

    schema: str


class _Bad(Exception):
    """A document that cannot be used, and why; ``newer`` where a newer auditor wrote it.

    ``report`` is its schema where it is a report of ours, which is no fingerprint and no audit.
    """

    def __init__(self, why: str, *, newer: bool = False, report: str = "") -> None:
        super().__init__(why)
        self.newer = newer
        self.report = report


class Reader:
    """Reads what the user named into a ``Fleet``; ``audits`` holds the evidence directories by their place in it.

    ``passed_by`` are entries of directories that were not looked at.
    """

    def __init__(self, stdin: Callable[[], BinaryIO]) -> None:
        self.fleet = Fleet()
        self.audits: dict[int, Path] = {}
        self.passed_by: list[str] = []
        self._stdin = stdin
        self._problems: list[tuple[str, _Bad | EvidenceError]] = []
        self._layers: dict[bytes, int] = {}
        self._last: _Last | None = None
        self._outer = msgspec.json.Decoder(_Outer)
        self._layer = msgspec.json.Decoder(_Layer)
        self._names: dict[str, int] = {}

    def read(self, arguments: Sequence[str]) -> None:
        """Read every argument.

        Raises UsageError ``nothing-to-compare`` (fewer than two), ``unreadable-input`` (naming every one that cannot be
        used) or ``newer-schema``, EvidenceError where all that is wrong is one damaged audit.
        """
        if sum(argument == STDIN for argument in arguments) > 1:
            raise UsageError("bad-usage", "standard input is named twice, and can be read once", "give - once")
        self._read_every(arguments)
        if len(self.fleet) < 2:
            what = "there is nothing to compare" if not len(self.fleet) else "there is one thing only to compare"
            passed = f"; not looked at: {', '.join(self.passed_by[:3])}" if self.passed_by else ""
            raise UsageError(
                "nothing-to-compare",
                what + passed,
                "name two or more fingerprints or audits, or a directory of them (auditor fingerprint -o FILE)",
            )

    def read_one(self, argument: str) -> Fingerprint:
        """Read an argument that stands for one fingerprint; raises UsageError as ``read`` does."""
        self._read_every((argument,))
        if len(self.fleet) != 1:
            raise UsageError(
                "unreadable-input",
                f"{argument} stands for {len(self.fleet)} fingerprints",
                "name one fingerprint, or one audit",
            )
        return self.fleet.fingerprint(0)

    def _read_every(self, arguments: Sequence[str]) -> None:
        for argument in arguments:
            if argument == STDIN:
                self._read_stream(self._stdin())
            else:
                self._read_path(argument)
        self._complain()

    def _complain(self) -> None:
        if not self._problems:
            return
        if len(self._problems) == 1 and isinstance(self._problems[0][1], EvidenceError):
            raise self._problems[0][1]
        lines = [
            f"{readable(name)}: {problem.what if isinstance(problem, EvidenceError) else problem}"
            for name, problem in self._problems[:_NAMED]
        ]
        if len(self._problems) > _NAMED:
            lines.append(f"and {len(self._problems) - _NAMED} more")
        if all(_is_newer(problem) for _, problem in self._problems):
            raise UsageError("newer-schema", "\n".join(lines), "upgrade the auditor that reads it")
        raise UsageError(
            "unreadable-input",
            "\n".join(lines),
            "give files that auditor fingerprint or auditor run wrote, or make them anew",
        )

    def _read_path(self, argument: str) -> None:
        # A pipe of the shell's, <(command), is open already and cannot keep us waiting for a writer.
        if os.path.abspath(argument).startswith(_PIPES):
            return self._attempt(argument, functools.partial(self._regular, argument, os.O_RDONLY))
        try:
            mode = os.stat(argument).st_mode
        except (OSError, ValueError) as error:
            self._problems.append((argument, _Bad(_why(error))))
            return None
        if not stat.S_ISDIR(mode):
            return self._attempt(argument, lambda: self._file(argument))
        if os.path.lexists(os.path.join(argument, "evidence.json")):
            return self._attempt(argument, lambda: self._evidence(argument))
        return self._directory(argument)

    def _directory(self, argument: str) -> None:
        try:
            with os.scandir(argument) as entries:
                # Hidden files belong to those who made them: .gitignore, a file that is just being written.
                found = sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda one: one.name)
        except OSError as error:
            self._problems.append((argument, _Bad(_why(error))))
            return
        for entry in found:
            # Links are not followed: what is compared is what lies in the directory.
            if entry.is_file(follow_symlinks=False) and entry.name.endswith(".json"):
                path = entry.path
                self._attempt(path, functools.partial(self._of_directory, path))
            elif entry.is_dir(follow_symlinks=False) and os.path.lexists(os.path.join(entry.path, "evidence.json")):
                path = entry.path
                self._attempt(path, functools.partial(self._evidence, path))
            else:
                self.passed_by.append(readable(entry.path))

    def _of_directory(self, path: str) -> None:
        """A file of a directory, in which a report of ours may have been saved too."""
        try:
            self._regular(path, _OPEN)
        except _Bad as problem:
            if not problem.report:
                raise
            self.passed_by.append(f"{readable(path)} ({problem.report})")

    def _read_stream(self, stream: BinaryIO) -> None:
        """One document, or one on each line: the first line tells, being a whole document by itself or not."""
        first = stream.readline(_LARGEST_AUDIT + 1)
        try:
            msgspec.json.decode(first, type=_Head)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            rest = stream.read(_LARGEST_AUDIT + 1 - len(first))
            self._attempt(STDIN, lambda: self._document(STDIN, first + rest))
            return
        others = ((number, line) for number, line in enumerate(_lines(stream), start=2) if line.strip())
        second = next(others, None)
        if second is None:
            self._attempt(STDIN, lambda: self._document(STDIN, first))
            return
        for number, line in itertools.chain(((1, first), second), others):
            self._attempt(f"{STDIN}:{number}", functools.partial(self._document, f"{STDIN}:{number}", line))

    def _attempt(self, name: str, read: Callable[[], None]) -> None:
        try:
            read()
        except (_Bad, EvidenceError) as problem:
            self._problems.append((name, problem))
        except OSError as problem:
            self._problems.append((name, _Bad(_why(problem))))

    def _file(self, argument: str) -> None:
        # An audit.json that lies in its evidence directory stands for it: the evidence says more.
        directory = Path(argument).parent
        if os.path.basename(argument) == "audit.json" and os.path.lexists(directory / "evidence.json"):
            self._evidence(argument, directory)
        else:
            self._regular(argument, _OPEN & ~os.O_NOFOLLOW)

    def _regular(self, path: str, flags: int) -> None:
        self._document(path, self._whole(path, flags))

    def _whole(self, path: str, flags: int) -> bytes:
        descriptor = os.open(path, flags)
        try:
            found = os.fstat(descriptor)
            pipe = flags == os.O_RDONLY and stat.S_ISFIFO(found.st_mode)
            if not stat.S_ISREG(found.st_mode) and not pipe:
                raise _Bad("it is not a regular file")
            if found.st_size > _LARGEST_AUDIT:
                raise _Bad(f"it is larger than {_LARGEST_AUDIT >> 20} MiB")
            if pipe:
                with os.fdopen(os.dup(descriptor), "rb") as stream:
                    return stream.read(_LARGEST_AUDIT + 1)
            data = os.read(descriptor, found.st_size + 1)
            while len(data) < found.st_size:
                more = os.read(descriptor, found.st_size + 1 - len(data))
                if not more:
                    break
                data += more
            return data
        finally:
            os.close(descriptor)

    def _evidence(self, argument: str, directory: Path | None = None) -> None:
        store = Store.open(directory or argument)
        fingerprint = store.read_fingerprint()
        # Nothing of it is used, but one that is damaged, or newer than this auditor, says that not all is as it was.
        if os.path.lexists(store.path / "audit.json"):
            store.read_audit()
        index = self._add(argument, "evidence", store.id, self._of_fingerprint(fingerprint))
        self.audits[index] = store.path

    def _document(self, name: str, data: bytes) -> None:
        """Add one JSON document; raises _Bad."""
        layers = self._like_the_last(data)
        if layers is None:
            try:
                outer = self._outer.decode(data)
            except (msgspec.MsgspecError, RecursionError, ValueError) as error:
                self._other(name, data, error)
                return
            if outer.schema != FINGERPRINT:
                self._other(name, data)
                return
            layers = self._fingerprint(data, outer)
        self._add(name, "fingerprint", None, layers)

    def _fingerprint(self, data: bytes, outer: _Outer) -> dict[str, int]:
        if len(data) > _LARGEST_FINGERPRINT:
            raise _Bad(f"it is larger than {_LARGEST_FINGERPRINT >> 20} MiB")
        raws = {layer: bytes(raw) for layer, raw in outer.layers.items()}
        between = _between(data, list(raws.values()))
        self._refuse_duplicates(data if between is None else b"0".join(between))
        try:
            layers = {layer: self._raw_layer(layer, raw) for layer, raw in raws.items()}
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            raise _Bad(_said(data, error)) from error
        self._last = (
            None if between is None else _Last(between, {layer: (raws[layer], layers[layer]) for layer in raws})
        )
        return layers

    def _like_the_last(self, data: bytes) -> dict[str, int] | None:
        """The layers of a document that is written as the last one was, but for what is in some layers; else None.

        Files of one fleet mostly are: what is the same need not be read again, which is most of the work.
        """
        last = self._last
        if last is None or len(data) > _LARGEST_FINGERPRINT or not data.startswith(last.between[0]):
            return None
        layers = {}
        position = len(last.between[0])
        for following, (kind, (raw, number)) in zip(last.between[1:], list(last.layers.items()), strict=True):
            end = position + len(raw)
            if not (data.startswith(raw, position) and data.startswith(following, end)):
                end = data.find(following, position)
                if end < 0:
                    return None
                raw = data[position:end]
                # What ends too early is no whole value; whatever is wrong with it is said when all of it is read.
                try:
                    number = self._raw_layer(kind, raw)
                except (msgspec.MsgspecError, RecursionError, ValueError, _Bad):
                    return None
                last.layers[kind] = (raw, number)
            layers[kind] = number
            position = end + len(following)
        return layers if position == len(data) else None

    def _raw_layer(self, kind: str, data: bytes) -> int:
        digest = sha256(data).digest()
        known = self._layers.get(digest)
        if known is None:
            layer = self._layer.decode(data)
            if not _canonical(data, layer):
                self._refuse_duplicates(data)
            known = self._layers[digest] = self.fleet.intern(kind, layer)
        return known

    def _refuse_duplicates(self, data: bytes) -> None:
        def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            found = dict(pairs)
            if len(found) != len(pairs):
                names = [name for name, _ in pairs]
                raise _Bad(f"it has {next(name for name in names if names.count(name) > 1)[:80]!r} twice")
            return found

        try:
            json.loads(data, object_pairs_hook=unique)
        except (ValueError, RecursionError) as error:
            raise _Bad(f"it is no JSON: {error}") from error

    def _of_fingerprint(self, fingerprint: Fingerprint) -> dict[str, int]:
        return {layer: self.fleet.intern(layer, facts) for layer, facts in fingerprint.layers.items()}

    def _other(self, name: str, data: bytes, error: Exception | None = None) -> None:
        """A document that is no fingerprint of this version: an audit, or one that cannot be read."""
        try:
            schema = msgspec.json.decode(data, type=_Head).schema
        except (msgspec.MsgspecError, RecursionError, ValueError) as problem:
            said = str(problem) or type(problem).__name__
            raise _Bad(f"it is neither a fingerprint nor an audit: {said}") from problem
        check_schema(schema, FINGERPRINT, AUDIT)
        if schema != AUDIT:
            raise _Bad(str(error) or type(error).__name__) from error
        try:
            audit = msgspec.json.decode(data, type=Audit)
        except (msgspec.MsgspecError, RecursionError, ValueError) as problem:
            raise _Bad(_said(data, problem)) from problem
        check_schema(audit.fingerprint.schema, FINGERPRINT)
        self._refuse_duplicates(data)
        self._add(name, "audit", audit.id, self._of_fingerprint(audit.fingerprint))

    def _add(self, name: str, kind: str, audit: str | None, layers: dict[str, int]) -> int:
        named = readable(name)
        count = self._names[named] = self._names.get(named, 0) + 1
        shown = named if count == 1 else f"{named}#{count}"
        return self.fleet.add(Subject(shown, kind, audit), layers)  # type: ignore[arg-type]  # one of the kinds


_BEGINNING = 64  # bytes by which a layer is looked for
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def _between(data: bytes, layers: Sequence[bytes]) -> list[bytes] | None:
    """What a document has before, between and after its layers; None where one cannot be found in it in its turn."""
    between: list[bytes] = []
    position = 0
    for layer in layers:
        at = data.find(layer[:_BEGINNING], position)
        if at < 0 or not data.startswith(layer, at):
            return None
        between.append(data[position:at])
        position = at + len(layer)
    return [*between, data[position:]]


def _is_newer(problem: _Bad | EvidenceError) -> bool:
    return problem.newer if isinstance(problem, _Bad) else problem.slug == "newer-schema"


def _said(data: bytes, error: Exception) -> str:
    """What is wrong with a document, and with which fact of it."""
    fault = fault_of(data)
    return f"{fault[0]}: {fault[1]}" if fault is not None else str(error) or type(error).__name__


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: stream.readline(_LARGEST_AUDIT + 1), b"")


def _canonical(data: bytes, layer: _Layer) -> bool:
    """Whether the JSON is what this value is written as, which has no key twice: keys in its own order, or sorted."""
    stripped = msgspec.json.format(data, indent=-1)
    return stripped == msgspec.json.encode(layer) or stripped == msgspec.json.encode(layer, order="sorted")


def check_schema(schema: str, *known: str) -> None:
    """Refuse a document of another kind or of a newer version; raises _Bad.

    There is one version of each so far. One that is older than those that are known would be brought up to date here,
    before it is decoded.
    """
    if schema in known:
        return
    found = _SCHEMA.fullmatch(schema)
    same_kind = [one for one in known if found is not None and one.rpartition("/")[0] == f"auditor.{found[1]}"]
    if found is not None and same_kind and int(found[2]) > int(same_kind[0].rpartition("/")[2]):
        raise _Bad(f"its schema is {schema}, which a newer auditor wrote (this one reads {same_kind[0]})", newer=True)
    report = schema if _REPORT.fullmatch(schema) is not None else ""
    shown = schema if len(schema) <= 80 else f"{schema[:79]}…"
    raise _Bad(f"its schema is {shown!r}, which is not one of {', '.join(known)}", report=report)


def readable(name: str) -> str:
    """A name that can be printed and written as UTF-8: whatever cannot is an escape."""
    if name.isprintable():
        return name
    text = os.fsencode(name).decode("utf-8", "backslashreplace")
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def _why(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno is not None:
        if error.errno == errno.ELOOP:
            return "it is a link, or links lead in a circle"
        return os.strerror(error.errno).lower() if error.errno != errno.ENOENT else "there is no such file or directory"
    return str(error)
