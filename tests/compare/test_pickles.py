"""Pickles made to do harm: nothing in them runs, and none takes the auditor down."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.compare import checkpoints, pickles
from auditor.compare.tensors import Unreadable


class Evil:
    """Runs a command when unpickled by anything that executes."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


class Subtle(Evil):
    def __reduce__(self) -> Any:
        return eval, (f"open({str(self.marker)!r}, 'w').close()",)


class Spawned(Evil):
    def __reduce__(self) -> Any:
        return subprocess.Popen, (["touch", str(self.marker)],)


class Fetched(Evil):
    def __reduce__(self) -> Any:
        return getattr, (io.StringIO, "write")


class Stateful(Evil):
    def __reduce__(self) -> Any:
        return object, (), None, iter([Evil(self.marker)]), iter([("a", Subtle(self.marker))])


def in_torch_zip(data: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("archive/data.pkl", data)
        archive.writestr("archive/version", "3\n")
    return stream.getvalue()


@pytest.mark.parametrize("kind", [Evil, Subtle, Spawned, Fetched, Stateful])
@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
@pytest.mark.parametrize("wrap", [bytes, in_torch_zip])
def test_nothing_is_ever_executed(tmp_path: Path, kind: type[Evil], protocol: int, wrap: Any) -> None:
    marker = tmp_path / "executed"
    data = pickle.dumps({"w": kind(marker), "n": 1}, protocol=protocol)
    path = tmp_path / "model.pkl"
    path.write_bytes(wrap(data))
    found = checkpoints.read(path)
    assert found.values["n"] == 1
    assert found.tensors == {}
    assert not marker.exists()
    # The file is as dangerous as it is meant to be, or the test shows nothing.
    if kind in (Evil, Subtle) and wrap is bytes:
        pickle.loads(data)
        assert marker.exists()


def test_what_would_be_called_is_kept_as_data() -> None:
    root = pickles.load(pickles.Reader(memoryview(pickle.dumps(Evil(Path("x")), protocol=2))))
    assert isinstance(root, pickles.Instance)
    assert str(root.callee).endswith("system")
    assert root.arguments == ("touch x",)


HOSTILE = {
    "deep lists": b"\x80\x04" + b"]" * 50_000 + b"a" * 49_999 + b".",
    "deep tuples": b"\x80\x04)" + b"\x85" * 100_000 + b".",
    "deep calls": b"\x80\x02" + b"cos\nsystem\n" * 20_000 + b"N" + b"\x85R" * 20_000 + b".",
    "huge bytes": b"\x80\x05\x8e" + struct.pack("<Q", 1 << 60) + b".",
    "huge bytearray": b"\x80\x05\x96" + struct.pack("<Q", 1 << 40) + b".",
    "huge text": b"\x80\x04\x8d" + struct.pack("<Q", 1 << 50) + b".",
    "huge frame": b"\x80\x04\x95" + struct.pack("<Q", 1 << 62) + b"N",
    "no end": b"\x80\x02N",
    "nothing": b"\x80\x02.",
    "only a mark": b"\x80\x02(.",
    "no mark": b"\x80\x02e.",
    "append to nothing": b"\x80\x02a.",
    "unknown memo": b"\x80\x02h\x09.",
    "unknown operation": b"\x80\x02\xff.",
    "set on a text": b"\x80\x02X\x01\x00\x00\x00aX\x01\x00\x00\x00bNs.",
    "odd items": b"\x80\x02}(Nu.",
    "name is no text": b"\x80\x04NN\x93.",
    "short tuple": b"\x80\x02\x87.",
    "buffer elsewhere": b"\x80\x05\x97.",
    "build on a number": b"\x80\x02K\x01K\x02b.",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_pickles_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(Unreadable) as caught:
        checkpoints.read(path)
    assert str(caught.value)


HARMLESS = {
    "a list in itself": b"\x80\x02]q\x00h\x00a.",
    "an enormous memo index": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "a deep tuple as a key": b"\x80\x04}()" + b"\x85" * 100_000 + b"Nu.",
    "doubling": b"\x80\x02]q\x00" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(200)) + b".",
    "an extension code": b"\x80\x02\x82\x07.",
    "a dictionary in itself": b"\x80\x02}q\x00(K\x01h\x00u.",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_would_overflow_another_reader_is_bounded(name: str, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(HARMLESS[name])
    found = checkpoints.read(path)
    assert len(found.values) < 1000


def test_too_many_operations_and_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 100)
    path.write_bytes(b"\x80\x02" + b"N0" * 100 + b"N.")
    with pytest.raises(Unreadable, match="100 operations"):
        checkpoints.read(path)
    monkeypatch.setattr(pickles, "MAX_OPERATIONS", 10_000)
    monkeypatch.setattr(pickles, "MAX_LEAVES", 50)
    path.write_bytes(pickle.dumps(list(range(100)), protocol=2))
    with pytest.raises(Unreadable, match="50 values"):
        checkpoints.read(path)


def archive(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as packed:
        for name, data in members.items():
            packed.writestr(name, data)
    return stream.getvalue()


def test_zip_bombs_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_MAX_UNPACKED", 1 << 16)
    path = tmp_path / "a.pt"
    path.write_bytes(archive({"a/data.pkl": pickle.dumps(1), "a/data/0": b"\0" * (1 << 20)}))
    with pytest.raises(Unreadable, match="unpacks to more"):
        checkpoints.read(path)
    lying = bytearray(archive({"a/data.pkl": b"\0" * (1 << 20)}))
    directory = lying.rfind(b"PK\x01\x02")
    lying[directory + 24 : directory + 28] = struct.pack("<I", 100)  # the size it claims to unpack to
    path.write_bytes(lying)
    with pytest.raises(Unreadable, match="another size"):
        checkpoints.read(path)


def test_a_compressed_stream_is_never_unpacked_beyond_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bz2
    import gzip
    import lzma
    import zlib

    monkeypatch.setattr(checkpoints, "_MAX_UNPACKED", 1 << 16)
    for pack in (gzip.compress, bz2.compress, lzma.compress, zlib.compress):
        path = tmp_path / "a.joblib"
        path.write_bytes(pack(b"\0" * (1 << 20)))
        with pytest.raises(Unreadable, match="unpacks to more"):
            checkpoints.read(path)
        path.write_bytes(pack(pickle.dumps({"n": 3})))
        assert checkpoints.read(path).values["n"] == 3
        path.write_bytes(pack(pickle.dumps({"n": 3}))[:-3])
        with pytest.raises(Unreadable):
            checkpoints.read(path)


def test_a_tensor_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"w": torch.zeros(1000, 3)}, tmp_path / "a.pt")
    data = (tmp_path / "a.pt").read_bytes()
    # The shape (1000, 3) in the pickle becomes (65000, 3): K\x03 stays, M\xe8\x03 is 1000.
    assert data.count(b"M\xe8\x03K\x03\x86") == 1
    (tmp_path / "a.pt").write_bytes(data.replace(b"M\xe8\x03K\x03\x86", b"M\xe8\xfdK\x03\x86"))
    with pytest.raises(Unreadable, match="beyond its storage"):
        checkpoints.compare(tmp_path / "a.pt", tmp_path / "a.pt", lambda name: "")


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
        | st.sets(st.integers() | st.text(max_size=3), max_size=4)
    ),
    max_leaves=20,
)


@given(plain, st.integers(0, pickle.HIGHEST_PROTOCOL))
def test_plain_data_is_read_as_it_is_and_equals_itself(tmp_path_factory: Any, value: Any, protocol: int) -> None:
    path = tmp_path_factory.mktemp("plain") / "a.pkl"
    path.write_bytes(pickle.dumps({"x": value}, protocol=protocol))
    found = checkpoints.compare(path, path, lambda name: "")
    assert (found.first, found.words) == ("", 0)
    if isinstance(value, (int, str, bytes)) or value is None:
        assert checkpoints.read(path).values["x"] == value


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        root = pickles.load(pickles.Reader(memoryview(b"\x80\x02" + data)))
        assert sum(1 for _ in pickles.leaves(root)) <= pickles.MAX_LEAVES
    except Unreadable as error:
        assert str(error)
