"""Fingerprints against one another: two in detail, many in groups; nothing unknown passes, no order matters."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor import verdict
from auditor.compare import environments, groups, risks
from auditor.compare.fleet import Fleet
from auditor.records.environments import Prediction, Subject
from auditor.records.fingerprint import Fact, Fingerprint, Known, Unknown

CAPTURES = {
    path.stem: msgspec.json.decode(path.read_bytes(), type=Fingerprint)
    for path in sorted(Path(__file__).parent.joinpath("captures").glob("*.json"))
}
AUDITED = CAPTURES["audit-torch-2.13-avx2"]
A_RUN: dict[str, Fact] = {
    "uses:torch": Known(True, "t"),
    "uses:cuda": Known(False, "t"),
    "uses:cuda-random": Known(False, "t"),
}


def changed(fingerprint: Fingerprint, **layers: dict[str, Fact | None]) -> Fingerprint:
    """The fingerprint with other facts; None takes one away."""
    found = {layer: dict(facts) for layer, facts in fingerprint.layers.items()}
    for layer, facts in layers.items():
        for name, fact in facts.items():
            found.setdefault(layer, {})
            found[layer].pop(name, None) if fact is None else found[layer].update({name: fact})
    return Fingerprint(fingerprint.schema, found)


def foresee(*fingerprints: Fingerprint) -> Prediction:
    found = environments.differences(fingerprints)
    return verdict.foresee(found.differences, found.unknown, len(fingerprints))


def known(value: str | int | tuple[str, ...]) -> Known:
    return Known(value, "a test")


def gpu(architecture: str, multiprocessors: str, random: bool) -> dict[str, dict[str, Fact | None]]:
    return {
        "hardware": {
            "gpu:architecture": known((architecture,)),
            "gpu:multiprocessors": known((multiprocessors,)),
        },
        "run": {**A_RUN, "uses:cuda": Known(True, "t"), "uses:cuda-random": Known(random, "t")},
    }


VALUES = st.sampled_from(["a", "b", "sm_80"]).map(known) | st.sampled_from(["not seen", "no torch was seen"]).map(
    Unknown
)
NAMES = {
    layer: sorted({name for capture in CAPTURES.values() for name in capture.layers.get(layer, {})})
    for layer in ("interpreter", "libraries", "cuda", "hardware", "os")
}


@st.composite
def fingerprints(draw: st.DrawFn) -> Fingerprint:
    """A real capture with some facts changed, taken away, or made up."""
    found = draw(st.sampled_from(list(CAPTURES.values())))
    for _ in range(draw(st.integers(0, 3))):
        layer = draw(st.sampled_from(sorted(NAMES)))
        name = draw(st.sampled_from([*NAMES[layer][:40], "tachyons"]))
        found = changed(found, **{layer: {name: draw(st.none() | VALUES)}})
    if draw(st.booleans()):
        uses = {name: draw(st.sampled_from([Known(True, "t"), Known(False, "t"), None])) for name in A_RUN}
        found = changed(found, run=uses)
    return found


@given(fingerprints())
def test_everything_is_equal_to_itself(one: Fingerprint) -> None:
    found = environments.differences([one, one])
    assert found.differences == ()
    prediction = verdict.foresee(found.differences, found.unknown)
    assert prediction.levels["bit-exact"].prospect == ("unknown" if found.unknown else "possible")


@given(fingerprints(), fingerprints())
def test_the_order_of_two_changes_nothing(one: Fingerprint, two: Fingerprint) -> None:
    there, back = foresee(one, two), foresee(two, one)
    assert {name: level.prospect for name, level in there.levels.items()} == {
        name: level.prospect for name, level in back.levels.items()
    }
    assert there.at_best == back.at_best
    assert [(d.layer, d.name, d.risk, d.rule, d.level, d.values) for d in there.differences] == [
        (d.layer, d.name, d.risk, d.rule, d.level, d.values[::-1]) for d in back.differences
    ]
    assert [(d.layer, d.name, d.values) for d in there.unknown] == [
        (d.layer, d.name, d.values[::-1]) for d in back.unknown
    ]


@given(fingerprints(), fingerprints())
def test_a_difference_is_never_lost(one: Fingerprint, two: Fingerprint) -> None:
    found = environments.differences([one, two])
    said = {(d.layer, d.name) for d in (*found.differences, *found.unknown)}
    for layer in one.layers.keys() & two.layers.keys() - {"run"}:
        for name in one.layers[layer].keys() & two.layers[layer].keys():
            ours, theirs = one.layers[layer][name], two.layers[layer][name]
            if isinstance(ours, Known) and isinstance(theirs, Known) and ours.value != theirs.value:
                assert (layer, name) in said


def test_the_gravest_difference_is_the_answer() -> None:
    one = changed(AUDITED, **gpu("sm_80", "108", random=False))
    two = changed(AUDITED, **gpu("sm_90", "132", random=False))
    prediction = foresee(one, two)
    assert prediction.answer == "These two machines can reach seed-stable at best: sm_80 against sm_90."
    assert prediction.at_best == "seed-stable"
    assert {name: level.prospect for name, level in prediction.levels.items()} == {
        "bit-exact": "ruled-out",
        "seed-stable": "possible",
    }
    assert [one.name for one in prediction.differences][:2] == ["gpu:architecture", "gpu:multiprocessors"]


def test_other_random_numbers_endanger_metrics_too() -> None:
    one = changed(AUDITED, **gpu("sm_90", "114", random=True))
    two = changed(AUDITED, **gpu("sm_90", "132", random=True))
    prediction = foresee(one, two)
    assert prediction.answer.startswith("These two machines can reach seed-stable at best: 114 against 132 multiproc")
    assert "Even that is at risk" in prediction.answer
    assert prediction.levels["seed-stable"].prospect == "at-risk"


def test_what_is_at_risk_is_said_so() -> None:
    prediction = foresee(AUDITED, changed(AUDITED, os={"libc": known("glibc 2.31")}))
    assert prediction.answer == (
        "These two environments may reach bit-exact, but it is at risk: libc glibc 2.36 against glibc 2.31."
    )
    assert prediction.levels["bit-exact"].prospect == "at-risk"


def test_nothing_that_differs_is_possible() -> None:
    prediction = foresee(AUDITED, AUDITED)
    assert prediction.answer == ("These two environments can reach bit-exact: nothing that is known to matter differs.")


def test_what_does_not_matter_is_listed_and_changes_nothing() -> None:
    prediction = foresee(AUDITED, changed(AUDITED, os={"kernel": known("6.9")}, hardware={"microcode": known("0x1")}))
    assert prediction.levels["bit-exact"].prospect == "possible"
    assert {(one.name, one.risk) for one in prediction.differences} == {
        ("kernel", "irrelevant"),
        ("microcode", "irrelevant"),
    }
    assert all(one.reason for one in prediction.differences)


@pytest.mark.parametrize("who", ["both", "first", "second"])
def test_missing_evidence_is_never_a_pass(who: str) -> None:
    lacking = changed(AUDITED, hardware={"dispatch": Unknown("the probe did not report it")})
    pair = {"both": (lacking, lacking), "first": (lacking, AUDITED), "second": (AUDITED, lacking)}[who]
    prediction = foresee(*pair)
    assert prediction.levels["bit-exact"].prospect == "unknown"
    assert prediction.answer == (
        "Whether these two environments can reach bit-exact cannot be told: dispatch is not known of both."
    )


@pytest.mark.parametrize("layers", [{}, {"interpreter": {}}, {"run": dict(A_RUN)}])
def test_an_empty_fingerprint_is_no_pass(layers: dict[str, dict[str, Fact]]) -> None:
    empty = Fingerprint("auditor.fingerprint/1", layers)
    for pair in ((empty, empty), (empty, AUDITED)):
        assert foresee(*pair).levels["bit-exact"].prospect in ("unknown", "at-risk")


def test_interpreters_that_were_described_lack_what_only_a_run_shows() -> None:
    prediction = foresee(CAPTURES["described-torch-2.13"], CAPTURES["described-torch-2.13"])
    assert prediction.levels["bit-exact"].prospect == "unknown"
    assert {"dispatch", "threads", "loaded:openmp"} <= {one.name for one in prediction.unknown}


def test_what_was_measured_to_diverge_was_foreseen() -> None:
    # The example's parameters differ from their initialisation on between these two.
    prediction = foresee(AUDITED, CAPTURES["audit-torch-2.13-default"])
    assert prediction.levels["bit-exact"].prospect != "possible"
    assert prediction.differences[0].name == "dispatch"


def test_what_was_trained_is_compared_where_both_are_runs() -> None:
    one = changed(AUDITED, run={**A_RUN, "data": known("a"), "git:commit": known("1")})
    two = changed(AUDITED, run={**A_RUN, "data": known("b"), "git:commit": Unknown("there is no repository")})
    prediction = foresee(one, two)
    assert [(d.name, d.risk) for d in prediction.differences] == [("data", "at-risk"), ("git:commit", "irrelevant")]
    assert prediction.levels["seed-stable"].prospect == "at-risk"
    assert foresee(one, AUDITED).levels["bit-exact"].prospect == "possible"


def fleet_of(members: Sequence[Fingerprint]) -> Fleet:
    fleet = Fleet()
    for number, member in enumerate(members):
        layers = {layer: fleet.intern(layer, facts) for layer, facts in member.layers.items()}
        fleet.add(Subject(str(number), "fingerprint"), layers)
    return fleet


def partition(members: Sequence[Fingerprint]) -> set[frozenset[int]]:
    return {frozenset(cluster.members) for cluster in groups.group(fleet_of(members)).clusters}


def naive(members: Sequence[Fingerprint]) -> set[frozenset[int]]:
    """Groups by the facts whose difference over all of them matters, one at a time."""
    used = environments.uses(members)
    keys: list[list[object]] = [[] for _ in members]
    for layer, name in environments.names(members):
        facts = [environments.fact_of(member, layer, name) for member in members]
        told = [fact for fact in facts if risks.key(layer, name, fact)[0] != "unknown"]
        found = (environments.difference(layer, name, facts, used), risks.classify(layer, name, told, used))
        if any(one is not None and one.risk != "irrelevant" for one in found):
            for key, fact in zip(keys, facts, strict=True):
                key.append(risks.key(layer, name, fact))
    together: dict[tuple[object, ...], set[int]] = {}
    for number, key in enumerate(keys):
        together.setdefault(tuple(key), set()).add(number)
    return {frozenset(one) for one in together.values()}


@settings(max_examples=60)
@given(st.lists(fingerprints(), min_size=2, max_size=5))
def test_groups_are_those_of_a_comparison_fact_by_fact(members: list[Fingerprint]) -> None:
    assert partition(members) == naive(members)


@settings(max_examples=60)
@given(st.lists(fingerprints(), min_size=3, max_size=4))
def test_the_order_of_many_changes_nothing(members: list[Fingerprint]) -> None:
    grouping, backwards = groups.group(fleet_of(members)), groups.group(fleet_of(members[::-1]))
    last = len(members) - 1
    assert {frozenset(one.members) for one in grouping.clusters} == {
        frozenset(last - member for member in one.members) for one in backwards.clusters
    }
    assert [(s.layer, s.name, s.risk, s.distinct) for s in grouping.separating] == [
        (s.layer, s.name, s.risk, s.distinct) for s in backwards.separating
    ]
    ours, theirs = (verdict.foresee(one.differences, one.missing, 3) for one in (grouping, backwards))
    assert [level.prospect for level in ours.levels.values()] == [level.prospect for level in theirs.levels.values()]


def test_a_fleet_gives_back_what_was_put_in() -> None:
    members = list(CAPTURES.values())
    fleet = fleet_of(members)
    for number, member in enumerate(members):
        back = fleet.fingerprint(number)
        assert {layer: set(facts) for layer, facts in back.layers.items()} == {
            layer: set(facts) for layer, facts in member.layers.items()
        }
        assert environments.differences([member, back]).differences == ()


def test_groups_what_separates_them_and_the_odd_one_out() -> None:
    avx512 = changed(AUDITED, hardware={"dispatch": known("AVX512")})
    odd = changed(AUDITED, libraries={"numpy": known("1.26.4")})
    elsewhere = changed(AUDITED, os={"kernel": known("6.9")})
    grouping = groups.group(fleet_of([AUDITED, avx512, AUDITED, odd, elsewhere, avx512, AUDITED]))
    assert [cluster.members for cluster in grouping.clusters] == [(0, 2, 4, 6), (1, 5), (3,)]
    assert grouping.odd == (3,)
    assert [(one.name, [(v.value, v.count, v.groups) for v in one.values]) for one in grouping.separating] == [
        ("dispatch", [("AVX2", 5, (1, 3)), ("AVX512", 2, (2,))]),
        ("numpy", [("2.4.6", 6, (1, 2)), ("1.26.4", 1, (3,))]),
    ]
    assert [one.name for one in grouping.irrelevant] == ["kernel"]
    assert [one.said for one in grouping.clusters[1].differences] == ["torch's kernels for AVX2 against AVX512"]


def test_a_fact_that_some_lack_separates_them() -> None:
    without = changed(AUDITED, libraries={"numpy": None})
    grouping = groups.group(fleet_of([AUDITED, without, AUDITED]))
    assert [cluster.members for cluster in grouping.clusters] == [(0, 2), (1,)]
    assert [(v.value, v.count) for v in grouping.separating[0].values] == [("2.4.6", 2), ("not installed", 1)]


def test_what_is_not_known_of_one_of_many_is_no_difference() -> None:
    silent = changed(AUDITED, hardware={"dispatch": Unknown("the probe did not report it")})
    grouping = groups.group(fleet_of([AUDITED, AUDITED, AUDITED, silent]))
    assert grouping.differences == grouping.separating == grouping.odd == ()
    assert [one.name for one in grouping.unknown] == [one.name for one in grouping.missing] == ["dispatch"]
    assert [cluster.members for cluster in grouping.clusters] == [(0, 1, 2), (3,)]
    assert verdict.foresee(grouping.differences, grouping.missing, 4).levels["bit-exact"].prospect == "unknown"

    # Two that are known to differ do so whatever is not known of a third, which is in no sentence about them.
    other = changed(AUDITED, hardware={"dispatch": known("AVX512")})
    grouping = groups.group(fleet_of([AUDITED, other, silent]))
    assert [(one.said, one.risk) for one in grouping.differences] == [
        (one.said, one.risk) for one in environments.differences([AUDITED, other]).differences
    ]
    assert [one.name for one in grouping.missing] == ["dispatch"]


def test_an_interpreter_described_has_loaded_nothing_rather_than_something_else() -> None:
    described = CAPTURES["described-torch-2.13"]
    audited = changed(AUDITED, libraries={"object:_C.so": known(("sha256:1",))})
    found = environments.differences([audited, described])
    matters = [one.name for one in found.differences if one.risk != "irrelevant"]
    assert not [name for name in matters if name.startswith(("object:", "loaded", "dispatch", "threads"))]
    assert {"dispatch", "loaded:torch"} <= {one.name for one in found.unknown}
    without = changed(AUDITED, libraries={"object:_C.so": None})
    assert [one.name for one in environments.differences([audited, without]).differences] == ["object:_C.so"]


def test_what_a_program_sets_leaves_the_metrics_of_machines_open_no_further() -> None:
    described = CAPTURES["described-torch-2.13"]
    assert foresee(described, described).levels["seed-stable"].prospect == "possible"
    assert foresee(AUDITED, described).levels["seed-stable"].prospect == "possible"
    half = changed(AUDITED, libraries={"switch:default_dtype": known("float16")})
    assert foresee(AUDITED, half).levels["seed-stable"].prospect == "at-risk"


@pytest.mark.parametrize(
    ("layer", "name", "teller"),
    [("hardware", "dispatch:numpy", "numpy"), ("libraries", "torch:git", "torch:version")],
)
def test_what_follows_from_another_release_is_no_difference_of_its_own(layer: str, name: str, teller: str) -> None:
    def made(release: str, value: str) -> Fingerprint:
        one = changed(AUDITED, libraries={teller: known(release)})
        return changed(one, **{layer: {name: known(value)}})

    def risk(*members: Fingerprint) -> set[str]:
        pair = environments.differences(members).differences
        many = groups.group(fleet_of(members))
        found = {one.risk for one in pair if one.name == name}
        assert {one.risk for one in (*many.separating, *many.irrelevant) if one.name == name} == found
        return found

    first, second, third = made("2.13.0", "a"), made("2.13.1", "b"), made("2.13.1", "c")
    assert risk(first, second) == risk(first, second, first) == {"irrelevant"}
    assert risk(second, third) == risk(first, second, third) == {"at-risk"}
    assert foresee(first, second).levels["bit-exact"].prospect == "at-risk"
    lost = changed(second, libraries={teller: Unknown("it was not read")})
    assert risk(first, lost) == {"at-risk"}


@pytest.mark.parametrize("one", CAPTURES)
def test_captures_against_one_another(one: str) -> None:
    for two in CAPTURES:
        prediction = foresee(CAPTURES[one], CAPTURES[two])
        ranks = [("rules-out", "at-risk", "irrelevant").index(d.risk) for d in prediction.differences]
        assert ranks == sorted(ranks)
        assert all(d.reason and d.said and len(d.values) == 2 for d in itertools.chain(prediction.differences))
