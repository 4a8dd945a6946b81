"""The identity of data: the same contents have the same digest anywhere, and what cannot be known is not guessed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.fingerprint import data
from auditor.fingerprint.data import Reading
from auditor.fingerprint.inside import NOT_REPORTED
from auditor.records.fingerprint import Fact, Known, Unknown
from auditor.records.trace import Data, DataFile, Hello, ProcessTrace
from auditor.store import build_trace

HELLO = Hello(1, "exec", 1, 0, "train.py", "3.9.1", "cpython", None, None, None, None, None, 0)


def process(*files: DataFile, more: bool = False, role: str = "main") -> ProcessTrace:
    return build_trace(f"{role}.jsonl", role, (HELLO, Data(list(files), more)), None)


def seen(path: Path, name: str) -> DataFile:
    """What the probe tells of a file that is called ``name``."""
    status = path.stat()
    return DataFile(name, status.st_size, status.st_mtime_ns)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    top = tmp_path / "project"
    (top / "data").mkdir(parents=True)
    (top / "data" / "x.csv").write_text("1,2\n", encoding="utf-8")
    (top / "data" / "y.csv").write_text("3,4\n", encoding="utf-8")
    return top


def reading(project: Path, *names: str) -> Reading:
    return Reading(tuple(seen(project / name, name) for name in sorted(names)))


def value(facts: dict[str, Fact], name: str = "data") -> object:
    fact = facts[name]
    assert isinstance(fact, Known), fact
    return fact.value


def test_the_contents_and_the_places_in_the_project_decide(project: Path, tmp_path: Path) -> None:
    names = ("data/x.csv", "data/y.csv")
    first = data.read(reading(project, *names), project, "here")
    assert value(first, "data:files") == 2 and value(first, "data:how") == "whole"
    other = tmp_path / "elsewhere" / "project"
    shutil.copytree(project, other)
    os.utime(other / "data" / "x.csv", ns=(1, 1))
    assert value(data.read(reading(other, *names), other, "here")) == value(first)
    (other / "data" / "y.csv").write_text("3,5\n", encoding="utf-8")
    assert value(data.read(reading(other, *names), other, "here")) != value(first)
    shutil.copy(project / "data" / "y.csv", other / "data" / "y.csv")
    (other / "data" / "y.csv").rename(other / "data" / "z.csv")
    assert value(data.read(reading(other, "data/x.csv", "data/z.csv"), other, "here")) != value(first)
    assert value(data.read(reading(project, "data/x.csv"), project, "here")) != value(first)


def test_outside_the_project_a_file_counts_by_its_own_name(project: Path, tmp_path: Path) -> None:
    digests = []
    for mount in ("mnt", "srv"):
        path = tmp_path / mount / "images.bin"
        path.parent.mkdir()
        path.write_bytes(b"pixels")
        digests.append(value(data.read(Reading((seen(path, str(path)),)), project, "here")))
    assert digests[0] == digests[1]


@pytest.mark.parametrize("where", ["here", "container"])
def test_a_file_that_changed_or_went_is_said(project: Path, where: str) -> None:
    def read(told: Reading) -> dict[str, Fact]:
        return data.read(told, project, where)  # type: ignore[arg-type]  # one of the two

    told = reading(project, "data/x.csv")
    (project / "data" / "x.csv").write_text("1,2\n", encoding="utf-8")
    os.utime(project / "data" / "x.csv", ns=(5, 5))
    assert read(told)["data"] == Unknown("data/x.csv changed after the run had read it")
    (project / "data" / "x.csv").unlink()
    facts = read(told)
    assert isinstance(facts["data"], Unknown) and facts["data"] == facts["data:how"]
    assert facts["data"].reason.startswith("data/x.csv cannot be read any more")
    assert facts["data:files"] == Known(1, "files opened for reading")
    (project / "data" / "x.csv").mkdir()
    assert isinstance(read(told)["data"], Unknown)
    (project / "data" / "x.csv").rmdir()
    os.mkfifo(project / "data" / "x.csv")
    assert isinstance(read(told)["data"], Unknown), "and nothing waits for a pipe"
    (project / "data" / "x.csv").unlink()
    (project / "data" / "x.csv").symlink_to("x.csv")
    assert isinstance(read(told)["data"], Unknown)


def test_links_are_followed_to_the_data(project: Path, tmp_path: Path) -> None:
    real = tmp_path / "real.csv"
    (project / "data" / "x.csv").rename(real)
    (project / "data" / "x.csv").symlink_to(real)
    told = reading(project, "data/x.csv")
    assert isinstance(data.read(told, project, "here")["data"], Known)
    facts = data.read(told, project, "container")
    assert isinstance(facts["data"], Unknown), "in the container the link leads to the image's file"


def test_what_lies_in_an_image_is_left_to_its_id(project: Path, tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"x")
    facts = data.read(Reading((seen(path, str(path)),)), project, "container")
    assert isinstance(facts["data"], Unknown) and "image" in facts["data"].reason
    assert str(tmp_path) not in repr(facts)


def test_a_name_that_leads_out_of_the_project_is_not_followed(project: Path) -> None:
    (project.parent / "secret").write_text("x", encoding="utf-8")
    told = Reading((seen(project.parent / "secret", "data/../../secret"),))
    assert data.read(told, project, "here")["data"] == Unknown("a file's name leads out of the project")


def test_no_data_is_said(project: Path) -> None:
    facts = data.read(data.parse_reading([process()]), project, "here")
    assert (value(facts), value(facts, "data:files"), value(facts, "data:how")) == ("none", 0, "whole")


def test_processes_together_tell_each_file_once() -> None:
    one, two = DataFile("a", 1, 1), DataFile("b", 2, 2)
    assert data.parse_reading([process(one), process(two, one, role="rank 1")]).files == (one, two)
    changed = msgspec.structs.replace(one, modified=9)
    assert (
        data.parse_reading([process(one), process(changed, role="rank 1")]).problem == "a changed while the run read it"
    )


def test_a_process_that_did_not_tell_makes_the_data_unknown(project: Path) -> None:
    silent = build_trace("b.jsonl", "main/worker 0.1", (HELLO,), None)
    told = data.parse_reading([process(DataFile("a", 1, 1)), silent])
    assert told.problem == "main/worker 0.1 ended before it could tell what it read"
    assert set(data.read(told, project, "here").values()) == {Unknown(told.problem)}
    assert data.parse_reading([silent]).problem == NOT_REPORTED
    assert data.parse_reading([]).problem == NOT_REPORTED


def test_large_files_are_sampled_and_it_is_said(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "LARGEST", 600_000)
    path = project / "data" / "big.bin"
    content = bytearray(os.urandom(700_000))
    path.write_bytes(content)
    first = data.read(reading(project, "data/big.bin", "data/x.csv"), project, "here")
    assert value(first, "data:how") == "sampled: 1 of 2 files in part (16 pieces of 16 KiB)"
    content[-1] ^= 1
    path.write_bytes(content)
    assert value(data.read(reading(project, "data/big.bin", "data/x.csv"), project, "here")) != value(first)


def test_the_plan_depends_on_names_and_sizes_alone() -> None:
    files = [DataFile(f"/mnt/{i}.bin", data.LARGEST, i) for i in range(20)]
    moved = [DataFile(f"/other/{i}.bin", data.LARGEST, 0) for i in reversed(range(20))]
    assert [part.whole for part in data.plan(files)] == [part.whole for part in data.plan(moved)]
    whole = sum(part.file.size for part in data.plan(files) if part.whole)
    assert whole == data.BUDGET
    assert [part.whole for part in data.plan([DataFile("a", data.LARGEST + 1, 0), DataFile("b", 0, 0)])] == [
        False,
        True,
    ]


def test_how_many_there_are_is_estimated_where_not_all_are_told() -> None:
    files = [DataFile(f"data/{number}.png", 1, 1) for number in range(40_000)]
    lowest = sorted(files, key=lambda file: data.key(file.name))[: data.MOST]
    told = data.parse_reading([process(*lowest, more=True)])
    assert len(told.files) == data.MOST
    assert told.estimate is not None and 36_000 <= told.estimate <= 44_000
    halves = [
        sorted(files[i::2], key=lambda file: data.key(file.name))[: data.MOST] for i in (0, 1)
    ]  # two workers, each with half of them
    shared = data.parse_reading([process(*halves[0], more=True), process(*halves[1], more=True, role="w")])
    assert shared.files == told.files and shared.estimate == told.estimate


def test_the_estimate_is_said(project: Path) -> None:
    told = msgspec.structs.replace(reading(project, "data/x.csv"), estimate=1_300_000)
    facts = data.read(told, project, "here")
    assert facts["data:files"] == Known(1_300_000, "files opened for reading, estimated from the 1 that are told")
    assert value(facts, "data:how") == "sampled: 1 of about 1300000 files"


@given(st.permutations([("a", 1), ("b/c", 2), ("d", 3), ("/x/e", 4)]))
def test_order_does_not_matter(order: list[tuple[str, int]]) -> None:
    files = [DataFile(name, size, 0) for name, size in order]
    expected = data.parse_reading([process(*(DataFile(n, s, 0) for n, s in sorted(order)))])
    assert data.parse_reading([process(*files)]) == expected
    assert data.parse_reading([process(*files[:2]), process(*files[2:], role="w")]) == expected
