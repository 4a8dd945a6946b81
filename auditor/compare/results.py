"""Result files as named series of numbers: JSON, JSON lines, CSV, plain columns of numbers."""

from __future__ import annotations

import bz2
import csv
import errno
import gzip
import io
import json
import lzma
import math
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from auditor.compare.tensors import Unreadable

Number = int | float

TABLE_SUFFIXES = frozenset({".csv", ".tsv"})
JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})
_MAX_BYTES = 1 << 28
_MAX_LEAVES = 3_000_000


@dataclass
class Results:
    """What a result file says.

    ``numbers`` maps a leaf's dotted name (a column, a tag) to its series, in the file's order (one value for a scalar;
    truth values as 1 and 0). ``words`` does the same for texts and nulls, ``places`` for where in the file a series'
    values stand, where that matters (the row of a table's cell, the step of an event).
    ``problem`` says what is damaged.
    """

    numbers: dict[str, list[Number]] = field(default_factory=dict)
    words: dict[str, list[str]] = field(default_factory=dict)
    places: dict[str, list[int]] = field(default_factory=dict)
    problem: str = ""


def _integer(text: str) -> int:
    if len(text) > 4000:
        raise Unreadable("a number of more than 4000 digits")
    return int(text)


# How torch and NumPy show a number: tensor(0.75, device='cuda:0'), np.float32(0.75).
_WRAPPED = re.compile(r"(?:tensor|array|(?:np\.|numpy\.)?(?:float|int)\d*)\((?P<number>[^(),]+)(?:,.*)?\)")
_DECODER = json.JSONDecoder(parse_int=_integer)


def _add_leaves(root: Any, results: Results) -> None:
    pending: list[tuple[str, Any]] = [("", root)]
    count = 0
    while pending:
        path, value = pending.pop()
        count += 1
        if count + len(pending) > _MAX_LEAVES:
            raise Unreadable(f"more than {_MAX_LEAVES} values")
        if len(path) > 20_000:
            raise Unreadable("values nested too deeply")
        if isinstance(value, dict):
            pending.extend((f"{path}.{key}" if path else key, item) for key, item in reversed(value.items()))
        elif isinstance(value, list):
            pending.extend(
                (f"{path}.{index}" if path else str(index), value[index]) for index in range(len(value) - 1, -1, -1)
            )
        elif isinstance(value, (bool, int, float)):
            results.numbers.setdefault(path, []).append(int(value) if isinstance(value, bool) else value)
        else:
            results.words.setdefault(path, []).append("null" if value is None else value)


def parse_json(text: str) -> Results:
    """Return the leaves of a JSON document; of several in one file (JSON lines), each leaf's series over the lines.

    NaN and Infinity are read as Python's and JavaScript's writers write them. Raises Unreadable for what is not JSON.
    """
    results = Results()
    try:
        try:
            _add_leaves(_DECODER.decode(text), results)
            return results
        except json.JSONDecodeError as error:
            if not error.msg.startswith("Extra data"):
                raise
        return parse_json_lines(text)
    except json.JSONDecodeError as error:
        raise Unreadable(f"not valid JSON ({error.msg} in line {error.lineno})") from error
    except RecursionError as error:
        raise Unreadable("JSON nested too deeply") from error


def parse_json_lines(text: str) -> Results:
    """Return each leaf's series over the lines. Raises Unreadable where a line is not JSON."""
    results = Results()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            _add_leaves(_DECODER.decode(line), results)
        except json.JSONDecodeError as error:
            raise Unreadable(f"line {number} is not valid JSON ({error.msg})") from error
        except RecursionError as error:
            raise Unreadable("JSON nested too deeply") from error
    return results


def parse_number(text: str) -> Number | None:
    """Return the number that a text spells, exactly; None if none. ``12,`` ``3.5%`` and ``(2)`` lose their marks."""
    plain = text.strip().strip("()[]{}").rstrip(",;%:").strip()
    if not plain or len(plain) > 4000 or "_" in plain:
        return None
    try:
        return int(plain)
    except ValueError:
        pass
    try:
        return float(plain)
    except ValueError:
        return None


def parse_spelled(text: str) -> Number | None:
    """Return the number of a text that is one, as a writer left it: ``0.75``, ``tensor(0.75)``; None for other texts.

    ``True`` and ``False`` are none: a text that says so names a state.
    """
    if len(text) > 200:
        return None
    match = _WRAPPED.fullmatch(text.strip())
    return parse_number(match["number"] if match else text)


def parse_table(text: str, delimiter: str | None = None) -> Results:
    """Return a table's columns, named by its header row (by number, from 0, where the first row is numbers).

    Empty cells are not there; cells that are no numbers are words. Raises Unreadable for what is no table.
    """
    lines = text.splitlines()
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    if delimiter is None:
        delimiter = max(",;\t", key=first.count)
    results = Results()
    header: list[str] | None = None
    row_number = 0
    cells = 0
    try:
        for row in csv.reader((line for line in lines if not line.startswith("#")), delimiter=delimiter):
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                if all(parse_number(cell) is not None for cell in row if cell.strip()):
                    header = [str(index) for index in range(len(row))]
                else:
                    header = _unique([cell.strip() for cell in row])
                    continue
            if len(row) > len(header):
                header.extend(str(index) for index in range(len(header), len(row)))
            row_number += 1
            cells += len(row)
            if cells > _MAX_LEAVES:
                raise Unreadable(f"more than {_MAX_LEAVES} cells")
            for name, cell in zip(header, row, strict=False):
                if not cell.strip():
                    continue
                number = parse_spelled(cell)
                if number is None:
                    results.words.setdefault(name, []).append(cell)
                else:
                    results.numbers.setdefault(name, []).append(number)
                    results.places.setdefault(name, []).append(row_number)
    except csv.Error as error:
        raise Unreadable(f"not a valid table ({error})") from error
    return results


def _unique(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    unique = []
    for index, name in enumerate(names):
        name = name or str(index)
        seen[name] = seen.get(name, 0) + 1
        unique.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return unique


def is_columns(text: str) -> bool:
    """Whether a text is nothing but rows of equally many numbers, as ``numpy.savetxt`` writes them."""
    width = 0
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        cells = line.replace(",", " ").split()
        if (width and len(cells) != width) or any(_float(cell) is None for cell in cells):
            return False
        width = len(cells)
    return width > 0


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def parse_columns(text: str) -> Results:
    """Return the columns of a text of numbers, named by their number from 0."""
    rows = (line.replace(",", " ").split() for line in text.splitlines() if not line.startswith("#"))
    return parse_table("\n".join(" ".join(row) for row in rows if row), delimiter=" ")


def open_packed(path: Path, packing: str) -> gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile | BinaryIO:
    """Open a file for reading what is packed in it: ``.gz``, ``.bz2``, ``.xz``, or an empty string for none."""
    match packing:
        case ".gz":
            return gzip.open(path, "rb")
        case ".bz2":
            return bz2.open(path, "rb")
        case ".xz":
            return lzma.open(path, "rb")
    return path.open("rb")


def read_text(path: Path, packing: str = "") -> str:
    """Return a text file's content, unpacked. Raises Unreadable for what is too large, damaged or not UTF-8."""
    try:
        with open_packed(path, packing) as stream:
            data = stream.read(_MAX_BYTES + 1)
        if len(data) > _MAX_BYTES:
            raise Unreadable(f"larger than {_MAX_BYTES >> 20} MiB")
        return io.TextIOWrapper(io.BytesIO(data), encoding="utf-8-sig").read()
    except (EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise Unreadable(f"it is damaged ({error})") from error
    except OSError as error:
        raise Unreadable(f"the file cannot be opened ({error.strerror or error})") from error
    except UnicodeDecodeError as error:
        raise Unreadable("not UTF-8 text") from error


def key(value: Number) -> tuple[str, Number]:
    """Return what two numbers must share to be the same: −0.0 is not 0.0, 1 is 1.0, nan is nan."""
    if isinstance(value, float):
        if math.isnan(value):
            return ("nan", 0)
        if value == 0.0 and math.copysign(1.0, value) < 0:
            return ("negative zero", 0)
    return ("", value)


def same(one: list[Number], two: list[Number]) -> bool:
    """Whether two series are the same numbers in the same order."""
    return len(one) == len(two) and all(
        (a == b and key(a) == key(b)) or key(a) == key(b) for a, b in zip(one, two, strict=True)
    )


def largest_difference(series: list[list[Number]]) -> float | None:
    """Return the largest |Δ| at any place between any two of several equally long series; None where it is not finite.

    A place where all are NaN, or the same infinity, differs by nothing.
    """
    largest = 0.0
    for values in zip(*series, strict=True):
        keys = {key(value) for value in values}
        if len(keys) == 1:
            continue
        if any(isinstance(value, float) and not math.isfinite(value) for value in values):
            return None
        try:
            largest = max(largest, float(max(values) - min(values)))
        except OverflowError:
            return None
    return largest


def lines_of(path: Path) -> Iterator[str]:
    """Yield a text's lines, split at newlines and at the carriage returns of progress bars; odd bytes are replaced.

    Raises OSError, for what is no regular file too: a pipe would be waited for without end.
    """
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "it is no regular file")
    with path.open(encoding="utf-8", errors="replace", newline=None) as stream:
        for line in stream:
            yield line.rstrip("\n")
