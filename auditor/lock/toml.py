"""TOML that somebody else may have written, read as plain values or refused in words."""

from __future__ import annotations

import re
import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


class Damaged(Exception):
    """The text is no TOML that can be used: ``why``, and the ``line`` where that is known (else 1)."""

    def __init__(self, why: str, line: int = 1) -> None:
        super().__init__(why)
        self.why = why
        self.line = line


def parse(text: str) -> dict[str, Any]:
    """The document as dicts, lists and scalars; raises Damaged."""
    try:
        document: dict[str, Any] = tomllib.loads(text)
    except RecursionError:
        raise Damaged("it is nested too deeply") from None
    except ValueError as error:
        # Numbers and dates beyond any size are a ValueError too, and not the parser's own.
        why = str(error).splitlines()[0][:200] if str(error) else "unreadable"
        line = re.search(r"line (\d+)", why)
        raise Damaged(f"it is no TOML ({why})", int(line[1]) if line is not None else 1) from None
    return document
