"""What the user names: files, directories, audits and standard input; whatever is wrong with them is said."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from auditor.compare.inputs import Reader
from auditor.errors import AuditorError, EvidenceError, UsageError

CAPTURES = Path(__file__).parent / "captures"
ONE = (CAPTURES / "described-torch-2.13.json").read_text(encoding="utf-8")
TWO = (CAPTURES / "described-python-3.8.json").read_text(encoding="utf-8")
VALUE = '"value": "cpython"'


def read(*arguments: str | Path, stdin: str = "") -> Reader:
    reader = Reader(lambda: io.BytesIO(stdin.encode()))
    reader.read([str(one) for one in arguments])
    return reader


def names(reader: Reader) -> list[str]:
    return [subject.name for subject in reader.fleet.subjects]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.json"
    path.write_text(ONE)
    return path


def spoiled(text: str) -> str:
    assert VALUE in ONE
    return ONE.replace(VALUE, text, 1)


BAD: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "truncated"),
    "truncated": (ONE[:3000], "truncated"),
    "deep": ("[" * 200_000, "got `array`"),
    "deep objects": ('{"schema":"auditor.fingerprint/1","layers":' + '{"a":' * 200_000, "recursion"),
    "deep, closed": ('{"schema":"auditor.fingerprint/1","layers":{"a":' + "[" * 99_999 + "]" * 99_999 + "}}", ""),
    "huge integer": (spoiled('"value": ' + "9" * 100_000), "out of range"),
    "huge exponent": (spoiled('"value": 1e999'), "out of range"),
    "NaN": (spoiled('"value": NaN'), "malformed"),
    "null": (spoiled('"value": null'), "got `null`"),
    "half a surrogate": (spoiled('"value": "\\ud800"'), "malformed"),
    "no UTF-8": (ONE.encode().replace(b"cpython", b"cpyth\xff", 1), "decode"),
    "a byte order mark": (b"\xef\xbb\xbf" + ONE.encode(), "malformed"),
    "another shape": (json.dumps({"schema": "auditor.fingerprint/1", "layers": {}, "more": 1}), "`more`"),
    "an unknown fact's field": (spoiled('"value": "cpython", "colour": 1'), "`colour`"),
    "no schema": ('{"layers": {}}', "schema"),
    "a list": ("[]", "got `array`"),
    "another schema": ('{"schema": "someone.elses/1"}', "someone.elses/1"),
    "a schema that never was": ('{"schema": "auditor.fingerprint/0", "layers": {}}', "auditor.fingerprint/0"),
    "a layer twice": (ONE.replace('"layers": {', '"layers": {"os": {}, ', 1), "'os' twice"),
    "layers twice": (ONE.replace('"layers"', '"layers": {}, "layers"', 1), "'layers' twice"),
    "layers twice, escaped": (ONE.replace('"layers"', '"\\u006cayers": {}, "layers"', 1), "'layers' twice"),
    "a fact twice": (
        ONE.replace('"build":', '"build": {"is": "unknown", "reason": "x"}, "build":', 1),
        "'build' twice",
    ),
    "a field twice": (spoiled('"value": "x", ' + VALUE), "'value' twice"),
    "the shape of another": ('{"schema": "auditor.audit/1", "layers": {}}', "`layers`"),
    "an audit cut off": ('{"schema": "auditor.audit/1"}', "missing required field"),
    "an empty value": (spoiled('"value": ""'), "interpreter/implementation: "),
    "an empty reason": (
        ONE.replace('"build":', '"bulid": {"is": "unknown", "reason": ""}, "build":', 1),
        "interpreter/bulid: ",
    ),
    "an empty source": (ONE.replace('"source": "sys.flags"', '"source": ""', 1), "interpreter/flag:dev_mode: "),
    "two documents": (ONE.replace("\n", " ") + "\n" + TWO.replace("\n", " "), "malformed"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_document_that_is_no_fingerprint_is_refused(name: str, good: Path, tmp_path: Path) -> None:
    text, said = BAD[name]
    path = tmp_path / "bad.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError) as caught:
        read(good, path)
    assert caught.value.slug == "unreadable-input"
    assert caught.value.what.startswith(f"{path}: ")
    assert said in caught.value.what


def fifo(path: Path) -> None:
    os.mkfifo(path)


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere.json")


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [fifo, loop, dangling, device], ids=lambda make: make.__name__)
def test_what_is_no_file_is_refused(make: Callable[[Path], None], good: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.json"
    make(path)
    with pytest.raises(UsageError) as caught:
        read(good, path)
    assert caught.value.slug == "unreadable-input"


@pytest.mark.parametrize("path", ["", "/", "nothing.json", "a\0b", "/proc/self/mem", "/dev/null", "x" * 5000])
def test_odd_paths_are_refused(path: str, good: Path) -> None:
    with pytest.raises(AuditorError):
        read(good, path)


@pytest.mark.parametrize("schema", ["auditor.fingerprint/2", "auditor.fingerprint/10", "auditor.audit/2"])
def test_a_newer_version_is_refused_whatever_its_shape(schema: str, good: Path, tmp_path: Path) -> None:
    path = tmp_path / "newer.json"
    for document in ({**json.loads(ONE), "schema": schema}, {"schema": schema, "planets": []}):
        path.write_text(json.dumps(document))
        with pytest.raises(UsageError) as caught:
            read(good, path)
        assert caught.value.slug == "newer-schema"
        assert schema in caught.value.what
        assert "upgrade" in caught.value.remedy


def test_every_bad_file_is_named_up_to_a_bound(good: Path, tmp_path: Path) -> None:
    for number in range(25):
        (tmp_path / f"bad{number:02}.json").write_text("{")
    with pytest.raises(UsageError) as caught:
        read(tmp_path)
    lines = caught.value.what.splitlines()
    assert len(lines) == 11
    assert lines[0].startswith(f"{tmp_path / 'bad00.json'}: ")
    assert lines[-1] == "and 15 more"


def test_directories_are_read_as_they_lie(tmp_path: Path, good: Path) -> None:
    fleet = tmp_path / "fleet"
    fleet.mkdir()
    (fleet / "b.json").write_text(TWO)
    (fleet / "a.json").write_text(ONE)
    (fleet / ".hidden.json").write_text("{")
    (fleet / "notes.txt").write_text("not ours")
    (fleet / "link.json").symlink_to(good)
    (fleet / "deeper").mkdir()
    (fleet / "deeper" / "c.json").write_text("{")
    (fleet / "circle").symlink_to(fleet)
    reader = read(fleet)
    assert names(reader) == [f"{fleet}/a.json", f"{fleet}/b.json"]
    assert reader.passed_by == [f"{fleet}/{name}" for name in ("circle", "deeper", "link.json", "notes.txt")]


def test_one_thing_alone_is_nothing_to_compare(good: Path, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    for arguments in ((good,), (tmp_path / "none",), (good, tmp_path / "none")):
        with pytest.raises(UsageError) as caught:
            read(*arguments)
        assert caught.value.slug == "nothing-to-compare"


def test_names_are_as_given_and_told_apart(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert names(read("good.json", "./good.json", "good.json")) == ["good.json", "./good.json", "good.json#2"]


def test_names_that_cannot_be_shown_are_escaped(tmp_path: Path) -> None:
    for name in (b"a\x1b[31m.json", b"b\xff.json"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text(ONE)
    assert [name.rpartition("/")[2] for name in names(read(tmp_path))] == ["a\\x1b[31m.json", "b\\xff.json"]


def test_a_link_that_is_named_is_followed(good: Path, tmp_path: Path) -> None:
    (tmp_path / "latest").symlink_to(good)
    assert len(read(tmp_path / "latest", good).fleet) == 2


def test_a_pipe_of_the_shell_is_read() -> None:
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "w") as stream:
        stream.write(ONE)
    try:
        assert names(read(f"/dev/fd/{ours}", CAPTURES / "described-python-3.8.json"))[0] == f"/dev/fd/{ours}"
    finally:
        os.close(ours)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ONE, ["-"]),
        (json.dumps(json.loads(ONE)), ["-"]),
        (json.dumps(json.loads(ONE)) + "\n\n", ["-"]),
        ("\n".join(json.dumps(json.loads(one)) for one in (ONE, TWO)), ["-:1", "-:2"]),
        ("\n\n".join(json.dumps(json.loads(one)) for one in (ONE, TWO, ONE)) + "\n", ["-:1", "-:3", "-:5"]),
    ],
)
def test_standard_input_holds_one_document_or_one_on_each_line(text: str, found: list[str], good: Path) -> None:
    assert names(read(good, "-", stdin=text)) == [str(good), *found]


def test_a_bad_line_of_standard_input_is_named() -> None:
    one = json.dumps(json.loads(ONE))
    with pytest.raises(UsageError) as caught:
        read("-", stdin=f"{one}\n{one[:-5]}\n{one}\n")
    assert caught.value.what.startswith("-:2: ")


def test_standard_input_is_read_once() -> None:
    with pytest.raises(UsageError) as caught:
        read("-", "-", stdin=ONE)
    assert caught.value.slug == "bad-usage"


@pytest.mark.parametrize("form", [{"indent": None}, {"indent": 7}, {"sort_keys": True}, {"ensure_ascii": True}])
def test_the_way_a_document_is_written_does_not_matter(form: dict[str, object], good: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps(json.loads(ONE.replace("cpython", "cpythön")), **form))  # type: ignore[arg-type]  # options
    again = tmp_path / "again.json"
    again.write_text(ONE.replace("cpython", "cpythön"))
    reader = read(other, again)
    assert reader.fleet.members[0] == reader.fleet.members[1]


@pytest.mark.parametrize("name", BAD)
def test_what_is_refused_by_itself_is_refused_among_others_like_it(name: str, good: Path, tmp_path: Path) -> None:
    text, said = BAD[name]
    bad = tmp_path / "bad.json"
    bad.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UsageError) as caught:
        read(good, good, bad, good)
    assert len(caught.value.what.splitlines()) == 1
    assert said in caught.value.what


@pytest.mark.parametrize("indent", [None, 2])
def test_documents_that_differ_little_are_read_as_they_are(indent: int | None, tmp_path: Path) -> None:
    base = json.loads(ONE)
    written = []
    for layer in base["layers"]:
        for name, fact in (
            ("zz", "one"),
            ("zz", '"libraries": {"is"'),
            ("libraries", "{},"),
            ("cuda", "\n    }\n  }\n}\n"),
        ):
            document = json.loads(ONE)
            document["layers"][layer][name] = {"is": "known", "value": fact, "source": "a test"}
            written.append(document)
    written += [{**base, "layers": dict(list(base["layers"].items())[:3])}, base, {**base, "layers": {}}, base]
    for number, document in enumerate(written):
        (tmp_path / f"{number:03}.json").write_text(json.dumps(document, indent=indent))
    together = read(tmp_path)
    for number, document in enumerate(written):
        found = json.loads(msgspec.json.encode(together.fleet.fingerprint(number).layers))
        assert found == document["layers"]


def test_equal_documents_share_what_they_hold(tmp_path: Path) -> None:
    for number in range(50):
        (tmp_path / f"{number}.json").write_text(ONE)
    reader = read(tmp_path)
    assert len(reader.fleet) == 50
    assert len(reader.fleet.layers) == len(json.loads(ONE)["layers"])


def test_a_damaged_audit_says_what_is_wrong(good: Path, tmp_path: Path) -> None:
    audit = tmp_path / "audit"
    audit.mkdir()
    (audit / "evidence.json").write_text("{}")
    with pytest.raises(EvidenceError) as caught:
        read(good, audit)
    assert caught.value.slug == "damaged-evidence"
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UsageError) as both:
        read(good, audit, tmp_path / "bad.json")
    assert both.value.slug == "unreadable-input"
    assert len(both.value.what.splitlines()) == 2


@pytest.mark.parametrize("schema", ["auditor.comparison/1", "auditor.drift/1", "auditor.lock/2"])
def test_a_report_of_ours_in_a_directory_is_passed_by(schema: str, good: Path, tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(ONE)
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"schema": schema, "answer": "They differ."}))
    reader = read(tmp_path)
    assert len(reader.fleet) == 2
    assert reader.passed_by == [f"{report} ({schema})"]
    # What is named by itself is meant.
    with pytest.raises(UsageError, match="which is not one of"):
        read(good, report)
    report.write_text('{"schema": "someone.elses/1"}')
    with pytest.raises(UsageError, match=r"someone\.elses"):
        read(tmp_path)
