"""The numbers that a ledger's sources hold: one observation for each run and metric, and what is wrong with it."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from auditor.claims import patterns
from auditor.claims.ledger import bad
from auditor.records.claims import Ledger, Observation, Source

_MAX_BYTES = 64 << 20
_MAX_ROWS = 1_000_000
_SEED = re.compile(r"[+-]?\d{1,18}\Z")
_TABLES = (".csv", ".tsv")


class Unreadable(Exception):
    """A file of results cannot be read; the message says why."""


class Results(NamedTuple):
    """What all sources hold, in their order; ``empty`` are sources without a result, ``notes`` what else is wrong."""

    observations: tuple[Observation, ...]
    empty: tuple[str, ...]
    notes: tuple[str, ...]


def collect(ledger: Ledger, base: Path) -> Results:
    """Every number that the sources name, from below ``base``, the ledger's directory.

    What cannot be read is an observation with a problem, or a note: nothing is left out in silence. Raises UsageError
    ``bad-ledger`` or ``ledger-too-wide`` where the ledger itself is to blame.
    """
    wanted = tuple(dict.fromkeys(str(claim.of["metric"]) for claim in ledger.claim))
    # Of a table's columns those are labels that claims speak of; the others may be anything.
    known = {"method", "dataset", "seed", *(label for claim in ledger.claim for label in claim.of)} - {"metric"}
    observations: list[Observation] = []
    empty: list[str] = []
    notes: list[str] = []
    for number, source in enumerate(ledger.results, 1):
        before = len(observations)
        if source.table is not None:
            try:
                observations += _of_table(source, base, wanted, known, f"[[results]] number {number}")
            except Unreadable as error:
                empty.append(f"{source.table} cannot be read: {error}")
            else:
                if len(observations) == before:
                    empty.append(f"{source.table} has no result")
        else:
            found, problems = patterns.find_files(base, patterns.parse_pattern(source.files or ""))
            notes += problems
            observations += (one for file in found for one in _of_file(source, base, file))
            if not found:
                empty.append(f"no file matches {source.files}")
    return Results(tuple(observations), tuple(empty), tuple(dict.fromkeys(notes)))


# files


def _of_file(source: Source, base: Path, file: patterns.Found) -> Iterator[Observation]:
    labels = {**source.set, **file.labels}
    seed, problem = _seed(labels.pop("seed", None))
    if file.ambiguous:
        problem = problem or f"{file.path} fits its pattern in more than one way"
    try:
        if file.path.lower().endswith(_TABLES):
            row = _row(_read_table(base / file.path, file.path), source.row)
            values = {metric: _cell(row.get(column), column) for metric, column in source.metrics.items()}
            recorded = row.get(source.seed) if source.seed is not None else None
            document: Any = None
        else:
            document = parse_json(_text(base / file.path))
            values = {metric: number_at(document, path) for metric, path in source.metrics.items()}
            recorded = _lookup(document, source.seed) if source.seed is not None else None
    except Unreadable as error:
        values = dict.fromkeys(source.metrics, (None, f"it cannot be read: {error}"))
        recorded, document = None, None
    else:
        if source.seed is not None:
            seed, found = _seed(str(recorded) if isinstance(recorded, str | int) else None)
            problem = problem or found
        elif seed is not None:
            problem = problem or _other_seed(document, seed)
    for metric, (value, why) in values.items():
        yield Observation(labels, seed, metric, value, file.path, problem or why)


def _other_seed(document: Any, seed: int) -> str:
    """What is wrong where a result says another seed than its path does: it was copied, or its path was."""
    said = document.get("seed") if isinstance(document, dict) else None
    if isinstance(said, int) and not isinstance(said, bool) and said != seed:
        return f"its path says seed {seed} and its content seed {said}"
    return ""


def _seed(text: str | None) -> tuple[int | None, str]:
    if text is None:
        return None, ""
    if not _SEED.match(text.strip()):
        return None, f"the seed {text[:40]!r} is no whole number"
    return int(text), ""


def _row(rows: list[dict[str, str]], which: str | None) -> dict[str, str]:
    if not rows:
        raise Unreadable("the table has no rows")
    if len(rows) > 1 and which is None:
        raise Unreadable(f'the table has {len(rows)} rows; say row = "last" or row = "first"')
    return rows[0 if which == "first" else -1]


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise Unreadable(error.strerror or str(error)) from error
    if len(data) > _MAX_BYTES:
        raise Unreadable(f"it is larger than {_MAX_BYTES >> 20} MiB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable("it is not UTF-8 text") from None


def parse_json(text: str) -> Any:
    """A JSON document, NaN and Infinity as Python's writer spells them; raises Unreadable."""
    if not text.strip():
        raise Unreadable("it is empty")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Unreadable(f"it is no JSON ({error.msg} in line {error.lineno})") from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except ValueError:
        raise Unreadable("a number in it is too long") from None


class _Missing(NamedTuple):
    """Nothing is at a path, and why."""

    why: str


def _lookup(document: Any, path: str) -> Any:
    """What stands at a dotted path; keys may have dots in them, and numbers count list elements (−1 is the last)."""
    value = document
    words = path.split(".")
    place = 0
    while place < len(words):
        if isinstance(value, dict):
            # The longest key that fits, so that {"test.rmse": 1} is found as well as {"test": {"rmse": 1}}.
            for end in range(len(words), place, -1):
                key = ".".join(words[place:end])
                if key in value:
                    value, place = value[key], end
                    break
            else:
                names = ", ".join(str(name) for name in list(value)[:6])
                return _Missing(f"there is no {path}" + (f" (there are: {names})" if names else ""))
        elif isinstance(value, list) and words[place].lstrip("-").isdecimal() and len(words[place]) < 10:
            index = int(words[place])
            if not -len(value) <= index < len(value):
                return _Missing(f"there is no {path} (the list has {len(value)} elements)")
            value, place = value[index], place + 1
        else:
            return _Missing(f"there is no {path}")
    return value


def number_at(document: Any, path: str) -> tuple[float | None, str]:
    """The finite number at a dotted path, or None and why there is none."""
    return _number(_lookup(document, path), path)


def _number(value: Any, path: str) -> tuple[float | None, str]:
    match value:
        case _Missing(why):
            return None, why
        case bool():
            return None, f"{path} is a truth value"
        case int() | float():
            try:
                number = float(value)
            except OverflowError:
                return None, f"{path} is too large for a number"
            if math.isnan(number):
                return None, f"{path} is NaN"
            if math.isinf(number):
                return None, f"{path} is infinite"
            # Squares of more than that are beyond a double.
            return (None, f"{path} = {number:g} is too large to compute with") if abs(number) > 1e150 else (number, "")
        case None:
            return None, f"{path} is null"
        case list():
            return None, f"{path} is a list of {len(value)}; name one element, as in {path}.-1"
        case dict():
            return None, f"{path} holds {', '.join(list(value)[:6]) or 'nothing'}; name one of them"
    return None, f"{path} is the text {str(value)[:40]!r}"


def _cell(text: str | None, column: str) -> tuple[float | None, str]:
    if text is None:
        return None, f"there is no column {column}"
    if not text.strip():
        return None, f"{column} is empty"
    try:
        # Python reads 1_000 as a number; a table that has it means something else.
        number = float(text) if "_" not in text else None
    except ValueError:
        number = None
    return (None, f"{column} is the text {text[:40]!r}") if number is None else _number(number, column)


# tables


def _of_table(source: Source, base: Path, wanted: Iterable[str], known: set[str], where: str) -> Iterator[Observation]:
    name = source.table or ""
    path = base / name
    if path.exists() and not path.resolve().is_relative_to(base.resolve()):
        raise bad(f"{where}: {name} is a link out of the ledger's directory")
    rows = _read_table(path, name)
    columns = set(rows[0]) if rows else set()
    metrics = source.metrics or {metric: metric for metric in wanted if metric in columns}
    for label, column in source.columns.items():
        if rows and column not in columns:
            raise bad(f"{where}: {name} has no column {column!r} for {label} (it has {_few(columns)})")
    by_column = {label: label for label in known - set(source.columns)} | {
        c: label for label, c in source.columns.items()
    }
    for number, row in enumerate(rows, 1):
        labels = {
            **source.set,
            **{by_column[column]: text.strip() for column, text in row.items() if column in by_column},
        }
        seed, problem = _seed(labels.pop("seed", None) or None)
        for metric, column in metrics.items():
            value, why = _cell(row.get(column), column)
            yield Observation(labels, seed, metric, value, f"{name} row {number}", problem or why)


def _read_table(path: Path, name: str) -> list[dict[str, str]]:
    """The rows of a CSV or TSV file with a header, or of a JSON list of objects, as texts."""
    text = _text(path)
    if name.lower().endswith((".json", ".jsonl", ".ndjson")):
        return _read_records(text, name)
    rows: list[dict[str, str]] = []
    delimiter = "\t" if name.lower().endswith(".tsv") else _delimiter(text)
    try:
        reader = csv.reader(text.splitlines(), delimiter=delimiter, strict=True)
        header: list[str] | None = None
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if header is None:
                header = [cell.strip() for cell in row]
                twice = sorted({one for one in header if header.count(one) > 1})
                if twice:
                    raise Unreadable(f"two columns are called {twice[0]!r}")
                continue
            if len(row) != len(header):
                raise Unreadable(f"line {reader.line_num} has {len(row)} cells, the header {len(header)}")
            rows.append(dict(zip(header, row, strict=True)))
            if len(rows) > _MAX_ROWS:
                raise Unreadable(f"it has more than {_MAX_ROWS:,} rows")
    except csv.Error as error:
        raise Unreadable(f"it is no table ({error})") from None
    return rows


def _read_records(text: str, name: str) -> list[dict[str, str]]:
    if name.lower().endswith(".json"):
        document = parse_json(text)
    else:
        document = [parse_json(line) for line in text.splitlines() if line.strip()]
    if not isinstance(document, list) or not all(isinstance(row, dict) for row in document):
        raise Unreadable("it is no list of objects")
    return [
        {key: "" if cell is None else cell if isinstance(cell, str) else json.dumps(cell) for key, cell in row.items()}
        for row in document
    ]


def _delimiter(text: str) -> str:
    header = text.lstrip().split("\n", 1)[0]
    return max(",;\t", key=header.count)


def _few(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:8])
