"""Whatever a file holds, reading it gives a reading: no rule fails, and no file stops the others."""

from __future__ import annotations

import ast
import functools
import sysconfig
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.records.check import CheckReport
from auditor.rulebook import notebooks, rulebook
from auditor.rulebook.checking import Reading, read
from auditor.rulebook.project import Options, check

ROOT = Path(__file__).parents[2]
INSTALLED = Path(sysconfig.get_path("purelib"))
DOCUMENTS = ("requirements.txt", "pyproject.toml", "environment.yml", "Dockerfile")
FUZZED = settings(deadline=None, derandomize=True, database=None)


@functools.cache
def _corpus() -> tuple[str, ...]:
    """Real files of all kinds: the project's own, and of what is installed one in so many."""
    own = [*(ROOT / "tests" / "programs").rglob("*.py"), *(ROOT / "examples").rglob("*.py")]
    others = [path for path in sorted(INSTALLED.rglob("*.py")) if path.stat().st_size < 20_000][::97]
    texts = []
    for path in sorted(own) + others:
        try:
            texts.append(path.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            continue
    examples = [example.code for check in rulebook().values() for example in (*check.rule.bad, *check.rule.good)]
    return (*texts, *examples)


def _whole(reading: Reading) -> Reading:
    """A reading in which no rule failed, and whose places are in the text."""
    assert not [remark for remark in reading.remarks if remark.kind == "fault"], reading.remarks
    for candidate in reading.candidates:
        spot = candidate.flaw.spot
        assert 1 <= spot.line <= spot.end_line and spot.column >= 1
    return reading


@st.composite
def _mutated(draw: st.DrawFn) -> str:
    """A real file that was cut, or had lines or signs put elsewhere."""
    text = draw(st.sampled_from(_corpus()))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(text)))
        end = min(len(text), at + draw(st.integers(0, 60)))
        match draw(st.sampled_from(["cut", "drop", "double", "put", "swap", "join"])):
            case "cut":
                text = text[:at]
            case "drop":
                text = text[:at] + text[end:]
            case "double":
                text = text[:end] + text[at:]
            case "put":
                text = text[:at] + draw(st.sampled_from(SIGNS)) + text[at:]
            case "swap":
                lines = text.split("\n")
                one, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
                lines[one], lines[other] = lines[other], lines[one]
                text = "\n".join(lines)
            case "join":
                text = text[:at] + draw(st.sampled_from(_corpus()))
    return text


SIGNS = [
    *"()[]{},.:;=*@%#'\"\\\n\t\0\x0c\r é😀",
    '"""',
    "**kwargs",
    "*args",
    " as ",
    " = None",
    ":=",
    "lambda: ",
    "await ",
    "del ",
    "global x\n",
    "import torch\n",
    "from numpy.random import *\n",
    "# auditor: allow[",
    "==",
    "@ git+",
    "-r ",
    "FROM ",
    "- pip:\n",
]


@settings(FUZZED, max_examples=120)
@given(_mutated())
def test_a_mutated_file_is_read(text: str) -> None:
    reading = _whole(read("train.py", text))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        assert [remark.kind for remark in reading.remarks] == ["unread"]
    else:
        assert "unread" not in {remark.kind for remark in reading.remarks}


@settings(FUZZED, max_examples=80)
@given(st.sampled_from(DOCUMENTS), _mutated())
def test_a_mutated_document_is_read(name: str, text: str) -> None:
    _whole(read(name, text, None, frozenset({name, "uv.lock"})))


@settings(FUZZED, max_examples=120)
@given(st.sampled_from(("train.py", *DOCUMENTS)), st.text(max_size=200) | st.lists(st.sampled_from(SIGNS)).map("".join))
def test_any_text_is_read(name: str, text: str) -> None:
    _whole(read(name, text))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "code", "markdown", "x = 1", "%%bash", "!ls"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["cells", "cell_type", "source", "input", "worksheets", "metadata", "kernelspec", "language"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(FUZZED, max_examples=150)
@given(JSON)
def test_any_json_is_a_notebook_or_none(value: Any) -> None:
    import json

    text = json.dumps({"cells": value} if isinstance(value, list) else value)
    try:
        cells = notebooks.read(text)
    except notebooks.BadNotebook:
        return
    _whole(read("notes.ipynb", text, cells))


@settings(FUZZED, max_examples=60)
@given(st.lists(st.text("ab%!?=()'\"\\ \n", max_size=12), max_size=4))
def test_what_is_read_of_a_cell_has_its_lines(lines: list[str]) -> None:
    source = "\n".join(lines)
    code = notebooks.python(source)
    assert code is None or code.count("\n") == source.count("\n")


def _checked(root: Path, **asked: Any) -> CheckReport:
    return check([Path()], root, Options(possible=True, processes=1)._replace(**asked)).report


NAMES = st.sampled_from(["a.py", "b.ipynb", "requirements.txt", "src/c.py", ".gitignore", "x/.gitignore", "Dockerfile"])


@settings(FUZZED, max_examples=60)
@given(st.dictionaries(NAMES, st.binary(max_size=80) | st.sampled_from(SIGNS).map(str.encode), max_size=5))
def test_any_bytes_in_a_tree_give_a_report(tree: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        for name, data in tree.items():
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).write_bytes(data)
        report = _checked(root)
        assert not [remark for remark in report.remarks if remark.kind == "fault"]
        assert _checked(root, fix="unsafe", write=False).flaws == report.flaws


@settings(FUZZED, max_examples=40)
@given(_mutated())
def test_mending_any_file_leaves_one_that_is_read(text: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "train.py")
        path.write_bytes(text.encode())
        before = _checked(Path(directory))
        after = _checked(Path(directory), fix="unsafe")
        unread = ["unread" in {remark.kind for remark in report.remarks} for report in (before, after)]
        assert unread[0] == unread[1]
        if not after.fixed:
            assert path.read_bytes() == text.encode()


@pytest.mark.parametrize(
    "opening", ["(", "[", "{", "f(", "lambda: ", "not ", "-", "x.y", "x[0]", "if x:\n" + " ", "[x for x in "]
)
@pytest.mark.parametrize("times", [50, 90, 900, 30_000])
def test_however_deep_it_is(opening: str, times: int) -> None:
    closing = {"(": ")", "[": "]", "{": "}", "f(": ")", "[x for x in ": "]"}.get(opening, "")
    for text in (opening * times + "1" + closing * times, f"x = {opening * times}"):
        _whole(read("train.py", text + "\n"))
