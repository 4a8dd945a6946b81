"""Which files are read: those that are named, and in directories what git would not ignore."""

from __future__ import annotations

import io
import os
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pathspec import GitIgnoreSpec

from auditor.errors import UsageError
from auditor.source.documents import kind_of

MOST_BYTES = 4 << 20
"""How large a file of source may be: what is larger was generated."""
MOST_NOTEBOOK_BYTES = 64 << 20
"""How large a notebook may be: most of one is what its cells printed and drew."""

# Directories of what was installed, built or kept, besides those that are hidden.
_SKIPPED = frozenset({"node_modules", "site-packages", "__pycache__", "__pypackages__", "_build", "venv"})
_BUILT = frozenset({"build", "dist"})  # unless they are packages
_LINE = re.compile("\r\n|\r|\n")


class Found(NamedTuple):
    """A file to read: where it is, and its name relative to where checking began, with slashes."""

    path: str
    name: str


class Refused(Exception):
    """A file that is not read, or not written; the text says why."""


class Source(NamedTuple):
    """A file's text as it stands, with its own line ends, and what it takes to write it as it was."""

    data: bytes
    text: str
    encoding: str

    @property
    def plain(self) -> str:
        """The text with the line ends that Python knows."""
        return self.text if "\r" not in self.text else _LINE.sub("\n", self.text)


def find(paths: Iterable[Path], here: Path, excluded: Callable[[Path], bool]) -> list[Found]:
    """The files that ``paths`` name or hold, by name; ``excluded`` says which files and directories are left out.

    Of a directory these are the Python files, notebooks and documents that no ``.gitignore`` names. Hidden ones, what
    was installed or built, and links are passed by; what is named itself is read all the same. Raises UsageError
    ``no-such-path``.
    """
    found: dict[str, str] = {}
    for path in paths:
        absolute = Path(os.path.abspath(here / path))
        if absolute.is_dir():
            for one in _walk(absolute, excluded):
                found[name_of(one, here)] = one
        elif absolute.exists():
            if not excluded(absolute):
                found[name_of(str(absolute), here)] = str(absolute)
        else:
            raise UsageError("no-such-path", f"there is no file or directory {path}", "name one that is there")
    return [Found(found[name], name) for name in sorted(found)]


def name_of(path: str, here: Path) -> str:
    """A file's name relative to ``here``, with slashes; bytes that are no UTF-8 are written as escapes."""
    name = os.path.relpath(path, here).replace(os.sep, "/")
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_read(name: str) -> bool:
    """Whether a file is of a kind that is read, by its name alone."""
    return name.endswith((".py", ".ipynb")) or kind_of(name) is not None


def is_document(path: str) -> bool:
    """Whether a file is one that pins an environment, by its name."""
    return kind_of(os.path.basename(path)) is not None


class _Ignored(NamedTuple):
    """The patterns of one ``.gitignore``, and the directory that they are taken from."""

    directory: str
    spec: GitIgnoreSpec


def _walk(top: Path, excluded: Callable[[Path], bool]) -> Iterator[str]:
    """The files of a directory; what is in one that is ignored is ignored, whatever else says otherwise."""
    above = _above(top)
    if _is_ignored(str(top), True, above):
        above = ()  # whoever names an ignored directory wants what is in it
    pending = [(str(top), above)]
    while pending:
        directory, ignored = pending.pop()
        try:
            with os.scandir(directory) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            yield directory  # reading it will say why
            continue
        names = {entry.name for entry in entries}
        if directory != str(top) and ("pyvenv.cfg" in names or "conda-meta" in names):
            continue
        ignored = (*ignored, *_patterns(directory, ".gitignore")) if ".gitignore" in names else ignored
        for entry in entries:
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            if entry.is_dir():
                built = entry.name in _BUILT and not os.path.exists(os.path.join(entry.path, "__init__.py"))
                passed = entry.name in _SKIPPED or built or entry.name.endswith(".egg-info")
                if not passed and not _is_ignored(entry.path, True, ignored) and not excluded(Path(entry.path)):
                    pending.append((entry.path, ignored))
            elif (
                is_read(entry.name)
                and entry.is_file()
                and not _is_ignored(entry.path, False, ignored)
                and not excluded(Path(entry.path))
            ):
                yield entry.path


def _above(top: Path) -> tuple[_Ignored, ...]:
    """What the repository around a directory ignores, the outermost first; nothing where there is none."""
    root = next((one for one in (top, *top.parents) if (one / ".git").exists()), None)
    if root is None:
        return ()
    between = [one for one in (top, *top.parents) if one == root or root in one.parents][1:]
    own = _patterns(str(root), ".git/info/exclude")
    return (*own, *(one for directory in reversed(between) for one in _patterns(str(directory), ".gitignore")))


def _patterns(directory: str, name: str) -> tuple[_Ignored, ...]:
    try:
        text = Path(directory, name).read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ()
    kept = []
    for line in text.splitlines():
        try:
            GitIgnoreSpec.from_lines([line])
        except ValueError:
            continue  # git passes over a pattern that is none
        kept.append(line)
    return (_Ignored(directory, GitIgnoreSpec.from_lines(kept)),)


def _is_ignored(path: str, is_directory: bool, ignored: Iterable[_Ignored]) -> bool:
    """What the innermost ``.gitignore`` that knows the path says."""
    for one in reversed(tuple(ignored)):
        relative = os.path.relpath(path, one.directory).replace(os.sep, "/")
        said = one.spec.check_file(relative + "/" if is_directory else relative).include
        if said is not None:
            return said
    return False


def load(path: str) -> Source:
    """A file's text: a Python file's as its coding line says (PEP 263), any other as UTF-8. Raises Refused."""
    most = MOST_NOTEBOOK_BYTES if path.endswith(".ipynb") else MOST_BYTES
    try:
        if not os.path.isfile(path):
            raise Refused("it cannot be listed" if os.path.isdir(path) else "it is no regular file")
        with open(path, "rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise Refused(f"the system refuses it ({error.strerror})") from None
    if len(data) > most:
        raise Refused(f"it is larger than {most >> 20} MiB, so that it must have been generated")
    encoding = "utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8"
    try:
        if path.endswith(".py"):
            encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        return Source(data, data.decode(encoding), encoding)
    except (SyntaxError, LookupError, ValueError) as error:
        raise Refused(f"it is no text in the encoding that it says ({error})") from None


def replace(path: str, before: bytes, after: bytes) -> None:
    """Put ``after`` in the place of a file, at once and with its permissions; raises Refused where that cannot be."""
    target = os.path.realpath(path)
    scratch = f"{target}.auditor-{os.getpid()}"
    try:
        with open(target, "rb") as stream:
            if stream.read() != before:
                raise Refused("it has changed meanwhile")
        try:
            descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(after)
                stream.flush()
                os.fsync(descriptor)
            os.chmod(scratch, os.stat(target).st_mode & 0o7777)
            os.replace(scratch, target)
        except OSError:
            if os.path.exists(scratch):
                os.unlink(scratch)
            raise
    except OSError as error:
        raise Refused(f"it cannot be written ({error.strerror})") from None
