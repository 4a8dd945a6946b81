"""Captures are decoded strictly: what cannot be read is said, and nothing after it is believed."""

from __future__ import annotations

import pytest

from auditor.records.operations import Line, Moment, Operation, Value, parse_capture

WHOLE = b"""["h",1,2,500]
["s",0,"MainThread"]
["p",1,"train.py",7,"step"]
["k",2,[1]]
["s",3,"aten::add"]
["w",4,1,"line",["x","return"],["y"]]
["o",0,15,3,0,2,0,0,-1,-1,-1,3,["0011223344556677"],["8899aabbccddeeff"],["float32","AACAPw=="]]
["l",0,20,4,1,["i3",""]]
["m",3]
["e",3]
"""


def test_a_whole_capture_is_read_with_its_tables() -> None:
    capture = parse_capture(WHOLE)
    assert capture is not None
    assert (capture.steps, capture.ns, capture.lost) == (2, 500, ())
    operation, line, moment = capture.entries
    assert isinstance(operation, Operation) and isinstance(line, Line) and moment == Moment(3)
    assert capture.texts[operation.name] == "aten::add" and operation.value == Value("float32", "AACAPw==")
    assert capture.spots[capture.stacks[operation.stack][0]].line == 7
    assert dict(zip(capture.watched[line.watched].names, line.values, strict=True)) == {"x": "i3", "return": ""}


@pytest.mark.parametrize(
    ("data", "lost"),
    [
        (WHOLE[: WHOLE.index(b'["m"') + 3], "cut off"),
        (WHOLE.replace(b'["m",3]\n["e",3]\n', b'["m",3]\n'), "cut off"),
        (WHOLE.replace(b'["m",3]', b'["m",3,4]'), "line 9"),
        (WHOLE.replace(b'["m",3]', b'["z",3]'), "line 9"),
        (WHOLE.replace(b'["m",3]', b'["h",1,2,500]'), "second header"),
    ],
)
def test_what_is_damaged_is_said(data: bytes, lost: str) -> None:
    capture = parse_capture(data)
    assert capture is not None and 2 <= len(capture.entries) <= 3
    assert any(lost in said for said in capture.lost)


@pytest.mark.parametrize("data", [b"", WHOLE.replace(b'["h",1,', b'["h",9,'), WHOLE[14:], b"\x00\x01\n"])
def test_what_does_not_begin_as_a_capture_is_none(data: bytes) -> None:
    assert parse_capture(data) is None
