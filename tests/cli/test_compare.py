"""``auditor compare`` as its users call it: fingerprints, audits, whatever else they name, and the exit codes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from auditor.report import schema

CAPTURES = Path(__file__).parents[1] / "compare" / "captures"
AVX2 = CAPTURES / "audit-torch-2.13-avx2.json"
DEFAULT = CAPTURES / "audit-torch-2.13-default.json"
BARE = CAPTURES / "described-python-3.8.json"

Call = Callable[..., "subprocess.CompletedProcess[str]"]


def gpu(architecture: str) -> str:
    """The capture of an audit, changed to one that used a device: made up, as no such machine was at hand."""
    document = json.loads(AVX2.read_text())
    document["layers"]["hardware"]["gpu:architecture"] = {"is": "known", "value": [architecture], "source": "made up"}
    document["layers"]["run"] = {"uses:cuda": {"is": "known", "value": True, "source": "made up"}}
    return json.dumps(document)


@pytest.mark.parametrize(
    ("names", "level", "code"),
    [
        ((AVX2, AVX2), None, 0),
        ((AVX2, AVX2), "bit-exact", 0),
        ((AVX2, AVX2), "seed-stable", 0),
        ((AVX2, DEFAULT), None, 0),
        ((AVX2, DEFAULT), "bit-exact", 3),
        ((BARE, BARE), None, 0),
        ((BARE, BARE), "bit-exact", 3),
        ((AVX2, DEFAULT, BARE), "bit-exact", 3),
        ((CAPTURES,), None, 0),
    ],
)
def test_fingerprints_tell_what_can_be_expected(auditor: Call, names: tuple[Path, ...], level: str, code: int) -> None:
    done = auditor("compare", *map(str, names), *(["--require", level] if level else []))
    assert (done.returncode, done.stderr) == (code, "")
    assert "can reach" in done.stdout or "may reach" in done.stdout or "cannot be told" in done.stdout


def test_what_is_ruled_out_is_said_in_a_sentence(auditor: Call, project: Path) -> None:
    for name, architecture in (("a100", "sm_80"), ("h100", "sm_90")):
        (project / f"{name}.json").write_text(gpu(architecture))
    done = auditor("compare", "a100.json", "h100.json", "--require", "bit-exact")
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[0] == "a100.json against h100.json"
    assert lines[2] == "These two machines can reach seed-stable at best: sm_80 against sm_90."
    assert "https://docs.nvidia.com/deeplearning/cudnn" in done.stdout
    assert auditor("compare", "a100.json", "h100.json", "--require", "seed-stable").returncode == 0


def test_every_format_goes_to_a_file_or_the_screen(auditor: Call, project: Path) -> None:
    names = (str(AVX2), str(DEFAULT))
    shown = auditor("compare", *names, "--format", "json")
    jsonschema.validate(json.loads(shown.stdout), json.loads(schema.shipped("schema/comparison-1.json")))
    for form in ("json", "markdown", "terminal"):
        assert auditor("compare", *names, "-f", form, "-o", f"out.{form}").stdout == ""
        assert (project / f"out.{form}").read_text() == auditor("compare", *names, "-f", form).stdout
    assert auditor("compare", *names, "--format", "junit").returncode == 2
    assert "setuptools" not in auditor("compare", str(AVX2), str(BARE)).stdout
    assert "setuptools" in auditor("compare", str(AVX2), str(BARE), "--all").stdout
    assert auditor("compare", *names, PYTHONIOENCODING="ascii").stdout.isascii()


@pytest.mark.parametrize(
    ("words", "slug"),
    [
        ((), "nothing-to-compare"),
        ((str(AVX2),), "nothing-to-compare"),
        ((str(AVX2), "nothing.json"), "unreadable-input"),
        ((str(AVX2), "clean.py"), "unreadable-input"),
        ((str(AVX2), str(DEFAULT), "--require", "perfection"), "unknown-level"),
        ((str(AVX2), str(DEFAULT), "--require", "distribution-stable"), "level-not-tested"),
        ((str(AVX2), str(DEFAULT), "--tolerance", "0.1"), "bad-usage"),
        ((str(AVX2), str(DEFAULT), "--tolerance", "rmse"), "bad-tolerance"),
        ((str(AVX2), str(DEFAULT), "-o", "no/such/place"), "cannot-write"),
        ((str(AVX2), "-", "-"), "bad-usage"),
    ],
)
def test_mistakes_have_a_page_and_no_traceback(auditor: Call, words: tuple[str, ...], slug: str) -> None:
    done = auditor("compare", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"({slug}; " in done.stderr
    assert "Traceback" not in done.stderr


def test_what_is_compared_is_not_written_over(auditor: Call, project: Path) -> None:
    (project / "mine.json").write_bytes(AVX2.read_bytes())
    done = auditor("compare", "mine.json", str(DEFAULT), "-o", "mine.json")
    assert (done.returncode, (project / "mine.json").read_bytes()) == (2, AVX2.read_bytes())


def test_a_metric_of_one_audit_only_is_missing_evidence(auditor: Call, project: Path) -> None:
    for name, results in (("one", '{"acc": 0.5, "loss": 1.25}'), ("two", '{"acc": 0.5}')):
        (project / "given.json").write_text(results)
        audit(auditor, name, "python", "-c", "import shutil; shutil.copy('given.json', 'results.json')")
    for names in (("one", "two"), ("two", "one")):
        done = auditor("compare", *names)
        assert done.returncode == 3
        assert "results.json:loss" in done.stdout


def test_help_says_what_it_takes(auditor: Call) -> None:
    text = auditor("compare", "--help").stdout
    for word in ("--require", "--tolerance", "--all", "--format", "--output", "standard input"):
        assert word in text


def audit(auditor: Call, out: str, *words: str, code: int = 0, **variables: str) -> str:
    done = auditor("run", "-q", "--no-diagnose", "--out", out, "--", *words, **variables)
    assert done.returncode == code, done.stderr
    return out


def test_audits_tell_what_was_reached(auditor: Call, project: Path) -> None:
    command = ("python", "clean.py", "{seed}")
    one, two = audit(auditor, "one", *command), audit(auditor, "two", *command)
    done = auditor("compare", one, two, "--require", "seed-stable")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Together one and two reached bit-exact" in done.stdout
    assert auditor("compare", f"{one}/audit.json", two).stdout.splitlines()[2:] != []

    # Without its evidence an audit.json shows what its environment was, and nothing of what was reached.
    (project / "alone.json").write_bytes((project / "two" / "audit.json").read_bytes())
    alone = auditor("compare", one, "alone.json", "--require", "seed-stable")
    assert alone.returncode == 3
    assert "audit.json by itself" in " ".join(alone.stdout.split())

    noisy = audit(auditor, "noisy", "python", "unseeded.py", "{seed}")
    other = auditor("compare", one, noisy)
    assert other.returncode == 3
    assert "the commands differ" in other.stdout
    twin = audit(auditor, "twin", "python", "unseeded.py", "{seed}")
    unsteady = auditor("compare", noisy, twin, "--require", "seed-stable")
    assert unsteady.returncode == 1
    assert "no machine is to blame" in " ".join(unsteady.stdout.split())
    assert auditor("compare", noisy, twin, "--require", "seed-stable", "--tolerance", "1000").returncode == 0

    failed = audit(auditor, "failed", "python", "failing.py", "{seed}", code=4)
    again = audit(auditor, "failed-again", "python", "failing.py", "{seed}", code=4)
    both = auditor("compare", failed, again)
    assert both.returncode == 3
    assert "The program failed" in both.stdout

    many = auditor("compare", one, two, noisy, "--format", "json")
    assert many.returncode == 3
    document = json.loads(many.stdout)
    jsonschema.validate(document, json.loads(schema.shipped("schema/comparison-1.json")))
    assert [(entry["name"], entry["level"]) for entry in document["reached"]] == [
        ("two", "bit-exact"),
        ("noisy", None),
    ]
    for name in ("one", "two", "noisy"):
        (project / "all").mkdir(exist_ok=True)
        (project / name).rename(project / "all" / name)
    # The others are held against one of those that agree, not against the odd one out that comes first.
    document = json.loads(auditor("compare", "all", "-f", "json").stdout)
    assert document["first"] == "all/one"
    assert [(entry["name"], entry["level"]) for entry in document["reached"]] == [
        ("all/noisy", None),
        ("all/two", "bit-exact"),
    ]
    assert document["answer"].startswith("2 of 3 audits are bit-exact with one another; all/noisy cannot be told: ")
    assert document["together"]["bit-exact"]["verdict"] == "inconclusive"
    shown = " ".join(auditor("compare", "all").stdout.split())
    assert shown.index("2 of 3 audits") < shown.index("? inconclusive") < shown.index("Their environments.")


def test_an_audit_that_cannot_be_read_is_refused_and_a_strange_fingerprint_is_no_pass(
    auditor: Call, project: Path
) -> None:
    for name in ("one", "two"):
        audit(auditor, name, "python", "clean.py", "{seed}")
    path = project / "two" / "audit.json"
    path.chmod(0o644)
    whole = path.read_text()
    assert '"auditor.audit/1"' in whole
    for text, slug in (
        (whole.replace('"auditor.audit/1"', '"auditor.audit/7"').replace('"id"', '"name"'), "newer-schema"),
        (whole[: len(whole) // 2], "damaged-evidence"),
    ):
        path.write_text(text)
        for name in ("two", "two/audit.json"):
            done = auditor("compare", "one", name)
            assert (done.returncode, done.stdout) == (2, "")
            assert f"({slug}; " in done.stderr and "audit.json" in done.stderr
    path.write_text(whole)

    stored = project / "two" / "fingerprint.json"
    stored.chmod(0o644)
    stored.write_bytes(AVX2.read_bytes())
    done = auditor("compare", "one", "two")
    assert done.returncode == 3
    assert "fingerprint.json is not of these runs: " in " ".join(done.stdout.split())
    mixed = auditor("compare", "two", str(AVX2))
    assert (mixed.returncode, mixed.stdout) == (2, "")
    assert "(damaged-evidence; " in mixed.stderr
    stored.write_text(stored.read_text().replace("auditor.fingerprint/1", "auditor.fingerprint/9"))
    assert "(newer-schema; " in auditor("compare", "one", "two").stderr


def test_a_version_without_end_is_a_text(auditor: Call, project: Path) -> None:
    document = json.loads(AVX2.read_text())
    for facts in document["layers"].values():
        for fact in facts.values():
            if isinstance(fact.get("value"), str):
                fact["value"] = "9" * 5000
    (project / "endless.json").write_text(json.dumps(document))
    for words in ((), ("--all",), ("-f", "markdown"), ("-f", "json")):
        done = auditor("compare", str(AVX2), "endless.json", *words)
        assert (done.returncode, done.stderr) == (0, "")
    assert auditor("compare", str(AVX2), str(DEFAULT), "endless.json").returncode == 0


def test_a_tolerance_of_no_metric_is_said(auditor: Call, project: Path) -> None:
    (project / "given.json").write_text('{"acc": 0.5}')
    for name in ("one", "two"):
        audit(auditor, name, "python", "-c", "import shutil; shutil.copy('given.json', 'results.json')")
    text = " ".join(auditor("compare", "one", "two", "--tolerance", "ac=0.1").stdout.split())
    assert "--tolerance ac matches no metric; near it: acc" in text
    assert "matches no metric" not in auditor("compare", "one", "two", "--tolerance", "acc=0.1").stdout
