"""Comparisons across machines in every format: valid, bounded, escaped, the same whatever the process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import msgspec
import pytest

from auditor.records.audit import LevelVerdict
from auditor.records.comparison import Compared, Divergence, Metric
from auditor.records.environments import (
    SCHEMA,
    Difference,
    Digested,
    EnvironmentComparison,
    Expectation,
    Group,
    Many,
    Pair,
    Prediction,
    Reached,
    Separation,
    Subject,
    Together,
    Value,
)
from auditor.report import environments, environments_markdown, environments_terminal, schema

ROOT = Path(__file__).parents[2]
FILE = "schema/comparison-1.json"
EVIL = "a|b `c` \x1b[31m<script> \u202e"
LEVELS = {"bit-exact": Expectation("ruled-out", f"Ruled out by {EVIL}."), "seed-stable": Expectation("possible", "Ok.")}
REACHED = {
    "bit-exact": LevelVerdict("not-reached", "Runs 1 and 3 differ at step 3: the gradients differ."),
    "seed-stable": LevelVerdict("reached", "1 metric is within tolerance."),
    "distribution-stable": LevelVerdict("not-tested", "It needs runs with fresh seeds."),
}
PREDICTION = Prediction(
    answer="These two machines can reach seed-stable at best: sm_80 against sm_90.",
    at_best="seed-stable",
    levels=LEVELS,  # type: ignore[arg-type]  # names of levels
    differences=(
        Difference("hardware", "gpu:architecture", ("sm_80", "sm_90"), "rules-out", "Kernels differ.", ("https://a",)),
        *(Difference("libraries", f"p{i}", ("1", "2"), "at-risk", "Another release.", rule="p") for i in range(30)),
        Difference("os", "libc", ("2.31", EVIL), "at-risk", "It rounds.", ("https://b",), "libc"),
        Difference("os", "kernel", ("5", "6"), "irrelevant", "It computes nothing."),
    ),
    unknown=(Difference("os", "x", ("not known: unread", "1"), "at-risk", "It may."),),
)
TOGETHER = Together(
    level="seed-stable",
    levels=REACHED,  # type: ignore[arg-type]  # names of levels
    runs=("a", "a", "b"),
    unsteady=("a",),
    compared=Compared(steps=2, steps_taken=9, gradient_digests=2),
    digested=Digested(3, 4, 2),
    divergence=Divergence(3, "gradients", "main", EVIL, 1e-7, 2, "why", (1, 3)),
    metrics={"rmse": Metric("rmse", "output", True, ((1.0,), (1.0,), (1.004,)), False, 0.004, 0.01)},
    gaps=("run 2: torn",),
    notes=("a note",),
    explanation="What may explain it: sm_80 against sm_90.",
)
SUBJECTS = (Subject(EVIL, "evidence", "id"), Subject("b.json", "fingerprint"))
PAIR = Pair(SCHEMA, PREDICTION.answer, SUBJECTS, PREDICTION, None, ("not looked at: x.txt",))
AUDITS = Pair(SCHEMA, "Together a and b reached seed-stable.", SUBJECTS, PREDICTION, TOGETHER)
SPREAD = (Value("AVX2", 9000, (1,)), Value(EVIL, 1000, (2, 3)))
MANY = Many(
    schema=SCHEMA,
    answer="They fall into 3 groups.",
    count=10_000,
    at_best="seed-stable",
    levels=LEVELS,  # type: ignore[arg-type]  # names of levels
    groups=tuple(
        Group(n, tuple(f"{n}-{i}{EVIL}" for i in range(size)), "seed-stable", LEVELS, ("AVX2 against AVX512", EVIL))  # type: ignore[arg-type]  # names of levels
        for n, size in ((1, 9000), (2, 999), (3, 1))
    ),
    odd=(3,),
    separating=(Separation("hardware", "dispatch", SPREAD, 7, "rules-out", "Kernels differ.", ("https://a",)),),
    irrelevant=(Separation("os", "kernel", SPREAD, 2, "irrelevant", "It computes nothing."),),
    unknown=(Separation("os", "x", (Value("not known: unread", 3, (1,)),), 1, "at-risk", "It may."),),
    first="a",
    reached=tuple(Reached(f"b{i}", "seed-stable", REACHED, None) for i in range(30)),  # type: ignore[arg-type]  # names
)
OF_AUDITS = msgspec.structs.replace(MANY, together=REACHED, outlook="They fall apart.")
ALL = {"pair": PAIR, "audits": AUDITS, "many": MANY, "many audits": OF_AUDITS}


@pytest.mark.parametrize("name", ALL)
def test_json_is_valid_by_the_published_schema(name: str) -> None:
    document = json.loads(environments.render_json(ALL[name]))
    jsonschema.validate(document, json.loads(schema.shipped(FILE)))
    assert document["schema"] == SCHEMA
    assert msgspec.convert(document, EnvironmentComparison) == ALL[name]
    for spoiled in ({**document, "schema": "auditor.comparison/2"}, {**document, "more": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(spoiled, json.loads(schema.shipped(FILE)))


@pytest.mark.parametrize("file", schema.DOCUMENTS)
def test_every_schema_is_one_and_is_shipped_as_made(file: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(schema.shipped(file)))
    assert schema.shipped(file) == schema.generate(file)


@pytest.mark.parametrize("width", [30, 80, 120])
@pytest.mark.parametrize("name", ALL)
def test_the_screen_is_kept_to(name: str, width: int) -> None:
    for everything in (False, True):
        text = environments_terminal.render(ALL[name], everything, width=width)
        assert max(map(len, text.splitlines())) <= width
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert ("kernel" in text) is everything
    assert environments_terminal.render(ALL[name], ascii_only=True).isascii()
    assert "\x1b[" in environments_terminal.render(ALL[name], colour=True)


@pytest.mark.parametrize("name", ALL)
def test_the_answer_comes_first(name: str) -> None:
    lines = environments_terminal.render(ALL[name]).splitlines()
    assert ALL[name].answer.startswith(lines[2])
    assert environments_markdown.render(ALL[name]).splitlines()[2].startswith("**")


@pytest.mark.parametrize("name", ALL)
def test_markdown_escapes_what_was_read(name: str) -> None:
    text = environments_markdown.render(ALL[name], everything=True)
    assert "\x1b" not in text
    assert "<script>" not in text
    for line in text.splitlines():
        if line.startswith("|"):
            cells = line.replace("\\|", "").count("|")
            assert cells >= 3
    assert "kernel" in text
    assert "kernel" not in environments_markdown.render(ALL[name])


def test_what_is_long_is_cut_and_counted() -> None:
    text = environments_terminal.render(PAIR)
    assert "and 26 more" in text
    assert text.count("Another release.") == 1
    text = environments_terminal.render(OF_AUDITS)
    assert "and 18 more" in text
    assert len(text) < 6000


@pytest.mark.parametrize("render", [environments_terminal.render, environments_markdown.render])
def test_what_put_at_risk_what_was_reached_is_counted_only(render: Callable[..., str]) -> None:
    levels = {**REACHED, "bit-exact": LevelVerdict("reached", "They agree.")}
    exact = msgspec.structs.replace(AUDITS, together=msgspec.structs.replace(TOGETHER, levels=levels))
    said = " ".join(render(exact).split())
    assert "31 facts that put bit-exact at risk, and changed nothing here (--all shows them)." in said
    assert "Another release." not in said
    assert "Another release." in render(exact, True)
    assert "Another release." in render(AUDITS)


@pytest.mark.parametrize("render", [environments_terminal.render, environments_markdown.render])
def test_what_was_reached_comes_before_what_was_to_be_expected(render: Callable[..., str]) -> None:
    said = render(OF_AUDITS)
    assert said.index("not reached") < said.index("Reached together with") < said.index("They fall apart.")
    assert said.index("They fall apart.") < said.index("ruled out")


def test_lists_show_what_is_not_in_both() -> None:
    assert environments.values(("a, b, c, d", "a, b, c, e")) == "only d → only e"
    assert environments.values(("a", "b")) == "a → b"
    assert environments.values(("not known: why", "none (no torch was seen)")) == "not known → none"
    assert len(environments.values(("x" * 500, "y"))) < 70


def test_all_formats_are_the_same_in_every_process() -> None:
    program = (
        "import importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('made', {str(Path(__file__))!r})\n"
        "made = importlib.util.module_from_spec(spec); spec.loader.exec_module(made)\n"
        "for one in made.ALL.values():\n"
        "    for render in (made.environments.render_json, made.environments_markdown.render,\n"
        "                   made.environments_terminal.render):\n"
        "        sys.stdout.buffer.write(render(one).encode())\n"
    )
    outputs = set()
    for seed, zone, locale in (("1", "UTC", "C"), ("2", "Asia/Tokyo", "C.UTF-8")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale, "PYTHONPATH": str(ROOT)}
        outputs.add(
            subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, check=True).stdout
        )
    assert len(outputs) == 1


def test_the_chain_says_which_link_of_two_audits_broke_first() -> None:
    screen = " ".join(environments_terminal.render(AUDITS, width=100).split())
    assert "init ✓ → batch not seen → loss not seen → gradients ✗ → parameters ·" in screen
    markdown = environments_markdown.render(AUDITS)
    assert "init ✓ → batch (not seen) → loss (not seen) → gradients **✗** → parameters ·" in markdown
