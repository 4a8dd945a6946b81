"""Checkpoints as programs really write them, opened without torch and without executing anything."""

from __future__ import annotations

import decimal
import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from auditor.compare import checkpoints
from auditor.compare.tensors import Tensor, Unreadable, difference


def nothing(name: str) -> str:
    return ""


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def tensor(values: Any, dtype: str | None = None) -> Tensor:
    array = np.asarray(values) if dtype is None else np.asarray(values, dtype)
    return Tensor(array.dtype.name, array.shape, lambda: array)


def arrays() -> st.SearchStrategy[Any]:
    kinds = st.one_of(hnp.floating_dtypes(endianness="<"), hnp.integer_dtypes(endianness="<"), hnp.boolean_dtypes())
    return hnp.arrays(kinds, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4))


@given(arrays())
def test_a_tensor_equals_itself(values: Any) -> None:
    assert difference(tensor(values), tensor(values.copy())) is None


@given(arrays(), st.data())
def test_one_flipped_bit_is_a_difference_either_way_round(values: Any, data: st.DataObject) -> None:
    if values.size == 0 or values.dtype == bool or values.dtype.itemsize > 8:
        return
    raw = bytearray(np.ascontiguousarray(values).tobytes())
    position = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[position // 8] ^= 1 << (position % 8)
    other = np.frombuffer(bytes(raw), values.dtype).reshape(values.shape)
    forth, back = difference(tensor(values), tensor(other)), difference(tensor(other), tensor(values))
    assert forth is not None
    assert forth == back


def test_negative_zero_nan_and_infinities() -> None:
    assert difference(tensor([np.nan, np.inf]), tensor([np.nan, np.inf])) is None
    zero = difference(tensor([0.0, 1.0]), tensor([-0.0, 1.0]))
    assert zero is not None
    assert zero.max_abs_difference == 0.0
    assert "sign of zero" in zero.reason
    for one, two in (([np.nan], [1.0]), ([np.inf], [1.0]), ([np.inf], [-np.inf])):
        found = difference(tensor(one), tensor(two))
        assert found is not None
        assert found.max_abs_difference is None
        assert "NaN or infinite" in found.reason
    payload = np.array([0x7FF8000000000001], np.uint64).view(np.float64)
    found = difference(tensor([np.nan]), Tensor("float64", (1,), lambda: payload))
    assert found is not None
    assert found.max_abs_difference is None


def test_a_permutation_of_rows_that_leaves_every_sum_equal_differs() -> None:
    rows = np.arange(12.0).reshape(4, 3)
    found = difference(tensor(rows), tensor(rows[[1, 0, 2, 3]]))
    assert found is not None
    assert found.max_abs_difference == 3.0


def test_shape_and_type_count() -> None:
    found = difference(tensor([1.0, 2.0]), tensor([[1.0, 2.0]]))
    assert found is not None
    assert "[2]" in found.reason
    assert difference(tensor([1], "int64"), tensor([1], "int32")) is not None


@given(st.integers(0, 255), st.sampled_from(["float8_e4m3fn", "float8_e5m2", "bfloat16"]))
def test_types_that_numpy_lacks_mean_what_torch_says(code: int, name: str) -> None:
    torch = pytest.importorskip("torch")
    width = np.uint16 if name == "bfloat16" else np.uint8
    raw = np.array([code if width is np.uint8 else code << 8], width)
    expected = float(torch.from_numpy(raw).view(getattr(torch, name)).float()[0])
    one = Tensor(name, (1,), lambda: raw)
    found = difference(one, Tensor(name, (1,), lambda: np.zeros(1, width)))
    if code == 0:
        assert found is None
    else:
        assert found is not None
        finite = np.isfinite(expected)
        assert found.max_abs_difference == (abs(expected) if finite else None)


# -- files that torch writes ------------------------------------------------------------------------------------


def torch_things(torch: Any, seed: int = 0) -> dict[str, Any]:
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    adam = torch.optim.Adam(model.parameters())
    model(torch.randn(5, 4)).sum().backward()
    adam.step()
    return {
        "model": model.state_dict(),
        "optimizer": adam.state_dict(),
        "epoch": 3,
        "note": "first",
        "half": torch.randn(3).half(),
        "transposed": torch.randn(3, 2).bfloat16().t(),
        "sliced": torch.arange(20.0)[3:17:2],
        "numpy": np.arange(5),
        "scalar": np.float32(2),
        "eight": torch.randn(4).to(torch.float8_e4m3fn),
        "expanded": torch.ones(1).expand(10),
        "empty": torch.empty(0, 3),
        "unsigned": torch.arange(3).to(torch.uint16),
        "parameter": torch.nn.Parameter(torch.randn(2)),
        "complex": torch.randn(2, dtype=torch.complex64),
        "sparse": torch.eye(3).to_sparse(),
        "tuple": (1, 2.5, None, True),
    }


@pytest.mark.parametrize("zipped", [True, False])
def test_a_torch_checkpoint_is_read_as_torch_reads_it(tmp_path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    things = torch_things(torch)
    path = tmp_path / "a.pt"
    torch.save(things, path, _use_new_zipfile_serialization=zipped)
    found = checkpoints.read(path)
    for name in ("half", "sliced", "expanded", "empty", "unsigned", "parameter", "complex", "transposed", "eight"):
        expected = things[name].detach()
        assert found.tensors[name].shape == tuple(expected.shape)
        if expected.dtype == torch.bfloat16:
            raw = expected.contiguous().view(torch.uint16).numpy()
        elif expected.dtype == torch.float8_e4m3fn:
            raw = expected.view(torch.uint8).numpy()
        else:
            raw = expected.numpy()
        np.testing.assert_array_equal(np.broadcast_to(found.tensors[name].load(), raw.shape), raw)
    for name, value in things["model"].items():
        np.testing.assert_array_equal(found.tensors[f"model.{name}"].load(), value.numpy())
    np.testing.assert_array_equal(found.tensors["numpy"].load(), np.arange(5))
    assert found.tensors["scalar"].load() == np.float32(2)
    assert "optimizer.state.0.exp_avg" in found.tensors
    assert found.values["epoch"] == 3
    assert found.values["tuple.3"] is True
    assert any(name.startswith("sparse") for name in found.tensors)


def test_the_two_formats_of_torch_compare_equal_and_a_change_is_found(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    things = torch_things(torch)
    new, old = tmp_path / "new.pt", tmp_path / "old.pt"
    torch.save(things, new)
    torch.save(things, old, _use_new_zipfile_serialization=False)
    found = checkpoints.compare(new, old, nothing)
    assert (found.first, found.differing, found.words) == ("", 0, 0)
    assert found.tensors == len(checkpoints.read(new).tensors) > 25
    things["model"]["0.bias"] = things["model"]["0.bias"] + torch.tensor([0.0, 0.5, 0.0])
    things["note"] = "second"
    torch.save(things, old, _use_new_zipfile_serialization=False)
    found = checkpoints.compare(new, old, nothing)
    assert (found.first, found.differing, found.words) == ("model.0.bias", 1, 1)
    assert found.max_abs_difference == pytest.approx(0.5)


def test_a_whole_module_is_read_without_its_class(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = torch.nn.LSTM(3, 2)
    torch.save(module, tmp_path / "m.pt")
    assert len(checkpoints.read(tmp_path / "m.pt").tensors) == 4


def test_two_saves_of_one_state_are_equal_though_their_bytes_are_not(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    state = torch_things(torch)["model"]
    torch.save(state, tmp_path / "first.pt")
    torch.save(state, tmp_path / "second.pt")
    assert (tmp_path / "first.pt").read_bytes() != (tmp_path / "second.pt").read_bytes()
    assert checkpoints.compare(tmp_path / "first.pt", tmp_path / "second.pt", nothing).first == ""


def test_an_empty_state_is_no_evidence(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"model": {}, "epoch": 1}, tmp_path / "a.pt")
    found = checkpoints.compare(tmp_path / "a.pt", tmp_path / "a.pt", nothing)
    assert (found.tensors, found.first) == (0, "")
    torch.save({"rng": torch.get_rng_state()}, tmp_path / "b.pt")
    assert checkpoints.compare(tmp_path / "b.pt", tmp_path / "b.pt", nothing).tensors == 0


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("keep", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_truncated_checkpoint_is_unreadable(tmp_path: Path, zipped: bool, keep: float) -> None:
    torch = pytest.importorskip("torch")
    torch.save(torch_things(torch), tmp_path / "a.pt", _use_new_zipfile_serialization=zipped)
    data = (tmp_path / "a.pt").read_bytes()
    path = write(tmp_path / "b.pt", data[: int(len(data) * keep)])
    with pytest.raises(Unreadable):
        checkpoints.compare(path, path, nothing)


@given(st.data())
def test_a_checkpoint_with_a_flipped_byte_is_read_or_refused(tmp_path_factory: Any, data: st.DataObject) -> None:
    torch = pytest.importorskip("torch")
    stream = io.BytesIO()
    torch.save({"w": torch.arange(4.0), "n": 3}, stream, _use_new_zipfile_serialization=data.draw(st.booleans()))
    raw = bytearray(stream.getvalue())
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] = data.draw(st.integers(0, 255))
    path = write(tmp_path_factory.mktemp("flip") / "a.pt", bytes(raw))
    try:
        found = checkpoints.compare(path, path, nothing)
    except Unreadable as error:
        assert str(error)
    else:
        assert found.first == ""


# -- NumPy, pickle, safetensors ---------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_arrays_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    values = {
        "c": np.arange(6.0).reshape(2, 3),
        "f": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "big": np.arange(3, dtype=">f4"),
        "bool": np.array([True, False]),
        "row": np.array([(1, 2.5)], dtype=[("a", "i4"), ("b", "f8")]),
        "zero": np.empty((0, 3)),
        "scalar": np.float64(4),
        "objects": np.array([np.arange(2), "x"], dtype=object),
        "random": np.random.RandomState(3),
        "bytes": b"\x00\xff",
        "set": {"b", "a"},
    }
    path = write(tmp_path / "a.pkl", pickle.dumps(values, protocol=protocol))
    found = checkpoints.read(path)
    np.testing.assert_array_equal(found.tensors["c"].load(), values["c"])
    np.testing.assert_array_equal(found.tensors["f"].load(), values["f"])
    np.testing.assert_array_equal(found.tensors["big"].load(), values["big"])
    assert found.tensors["row"].load().tobytes() == values["row"].tobytes()
    np.testing.assert_array_equal(found.tensors["objects.0"].load(), [0, 1])
    assert found.values["objects.1"] == "x"
    assert found.values["bytes"] == b"\x00\xff"
    assert (found.values["set.0"], found.values["set.1"]) == ("a", "b")
    assert any(name.startswith("random") for name in found.tensors)
    assert checkpoints.compare(path, path, nothing).first == ""


@pytest.mark.parametrize("packed", [False, True])
def test_numpy_archives(tmp_path: Path, packed: bool) -> None:
    save = np.savez_compressed if packed else np.savez
    save(tmp_path / "a.npz", w=np.arange(4.0), b=np.zeros((2, 2)))
    save(tmp_path / "b.npz", w=np.arange(4.0), b=np.array([[0.0, 0.0], [0.0, 2.0]]))
    found = checkpoints.compare(tmp_path / "a.npz", tmp_path / "b.npz", nothing)
    assert (found.tensors, found.first, found.max_abs_difference) == (2, "b", 2.0)


def test_numpy_files(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(4.0))
    np.save(tmp_path / "b.npy", np.arange(4.0) + 1)
    np.save(tmp_path / "o.npy", np.array([1, "a", None], dtype=object))
    found = checkpoints.compare(tmp_path / "a.npy", tmp_path / "b.npy", nothing)
    assert (found.first, found.max_abs_difference) == ("the array", 1.0)
    assert checkpoints.read(tmp_path / "o.npy").values["0"] == 1
    cut = write(tmp_path / "c.npy", (tmp_path / "a.npy").read_bytes()[:-1])
    with pytest.raises(Unreadable, match="truncated"):
        checkpoints.read(cut)


def test_a_zip_of_checkpoints_is_opened_as_stable_baselines_writes_them(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    inner = io.BytesIO()
    torch.save({"layer.weight": torch.arange(3.0)}, inner)
    with zipfile.ZipFile(tmp_path / "ppo.zip", "w") as archive:
        archive.writestr("data", '{"start_time": 1}')
        archive.writestr("policy.pth", inner.getvalue())
    found = checkpoints.read(tmp_path / "ppo.zip")
    assert list(found.tensors) == ["policy.pth.layer.weight"]
    assert checkpoints.is_checkpoint(tmp_path / "ppo.zip")
    with zipfile.ZipFile(tmp_path / "plain.zip", "w") as archive:
        archive.writestr("readme.txt", "x")
    assert not checkpoints.is_checkpoint(tmp_path / "plain.zip")


def safetensors(header: Any, data: bytes) -> bytes:
    encoded = header if isinstance(header, bytes) else msgspec.json.encode(header)
    return struct.pack("<Q", len(encoded)) + encoded + data


def test_safetensors_as_the_library_writes_them(tmp_path: Path) -> None:
    numpy_side = pytest.importorskip("safetensors.numpy")
    values = {"a": np.arange(3, dtype=np.float32), "b": np.array([[True]]), "s": np.array(2.0)}
    numpy_side.save_file(values, tmp_path / "a.safetensors", metadata={"format": "pt"})
    found = checkpoints.read(tmp_path / "a.safetensors")
    assert set(found.tensors) == {"a", "b", "s"}
    for name, value in values.items():
        np.testing.assert_array_equal(found.tensors[name].load(), value)
    assert found.values["__metadata__.format"] == "pt"


def test_safetensors_with_bfloat16(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch_side = pytest.importorskip("safetensors.torch")
    torch_side.save_file({"w": torch.tensor([1.0, 2.0]).bfloat16()}, tmp_path / "a.safetensors")
    torch_side.save_file({"w": torch.tensor([1.0, 2.5]).bfloat16()}, tmp_path / "b.safetensors")
    found = checkpoints.compare(tmp_path / "a.safetensors", tmp_path / "b.safetensors", nothing)
    assert (found.first, found.max_abs_difference) == ("w", 0.5)


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 7,
        struct.pack("<Q", 1 << 60) + b"{}",
        safetensors(b"[]", b""),
        safetensors(b"{", b""),
        safetensors(b"[" * 50_000, b""),
        safetensors({"w": 3}, b""),
        safetensors({"w": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}, b"\0" * 4),
        safetensors({"w": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}, b"\0" * 4),
        safetensors({"w": {"dtype": "F32", "shape": [1 << 60], "data_offsets": [0, 4]}}, b"\0" * 4),
        safetensors({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 400]}}, b"\0" * 4),
        safetensors({"w": {"dtype": "F32", "shape": [1], "data_offsets": [-4, 0]}}, b"\0" * 4),
    ],
)
def test_damaged_safetensors_are_unreadable(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(Unreadable):
        checkpoints.read(write(tmp_path / "a.safetensors", data))


# -- what decides beside tensors --------------------------------------------------------------------------------


def test_numbers_decide_texts_do_not_and_times_do_neither(tmp_path: Path) -> None:
    def dump(name: str, **values: Any) -> Path:
        return write(tmp_path / name, pickle.dumps({"w": np.ones(2), **values}))

    from auditor.compare.names import volatile_reason

    one = dump("a.pkl", best=0.5, path="/tmp/a", elapsed_seconds=3.0)
    found = checkpoints.compare(one, dump("b.pkl", best=0.5, path="/tmp/b", elapsed_seconds=4.0), volatile_reason)
    assert (found.first, found.words) == ("", 1)
    assert len(found.volatile) == 1
    assert found.volatile[0].startswith("elapsed_seconds")
    found = checkpoints.compare(one, dump("c.pkl", best=0.75, path="/tmp/a", elapsed_seconds=3.0), volatile_reason)
    assert (found.first, found.max_abs_difference) == ("best", 0.25)
    found = checkpoints.compare(one, dump("d.pkl", best=None, path="/tmp/a", elapsed_seconds=3.0), volatile_reason)
    assert found.first == "best"
    found = checkpoints.compare(
        one, dump("e.pkl", best=0.5, path="/tmp/a", elapsed_seconds=3.0, extra=np.ones(1)), nothing
    )
    assert found.first == "extra"


def test_a_model_pickled_as_bytes_that_differ_is_never_taken_for_a_text(tmp_path: Path) -> None:
    one = write(tmp_path / "a.pkl", pickle.dumps({"handle": bytearray(b"a" * 100)}))
    two = write(tmp_path / "b.pkl", pickle.dumps({"handle": bytearray(b"b" * 100)}))
    assert checkpoints.compare(one, two, nothing).opaque == ("handle",)


def test_tensors_the_user_ignores_are_left_out(tmp_path: Path) -> None:
    one = write(tmp_path / "a.pkl", pickle.dumps({"w": np.ones(2), "buffer": np.ones(2)}))
    two = write(tmp_path / "b.pkl", pickle.dumps({"w": np.ones(2), "buffer": np.zeros(2)}))
    found = checkpoints.compare(one, two, nothing, lambda name: name == "buffer")
    assert (found.first, found.tensors) == ("", 1)
    assert found.volatile == ("buffer: ignored by the user",)


def test_a_number_that_is_pickled_as_text_decides(tmp_path: Path) -> None:
    one, two = tmp_path / "one.pkl", tmp_path / "two.pkl"
    one.write_bytes(pickle.dumps({"acc": decimal.Decimal("0.75"), "f1": "0.5", "name": "x", "n": "1.0"}))
    two.write_bytes(pickle.dumps({"acc": decimal.Decimal("0.5"), "f1": "0.25", "name": "y", "n": "1.00"}))
    found = checkpoints.compare(one, two, lambda name: "")
    assert found.first.startswith("acc")
    assert (found.differing, found.max_abs_difference, found.words) == (2, 0.25, 2)
