"""Checkpoints opened without executing anything in them: torch (zip and legacy), safetensors, NumPy, pickle, joblib."""

from __future__ import annotations

import bz2
import io
import json
import lzma
import mmap
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from auditor.compare import pickles
from auditor.compare.names import text_varies, words
from auditor.compare.results import parse_spelled
from auditor.compare.tensors import Tensor, Unreadable, difference, storage_dtype

if TYPE_CHECKING:
    from numpy.typing import NDArray

TENSOR_SUFFIXES = frozenset(
    [
        ".pt",
        ".pth",
        ".ckpt",
        ".bin",
        ".safetensors",
        ".npy",
        ".npz",
        ".pkl",
        ".pickle",
        ".joblib",
        ".p",
        ".th",
        ".tar",
        ".model",
        ".weights",
        ".pyth",
        ".mdl",
    ]
)
_MEMBER_SUFFIXES = frozenset([".pt", ".pth", ".ckpt", ".pkl", ".npy", ".npz", ".safetensors", ".bin"])
_MAX_UNPACKED = 1 << 30
_MAX_MEMBERS = 100_000
_OPAQUE_BYTES = 64
_LONG_TEXT = 1000  # boosting libraries pickle a model as its text
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_STORAGES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "QInt8Storage": "int8",
    "QUInt8Storage": "uint8",
    "QInt32Storage": "int32",
    "UntypedStorage": "uint8",
}
_SAFETENSORS = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu",
}

Value = bool | int | float | complex | str | bytes | None


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds: tensors and plain values by dotted name."""

    tensors: dict[str, Tensor]
    values: dict[str, Value]


def read(path: Path) -> Checkpoint:
    """Open a checkpoint of any known format; nothing in it is executed, and tensors are read only when loaded.

    Raises Unreadable for what is damaged, of an unknown format or beyond the bounds on work and memory.
    """
    return _guarded(_mapped(path), path.suffix.lower(), 0)


def read_safetensors(path: Path, start: int = 0, size: int | None = None) -> Checkpoint:
    """Open a block of a file (its ``size`` bytes from ``start``; all of it by default) in the safetensors format.

    Raises as ``read`` does.
    """
    view = _mapped(path)
    end = len(view) if size is None else start + size
    if end > len(view):
        raise Unreadable("the file is truncated")
    return _guarded(view[start:end], ".safetensors", 0)


def _mapped(path: Path) -> memoryview:
    try:
        with path.open("rb") as stream:
            if stream.seek(0, io.SEEK_END) == 0:
                raise Unreadable("the file is empty")
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except OSError as error:
        raise Unreadable(f"the file cannot be opened ({error.strerror})") from error


def _guarded(view: memoryview, suffix: str, depth: int) -> Checkpoint:
    try:
        return _read(view, suffix, depth)
    except (MemoryError, RecursionError) as error:
        raise Unreadable(f"it takes too much to open ({type(error).__name__})") from error
    except (ValueError, TypeError, OverflowError, struct.error) as error:
        raise Unreadable(f"it is damaged ({error})") from error


def is_checkpoint(path: Path) -> bool:
    """Whether the first bytes are those of a format that ``read`` knows and that holds tensors."""
    try:
        with path.open("rb") as stream:
            head = stream.read(8)
            if head[:4] != b"PK\x03\x04":
                return head[:6] == b"\x93NUMPY" or (
                    head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")
                )
            with zipfile.ZipFile(stream) as archive:
                return any(_holds_tensors(name) for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def _holds_tensors(member: str) -> bool:
    return member.endswith("data.pkl") or Path(member).suffix.lower() in _MEMBER_SUFFIXES


def _read(view: memoryview, suffix: str, depth: int) -> Checkpoint:
    head = bytes(view[:8])
    if suffix == ".safetensors":
        return _safetensors(view)
    if head[:4] == b"PK\x03\x04":
        return _zip(view, depth)
    if head[:6] == b"\x93NUMPY":
        return _npy(view)
    if head[:1] == b"\x80" or suffix in (".pkl", ".pickle", ".p"):
        return _pickle(view)
    if head[:2] == b"\x1f\x8b":
        return _packed(view, lambda: zlib.decompressobj(31), suffix, depth)
    if head[:3] == b"BZh":
        return _packed(view, bz2.BZ2Decompressor, suffix, depth)
    if head[:6] == b"\xfd7zXZ\x00" or (suffix == ".joblib" and head[:3] == b"\x5d\x00\x00"):
        return _packed(view, lzma.LZMADecompressor, suffix, depth)
    if head[:1] == b"\x78" and suffix in (".joblib", ".pkl", ".z"):
        return _packed(view, zlib.decompressobj, suffix, depth)
    raise Unreadable("its format is not known")


def _packed(view: memoryview, make: Callable[[], Any], suffix: str, depth: int) -> Checkpoint:
    """Open what lies inside a compressed stream, never unpacking more than _MAX_UNPACKED bytes."""
    if depth >= 2:
        raise Unreadable("files nested too deeply in one another")
    machine = make()
    try:
        data = machine.decompress(bytes(view), _MAX_UNPACKED)
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise Unreadable(f"it is damaged ({error})") from error
    if not machine.eof:
        raise Unreadable("it is truncated, or unpacks to more than a gigabyte")
    return _read(memoryview(data), suffix, depth + 1)


class _Window(io.RawIOBase):
    """Bytes as a seekable file, without a copy."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: len(self._view)}[whence]
        if base + offset < 0:
            raise ValueError("before the start of the file")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        end = len(self._view) if size is None or size < 0 else min(len(self._view), self._position + size)
        piece = bytes(self._view[self._position : end])
        self._position += len(piece)
        return piece


def _members(view: memoryview) -> dict[str, Callable[[], memoryview]]:
    """Return a zip archive's members by name, each as a way to get its bytes.

    Members that are only stored (torch's all are) are views of the file. Their checksums are not verified: torch can be
    told not to compute any, and what is asked here is whether two runs wrote the same bits.
    """
    try:
        with zipfile.ZipFile(_Window(view)) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:
        raise Unreadable(f"it is a damaged or truncated zip archive ({error})") from error
    if len(infos) > _MAX_MEMBERS:
        raise Unreadable(f"an archive of more than {_MAX_MEMBERS} members")
    if sum(info.file_size for info in infos if info.compress_type == zipfile.ZIP_STORED) > len(view):
        raise Unreadable("an archive whose members overlap")
    if sum(info.file_size for info in infos if info.compress_type != zipfile.ZIP_STORED) > _MAX_UNPACKED:
        raise Unreadable("an archive that unpacks to more than a gigabyte")

    def opener(info: zipfile.ZipInfo) -> Callable[[], memoryview]:
        def get() -> memoryview:
            header = bytes(view[info.header_offset : info.header_offset + 30])
            if len(header) < 30 or header[:4] != b"PK\x03\x04":
                raise Unreadable("an archive whose directory points nowhere")
            name, extra = struct.unpack("<HH", header[26:30])
            start = info.header_offset + 30 + name + extra
            raw = view[start : start + info.compress_size]
            if len(raw) != info.compress_size:
                raise Unreadable("a truncated archive")
            if info.compress_type == zipfile.ZIP_STORED:
                return raw
            if info.compress_type != zipfile.ZIP_DEFLATED:
                raise Unreadable("an archive packed by an unusual method")
            try:
                data = zlib.decompressobj(-15).decompress(raw, info.file_size + 1)
            except zlib.error as error:
                raise Unreadable(f"a damaged archive ({error})") from error
            if len(data) != info.file_size:
                raise Unreadable("an archive that unpacks to another size than it says")
            return memoryview(data)

        return get

    return {info.filename: opener(info) for info in infos if not info.is_dir()}


def _zip(view: memoryview, depth: int) -> Checkpoint:
    members = _members(view)
    roots = [name[: -len("data.pkl")] for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
    if roots:
        return _torch_zip(members, min(roots, key=len))
    if depth >= 2:
        raise Unreadable("archives nested too deeply in one another")
    tensors: dict[str, Tensor] = {}
    values: dict[str, Value] = {}
    found = False
    for name, get in members.items():
        suffix = Path(name).suffix.lower()
        if suffix not in _MEMBER_SUFFIXES:
            continue
        found = True
        inner = _guarded(get(), suffix, depth + 1)
        stem = name[: -len(".npy")] if suffix == ".npy" else name
        for key, tensor in inner.tensors.items():
            tensors[f"{stem}.{key}".strip(".")] = tensor
        for key, value in inner.values.items():
            values[f"{stem}.{key}".strip(".")] = value
    if not found:
        raise Unreadable("an archive without tensors")
    return Checkpoint(tensors, values)


def _torch_zip(members: dict[str, Callable[[], memoryview]], root: str) -> Checkpoint:
    order = "<"
    if f"{root}byteorder" in members and bytes(members[f"{root}byteorder"]()[:3]) == b"big":
        order = ">"

    def storage(key: str) -> memoryview:
        if f"{root}data/{key}" not in members:
            raise Unreadable(f"the storage {key!r} is missing")
        return members[f"{root}data/{key}"]()

    return _flatten(pickles.load(pickles.Reader(members[f"{root}data.pkl"]())), storage, order)


def _pickle(view: memoryview) -> Checkpoint:
    reader = pickles.Reader(view)
    root = pickles.load(reader)
    if root != _LEGACY_MAGIC or type(root) is not int:
        return _flatten(root, None, "<")
    # torch.save(..., _use_new_zipfile_serialization=False): magic, version, system, object, storage keys, storages.
    pickles.load(reader)
    system = pickles.load(reader)
    order = "<"
    if isinstance(system, pickles.Mapping) and any(key == "little_endian" and not value for key, value in system.pairs):
        order = ">"
    root = pickles.load(reader)
    keys = pickles.load(reader)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise Unreadable("a legacy checkpoint without its list of storages")
    widths = _storage_widths(root)
    storages: dict[str, memoryview] = {}
    for key in keys:
        count = int.from_bytes(reader.view(8), "little" if order == "<" else "big", signed=True)
        if key not in widths:
            raise Unreadable(f"the storage {key!r} belongs to no tensor")
        storages[key] = reader.view(count * widths[key])

    def storage(key: str) -> memoryview:
        if key not in storages:
            raise Unreadable(f"the storage {key!r} is missing")
        return storages[key]

    return _flatten(root, storage, order)


def _storage_id(value: Any) -> tuple[str, str]:
    """Return a stored tensor's element type and storage key from torch's persistent id."""
    if isinstance(value, pickles.Persistent) and isinstance(value.id, tuple) and len(value.id) >= 5:
        kind, cls, key = value.id[:3]
        if len(value.id) > 5 and value.id[5] is not None:
            raise Unreadable("a tensor that views another's storage in an outdated way")
        if kind == "storage" and isinstance(cls, pickles.Global) and isinstance(key, str) and cls.name in _STORAGES:
            return _STORAGES[cls.name], key
    raise Unreadable("a tensor whose storage is not named as torch does")


def _storage_widths(root: Any) -> dict[str, int]:
    import numpy as np

    widths: dict[str, int] = {}
    for _, leaf in pickles.leaves(root):
        storage = leaf.storage if isinstance(leaf, pickles.StoredTensor) else leaf
        if isinstance(storage, pickles.Persistent):
            dtype, key = _storage_id(storage)
            widths[key] = np.dtype(storage_dtype(dtype)).itemsize
    return widths


def _flatten(root: Any, storage: Callable[[str], memoryview] | None, order: str) -> Checkpoint:
    tensors: dict[str, Tensor] = {}
    values: dict[str, Value] = {}
    for path, leaf in pickles.leaves(root):
        match leaf:
            case pickles.StoredTensor():
                tensors[path] = _stored(leaf, storage, order)
            case pickles.Array():
                if leaf.data is None:
                    values[path] = "an array that was never filled"
                else:
                    tensors[path] = _array(leaf)
            case pickles.Global():
                values[path] = str(leaf)
            case pickles.Persistent():
                values[path] = "something outside the file"
            case _:
                values[path] = leaf
    return Checkpoint(tensors, values)


def _stored(leaf: pickles.StoredTensor, storage: Callable[[str], memoryview] | None, order: str) -> Tensor:
    import numpy as np

    if storage is None:
        raise Unreadable("a tensor without its storage")
    own, key = _storage_id(leaf.storage)
    name = leaf.dtype or own
    dtype = np.dtype(storage_dtype(name)).newbyteorder(">" if order == ">" else "<")
    # Expanded dimensions (stride 0) repeat what is there: once is enough to compare, and a huge one costs nothing.
    size = tuple(1 if stride == 0 else length for length, stride in zip(leaf.size, leaf.stride, strict=True))
    strides = tuple(stride * dtype.itemsize for stride in leaf.stride)

    def load() -> NDArray[Any]:
        raw = storage(key)
        if 0 in leaf.size:
            return np.empty(leaf.size, dtype)
        reach = leaf.offset + 1 + sum((length - 1) * stride for length, stride in zip(size, leaf.stride, strict=True))
        count = 1
        for length in size:
            count *= length
        if reach * dtype.itemsize > len(raw):
            raise Unreadable("a tensor that reaches beyond its storage")
        if count * dtype.itemsize > len(raw):
            raise Unreadable("a tensor whose elements overlap")
        return np.asarray(np.ndarray(size, dtype, buffer=raw, offset=leaf.offset * dtype.itemsize, strides=strides))

    return Tensor(name, leaf.size, load)


def _array(leaf: pickles.Array) -> Tensor:
    import numpy as np

    dtype = np.dtype(storage_dtype(leaf.dtype))
    count = 1
    for length in leaf.shape:
        count *= length
    if count * dtype.itemsize != len(leaf.data):
        raise Unreadable("an array whose bytes do not fill its shape")

    def load() -> NDArray[Any]:
        return np.asarray(np.ndarray(leaf.shape, dtype, buffer=leaf.data, order="F" if leaf.fortran else "C"))

    return Tensor(dtype.name if dtype.kind != "V" else dtype.str, leaf.shape, load)


def _npy(view: memoryview) -> Checkpoint:
    import numpy as np
    from numpy.lib import format as npy

    stream = _Window(view[: 1 << 17])
    version = npy.read_magic(stream)
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise Unreadable(f"NumPy's file format {version} is not known")
    header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = header(stream)
    start = stream.tell()
    if dtype.hasobject:
        return _flatten(pickles.load(pickles.Reader(view, start)), None, "<")
    count = 1
    for length in shape:
        count *= length
    if start + count * dtype.itemsize > len(view):
        raise Unreadable("a truncated array")

    def load() -> NDArray[Any]:
        return np.asarray(np.ndarray(shape, dtype, buffer=view, offset=start, order="F" if fortran else "C"))

    return Checkpoint({"": Tensor(dtype.name if dtype.names is None else str(dtype), shape, load)}, {})


def _safetensors(view: memoryview) -> Checkpoint:
    """Read the safetensors format (an eight-byte length, a JSON header, the tensors' bytes).

    Not by the library: it copies each tensor, and has no NumPy type for bfloat16 and the eight-bit floats.
    """
    import numpy as np

    if len(view) < 8:
        raise Unreadable("a truncated safetensors file")
    length = int.from_bytes(view[:8], "little")
    if length > min(len(view) - 8, 100_000_000):
        raise Unreadable("a truncated safetensors file")
    header = json.loads(bytes(view[8 : 8 + length]))
    if not isinstance(header, dict):
        raise Unreadable("a safetensors file whose header is no object")
    data = view[8 + length :]
    tensors: dict[str, Tensor] = {}
    values: dict[str, Value] = {}

    def loader(start: int, shape: tuple[int, ...], dtype: Any) -> Callable[[], NDArray[Any]]:
        return lambda: np.asarray(np.ndarray(shape, dtype, buffer=data, offset=start))

    for name, facts in header.items():
        if name == "__metadata__":
            values.update({f"__metadata__.{key}": str(value) for key, value in dict(facts).items()})
            continue
        if not isinstance(facts, dict) or facts.get("dtype") not in _SAFETENSORS:
            raise Unreadable(f"the safetensors type of {name} is not known")
        shape, offsets = facts.get("shape"), facts.get("data_offsets")
        if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
            raise Unreadable(f"the shape of {name} is not a row of sizes")
        if not isinstance(offsets, list) or len(offsets) != 2 or not all(type(item) is int for item in offsets):
            raise Unreadable(f"the place of {name} is not given")
        text = _SAFETENSORS[facts["dtype"]]
        dtype = np.dtype(storage_dtype(text)).newbyteorder("<")
        count = 1
        for size in shape:
            count *= size
        start, end = offsets
        if not 0 <= start <= end <= len(data) or end - start != count * dtype.itemsize:
            raise Unreadable(f"the bytes of {name} do not fill its shape")
        tensors[name] = Tensor(text, tuple(shape), loader(start, tuple(shape), dtype))
    return Checkpoint(tensors, values)


def is_result(name: str) -> bool:
    """Whether a tensor by its name is a result: a random stream's saved state is not, nor is it evidence."""
    found = words(name)
    return "rng" not in found and not ("random" in found and "state" in found)


@dataclass(frozen=True)
class Verdict:
    """How two checkpoints compare.

    ``tensors`` counts the tensors compared, ``first`` names the first thing that decides and differs (empty: none),
    ``max_abs_difference`` is the largest |Δ| of all (None: none is a number), ``differing`` how many differ,
    ``volatile`` which plain values differ and decide nothing, ``words`` how many texts differ, ``opaque`` names what
    differs and may be a result: byte strings and long texts (a whole model, perhaps), and texts that nothing explains.
    """

    tensors: int
    first: str = ""
    reason: str = ""
    differing: int = 0
    max_abs_difference: float | None = None
    volatile: tuple[str, ...] = ()
    words: int = 0
    opaque: tuple[str, ...] = ()


def _is_opaque(value: Value) -> bool:
    return isinstance(value, (bytes, str)) and len(value) >= (_OPAQUE_BYTES if isinstance(value, bytes) else _LONG_TEXT)


def _may_be_results(name: str, one: Value | None, two: Value | None, volatile: Callable[[str], str]) -> bool:
    """Whether a text that differs may be a result: a label, a choice, and not a moment or what a run is called."""
    if volatile(name) or not (isinstance(one, str) or isinstance(two, str)):
        return False
    return not (isinstance(one, str) and isinstance(two, str) and text_varies(name, one, two))


def _spelled(value: Value) -> Value:
    """Return the number that a text spells (a ``decimal.Decimal`` is pickled as one), or what was given."""
    number = parse_spelled(value) if isinstance(value, str) else None
    return value if number is None else number


def _same(one: Value, two: Value) -> bool:
    if isinstance(one, float) and isinstance(two, float):
        return struct.pack("<d", one) == struct.pack("<d", two)
    if isinstance(one, complex) and isinstance(two, complex):
        return _same(one.real, two.real) and _same(one.imag, two.imag)
    return type(one) is type(two) and one == two


def compare(
    first: Path, second: Path, volatile: Callable[[str], str], ignored: Callable[[str], bool] = lambda name: False
) -> Verdict:
    """Compare two checkpoints tensor by tensor, one pair in memory at a time.

    ``volatile`` says of a number's name why it would decide nothing, or returns an empty string; ``ignored`` of a
    tensor's, whether the user wants it left out. Numbers beside the tensors decide; texts leave it open. Raises
    Unreadable where either file cannot be read.
    """
    try:
        return _compare(read(first), read(second), volatile, ignored)
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        raise Unreadable(f"it is damaged ({error})") from error


def _compare(
    one: Checkpoint, two: Checkpoint, volatile: Callable[[str], str], ignored: Callable[[str], bool]
) -> Verdict:
    named = ""
    reason = ""
    differing = texts = 0
    largest: float | None = None
    numeric = True
    unimportant: list[str] = []
    opaque: list[str] = []

    def differs(name: str, why: str, delta: float | None) -> None:
        nonlocal named, reason, differing, largest, numeric
        differing += 1
        if not named:
            named, reason = name or "the array", why
        if delta is None:
            numeric = False
        else:
            largest = delta if largest is None else max(largest, delta)

    for name in [*one.tensors, *(name for name in two.tensors if name not in one.tensors)]:
        if ignored(name):
            unimportant.append(f"{name}: ignored by the user")
            continue
        if name not in one.tensors or name not in two.tensors:
            differs(name, "it is in one run only", None)
            continue
        found = difference(one.tensors[name], two.tensors[name])
        if found is None:
            continue
        why = volatile(name) if one.tensors[name].shape == () else ""
        if why:
            unimportant.append(f"{name}: {why}")
        else:
            differs(name, found.reason, found.max_abs_difference)
    for name in [*one.values, *(name for name in two.values if name not in one.values)]:
        if name in one.values and name in two.values and _same(one.values[name], two.values[name]):
            continue
        a, b = _spelled(one.values.get(name)), _spelled(two.values.get(name))
        if isinstance(a, (int, float)) != isinstance(b, (int, float)) or _same(a, b):
            a, b = one.values.get(name), two.values.get(name)
        if not isinstance(a, (int, float, complex)) and not isinstance(b, (int, float, complex)):
            texts += 1
            if (_is_opaque(a) or _is_opaque(b) or _may_be_results(name, a, b, volatile)) and not ignored(name):
                opaque.append(name)
        elif why := volatile(name):
            unimportant.append(f"{name}: {why}")
        elif isinstance(a, (int, float)) and isinstance(b, (int, float)):
            differs(name, "", _distance(a, b))
        else:
            differs(name, "it is a number in one run only", None)
    if not numeric and largest is not None and not reason:
        reason = "other values differ in kind, size or by what is no number"
    return Verdict(
        tensors=sum(is_result(name) and name in two.tensors and not ignored(name) for name in one.tensors),
        first=named,
        reason=reason,
        differing=differing,
        max_abs_difference=largest,
        volatile=tuple(unimportant),
        words=texts,
        opaque=tuple(opaque),
    )


def _distance(one: float, two: float) -> float | None:
    try:
        delta = float(abs(one - two))
    except OverflowError:
        return None
    return delta if delta < float("inf") else None
