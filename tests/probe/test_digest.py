"""Digests tell apart what differs in a single bit, and only that."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.probe.conftest import PROBE

pytestmark = pytest.mark.usefixtures("probe_importable")
np = pytest.importorskip("numpy")


def digest_of(data: bytes) -> bytes:
    sys.path.insert(0, str(PROBE))
    try:
        from _auditor_probe import digest
    finally:
        sys.path.remove(str(PROBE))
    # An aligned copy: a bytes object's own storage need not start on a word.
    words = np.zeros(len(data) // 8 + 1, np.int64)
    words.view(np.uint8)[: len(data)] = np.frombuffer(data, np.uint8)
    return digest.of_memory(words.ctypes.data, len(data))


@given(st.binary(min_size=1, max_size=300), st.integers(0, 80), st.data())
@settings(max_examples=60, deadline=None)
def test_any_changed_bit_changes_the_digest(pattern: bytes, repeats: int, data: st.DataObject) -> None:
    content = pattern * (repeats + 1)
    at = data.draw(st.integers(0, len(content) * 8 - 1))
    changed = bytearray(content)
    changed[at // 8] ^= 1 << at % 8
    assert digest_of(content) == digest_of(bytes(content))
    assert digest_of(content) != digest_of(bytes(changed))


@pytest.mark.parametrize("size", [10, 3_000, 200_001])
def test_order_length_and_signs_of_zero_count(size: int) -> None:
    values = np.random.default_rng(0).normal(size=size).astype(np.float32)
    seen = {digest_of(values.tobytes())}
    seen.add(digest_of(values[::-1].tobytes()))
    swapped = values.copy()
    swapped[[0, 1]] = swapped[[1, 0]]
    seen.add(digest_of(swapped.tobytes()))
    seen.add(digest_of(values[:-1].tobytes()))
    zeros = np.zeros(size, np.float32)
    seen.add(digest_of(zeros.tobytes()))
    assert len(seen) == 5
    # Pairs of flipped signs must not cancel, wherever they lie in their words.
    flipped = set()
    for first, second in [(0, 1), (0, 2), (1, 3), (1, 5), (2, 4), (size - 1, size - 2), (0, size - 1)]:
        signed = zeros.copy()
        signed[[first, second]] = -0.0
        flipped.add(digest_of(signed.tobytes()))
    assert len(flipped) >= 6
    assert not flipped & seen


def test_every_pair_of_flipped_signs_in_a_large_region_differs() -> None:
    zeros = np.zeros(4_000, np.float32)
    seen = set()
    pairs = 0
    for first in range(0, 40):
        for second in range(first + 1, 60):
            signed = zeros.copy()
            signed[[first, second]] = -0.0
            seen.add(digest_of(signed.tobytes()))
            pairs += 1
    assert len(seen) == pairs


def test_the_device_digest_is_the_digest_of_large_regions() -> None:
    torch = pytest.importorskip("torch")
    from _auditor_probe import digest

    for size in (digest.SMALL + 1, 50_000, 200_005, 131_072 * 2):
        tensor = torch.randint(0, 255, (size,), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
        here = digest.of_memory(tensor.data_ptr(), size)
        there = int(digest.on_device(tensor, torch)) & (1 << 64) - 1
        assert there.to_bytes(8, "little") == here
    odd = torch.arange(30_001, dtype=torch.uint8)[1:]  # not on a word's boundary
    assert isinstance(int(digest.on_device(odd, torch)), int)
    assert int(digest.on_device(torch.empty(0), torch)) == 0


def test_the_digest_is_the_same_in_every_process() -> None:
    program = (
        f"import sys, ctypes; sys.path.insert(0, {str(PROBE)!r}); import numpy as np\n"
        "from _auditor_probe import digest\n"
        "x = np.arange(20000, dtype=np.int64)\n"
        "print(digest.of_memory(x.ctypes.data, x.nbytes).hex(), digest.of_bytes(b'abc').hex())\n"
    )
    outputs = set()
    for seed in ("0", "1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1
    x = np.arange(20000, dtype=np.int64)
    assert outputs.pop().split()[0] == digest_of(x.tobytes()).hex()


def test_memory_is_read_in_place() -> None:
    from _auditor_probe import digest

    buffer = (ctypes.c_char * 64)()
    view = digest.memory(ctypes.addressof(buffer), 64)
    buffer[3] = b"x"
    assert view[3] == b"x"


def test_a_word_and_its_complement_differ() -> None:
    image = np.random.default_rng(0).integers(0, 256, 65_536).astype(np.uint8)
    assert digest_of(image.tobytes()) != digest_of((255 - image).tobytes())
    labels = np.zeros(4_096, np.int64)
    assert digest_of(labels.tobytes()) != digest_of((labels - 1).tobytes())


def test_what_an_ended_function_transform_had_wrapped_is_unreadable_and_no_fault() -> None:
    torch = pytest.importorskip("torch")
    from _auditor_probe import tensors

    wrapped: list[object] = []
    torch.func.grad(lambda x: (wrapped.append(x), (x * x).sum())[1])(torch.ones(3))
    reader = tensors.Reader(torch)
    assert reader.digests(wrapped) == [tensors.UNREADABLE]
    assert tensors.block([("x", wrapped[0])], reader, {}) is None
