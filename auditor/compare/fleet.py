"""Many fingerprints at once: each distinct fact and each distinct layer is held a single time."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import NamedTuple

from auditor.records.environments import Subject
from auditor.records.fingerprint import Fact, Fingerprint, Known

SCHEMA = "auditor.fingerprint/1"


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
        self._facts: dict[tuple[str, object, object], int] = {}
        self._layers: dict[bytes, int] = {}

    def __len__(self) -> int:
        return len(self.members)

    def intern(self, layer: Mapping[str, Fact]) -> int:
        """The number of a layer."""
        ids = self._facts
        numbers = array("I")
        for name, fact in layer.items():
            if type(fact) is Known:
                value = fact.value
                known = (name, value, type(value) is bool)
            else:
                known = (name, None, fact.reason)  # type: ignore[union-attr,assignment]  # it is Unknown
            number = ids.get(known)
            if number is None:
                number = ids[known] = len(self.facts)
                self.facts.append(Noted(name, fact))
            numbers.append(number)
        packed = array("I", sorted(numbers))
        key = packed.tobytes()
        found = self._layers.get(key)
        if found is None:
            found = self._layers[key] = len(self.layers)
            self.layers.append(packed)
        return found

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
