"""Many environments: groups that are identical in everything that is not irrelevant, and what separates them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import chain, islice
from typing import NamedTuple

from auditor.compare import environments, risks
from auditor.compare.fleet import Fleet
from auditor.records.environments import RISKS, Difference, Separation, Value
from auditor.records.fingerprint import Fact, Fingerprint, Unknown

_LISTED = 50  # values of a fact that are listed
_LARGE = 3  # members of a group beside which a group of one is odd

Name = tuple[str, str]
Teller = tuple[str, str, bool]


class Lacking(NamedTuple):
    """How many members lack a fact: those of which it is known that there is nothing, and those of which it is not."""

    none: int
    unknown: int


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
    are linear in the number of fingerprints and of the facts of distinct layers, however many names members lack.
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
        self._told: dict[Teller, list[bool]] = {}
        self._lacking: dict[Name, Lacking] = {}
        self._none: dict[tuple[Teller | None, str, tuple[int, ...]], int] = {}
        self.members_of: dict[str, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
        for index, member in enumerate(fleet.members):
            for layer, number in member.items():
                self.members_of[layer][number].append(index)
        self._holders = self._find_holders()

    def _find_holders(self) -> dict[Name, list[int]]:
        """The distinct layers that have a fact, for the facts that not every member has."""
        found: dict[Name, list[int]] = defaultdict(list)
        for layer, numbers in self.layers.items():
            partly = {
                fact: name
                for name, values in self.values.items()
                if name[0] == layer and self.held(name) < len(self.fleet)
                for fact in values
            }
            for number in numbers:
                for fact in partly.keys() & set(self.fleet.layers[number]):
                    found[partly[fact]].append(number)
        return found

    def holders(self, name: Name) -> Iterable[int]:
        """The members that have a fact, which not all have."""
        of = self.members_of[name[0]]
        return chain.from_iterable(of[number] for number in self._holders.get(name, ()))

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
        lacking = self.lacking(name)
        if lacking.unknown:
            found.append(Unknown(environments.NOT_SEEN))
        return [*found, None] if lacking.none else found

    def lacking(self, name: Name) -> Lacking:
        """How many members lack a fact."""
        if name not in self._lacking:
            count = len(self.fleet) - self.held(name)
            none = 0
            if count:
                teller = teller_of(name)
                # Facts that came together, as the packages of one kind of machine, are had by the same members.
                key = (teller, name[0], self.held_by(name))
                if key not in self._none:
                    says = self.says(teller)
                    self._none[key] = sum(says) - sum(says[member] for member in self.holders(name))
                none = self._none[key]
            self._lacking[name] = Lacking(none, count - none)
        return self._lacking[name]

    def held_by(self, name: Name) -> tuple[int, ...]:
        """The distinct layers that have a fact which not all members have."""
        return tuple(self._holders.get(name, ()))

    def says(self, teller: Teller | None) -> Sequence[bool]:
        """Of each member whether it says, by ``risks.tells`` of a rule, that a fact that it lacks is absent."""
        if teller is None:
            return [False] * len(self.fleet)
        if teller not in self._told:
            layer, name, known = teller
            by_layer = {
                number: risks.is_told(self.fleet.layer(number).get(name), known)
                for number in self.layers.get(layer, ())
            }
            nothing = risks.is_told(None, known)
            self._told[teller] = [by_layer.get(member.get(layer, -1), nothing) for member in self.fleet.members]
        return self._told[teller]

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
        for member, none in zip(self.fleet.members, self.says(teller_of(name)), strict=True):
            number = member.get(layer)
            if number in known:
                yield known[number]
            else:
                yield ("none" if none else "unknown", None)

    def keys(self, relevant: set[Name]) -> list[tuple[int, ...]]:
        """For each member what it is grouped by: a number for each layer, made of what is relevant in it alone."""
        layers = [_Reduced(self, layer, relevant) for layer in sorted({layer for layer, _ in relevant})]
        return [tuple(layer.number(index) for layer in layers) for index in range(len(self.fleet))]


class _Reduced:
    """One layer of all members with its relevant facts only; equal ones have one number.

    A layer is the set of its marks: one for each value that is known, and for each fact that is known to be absent.
    What is not known has none. The number is a sum over the set, as of a fact's absence is known by a few others, and a
    member may lack very many: the sum over all that are absent is that over all that could be, less what is there
    (M. Bellare and D. Micciancio, "A new paradigm for collision-free hashing", 1997).
    """

    def __init__(self, seen: _Seen, layer: str, relevant: set[Name]) -> None:
        self.fleet, self.seen, self.layer = seen.fleet, seen, layer
        self.marks: dict[int, int] = {}
        self.instead: dict[int, tuple[Teller, int]] = {}  # of a fact: who would tell of its absence, and that mark
        self.absent: dict[Teller, int] = defaultdict(int)
        for name in (one for one in relevant if one[0] == layer):
            absent, teller = _mark(name, ("none", None)), teller_of(name)
            if teller is not None:
                self.absent[teller] += absent
            for value in seen.values.get(name, ()):
                key = risks.key(*name, seen.fleet.facts[value].fact)
                self.marks[value] = _mark(name, key) if key[0] != "unknown" else 0
                if teller is not None:
                    self.instead[value] = (teller, absent)
        self.tellers = [(teller, seen.says(teller)) for teller in sorted(self.absent)]
        self.known: dict[tuple[int | None, tuple[bool, ...]], int] = {}

    def number(self, index: int) -> int:
        """What stands for the layer of a member."""
        here = self.fleet.members[index].get(self.layer)
        told = tuple(says[index] for _, says in self.tellers)
        if (here, told) not in self.known:
            saying = {teller for (teller, _), says in zip(self.tellers, told, strict=True) if says}
            self.known[here, told] = self._sum(here, saying)
        return self.known[here, told]

    def _sum(self, here: int | None, saying: set[Teller]) -> int:
        present = self.marks.keys() & set(self.fleet.layers[here]) if here is not None else set()
        total = sum(self.marks[fact] for fact in present) + sum(self.absent[teller] for teller in saying)
        there = (self.instead[fact] for fact in present if fact in self.instead)
        return total - sum(absent for teller, absent in there if teller in saying)


def _mark(name: Name, key: risks.Key) -> int:
    """A number for a fact and what it is compared by: 256 bits that look like chance."""
    return int.from_bytes(
        blake2b(repr((name, key)).encode("utf-8", "backslashreplace"), digest_size=32).digest(), "big"
    )


def teller_of(name: Name) -> Teller | None:
    """Which other fact says whether a fact that is not there is absent, or None where none does."""
    rule = risks.rule_of(*name)
    return risks.tells(rule) if rule is not None else None


def _against(
    first: Fingerprint, used: risks.Uses, names: Sequence[Name]
) -> Callable[[Fingerprint], tuple[tuple[Difference, ...], tuple[Difference, ...]]]:
    """What compares a group's fingerprint with the first group's; most pairs of values come more than once."""
    known: dict[tuple[Name, object], Difference | None] = {}
    # What neither of the two has is no difference where each tells that there is nothing: most names, in a large fleet.
    tellers: dict[Teller | None, set[Name]] = defaultdict(set)
    for name in names:
        rule = risks.rule_of(*name)
        tellers[teller_of(name) if rule is not None and rule.absent else None].add(name)
    ours = _present(first)
    says = {teller for teller in tellers if teller is not None and _says(first, teller)}

    def compare(other: Fingerprint) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
        found: list[Difference] = []
        unknown: list[Difference] = []
        present = ours | _present(other)
        for teller, told in tellers.items():
            settled = teller is not None and teller in says and _says(other, teller)
            for name in told & present if settled else told:
                fact = environments.fact_of(other, *name)
                key = risks.key(*name, fact)
                if (name, key) not in known:
                    both = (environments.fact_of(first, *name), fact)
                    known[name, key] = environments.difference(*name, both, used)
                one = known[name, key]
                if one is not None and one.risk != "irrelevant":
                    lacking = any(value.startswith("not known: ") for value in one.values)
                    (unknown if lacking else found).append(one)
        return tuple(sorted(found, key=environments.rank)), tuple(sorted(unknown, key=environments.rank))

    return compare


def _present(fingerprint: Fingerprint) -> set[Name]:
    return {(layer, name) for layer, facts in fingerprint.layers.items() for name in facts}


def _says(fingerprint: Fingerprint, teller: Teller) -> bool:
    layer, name, known = teller
    return risks.is_told(fingerprint.layers.get(layer, {}).get(name), known)


class _Spread:
    """In which groups each value is."""

    def __init__(self, fleet: Fleet, seen: _Seen, names: Sequence[Name], of: Sequence[int]) -> None:
        self.fleet, self.seen, self.of = fleet, seen, of
        groups_of: dict[tuple[str, int], set[int]] = defaultdict(set)
        for member, number in zip(fleet.members, of, strict=True):
            for layer, one in member.items():
                groups_of[layer, one].add(number)
        wanted: dict[str, set[int]] = defaultdict(set)
        for name in names:
            wanted[name[0]] |= seen.values.get(name, set())
        self.groups: dict[tuple[str, int], set[int]] = defaultdict(set)
        for (layer, one), numbers in groups_of.items():
            for fact in wanted[layer].intersection(fleet.layers[one]):
                self.groups[layer, fact] |= numbers
        self._sizes: dict[tuple[Teller | None, bool], Counter[int]] = {}
        self._first: dict[tuple[Teller | None, bool, str, tuple[int, ...]], tuple[int, ...]] = {}

    def separation(self, name: Name, one: Difference) -> Separation:
        layer, _ = name
        counts: Counter[str] = Counter()
        groups: dict[str, set[int]] = defaultdict(set)
        for fact in self.seen.values.get(name, ()):
            text = risks.text(*name, self.fleet.facts[fact].fact)
            counts[text] += self.seen.counts[layer][fact]
            groups[text] |= self.groups[layer, fact]
        lacking = self.seen.lacking(name)
        for none, count in ((True, lacking.none), (False, lacking.unknown)):
            if count:
                text = risks.text(*name, None if none else Unknown(environments.NOT_SEEN))
                counts[text] += count
                groups[text].update(self._lacking(name, none))
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

    def _lacking(self, name: Name, none: bool) -> Sequence[int]:
        """The first groups of which members lack a fact: so that ``none`` says whether it is known to be absent."""
        teller = teller_of(name)
        key = (teller, none, name[0], self.seen.held_by(name))
        if key not in self._first:
            says = self.seen.says(teller)
            if (teller, none) not in self._sizes:
                self._sizes[teller, none] = Counter(of for of, told in zip(self.of, says, strict=True) if told is none)
            having = Counter(self.of[member] for member in self.seen.holders(name) if says[member] is none)
            sizes = self._sizes[teller, none]
            lacking = (number for number in sorted(sizes) if having[number] < sizes[number])
            self._first[key] = tuple(islice(lacking, _LISTED))
        return self._first[key]


def _rank(separation: Separation) -> tuple[int, int, str, str]:
    return (
        RISKS.index(separation.risk),
        risks.weight(separation.layer, separation.name),
        separation.layer,
        separation.name,
    )
