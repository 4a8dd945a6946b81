"""The evidence directory: what is written can be read back, and what is damaged is said to be."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from pathlib import Path

import msgspec
import pytest

from auditor.errors import AuditorError, EvidenceError, UsageError
from auditor.records.run import Artefact, Ending, Isolation, RunRecord
from auditor.store import HOME, Header, Plan, Store, audit_id, parse_trace, remove_tree

HELLO = (
    b'{"t":"hello","protocol":1,"kind":"exec","pid":10,"ppid":1,"label":"train.py","python":"3.11.7",'
    b'"implementation":"cpython","hash_seed":"1001","rank":null,"local_rank":null,"parent":null,"child":null,"ns":5}\n'
)
END = b'{"t":"end","why":"exit","steps":0,"backwards":0,"digested":0,"probe_ns":7,"ns":9}\n'


def record(number: int, artefacts: tuple[Artefact, ...] = (), unsaved: tuple[str, ...] = ()) -> RunRecord:
    """A run that ended well."""
    return RunRecord(
        number=number,
        seed=1,
        command=("python", "train.py"),
        executor="local",
        isolation=Isolation("overlay"),
        image=None,
        varied={},
        started="2024-01-01T00:00:00+00:00",
        seconds=1.0,
        ending=Ending("ok", 0),
        artefacts=artefacts,
        unsaved=unsaved,
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """An empty evidence directory in a project."""
    return Store.create(None, tmp_path, ("python", "train.py"))


def sealed(store: Store, contents: bytes = b"1.5\n") -> Path:
    """Run 1 with one trace and one artefact; returns its directory."""
    paths = store.begin_run(1)
    (paths.trace / "10-5.jsonl").write_bytes(HELLO + END)
    (paths.artefacts / "out").mkdir()
    (paths.artefacts / "out" / "results.txt").write_bytes(contents)
    paths.stdout.write_bytes(b"")
    paths.stderr.write_bytes(b"")
    digest = hashlib.sha256(contents).hexdigest()
    store.finish_run(record(1, (Artefact("out/results.txt", len(contents), digest),)))
    return paths.root


def test_the_id_is_utc_time_and_a_digest_of_the_command() -> None:
    assert audit_id(1_700_000_000 * 10**9 + 5, ("a", "b")) == audit_id(1_700_000_000 * 10**9, ("a", "b"))
    assert audit_id(1_700_000_000 * 10**9, ("a", "b")).startswith("20231114T221320Z-")
    assert audit_id(0, ("a", "b")) != audit_id(0, ("ab",))


def test_an_audit_is_made_in_the_project_and_kept_out_of_its_repository(store: Store, tmp_path: Path) -> None:
    assert store.path == tmp_path / HOME / store.id
    assert (tmp_path / HOME / ".gitignore").read_text() == "*\n"
    assert Store.open(store.path).header == store.header


def test_two_audits_in_one_second_get_two_directories(tmp_path: Path) -> None:
    made = {Store.create(None, tmp_path, ("a",)).path for _ in range(3)}
    assert len(made) == 3


def test_out_names_the_directory_itself(tmp_path: Path) -> None:
    store = Store.create(tmp_path / "deep" / "audit", tmp_path, ("a",))
    assert store.path == tmp_path / "deep" / "audit"
    assert Store.open(store.path).id == store.id


def test_evidence_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("precious")
    with pytest.raises(UsageError) as caught:
        Store.create(tmp_path / "out", tmp_path, ("a",))
    assert caught.value.slug == "out-not-empty"
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError) as caught:
        Store.create(tmp_path / "file", tmp_path, ("a",))
    assert caught.value.slug == "out-not-empty"


@pytest.mark.parametrize("out", [".", ".."])
def test_out_must_not_hold_the_project(tmp_path: Path, out: str) -> None:
    project = tmp_path / "project"
    project.mkdir()
    with pytest.raises(UsageError) as caught:
        Store.create(project / out, project, ("a",))
    assert caught.value.slug == "out-holds-project"


def test_what_is_not_text_is_refused(tmp_path: Path) -> None:
    for word in ("\udcff", "a\0b"):
        with pytest.raises(UsageError) as caught:
            Store.create(None, tmp_path, ("python", word))
        assert caught.value.slug == "not-text"


def test_where_no_evidence_is_the_audits_nearby_are_named(store: Store, tmp_path: Path) -> None:
    with pytest.raises(EvidenceError) as caught:
        Store.open(tmp_path / HOME)
    assert caught.value.slug == "evidence-not-found"
    assert store.id in caught.value.remedy
    with pytest.raises(EvidenceError):
        Store.open(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "contents",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"schema":"auditor.evidence/1"}',
        b'{"schema":1}',
        b'{"schema":"\xff"}',
    ],
)
def test_a_damaged_header_is_said_to_be(store: Store, contents: bytes) -> None:
    (store.path / "evidence.json").write_bytes(contents)
    with pytest.raises(EvidenceError) as caught:
        Store.open(store.path)
    assert caught.value.slug == "damaged-evidence"


def test_a_header_of_another_version_is_refused(store: Store) -> None:
    header = msgspec.structs.replace(store.header, schema="auditor.evidence/2")
    (store.path / "evidence.json").write_bytes(msgspec.json.encode(header))
    with pytest.raises(EvidenceError, match=r"auditor\.evidence/2"):
        Store.open(store.path)


def test_links_and_pipes_are_not_evidence(store: Store, tmp_path: Path) -> None:
    (tmp_path / "elsewhere.json").write_bytes(msgspec.json.encode(store.header))
    (store.path / "evidence.json").unlink()
    (store.path / "evidence.json").symlink_to(tmp_path / "elsewhere.json")
    with pytest.raises(EvidenceError):
        Store.open(store.path)
    (store.path / "evidence.json").unlink()
    os.mkfifo(store.path / "evidence.json")
    with pytest.raises(EvidenceError, match="not a regular file"):
        Store.open(store.path)


def test_runs_as_a_link_is_damage(store: Store, tmp_path: Path) -> None:
    (store.path / "runs").rmdir()
    (tmp_path / "other").mkdir()
    (store.path / "runs").symlink_to(tmp_path / "other")
    with pytest.raises(EvidenceError):
        Store.open(store.path)


def test_a_run_is_complete_once_its_record_is_written(store: Store) -> None:
    store.begin_run(1)
    assert (store.runs(), store.incomplete()) == ((), (1,))
    root = sealed(store)
    assert (store.runs(), store.incomplete()) == ((1,), ())
    assert all(not p.stat().st_mode & stat.S_IWUSR for p in root.rglob("*") if p.is_file())
    for attempt in (lambda: store.begin_run(1), lambda: store.finish_run(record(1))):
        with pytest.raises(AuditorError) as caught:
            attempt()
        assert caught.value.slug == "evidence-complete"


def test_beginning_again_discards_what_an_interruption_left(store: Store) -> None:
    paths = store.begin_run(1)
    (paths.artefacts / "half").write_text("half")
    (paths.artefacts / "locked").mkdir(mode=0o000)
    again = store.begin_run(1)
    assert list(again.artefacts.iterdir()) == []


def test_evidence_comes_back_as_it_was(store: Store) -> None:
    sealed(store)
    evidence = store.evidence(1)
    assert evidence.missing == ()
    assert [p.role for p in evidence.processes] == ["main"]
    assert evidence.processes[0].end is not None
    assert evidence.processes[0].problem is None
    assert evidence.run == msgspec.structs.replace(record(1, evidence.run.artefacts), traces=1)


def test_traces_that_are_gone_are_missing_evidence(store: Store) -> None:
    root = sealed(store)
    (trace,) = (root / "trace").iterdir()
    trace.unlink()
    assert store.evidence(1).missing == ("traces: there are 0 of 1",)


def test_steps_that_are_gone_are_a_problem_of_their_trace(store: Store) -> None:
    root = sealed(store)
    (trace,) = (root / "trace").iterdir()
    trace.chmod(0o644)
    trace.write_bytes(trace.read_bytes().replace(b'"digested":0', b'"digested":3'))
    assert store.evidence(1).processes[0].problem == "it holds 0 of the 3 steps that were digested"


def test_an_altered_artefact_is_missing_evidence(store: Store) -> None:
    root = sealed(store)
    path = root / "artefacts" / "out" / "results.txt"
    path.chmod(0o644)
    path.write_bytes(b"1.4\n")
    evidence = store.evidence(1)
    assert evidence.run.artefacts == ()
    assert evidence.missing == ("artefact out/results.txt: its contents were altered",)
    assert store.evidence(1, verify=False).missing == ()
    path.write_bytes(b"1")
    assert "1 bytes, not 4" in store.evidence(1, verify=False).missing[0]
    path.unlink()
    assert "it is missing" in store.evidence(1).missing[0]


def test_an_artefact_that_is_a_link_is_not_followed(store: Store, tmp_path: Path) -> None:
    root = sealed(store)
    (tmp_path / "secret").write_bytes(b"1.5\n")
    path = root / "artefacts" / "out" / "results.txt"
    path.unlink()
    path.symlink_to(tmp_path / "secret")
    assert "not a regular file" in store.evidence(1).missing[0]
    remove_tree(root / "artefacts" / "out")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "results.txt").write_bytes(b"1.5\n")
    (root / "artefacts" / "out").symlink_to(tmp_path / "other")
    assert "something else" in store.evidence(1).missing[0]


@pytest.mark.parametrize("path", ["../../../etc/passwd", "/etc/passwd", "", "a/../../b"])
def test_an_artefact_path_that_leads_out_is_damage(store: Store, path: str) -> None:
    root = sealed(store)
    (root / "run.json").write_bytes(msgspec.json.encode(record(1, (Artefact(path, 1, "0" * 64),))))
    with pytest.raises(EvidenceError) as caught:
        store.evidence(1)
    assert caught.value.slug == "damaged-evidence"


def test_a_record_of_another_run_is_damage(store: Store) -> None:
    root = sealed(store)
    (root / "run.json").write_bytes(msgspec.json.encode(record(2)))
    with pytest.raises(EvidenceError, match="run 2"):
        store.record(1)


def test_an_unknown_field_is_damage(store: Store) -> None:
    root = sealed(store)
    value = json.loads((root / "run.json").read_text()) | {"surprise": 1}
    (root / "run.json").write_text(json.dumps(value))
    with pytest.raises(EvidenceError, match="surprise"):
        store.record(1)


def test_artefacts_too_large_to_keep_are_no_damage(store: Store) -> None:
    paths = store.begin_run(1)
    paths.stdout.write_bytes(b"")
    paths.stderr.write_bytes(b"")
    artefact = Artefact("model.pt", 5, "0" * 64)
    store.finish_run(record(1, (artefact,), ("model.pt: hashed only, since more than 1 bytes were written",)))
    evidence = store.evidence(1)
    assert evidence.run.artefacts == (artefact,)
    assert evidence.missing == ()


def test_values_that_are_a_link_are_named(store: Store) -> None:
    root = sealed(store)
    (root / "tensors" / "10-5.bin").symlink_to("/etc/passwd")
    assert store.evidence(1).missing == ("tensors 10-5.bin: it is not a regular file",)


def test_lost_files_are_named(store: Store) -> None:
    root = sealed(store)
    remove_tree(root / "trace")
    (root / "stdout").unlink()
    assert store.evidence(1).missing == ("the directory of traces", "stdout: there is no such file")


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "it is empty"),
        (HELLO, None),
        (HELLO + END, None),
        (HELLO + END[:-1], "line 2 is cut off"),
        (HELLO + END[:20], "line 2 is cut off"),
        (HELLO[:-1], "line 1 is cut off"),
        (END, "it does not begin with the handshake"),
        (HELLO + HELLO, "line 2 is a second handshake"),
        (HELLO.replace(b'"protocol":1', b'"protocol":2') + END, "its protocol is 2, not 1"),
        (HELLO + b"\x00\x00\x00\n" + END, "line 2 cannot be read"),
        (HELLO + b'{"t":"unheard-of"}\n' + END, "line 2 cannot be read"),
        (HELLO + END.replace(b'"ns":9', b'"ns":9,"more":1'), "line 2 cannot be read"),
        (HELLO + b"[" * 100_000 + b"\n", "line 2 cannot be read"),
        (HELLO + END.replace(b'"ns"', b'"n\xff"'), "line 2 cannot be read"),
    ],
)
def test_a_trace_says_what_is_wrong_with_it(data: bytes, problem: str | None) -> None:
    parsed, said = parse_trace(data)
    if problem is None:
        assert said is None
        assert len(parsed) == data.count(b"\n")
    else:
        assert said is not None
        assert said.startswith(problem)


def test_every_truncation_of_a_trace_is_noticed() -> None:
    data = HELLO + END
    for length in range(len(data)):
        parsed, problem = parse_trace(data[:length])
        assert problem is not None or parsed[-1:] != parse_trace(data)[0][-1:]


def test_a_trace_without_handshake_is_named_missing(store: Store) -> None:
    root = sealed(store)
    (root / "trace" / "11-6.jsonl").write_bytes(b"")
    (root / "trace" / "12-7.jsonl").symlink_to("/etc/passwd")
    (root / "trace" / "notes.txt").write_bytes(b"not a trace")
    evidence = store.evidence(1)
    assert len(evidence.processes) == 1
    assert evidence.missing[0] == "trace 11-6.jsonl: it is empty"
    assert evidence.missing[1].startswith("trace 12-7.jsonl: it cannot be read")


def test_other_files_come_back_and_keep_their_strictness(store: Store) -> None:
    assert store.read_plan() is None
    plan = Plan({"train.py": (1, 2, 5)})
    store.write_plan(plan)
    assert store.read_plan() == plan
    store.write_request({"command": ["a"]})
    assert store.read_request(dict) == {"command": ["a"]}
    with pytest.raises(EvidenceError):
        store.read_request(Header)
    with pytest.raises(EvidenceError, match="it is missing"):
        store.read_audit()


def test_one_auditor_at_a_time(store: Store) -> None:
    with store.lock():
        with pytest.raises(AuditorError) as caught, Store.open(store.path).lock():
            pass
        assert caught.value.slug == "audit-in-progress"
    with store.lock():
        pass


def test_writing_leaves_no_half_file_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(AuditorError) as caught:
        store.write_plan(Plan({}))
    assert caught.value.slug == "disk-full"
    assert sorted(p.name for p in store.path.iterdir()) == ["evidence.json", "runs"]


def test_a_tree_goes_whatever_its_modes_and_links_are_not_followed(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "file").write_text("x")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "file").write_text("x")
    (tree / "link").symlink_to(tmp_path / "kept")
    (tree / "a" / "b").chmod(0o000)
    (tree / "a").chmod(0o500)
    remove_tree(tree)
    assert not tree.exists()
    assert (tmp_path / "kept" / "file").exists()
    remove_tree(tree)
