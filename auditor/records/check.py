"""What reading a project's source found."""

from __future__ import annotations

from typing import Literal

import msgspec

SCHEMA = "auditor.check/1"


class Spot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where something stands: lines and columns count from 1, columns in characters; the end is past the last one.

    ``file`` is relative to where checking began, with slashes. ``cell`` is the number of a notebook's cell, from 1, and
    ``line`` then counts within it.
    """

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    cell: int | None = None


class Flaw(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One finding of a rule in one place; ``fix`` is whether it can be mended by itself."""

    rule: str
    message: str
    level: Literal["bit-exact", "seed-stable", "distribution-stable"]
    severity: Literal["error", "warning", "note"]
    confidence: Literal["high", "medium", "possible"]
    spot: Spot
    excerpt: str
    fix: Literal["safe", "unsafe"] | None = None


class Remark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something about checking itself: a file that could not be read, an allowance that nothing used.

    ``unfixed`` is a flaw that was to be mended and was left as it was; ``fault`` a rule that failed on the file.
    """

    kind: Literal["unread", "unused-allowance", "unknown-rule", "unfixed", "fault"]
    message: str
    file: str
    line: int | None = None
    cell: int | None = None


class CheckReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that was found, in order of file and place.

    ``allowed`` counts what comments and configuration allow, ``possible`` what is not shown unless asked for.
    """

    flaws: tuple[Flaw, ...]
    remarks: tuple[Remark, ...]
    files: int
    lines: int
    allowed: int
    possible: int
    fixed: int = 0
    schema: str = SCHEMA
