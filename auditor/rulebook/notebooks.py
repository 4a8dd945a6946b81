"""Notebooks: the Python of their code cells as one text, and edits of it brought back into the cells."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
import warnings
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from auditor.rulebook.edits import apply
from auditor.source import Edit

# Cell magics whose body is run as the notebook's own Python; the body of any other is another language, or a file.
# Source: https://ipython.readthedocs.io/en/stable/interactive/magics.html#cell-magics; the last three are packages'.
_PYTHON_MAGICS = frozenset({"capture", "debug", "prun", "time", "timeit", "memit", "snakeviz", "wandb"})
# A line that begins with a sign, asks for help (``name?``), or assigns what a magic gives: nothing of it is Python.
_MAGIC = re.compile(r"\s*(?:[%!?]|[\w.*]+\?{1,2}\s*$|[\w.\[\], ]+=\s*[%!])")


class BadNotebook(Exception):
    """The file is no notebook that can be read; the text says why."""


class Cells(NamedTuple):
    """The Python of a notebook: its code cells, one after another.

    ``starts`` has the first line in ``text`` of each of them, and ``numbers`` which cell of the notebook it is, from 1.
    ``skipped`` are cells that cannot be parsed.
    """

    text: str
    starts: tuple[int, ...]
    numbers: tuple[int, ...]
    skipped: tuple[int, ...] = ()

    def place(self, line: int) -> tuple[int, int]:
        """The cell that a line of the text is in, and which line of the cell it is."""
        index = max(bisect_right(self.starts, line) - 1, 0)
        return self.numbers[index], line - self.starts[index] + 1


def read(text: str) -> Cells:
    """The Python of a notebook, magics turned into comments; raises BadNotebook."""
    lines: list[str] = []
    starts, numbers, skipped = [], [], []
    notebook = _parse(text)
    for number, cell in enumerate(_cells(notebook) if _is_python(notebook) else (), 1):
        source = _source(cell)
        if source is None:
            continue
        code = python(source)
        if code is None:
            continue
        if not _parses(code):
            skipped.append(number)
            continue
        starts.append(len(lines) + 1)
        numbers.append(number)
        lines += code.split("\n")
    return Cells("\n".join(lines) + "\n", tuple(starts), tuple(numbers), tuple(skipped))


def edit(text: str, cells: Cells, edits: Iterable[Edit]) -> str | None:
    """The notebook with edits of ``cells.text`` in the cells that they belong to.

    None where an edit is of no single cell, or the file would be written in another way than it is now.
    """
    notebook = _parse(text)
    written = _written_like(text, notebook)
    if written is None or not cells.starts:
        return None
    by_cell: dict[int, list[Edit]] = {}
    for one in edits:
        (number, line), (last, end_line) = cells.place(one.line), cells.place(one.end_line)
        if number != last:
            return None
        by_cell.setdefault(number, []).append(one._replace(line=line, end_line=end_line))
    found = list(_cells(notebook))
    for number, own in by_cell.items():
        cell = found[number - 1]
        key = "source" if "source" in cell else "input"
        changed = apply(_source(cell) or "", own)
        cell[key] = changed if isinstance(cell[key], str) else changed.splitlines(keepends=True)
    return json.dumps(notebook, **written[0]) + written[1]


def python(source: str) -> str | None:
    """A code cell's Python, line for line; None where it holds another language."""
    lines = source.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is not None and lines[first].startswith(("%%", "!!")):
        name = re.match(r"%%(\w*)", lines[first])
        if name is None or name[1] not in _PYTHON_MAGICS:
            return None
        lines[first] = "# " + lines[first]
    if not any(_MAGIC.match(line) for line in lines):
        return "\n".join(lines)
    done: list[str] = []
    continued = False
    for line in lines:
        if continued:
            done.append(f"# {line.strip()}")
        elif _MAGIC.match(line) and not _open(done):
            indent = line[: len(line) - len(line.lstrip())]
            # A statement, since the line may be all that a block holds.
            done.append(f"{indent}pass  # {line.strip()}")
        else:
            done.append(line)
            continue
        continued = line.rstrip().endswith("\\")
    return "\n".join(done)


def _open(lines: Sequence[str]) -> bool:
    """Whether a bracket, a string or a backslash at the end of these lines goes on in the next."""
    try:
        for _ in tokenize.generate_tokens(io.StringIO("\n".join(lines) + "\n").readline):
            pass
    except tokenize.TokenError:
        return True
    except SyntaxError:
        return False
    return False


def _parses(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _parse(text: str) -> dict[str, Any]:
    try:
        notebook = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadNotebook(f"it is no JSON ({str(error)[:200]})") from None
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells", notebook.get("worksheets")), list):
        raise BadNotebook("it is no notebook: it has no cells")
    return notebook


def _is_python(notebook: dict[str, Any]) -> bool:
    """Whether the notebook's kernel is one of Python, as far as it says."""
    metadata = notebook.get("metadata")
    described = metadata if isinstance(metadata, dict) else {}
    for key, field in (("language_info", "name"), ("kernelspec", "language")):
        about = described.get(key)
        named = about.get(field) if isinstance(about, dict) else None
        if isinstance(named, str):
            return named.lower().startswith(("python", "ipython"))
    return True


def _cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells of a notebook of format 4, or of format 3 with its worksheets; what is no cell is an empty one."""
    if isinstance(notebook.get("cells"), list):
        listed = notebook["cells"]
    else:
        sheets = [one for one in notebook["worksheets"] if isinstance(one, dict) and isinstance(one.get("cells"), list)]
        listed = [cell for sheet in sheets for cell in sheet["cells"]]
    return [cell if isinstance(cell, dict) else {} for cell in listed]


def _source(cell: dict[str, Any]) -> str | None:
    """A code cell's text as it stands; None for any other cell."""
    if cell.get("cell_type") != "code":
        return None
    source = cell.get("source", cell.get("input"))
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        return "".join(source)
    return source if isinstance(source, str) else None


def _written_like(text: str, notebook: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """How ``json.dumps`` writes this notebook just as it is written, and what follows; None where it does not."""
    body = text.rstrip("\n")
    found = re.match(r"\{\n([ \t]+)", body)
    indent = None if found is None else "\t" if "\t" in found[1] else len(found[1])
    for ascii_only in (False, True):
        how: dict[str, Any] = {"indent": indent, "ensure_ascii": ascii_only}
        if json.dumps(notebook, **how) == body:
            return how, text[len(body) :]
    return None
