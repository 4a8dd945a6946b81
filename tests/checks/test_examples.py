"""Each rule's examples are its tests: the sense of the source sees the bad ones, and nothing in the good ones."""

from __future__ import annotations

import pytest

from auditor.rule import Example, Rule
from auditor.rulebook import rulebook
from auditor.rulebook.checking import check_texts

_NAMES = {"python": "train.py", "requirements": "requirements.txt", "pyproject": "pyproject.toml"}
_NAMES |= {"environment": "environment.yml", "dockerfile": "Dockerfile"}
RULES = list(rulebook().values())
SEEN = [check for check in RULES if check.source is not None or check.document is not None]


def _found(example: Example) -> list[tuple[str, str]]:
    name = example.name or _NAMES[example.kind]
    report = check_texts({**example.beside, name: example.code}, possible=True)
    assert not report.remarks
    return [(flaw.rule, flaw.spot.file) for flaw in report.flaws]


def _cases(which: str) -> list[object]:
    return [
        pytest.param(check.rule, example, id=f"{check.rule.id}-{number}")
        for check in SEEN
        for number, example in enumerate(getattr(check.rule, which), 1)
    ]


@pytest.mark.parametrize(("rule", "example"), _cases("bad"))
def test_a_bad_example_is_seen(rule: Rule, example: Example) -> None:
    assert rule.id in {found for found, _ in _found(example)}


@pytest.mark.parametrize(("rule", "example"), _cases("good"))
def test_a_good_example_is_not(rule: Rule, example: Example) -> None:
    assert rule.id not in {found for found, _ in _found(example)}


@pytest.mark.parametrize("rule", [pytest.param(check.rule, id=check.rule.id) for check in RULES])
def test_a_rule_says_why_and_what_to_do(rule: Rule) -> None:
    assert rule.bad and rule.good and rule.sources
    assert rule.why.endswith(".") and rule.remedy.endswith(".") and not rule.title.endswith(".")
    assert all(source.startswith("https://") for source in rule.sources)
    assert not rule.id.startswith(("no-", "avoid-")), "named for the flaw, so that allowing it reads well"
