"""Edits put into a text that otherwise stays as it is: its line ends, its encoding, the rest of its lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from auditor.source import Edit

_LINE_END = re.compile(rb"\r\n|\r|\n")


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text with the edits in it; none of them overlap. New lines end as the text's first one does."""
    data = text.encode("utf-8", "surrogatepass")
    starts = [0, *(found.end() for found in _LINE_END.finditer(data))]
    first = _LINE_END.search(data)
    ending = first[0].decode() if first is not None else "\n"
    spans = [
        (_offset(starts, one.line, one.column, data), _offset(starts, one.end_line, one.end_column, data), one.text)
        for one in edits
    ]
    parts, done = [], 0
    # Stable: what is put in the same place keeps its order.
    for start, end, new in sorted(spans, key=lambda span: span[:2]):
        parts += [data[done:start], new.replace("\n", ending).encode("utf-8", "surrogatepass")]
        done = end
    return b"".join([*parts, data[done:]]).decode("utf-8", "surrogatepass")


def _offset(starts: Sequence[int], line: int, column: int, data: bytes) -> int:
    """Where a place is; one behind the last line is the text's end."""
    return min(starts[line - 1] + column, len(data)) if line <= len(starts) else len(data)


def overlap(one: Iterable[Edit], other: Sequence[Edit]) -> bool:
    """Whether edits of two fixes cannot be applied together: they meet, or stand in the same place."""
    return any(
        (first.line, first.column) <= (second.end_line, second.end_column)
        and (second.line, second.column) <= (first.end_line, first.end_column)
        for first in one
        for second in other
    )
