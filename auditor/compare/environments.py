"""Two fingerprints, or more of them, in: the facts in which they differ out, ranked by what they put at risk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from auditor.compare import risks
from auditor.compare.risks import Uses
from auditor.records.environments import RISKS, Difference
from auditor.records.fingerprint import LAYERS, Fact, Fingerprint, Known, Unknown

NOT_SEEN = "the fingerprint does not list them"


class Differences(msgspec.Struct, frozen=True):
    """How fingerprints differ: ranked differences, and the facts that matter and are not known of all of them."""

    differences: tuple[Difference, ...]
    unknown: tuple[Difference, ...]


def differences(fingerprints: Sequence[Fingerprint]) -> Differences:
    """Compare fingerprints fact by fact; ``values`` of a difference are in the order of the fingerprints."""
    used = uses(fingerprints)
    found: list[Difference] = []
    unknown: list[Difference] = []
    for layer, name in names(fingerprints):
        facts = [fact_of(fingerprint, layer, name) for fingerprint in fingerprints]
        one = difference(layer, name, facts, used)
        if one is None:
            continue
        lacking = any(risks.key(layer, name, fact)[0] == "unknown" for fact in facts)
        (unknown if lacking and one.risk != "irrelevant" else found).append(one)
    return Differences(tuple(sorted(found, key=rank)), tuple(sorted(unknown, key=rank)))


def uses(fingerprints: Sequence[Fingerprint]) -> Uses:
    """Which conditions of the table hold for them, and which facts follow from another one that differs."""
    found = risks.uses(fingerprints)
    for layer, name in names(fingerprints):
        rule = risks.rule_of(layer, name)
        if rule is not None and rule.told_by:
            of, _, other = rule.told_by.partition("/")
            found[risks.told(layer, name)] = risks.follows(
                (risks.key(of, other, fact_of(one, of, other)), risks.key(layer, name, fact_of(one, layer, name)))
                for one in fingerprints
            )
    return found


def difference(layer: str, name: str, facts: Sequence[Fact | None], used: Uses) -> Difference | None:
    """One fact's difference; also where nobody knows it, if it matters. None where all agree."""
    missing = any(risks.key(layer, name, fact)[0] == "unknown" for fact in facts)
    if not missing:
        return risks.classify(layer, name, facts, used)
    judged = risks.judge(layer, name, facts, used)
    rule = risks.rule_of(layer, name)
    if rule is not None and not rule.missed:
        judged = judged._replace(risk="irrelevant", reason="It is not known, and other facts tell as much.")
    if judged.risk == "irrelevant" and len({risks.key(layer, name, fact) for fact in facts}) < 2:
        return None
    values = tuple(risks.text(layer, name, fact) for fact in facts)
    return Difference(
        layer=layer,
        name=name,
        values=values,
        risk=judged.risk,
        reason=judged.reason,
        sources=judged.sources,
        rule=rule.id if rule is not None else "",
        level=judged.level,
        said=risks.said(layer, name, values),
    )


def names(fingerprints: Sequence[Fingerprint]) -> Iterable[tuple[str, str]]:
    """Layer and name of every fact that any of the fingerprints has, or that all of them should have.

    What a run trained on and used is compared only where each of them is of a run.
    """
    of_runs = all(is_of_run(fingerprint.layers.get("run", {})) for fingerprint in fingerprints)
    found: set[tuple[str, str]] = set(expected())
    for fingerprint in fingerprints:
        for layer, facts in fingerprint.layers.items():
            if layer != "run" or of_runs:
                found.update((layer, name) for name in facts)
    return sorted(found, key=lambda one: (LAYERS.index(one[0]) if one[0] in LAYERS else len(LAYERS), one))


def is_of_run(layer: Mapping[str, Fact]) -> bool:
    """Whether a fingerprint with this layer of the run is that of a run, and not of an interpreter described."""
    return any(isinstance(fact, Known) and not name.startswith("git:") for name, fact in layer.items())


def expected() -> Iterable[tuple[str, str]]:
    """The facts without which nothing can be said."""
    return ((rule.layer, name) for rule in risks.table().rule if rule.expected for name in rule.names)


def fact_of(fingerprint: Fingerprint, layer: str, name: str) -> Fact | None:
    """A fact of a fingerprint; None where it has none and that says that there is nothing."""
    fact = fingerprint.layers.get(layer, {}).get(name)
    if fact is not None:
        return fact
    rule = risks.rule_of(layer, name)
    told = risks.tells(rule) if rule is not None else None
    if told is None:
        return None
    witness = fingerprint.layers.get(told[0], {}).get(told[1])
    return None if risks.is_told(witness, told[2]) else Unknown(NOT_SEEN)


def rank(difference: Difference) -> tuple[int, int, str, str]:
    """What differences are sorted by: the risk, the place of the rule in the table, the name."""
    return (
        RISKS.index(difference.risk),
        risks.weight(difference.layer, difference.name),
        difference.layer,
        difference.name,
    )
