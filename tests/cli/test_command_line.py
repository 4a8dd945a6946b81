from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from auditor import cli
from auditor.config import Request
from auditor.errors import AuditorError

ROOT = Path(__file__).resolve().parents[2]
VERBS = ("run", "report", "fingerprint", "compare", "lock", "verify", "claims", "check", "recipe", "explain")


def auditor(
    *words: str, cwd: Path, variables: dict[str, str] | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80", **(variables or {})}
    return subprocess.run(
        [sys.executable, "-m", "auditor", *words],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        input=stdin,
        timeout=120,
        check=False,
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Request]:
    """Requests that reach the pipeline, which is not carried out."""
    from auditor import pipeline

    requests: list[Request] = []

    def stop(request: Request, _on_event: object) -> None:
        requests.append(request)
        raise AuditorError("stopped-here", "this far", "nothing")

    monkeypatch.setattr(pipeline, "audit", stop)
    monkeypatch.chdir(tmp_path)
    return requests


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["--", "python", "x.py"], ("python", "x.py")),
        (["--", "python", "x.py", "--seed", "3", "--help", "-q"], ("python", "x.py", "--seed", "3", "--help", "-q")),
        (["--", "x", "--", "y"], ("x", "--", "y")),
        (["--", "--odd-name", "y"], ("--odd-name", "y")),
        (["python", "x.py", "--quiet"], ("python", "x.py", "--quiet")),
        (["-q", "python", "x.py", "--", "--steps", "3"], ("python", "x.py", "--", "--steps", "3")),
        (["--", "bash", "-c", "python x.py; echo '*' $HOME"], ("bash", "-c", "python x.py; echo '*' $HOME")),
        (["--", "x", "", " ", "Ünïcode"], ("x", "", " ", "Ünïcode")),
    ],
)
def test_the_command_is_passed_untouched(asked: list[Request], words: list[str], command: tuple[str, ...]) -> None:
    assert cli.main(["run", *words]) == 2
    assert asked[0].command == command
    assert asked[0].project == str(Path.cwd())


def test_options_reach_the_request(asked: list[Request], tmp_path: Path) -> None:
    words = "--require seed-stable --seed 7 --replicates 3 --steps 20 --timeout 60 --metric a=b --tolerance a=1"
    words += " --ignore i* --decide d* --keep tmpdir --isolation copy --out here --seed-env SEED -- python x.py {seed}"
    cli.main(["run", *words.split()])
    request = asked[0]
    assert request.settings.require == "seed-stable"
    assert request.settings.replicates == 3
    assert request.settings.steps == 20
    assert request.settings.ignore == ("i*",)
    assert request.settings.decide == ("d*",)
    assert (request.seed, request.seed_env, request.timeout) == (7, ("SEED",), 60.0)
    assert (request.isolation, request.keep) == ("copy", ("tmpdir",))
    assert request.out == str(tmp_path / "here")


@pytest.mark.parametrize(
    ("words", "slug"),
    [
        (["run"], "no-command"),
        (["run", "--"], "no-command"),
        (["run", "--sed", "1", "--", "x"], "bad-usage"),
        (["run", "--seed", "one", "--", "x"], "bad-usage"),
        (["rum"], "bad-usage"),
        (["run", "--require", "bit", "--", "x"], "unknown-level"),
        (["run", "--metric", "a", "--", "x"], "bad-metric"),
        (["run", "--tolerance", "a=b", "--", "x"], "bad-tolerance"),
        (["run", "--json", "no/such/dir/a.json", "--", "x"], "cannot-write"),
        (["run", "--json", "x" * 300 + "/a.json", "--", "x"], "cannot-write"),
        (["run", "--resume", "nowhere"], "evidence-not-found"),
        (["run", "--", "no-such-program-anywhere"], "command-not-found"),
        (["report", "nowhere"], "evidence-not-found"),
        (["report", ".", "--format", "pdf"], "unknown-format"),
        (["explain", "no-comand"], "unknown-slug"),
    ],
)
def test_what_is_wrong_on_the_command_line(
    words: list[str], slug: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    told = capsys.readouterr()
    assert told.out == ""
    lines = told.err.splitlines()
    assert lines[0].startswith("auditor: ")
    assert lines[-2].startswith("  to do: ")
    assert lines[-1] == f"  ({slug}; auditor explain {slug})"
    assert list(tmp_path.iterdir()) == []


def test_no_arguments_at_all(tmp_path: Path) -> None:
    done = auditor(cwd=tmp_path)
    assert done.returncode == 2
    assert "Usage: auditor" in done.stderr


def test_version(tmp_path: Path) -> None:
    done = auditor("--version", cwd=tmp_path)
    assert (done.returncode, done.stdout.split()[0]) == (0, "auditor")


def test_explain(tmp_path: Path) -> None:
    done = auditor("explain", "no-command", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == (ROOT / "docs" / "errors" / "no-command.md").read_text(encoding="utf-8")


def test_explain_tells_of_a_rule(tmp_path: Path) -> None:
    done = auditor("explain", "unsorted-listing", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout == (ROOT / "docs" / "rules" / "unsorted-listing.md").read_text(encoding="utf-8")
    assert "auditor: allow[unsorted-listing]" in done.stdout


def test_explain_lists_the_slugs_and_the_rules(tmp_path: Path) -> None:
    done = auditor("explain", cwd=tmp_path)
    assert done.returncode == 0
    errors, rules = done.stdout.split("Rules:")
    assert "  no-command" in errors.splitlines()
    assert "unsorted-listing" in rules


def test_help_cuts_nothing_off_and_shows_no_types(tmp_path: Path) -> None:
    for verb in ([], ["run"], ["report"], ["fingerprint"], ["explain"]):
        text = auditor(*verb, "--help", cwd=tmp_path).stdout
        assert not re.search(r"<(str|path|list|int)|[a-z]\.\.\.$", text, re.MULTILINE)


def test_explain_names_the_nearest(tmp_path: Path) -> None:
    done = auditor("explain", "bad-metrics", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean bad-metric" in done.stderr
    done = auditor("explain", "unsorted-listings", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean unsorted-listing" in done.stderr


@pytest.mark.parametrize("verb", [[], *([verb] for verb in VERBS)])
def test_help_imports_nothing_heavy(verb: list[str], tmp_path: Path) -> None:
    code = (
        "import sys\nfrom auditor.cli import main\n"
        f"assert main({[*verb, '--help']!r}) == 0\n"
        "heavy = {'rich', 'msgspec', 'numpy', 'scipy', 'torch', 'docker', 'jinja2', 'safetensors'}\n"
        "rules = any(name.startswith(('auditor.rulebook', 'auditor_checks')) for name in sys.modules)\n"
        "print('HEAVY', sorted(heavy & set(sys.modules)) + ['rules'] * rules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []", done.stderr


def test_all_verbs_are_listed(tmp_path: Path) -> None:
    listed = auditor("--help", cwd=tmp_path).stdout.split("Commands:\n")[1]
    assert tuple(line.split()[0] for line in listed.splitlines()) == VERBS


def test_every_option_is_explained(tmp_path: Path) -> None:
    for verb in VERBS:
        text = auditor(verb, "--help", cwd=tmp_path).stdout
        options = text.split("Options:\n")[1]
        for line in options.splitlines():
            if line.startswith("  -"):
                assert len(line.split(None, 1)) == 2


def test_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from auditor import pipeline

    def fail(_request: Request, _on_event: object) -> None:
        raise ZeroDivisionError("on purpose\nsecond line")

    monkeypatch.setattr(pipeline, "audit", fail)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "--", "x"]) == 70
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "ZeroDivisionError: on purpose" in told
    (file,) = (tmp_path / ".auditor").glob("fault-*.txt")
    assert str(file.relative_to(tmp_path)) in told
    assert "Traceback" in file.read_text(encoding="utf-8")

    assert cli.main(["--debug", "run", "--", "x"]) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("number", "slug"), [(28, "disk-full"), (13, "cannot-write"), (30, "cannot-write")])
def test_what_the_system_refuses_is_no_fault_of_ours(
    number: int, slug: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from auditor import pipeline

    def fail(_request: Request, _on_event: object) -> None:
        raise OSError(number, os.strerror(number), "some/file")

    monkeypatch.setattr(pipeline, "audit", fail)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "--", "x"]) == 2
    told = capsys.readouterr().err
    assert f"({slug};" in told
    assert "some/file" in told
    assert "--out" not in told


def test_resume_takes_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["run", "--resume", "somewhere", "--seed", "3", "--", "python", "x.py"]) == 2
    told = capsys.readouterr().err
    assert "--seed, a command" in told
    assert "(resume-takes-nothing-else;" in told


def test_errors_survive_an_ascii_screen(tmp_path: Path) -> None:
    done = auditor("run", "--require", "bït", "--", "x", cwd=tmp_path, variables={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert done.stderr.isascii()
    assert "unknown-level" in done.stderr
