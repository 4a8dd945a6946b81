"""How a fact is made: a value with its source, or the reason why there is none; never an empty string."""

from __future__ import annotations

from auditor.records.fingerprint import Fact, Known, Unknown

Value = str | int | float | bool | tuple[str, ...]


def fact(value: Value | None, source: str, absent: str) -> Fact:
    """``Known(value, source)``, or ``Unknown(absent)`` where the value is None or an empty string."""
    if value is None or value == "":
        return Unknown(absent)
    return Known(value, source)
