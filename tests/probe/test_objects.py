"""Which builds are mapped and what numerical libraries say of themselves: read without loading or changing anything."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.fingerprint.dispatch import parse_threads
from auditor.records.trace import Fault, Libraries, Numerics, Torch
from tests.probe.conftest import Watched

pytestmark = pytest.mark.usefixtures("probe_importable")

NAME = b"GNU\0"
ID = bytes(range(20))


def note(order: str, description: bytes, kind: int = 3, name: bytes = NAME, alignment: int = 4) -> bytes:
    def padded(data: bytes) -> bytes:
        return data + b"\0" * (-len(data) % alignment)

    return padded(struct.pack(order + "III", len(name), len(description), kind) + name) + padded(description)


def elf(order: str, bits: int, notes: bytes, alignment: int = 4, at: int = 0) -> bytes:
    """An ELF file of one program header that points to notes ``at`` bytes into it (0: right behind the header)."""
    head = b"\x7fELF" + bytes([2 if bits == 64 else 1, 1 if order == "<" else 2, 1]) + b"\0" * 9
    if bits == 64:
        at = at or 64 + 56
        body = struct.pack(order + "HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
        header = struct.pack(order + "IIQQQQQQ", 4, 4, at, 0, 0, len(notes), len(notes), alignment)
    else:
        at = at or 52 + 32
        body = struct.pack(order + "HHIIIIIHHHHHH", 3, 3, 1, 0, 52, 0, 0, 52, 32, 1, 0, 0, 0)
        header = struct.pack(order + "IIIIIIII", 4, at, 0, 0, len(notes), len(notes), 4, alignment)
    return (head + body + header).ljust(at, b"\0") + notes


def build_id(data: bytes) -> str:
    from _auditor_probe import objects  # type: ignore[import-not-found]  # on the path in this test only

    found = objects.build_id(lambda offset, size: data[offset : offset + size])
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("at", [0, 100_000])
def test_a_build_id_is_found(order: str, bits: int, at: int) -> None:
    assert build_id(elf(order, bits, note(order, ID), at=at)) == ID.hex()


def test_a_build_id_after_other_notes() -> None:
    notes = note("<", b"x" * 7, kind=1, name=b"Go\0") + note("<", b"", kind=3, name=b"Other\0") + note("<", ID[:8])
    assert build_id(elf("<", 64, notes)) == ID[:8].hex()
    eight = note("<", b"12345678", kind=5, alignment=8) + note("<", ID, alignment=8)
    assert build_id(elf("<", 64, eight, alignment=8)) == ID.hex()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x7fELF",
        b"#!/bin/sh\n" * 20,
        elf("<", 64, note("<", b"", kind=1)),
        elf("<", 64, b"\xff" * 40),
        elf("<", 64, note("<", ID))[:130],
        elf("<", 64, note("<", ID))[:54] + b"\xff\xff\xff\xff" + elf("<", 64, note("<", ID))[58:],
        elf("<", 64, struct.pack("<III", 4, 1 << 31, 3) + NAME),
    ],
)
def test_no_build_id_in_what_is_cut_off_or_none(data: bytes) -> None:
    assert build_id(data) == ""


def test_what_cannot_be_read_is_empty(tmp_path: Path) -> None:
    from _auditor_probe import objects

    assert objects.builds([str(tmp_path / "gone.so"), str(tmp_path), "/proc/self/mem\0"[:14]])[:2] == [["", 0, 0]] * 2


def test_asking_loads_nothing_and_changes_nothing() -> None:
    numpy = pytest.importorskip("numpy")
    from _auditor_probe import numerics, objects

    matrix = numpy.arange(64 * 64, dtype=float).reshape(64, 64) / 7
    before = (matrix @ matrix).tobytes()
    mapped = objects.mapped()[0]
    told = numerics.described(mapped)
    assert numerics.described(mapped) == told
    assert objects.mapped()[0] == mapped
    assert (matrix @ matrix).tobytes() == before
    assert isinstance(told["numpy"], list)


TRAINING = """
import torch, numpy
torch.set_num_threads(1)
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
model(torch.ones(1, 2)).sum().backward()
optimizer.step()
"""


def test_a_process_tells_builds_and_dispatch(watch: Callable[..., Watched]) -> None:
    pytest.importorskip("torch")
    seen = watch(TRAINING, env={"OPENBLAS_NUM_THREADS": "1"})
    assert seen.returncode == 0 and not seen.of(Fault), seen.stderr
    (libraries,) = seen.of(Libraries)
    assert isinstance(libraries, Libraries)
    assert len(libraries.builds) == len(libraries.mapped) > 20
    built = {Path(path).name: build for path, build in zip(libraries.mapped, libraries.builds, strict=True)}
    assert len(built["libtorch_cpu.so"].id) == 40 and built["libtorch_cpu.so"].size > 1 << 20
    for path, build in zip(libraries.mapped, libraries.builds, strict=True):
        status = Path(path).stat()
        assert (build.size, build.modified) == (status.st_size, status.st_mtime_ns), path
    (numerics,) = seen.of(Numerics)
    assert isinstance(numerics, Numerics)
    for one in numerics.openblas:
        assert one.core and one.threads == 1
    assert numerics.numpy is not None
    at_step = next(line for line in seen.of(Torch) if isinstance(line, Torch) and line.at == "step")
    assert parse_threads(str(at_step.facts["parallel"]))["openmp"] == 1
    assert str(at_step.facts["config"]).startswith("PyTorch built with:")
    assert "Build settings" not in str(at_step.facts["config"])
    assert at_step.facts["cuda_initialized"] is False


def test_a_process_without_torch_and_numpy_is_asked_nothing(watch: Callable[..., Watched]) -> None:
    seen = watch("import json\n")
    assert seen.of(Numerics) == []
    assert len(seen.of(Libraries)) == 1


def test_draws_on_an_accelerator_are_known_by_the_offset() -> None:
    """Stands in for torch's CUDA generators, whose states are a seed and an offset of eight bytes each."""
    import sys
    import types

    from _auditor_probe.streams import Streams  # type: ignore[import-not-found]  # on the path in this test only

    class State:
        def __init__(self, data: bytes) -> None:
            self.data = data

        def numpy(self) -> bytes:
            return self.data

    class Generator:
        offset = 0

        def get_state(self) -> State:
            return State((7).to_bytes(8, "little") + self.offset.to_bytes(8, "little"))

    generator = Generator()
    stand_in = types.ModuleType("torch")
    stand_in.default_generator = None  # type: ignore[attr-defined]  # a stand-in
    stand_in.cuda = types.SimpleNamespace(is_initialized=lambda: True, default_generators=[generator])  # type: ignore[attr-defined]  # a stand-in
    streams = Streams(None)
    streams._of_torch = lambda torch: "0" * 16
    real = sys.modules.get("torch")
    sys.modules["torch"] = stand_in
    try:
        assert streams.drawn(streams.states())["torch-cuda"] is False
        generator.offset = 4
        assert streams.drawn(streams.states())["torch-cuda"] is True
    finally:
        if real is None:
            del sys.modules["torch"]
        else:
            sys.modules["torch"] = real
