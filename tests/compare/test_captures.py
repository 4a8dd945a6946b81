"""What is expected of real environments, held against what training in them gave."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor import verdict
from auditor.compare import environments, risks
from auditor.records.environments import Prediction
from auditor.records.fingerprint import Fingerprint

ROOT = Path(__file__).parents[2]
TRAINED = ROOT / "tests" / "fingerprint" / "captures" / "trained"
OBSERVED: list[dict[str, Any]] = json.loads((TRAINED / "observed.json").read_bytes())
CAPTURES = {
    path.stem: msgspec.json.decode(path.read_bytes(), type=Fingerprint)
    for path in sorted(TRAINED.glob("*.json"))
    if path.name != "observed.json"
}


def pair_of(observed: dict[str, Any]) -> list[Fingerprint]:
    return [CAPTURES[f"{observed['program'].replace(' ', '-')}.{name}"] for name in observed["environments"]]


def foresee(fingerprints: list[Fingerprint]) -> Prediction:
    found = environments.differences(fingerprints)
    return verdict.foresee(found.differences, found.unknown, len(fingerprints))


def name_of(observed: dict[str, Any]) -> str:
    return "-".join((observed["program"].replace(" ", "-"), *observed["environments"]))


def telling(prediction: Prediction) -> list[tuple[str, str, str, str]]:
    return sorted((one.layer, one.name, one.risk, one.level) for one in prediction.differences)


@pytest.mark.parametrize("observed", OBSERVED, ids=name_of)
def test_a_prediction_holds_for_what_was_observed(observed: dict[str, Any]) -> None:
    prediction = foresee(pair_of(observed))
    if observed["identical"]:
        assert prediction.levels["bit-exact"].prospect != "ruled-out", prediction.answer
    else:
        assert any(one.risk != "irrelevant" for one in prediction.differences), prediction.answer
    if observed["seed_stable"] != "reached":
        assert prediction.levels["seed-stable"].prospect == "at-risk", prediction.answer


@pytest.mark.parametrize("observed", OBSERVED, ids=name_of)
def test_the_order_of_environments_changes_nothing(observed: dict[str, Any]) -> None:
    first, second = pair_of(observed)
    one, other = foresee([first, second]), foresee([second, first])
    assert {name: level.prospect for name, level in one.levels.items()} == {
        name: level.prospect for name, level in other.levels.items()
    }
    assert (one.at_best, telling(one)) == (other.at_best, telling(other))


@pytest.mark.parametrize("name", CAPTURES)
def test_an_environment_equals_itself(name: str) -> None:
    prediction = foresee([CAPTURES[name], CAPTURES[name]])
    assert prediction.differences == ()
    assert prediction.at_best == "bit-exact"
    assert prediction.levels["bit-exact"].prospect in ("possible", "unknown")


def test_an_environment_that_was_captured_twice_is_the_same_environment() -> None:
    prediction = foresee([CAPTURES["turbofan.torch-2.13.0"], CAPTURES["turbofan.torch-2.13.0-again"]])
    assert prediction.differences == ()
    assert prediction.levels["bit-exact"].prospect == "possible"


@pytest.mark.parametrize("name", CAPTURES)
def test_every_fact_has_a_rule(name: str) -> None:
    facts = [(layer, fact) for layer, facts in CAPTURES[name].layers.items() for fact in facts]
    assert len(facts) > 60
    assert [one for one in facts if risks.rule_of(*one) is None] == []


def test_predictions_are_held_against_outcomes_of_every_kind() -> None:
    expected = {(foresee(pair_of(one)).levels["bit-exact"].prospect, one["identical"]) for one in OBSERVED}
    assert expected == {("possible", True), ("at-risk", True), ("at-risk", False), ("ruled-out", False)}
    assert {one["seed_stable"] for one in OBSERVED} == {"reached", "not-reached"}
    assert {one["bit_exact"] for one in OBSERVED if one["identical"]} == {"reached"}
    assert {one["bit_exact"] for one in OBSERVED if not one["identical"]} == {"not-reached"}


def test_captures_tell_no_place() -> None:
    for path in TRAINED.glob("*.json"):
        text = path.read_text(encoding="utf-8")
        for word in ("/root", "/home/", "/tmp", "index-url", "://"):
            assert word not in text, f"{path.name}: {word}"


def test_the_documentation_has_what_was_captured() -> None:
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in (ROOT / "docs" / "predictions.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and " / " in line
    ]
    assert [(row[0], row[1], row[3], row[-1]) for row in rows] == [
        (
            one["program"],
            " / ".join(one["environments"]),
            foresee(pair_of(one)).levels["bit-exact"].prospect.replace("-", " "),
            "yes",
        )
        for one in OBSERVED
    ]
