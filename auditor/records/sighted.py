"""What the source's sense saw in the files that the runs of an audit executed, kept so that it can be told again."""

from __future__ import annotations

import msgspec

from auditor.records.check import Flaw

SCHEMA = "auditor.sighted/1"


class Allowed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A rule that a comment allows, with the line of code that it is allowed on."""

    rule: str
    file: str
    line: int


class Unread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A source file that a run executed and that was not read, and why."""

    file: str
    why: str


class Sighted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``checks.json``: what reading the project's own source files found, as the runs executed them.

    ``files`` counts those that were read. Flaws of ``possible`` confidence are left out, and those that comments allow.
    ``more`` counts what the runs did not tell: files of the project without a name, processes without files.
    """

    files: int
    flaws: tuple[Flaw, ...]
    allowed: tuple[Allowed, ...]
    unread: tuple[Unread, ...]
    more: int = 0
    schema: str = SCHEMA

    @property
    def complete(self) -> bool:
        """Whether every source file of the project that a run executed was read."""
        return not self.unread and not self.more
