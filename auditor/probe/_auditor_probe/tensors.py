"""Reads tensors without dispatch: their digests, their names, their bytes."""

import ctypes
import json
import struct
import sys
from collections.abc import Mapping

from . import digest

NONE = b"\0none\0\0\0"
UNREADABLE = b"\0hidden\0"
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_SAFETENSORS = {}  # torch.dtype: name in the format, filled as they are met
_FORMATS = {
    "float32": "F32",
    "float64": "F64",
    "float16": "F16",
    "bfloat16": "BF16",
    "int64": "I64",
    "int32": "I32",
    "int16": "I16",
    "int8": "I8",
    "uint8": "U8",
    "bool": "BOOL",
}


class Reader:
    """Digests tensors of one torch: 8 bytes at once for those in main memory, a tensor to fetch later for others."""

    def __init__(self, torch):
        self._torch = torch
        self._strided = torch.strided
        self.unreadable = set()  # names of the classes of tensors that have no bits to read
        self._classes = (torch.Tensor, torch.nn.Parameter)
        functorch = getattr(getattr(torch, "_C", None), "_functorch", None)
        self._wrapped = getattr(functorch, "is_functorch_wrapped_tensor", None)
        self._peek = getattr(functorch, "peek_interpreter_stack", None)
        self._quiet = getattr(torch._C, "DisableTorchFunctionSubclass", None) or torch._C.DisableTorchFunction

    def quiet(self):
        """A context in which tensor subclasses and function modes of the program are not consulted."""
        return self._quiet()

    def _is_plain(self, tensor):
        """Whether a tensor's own memory holds its bits in order, by questions that are quick to ask."""
        return (
            type(tensor) in self._classes
            and tensor.is_cpu
            and tensor.layout is self._strided
            and tensor.is_contiguous()
            and not tensor.is_conj()
            and not tensor.is_neg()
        )

    def plain(self, tensor, direct=False):
        """The dense, contiguous tensor behind ``tensor``, or None where there are no bits to read (meta, fake).

        ``direct`` is what :meth:`direct` said a moment ago.
        """
        if direct and self._is_plain(tensor):
            return tensor
        if self._wrapped is not None and self._wrapped(tensor):
            return None
        local = getattr(tensor, "_local_tensor", None)  # a distributed tensor's shard
        if local is not None and type(tensor).__name__ == "DTensor":
            tensor = local
        if any(kind.__name__ in ("FakeTensor", "FunctionalTensor") for kind in type(tensor).__mro__[:-1]):
            return None
        if tensor.layout is not self._strided:
            tensor = tensor.detach().to_dense()
        if tensor.is_meta or tensor.is_quantized:
            return None if tensor.is_meta else tensor.detach().int_repr().contiguous()
        if not tensor.is_contiguous() or tensor.is_conj() or tensor.is_neg():
            tensor = tensor.detach().resolve_conj().resolve_neg().contiguous()
        return tensor

    def direct(self):
        """Whether no function transform is active, so that tensors' memory is their own."""
        return self._peek is None or self._peek() is None

    def digest(self, tensor, direct=False):
        """8 bytes; or a 0-dimensional int64 tensor on the tensor's device; or None where it cannot be read.

        ``direct`` is what :meth:`direct` said a moment ago.
        """
        plain = self.plain(tensor, direct)
        if plain is None:
            return None
        if plain.is_cpu:
            try:
                address = plain.data_ptr()
            except RuntimeError:  # what a function transform that has ended had wrapped
                return None
            size = plain.numel() * plain.element_size()
            # A wrapper subclass has a size, but no memory of its own.
            return digest.of_memory(address, size) if address or not size else None
        if plain.is_cuda and self._torch.cuda.is_current_stream_capturing():
            return None  # nothing may be added to a graph that the program is capturing
        return digest.on_device(plain, self._torch)

    def digests(self, tensors):
        """The digests of a list of tensors: marked where there is none, and where its bits cannot be read."""
        direct = self.direct()
        pieces = []
        for tensor in tensors:
            piece = NONE if tensor is None else self.digest(tensor, direct)
            if piece is None:
                piece = UNREADABLE
                self.unreadable.add(type(tensor).__name__)
            pieces.append(piece)
        return pieces

    def scalar(self, tensor):
        """``float.hex()`` of a one-element floating tensor, ``nan`` for every NaN; None for any other tensor.

        On an accelerator: the bits of the value as a double, in a 0-dimensional int64 tensor (see ``scalar_text``).
        """
        if tensor.numel() != 1 or (self._wrapped is not None and self._wrapped(tensor)):
            return None
        torch = self._torch
        if tensor.is_cpu and not tensor.data_ptr():
            return None
        if not tensor.is_cpu:
            return tensor.detach().reshape(()).double().view(torch.int64) if tensor.is_floating_point() else None
        if tensor.dtype is torch.float32:
            value = ctypes.c_float.from_address(tensor.data_ptr()).value
        elif tensor.dtype is torch.float64:
            value = ctypes.c_double.from_address(tensor.data_ptr()).value
        elif tensor.dtype in (torch.float16, torch.bfloat16):
            value = float(tensor.detach())
        else:
            return None
        return "nan" if value != value else float(value).hex()


def scalar_text(piece):
    """``float.hex()`` of the double whose 8 bytes these are, ``nan`` for every NaN."""
    value = struct.unpack("<d", piece)[0]
    return "nan" if value != value else value.hex()


def text(piece, width):
    """The last ``width`` characters' worth (6 bits each) of an 8-byte digest."""
    number = int.from_bytes(piece[:4], "little")
    return "".join([_ALPHABET[(number >> (6 * i)) & 63] for i in range(width)])


def shape_of_parts(count):
    """(tensors that share one part, characters a part takes), so that a step's line stays under a kilobyte."""
    if count <= 40:
        return 1, 4
    if count <= 80:
        return 1, 3
    if count <= 120:
        return 1, 2
    return -(-count // 120), 2


def parts(pieces, group, width):
    """The short digests of all tensors (or groups of them), concatenated."""
    if group > 1:
        pieces = [digest.combine(pieces[i : i + group]) for i in range(0, len(pieces), group)]
    alphabet = _ALPHABET
    if width == 4:
        out = []
        for piece in pieces:
            a, b, c = piece[0], piece[1], piece[2]
            out.append(
                alphabet[a & 63]
                + alphabet[b & 63]
                + alphabet[c & 63]
                + alphabet[(a >> 6) | (b >> 6 << 2) | (c >> 6 << 4)]
            )
        return "".join(out)
    return "".join([text(piece, width) for piece in pieces])


def block(named, reader, headers):
    """(buffers, size in bytes) of a safetensors block with these (name, tensor) pairs, or None if one has no format.

    ``headers`` remembers encoded headers by what they say.
    """
    buffers = [b""]
    facts = []
    direct = reader.direct()
    for name, tensor in named:
        kind = _SAFETENSORS.get(tensor.dtype)
        if kind is None:
            kind = _SAFETENSORS[tensor.dtype] = _FORMATS.get(str(tensor.dtype).rpartition(".")[2], "")
        plain = reader.plain(tensor, direct)
        if not kind or plain is None or not plain.is_cpu:
            return None
        size = plain.numel() * plain.element_size()
        try:
            address = plain.data_ptr()
        except RuntimeError:  # as in Reader.digest
            return None
        if size and not address:
            return None
        facts.append((name, kind, plain.shape, size))
        if size:
            buffers.append(ctypes.string_at(address, size))
    key = tuple(facts)
    encoded = headers.get(key)
    if encoded is None:
        encoded = headers[key] = _header(facts)
    buffers[0] = encoded
    return buffers, len(encoded) + sum([fact[3] for fact in facts])


def _header(facts):
    header = {}
    offset = 0
    for name, kind, shape, size in facts:
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    return struct.pack("<Q", len(encoded)) + encoded


def tensors_in(thing, torch, found, depth=4, limit=64):
    """Appends the tensors and NumPy arrays inside nested lists, tuples, mappings and simple records to ``found``."""
    if len(found) >= limit or depth == 0:
        return found
    if isinstance(thing, torch.Tensor):
        found.append(thing)
    elif isinstance(thing, (list, tuple)):
        for item in thing:
            tensors_in(item, torch, found, depth - 1, limit)
    elif isinstance(thing, Mapping):
        for item in list(thing.values()):
            tensors_in(item, torch, found, depth - 1, limit)
    elif isinstance(thing, (int, float, str, bytes)) or thing is None:
        pass
    else:
        numpy = sys.modules.get("numpy")
        if numpy is not None and isinstance(thing, getattr(numpy, "ndarray", ())):
            if thing.dtype.kind in "biufc":
                found.append(thing)
        elif type(thing).__module__.startswith("torch_geometric") and hasattr(thing, "to_dict"):
            tensors_in(thing.to_dict(), torch, found, depth - 1, limit)
    return found
