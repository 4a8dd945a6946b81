"""What a difference between environments puts at risk: ``risks.toml``, read once and checked strictly."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib import resources
from itertools import combinations
from typing import NamedTuple

import msgspec
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from auditor.records.audit import LevelName
from auditor.records.environments import Difference, Risk
from auditor.records.fingerprint import LAYERS, Fact, Fingerprint, Known, Unknown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "risks.toml"
SCHEMA = "auditor.risks/1"
UNLISTED = "The table of risks does not know this fact, so what a difference in it does is not known."
NOT_THERE = "the fingerprint does not have it"

_LONGEST_VERSION = 200
_VERSION = re.compile(r"(?<![0-9])(?<![0-9]\.)[0-9]{1,18}(?:\.[0-9]{1,18}){0,20}(?![0-9]|\.[0-9])")

Uses = dict[str, bool | None]
"""Whether each condition of the table holds (``CUDA in use``), and each fact follows from another (``told``).

None where it is not known.
"""

Key = tuple[str, object]


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a rule may depend on: ``fact`` of the run layer says whether it holds, ``where`` names it in a sentence.

    It cannot hold where there is nothing that any of the facts in ``needs`` (``layer/name``) is about.
    """

    fact: str
    where: str
    needs: tuple[str, ...] = ()


class Within(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another risk, and maybe another level, where the versions that differ all lie within any one of several ranges.

    Ranges are specifiers of ``packaging``.
    """

    versions: tuple[str, ...]
    risk: Risk
    reason: str
    sources: tuple[str, ...] = ()
    level: LevelName | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of the table: which facts it is about, and what a difference in them puts at risk.

    ``names`` are patterns in which ``*`` stands for anything but a colon and ``**`` for anything. ``risk`` holds where
    every condition of ``when`` does; where one does not, the rule ``otherwise`` holds, or the difference is irrelevant.
    With ``disjoint``, lists that have something in common are not ruled out. ``said`` is the difference in a few words,
    ``{values}`` being ``A against B``, ``{fact}`` the fact's name and ``{name}`` what follows its first colon.

    ``absent`` says what it means that a fingerprint has no such fact (``not installed``), if that tells anything: where
    the fact ``witness`` (``layer/name``) is known, or where there is nothing that the fact ``without`` is about. A
    missing fact is else one that is not known. A fact that is ``expected`` is missed where no fingerprint has it; one
    that is not ``missed`` leaves nothing open where it is not known. ``told_by`` names a fact (``layer/name``) that
    tells as much where it differs too.
    """

    id: str
    layer: str
    names: tuple[str, ...]
    risk: Risk
    reason: str
    sources: tuple[str, ...] = ()
    level: LevelName = "bit-exact"
    when: tuple[str, ...] = ()
    otherwise: str = ""
    disjoint: bool = False
    said: str = "{fact} {values}"
    absent: str = ""
    witness: str = ""
    without: str = ""
    expected: bool = False
    missed: bool = True
    told_by: str = ""
    within: tuple[Within, ...] = ()


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``risks.toml``: the rules in the order of their weight, of which the first that matches a fact holds.

    ``nothing`` are patterns of the reasons that say that there is nothing (no device, no torch), rather than that it is
    not known.
    """

    schema: str
    nothing: tuple[str, ...]
    conditions: dict[str, Condition]
    rule: tuple[Rule, ...]


class Judged(NamedTuple):
    """What a difference in one fact puts at risk."""

    risk: Risk
    level: LevelName
    reason: str
    sources: tuple[str, ...]


def parse_table(text: str) -> Table:
    """The table in a TOML text; raises ValueError that says what is wrong with it."""
    table = msgspec.convert(tomllib.loads(text), Table)
    if table.schema != SCHEMA:
        raise ValueError(f"the schema is {table.schema!r}, not {SCHEMA!r}")
    ids = [rule.id for rule in table.rule]
    for rule in table.rule:
        if ids.count(rule.id) > 1:
            raise ValueError(f"two rules have the id {rule.id!r}")
        if rule.layer not in LAYERS:
            raise ValueError(f"{rule.id}: there is no layer {rule.layer!r}")
        if not rule.names or not rule.reason.strip():
            raise ValueError(f"{rule.id}: it needs names and a reason")
        if rule.risk == "rules-out" and not rule.sources:
            raise ValueError(f"{rule.id}: what rules a level out needs a source")
        for name in rule.when:
            if name not in table.conditions:
                raise ValueError(f"{rule.id}: there is no condition {name!r}")
        if rule.otherwise and rule.otherwise not in ids[ids.index(rule.id) + 1 :]:
            raise ValueError(f"{rule.id}: there is no rule {rule.otherwise!r} after it")
        if bool(rule.absent) != bool(rule.witness or rule.without) or (rule.witness and rule.without):
            raise ValueError(f"{rule.id}: absent needs a witness or a without, and they need it")
        if rule.told_by and rule.told_by.partition("/")[0] not in LAYERS:
            raise ValueError(f"{rule.id}: told_by names no layer")
        if rule.expected and any("*" in name for name in rule.names):
            raise ValueError(f"{rule.id}: what is expected has to be named")
        for within in rule.within:
            try:
                for versions in within.versions:
                    SpecifierSet(versions)
            except InvalidSpecifier as error:
                raise ValueError(f"{rule.id}: {error}") from error
        for source in (*rule.sources, *(source for within in rule.within for source in within.sources)):
            if not source.startswith("https://"):
                raise ValueError(f"{rule.id}: {source!r} is no address")
    return table


@cache
def table() -> Table:
    """The table that the package ships."""
    return parse_table(resources.files("auditor.compare").joinpath(FILE).read_text(encoding="utf-8"))


@cache
def rule_of(layer: str, name: str) -> Rule | None:
    """The rule for a fact, or None where the table does not know it."""
    return next((rule for pattern, rule in _patterns(layer) if pattern.fullmatch(name)), None)


@cache
def weight(layer: str, name: str) -> int:
    """The place of a fact's rule in the table: what weighs more comes first, what is not listed last."""
    rule = rule_of(layer, name)
    return table().rule.index(rule) if rule is not None else len(table().rule)


@cache
def _patterns(layer: str) -> tuple[tuple[re.Pattern[str], Rule], ...]:
    return tuple((_compiled(name), rule) for rule in table().rule if rule.layer == layer for name in rule.names)


def _compiled(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*?)", pattern)
    return re.compile("".join({"*": "[^:]*", "**": ".*"}.get(part) or re.escape(part) for part in parts), re.DOTALL)


@cache
def is_nothing(reason: str) -> bool:
    """Whether the reason for a fact's absence says that there is nothing, not that it is not known."""
    return any(_compiled(pattern.replace("*", "**")).fullmatch(reason) for pattern in table().nothing)


def uses(fingerprints: Iterable[Fingerprint]) -> Uses:
    """Which conditions hold for training in any of these environments, from their ``run`` layers.

    One holds where any fingerprint says so, and does not where all of them say that it does not, or have nothing that
    it needs.
    """
    every = list(fingerprints)
    return uses_of(lambda layer, name: [fingerprint.layers.get(layer, {}).get(name) for fingerprint in every])


def uses_of(facts: Callable[[str, str], Sequence[Fact | None]]) -> Uses:
    """``uses`` of environments whose facts are told by layer and name."""
    found: Uses = {}
    for name, condition in sorted(table().conditions.items()):
        found[name] = holds(facts("run", condition.fact))
        if found[name] is None and condition.needs:
            needed = [fact for need in condition.needs for fact in facts(*need.split("/", 1))]
            if needed and all(_is_none(fact) for fact in needed):
                found[name] = False
    return found


def tells(rule: Rule) -> tuple[str, str, bool] | None:
    """Which fact (layer, name) tells whether a missing one is really absent, and whether by being known; or None."""
    told = rule.witness or rule.without
    if not told:
        return None
    layer, _, name = told.partition("/")
    return layer, name, bool(rule.witness)


def is_told(witness: Fact | None, known: bool) -> bool:
    """Whether the fact that ``tells`` names says that a missing one is absent."""
    if known:
        return isinstance(witness, Known)
    return isinstance(witness, Unknown) and is_nothing(witness.reason)


def told(layer: str, name: str) -> str:
    """By which name ``Uses`` says whether a fact follows from the one that its rule is ``told_by``."""
    return f"told: {layer}/{name}"


def follows(keys: Iterable[tuple[Key, Key]]) -> bool:
    """Whether a fact differs only where another one does, from the other's key and its own of each environment."""
    found: dict[Key, set[Key]] = {}
    for other, own in keys:
        own_keys = found.setdefault(other, set())
        if own[0] != "unknown":
            own_keys.add(own)
    return len(found) > 1 and ("unknown", None) not in found and all(len(own) < 2 for own in found.values())


def _is_none(fact: Fact | None) -> bool:
    if isinstance(fact, Known):
        return fact.value in ("none", ())
    return fact is not None and is_nothing(fact.reason)


def holds(facts: Sequence[Fact | None]) -> bool | None:
    """Whether any of these facts is true: None where none is, and not all are known."""
    values = [fact.value if isinstance(fact, Known) else None for fact in facts]
    if any(value is True for value in values):
        return True
    return False if values and all(value is False for value in values) else None


def key(layer: str, name: str, fact: Fact | None) -> Key:
    """What facts are compared by: their value, whatever it was read from; or ``none``, or ``unknown``."""
    if isinstance(fact, Known):
        return ("value", fact.value)
    if isinstance(fact, Unknown):
        return ("none" if is_nothing(fact.reason) else "unknown", None)
    rule = rule_of(layer, name)
    return ("none" if rule is not None and rule.absent else "unknown", None)


def classify(layer: str, name: str, facts: Sequence[Fact | None], uses: Uses) -> Difference | None:
    """What a difference in one fact puts at risk; None where the facts agree.

    ``facts`` has one entry per environment, None where the fingerprint has no such fact.
    """
    keys = [key(layer, name, fact) for fact in facts]
    if len(set(keys)) < 2:
        return None
    judged = judge(layer, name, facts, uses)
    values = tuple(text(layer, name, fact) for fact in facts)
    rule = rule_of(layer, name)
    return Difference(
        layer=layer,
        name=name,
        values=values,
        risk=judged.risk,
        reason=judged.reason,
        sources=judged.sources,
        rule=rule.id if rule is not None else "",
        level=judged.level,
        said=said(layer, name, values),
    )


def judge(layer: str, name: str, facts: Sequence[Fact | None], uses: Uses) -> Judged:
    """What it puts at risk if these facts differ, or are not known."""
    rule = rule_of(layer, name)
    if rule is None:
        return Judged("at-risk", "bit-exact", UNLISTED, ())
    if rule.told_by and uses.get(told(layer, name)) is True:
        other = rule.told_by.partition("/")[2]
        return Judged(
            "irrelevant", "bit-exact", f"It follows from {other}, which differs and is compared by itself.", ()
        )
    return _judge(rule, layer, name, facts, uses)


def _judge(rule: Rule, layer: str, name: str, facts: Sequence[Fact | None], uses: Uses) -> Judged:
    otherwise = _judge(_by_id(rule.otherwise), layer, name, facts, uses) if rule.otherwise else None
    if otherwise is not None and any(uses.get(condition) is False for condition in rule.when):
        return otherwise
    risk, level, reason, sources = rule.risk, rule.level, rule.reason, rule.sources
    within = _within(rule, facts)
    if within is not None:
        risk, level, reason = within.risk, within.level or level, within.reason
        sources = within.sources or sources
    if risk == "irrelevant":
        return Judged(risk, "bit-exact", reason, sources)
    for condition in rule.when:
        if uses.get(condition) is False:
            where = table().conditions[condition].where
            return Judged("irrelevant", "bit-exact", f"It would matter where {where}, which is not so here.", sources)
    open_ones = [table().conditions[name].where for name in rule.when if uses.get(name) is not True]
    if open_ones and risk == "rules-out" and otherwise is not None and otherwise.risk == "rules-out":
        return otherwise
    if open_ones:
        effect = "Rules bit-exact out" if risk == "rules-out" else "Matters"
        return Judged(
            "at-risk", level, f"{effect} where {' and '.join(open_ones)}, which is not known. {reason}", sources
        )
    if risk == "rules-out" and rule.disjoint and _overlap(facts):
        return Judged(
            "at-risk", level, f"Part of what was seen is the same, and may be all that was used. {reason}", sources
        )
    if risk == "rules-out" and any(key(layer, name, fact)[0] == "unknown" for fact in facts):
        return Judged("at-risk", level, f"A difference would rule bit-exact out: {reason}", sources)
    return Judged(risk, level, reason, sources)


@cache
def _by_id(wanted: str) -> Rule:
    return next(rule for rule in table().rule if rule.id == wanted)


def _overlap(facts: Sequence[Fact | None]) -> bool:
    """Whether any two of these lists have something in common; what is no list has not."""
    lists = [set(fact.value) for fact in facts if isinstance(fact, Known) and isinstance(fact.value, tuple)]
    return any(one & other for one, other in combinations(lists, 2))


def _within(rule: Rule, facts: Sequence[Fact | None]) -> Within | None:
    """The first entry of the rule with a range that holds the versions of all facts; None where one has no version."""
    if not rule.within:
        return None
    versions = [parse_version(fact.value) if isinstance(fact, Known) else None for fact in facts]
    if any(version is None for version in versions):
        return None
    known = [version for version in versions if version is not None]
    return next(
        (
            within
            for within in rule.within
            for versions in within.versions
            if all(SpecifierSet(versions).contains(version, prereleases=True) for version in known)
        ),
        None,
    )


def parse_version(value: object) -> Version | None:
    """The version in a fact's value (``2.13.0+cpu``, ``glibc 2.36``); None where there is none."""
    if not isinstance(value, str):
        return None
    version = read_version(value)
    if version is not None:
        return version
    found = _VERSION.search(value)
    return Version(found[0]) if found is not None else None


def read_version(text: str) -> Version | None:
    """The version that a text is; None where it is none, or one so long that nobody gave it to anything."""
    if len(text) > _LONGEST_VERSION:
        return None
    try:
        return Version(text)
    except ValueError:
        return None


def text(layer: str, name: str, fact: Fact | None) -> str:
    """A fact's value in words; ``not known: <reason>`` where it is not, and what its absence means."""
    if isinstance(fact, Known):
        value = fact.value
        if isinstance(value, bool):
            return "yes" if value else "no"
        return (", ".join(value) or "none") if isinstance(value, tuple) else str(value)
    if isinstance(fact, Unknown):
        return f"none ({fact.reason})" if is_nothing(fact.reason) else f"not known: {fact.reason}"
    rule = rule_of(layer, name)
    return rule.absent if rule is not None and rule.absent else f"not known: {NOT_THERE}"


def said(layer: str, name: str, values: Sequence[str]) -> str:
    """A difference in a few words: ``sm_80 against sm_90``."""
    rule = rule_of(layer, name)
    form = rule.said if rule is not None else "{fact} {values}"
    distinct = list(dict.fromkeys(brief(value) for value in values))
    joined = " against ".join(distinct) if len(distinct) < 3 else f"{', '.join(distinct[:4])}"
    if len(distinct) > 4:
        joined += f" and {len(distinct) - 4} more"
    words = {"{values}": joined, "{fact}": name, "{name}": name.partition(":")[2] or name}
    return re.sub(r"\{(values|fact|name)\}", lambda found: words[found[0]], form)


def brief(value: str) -> str:
    """A value short enough for a sentence."""
    for long, short in (("not known: ", "not known"), ("none (", "none")):
        if value.startswith(long):
            return short
    return value if len(value) <= _BRIEF else f"{value[: _BRIEF - 1]}…"


_BRIEF = 48
