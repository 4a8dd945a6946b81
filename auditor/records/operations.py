"""What a capture holds, line by line: the operations and lines of one process in order, beside its trace (``.ops``).

Each line is one JSON array whose first element says what it is. Names, places and stacks are told once, with a number,
before they are used. Digests are 16 hexadecimal digits; ``?`` stands for memory that was never written as a whole (what
it holds is chance), ``-`` for what could not be read.
"""

from __future__ import annotations

import msgspec

OPERATIONS_PROTOCOL = 1

PHASES = ("forward", "backward", "optimizer")

AUTOCAST = 1
RECOMPUTED = 2
COMPILED = 4
INNER = 8  # a user's frame is running inside the backward pass: the stack is the operation's own


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The base of every line of a capture."""


class Header(Entry, frozen=True, tag="h"):
    """The first line: how many steps the process had taken, and the monotonic clock of the machine."""

    protocol: int
    steps: int
    ns: int


class Text(Entry, frozen=True, tag="s"):
    """A text with its number: the name of an operation, of a module, of a thread; arguments."""

    id: int
    text: str


class Spot(Entry, frozen=True, tag="p"):
    """A line of source with its number; ``function`` is the qualified name of the code that it is in."""

    id: int
    file: str
    line: int
    function: str


class Stack(Entry, frozen=True, tag="k"):
    """The user's lines that led to an operation, innermost first: numbers of spots."""

    id: int
    spots: tuple[int, ...]


class Watched(Entry, frozen=True, tag="w"):
    """What is looked at after a line, with a number.

    ``kind``: ``line``, ``loop`` for one that takes the next of what it goes through, or ``call`` for a function's
    arguments as it begins. ``names`` are looked at afterwards, in the order of their values (``x``, ``self.cache``;
    ``return`` is what the frame returned or yielded). ``loads`` are the names that the line reads.
    """

    id: int
    spot: int
    kind: str
    names: tuple[str, ...]
    loads: tuple[str, ...]


class Moment(Entry, frozen=True, tag="m"):
    """From here on ``steps`` steps have been taken."""

    steps: int


class Sample(Entry, frozen=True, tag="i"):
    """From here on ``thread`` makes this sample: the index asked of the dataset, -1 where it is no number."""

    thread: int
    index: int


class Value(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A small output's bits: the name of its dtype, and its bytes in base64."""

    dtype: str
    data: str


class Operation(Entry, frozen=True, tag="o"):
    """One operation that torch dispatched.

    ``thread``, ``name``, ``module``, ``arguments`` and ``node`` (of autograd, in the backward pass) are numbers of
    texts, ``stack`` of a stack. ``us`` counts microseconds from the header. ``phase`` is an index of ``PHASES``,
    ``flags`` a sum of AUTOCAST, RECOMPUTED, COMPILED, INNER. ``forward`` is the stack of the forward call
    that made the autograd node, -1 where that is not known, and ``origin`` that call's module. ``inputs`` and
    ``outputs`` are digests, one after another. ``value`` are the bits of the first floating output, if it is small.
    """

    thread: int
    us: int
    name: int
    module: int
    stack: int
    phase: int
    flags: int
    node: int
    forward: int
    origin: int
    arguments: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    value: Value | None


class Line(Entry, frozen=True, tag="l"):
    """A line that has ended, or the arguments that a function was called with.

    ``span`` is how many entries it took. ``values`` belong to the names of ``watched``: ``n`` None, ``b`` a truth
    value, ``i`` an integer, ``f`` a float as ``float.hex()``, ``d`` a digest; empty for what is not plain data.
    """

    thread: int
    us: int
    watched: int
    span: int
    values: tuple[str, ...]


class Rest(Entry, frozen=True, tag="r"):
    """What a line did beyond the occurrences that are told one by one: how often, and a digest over all of them."""

    thread: int
    watched: int
    count: int
    digest: str


class Lost(Entry, frozen=True, tag="d"):
    """What is not in the capture, in words."""

    what: str


class Closed(Entry, frozen=True, tag="e"):
    """The last line of a capture that was closed properly, after ``steps`` steps."""

    steps: int


CaptureLine = Header | Text | Spot | Stack | Watched | Moment | Sample | Operation | Line | Rest | Lost | Closed


class Capture(msgspec.Struct, frozen=True):
    """One process's capture, its tables resolved.

    ``entries`` are Moment, Sample, Operation, Line and Rest in order; ``ns`` is the monotonic clock at its beginning.
    ``lost`` says, in words, what is missing of it.
    """

    ns: int
    steps: int
    texts: dict[int, str]
    spots: dict[int, Spot]
    stacks: dict[int, tuple[int, ...]]
    watched: dict[int, Watched]
    entries: tuple[Moment | Sample | Operation | Line | Rest, ...]
    lost: tuple[str, ...]


_decoder: msgspec.json.Decoder[CaptureLine] = msgspec.json.Decoder(CaptureLine)


def parse_capture(data: bytes) -> Capture | None:
    """A capture from the bytes of its file; None where it does not even begin as one.

    Reading ends at the first line that cannot be decoded, and at one that was cut off; ``lost`` then says so.
    """
    texts: dict[int, str] = {}
    spots: dict[int, Spot] = {}
    stacks: dict[int, tuple[int, ...]] = {}
    watched: dict[int, Watched] = {}
    entries: list[Moment | Sample | Operation | Line | Rest] = []
    lost: list[str] = []
    header: Header | None = None
    closed = False
    lines = data.split(b"\n")
    for number, raw in enumerate(lines[:-1], start=1):
        try:
            entry = _decoder.decode(raw)
        except (msgspec.MsgspecError, RecursionError, ValueError) as error:
            lost.append(f"line {number} of the capture cannot be read: {error}")
            break
        if header is None:
            if not isinstance(entry, Header) or entry.protocol != OPERATIONS_PROTOCOL:
                return None
            header = entry
            continue
        match entry:
            case Operation() | Line() | Moment() | Sample() | Rest():
                entries.append(entry)
            case Text():
                texts[entry.id] = entry.text
            case Spot():
                spots[entry.id] = entry
            case Stack():
                stacks[entry.id] = entry.spots
            case Watched():
                watched[entry.id] = entry
            case Lost():
                lost.append(entry.what)
            case Closed():
                closed = True
            case Header():
                lost.append(f"line {number} of the capture is a second header")
                break
    if header is None:
        return None
    if not closed:
        lost.append("the capture was cut off")
    return Capture(header.ns, header.steps, texts, spots, stacks, watched, tuple(entries), tuple(lost))
