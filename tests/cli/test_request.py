from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.config import Request, make_request, parse_metric, parse_tolerance, parse_tolerances, with_seed
from auditor.errors import ExitCode, UsageError
from auditor.records.config import MetricRule


def refused(slug: str, **options: object) -> None:
    with pytest.raises(UsageError) as raised:
        make_request(options.pop("command", ["python", "x.py", "{seed}"]), "/p", **options)  # type: ignore[arg-type]  # on purpose
    assert raised.value.slug == slug
    assert raised.value.exit_code == ExitCode.USAGE
    assert raised.value.remedy


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("rmse=seed_*/results.json:test.rmse", MetricRule("rmse", "file", "seed_*/results.json:test.rmse")),
        ("rmse=test.rmse", MetricRule("rmse", "file", "test.rmse")),
        ("loss=/loss[:=] ([0-9.]+)/", MetricRule("loss", "output", "loss[:=] ([0-9.]+)")),
        (r"n=/a=(\d+)/", MetricRule("n", "output", r"a=(\d+)")),
        ("a=/data/r.json:x", MetricRule("a", "file", "/data/r.json:x")),
        (" a = b.c ", MetricRule("a", "file", "b.c")),
    ],
)
def test_metric_forms(text: str, rule: MetricRule) -> None:
    assert parse_metric(text) == rule


@pytest.mark.parametrize("text", ["", "a", "a=", "=b", "a=/(/", "a=/no group/", "a=:x", "a=g:", "a=/(?P<x>/"])
def test_bad_metrics(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_metric(text)
    assert raised.value.slug == "bad-metric"


@given(st.text())
def test_a_metric_is_parsed_or_refused(text: str) -> None:
    try:
        rule = parse_metric(text)
    except UsageError as error:
        assert error.slug == "bad-metric"
    else:
        assert rule.name
        assert rule.pattern


def test_a_metric_named_twice() -> None:
    refused("bad-metric", metrics=["a=b", "a=c"])


def test_tolerances() -> None:
    assert parse_tolerance("rmse=0.05") == ("rmse", 0.05)
    assert parse_tolerance("0.05") == ("*", 0.05)
    assert parse_tolerance("a=b=1e-3") == ("a=b", 0.001)
    assert parse_tolerances(["b=1", "a=2", "b=1"]) == {"a": 2.0, "b": 1.0}


@pytest.mark.parametrize("text", ["", "a=", "a=x", "=1", "a=-1", "a=nan", "a=inf", "-0.1"])
def test_bad_tolerances(text: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_tolerance(text)
    assert raised.value.slug == "bad-tolerance"


def test_what_cannot_be_asked_for() -> None:
    refused("no-command", command=[])
    refused("no-command", command=[" "])
    refused("unknown-level", require="bitexact")
    refused("needs-seeds", require="distribution-stable")
    refused("unknown-factor", keep=["pid"])
    refused("unknown-isolation", isolation="vm")
    refused("bad-seed-env", seed_env=["A B"])
    refused("bad-seed-env", seed_env=["PATH"])
    refused("bad-seed-env", seed_env=["_AUDITOR_PROBE"])
    refused("seed-goes-nowhere", command=["python", "x.py"], seed=3)
    refused("bad-number", seed=-1)
    refused("bad-number", replicates=1)
    refused("bad-number", steps=0)
    refused("bad-number", timeout=0.0)
    refused("bad-number", timeout=math.inf)
    refused("fail-fast-answers-bit-exact-only", fail_fast=True, require="seed-stable")
    refused("network-needs-image", network=True)
    refused("bad-image", image=" ")
    refused("bad-tolerance", tolerances=["a=1", "a=2"])


def test_a_near_miss_is_told() -> None:
    with pytest.raises(UsageError, match="unknown-level") as raised:
        make_request(["x"], "/p", require="bit_exact")
    assert raised.value.remedy.startswith("did you mean bit-exact?")


def test_seeds() -> None:
    assert make_request(["x"], "/p").seed is None
    assert make_request(["x", "--seed={seed}"], "/p").seed == 1
    assert make_request(["x"], "/p", seed_env=["SEED"]).seed == 1
    assert make_request(["x", "{seed}"], "/p", seed=0).seed == 0
    assert with_seed(["x", "--seed={seed}", "{other}"], 7) == ("x", "--seed=7", "{other}")
    assert with_seed(["x", "{seed}"], None) == ("x", "{seed}")


def test_a_request_survives_the_disk() -> None:
    request = make_request(
        ["x", "{seed}"],
        "/p",
        metrics=["a=b"],
        tolerances=["a=1"],
        keep=["tmpdir", "hash-seed"],
        image="i",
        network=True,
        timeout=3.5,
    )
    assert request.executor == "docker"
    assert request.keep == ("hash-seed", "tmpdir")
    assert msgspec.json.decode(msgspec.json.encode(request), type=Request) == request
