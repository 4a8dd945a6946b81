from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from auditor.cli import main
from auditor.records.lock import Drift
from auditor.report import drift as report
from auditor.report import schema
from tests.lock.conftest import Make, Wheel, install

PYLOCK = 'lock-version = "1.0"\ncreated-by = "auditor"\n'
PACKAGE = '[[packages]]\nname = "six"\n'
OURS = 'schema = "auditor.lock/1"\n'
PROJECT = "import sys\nfrom pathlib import Path\nPath('result.json').write_text('{\"loss\": 0.5}')\n"


def verified(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    """Verify from the command line; returns the exit code and the report as JSON, checked against its schema."""
    code = main(["verify", *arguments, "--format", "json"])
    printed = capsys.readouterr()
    assert printed.err == ""
    drift = json.loads(printed.out)
    jsonschema.validate(drift, json.loads(schema.shipped(schema.DRIFT)))
    return code, drift


def rows(drift: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [(one["kind"], one["name"], one["wanted"], one["found"]) for one in drift["deviations"]]


@pytest.fixture
def env(wheel: Wheel, environment: Make, capsys: pytest.CaptureFixture[str]) -> Path:
    """An environment with two distributions, that is locked."""
    for version in ("1.0", "2.0"):
        wheel("six", version)
        wheel("torch", version)
    directory = environment("six==1.0", "torch==1.0")
    assert main(["lock", "--python", str(directory)]) == 0
    capsys.readouterr()
    return directory


@pytest.fixture
def plain_lock() -> None:
    """A lock that no interpreter was asked for."""
    Path("lockfiles").mkdir()
    Path("lockfiles/pylock.toml").write_text(PYLOCK + "packages = []\n", encoding="utf-8")
    Path("lockfiles/environment.toml").write_text(OURS, encoding="utf-8")


def test_what_was_just_locked_has_no_drift(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, drift = verified(capsys, "--python", str(env))
    assert code == 0
    assert drift["verdict"] == "none" and drift["deviations"] == [] and drift["rules_out"] == []
    assert {layer["name"] for layer in drift["layers"]} >= {"interpreter", "libraries", "hardware", "os"}
    assert all(layer["locked"] == layer["as_wanted"] > 0 for layer in drift["layers"])


def test_no_drift_under_another_hash_seed_locale_time_zone_and_directory(env: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    outputs = set()
    for variables in ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Tokyo"}):
        command = [sys.executable, "-m", "auditor", "verify", "--python", str(env)]
        command += ["--lock", str(Path("lockfiles").resolve())]
        done = subprocess.run(
            command, cwd=elsewhere, env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        outputs.add(done.stdout)
    assert len(outputs) == 1


def test_another_version_is_drift(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(env, "six==2.0")
    code, drift = verified(capsys, "--python", str(env))
    assert code == 1
    assert rows(drift) == [("drift", "six", "1.0", "2.0")]
    assert drift["rules_out"] == []
    install(env, "torch==2.0")
    code, drift = verified(capsys, "--python", str(env))
    assert code == 1
    assert rows(drift) == [("drift", "torch", "1.0", "2.0"), ("drift", "six", "1.0", "2.0")]
    assert drift["rules_out"] == ["bit-exact"]


def test_what_is_gone_and_what_came_from_elsewhere_are_drift(
    env: Path, environment: Make, wheel: Wheel, capsys: pytest.CaptureFixture[str]
) -> None:
    other = environment(str(wheel("six", "1.0")), name="other")
    code, drift = verified(capsys, "--python", str(other))
    assert code == 1
    assert ("drift", "torch", "1.0", "not installed") in rows(drift)


def test_extra_distributions_count_only_if_strict(env: Path, wheel: Wheel, capsys: pytest.CaptureFixture[str]) -> None:
    wheel("extra", "1.0")
    install(env, "extra")
    code, drift = verified(capsys, "--python", str(env))
    assert (code, drift["verdict"]) == (0, "none")
    assert rows(drift) == [("extra", "extra", "not locked", "1.0")]
    code, drift = verified(capsys, "--python", str(env), "--strict")
    assert (code, drift["verdict"], drift["strict"]) == (1, "drift", True)
    assert main(["verify", "--python", str(env), "--strict"]) == 1
    assert capsys.readouterr().out.startswith("✗ No drift, but not strictly so: ")


def test_a_variable_that_is_set_is_drift(
    env: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    code, drift = verified(capsys, "--python", str(env))
    assert code == 1
    assert rows(drift) == [("drift", "variable:MKL_CBWR", "not set", "COMPATIBLE")]


def test_a_lock_that_was_widened_by_hand(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("lockfiles/environment.toml")
    text = path.read_text(encoding="utf-8")
    version = ".".join(str(number) for number in sys.version_info[:3])
    path.write_text(text.replace(f'version = "{version}"', 'version = ">=3.8"'), encoding="utf-8")
    assert verified(capsys, "--python", str(env))[0] == 0
    path.write_text(text.replace(f'version = "{version}"', 'version = "<3.8"'), encoding="utf-8")
    code, drift = verified(capsys, "--python", str(env))
    assert code == 1
    assert rows(drift) == [("drift", "version", "<3.8", version)]


def test_what_cannot_be_told_is_no_pass(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("lockfiles/environment.toml")
    with open(path, "a", encoding="utf-8") as file:
        file.write("libc-of-tomorrow = 1\n")
    code, drift = verified(capsys, "--python", str(env))
    assert (code, drift["verdict"]) == (3, "cannot-be-told")
    assert [one["name"] for one in drift["deviations"]] == ["libc-of-tomorrow"]
    assert verified(capsys, "--python", str(env), "--layer", "libraries", "--layer", "interpreter")[0] == 0


def test_layers_that_were_not_held_are_named(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, drift = verified(capsys, "--python", str(env), "--layer", "libraries")
    assert drift["skipped"] == ["interpreter", "cuda", "hardware", "os"]
    assert [layer["name"] for layer in drift["layers"]] == ["libraries"]
    assert main(["verify", "--python", str(env), "--layer", "libraries"]) == 0
    assert "not held: interpreter, cuda, hardware, os" in capsys.readouterr().out


def test_a_fingerprint_file_is_held(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fingerprint", "--python", str(env), "-o", "machine.json"]) == 0
    code, drift = verified(capsys, "machine.json")
    assert code == 0 and drift["target"] == {"kind": "fingerprint", "name": "machine.json"}
    told = json.loads(Path("machine.json").read_text(encoding="utf-8"))
    told["layers"]["libraries"]["six"]["value"] = "9.0"
    Path("machine.json").write_text(json.dumps(told), encoding="utf-8")
    code, drift = verified(capsys, "machine.json")
    assert code == 1 and rows(drift) == [("drift", "six", "1.0", "9.0")]


def test_a_version_without_end_is_drift(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fingerprint", "--python", str(env), "-o", "machine.json"]) == 0
    told = json.loads(Path("machine.json").read_text(encoding="utf-8"))
    for name in ("six", "torch"):
        told["layers"]["libraries"][name]["value"] = "9" * 5000
    Path("machine.json").write_text(json.dumps(told), encoding="utf-8")
    code, drift = verified(capsys, "machine.json")
    assert code == 1 and {(one[0], one[1]) for one in rows(drift)} == {("drift", "six"), ("drift", "torch")}


def test_the_advice_for_conda_names_the_python_that_is_there(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("environment.yml").write_text("dependencies:\n  - python=3.11\n", encoding="utf-8")
    _, drift = verified(capsys, "--python", str(env))
    version = ".".join(map(str, sys.version_info[:3]))
    assert [one["advice"] for one in drift["unpinned"]] == [f"pin: python=={version}"]


def test_an_audit_of_a_newer_auditor_and_a_fingerprint_of_another_are_refused(
    env: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("train.py").write_text(PROJECT, encoding="utf-8")
    run = ["run", "--out", "evidence", "--quiet", "--isolation", "copy", "--", str(env / "bin" / "python"), "train.py"]
    assert main(run) == 0
    audit, stored = Path("evidence/audit.json"), Path("evidence/fingerprint.json")
    for path in (audit, stored):
        path.chmod(0o644)
    whole = audit.read_text(encoding="utf-8")
    audit.write_text(whole.replace("auditor.audit/1", "auditor.audit/7"), encoding="utf-8")
    capsys.readouterr()
    assert main(["verify", "evidence"]) == 2
    assert "newer-schema" in capsys.readouterr().err
    audit.write_text(whole, encoding="utf-8")
    told = json.loads(stored.read_text(encoding="utf-8"))
    told["layers"]["interpreter"]["version"]["value"] = "3.8.1"
    stored.write_text(json.dumps(told), encoding="utf-8")
    assert main(["verify", "evidence"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "fingerprint.json is not of these runs: interpreter/version is 3.8.1 in it and 3." in said


def test_an_audit_is_held(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("train.py").write_text(PROJECT, encoding="utf-8")
    run = ["run", "--out", "evidence", "--quiet", "--isolation", "copy", "--", str(env / "bin" / "python"), "train.py"]
    assert main(run) == 0
    capsys.readouterr()
    for target in ("evidence", "evidence/audit.json", "evidence/fingerprint.json"):
        code, drift = verified(capsys, target)
        assert rows(drift) == [], target
        assert drift["target"]["kind"] == ("fingerprint" if target.endswith("fingerprint.json") else "audit")
        assert code == 0
    install(env, "six==2.0")
    assert main([word.replace("evidence", "evidence-2") for word in run]) == 0
    capsys.readouterr()
    code, drift = verified(capsys, "evidence-2")
    assert code == 1 and rows(drift) == [("drift", "six", "1.0", "2.0")]


def test_an_audit_is_locked_with_what_only_a_run_tells(
    env: Path, environment: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("train.py").write_text(PROJECT, encoding="utf-8")
    run = ["run", "--out", "evidence", "--quiet", "--isolation", "copy", "--", str(env / "bin" / "python"), "train.py"]
    assert main(run) == 0
    assert main(["lock", "evidence", "--python", str(env), "--out", "of-audit"]) == 0
    assert '"loaded:openmp" = []' in Path("of-audit/environment.toml").read_text(encoding="utf-8")
    capsys.readouterr()
    code, drift = verified(capsys, "evidence", "--lock", "of-audit")
    assert (code, rows(drift)) == (0, [])
    code, drift = verified(capsys, "--python", str(env), "--lock", "of-audit")
    assert code == 3 and ("unknown", "loaded:openmp") in {(one["kind"], one["name"]) for one in drift["deviations"]}
    assert main(["lock", "evidence", "--python", str(environment(name="other")), "--out", "of-audit"]) == 2
    printed = capsys.readouterr().err
    assert "other-environment" in printed and "six, torch" in printed


def test_what_is_not_pinned_is_named_with_the_installed_version(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("requirements.txt").write_text("six>=0.5\ntorch==1.0\nother\n", encoding="utf-8")
    code, drift = verified(capsys, "--python", str(env))
    assert code == 0
    assert [(one["file"], one["line"], one["text"], one["advice"]) for one in drift["unpinned"]] == [
        ("requirements.txt", 1, "six>=0.5", "pin: six==1.0"),
        ("requirements.txt", 3, "other", "pin: other==<version>"),
    ]
    assert verified(capsys, "--python", str(env), "--strict")[0] == 1
    # What is locked is to be pinned, not what it drifted to.
    install(env, "six==2.0")
    assert verified(capsys, "--python", str(env))[1]["unpinned"][0]["advice"] == "pin: six==1.0"


@pytest.mark.parametrize(
    ("arguments", "slug"),
    [
        (["--lock", "none"], "lock-not-found"),
        (["--lock", "file"], "lock-not-found"),
        (["--format", "junit"], "unknown-format"),
        (["-o", "/no/such/directory/x"], "cannot-write"),
        (["--python", "no-such-python"], "interpreter-not-found"),
        (["--layer", "weather"], "bad-usage"),
        (["--image", ""], "image-not-found"),
        (["x.json", "--image", "x"], "bad-usage"),
        (["x.json", "--python", "x"], "bad-usage"),
        (["gone.json"], "unreadable-input"),
        (["file"], "unreadable-input"),
        (["newer.json"], "newer-schema"),
    ],
)
@pytest.mark.usefixtures("plain_lock")
def test_bad_usage(arguments: list[str], slug: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("file").write_text("{", encoding="utf-8")
    Path("newer.json").write_text('{"schema": "auditor.fingerprint/2", "layers": {}}', encoding="utf-8")
    assert main(["verify", *arguments]) == 2
    printed = capsys.readouterr()
    # Without an engine on the machine an image cannot be looked for.
    expected = {slug, "docker-engine-unreachable"} if slug == "image-not-found" else {slug}
    assert any(f"({one};" in printed.err for one in expected) and "Traceback" not in printed.err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pylock.toml", b""),
        ("pylock.toml", b"\xff"),
        ("pylock.toml", b"["),
        ("pylock.toml", PYLOCK.encode()),
        ("pylock.toml", (PYLOCK + "packages = 3").encode()),
        ("pylock.toml", (PYLOCK.replace("1.0", "2.0") + "packages = []").encode()),
        ("pylock.toml", (PYLOCK + "packages = [3]").encode()),
        ("pylock.toml", (PYLOCK + PACKAGE + "version = 1").encode()),
        ("pylock.toml", (PYLOCK + PACKAGE + 'version = "not a version"').encode()),
        ("pylock.toml", (PYLOCK + PACKAGE.replace("six", "Not_Normal") + 'version = "1"').encode()),
        ("pylock.toml", (PYLOCK + PACKAGE + 'marker = "nonsense"').encode()),
        ("pylock.toml", (PYLOCK + PACKAGE + "wheels = [" + "{hashes = " * 3000).encode()),
        ("pylock.toml", (PYLOCK + "packages = " + "[" * 100000).encode()),
        ("pylock.toml", (PYLOCK + "packages = []\nx = " + "9" * 100000).encode()),
        ("environment.toml", b""),
        ("environment.toml", b"\x00"),
        ("environment.toml", b'schema = "auditor.lock/99"'),
        ("environment.toml", (OURS + "[os]\nlibc = " + "[" * 100000).encode()),
        ("environment.toml", (OURS + "[os]\nlibc = " + "9" * 100000).encode()),
        ("environment.toml", (OURS + "[os]\nlibc = inf.inf").encode()),
        ("environment.toml", (OURS + "os = [1]").encode()),
        ("environment.toml", (OURS + "['../../etc']\npasswd = 1").encode()),
        ("environment.toml", (OURS + "[os]\nlibc = '>=" + "9" * 5000 + "'").encode()),
        ("pylock.toml", (PYLOCK + PACKAGE + f"marker = \"python_version < '{'9' * 5000}'\"\nversion = '1'").encode()),
        ("pylock.toml", (PYLOCK + PACKAGE + f"version = '{'9' * 5000}'").encode()),
    ],
)
@pytest.mark.usefixtures("plain_lock")
def test_damaged_and_hostile_locks(name: str, text: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (Path("lockfiles") / name).write_bytes(text)
    assert main(["verify", "--python", sys.executable]) == 2
    printed = capsys.readouterr()
    assert "damaged-lock" in printed.err and name in printed.err and "Traceback" not in printed.err
    assert len(printed.err) < 2000 and printed.out == ""


@pytest.mark.usefixtures("plain_lock")
def test_a_lock_of_nothing_is_no_pass(capsys: pytest.CaptureFixture[str]) -> None:
    code, drift = verified(capsys, "--python", sys.executable)
    assert (code, drift["verdict"]) == (3, "cannot-be-told")
    assert main(["verify", "--python", sys.executable]) == 3
    assert "nothing that was held is locked" in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("plain_lock")
@pytest.mark.parametrize("name", ["environment.toml", "pylock.toml"])
def test_half_a_lock_is_none(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (Path("lockfiles") / name).unlink()
    assert main(["verify", "--python", sys.executable]) == 2
    assert "lock-not-found" in capsys.readouterr().err


def test_reports_are_files_in_every_format(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("requirements.txt").write_text("a|b>=1\nsix>=0.5\n", encoding="utf-8")
    install(env, "torch==2.0")
    for form in ("terminal", "json", "markdown"):
        assert main(["verify", "--python", str(env), "--format", form, "-o", f"report.{form}"]) == 1
    assert capsys.readouterr().out == ""
    terminal = Path("report.terminal").read_text(encoding="utf-8")
    assert terminal.startswith("✗ Drift: the environment of\n") and max(map(len, terminal.splitlines())) <= 80
    words = " ".join(terminal.split())
    assert "rules out bit-exact" in words and "torch 1.0 2.0" in words and "requirements.txt:2 six>=0.5" in words
    markdown = Path("report.markdown").read_text(encoding="utf-8")
    assert "| libraries: torch | 1.0 | 2.0 | ruled out |" in markdown and "a\\|b\\>=1" in markdown


def test_the_report_fits_narrow_screens_and_ascii(env: Path, capsys: pytest.CaptureFixture[str]) -> None:
    install(env, "torch==2.0")
    _, told = verified(capsys, "--python", str(env))
    drift = msgspec.convert(told, Drift)
    for width in (30, 40, 80, 200):
        text = report.render(drift, width=width)
        assert max(map(len, text.splitlines())) <= width
        assert "torch" in text
    report.render(drift, ascii_only=True).encode("ascii")
    assert "\x1b[" in report.render(drift, colour=True) and "\x1b[" not in report.render(drift)
