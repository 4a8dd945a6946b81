"""Which shared objects were mapped: builds from inside, digests from this machine's files where they are the same."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import pytest

from auditor import fingerprint
from auditor.fingerprint import objects
from auditor.fingerprint.inside import NOTHING, Inside
from auditor.records.fingerprint import Fingerprint, Known, Unknown
from auditor.records.trace import Build

ELSEWHERE = Unknown("not read on the machine of the audit")


def build(path: Path, identity: str = "") -> Build:
    status = path.stat()
    return Build(identity, status.st_size, status.st_mtime_ns)


def inside(builds: dict[str, Build]) -> Inside:
    return msgspec.structs.replace(NOTHING, mapped=tuple(builds), builds=builds)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    path = tmp_path / "libx.so.1"
    path.write_bytes(b"\x7fELF and so on")
    return path


def test_a_whole_file(library: Path) -> None:
    builds = {str(library): build(library, "abc")}
    digest = f"sha256:{hashlib.sha256(library.read_bytes()).hexdigest()}"
    assert objects.read_digests(builds) == {str(library): digest}
    facts = objects.facts(inside(builds), objects.read_digests(builds))
    assert facts == {"object:libx.so.1": Known(("build-id:abc", digest), "the file mapped in /proc/self/maps")}


def test_another_file_in_its_place_is_not_it(library: Path) -> None:
    builds = {str(library): build(library, "abc")}
    os.utime(library, ns=(1, 1))
    assert objects.read_digests(builds) == {}
    library.unlink()
    assert objects.read_digests(builds) == {}
    os.mkfifo(library)
    assert objects.read_digests(builds) == {}
    value = objects.facts(inside(builds), {})["object:libx.so.1"]
    assert value == Known(("build-id:abc",), "the file mapped in /proc/self/maps")
    unnamed = {str(library): Build("", 5, 5)}
    told = objects.facts(inside(unnamed), objects.read_digests(unnamed))["object:libx.so.1"]
    assert told == Unknown("it has no build id, and does not lie here as it was mapped")


def test_only_where_the_run_had_the_files_from(library: Path, tmp_path: Path) -> None:
    builds = {str(library): build(library)}
    assert objects.read_digests(builds, (tmp_path / "project",)) == {}
    assert set(objects.read_digests(builds, (tmp_path,))) == {str(library)}
    assert objects.read_digests(builds, ()) == {}


def test_large_files_are_known_by_their_builds_or_sampled(library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "LARGEST", 1000)
    large = library.with_name("liblarge.so")
    content = bytearray(os.urandom(400_000))
    large.write_bytes(content)
    named, unnamed = {str(large): build(large, "abc")}, {str(large): build(large)}
    assert objects.read_digests(named) == {}
    first = objects.read_digests(unnamed)[str(large)]
    assert first.startswith("sampled:")
    content[0] ^= 1
    large.write_bytes(content)
    assert objects.read_digests({str(large): build(large)})[str(large)] != first


def test_the_budget_is_spent_in_the_order_of_the_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "BUDGET", 600_000)
    paths = [tmp_path / f"lib{i}.so" for i in range(3)]
    for path in paths:
        path.write_bytes(bytes(400_000))
    builds = {str(path): build(path, "abc" if path.name == "lib1.so" else "") for path in reversed(paths)}
    kinds = {Path(path).name: digest.partition(":")[0] for path, digest in objects.read_digests(builds).items()}
    assert kinds == {"lib0.so": "sha256", "lib2.so": "sampled"}


def test_objects_of_one_name_have_one_fact() -> None:
    builds = {"/a/_C.so": Build("bbb", 1, 1), "/b/_C.so": Build("aaa", 1, 1), "/c/x.so (deleted)": Build("", 0, 0)}
    facts = objects.facts(inside(builds), {})
    assert facts["object:_C.so"] == Known(("build-id:aaa", "build-id:bbb"), "the file mapped in /proc/self/maps")
    assert isinstance(facts["object:x.so"], Unknown)


def test_no_process_no_objects() -> None:
    assert objects.facts(NOTHING, {}) == {}


def stored(**facts: tuple[str, ...]) -> Fingerprint:
    source = "the file mapped in /proc/self/maps"
    layers = {"libraries": {f"object:{name}": Known(parts, source) for name, parts in facts.items()}}
    return Fingerprint("auditor.fingerprint/1", layers)  # type: ignore[arg-type]  # facts of one kind


def completed(recomputed: tuple[str, ...] | Unknown, then: tuple[str, ...]) -> object:
    now = stored(x=()) if isinstance(recomputed, Unknown) else stored(x=recomputed)
    if isinstance(recomputed, Unknown):
        now.layers["libraries"]["object:x"] = recomputed
    fact = fingerprint._with_machine(now, stored(x=then)).layers["libraries"]["object:x"]
    return fact.value if isinstance(fact, Known) else fact


def test_recomputed_the_digests_are_those_of_the_audit_and_the_builds_those_of_the_traces() -> None:
    then = ("build-id:abc", "sha256:def")
    assert completed(("build-id:abc",), then) == then
    assert completed(ELSEWHERE, ("sha256:def",)) == ("sha256:def",)
    # Builds are told by the traces: a stored fact that says otherwise counts for nothing.
    assert completed(("build-id:abc",), ("build-id:xyz", "sha256:def")) == ("build-id:abc",)
    assert completed(("build-id:abc",), ("build-id:abc", "build-id:xyz")) == ("build-id:abc",)
