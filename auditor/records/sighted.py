"""What the source's sense saw in the files that the runs of an audit executed, kept so that it can be told again."""

from __future__ import annotations

import msgspec

from auditor.records.check import Flaw

SCHEMA = "auditor.sighted/1"


class Allowed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule that a comment allows on a line of code, or settings in a whole file (``line`` 0)."""

    rule: str
    file: str
    line: int


class Unread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A source file that a run executed and that was not read, and why."""

    file: str
    why: str


class Sighted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``checks.json``: what reading the project's own source files found, as the runs executed them.

    ``files`` counts those that were read. Flaws that comments or settings allow are left out; those of ``possible``
    confidence are here, and count where the runs show them too. ``faults`` are rules that failed on a file, in words.
    ``more`` counts what the runs did not tell: files of the project without a name, processes without files.
    """

    files: int
    flaws: tuple[Flaw, ...]
    allowed: tuple[Allowed, ...]
    unread: tuple[Unread, ...]
    faults: tuple[str, ...] = ()
    more: int = 0
    schema: str = SCHEMA

    @property
    def complete(self) -> bool:
        """Whether every source file of the project that a run executed was read by every rule."""
        return not (self.unread or self.faults or self.more)
