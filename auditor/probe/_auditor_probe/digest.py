"""64-bit, order-sensitive digests of exact bits, computed where the data lives, without a copy and without dispatch."""

import ctypes
import hashlib
import sys
import threading

# Up to here one call of a cryptographic hash is faster than a handful of vectorised ones (measured: 8 KiB).
SMALL = 8192
CHUNK = 16384
_MASK = (1 << 64) - 1
_LOW = (1 << 32) - 1
_MIX = -7046029254386353131  # an odd constant: multiplication by it permutes the 64-bit words

_blake2b = hashlib.blake2b
_types = {}
_local = threading.local()
_weights_bytes = None


def memory(address, size):
    """A writable-looking view of ``size`` bytes at ``address``; nothing is copied."""
    kind = _types.get(size)
    if kind is None:
        kind = _types[size] = ctypes.c_char * size
    return kind.from_address(address)


def combine(pieces):
    """One 8-byte digest over an ordered list of 8-byte digests."""
    return _blake2b(b"".join(pieces), digest_size=8).digest()


def of_bytes(data):
    """The 8-byte digest of a bytes-like object."""
    return _blake2b(data, digest_size=8).digest()


def weights():
    """CHUNK odd 64-bit multipliers, the same in every process: BLAKE2b in counter mode."""
    global _weights_bytes
    if _weights_bytes is None:
        blocks = [_blake2b(b"auditor %d" % i).digest() for i in range(CHUNK * 8 // 64)]
        raw = bytearray(b"".join(blocks))
        for i in range(0, len(raw), 8):
            raw[i] |= 1
        _weights_bytes = bytes(raw)
    return _weights_bytes


def _numpy():
    numpy = sys.modules.get("numpy")
    # A user's own module of that name has none of these.
    if numpy is None or not hasattr(numpy, "frombuffer") or not hasattr(numpy, "bitwise_xor"):
        return None
    return numpy


def of_memory(address, size):
    """The 8-byte digest of ``size`` bytes at ``address``.

    Large regions: each 64-bit word is mixed (xor-shift, multiply, xor-shift), multiplied by an odd weight that depends
    on its position in its chunk, and summed modulo 2**64; chunk sums are chained by a polynomial. The mixing keeps
    differences in sign bits alone from cancelling. Without NumPy, BLAKE2b.
    """
    if size <= SMALL:
        return _blake2b(memory(address, size), digest_size=8).digest() if size else b"\0" * 8
    numpy = _numpy()
    view = memory(address, size)
    if numpy is None or address % 8:
        return _blake2b(view, digest_size=8).digest()
    scratch = getattr(_local, "scratch", None)
    if scratch is None:
        scratch = _local.scratch = (
            numpy.empty(CHUNK, numpy.uint64),
            numpy.empty(CHUNK, numpy.uint64),
            numpy.frombuffer(weights(), numpy.uint64),
            numpy.uint64(32),
            numpy.uint64(_MIX & _MASK),
        )
    first, second, weight, shift, mix = scratch
    count = size // 8
    words = numpy.frombuffer(view, numpy.uint64, count)
    value = size
    for start in range(0, count, CHUNK):
        chunk = words[start : start + CHUNK]
        length = chunk.shape[0]
        a = first[:length]
        b = second[:length]
        numpy.right_shift(chunk, shift, a)
        numpy.bitwise_xor(a, chunk, a)
        numpy.multiply(a, mix, a)
        numpy.right_shift(a, shift, b)
        numpy.bitwise_xor(a, b, a)
        value = (value * 0x9E3779B97F4A7C15 + int(a.dot(weight[:length]))) & _MASK
    tail = size - count * 8
    if tail:
        value = (value * 0x9E3779B97F4A7C15 + int.from_bytes(bytes(view[-tail:]), "little")) & _MASK
    return value.to_bytes(8, "little")


def on_device(tensor, torch):
    """The digest of a contiguous tensor on an accelerator, as a 0-dimensional int64 tensor there: no synchronisation.

    The same mixing and weights as for large CPU regions, so that a CPU tensor gives the same 64 bits by either way.
    """
    raw = tensor.detach().reshape(-1).view(torch.uint8)
    size = raw.numel()
    if size == 0:
        return torch.zeros((), dtype=torch.int64, device=tensor.device)
    count = size // 8
    weight = _device_weights(tensor.device, torch)
    value = torch.full((), size, dtype=torch.int64, device=tensor.device)
    multiplier = 0x9E3779B97F4A7C15 - (1 << 64)
    if count:
        words = _as_words(raw[: count * 8], torch)
        for start in range(0, count, CHUNK):
            chunk = words[start : start + CHUNK]
            # An int64 is shifted with its sign; without the mask a word and its complement would mix alike.
            mixed = (chunk ^ (chunk >> 32 & _LOW)) * _MIX
            mixed = (mixed ^ (mixed >> 32 & _LOW)) * weight[: chunk.numel()]
            value = value * multiplier + mixed.sum()
    if size > count * 8:
        tail = raw[count * 8 :].to(torch.int64)
        places = torch.arange(tail.numel(), device=tensor.device, dtype=torch.int64) * 8
        value = value * multiplier + (tail << places).sum()
    return value


def _as_words(raw, torch):
    if raw.storage_offset() % 8 == 0 and raw.data_ptr() % 8 == 0:
        return raw.view(torch.int64)
    return raw.clone().view(torch.int64)


_device_cache = {}


def _device_weights(device, torch):
    weight = _device_cache.get(device)
    if weight is None:
        host = torch.frombuffer(bytearray(weights()), dtype=torch.int64)
        weight = _device_cache[device] = host.to(device)
    return weight
