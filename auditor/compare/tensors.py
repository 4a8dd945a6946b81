"""One tensor of a file: compared bit by bit, its values only then made numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CHUNK = 1 << 21  # elements held at once as float64

# Element types that NumPy lacks, kept as unsigned integers of their width.
_RAW = {
    "bfloat16": "uint16",
    "float8_e4m3fn": "uint8",
    "float8_e4m3fnuz": "uint8",
    "float8_e5m2": "uint8",
    "float8_e5m2fnuz": "uint8",
    "float8_e8m0fnu": "uint8",
}


class Unreadable(Exception):
    """A file that cannot be read as what it should be; the message says why."""


def storage_dtype(name: str) -> str:
    """Return the NumPy type that holds one element of the torch type ``name`` (``bfloat16`` → ``uint16``).

    Raises Unreadable for a type that is not known.
    """
    import numpy as np

    text = _RAW.get(name, name)
    try:
        dtype = np.dtype(text)
    except TypeError as error:
        raise Unreadable(f"unknown element type {name!r}") from error
    if dtype.hasobject:
        raise Unreadable(f"element type {name!r} holds objects")
    return str(dtype.str)


@dataclass(frozen=True)
class Tensor:
    """A tensor in a file.

    ``dtype`` is torch's or NumPy's name of the element type, ``shape`` its sizes. ``load`` returns the elements as a
    NumPy array of ``shape`` (types that NumPy lacks as unsigned integers), a view of the
    mapped file where possible.
    """

    dtype: str
    shape: tuple[int, ...]
    load: Callable[[], NDArray[Any]]

    def describe(self) -> str:
        """Return type and shape in words."""
        return f"{self.dtype} {list(self.shape)}"


@dataclass(frozen=True)
class Difference:
    """How two tensors differ: the largest |Δ| (None where it is no number) and what is to be said about it."""

    max_abs_difference: float | None
    reason: str


def _chunks(array: NDArray[Any]) -> Iterator[NDArray[Any]]:
    flat = array.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        yield flat[start : start + _CHUNK]


def _bits(array: NDArray[Any]) -> NDArray[Any]:
    import numpy as np

    return np.ascontiguousarray(array).view(np.uint8)


def _values(raw: NDArray[Any], dtype: str) -> NDArray[Any] | None:
    """Return the elements as float64 or complex128; None for types that are no numbers."""
    import numpy as np

    if dtype == "bfloat16":
        return np.asarray((raw.astype(np.uint32) << np.uint32(16)).view(np.float32), np.float64)
    if dtype == "float8_e5m2":
        return np.asarray((raw.astype(np.uint16) << np.uint16(8)).view(np.float16), np.float64)
    if dtype == "float8_e4m3fn":
        codes = np.arange(256)
        exponent, mantissa = (codes >> 3) & 15, codes & 7
        table = np.where(exponent == 0, mantissa / 8 * 2.0**-6, (1 + mantissa / 8) * 2.0 ** (exponent - 7.0))
        table = np.where((codes & 127) == 127, np.nan, table)
        return np.asarray(np.where(codes & 128, -table, table)[raw])
    if dtype in _RAW:
        return None
    if raw.dtype.kind in "biuf":
        with np.errstate(invalid="ignore"):  # signalling NaNs
            return raw.astype(np.float64)
    if raw.dtype.kind == "c":
        return raw.astype(np.complex128)
    return None


def difference(first: Tensor, second: Tensor) -> Difference | None:
    """Return how two tensors differ in any bit, or None if they do not.

    −0.0 differs from 0.0; a NaN equals a NaN of the same bits. Raises Unreadable where an element cannot be reached.
    """
    import numpy as np

    if (first.dtype, first.shape) != (second.dtype, second.shape):
        return Difference(None, f"{first.describe()} in one run, {second.describe()} in the other")
    one, two = first.load(), second.load()
    largest = 0.0
    differs = numbers = False
    odd = ""
    for left, right in zip(_chunks(one), _chunks(two), strict=True):
        if np.array_equal(_bits(left), _bits(right)):
            continue
        differs = True
        a, b = _values(left, first.dtype), _values(right, second.dtype)
        if a is None or b is None:
            odd = f"values of type {first.dtype} are not subtracted"
            continue
        width = left.dtype.itemsize
        unequal = (_bits(left).reshape(-1, width) != _bits(right).reshape(-1, width)).any(axis=1)
        with np.errstate(invalid="ignore", over="ignore"):
            delta = np.abs(a[unequal] - b[unequal])
        finite = delta[np.isfinite(delta)]
        if finite.size < delta.size:
            odd = "some values are NaN or infinite in one run and not, or otherwise, in the other"
        if finite.size:
            numbers = True
            largest = max(largest, float(finite.max()))
    if not differs:
        return None
    if odd:
        return Difference(None, odd)
    if numbers and largest == 0.0:
        return Difference(0.0, "only the sign of zero or digits below double precision differ")
    return Difference(largest, "")
