"""TensorBoard event files: the scalars in them, read from the wire format.

A file is a row of records (length, masked CRC-32C of the length, data, masked CRC-32C of the data), each a protocol
buffer ``tensorflow.Event``: ``record_writer.h``, ``event.proto``, ``summary.proto`` and ``tensor.proto`` of TensorFlow.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from auditor.compare.results import Number, Results
from auditor.compare.tensors import Unreadable

_MAX_BYTES = 1 << 28
_VERIFIED = 1 << 16  # data of records up to this size is checked against its sum: scalars are far smaller

# Little-endian formats of tensor.proto's dt numbers for one scalar in ``tensor_content``.
_CONTENT = {1: "<f", 2: "<d", 3: "<i", 4: "<B", 5: "<h", 6: "<b", 9: "<q", 19: "<e"}
# Fields of tensor.proto that hold single values: number → format of a fixed-width one, or "" for a varint.
_VALUES = {5: "<f", 6: "<d", 7: "", 10: "", 11: "", 13: ""}


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _crc_table()


def masked_crc(data: bytes) -> int:
    """Return the CRC-32C (Castagnoli) of ``data``, rotated and offset as TFRecord stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _records(data: memoryview) -> Iterator[bytes]:
    position = 0
    while position < len(data):
        header = bytes(data[position : position + 12])
        if len(header) < 12:
            raise Unreadable("the event file is truncated")
        length, checksum = struct.unpack("<QI", header)
        if masked_crc(header[:8]) != checksum:
            raise Unreadable("the event file is damaged (a length does not match its checksum)")
        end = position + 12 + length + 4
        if end > len(data):
            raise Unreadable("the event file is truncated")
        record = bytes(data[position + 12 : end - 4])
        if length <= _VERIFIED and masked_crc(record) != int.from_bytes(data[end - 4 : end], "little"):
            raise Unreadable("the event file is damaged (a record does not match its checksum)")
        yield record
        position = end


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if position >= len(data) or shift > 63:
            raise Unreadable("the event file is damaged (a number does not end)")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, position
        shift += 7


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield a message's fields: number and value (an int for varints, raw bytes for the rest)."""
    position = 0
    while position < len(data):
        tag, position = _varint(data, position)
        kind = tag & 7
        if kind == 0:
            value, position = _varint(data, position)
            yield tag >> 3, value
            continue
        if kind == 2:
            width, position = _varint(data, position)
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
        else:
            raise Unreadable("the event file is damaged (a field of no known kind)")
        if position + width > len(data):
            raise Unreadable("the event file is damaged (a field that is too long)")
        yield tag >> 3, data[position : position + width]
        position += width


def _signed(value: int) -> int:
    return value - (1 << 64) if value >> 63 else value


def _scalar(tensor: bytes) -> Number | None:
    """Return a tensor message's only value, or None where it is not one number."""
    dtype = 0
    content = b""
    found: list[Number] = []
    for number, value in _fields(tensor):
        if number == 1 and isinstance(value, int):
            dtype = value
        elif number == 2 and isinstance(value, bytes):
            for inner, size in _fields(value):
                if inner == 2 and isinstance(size, bytes):
                    sizes = [_signed(item) for n, item in _fields(size) if n == 1 and isinstance(item, int)]
                    if sizes and sizes != [1]:
                        return None
        elif number == 4 and isinstance(value, bytes):
            content = value
        elif number in _VALUES:
            layout = _VALUES[number]
            if isinstance(value, int):
                found.append(_signed(value))
            elif layout and len(value) == struct.calcsize(layout):
                found.append(struct.unpack(layout, value)[0])
            elif not layout:
                position = 0
                while position < len(value):
                    item, position = _varint(value, position)
                    found.append(_signed(item))
            else:
                return None
    if content and dtype in _CONTENT and len(content) == struct.calcsize(_CONTENT[dtype]):
        value = struct.unpack(_CONTENT[dtype], content)[0]
        return value if isinstance(value, (int, float)) else None
    return found[0] if len(found) == 1 else None


def parse_events(data: memoryview) -> Results:
    """Return the scalars of an event file by tag, with their steps as places.

    A file that ends in the middle of a record, or does not match its checksums, gives what came before and a
    ``problem``.
    """
    results = Results()
    try:
        for record in _records(data):
            step = 0
            summaries: list[bytes] = []
            for number, value in _fields(record):
                if number == 2 and isinstance(value, int):
                    step = _signed(value)
                elif number == 5 and isinstance(value, bytes):
                    summaries.append(value)
            for summary in summaries:
                for number, value in _fields(summary):
                    if number == 1 and isinstance(value, bytes):
                        _add(value, step, results)
    except Unreadable as error:
        results.problem = str(error)
    return results


def _add(entry: bytes, step: int, results: Results) -> None:
    tag = ""
    number: Number | None = None
    for field, value in _fields(entry):
        if field == 1 and isinstance(value, bytes):
            tag = value.decode("utf-8", "replace")
        elif field == 2 and isinstance(value, bytes) and len(value) == 4:
            number = struct.unpack("<f", value)[0]
        elif field == 8 and isinstance(value, bytes):
            number = _scalar(value)
    if number is not None:
        results.numbers.setdefault(tag, []).append(number)
        results.places.setdefault(tag, []).append(step)


def read_events(path: Path) -> Results:
    """Read an event file. Raises Unreadable where it cannot be opened or is too large."""
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise Unreadable(f"larger than {_MAX_BYTES >> 20} MiB")
        return parse_events(memoryview(path.read_bytes()))
    except OSError as error:
        raise Unreadable(f"the file cannot be opened ({error.strerror})") from error


def is_events(path: str) -> bool:
    """Whether a file is by its name an event file."""
    return ".tfevents." in path or path.endswith(".tfevents")
