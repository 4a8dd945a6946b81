"""Many environments: groups that are identical in everything that is not irrelevant, and what separates them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from auditor.compare import environments, risks
from auditor.compare.fleet import Fleet
from auditor.records.environments import RISKS, Difference, Separation, Value
from auditor.records.fingerprint import Fact, Fingerprint, Unknown

_LISTED = 50  # values of a fact that are listed
_LARGE = 3  # members of a group beside which a group of one is odd

Name = tuple[str, str]
Teller = tuple[str, str, bool]


class Gap(NamedTuple):
    """Names of a layer that a member lacks; ``none`` are those of which it is known that there is nothing."""

    names: frozenset[str]
    none: frozenset[str]


class Cluster(NamedTuple):
    """One group: its members by their place in the fleet, and how it differs from the first group, ranked."""

    members: tuple[int, ...]
    differences: tuple[Difference, ...]
    unknown: tuple[Difference, ...]


class Grouping(NamedTuple):
    """The groups, the largest first (of equal ones that of the first member), and what separates them, ranked.

    What is not known of some is in ``unknown``, and separates by itself nothing from anything; but no group is said to
    be identical in it. ``differences`` and ``missing`` are what all of them together differ in and lack, ``odd`` the
    numbers of the groups of one that differ, beside a large group.
    """

    clusters: tuple[Cluster, ...]
    separating: tuple[Separation, ...]
    irrelevant: tuple[Separation, ...]
    unknown: tuple[Separation, ...]
    differences: tuple[Difference, ...]
    missing: tuple[Difference, ...]
    odd: tuple[int, ...]


def group(fleet: Fleet) -> Grouping:
    """Group the fingerprints of a fleet.

    A fact is left out of account where no difference between any of the values that occur matters. Time and memory
    are linear in the number of fingerprints and of distinct layers.
    """
    runs = {member.get("run") for member in fleet.members}
    of_runs = all(run is not None and environments.is_of_run(fleet.layer(run)) for run in runs)
    seen = _Seen(fleet, of_runs)
    names = seen.names()
    used = {**risks.uses_of(lambda layer, name: seen.facts((layer, name))), **seen.told(names)}
    relevant: set[Name] = set()
    found: list[tuple[Name, Difference]] = []
    lacking: list[tuple[Name, Difference]] = []
    for name in names:
        facts = seen.facts(name)
        told = [fact for fact in facts if risks.key(*name, fact)[0] != "unknown"]
        # What is not known differs from nothing: only what is known does, as between two of them.
        one = risks.classify(*name, told, used)
        missed = environments.difference(*name, facts, used) if len(told) < len(facts) else None
        if one is not None:
            found.append((name, one))
        if missed is not None and missed.risk != "irrelevant":
            lacking.append((name, missed))
        elif missed is not None and one is None:
            found.append((name, missed))
        if (one is not None and one.risk != "irrelevant") or (
            missed is not None and missed.risk != "irrelevant" and told
        ):
            relevant.add(name)
    keys = seen.keys(relevant)
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, key in enumerate(keys):
        groups[key].append(index)
    ordered = sorted(groups.values(), key=lambda members: (-len(members), members[0]))
    of = [0] * len(fleet)
    for number, members in enumerate(ordered, 1):
        for member in members:
            of[member] = number
    first = fleet.fingerprint(ordered[0][0])
    compare = _against(first, used, sorted(relevant))
    clusters = [Cluster(tuple(members), *compare(fleet.fingerprint(members[0]))) for members in ordered]
    spread = _Spread(fleet, seen, [name for name, _ in (*found, *lacking)], of)
    ranked = sorted((spread.separation(name, one) for name, one in found), key=_rank)
    large = len(ordered[0]) >= _LARGE
    every = sorted((one for _, one in found), key=environments.rank)
    return Grouping(
        clusters=tuple(clusters),
        separating=tuple(one for one in ranked if one.risk != "irrelevant"),
        irrelevant=tuple(one for one in ranked if one.risk == "irrelevant"),
        unknown=tuple(sorted((spread.separation(name, one) for name, one in lacking), key=_rank)),
        differences=tuple(one for one in every if one.risk != "irrelevant"),
        missing=tuple(sorted((one for _, one in lacking), key=environments.rank)),
        odd=tuple(
            number
            for number, cluster in enumerate(clusters, 1)
            if large and len(cluster.members) == 1 and cluster.differences
        ),
    )


class _Seen:
    """Which values each fact has in a fleet, how often, and what stands for a fact that is missing."""

    def __init__(self, fleet: Fleet, of_runs: bool) -> None:
        self.fleet = fleet
        self.of_runs = of_runs
        self.layers: dict[str, Counter[int]] = defaultdict(Counter)
        for member in fleet.members:
            for layer, number in member.items():
                self.layers[layer][number] += 1
        self.values: dict[Name, set[int]] = defaultdict(set)
        self.counts: dict[str, Counter[int]] = {}
        for layer, numbers in self.layers.items():
            # Layers that one member alone has may be as many as members: those are counted without a loop of ours.
            singles = (fleet.layers[number] for number, count in numbers.items() if count == 1)
            counts = self.counts[layer] = Counter(chain.from_iterable(singles))
            for number, count in numbers.items():
                if count > 1:
                    for fact in fleet.layers[number]:
                        counts[fact] += count
            for fact in counts:
                self.values[layer, fleet.facts[fact].name].add(fact)
        self._told: dict[tuple[Teller, int | None], bool] = {}
        layers = {name[0] for name in (*self.values, *environments.expected())}
        self.gaps = {layer: self._gaps(layer) for layer in sorted(layers)}

    def held(self, name: Name) -> int:
        """How many members have the fact."""
        return sum(self.counts[name[0]][fact] for fact in self.values.get(name, ()))

    def names(self) -> Sequence[Name]:
        """Every fact whose value varies, or is not known of all."""
        found = {
            name
            for name, values in self.values.items()
            if len(values) > 1
            or self.held(name) < len(self.fleet)
            or any(type(self.fleet.facts[value].fact) is Unknown for value in values)
        }
        found.update(name for name in environments.expected() if name not in self.values)
        return sorted(name for name in found if name[0] != "run" or self.of_runs)

    def facts(self, name: Name) -> list[Fact | None]:
        """The distinct values of a fact, and what it is for those that do not have it."""
        found: list[Fact | None] = [self.fleet.facts[number].fact for number in sorted(self.values.get(name, ()))]
        gaps = set(self.gaps.get(name[0], ()))
        missing = {name[1] in gap.none for gap in gaps if gap is not None and name[1] in gap.names}
        return found + [None if none else Unknown(environments.NOT_SEEN) for none in sorted(missing)]

    def told(self, names: Sequence[Name]) -> risks.Uses:
        """Which of these facts follow from another one that differs."""
        found: risks.Uses = {}
        for name in names:
            rule = risks.rule_of(*name)
            if rule is not None and rule.told_by:
                layer, _, other = rule.told_by.partition("/")
                found[risks.told(*name)] = risks.follows(
                    zip(self._keys_of((layer, other)), self._keys_of(name), strict=True)
                )
        return found

    def _keys_of(self, name: Name) -> Iterator[risks.Key]:
        """What a fact is compared by, of each member."""
        layer, values = name[0], self.values.get(name, set())
        known = {
            number: risks.key(*name, self.fleet.facts[fact].fact)
            for number in self.layers[layer]
            for fact in values.intersection(self.fleet.layers[number])
        }
        for member, gap in zip(self.fleet.members, self.gaps[layer], strict=True):
            number = member.get(layer)
            if number in known:
                yield known[number]
            else:
                yield ("none" if gap is not None and name[1] in gap.none else "unknown", None)

    def _gaps(self, layer: str) -> list[Gap | None]:
        """What of a layer each member lacks that any other one has, or that all should have; None for nothing."""
        names = {name[1] for name in self.values if name[0] == layer and self.held(name) < len(self.fleet)}
        names.update(name for of, name in environments.expected() if of == layer and (of, name) not in self.values)
        if not names:
            return [None] * len(self.fleet)
        tellers: dict[Teller, set[str]] = defaultdict(set)
        for name in sorted(names):
            rule = risks.rule_of(layer, name)
            teller = risks.tells(rule) if rule is not None else None
            if teller is not None:
                tellers[teller].add(name)
        name_of = [noted.name for noted in self.fleet.facts]
        missing: dict[int | None, frozenset[str]] = {None: frozenset(names)}
        known: dict[tuple[frozenset[str], tuple[bool, ...]], Gap] = {}
        found: list[Gap | None] = []
        for member in self.fleet.members:
            number = member.get(layer)
            if number is not None and number not in missing:
                missing[number] = frozenset(names.difference(map(name_of.__getitem__, self.fleet.layers[number])))
            if not missing[number]:
                found.append(None)
                continue
            told = tuple(self._is_told(one, member) for one in tellers)
            key = (missing[number], told)
            if key not in known:
                absent = (absent for absent, says in zip(tellers.values(), told, strict=True) if says)
                known[key] = Gap(missing[number], missing[number].intersection(chain.from_iterable(absent)))
            found.append(known[key])
        return found

    def _is_told(self, told: Teller, member: dict[str, int]) -> bool:
        """Whether what ``risks.tells`` of a rule says that a missing fact of a member is absent."""
        layer, name, known = told
        number = member.get(layer)
        if (told, number) not in self._told:
            facts = self.fleet.layer(number) if number is not None else {}
            self._told[told, number] = risks.is_told(facts.get(name), known)
        return self._told[told, number]

    def keys(self, relevant: set[Name]) -> list[tuple[int, ...]]:
        """For each member what it is grouped by: a number for each layer, made of what is relevant in it alone."""
        layers = [_Reduced(self, layer, relevant) for layer in sorted({layer for layer, _ in relevant})]
        return [tuple(layer.number(index) for layer in layers) for index in range(len(self.fleet))]


class _Reduced:
    """One layer of all members with its relevant facts only; equal ones have one number.

    What is not known has no mark of its own: it is like a fact whose absence says nothing.
    """

    def __init__(self, seen: _Seen, layer: str, relevant: set[Name]) -> None:
        self.fleet, self.gaps, self.layer = seen.fleet, seen.gaps[layer], layer
        self.marks: dict[int, int] = {}
        self.absent: dict[str, int] = {}
        firsts: dict[object, int] = {}
        for name in sorted(one for one in relevant if one[0] == layer):
            for value in seen.values.get(name, ()):
                key = risks.key(*name, seen.fleet.facts[value].fact)
                if key[0] != "unknown":
                    self.marks[value] = firsts.setdefault((name, key), len(firsts))
            self.absent[name[1]] = firsts.setdefault((name, ("none", None)), len(firsts))
        self.numbers: dict[frozenset[int], int] = {}
        self.known: dict[tuple[int | None, Gap | None], int] = {}

    def number(self, index: int) -> int:
        """What stands for the layer of a member."""
        here, gap = self.fleet.members[index].get(self.layer), self.gaps[index]
        if (here, gap) not in self.known:
            self.known[here, gap] = self.numbers.setdefault(self._marks(here, gap), len(self.numbers))
        return self.known[here, gap]

    def _marks(self, here: int | None, gap: Gap | None) -> frozenset[int]:
        facts = self.fleet.layers[here] if here is not None else ()
        present = [self.marks[fact] for fact in self.marks.keys() & set(facts)]
        missing = [self.absent[name] for name in self.absent.keys() & gap.none] if gap is not None else []
        return frozenset((*present, *missing))


def _against(
    first: Fingerprint, used: risks.Uses, names: Sequence[Name]
) -> Callable[[Fingerprint], tuple[tuple[Difference, ...], tuple[Difference, ...]]]:
    """What compares a group's fingerprint with the first group's; most pairs of values come more than once."""
    ours = {name: environments.fact_of(first, *name) for name in names}
    known: dict[tuple[Name, object], Difference | None] = {}

    def compare(other: Fingerprint) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
        found: list[Difference] = []
        unknown: list[Difference] = []
        for name in names:
            fact = environments.fact_of(other, *name)
            key = risks.key(*name, fact)
            if (name, key) not in known:
                known[name, key] = environments.difference(*name, (ours[name], fact), used)
            one = known[name, key]
            if one is not None and one.risk != "irrelevant":
                lacking = any(value.startswith("not known: ") for value in one.values)
                (unknown if lacking else found).append(one)
        return tuple(sorted(found, key=environments.rank)), tuple(sorted(unknown, key=environments.rank))

    return compare


class _Spread:
    """In which groups each value is."""

    def __init__(self, fleet: Fleet, seen: _Seen, names: Sequence[Name], of: Sequence[int]) -> None:
        self.fleet, self.seen = fleet, seen
        groups_of: dict[tuple[str, int], set[int]] = defaultdict(set)
        for member, number in zip(fleet.members, of, strict=True):
            for layer, one in member.items():
                groups_of[layer, one].add(number)
        wanted: dict[str, set[int]] = defaultdict(set)
        for name in names:
            wanted[name[0]] |= seen.values.get(name, set())
        self.gaps: dict[str, dict[Gap, list[int]]] = {layer: defaultdict(list) for layer in seen.gaps}
        for layer, gaps in seen.gaps.items():
            for gap, number in zip(gaps, of, strict=True):
                if gap is not None:
                    self.gaps[layer][gap].append(number)
        self.groups: dict[tuple[str, int], set[int]] = defaultdict(set)
        for (layer, one), numbers in groups_of.items():
            for fact in wanted[layer].intersection(fleet.layers[one]):
                self.groups[layer, fact] |= numbers

    def separation(self, name: Name, one: Difference) -> Separation:
        layer, _ = name
        counts: Counter[str] = Counter()
        groups: dict[str, set[int]] = defaultdict(set)
        for fact in self.seen.values.get(name, ()):
            text = risks.text(*name, self.fleet.facts[fact].fact)
            counts[text] += self.seen.counts[layer][fact]
            groups[text] |= self.groups[layer, fact]
        for gap, numbers in self.gaps[layer].items():
            if name[1] in gap.names:
                text = risks.text(*name, None if name[1] in gap.none else Unknown(environments.NOT_SEEN))
                counts[text] += len(numbers)
                groups[text].update(numbers)
        values = [
            Value(text, count, tuple(sorted(groups[text])[:_LISTED]))
            for text, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        ]
        return Separation(
            layer=layer,
            name=name[1],
            values=tuple(values[:_LISTED]),
            distinct=len(values),
            risk=one.risk,
            reason=one.reason,
            sources=one.sources,
            rule=one.rule,
            level=one.level,
            said=one.said,
        )


def _rank(separation: Separation) -> tuple[int, int, str, str]:
    return (
        RISKS.index(separation.risk),
        risks.weight(separation.layer, separation.name),
        separation.layer,
        separation.name,
    )
