"""Printed figures against what was computed: the right rounding, a wrong one, or another figure altogether."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Literal

Fit = Literal["fits", "misrounded", "differs"]


def quantum(printed: Decimal) -> Decimal:
    """One unit in the last digit that was printed: 0.01 for 7.70."""
    exponent = printed.as_tuple().exponent
    return Decimal(1).scaleb(exponent) if isinstance(exponent, int) else Decimal(0)


def fit(printed: Decimal, value: float) -> Fit:
    """Whether a value rounds to what was printed (a half either way), is off by less than one unit, or differs.

    A hair's breadth is allowed at a half: the value is a sum of doubles.
    """
    unit = quantum(printed)
    off = abs(Decimal(value) - printed)
    slack = abs(Decimal(value)) * Decimal("1e-12") + unit * Decimal("1e-9")
    if off <= unit / 2 + slack:
        return "fits"
    return "misrounded" if off < unit - slack else "differs"


def rounded(printed: Decimal, value: float) -> str:
    """The value with as many digits as were printed."""
    unit = quantum(printed)
    if unit >= 1:
        return format(round(value / float(unit)) * float(unit), ".0f")
    exponent = unit.as_tuple().exponent
    return format(value, f".{-exponent if isinstance(exponent, int) else 0}f")


def misrounding(name: str, printed: Decimal, value: float) -> str:
    """How a rounding went wrong."""
    how = "cut off instead of rounded" if abs(printed) < abs(Decimal(value)) else "rounded the wrong way"
    return f"{name} {shown(value)} rounds to {rounded(printed, value)}: {printed} is {how}"


def what_else(printed: Decimal, others: Iterable[tuple[str, float]]) -> str:
    """The first of other figures that rounds to what was printed; empty where none does, or 0 is printed."""
    if printed == 0:
        return ""
    return next((name for name, value in others if fit(printed, value) == "fits"), "")


def shown(value: float) -> str:
    """A computed number with five significant digits."""
    return f"{value:.5g}"
