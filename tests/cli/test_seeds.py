from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.config import (
    MOST_RUNS,
    Resources,
    choose_seeds,
    make_request,
    parse_figures,
    parse_seeds,
    parse_slurm,
)
from auditor.errors import UsageError
from auditor.records.distribution import Reference

COMMAND = ["python", "train.py", "{seed}"]


def refused(slug: str, command: list[str] = COMMAND, **options: object) -> UsageError:
    with pytest.raises(UsageError) as raised:
        make_request(command, "/p", **options)  # type: ignore[arg-type]  # on purpose
    assert raised.value.slug == slug
    return raised.value


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("5", 5),
        ("11,22,33", (11, 22, 33)),
        ("1-4", (1, 2, 3, 4)),
        ("3, 0-1 ,7", (3, 0, 1, 7)),
        ("1000", 1000),
        ("0,18446744073709551", (0, 18446744073709551)),
    ],
)
def test_forms_of_seeds(text: str, seeds: tuple[int, ...] | int) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("1", "bad-seeds"),
        ("0", "bad-seeds"),
        ("", "bad-seeds"),
        ("1,", "bad-seeds"),
        ("a", "bad-seeds"),
        ("-1,2", "bad-seeds"),
        ("5-3", "bad-seeds"),
        ("7-7", "bad-seeds"),
        ("1.5,2", "bad-seeds"),
        ("9999999", "bad-seeds"),
        ("1-9999999", "bad-seeds"),
        ("1,2,1", "duplicate-seed"),
        ("1-5,3", "duplicate-seed"),
        ("01,1", "duplicate-seed"),
    ],
)
def test_seeds_that_cannot_be_used(text: str, slug: str) -> None:
    refused(slug, seeds=text)


def test_no_seeds_are_not_one_seed() -> None:
    assert "no seeds are no study" in refused("bad-seeds", seeds="0").what
    assert "one seed has no spread" in refused("bad-seeds", seeds="1").what


@given(st.text(alphabet="0123456789,- "))
def test_seeds_are_distinct_or_refused(text: str) -> None:
    try:
        parsed = parse_seeds(text)
    except UsageError as error:
        assert error.slug in ("bad-seeds", "duplicate-seed")
    else:
        assert isinstance(parsed, int) or len(set(parsed)) == len(parsed) >= 2


def test_a_number_of_seeds_is_chosen_beside_those_of_the_reference() -> None:
    assert choose_seeds(3, (1, 3)) == (2, 4, 5)
    assert make_request(COMMAND, "/p", seeds="3", taken=(1, 2)).settings.seeds == (3, 4, 5)
    assert "2" in refused("seeds-not-fresh", seeds="2,3", taken=(1, 2)).what


@pytest.mark.parametrize(
    ("text", "name", "reference"),
    [
        ("rmse=7.72±0.66,n=5", "rmse", Reference(7.72, 0.66, 5)),
        ("rmse=7.72+-0.66,n=5", "rmse", Reference(7.72, 0.66, 5)),
        ("rmse = 7.72 +/- .66 , n = 5", "rmse", Reference(7.72, 0.66, 5)),
        ("a.json:x=-1e3±1E-2,n=30", "a.json:x", Reference(-1000.0, 0.01, 30)),
    ],
)
def test_figures_as_a_reference(text: str, name: str, reference: Reference) -> None:
    assert parse_figures(text) == (name, reference)


@pytest.mark.parametrize("text", ["rmse=7.72", "rmse=7.72±0.66", "7.72±0.66,n=5", "some/directory", "a=nan±1,n=3"])
def test_what_are_no_figures(text: str) -> None:
    assert parse_figures(text) is None


def test_a_single_value_may_be_a_reference() -> None:
    assert parse_figures("rmse=7.72±0,n=1") == ("rmse", Reference(7.72, 0.0, 1))


@pytest.mark.parametrize("text", ["a=1±-1,n=3", "a=1±1,n=0", "a=1e999±1,n=3", "a=1±0.5,n=1"])
def test_figures_of_no_sample(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_figures(text)
    assert raised.value.slug == "bad-reference"


def test_what_a_study_is_by_default() -> None:
    request = make_request(COMMAND, "/p", seeds="4")
    assert (request.settings.replicates, request.settings.retries, request.seed) == (1, 1, None)
    assert make_request(COMMAND, "/p").settings.replicates == 2
    assert make_request(COMMAND, "/p", seeds="4", replicates=3, retries=0).settings.replicates == 3
    request = make_request(COMMAND, "/p", seeds="4", margin=0.5, spread_margin=1.5)
    assert (request.settings.margins.mean, request.settings.margins.spread) == (0.5, 1.5)


@pytest.mark.parametrize(
    ("slug", "options"),
    [
        ("seed-goes-nowhere", {"seeds": "5", "command": ["python", "train.py"]}),
        ("bad-usage", {"seeds": "5", "seed": 1}),
        ("needs-seeds", {"require": "distribution-stable"}),
        ("needs-seeds", {"reference": ["a=1±1,n=3"]}),
        ("needs-seeds", {"retries": 2}),
        ("needs-seeds", {"resources": Resources(jobs=2)}),
        ("needs-seeds", {"margin": 1.0}),
        ("fail-fast-answers-bit-exact-only", {"seeds": "5", "fail_fast": True}),
        ("bad-number", {"seeds": "5", "replicates": 0}),
        ("bad-number", {"seeds": "5", "retries": 10}),
        ("bad-number", {"seeds": "5", "margin": 0.0}),
        ("bad-number", {"seeds": "5", "spread_margin": 1.0}),
        ("bad-number", {"seeds": "5", "resources": Resources(jobs=0)}),
        ("bad-number", {"seeds": "5", "resources": Resources(memory=float("nan"))}),
        ("bad-number", {"seeds": "1-99999", "replicates": MOST_RUNS}),
        ("unknown-executor", {"executor": "locla"}),
        ("bad-usage", {"executor": "docker"}),
        ("bad-usage", {"executor": "ray", "image": "x"}),
        ("bad-usage", {"resources": Resources(ray_address="auto")}),
        ("bad-usage", {"executor": "ray", "resources": Resources(slurm={"partition": "x"})}),
    ],
)
def test_what_does_not_go_together(slug: str, options: dict[str, object]) -> None:
    refused(slug, **options)  # type: ignore[arg-type]  # on purpose


def test_parameters_of_slurm() -> None:
    assert parse_slurm(["partition=gpu", "qos = a=b"]) == {"partition": "gpu", "qos": "a=b"}
    with pytest.raises(UsageError):
        parse_slurm(["partition"])
