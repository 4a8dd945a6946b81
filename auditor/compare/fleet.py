"""Many fingerprints at once: each distinct fact and each distinct layer is held a single time."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from operator import eq
from typing import NamedTuple

from auditor.records.environments import Subject
from auditor.records.fingerprint import SCHEMA, Fact, Fingerprint, Known


class Noted(NamedTuple):
    """One distinct fact: its name, and the fact as it was first seen."""

    name: str
    fact: Fact


class Fleet:
    """Fingerprints that share their facts.

    ``facts`` are the distinct ones, of any layer; ``layers`` the distinct layers, each the sorted numbers of its facts.
    Two facts are one where their values are, whatever they were read from.
    """

    def __init__(self) -> None:
        self.subjects: list[Subject] = []
        self.members: list[dict[str, int]] = []
        self.facts: list[Noted] = []
        self.layers: list[array[int]] = []
        self._facts: dict[tuple[str, object, str], int] = {}
        self._layers: dict[bytes, int] = {}
        self._last: dict[str, tuple[list[str], list[Fact], array[int]]] = {}

    def __len__(self) -> int:
        return len(self.members)

    def intern(self, kind: str, layer: Mapping[str, Fact]) -> int:
        """The number of a layer; ``kind`` is the layer's name."""
        names, facts = list(layer), list(layer.values())
        last_names, last_facts, last_numbers = self._last.get(kind, ([], [], array("I")))
        if names == last_names:
            # Machines of one kind differ in a few facts: only those are looked up.
            numbers = last_numbers[:]
            changed = [at for at, same in enumerate(map(eq, facts, last_facts)) if not same]
        else:
            numbers = array("I", bytes(len(names) * last_numbers.itemsize))
            changed = list(range(len(names)))
        for at in changed:
            numbers[at] = self._number(names[at], facts[at])
        self._last[kind] = (names, facts, numbers)
        packed = array("I", sorted(numbers))
        key = packed.tobytes()
        found = self._layers.get(key)
        if found is None:
            found = self._layers[key] = len(self.layers)
            self.layers.append(packed)
        return found

    def _number(self, name: str, fact: Fact) -> int:
        key = (name, fact.value, "") if isinstance(fact, Known) else (name, None, fact.reason)
        number = self._facts.get(key)
        if number is None:
            number = self._facts[key] = len(self.facts)
            self.facts.append(Noted(name, fact))
        return number

    def add(self, subject: Subject, layers: Mapping[str, int]) -> int:
        """Add a fingerprint by the numbers of its layers; returns its place."""
        self.subjects.append(subject)
        self.members.append(dict(layers))
        return len(self.members) - 1

    def layer(self, number: int) -> dict[str, Fact]:
        """A distinct layer's facts by name."""
        return {self.facts[fact].name: self.facts[fact].fact for fact in self.layers[number]}

    def fingerprint(self, index: int) -> Fingerprint:
        """One fingerprint, put together again (of equal facts the source is that of the first seen)."""
        return Fingerprint(SCHEMA, {layer: self.layer(number) for layer, number in self.members[index].items()})
