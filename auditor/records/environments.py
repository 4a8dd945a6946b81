"""Two environments held against each other: how they differ, and what each difference puts at risk."""

from __future__ import annotations

from typing import Literal

import msgspec

Risk = Literal["rules-out", "at-risk", "irrelevant"]
"""What a difference does to bit-exactness: it cannot be had, it cannot be relied on, or it does not matter."""

RISKS: tuple[Risk, ...] = ("rules-out", "at-risk", "irrelevant")


class Difference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact in which environments differ.

    ``values`` holds what each environment has, in their order, as text (``not known: <reason>`` where it is not).
    ``reason`` is a sentence on why the fact has this ``risk``, ``sources`` are the addresses that say so; ``rule`` is the
    entry of the table of risks that matched, empty where none did.
    """

    layer: str
    name: str
    values: tuple[str, ...]
    risk: Risk
    reason: str
    sources: tuple[str, ...] = ()
    rule: str = ""
