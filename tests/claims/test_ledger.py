"""Ledgers as people write them, and as nobody should."""

from __future__ import annotations

import pytest

from auditor.claims import patterns
from auditor.claims.ledger import parse_ledger
from auditor.errors import UsageError
from tests.claims.conftest import HEAD

CLAIM = """
[[claim]]
kind = "value"
of   = { dataset = "FD002", method = "GRACE", metric = "rmse" }
mean = 7.72
"""
ORDER = '[[claim]]\nkind = "order"\nof = { metric = "rmse" }\nbetter = "A"\nthan = "B"\n'


def refused(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        parse_ledger(text)
    assert caught.value.slug == "bad-ledger"
    return caught.value.what


def test_a_ledger_keeps_the_digits_that_were_written():
    ledger = parse_ledger(HEAD + CLAIM.replace("7.72", "7.70"))
    assert str(ledger.claim[0].mean) == "7.70"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no [[claim]]"),
        ("a = [", "no TOML"),
        ("a = " + "[" * 5000, "nested too deeply"),
        ("a" + ".a" * 5000 + " = 1", ""),
        (HEAD + CLAIM + "colour = 1", "[[claim]] number 1: object contains unknown field `colour`"),
        (HEAD + CLAIM + CLAIM.replace("7.72", '"7.72"'), "[[claim]] number 2: mean is the text '7.72'"),
        (HEAD + CLAIM.replace("7.72", "true"), "[[claim]] number 1 at mean: expected"),
        (HEAD + CLAIM.replace("7.72", "nan"), "no number that a claim could make"),
        (HEAD + CLAIM.replace("7.72", "1e999999999"), "out of range"),
        (HEAD + CLAIM.replace("7.72", "9" * 5000), ""),
        (HEAD + CLAIM.replace("7.72", "1." + "9" * 500), "characters"),
        (HEAD + CLAIM.replace('"value"', '"opinion"'), "opinion"),
        (HEAD + CLAIM + "n = 0", "n = 0"),
        (HEAD + CLAIM + "n = 2.5", "expected"),
        (HEAD + CLAIM + "std = -1", "std is negative"),
        (HEAD + CLAIM + "std = 0.6\nn = 1", "a single seed (n = 1) has no standard deviation"),
        (HEAD + CLAIM + "sem = 0.6\nn = 1", "a single seed (n = 1) has no standard deviation"),
        (HEAD + CLAIM + "ddof = 2", "ddof"),
        (HEAD + CLAIM.replace("mean = 7.72", "n = 5"), "needs a mean"),
        (HEAD + CLAIM.replace(', metric = "rmse"', ""), "of must name one metric"),
        (HEAD + CLAIM.replace('"GRACE"', "[]"), "empty list"),
        (HEAD + CLAIM.replace('"GRACE"', '["A", "B"]'), "of must name one method"),
        (HEAD + CLAIM.replace('"GRACE"', "{ a = 1 }"), "number 1"),
        ("alpha = 2\n" + HEAD + CLAIM, "between 0 and 1"),
        ("alpha = 0\n" + HEAD + CLAIM, "between 0 and 1"),
        (HEAD.replace('["rmse"]', '"rmse"') + CLAIM, "lower_is_better"),
        (HEAD.replace("lower_is", "slower_is") + CLAIM, "slower_is_better"),
        ('higher_is_better = ["rmse"]' + HEAD + CLAIM, "both lower and higher"),
        (ORDER, "say whether rmse is better lower or higher"),
        ('higher_is_better = ["acc"]\n' + ORDER, "say whether rmse is better lower or higher"),
        (HEAD + ORDER.replace('"B"', '"A"'), "compared with itself"),
        (HEAD + ORDER.replace('metric = "rmse"', 'metric = "rmse", method = "A"'), "in better and than"),
        (HEAD + '[[claim]]\nkind = "friedman"\nof = { metric = "rmse" }', "friedman claim needs"),
        (HEAD + '[[claim]]\nkind = "kendall-w"\nof = { metric = "rmse" }', "needs w or w_above"),
        (HEAD + '[[claim]]\nkind = "friedman"\nof = { metric = "rmse" }\np_below = 5', "between 0 and 1"),
        (HEAD.replace("files  ", "folder ") + CLAIM, "folder"),
        (HEAD.replace('rmse = "test.rmse"', "") + CLAIM, "metrics is missing"),
        (HEAD + 'table = "a.csv"\n' + CLAIM, "either files or table"),
        (HEAD + 'seed = "seed"\n' + CLAIM, "both in the pattern and a path"),
        (HEAD + 'set = { method = "A" }\n' + CLAIM, "both in the pattern and in set"),
        ('claim = "all"', "claim"),
        ("[claim]\nkind = 1", "claim"),
    ],
)
def test_a_ledger_that_cannot_be_used_says_why(text, said):
    assert said in refused(text)


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("../{method}/r.json", "leaves the ledger's directory"),
        ("a/../../{method}.json", "leaves the ledger's directory"),
        ("/etc/{method}.json", "must be relative"),
        ("~/{method}.json", "must be relative"),
        ("a\\\\..\\\\{method}.json", "must be relative"),
        ("**/{method}.json", "** is not known"),
        ("{method}{seed}.json", "nothing between them"),
        ("{method/r.json", "brace"),
        ("{}/r.json", "cannot be a label"),
        ("{metric}/r.json", "cannot be a label"),
        ("{a b}/r.json", "cannot be a label"),
        ("", "empty path"),
        ("./", "names no file"),
        ("a/" * 600 + "r.json", "characters"),
        ("a/" * 60 + "r.json", "61 parts"),
        ("a\\u0000b.json", "control character"),
    ],
)
def test_a_pattern_stays_in_its_directory_and_makes_sense(pattern, said):
    text = HEAD.replace("phase1/{dataset}/{method}/seed_{seed}/results.json", pattern) + CLAIM
    assert said in refused(text)


@pytest.mark.parametrize(
    ("pattern", "name", "labels", "ambiguous"),
    [
        ("seed_{seed}", "seed_12", {"seed": "12"}, False),
        ("{method}_{seed}.json", "my_method_3.json", {"method": "my_method", "seed": "3"}, False),
        ("{dataset}_{method}", "FD002_my_method", {"dataset": "FD002", "method": "my_method"}, True),
        ("run-*-{seed}", "run-2024-01-7", {"seed": "7"}, False),
        ("{method}-{method}", "A-A", {"method": "A"}, False),
        ("seed_{seed}", "seed_best", {"seed": "best"}, False),
        ("s{seed}", "s-1", {"seed": "-1"}, False),
    ],
)
def test_names_are_read(pattern, name, labels, ambiguous):
    (parts,) = patterns.parse_pattern(pattern).segments
    assert patterns.match_name(parts, name) == (labels, ambiguous)


@pytest.mark.parametrize(("pattern", "name"), [("seed_{seed}", "seed_"), ("{method}-{method}", "A-B"), ("a*b", "ac")])
def test_names_that_do_not_match(pattern, name):
    (parts,) = patterns.parse_pattern(pattern).segments
    assert patterns.match_name(parts, name) is None


def test_a_name_made_to_be_slow_is_not():
    (parts,) = patterns.parse_pattern("*a*a*a*a*a*a*a*a*a*a*b").segments
    assert patterns.match_name(parts, "a" * 255) is None


def test_more_names_than_any_study_has(tmp_path, monkeypatch):
    monkeypatch.setattr(patterns, "MAX_ENTRIES", 5)
    for number in range(6):
        (tmp_path / f"m{number}.json").write_text("{}")
    with pytest.raises(UsageError) as caught:
        patterns.find_files(tmp_path, patterns.parse_pattern("{method}.json"))
    assert caught.value.slug == "ledger-too-wide"


def test_links_out_of_the_directory_are_named_and_not_read(tmp_path):
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    (inside / "A").mkdir(parents=True)
    outside.mkdir()
    for directory in (inside / "A", outside):
        (directory / "r.json").write_text("{}")
    (inside / "B").symlink_to(outside)
    (inside / "C").symlink_to(inside / "A")
    found, problems = patterns.find_files(inside, patterns.parse_pattern("{method}/r.json"))
    assert [one.path for one in found] == ["A/r.json", "C/r.json"]
    assert problems == ["B is a link out of the ledger's directory, and not read"]
