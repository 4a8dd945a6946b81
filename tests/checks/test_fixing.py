"""Mending: nothing but the flaw changes, and what cannot be mended is left as it was and said."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.records.check import Flaw, Remark, Spot
from auditor.rule import Example, Rule
from auditor.rulebook import rulebook
from auditor.rulebook.checking import Candidate, Reading
from auditor.rulebook.edits import apply, overlap
from auditor.rulebook.fixing import Editable, Mended, imports, mend
from auditor.rulebook.project import Checked, Options, check
from auditor.source import Edit

NAMES = {"python": "train.py", "requirements": "requirements.txt", "pyproject": "pyproject.toml"}
NAMES |= {"environment": "environment.yml", "dockerfile": "Dockerfile"}
LISTING = """import os
import random

order = []
if not order:
    order = random.sample(os.listdir("data"), 2)
print(order)
"""
MENDED = LISTING.replace('os.listdir("data")', 'sorted(os.listdir("data"))')


def _lay(root: Path, rule: Rule, example: Example) -> Path:
    """Write an example with what stands beside it; the file that has the flaw."""
    for name, text in {**example.beside, example.name or NAMES[example.kind]: example.code}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root / (example.name or NAMES[example.kind])


def _fix(root: Path, *rules: str, write: bool = True) -> Checked:
    return check([Path()], root, Options(rules, (), True, "unsafe", write, 1))


def _fixable() -> Iterator[object]:
    """Every bad example of a rule in which the rule offers a fix."""
    from auditor.rulebook.checking import check_texts

    for each in rulebook().values():
        for number, example in enumerate(each.rule.bad, 1):
            name = example.name or NAMES[example.kind]
            flaws = check_texts({**example.beside, name: example.code}, possible=True).flaws
            if any(flaw.rule == each.rule.id and flaw.fix for flaw in flaws):
                yield pytest.param(each.rule, example, id=f"{each.rule.id}-{number}")


FIXABLE = list(_fixable())


@pytest.mark.parametrize(("rule", "example"), FIXABLE)
def test_a_mended_example_is_python_and_has_the_flaw_no_more(tmp_path: Path, rule: Rule, example: Example) -> None:
    path = _lay(tmp_path, rule, example)
    preview = _fix(tmp_path, rule.id, write=False)
    assert path.read_text() == example.code, "a preview writes nothing"
    checked = _fix(tmp_path, rule.id)
    assert not [remark for remark in checked.report.remarks if remark.kind == "unfixed"]
    assert not [flaw for flaw in checked.report.flaws if flaw.fix], path.read_text()
    assert checked.report.fixed and checked.diff == preview.diff
    if example.kind == "python":
        ast.parse(path.read_text())
    assert not _fix(tmp_path, rule.id).diff, "mending twice changes nothing more"


@pytest.mark.programs
@pytest.mark.parametrize(("rule", "example"), [one for one in FIXABLE if one.id.endswith("-1")])  # type: ignore[attr-defined]
def test_a_mended_example_still_runs(tmp_path: Path, rule: Rule, example: Example) -> None:
    if example.kind != "python" or not example.runs:
        pytest.skip("it is no program that runs here")
    if missing := [name for name in example.needs if importlib.util.find_spec(name.replace("-", "_")) is None]:
        pytest.skip(f"it needs {', '.join(missing)}")
    path = _lay(tmp_path, rule, example)
    _fix(tmp_path, rule.id)
    done = subprocess.run(
        [sys.executable, path.name, *example.arguments],
        cwd=path.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{path.read_text()}\n{done.stderr}"


def test_every_fix_of_the_rulebook_has_an_example() -> None:
    with_fix = {rule.id for rule, _ in (param.values for param in FIXABLE)}  # type: ignore[attr-defined]
    home = Path(__file__).parents[2] / "checks"
    written = {
        path.stem.replace("_", "-")
        for path in home.glob("*.py")
        if re.search(r"\bFix\(|\bfix=(?!None)", path.read_text(encoding="utf-8"))
    }
    assert written <= with_fix, written - with_fix


# -- the file stays what it was --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "write",
    [
        lambda text: text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: ("# coding: latin-1\nname = 'é'\n" + text).encode("latin-1"),
        lambda text: ("# -*- coding: shift_jis -*-\nname = '日本'\n" + text).encode("shift_jis"),
        lambda text: text.replace("    ", "\t").encode(),
        lambda text: text.rstrip("\n").encode(),
        lambda text: text.replace("\norder", "\n\x0c\norder", 1).encode(),
        lambda text: text.replace("import random\n", "import random\r\n").encode(),
        lambda text: text.replace("\n", "  \n").encode(),
    ],
    ids=["plain", "crlf", "mark", "latin-1", "shift_jis", "tabs", "no-final-newline", "page", "mixed", "trailing"],
)
def test_everything_else_stays_as_it_was(tmp_path: Path, write: Callable[[str], bytes]) -> None:
    path = tmp_path / "train.py"
    path.write_bytes(write(LISTING))
    checked = _fix(tmp_path, "unsorted-listing")
    assert (checked.report.fixed, checked.report.remarks) == (1, ())
    assert path.read_bytes() == write(MENDED)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("print(next(Path().iterdir()))", "print(next(iter(sorted(Path().iterdir()))))"),
        ("first = Path().glob('*')\nprint(next(first))", "first = iter(sorted(Path().glob('*')))\nprint(next(first))"),
        ("print([p.name for p in Path().iterdir()][0])", "print([p.name for p in sorted(Path().iterdir())][0])"),
    ],
)
def test_what_is_taken_from_one_by_one_stays_an_iterator(tmp_path: Path, line: str, expected: str) -> None:
    path = tmp_path / "train.py"
    path.write_text(f"from pathlib import Path\n\nimport torch\n\n{line}\n")
    _fix(tmp_path, "unsorted-listing")
    assert path.read_text().endswith(f"\n{expected}\n"), path.read_text()


def test_a_set_that_is_returned_stays_a_set(tmp_path: Path) -> None:
    path = tmp_path / "words.py"
    path.write_text("def words(text):\n    return set(text.split())\n")
    checked = _fix(tmp_path, "hash-order")
    assert path.read_text() == "def words(text):\n    return set(text.split())\n", checked


def test_permissions_and_links_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "train.py", tmp_path / "link.py"
    path.write_text(LISTING)
    path.chmod(0o751)
    link.symlink_to("train.py")
    check([Path("link.py")], tmp_path, Options(fix="unsafe", processes=1))
    assert link.is_symlink() and path.read_text() == MENDED
    assert stat.S_IMODE(path.stat().st_mode) == 0o751
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link.py", "train.py"]


def test_only_what_is_safe_is_mended_unless_asked(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    rule = rulebook()["cudnn-benchmark"].rule
    path.write_text(rule.bad[0].code)
    asked = (rule.id,)
    report = check([Path()], tmp_path, Options(asked, fix="safe", processes=1)).report
    assert (report.fixed, [flaw.fix for flaw in report.flaws]) == (0, ["unsafe"])
    assert path.read_text() == rule.bad[0].code
    assert check([Path()], tmp_path, Options(asked, fix="unsafe", processes=1)).report.fixed == 1


def test_what_is_allowed_or_mended_elsewhere_is_left(tmp_path: Path) -> None:
    path = tmp_path / "train.py"
    allowed = re.sub(r"(.*os\.listdir.*)", r"\1  # auditor: allow[unsorted-listing] two files", LISTING)
    path.write_text(allowed)
    report = _fix(tmp_path, "unsorted-listing").report
    assert (report.fixed, report.allowed, path.read_text()) == (0, 1, allowed)


def test_a_diff_is_one_that_patch_takes(tmp_path: Path) -> None:
    path = tmp_path / "src" / "train.py"
    path.parent.mkdir()
    path.write_text(LISTING.rstrip("\n"))
    diff = _fix(tmp_path, "unsorted-listing", write=False).diff
    subprocess.run(["git", "apply"], cwd=tmp_path, input=diff, text=True, check=True)
    assert path.read_text() == MENDED.rstrip("\n")


def test_what_its_encoding_cannot_hold_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "train.py"
    path.write_text("# coding: ascii\n" + LISTING)
    monkeypatch.setattr("auditor.rulebook.project.apply", lambda text, edits: apply(text, edits) + "# é\n")
    report = _fix(tmp_path, "unsorted-listing").report
    assert [remark.kind for remark in report.remarks] == ["unfixed"]
    assert report.fixed == 0 and len(report.flaws) == 1
    assert path.read_text() == "# coding: ascii\n" + LISTING


# -- many flaws in one text --------------------------------------------------------------------------------------


def _mend(text: str, fix: Callable[[int, int], tuple[Edit, ...]], needs: tuple[str, ...] = ()) -> Mended:
    """Mend every word BAD, by what ``fix`` makes of its line and column."""

    def read(text: str) -> Reading:
        try:
            ast.parse(text)
        except SyntaxError:
            return Reading("a.py", (), frozenset(), (Remark("unread", "", "a.py"),), 0)
        found = []
        for number, line in enumerate(text.split("\n"), 1):
            for one in re.finditer("BAD", line):
                spot = Spot("a.py", number, one.start() + 1, number, one.end() + 1)
                flaw = Flaw("bad", f"at {one.start()}", "bit-exact", "warning", "high", spot, line, "safe")
                found.append(Candidate(flaw, (), False, fix(number, one.start()), needs))
        return Reading("a.py", tuple(found), frozenset(), (), 0)

    editable = Editable(read, lambda reading: reading.candidates, lambda text: text, apply)
    return mend(text, read(text), editable, lambda one: True)


def _word(line: int, column: int) -> tuple[Edit, ...]:
    return (Edit(line, column, line, column + 3, "good"),)


def test_all_of_a_file_are_mended_together() -> None:
    mended = _mend("f(BAD, BAD)\ng(BAD)\nBAD = 1\n", _word)
    assert (mended.text, mended.fixed, mended.remarks) == ("f(good, good)\ng(good)\ngood = 1\n", 4, ())


def test_those_that_meet_are_mended_one_after_another() -> None:
    mended = _mend("x = [BAD, BAD]\n", lambda line, column: (*_word(line, column), Edit(line, 4, line, 4, "+")))
    assert (mended.text, mended.fixed) == ("x = ++[good, good]\n", 2)


def test_one_that_breaks_the_file_does_not_keep_the_others_from_being_mended() -> None:
    def fix(line: int, column: int) -> tuple[Edit, ...]:
        return (Edit(line, column, line, column + 3, "(" if line == 2 else "good"),)

    mended = _mend("x = BAD\ny = BAD\nz = BAD\n", fix)
    assert (mended.text, mended.fixed) == ("x = good\ny = BAD\nz = good\n", 2)
    assert [(one.kind, one.line) for one in mended.remarks] == [("unfixed", 2)]
    assert "cannot be parsed" in mended.remarks[0].message


@pytest.mark.parametrize("text", ["BAD", "BAD BAD"])
def test_one_that_is_still_seen_is_left_as_it_was(text: str) -> None:
    mended = _mend("x = BAD\n", lambda line, column: (Edit(line, column, line, column, "+"),))
    assert (mended.text, mended.fixed) == ("x = BAD\n", 0)
    assert "still be seen" in mended.remarks[0].message


def test_one_that_changes_nothing_is_left() -> None:
    mended = _mend("x = BAD\n", lambda line, column: (Edit(line, column, line, column + 3, "BAD"),))
    assert mended.fixed == 0 and "change nothing" in mended.remarks[0].message


# -- imports -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import os\nBAD\n", "import random\nimport os\nBAD\n"),
        ("BAD\n", "import random\n\nBAD\n"),
        ("def f():\n    BAD\n", "import random\n\n\ndef f():\n    BAD\n"),
        ("@g\ndef f():\n    BAD\n", "import random\n\n\n@g\ndef f():\n    BAD\n"),
        ('"""Doc."""\n\nimport os\nBAD\n', '"""Doc."""\n\nimport random\nimport os\nBAD\n'),
        (
            '#!/bin/python\n# license\n"""Doc\n\nmore."""\nfrom __future__ import annotations\nBAD\n',
            '#!/bin/python\n# license\n"""Doc\n\nmore."""\nfrom __future__ import annotations\nimport random\n\nBAD\n',
        ),
        ('"""Doc."""; import os\nBAD\n', '"""Doc."""; import random; import os\nBAD\n'),
        ("import os; BAD\n", "import random\nimport os; BAD\n"),
        ("import random\nBAD\n", "import random\nBAD\n"),
        ("import os, random\nBAD\n", "import os, random\nBAD\n"),
        ("BAD\nimport random\n", "import random\n\nBAD\nimport random\n"),
        ("import random as r\nBAD\n", "import random\nimport random as r\nBAD\n"),
        ("if 1:\n    import random\nBAD\n", "import random\n\nif 1:\n    import random\nBAD\n"),
        ("BAD\r\n", "import random\r\n\r\nBAD\r\n"),
    ],
)
def test_an_import_goes_where_imports_stand_and_not_twice(text: str, expected: str) -> None:
    mended = _mend(text, _word, ("random",))
    assert mended.text == expected.replace("BAD", "good"), mended.remarks


def test_two_flaws_need_one_import() -> None:
    assert _mend("BAD\nBAD\n", _word, ("random",)).text == "import random\n\ngood\ngood\n"


@pytest.mark.parametrize(
    "text",
    [
        "from random import random\nBAD\n",
        "random = 1\nBAD\n",
        "def f(random):\n    BAD\n",
        "def random():\n    BAD\n",
        "for random in x:\n    BAD\n",
        "import numpy.random as random\nBAD\n",
        "try:\n    pass\nexcept E as random:\n    BAD\n",
    ],
)
def test_where_the_modules_name_is_taken_nothing_is_mended(text: str) -> None:
    mended = _mend(text, _word, ("random",))
    assert mended.text == text
    assert "stands for something else" in mended.remarks[0].message


def test_a_package_is_imported_with_its_module() -> None:
    assert imports("import torch.utils.data\nx\n", ["torch"], 2) == ()
    (edit,) = imports("import torch\nx\n", ["torch.utils.data"], 2)
    assert edit.text == "import torch.utils.data\n"


# -- edits ---------------------------------------------------------------------------------------------------------

LINES = st.lists(st.text("aé€😀 \t\x0c", max_size=6), min_size=1, max_size=6)


@st.composite
def _edited(draw: st.DrawFn) -> tuple[str, list[Edit], str]:
    """A text, edits of it, and what it is with them: made piece by piece."""
    ending = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    lines, edits, new = draw(LINES), [], []
    for number, line in enumerate(lines, 1):
        start = draw(st.integers(0, len(line)))
        end = draw(st.integers(start, len(line)))
        text = draw(st.text("xy\n", max_size=4))
        before, gone, after = line[:start], line[start:end], line[end:]
        edits.append(Edit(number, len(before.encode()), number, len((before + gone).encode()), text))
        # A text of one line says nothing of how lines end.
        new.append(before + text.replace("\n", ending if len(lines) > 1 else "\n") + after)
    return ending.join(lines), edits, ending.join(new)


@given(_edited(), st.randoms(use_true_random=False))
def test_edits_change_their_own_places_only(case: tuple[str, list[Edit], str], order: object) -> None:
    text, edits, expected = case
    shuffled: Sequence[Edit] = sorted(edits, key=lambda one: order.random())  # type: ignore[attr-defined]
    assert apply(text, shuffled) == expected


def test_edits_meet_where_they_touch() -> None:
    first = [Edit(1, 4, 1, 8, "")]
    assert overlap(first, [Edit(1, 8, 1, 8, "x")])
    assert overlap(first, [Edit(1, 0, 2, 0, "x")])
    assert not overlap(first, [Edit(1, 9, 1, 9, "x"), Edit(1, 0, 1, 3, "x")])
