"""The rulebook: its files are found, held to the contract, and joined by the rules that other distributions bring."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from types import ModuleType

import pytest

from auditor import rulebook as book
from auditor.errors import UsageError
from auditor.rulebook import own_rules, rulebook
from auditor.rulebook.checking import check_texts, read
from auditor.source import packages
from auditor.source.packages import use_of

ROOT = Path(__file__).resolve().parents[2]

THEIRS = """
from auditor.rule import Example, Observation, Rule, Sighting

RULE = Rule(
    id="{id}",
    title="A thing is done",
    topic="domains",
    level="bit-exact",
    severity="note",
    confidence="medium",
    since="1",
    why="Because.",
    remedy="Do not.",
    bad=(Example("thing()"),),
    good=(Example("pass"),),
    sources=("https://example.org/",),
)


def see_source(module):
    for call in module.calls("thing"):
        yield Sighting(call.node, "a thing is done")
"""


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> object:
    """Makes modules installed that bring rules: by the entry points of a distribution."""

    def of(**sources: str) -> dict[str, book.Check]:
        points = []
        for name, text in sources.items():
            module = ModuleType(f"theirs_{name}")
            exec(text, module.__dict__)
            monkeypatch.setitem(sys.modules, module.__name__, module)
            points.append(EntryPoint(name, module.__name__, book.ENTRY_POINTS))
        monkeypatch.setattr(book, "entry_points", lambda group: points if group == book.ENTRY_POINTS else [])
        return rulebook.__wrapped__()

    return of


def test_every_file_is_a_rule_of_its_name() -> None:
    files = {path.stem.replace("_", "-") for path in (ROOT / "checks").glob("*.py")}
    assert {check.rule.id for check in own_rules()} == files
    assert list(rulebook()) == sorted(rulebook())


def test_others_add_rules_of_their_own(install: object) -> None:
    found = install(thing=THEIRS.format(id="their-thing"))  # type: ignore[operator]
    assert found["their-thing"].source is not None
    assert found["their-thing"].run is None
    assert set(found) == {check.rule.id for check in own_rules()} | {"their-thing"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (THEIRS.format(id="unsorted-listing"), "two rules have the id 'unsorted-listing'"),
        ("RULE = 1", "has no RULE"),
        (THEIRS.format(id="their-thing").replace("def see_source", "def look"), "has no sense"),
    ],
)
def test_what_is_no_rule_is_refused(text: str, said: str, install: object) -> None:
    with pytest.raises(UsageError) as caught:
        install(thing=text)  # type: ignore[operator]
    assert caught.value.slug == "bad-rule"
    assert said in caught.value.what


def test_a_rule_that_cannot_be_loaded_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("thing", "there_is_no_such_module", book.ENTRY_POINTS)
    monkeypatch.setattr(book, "entry_points", lambda group: [point])
    with pytest.raises(UsageError) as caught:
        rulebook.__wrapped__()
    assert "there_is_no_such_module" in caught.value.what


def test_a_file_that_is_named_otherwise_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "another_name.py"
    path.write_text(THEIRS.format(id="their-thing"), encoding="utf-8")
    monkeypatch.setattr(book, "_files", lambda: [path])
    with pytest.raises(UsageError) as caught:
        own_rules()
    assert "their_thing.py" in caught.value.remedy
    sys.modules.pop("auditor_checks.another_name", None)


def test_what_is_seen_in_a_test_is_shown_on_request() -> None:
    flawed = "import torch\n\ntorch.backends.cudnn.benchmark = True\n"
    names = ("train.py", "test_train.py", "tests/train.py")
    shown = check_texts(dict.fromkeys(names, flawed))
    assert [flaw.spot.file for flaw in shown.flaws] == ["train.py"] and shown.possible == 2
    assert len(check_texts(dict.fromkeys(names, flawed), possible=True).flaws) == 3
    for executed, confidence in ((False, "possible"), (True, "medium")):
        (candidate,) = read("test_train.py", flawed, executed=executed).candidates
        assert candidate.flaw.confidence == confidence


def test_of_a_stage_that_is_copied_from_no_more_than_that_comes_into_the_image() -> None:
    base, tools, cache, last = "FROM python:3.12 AS base", "FROM golang:1.22 AS tools", "FROM busybox", "FROM base"
    text = "\n".join((base, tools, "RUN make", cache, last, "COPY --from=tools /a /a", ""))
    flaws = {flaw.spot.line: flaw for flaw in check_texts({"Dockerfile": text}, possible=True).flaws}
    assert {line: flaw.confidence for line, flaw in flaws.items() if flaw.rule.endswith(("digest", "image"))} == {
        1: "high",
        2: "possible",
        4: "possible",
    }


def test_each_package_that_is_known_is_known_by_its_name() -> None:
    names = packages._TOOLS | packages._NUMERICAL
    assert {use_of(name) for name in packages._TOOLS} == {"tool"} and len(names) > 150
    assert {use_of(name) for name in packages._NUMERICAL} == {"numerical"}
    assert (use_of("_libgcc_mutex"), use_of("PyYAML"), use_of("Torch_Geometric")) == ("tool", "tool", "numerical")


def test_an_install_under_a_condition_is_whoever_builds_choice() -> None:
    conditional = 'RUN if [ "$FAST" = 1 ]; then pip install torch; fi'
    beside = 'RUN pip install torch && if [ -n "$DEV" ]; then echo dev; fi'
    for run, confidence in ((conditional, "possible"), (beside, "high")):
        flaws = check_texts({"Dockerfile": f"FROM python:3.12.8\n{run}\n"}, possible=True).flaws
        assert [one.confidence for one in flaws if one.rule == "unversioned-pip-in-dockerfile"] == [confidence]


def test_a_seed_for_a_while_hides_no_other() -> None:
    scoped = (
        "import contextlib\nimport torch\n\n\n@contextlib.contextmanager\ndef seed_for_a_while(seed):\n"
        "    torch.manual_seed(seed)\n    yield\n\n\n"
    )
    train = (
        "def set_seed(seed):\n    torch.manual_seed(seed)\n\n\nmodel = torch.nn.Linear(2, 1).cuda()\n"
        "optimizer = torch.optim.SGD(model.parameters())\n"
    )
    flaws = check_texts({"train.py": scoped + train}, possible=True).flaws
    assert "deterministic-algorithms-off" in {one.rule for one in flaws}
