"""A pickle read as data: the stack machine is followed, but nothing it names is ever imported or called.

Written against the opcode documentation in the standard library's ``pickletools``. What a pickle would import becomes a
Global, what it would call an Instance that records the call. A handful of constructors whose meaning is plain data
(dictionaries, byte strings, NumPy arrays, torch tensors) are understood by name. Work and memory are bounded by the
file's size and by MAX_OPERATIONS.
"""

from __future__ import annotations

import pickletools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from auditor.compare.tensors import Unreadable

MAX_OPERATIONS = 3_000_000
MAX_LEAVES = 1_000_000
_MAX_LINE = 1 << 20
_MAX_PATHS = 1 << 26  # characters in all paths together


class Reader:
    """A cursor over bytes that never gives, or makes room for, more than is there."""

    def __init__(self, data: memoryview, position: int = 0) -> None:
        self._data = data
        self.position = position

    def tell(self) -> int:
        """Return the position in bytes."""
        return self.position

    def read(self, size: int) -> bytes:
        """Return up to ``size`` bytes."""
        end = min(len(self._data), self.position + max(size, 0))
        piece = bytes(self._data[self.position : end])
        self.position = end
        return piece

    def view(self, size: int) -> memoryview:
        """Return exactly ``size`` bytes without copying them. Raises Unreadable where they are not there."""
        if size < 0 or self.position + size > len(self._data):
            raise Unreadable("the file ends before its data does")
        piece = self._data[self.position : self.position + size]
        self.position += size
        return piece

    def readline(self) -> bytes:
        """Return the bytes up to and with the next newline."""
        window = bytes(self._data[self.position : self.position + _MAX_LINE])
        end = window.find(b"\n")
        piece = window if end < 0 else window[: end + 1]
        self.position += len(piece)
        return piece


@dataclass(frozen=True)
class Global:
    """Something that the pickle would import."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Persistent:
    """Something that the pickle says lies outside it."""

    id: Any


@dataclass(eq=False)
class Mapping:
    """A dictionary as its pairs, so that no key of the file is ever hashed."""

    pairs: list[tuple[Any, Any]] = field(default_factory=list)
    state: Any = None


@dataclass(eq=False)
class Unordered:
    """A set as its elements."""

    items: list[Any]


@dataclass(eq=False)
class Instance:
    """A call that was not made: what would have been called with what, and what would have been done to the result."""

    callee: Any
    arguments: Any
    state: Any = None
    items: list[Any] = field(default_factory=list)
    pairs: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(eq=False)
class Array:
    """A NumPy array's raw bytes with what they mean; ``data`` is a list for objects, None where never given."""

    dtype: str = ""
    shape: tuple[int, ...] = ()
    fortran: bool = False
    data: Any = None


@dataclass(eq=False)
class StoredTensor:
    """A torch tensor: a window into a storage outside the pickle. ``dtype`` overrides the storage's, if given."""

    storage: Any
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: str | None = None


_MARK = object()
_NUMPY_CORES = ("numpy.core", "numpy._core")


def _sizes(value: Any) -> tuple[int, ...]:
    if isinstance(value, Instance) and isinstance(value.arguments, tuple) and len(value.arguments) == 1:
        value = value.arguments[0]  # torch.Size((…))
    if not isinstance(value, (tuple, list)) or not all(type(item) is int and 0 <= item < 1 << 62 for item in value):
        raise Unreadable("a tensor's shape is not a row of sizes")
    if len(value) > 64:
        raise Unreadable("a tensor of more than 64 dimensions")
    return tuple(value)


def dtype_text(value: Any) -> str:
    """Return NumPy's text (``<f4``) for a pickled ``numpy.dtype``. Raises Unreadable for compound and unknown types."""
    if isinstance(value, Global) and value.module.split(".")[0] in ("numpy", "torch"):
        return value.name
    if not (isinstance(value, Instance) and isinstance(value.callee, Global) and value.callee.name == "dtype"):
        raise Unreadable("an array's element type is not a dtype")
    code = value.arguments[0] if isinstance(value.arguments, tuple) and value.arguments else None
    if not isinstance(code, str) or len(code) > 16:
        raise Unreadable("an array's element type is not named")
    order = ""
    if isinstance(value.state, tuple) and len(value.state) >= 2:
        order = value.state[1] if value.state[1] in ("<", ">", "|", "=") else ""
        if len(value.state) >= 5 and value.state[4] is not None:
            return f"|V{value.state[5]}" if len(value.state) > 5 and type(value.state[5]) is int else code
    return (order if order != "=" else "") + code.lstrip("<>=|")


def _tensor(name: str, arguments: tuple[Any, ...]) -> Any:
    """Return what ``torch._utils._rebuild_…`` would build, or None where that is not known."""
    if name in ("_rebuild_tensor", "_rebuild_tensor_v2") and len(arguments) >= 4:
        storage, offset, size, stride = arguments[:4]
        dtype = None
    elif name == "_rebuild_tensor_v3" and len(arguments) >= 7:
        storage, offset, size, stride = arguments[:4]
        dtype = arguments[6].name if isinstance(arguments[6], Global) else None
    else:
        return None
    if type(offset) is not int or offset < 0:
        raise Unreadable("a tensor's offset is not a position")
    size, stride = _sizes(size), _sizes(stride)
    if len(size) != len(stride):
        raise Unreadable("a tensor's sizes and strides do not match")
    return StoredTensor(storage, offset, size, stride, dtype)


def _called(callee: Any, arguments: Any) -> Any:
    """Return what a call yields: plain data for the few constructors that are understood, else a record of the call."""
    if not isinstance(callee, Global) or not isinstance(arguments, tuple):
        return Instance(callee, arguments)
    module, name = callee.module, callee.name
    if (module, name) in (("collections", "OrderedDict"), ("builtins", "dict"), ("__builtin__", "dict")):
        mapping = Mapping()
        if arguments and isinstance(arguments[0], Mapping):
            mapping.pairs.extend(arguments[0].pairs)
        elif arguments and isinstance(arguments[0], list):  # Python 2 wrote OrderedDict([[key, value], …])
            mapping.pairs.extend(
                (pair[0], pair[1]) for pair in arguments[0] if isinstance(pair, (list, tuple)) and len(pair) == 2
            )
        return mapping
    if (module, name) == ("collections", "defaultdict"):
        return Mapping()
    if module in ("builtins", "__builtin__") and name in ("set", "frozenset") and len(arguments) <= 1:
        return Unordered(list(arguments[0]) if arguments and isinstance(arguments[0], (list, tuple)) else [])
    if module in ("builtins", "__builtin__") and name == "complex" and len(arguments) == 2:
        real, imaginary = arguments
        if isinstance(real, (int, float)) and isinstance(imaginary, (int, float)):
            return complex(real, imaginary)
    if module in ("builtins", "__builtin__") and name in ("bytes", "bytearray") and len(arguments) <= 1:
        if not arguments:
            return b""
        if isinstance(arguments[0], (bytes, bytearray)):
            return bytes(arguments[0])
    if (module, name) == ("_codecs", "encode") and arguments and isinstance(arguments[0], str):
        try:
            return arguments[0].encode("latin-1")
        except UnicodeEncodeError:
            return Instance(callee, arguments)
    if module == "torch._utils":
        if name in ("_rebuild_parameter", "_rebuild_parameter_with_state") and arguments:
            return arguments[0]
        tensor = _tensor(name, arguments)
        if tensor is not None:
            return tensor
    if module.rpartition(".")[0] in _NUMPY_CORES:
        if name == "_reconstruct":
            return Array()
        if name == "scalar" and len(arguments) == 2 and isinstance(arguments[1], (bytes, bytearray)):
            return Array(dtype_text(arguments[0]), (), False, arguments[1])
        if name == "_frombuffer" and len(arguments) == 4:
            data, dtype, shape, order = arguments
            if isinstance(data, (bytes, bytearray)):
                return Array(dtype_text(dtype), _sizes(shape), order == "F", data)
    return Instance(callee, arguments)


# Operations that do nothing but push their argument.
_PUSHES = frozenset(
    {
        "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
        "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8",
        "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
    }
)  # fmt: skip
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))
_GETS = frozenset(("GET", "BINGET", "LONG_BINGET"))


class _Machine:
    """The stack machine over one pickle."""

    def __init__(self, reader: Reader, depth: int = 0) -> None:
        self.reader = reader
        self.depth = depth
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.operations = 0

    def _to_mark(self) -> list[Any]:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                items = self.stack[index + 1 :]
                del self.stack[index:]
                return items
        raise Unreadable("a pickle that uses a mark it never set")

    def _pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise Unreadable("a pickle that takes a mark for a value")
        return value

    def _extend(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, list):
            target.extend(items)
        elif isinstance(target, (Instance, Unordered)):
            target.items.extend(items)
        else:
            raise Unreadable("a pickle that appends to what is no list")

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, (Mapping, Instance)) or len(items) % 2:
            raise Unreadable("a pickle that sets items of what is no dictionary")
        target.pairs.extend(zip(items[::2], items[1::2], strict=True))

    def _build(self) -> None:
        state = self._pop()
        target = self.stack[-1]
        if isinstance(target, Array) and isinstance(state, tuple) and len(state) == 5:
            _, shape, dtype, fortran, data = state
            if isinstance(data, (bytes, bytearray, list)):
                # Filled in place, since the memo may already hold it.
                target.shape, target.fortran, target.data = _sizes(shape), bool(fortran), data
                target.dtype = dtype_text(dtype)
            return
        if isinstance(target, Instance) and target.callee == Global("joblib.numpy_pickle", "NumpyArrayWrapper"):
            self.stack[-1] = self._joblib(state)
            return
        if isinstance(target, (Instance, Mapping)):
            target.state = state
        elif not isinstance(target, (Array, StoredTensor)):
            raise Unreadable("a pickle that gives state to plain data")

    def _joblib(self, state: Any) -> Any:
        """Read the array that joblib writes raw after its wrapper (``NumpyArrayWrapper.read_array``)."""
        import numpy as np

        facts = {key: value for key, value in state.pairs if isinstance(key, str)} if isinstance(state, Mapping) else {}
        shape = _sizes(facts.get("shape"))
        text = dtype_text(facts.get("dtype"))
        try:
            dtype = np.dtype(text)
        except TypeError as error:
            raise Unreadable(f"unknown element type {text!r}") from error
        if dtype.hasobject:
            if self.depth >= 8:
                raise Unreadable("pickles nested too deeply in one another")
            return _Machine(self.reader, self.depth + 1).run()
        if facts.get("numpy_array_alignment_bytes") is not None:
            self.reader.view(self.reader.view(1)[0])
        count = 1
        for size in shape:
            count *= size
        return Array(dtype.str, shape, facts.get("order") == "F", self.reader.view(count * dtype.itemsize))

    def run(self) -> Any:
        """Return what lies on the stack at the end. Raises Unreadable for whatever is no pickle, or too much of one."""
        try:
            for opcode, argument, _ in pickletools.genops(self.reader):  # type: ignore[arg-type]  # any reader will do
                self.operations += 1
                if self.operations > MAX_OPERATIONS:
                    raise Unreadable(f"a pickle of more than {MAX_OPERATIONS} operations")
                name = opcode.name
                if name in _PUSHES:
                    self.stack.append(argument)
                elif name in _PUTS:
                    self.memo[int(argument or 0)] = self.stack[-1]
                elif name in _GETS:
                    self.stack.append(self.memo[int(argument or 0)])
                elif name == "STOP":
                    return self._pop()
                else:
                    self._step(name, argument)
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, UnicodeError) as error:
            raise Unreadable(f"not a valid pickle ({error})") from error
        raise Unreadable("a pickle that does not end")

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        match name:
            case "PROTO" | "FRAME" | "READONLY_BUFFER":
                pass
            case "MARK":
                stack.append(_MARK)
            case "POP":
                stack.pop()
            case "POP_MARK":
                self._to_mark()
            case "DUP":
                stack.append(stack[-1])
            case "NONE":
                stack.append(None)
            case "NEWTRUE":
                stack.append(True)
            case "NEWFALSE":
                stack.append(False)
            case "EMPTY_LIST":
                stack.append([])
            case "LIST":
                stack.append(self._to_mark())
            case "EMPTY_TUPLE":
                stack.append(())
            case "TUPLE":
                stack.append(tuple(self._to_mark()))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                count = int(name[-1])
                if len(stack) < count:
                    raise Unreadable("a pickle that takes from an empty stack")
                items = tuple(stack[-count:])
                del stack[-count:]
                stack.append(items)
            case "EMPTY_DICT":
                stack.append(Mapping())
            case "DICT":
                items = tuple(self._to_mark())
                stack.append(Mapping(list(zip(items[::2], items[1::2], strict=True))))
            case "EMPTY_SET":
                stack.append(Unordered([]))
            case "FROZENSET":
                stack.append(Unordered(self._to_mark()))
            case "APPEND":
                self._extend([self._pop()])
            case "APPENDS" | "ADDITEMS":
                self._extend(self._to_mark())
            case "SETITEM":
                value, key = self._pop(), self._pop()
                self._set([key, value])
            case "SETITEMS":
                self._set(self._to_mark())
            case "GLOBAL":
                module, _, attribute = argument.partition(" ")
                stack.append(Global(module, attribute))
            case "STACK_GLOBAL":
                attribute, module = self._pop(), self._pop()
                if not isinstance(module, str) or not isinstance(attribute, str):
                    raise Unreadable("a pickle that imports what has no name")
                stack.append(Global(module, attribute))
            case "EXT1" | "EXT2" | "EXT4":
                stack.append(Global("copyreg extension", str(argument)))
            case "REDUCE" | "NEWOBJ":
                arguments, callee = self._pop(), self._pop()
                stack.append(_called(callee, arguments))
            case "NEWOBJ_EX":
                keywords, arguments, callee = self._pop(), self._pop(), self._pop()
                stack.append(Instance(callee, (arguments, keywords)))
            case "INST":
                module, _, attribute = argument.partition(" ")
                stack.append(_called(Global(module, attribute), tuple(self._to_mark())))
            case "OBJ":
                items = tuple(self._to_mark())
                stack.append(_called(items[0], items[1:]))
            case "BUILD":
                self._build()
            case "PERSID":
                stack.append(Persistent(argument))
            case "BINPERSID":
                stack.append(Persistent(self._pop()))
            case "MEMOIZE":
                self.memo[len(self.memo)] = stack[-1]
            case "NEXT_BUFFER":
                raise Unreadable("a pickle whose buffers lie elsewhere")
            case _:
                raise Unreadable(f"a pickle with the unknown operation {name}")


def load(reader: Reader) -> Any:
    """Return the pickle at the reader's position as inert data; the reader then stands behind it.

    Raises Unreadable for what is not a pickle, is truncated, or takes more than MAX_OPERATIONS.
    """
    return _Machine(reader).run()


_PLAIN = (str, bytes, int, float, bool)

Leaf = Array | StoredTensor | Global | Persistent | bool | int | float | complex | str | bytes | None


def _key(value: Any, index: int) -> str:
    if isinstance(value, (str, int, float, bool)) or value is None:
        text = str(value) if not isinstance(value, int) or abs(value) < 1 << 128 else f"#{index}"
        return text if len(text) <= 1000 else f"{text[:100]}…#{index}"
    if isinstance(value, bytes):
        return repr(value[:100])
    if isinstance(value, Global):
        return str(value)
    if isinstance(value, tuple) and all(isinstance(item, (str, int)) for item in value) and len(value) <= 8:
        return "(" + ",".join(str(item)[:100] for item in value) + ")"
    return f"#{index}"


def _children(value: Any) -> list[tuple[str, Any]]:
    match value:
        case list() | tuple():
            return [(str(index), item) for index, item in enumerate(value)]
        case Mapping():
            found = [(_key(key, index), item) for index, (key, item) in enumerate(value.pairs)]
            return found if value.state is None else [*found, ("__dict__", value.state)]
        case Unordered():
            # The order of a set is that of hashes: only plain elements can be put into one that both runs share.
            plain = [item for item in value.items if type(item) in _PLAIN]
            plain.sort(key=lambda item: (type(item).__name__, item))
            rest = [item for item in value.items if type(item) not in _PLAIN]
            return [(str(index), item) for index, item in enumerate([*plain, *rest])]
        case Array():
            return [(str(index), item) for index, item in enumerate(value.data)]
        case Instance():
            found = [] if value.arguments in ((), None) else [("__args__", value.arguments)]
            if value.state is not None:
                found.append(("", value.state) if isinstance(value.state, Mapping) else ("__state__", value.state))
            found.extend((str(index), item) for index, item in enumerate(value.items))
            found.extend((_key(key, index), item) for index, (key, item) in enumerate(value.pairs))
            return found
    return []


def leaves(root: Any) -> Iterator[tuple[str, Leaf]]:
    """Yield every plain value under ``root`` with its dotted path, each container and tensor once, in the file's order.

    Raises Unreadable for more than MAX_LEAVES values.
    """
    seen: dict[int, str] = {}
    pending: list[tuple[str, Any]] = [("", root)]
    count = length = 0
    while pending:
        path, value = pending.pop()
        count += 1
        length += len(path)
        if count + len(pending) > MAX_LEAVES:
            raise Unreadable(f"more than {MAX_LEAVES} values")
        if len(path) > 20_000 or length > _MAX_PATHS:
            raise Unreadable("values nested too deeply")
        if isinstance(value, (list, tuple, Mapping, Unordered, Instance, Array, StoredTensor)):
            if id(value) in seen:
                if value != ():
                    yield path, f"the same as {seen[id(value)] or 'the whole'}"
                continue
            seen[id(value)] = path
            if isinstance(value, StoredTensor) or (isinstance(value, Array) and not isinstance(value.data, list)):
                yield path, value
                continue
            if isinstance(value, Instance) and isinstance(value.callee, Global):
                yield f"{path}.__class__".lstrip("."), str(value.callee)
            found = _children(value)
            pending.extend((f"{path}.{name}".strip("."), item) for name, item in reversed(found))
        else:
            yield path, value
