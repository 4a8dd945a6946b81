"""Result files: JSON, JSON lines, tables, columns, TensorBoard events."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.compare import events, results
from auditor.compare.results import parse_columns, parse_json, parse_json_lines, parse_number, parse_table
from auditor.compare.tensors import Unreadable

numbers = st.integers() | st.floats()
documents = st.recursive(
    numbers | st.booleans() | st.none() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(documents)
def test_a_document_equals_itself_whatever_the_order_of_its_keys(value: Any) -> None:
    def turned(thing: Any) -> Any:
        if isinstance(thing, dict):
            return {key: turned(item) for key, item in reversed(thing.items())}
        return [turned(item) for item in thing] if isinstance(thing, list) else thing

    one, two = parse_json(json.dumps({"x": value})), parse_json(json.dumps({"x": turned(value)}, indent=2))
    assert one.numbers.keys() == two.numbers.keys()
    assert one.words.keys() == two.words.keys()
    for name, series in one.numbers.items():
        assert {results.key(item) for item in series} == {results.key(item) for item in two.numbers[name]}


def test_leaves_are_named_by_their_path() -> None:
    found = parse_json('{"test": {"rmse": 1.5, "per_unit": [1, 2.5]}, "name": "a", "ok": true, "best": null}')
    assert found.numbers == {"test.rmse": [1.5], "test.per_unit.0": [1], "test.per_unit.1": [2.5], "ok": [1]}
    assert found.words == {"name": ["a"], "best": ["null"]}


def test_numbers_are_kept_exactly() -> None:
    found = parse_json('{"big": 12345678901234567890123, "nan": NaN, "inf": -Infinity, "zero": -0.0, "tiny": 5e-324}')
    assert found.numbers["big"] == [12345678901234567890123]
    assert math.isnan(found.numbers["nan"][0])
    assert found.numbers["inf"] == [-math.inf]
    assert math.copysign(1, found.numbers["zero"][0]) == -1
    assert found.numbers["tiny"] == [5e-324]


def test_lines_of_json_become_series_also_under_the_name_of_json() -> None:
    text = '{"step": 1, "loss": 0.5}\n\n{"step": 2, "loss": 0.25, "eval": {"f1": 1}}\n'
    expected = {"step": [1, 2], "loss": [0.5, 0.25], "eval.f1": [1]}
    assert parse_json_lines(text).numbers == expected
    assert parse_json(text).numbers == expected


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a": 1', "nonsense", "[" * 100_000, '{"a":' * 100_000, '{"n": ' + "9" * 10_000 + "}", '{"a": 1}\n{'],
)
def test_what_is_not_json_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable):
        parse_json(text)


@given(numbers, numbers)
def test_sameness_is_symmetric_and_knows_nan_and_negative_zero(a: float, b: float) -> None:
    assert results.same([a], [a])
    assert results.same([a], [b]) == results.same([b], [a])
    if results.same([a], [b]) and not math.isnan(a):
        assert a == b
        assert math.copysign(1, a) == math.copysign(1, b)


def test_sameness_by_example() -> None:
    assert results.same([1], [1.0])
    assert results.same([math.nan], [math.nan])
    assert not results.same([0.0], [-0.0])
    assert not results.same([2**53 + 1], [float(2**53)])
    assert not results.same([1.0], [1.0, 1.0])


def test_the_largest_difference_over_all_runs() -> None:
    assert results.largest_difference([[1.0, 5.0], [1.5, 5.0], [0.0, 5.0]]) == 1.5
    assert results.largest_difference([[math.nan], [math.nan]]) == 0.0
    assert results.largest_difference([[math.nan], [1.0]]) is None
    assert results.largest_difference([[math.inf], [1.0]]) is None
    assert results.largest_difference([[10**400], [0]]) is None


def test_a_table_has_its_header_s_names() -> None:
    found = parse_table("epoch,loss,note\n1,0.5,a\n2,,b\n3,0.125,c\n")
    assert found.numbers == {"epoch": [1, 2, 3], "loss": [0.5, 0.125]}
    assert found.places["loss"] == [1, 3]
    assert found.words == {"note": ["a", "b", "c"]}


def test_a_table_without_header_names_its_columns_by_number() -> None:
    assert parse_table("1;2\n3;4\n").numbers == {"0": [1, 3], "1": [2, 4]}
    assert parse_columns("# comment\n1 2.5\n3  4e0\n").numbers == {"0": [1, 3], "1": [2.5, 4.0]}


def test_odd_tables() -> None:
    assert parse_table("").numbers == {}
    assert parse_table("a,a\n1,2\n").numbers == {"a": [1], "a#2": [2]}
    assert parse_table('"a","b,c"\n"1","2"\n').numbers == {"a": [1], "b,c": [2]}
    assert parse_table("a\n1,2\n").numbers == {"a": [1], "1": [2]}
    with pytest.raises(Unreadable):
        parse_table("a,b\n" + "x" * 200_000 + ",1\n")


def test_columns_of_numbers_are_told_from_text() -> None:
    assert results.is_columns("1 2\n3 4\n")
    assert results.is_columns("1.0e-3\nnan\n")
    assert not results.is_columns("1 2\n3\n")
    assert not results.is_columns("epoch 1\n")
    assert not results.is_columns("")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3", 3),
        ("3.0", 3.0),
        ("12,", 12),
        ("5%", 5),
        ("(2)", 2),
        ("1e-3;", 0.001),
        ("-inf", -math.inf),
        ("0x10", None),
        ("", None),
        ("1_000", None),
        ("abc", None),
        ("9" * 5000, None),
    ],
)
def test_numbers_in_output(text: str, expected: float | None) -> None:
    found = parse_number(text)
    assert found == expected
    assert type(found) is type(expected)


# -- TensorBoard ------------------------------------------------------------------------------------------------

# The first six events of a file that tensorboardX 2.6 wrote: two tags, one of them NaN throughout, three steps.
CAPTURED = bytes.fromhex(
    "1800000000000000a37f4b2209bdf1a37551c1da411a0d627261696e2e4576656e743a32f22a41ba1e00000000000000d9dc123209e1fda37551"
    "c1da412a130a110a0a747261696e2f6c6f7373150000803fb76d33061500000000000000d6ab6b2b091530a47551c1da412a0a0a080a01761500"
    "00c07fa55555bc200000000000000029eda950099631a47551c1da4110012a130a110a0a747261696e2f6c6f7373150000003fb82abc8e170000"
    "0000000000e7cef81e093c38a47551c1da4110012a0a0a080a0176150000c07fed4c62de200000000000000029eda950090f39a47551c1da4110"
    "022a130a110a0a747261696e2f6c6f737315abaaaa3e29684262"
)


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, kind: int, payload: bytes) -> bytes:
    return varint(number << 3 | kind) + (varint(len(payload)) if kind == 2 else b"") + payload


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", events.masked_crc(length)) + data + struct.pack("<I", events.masked_crc(data))


def event(step: int, tag: str, value: bytes, wall: float = 1.0) -> bytes:
    entry = field(1, 2, tag.encode()) + value
    body = field(1, 1, struct.pack("<d", wall)) + field(2, 0, varint(step)) + field(5, 2, field(1, 2, entry))
    return record(body)


def scalar(value: float) -> bytes:
    return field(2, 5, struct.pack("<f", value))


def test_the_checksum_is_the_published_one() -> None:
    # CRC-32C("123456789") is 0xE3069283 (RFC 3720, appendix B.4, and every catalogue of CRCs).
    crc = 0xE3069283
    assert events.masked_crc(b"123456789") == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_a_file_that_a_real_writer_wrote() -> None:
    found = events.parse_events(memoryview(CAPTURED))
    assert found.problem == ""
    assert found.numbers["train/loss"] == [1.0, 0.5, struct.unpack("<f", struct.pack("<f", 1 / 3))[0]]
    assert all(math.isnan(value) for value in found.numbers["v"])
    assert found.places["train/loss"] == [0, 1, 2]


def test_scalars_as_tensors() -> None:
    shapes = {
        "float": field(1, 0, varint(1)) + field(5, 2, struct.pack("<f", 0.5)),
        "double": field(1, 0, varint(2)) + field(4, 2, struct.pack("<d", 0.1)),
        "int": field(1, 0, varint(9)) + field(10, 2, varint(-3)),
        "one": field(1, 0, varint(1))
        + field(2, 2, field(2, 2, field(1, 0, varint(1))))
        + field(5, 2, struct.pack("<f", 2)),
        "vector": field(1, 0, varint(1)) + field(2, 2, field(2, 2, field(1, 0, varint(2)))) + field(5, 2, b"\0" * 8),
        "text": field(1, 0, varint(7)) + field(8, 2, b"words"),
    }
    data = b"".join(event(3, name, field(8, 2, tensor)) for name, tensor in shapes.items())
    found = events.parse_events(memoryview(data))
    assert found.numbers == {"float": [0.5], "double": [0.1], "int": [-3], "one": [2.0]}


def test_clocks_in_events_do_not_count() -> None:
    one = events.parse_events(memoryview(event(1, "loss", scalar(0.5), wall=1.0)))
    two = events.parse_events(memoryview(event(1, "loss", scalar(0.5), wall=2.0)))
    assert one == two


@pytest.mark.parametrize("cut", [1, 5, 13, 20, 40, 150])
def test_a_truncated_event_file_says_so_and_keeps_what_came_before(cut: int) -> None:
    found = events.parse_events(memoryview(CAPTURED[:-cut]))
    assert "truncated" in found.problem
    assert len(found.numbers.get("train/loss", [])) <= 2


@given(st.integers(0, len(CAPTURED) - 1), st.integers(1, 255))
def test_a_damaged_event_file_says_so(position: int, change: int) -> None:
    data = bytearray(CAPTURED)
    data[position] ^= change
    assert events.parse_events(memoryview(data)).problem


@given(st.binary(max_size=100))
def test_arbitrary_records_are_read_or_refused(data: bytes) -> None:
    found = events.parse_events(memoryview(record(data)))
    assert found.problem or isinstance(found.numbers, dict)


def test_a_length_beyond_the_file_is_truncation_not_memory() -> None:
    length = struct.pack("<Q", 1 << 60)
    data = length + struct.pack("<I", events.masked_crc(length)) + b"x"
    assert "truncated" in events.parse_events(memoryview(data)).problem
