"""Notebooks: which of their cells are read as Python, where a flaw is in them, and how it is mended."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from auditor.records.check import CheckReport
from auditor.rulebook import notebooks
from auditor.rulebook.project import Options, check
from auditor.source import Edit

DRAW = 'order = random.sample(os.listdir("data"), 2)'
IMPORTS = "import os\nimport random\n"


def _code(source: str | list[str], **more: Any) -> dict[str, Any]:
    return {"cell_type": "code", "execution_count": 1, "metadata": {}, "outputs": [], "source": source, **more}


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _notebook(*cells: dict[str, Any], language: str = "python", **how: Any) -> str:
    notebook = {
        "cells": cells,
        "metadata": {"language_info": {"name": language}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, **({"indent": 1, "ensure_ascii": False} | how)) + "\n"


def _check(root: Path, text: str, **asked: Any) -> CheckReport:
    (root / "notes.ipynb").write_text(text)
    options = Options(("unsorted-listing",), possible=True, processes=1)._replace(**asked)
    return check([Path()], root, options).report


def test_a_flaw_has_its_cell_and_its_line_in_it(tmp_path: Path) -> None:
    report = _check(
        tmp_path,
        _notebook(
            {"cell_type": "markdown", "metadata": {}, "source": "# Notes"},
            _code(_lines(IMPORTS)),
            _code("# first\n%matplotlib inline\n\n" + DRAW),
            _code("print(order)"),
        ),
    )
    (flaw,) = report.flaws
    assert (flaw.spot.cell, flaw.spot.line, flaw.spot.column) == (3, 4, DRAW.index("os.") + 1)
    assert flaw.excerpt == DRAW
    assert (report.files, report.lines, report.remarks) == (1, 8, ())


def test_an_allowance_counts_in_its_cell(tmp_path: Path) -> None:
    allow = "# auditor: allow[unsorted-listing] two files"
    report = _check(tmp_path, _notebook(_code(IMPORTS), _code(f"{DRAW}  {allow}"), _code(f"x = 1  {allow}")))
    assert (report.flaws, report.allowed) == ((), 1)
    (remark,) = report.remarks
    assert (remark.kind, remark.cell, remark.line) == ("unused-allowance", 3, 1)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = 1", "x = 1"),
        ("%matplotlib inline\nx = 1", "pass  # %matplotlib inline\nx = 1"),
        ("!pip install torch\nx = 1", "pass  # !pip install torch\nx = 1"),
        ("if x:\n    !ls\n    y = 1", "if x:\n    pass  # !ls\n    y = 1"),
        ("if x:\n    %time f()", "if x:\n    pass  # %time f()"),
        ("files = !ls\nx = files", "pass  # files = !ls\nx = files"),
        ("a, b = %run x.py", "pass  # a, b = %run x.py"),
        (
            "torch.nn?\n?torch\ntorch.nn??\n*int*?",
            "pass  # torch.nn?\npass  # ?torch\npass  # torch.nn??\npass  # *int*?",
        ),
        ("!pip install a \\\n  b \\\n  c\nx = 1", "pass  # !pip install a \\\n# b \\\n# c\nx = 1"),
        ("x = (a\n% b)", "x = (a\n% b)"),
        ("x = (a\n% b)\n%time y", "x = (a\n% b)\npass  # %time y"),
        ('s = """\n!pip\n%time\n"""\n!ls', 's = """\n!pip\n%time\n"""\npass  # !ls'),
        ("x = a \\\n% b", "x = a \\\n% b"),
        ("# a \\\n%ls", "# a \\\npass  # %ls"),
        ("x != y", "x != y"),
        ("x %= 2", "x %= 2"),
        ("%%time\nx = 1", "# %%time\nx = 1"),
        ("\n%%capture out\nx = 1", "\n# %%capture out\nx = 1"),
        ("x = 1\r\n%ls\r\n", "x = 1\npass  # %ls\n"),
    ],
)
def test_magics_become_comments_line_for_line(source: str, expected: str) -> None:
    assert notebooks.python(source) == expected
    ast.parse(expected)


@pytest.mark.parametrize(
    "magic", ["%%bash", "%%writefile train.py", "%%html", "%%js", "%%sh", "%%script bash", "%%sql", "%%R", "!!", "%%"]
)
def test_a_cell_in_another_language_is_left_out(tmp_path: Path, magic: str) -> None:
    assert notebooks.python(f"{magic}\nimport os") is None
    report = _check(tmp_path, _notebook(_code(IMPORTS), _code(f"{magic}\nfor x in y do"), _code(DRAW)))
    assert ([flaw.spot.cell for flaw in report.flaws], report.remarks) == ([3], ())


def test_a_cell_that_cannot_be_parsed_does_not_hide_the_others(tmp_path: Path) -> None:
    report = _check(tmp_path, _notebook(_code(IMPORTS), _code("def f(:"), _code(DRAW), _code("await f()\nreturn")))
    assert [flaw.spot.cell for flaw in report.flaws] == [3]
    assert [(remark.kind, remark.cell) for remark in report.remarks] == [("unread", 2)]


def test_another_kernels_notebook_is_not_read(tmp_path: Path) -> None:
    assert not _check(tmp_path, _notebook(_code(IMPORTS + DRAW), language="R")).flaws
    assert _check(tmp_path, _notebook(_code(IMPORTS + DRAW), language="ipython3")).flaws


def test_the_older_format_is_read(tmp_path: Path) -> None:
    cells = [{"cell_type": "code", "language": "python", "input": _lines(IMPORTS + DRAW)}]
    text = json.dumps({"worksheets": [{"cells": cells}], "nbformat": 3})
    (flaw,) = _check(tmp_path, text).flaws
    assert (flaw.spot.cell, flaw.spot.line) == (1, 3)


@pytest.mark.parametrize(
    "text",
    [
        '{"cells": [1, null, {}, {"cell_type": "code"}, {"cell_type": "code", "source": 3}]}',
        '{"cells": []}',
        '{"cells": [{"cell_type": "code", "source": []}, {"cell_type": "code", "source": ""}]}',
        '{"worksheets": [1, {"cells": 2}, {}]}',
        '{"cells": [], "metadata": {"kernelspec": 1, "language_info": {"name": 2}}}',
    ],
)
def test_what_is_hardly_a_notebook_does_no_harm(tmp_path: Path, text: str) -> None:
    report = _check(tmp_path, text)
    assert (report.flaws, report.remarks) == ((), ())


# -- mending -----------------------------------------------------------------------------------------------------

MENDED = DRAW.replace('os.listdir("data")', 'sorted(os.listdir("data"))')


@pytest.mark.parametrize(
    "how", [{}, {"indent": 2}, {"indent": "\t"}, {"indent": None}, {"ensure_ascii": True}], ids=str
)
def test_a_notebook_is_written_as_it_was(tmp_path: Path, how: dict[str, Any]) -> None:
    def text(draw: str) -> str:
        return _notebook(
            {"cell_type": "markdown", "metadata": {}, "source": ["# é 日本\n", "text"]},
            _code(_lines(f"%matplotlib inline\n{IMPORTS}")),
            _code(_lines(f"!ls\n{draw}\n# é")),
            _code(draw + "\n"),
            **how,
        )

    report = _check(tmp_path, text(DRAW), fix="unsafe")
    assert (report.fixed, report.flaws, report.remarks) == (2, (), ())
    assert (tmp_path / "notes.ipynb").read_text() == text(MENDED)


def test_one_that_would_be_written_otherwise_is_left(tmp_path: Path) -> None:
    text = _notebook(_code(IMPORTS + DRAW)).replace('"nbformat": 4', '"nbformat":  4')
    report = _check(tmp_path, text, fix="unsafe")
    assert (report.fixed, len(report.flaws)) == (0, 1)
    assert [remark.kind for remark in report.remarks] == ["unfixed"]
    assert (tmp_path / "notes.ipynb").read_text() == text


def test_edits_go_to_their_cells() -> None:
    text = _notebook(_code("a = 1\nb = 2"), {"cell_type": "markdown", "source": "x"}, _code(["%ls\n", "c = 3"]))
    cells = notebooks.read(text)
    assert (cells.text, cells.starts, cells.numbers) == ("a = 1\nb = 2\npass  # %ls\nc = 3\n", (1, 3), (1, 3))
    changed = notebooks.edit(text, cells, [Edit(2, 4, 2, 5, "5"), Edit(4, 0, 4, 0, "d = 4\n")])
    assert changed is not None
    sources = [cell["source"] for cell in json.loads(changed)["cells"]]
    assert sources == ["a = 1\nb = 5", "x", ["%ls\n", "d = 4\n", "c = 3"]]
    assert notebooks.edit(text, cells, [Edit(2, 4, 3, 1, "")]) is None, "no edit is of two cells"
