"""What comments and the configuration allow, and what is said of those that allow nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from auditor.errors import UsageError
from auditor.records.check import CheckReport
from auditor.rulebook import rulebook
from auditor.rulebook.checking import check_texts
from auditor.rulebook.project import Options, check

DRAW = 'random.sample(os.listdir("data"), 2)'
FLAW = f"import os\nimport random\n\nprint({DRAW})\n"
IMAGE = "FROM pytorch/pytorch:latest\n"


def _check(root: Path, *paths: str, select: tuple[str, ...] = ("unsorted-listing",), **asked: object) -> CheckReport:
    options = Options(select, processes=1)._replace(**asked)  # type: ignore[arg-type]
    return check([Path(path) for path in paths or (".",)], root, options).report


def _text(*lines: str, name: str = "train.py") -> CheckReport:
    report = check_texts({name: "import os\nimport random\n\n" + "\n".join(lines) + "\n"})
    flaws = tuple(flaw for flaw in report.flaws if flaw.rule in ("unsorted-listing", "unpinned-requirement"))
    return CheckReport(flaws, report.remarks, 1, 1, report.allowed, 0)


# -- comments ----------------------------------------------------------------------------------------------------

ALLOW = "# auditor: allow[unsorted-listing] there are two files"


@pytest.mark.parametrize(
    "lines",
    [
        (f"print({DRAW})  {ALLOW}",),
        (ALLOW, f"print({DRAW})"),
        (ALLOW, "# another comment", "", f"print({DRAW})"),
        ("if True:", f"    {ALLOW}", f"    print({DRAW})"),
        ("print(", "    1,", f"    {DRAW},", f")  {ALLOW}"),
        (f"print(  {ALLOW}", "    1,", f"    {DRAW},", ")"),
        ("print(", f"    {DRAW},  {ALLOW}", ")"),
        (ALLOW, "print(", "    1,", f"    {DRAW},", ")"),
        (ALLOW, f"for name in {DRAW}:", "    print(name)"),
        (f"for name in {DRAW}:  {ALLOW}", "    print(name)"),
        (f"print({DRAW})  # noqa: E501  {ALLOW}",),
        (f"print({DRAW})  #auditor:allow[unsorted-listing]",),
        (f"print({DRAW})  # auditor: allow[cudnn-benchmark, unsorted-listing] both", "import torch"),
    ],
)
def test_a_comment_allows_a_rule_on_its_statement(lines: tuple[str, ...]) -> None:
    report = _text(*lines)
    assert (len(report.flaws), report.allowed) == (0, 1)
    assert not [one for one in report.remarks if "unsorted-listing" in one.message]


@pytest.mark.parametrize(
    "lines",
    [
        (f"print({DRAW})", ALLOW),
        (ALLOW, "print(1)", f"print({DRAW})"),
        (f'print({DRAW}, "{ALLOW}")',),
        (f"print({DRAW})  # auditor: allow[cudnn-benchmark] another",),
        (f"print({DRAW})  # allow[unsorted-listing]",),
        ("for name in range(2):", f"    print({DRAW})", f"    print(name)  {ALLOW}"),
        (ALLOW, "def f():", "    x = 1", f"    print({DRAW})"),
    ],
)
def test_elsewhere_it_allows_nothing(lines: tuple[str, ...]) -> None:
    assert (len(_text(*lines).flaws), _text(*lines).allowed) == (1, 0)


def test_an_allowance_that_nothing_uses_is_said() -> None:
    (remark,) = _text(f"print(sorted(os.listdir()))  {ALLOW}").remarks
    assert (remark.kind, remark.line) == ("unused-allowance", 4)
    assert "allow[unsorted-listing] allows nothing here" in remark.message


def test_an_unknown_rule_is_said_with_one_like_it() -> None:
    (remark,) = _text("print(1)  # auditor: allow[unsorted-listings] why").remarks
    assert (remark.kind, remark.line) == ("unknown-rule", 4)
    assert "did you mean unsorted-listing?" in remark.message


def test_a_rule_that_is_not_asked_is_not_missed(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(f"print(1)  {ALLOW}\n")
    assert not _check(tmp_path, select=("cudnn-benchmark",)).remarks
    assert _check(tmp_path).remarks


@pytest.mark.parametrize(
    "text",
    [
        "numpy>=1.26  # auditor: allow[unpinned-requirement] any will do\n",
        "# auditor: allow[unpinned-requirement] x\nnumpy\n",
    ],
)
def test_documents_have_comments_too(text: str) -> None:
    report = check_texts({"requirements.txt": text})
    assert "unpinned-requirement" not in {flaw.rule for flaw in report.flaws}
    assert report.allowed == 1


# -- the configuration ---------------------------------------------------------------------------------------------


def _configure(root: Path, text: str) -> None:
    root.mkdir(parents=True, exist_ok=True)
    (root / "pyproject.toml").write_text(text)


def _table(body: str) -> str:
    return f"[tool.auditor.check]\n{body}\n"


def test_rules_are_allowed_by_pattern(tmp_path: Path) -> None:
    for name in ("a.py", "old/b.py", "old/deep/c.py", "other/old/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(FLAW)
    _configure(tmp_path, _table('allow = { "old/**" = ["unsorted-listing"] }'))
    report = _check(tmp_path)
    assert [flaw.spot.file for flaw in report.flaws] == ["a.py", "other/old/d.py"]
    assert (report.allowed, report.remarks) == (2, ())


def test_files_are_left_out_by_pattern(tmp_path: Path) -> None:
    for name in ("a.py", "old/b.py", "src/old/c.py", "src/d.gen.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(FLAW)
    _configure(tmp_path, _table('exclude = ["/old/", "*.gen.py"]'))
    assert {flaw.spot.file for flaw in _check(tmp_path).flaws} == {"a.py", "src/old/c.py"}
    assert _check(tmp_path, "old/b.py").files == 0, "also where a hook names them one by one"


def test_rules_are_selected_and_ignored(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(FLAW)
    (tmp_path / "Dockerfile").write_text(IMAGE)
    found = {}
    for body in ("", 'select = ["unsorted-listing"]', 'ignore = ["unsorted-listing"]'):
        _configure(tmp_path, _table(body))
        found[body] = {flaw.rule for flaw in _check(tmp_path, select=()).flaws}
    every, selected, ignored = found.values()
    assert {"unsorted-listing", "floating-base-image"} <= every
    assert (selected, ignored) == ({"unsorted-listing"}, every - {"unsorted-listing"})
    assert not _check(tmp_path).flaws, "the command line selects, and what is ignored stays so"
    assert _check(tmp_path, select=("floating-base-image",)).flaws
    assert not _check(tmp_path, select=(), ignore=("floating-base-image", "base-image-without-digest")).flaws


def test_the_nearest_configuration_that_speaks_of_us_counts(tmp_path: Path) -> None:
    for name in ("a", "b", "b/c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.py").write_text(FLAW)
    _configure(tmp_path, _table('ignore = ["unsorted-listing"]'))
    _configure(tmp_path / "b", _table(""))
    _configure(tmp_path / "b" / "c", "[tool.other]\nx = 1\n")
    assert [flaw.spot.file for flaw in _check(tmp_path, select=()).flaws if flaw.rule == "unsorted-listing"] == [
        "b/c/x.py",
        "b/x.py",
    ]


def test_an_entry_that_allows_nothing_is_said_where_all_of_it_was_checked(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "a.py").write_text("print(1)\n")
    _configure(tmp_path, _table('allow = { "tests/**" = ["unsorted-listing"] }'))
    (remark,) = _check(tmp_path).remarks
    assert (remark.kind, remark.file) == ("unused-allowance", "pyproject.toml")
    assert "allow 'tests/**' = ['unsorted-listing'] allows nothing" in remark.message
    assert not _check(tmp_path, "tests/a.py").remarks
    assert not _check(tmp_path, select=("cudnn-benchmark",)).remarks


@pytest.mark.parametrize(
    ("text", "slug", "said"),
    [
        (_table('selct = ["unsorted-listing"]'), "bad-configuration", "has a key 'selct'; did you mean select?"),
        (_table('select = "unsorted-listing"'), "bad-configuration", "select: expected `array`, got `str`"),
        (_table("select = [1]"), "bad-configuration", "select[0]: expected `str`, got `int`"),
        (_table('allow = ["unsorted-listing"]'), "bad-configuration", "allow: expected `table`, got `array`"),
        (_table('select = ["unsorted-listings"]'), "unknown-rule", "there is no rule 'unsorted-listings'"),
        (_table('allow = { "a" = ["nothing"] }'), "unknown-rule", "allow 'a': there is no rule 'nothing'"),
        (_table("select = ["), "bad-configuration", "it is no TOML"),
        ("[tool.auditor.chek]\n", "bad-configuration", "has a key 'chek', and knows none but check"),
        ("[tool]\nauditor = 1\n", "bad-configuration", "tool.auditor is no table"),
        ("[tool.auditor]\ncheck = 1\n", "bad-configuration", "expected `table`, got `int`"),
    ],
)
def test_what_cannot_be_used_is_said_and_where(tmp_path: Path, text: str, slug: str, said: str) -> None:
    (tmp_path / "a.py").write_text(FLAW)
    _configure(tmp_path, text)
    with pytest.raises(UsageError) as refused:
        _check(tmp_path)
    assert refused.value.slug == slug
    assert said in refused.value.what and "pyproject.toml" in refused.value.what


@pytest.mark.parametrize("text", ["not = [toml", "[project]\nname = 'auditor'\n", "x = 'auditor'\n[tool]\nx = 1"])
def test_other_peoples_tables_are_theirs(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.py").write_text(FLAW)
    _configure(tmp_path, text)
    assert len(_check(tmp_path).flaws) == 1


def test_rules_that_are_named_on_the_command_line_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown-rule") as refused:
        _check(tmp_path, select=("cudnn-benchmrk",))
    assert "did you mean cudnn-benchmark?" in refused.value.remedy
    with pytest.raises(UsageError, match="unknown-rule"):
        _check(tmp_path, ignore=("nothing",))


def test_a_rule_that_fails_is_a_remark_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = rulebook()["cudnn-benchmark"]._replace(source=lambda module: 1 / 0)  # type: ignore[arg-type]
    monkeypatch.setitem(rulebook(), "cudnn-benchmark", broken)
    (tmp_path / "a.py").write_text(FLAW)
    report = _check(tmp_path, select=())
    assert [remark.kind for remark in report.remarks] == ["fault"]
    assert "cudnn-benchmark failed on this file (ZeroDivisionError" in report.remarks[0].message
    assert "unsorted-listing" in {flaw.rule for flaw in report.flaws}
