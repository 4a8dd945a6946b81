"""``auditor check`` as it is called: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from auditor.rulebook.files import is_read

ROOT = Path(__file__).resolve().parents[2]

FLAW = """import os
import random

print(random.sample(os.listdir("data"), 2))
"""
MENDED = FLAW.replace('os.listdir("data")', 'sorted(os.listdir("data"))')

Auditor = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one flaw that is safely mended, and one that is only a note."""
    root = tmp_path / "project"
    (root / "src").mkdir(parents=True)
    (root / "src" / "train.py").write_text(FLAW)
    (root / "src" / "clean.py").write_text("print(1)\n")
    return root


ONLY = ("--select", "unsorted-listing")


def test_by_default_everything_here_is_read(auditor: Auditor) -> None:
    done = auditor("check", *ONLY)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines()[0] == "src/train.py"
    assert done.stdout.splitlines()[-1] == "1 flaw in 1 of 2 files; --fix mends 1."


def test_paths_are_read_and_named_from_here(auditor: Auditor, project: Path) -> None:
    assert auditor("check", *ONLY, "src/clean.py").returncode == 0
    done = auditor("check", *ONLY, str(project / "src"), "-f", "json")
    assert [flaw["spot"]["file"] for flaw in json.loads(done.stdout)["flaws"]] == ["src/train.py"]


def test_notes_do_not_fail(auditor: Auditor, project: Path) -> None:
    (project / "requirements.txt").write_text("numpy\n")
    done = auditor("check", "--select", "unpinned-requirement")
    assert (done.returncode, "unpinned-requirement" in done.stdout) == (0, True)


def test_what_cannot_be_read_does_not_fail(auditor: Auditor, project: Path) -> None:
    (project / "broken.py").write_text("def f(:\n")
    done = auditor("check", "broken.py")
    assert (done.returncode, "broken.py:1: not read: invalid syntax" in done.stdout) == (0, True)


@pytest.mark.parametrize(
    ("words", "slug"),
    [
        (("nothing.py",), "no-such-path"),
        (("--select", "nothing"), "unknown-rule"),
        (("--ignore", "unsorted-listing,nothing"), "unknown-rule"),
        (("--format", "xml"), "unknown-format"),
        (("--unsafe",), "bad-usage"),
        (("--diff", "--format", "json"), "bad-usage"),
        (("-o", "missing/report.json"), "cannot-write"),
        (("--fixx",), "bad-usage"),
    ],
)
def test_what_cannot_be_done_is_said(auditor: Auditor, words: tuple[str, ...], slug: str) -> None:
    done = auditor("check", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"({slug}; auditor explain {slug})" in done.stderr
    assert auditor("explain", slug).returncode == 0


def test_a_configuration_that_cannot_be_used_is_said(auditor: Auditor, project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.auditor.check]\nselct = []\n")
    done = auditor("check")
    assert (done.returncode, "bad-configuration" in done.stderr) == (2, True)


def test_a_rule_that_fails_is_a_fault_of_ours(auditor: Auditor, project: Path, tmp_path: Path) -> None:
    """As another distribution would bring it: its rule is found, fails, and the others go on."""
    site = tmp_path / "site"
    (site / "broken-1.0.dist-info").mkdir(parents=True)
    (site / "broken-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (site / "broken-1.0.dist-info" / "entry_points.txt").write_text("[auditor.checks]\nbroken = broken_rule\n")
    (site / "broken_rule.py").write_text(
        "import msgspec\n"
        "from auditor.rulebook import own_rules\n"
        "RULE = msgspec.structs.replace(next(iter(own_rules())).rule, id='broken-rule')\n"
        "def see_source(module):\n    raise KeyError('x')\n"
    )
    paths = os.pathsep.join([str(ROOT), str(site)])
    done = auditor("check", "--select", "broken-rule,unsorted-listing", PYTHONPATH=paths)
    assert done.returncode == 70
    assert "src/clean.py: the rule broken-rule failed on this file (KeyError: 'x')" in done.stdout.replace(
        "\n    ", " "
    )
    assert "unsorted-listing" in done.stdout


# -- mending -------------------------------------------------------------------------------------------------------


def test_fix_mends_and_says_so(auditor: Auditor, project: Path) -> None:
    done = auditor("check", *ONLY, "--fix")
    assert (done.returncode, done.stdout) == (0, "No flaw in 2 files; 1 mended.\n")
    assert (project / "src" / "train.py").read_text() == MENDED
    assert auditor("check", *ONLY).returncode == 0


def test_diff_shows_and_changes_nothing(auditor: Auditor, project: Path) -> None:
    done = auditor("check", *ONLY, "--diff", "--fix")
    assert done.returncode == 1
    assert done.stdout.startswith("--- a/src/train.py\n+++ b/src/train.py\n@@")
    assert done.stderr == "1 flaw in 1 of 2 files; --fix mends 1.\n"
    assert (project / "src" / "train.py").read_text() == FLAW
    subprocess.run(["git", "apply"], cwd=project, input=done.stdout, text=True, check=True)
    assert (project / "src" / "train.py").read_text() == MENDED


def test_what_changes_the_program_is_mended_on_request(auditor: Auditor, project: Path) -> None:
    from auditor.rulebook import rulebook

    path = project / "src" / "train.py"
    path.write_text(rulebook()["cudnn-benchmark"].rule.bad[0].code)
    only = ("--select", "cudnn-benchmark")
    before = path.read_text()
    assert auditor("check", *only, "--fix").returncode == 1
    assert path.read_text() == before
    assert auditor("check", *only, "--diff", "--unsafe").stdout.count("\n-") == 1
    assert auditor("check", *only, "--fix", "--unsafe").returncode == 0
    assert path.read_text() != before


# -- formats -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "begins"),
    [("json", "{\n"), ("sarif", "{\n"), ("github", "::warning file=src/train.py,"), ("terminal", "src/")],
)
def test_every_format_goes_to_the_screen_and_to_a_file(auditor: Auditor, project: Path, form: str, begins: str) -> None:
    done = auditor("check", *ONLY, "--format", form)
    assert (done.returncode, done.stdout.startswith(begins)) == (1, True)
    written = auditor("check", *ONLY, "-f", form, "-o", "report")
    assert (written.returncode, written.stdout) == (1, "")
    assert (project / "report").read_text(encoding="utf-8") == done.stdout


def test_what_is_only_possible_is_shown_on_request(auditor: Auditor, project: Path) -> None:
    """Any rule that is only possible will do: its example shows it."""
    from auditor.rulebook import rulebook

    check = next(one for one in rulebook().values() if one.rule.confidence == "possible" and one.source)
    (project / "src" / "train.py").write_text(check.rule.bad[0].code)
    for name, text in check.rule.bad[0].beside.items():
        (project / "src" / name).write_text(text)
    hidden, shown = (auditor("check", "--select", check.rule.id, *more).stdout for more in ((), ("--all",)))
    assert "only possible (--all shows" in hidden and check.rule.id not in hidden
    assert check.rule.id in shown


def test_it_imports_no_torch_and_runs_nothing(project: Path) -> None:
    (project / "src" / "train.py").write_text("raise SystemExit('it was run')\nimport torch\n")
    code = "import sys; from auditor.cli import main; code = main(['check']); print(code, 'torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "0 False"


# -- as it is installed ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel of this checkout is installed, alone."""
    scratch = tmp_path_factory.mktemp("wheel")
    for name in ("auditor", "bin", "checks"):
        shutil.copytree(ROOT / name, scratch / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, scratch / "source" / name)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index"]
    built = [*pip, "wheel", *offline, "--no-build-isolation", "--wheel-dir", str(scratch), str(scratch / "source")]
    subprocess.run(built, check=True)
    (wheel,) = scratch.glob("*.whl")
    subprocess.run([*pip, "install", *offline, "--target", str(scratch / "site"), str(wheel)], check=True)
    return scratch / "site"


def test_the_wheel_carries_the_rulebook(installed: Path, project: Path) -> None:
    rules = sorted(path.name for path in (installed / "auditor_checks").iterdir() if path.suffix == ".py")
    assert rules == sorted(path.name for path in (ROOT / "checks").glob("*.py"))
    # A directory of the project's own that is called checks is none of ours.
    (project / "checks").mkdir()
    (project / "checks" / "unsorted_listing.py").write_text("raise SystemExit('it was imported')\n")
    done = subprocess.run(
        [sys.executable, "-m", "auditor", "check", *ONLY],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "src/train.py" in done.stdout
    where = [sys.executable, "-c", "import auditor; print(auditor.__file__)"]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    found = subprocess.run(where, cwd=project, env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.startswith(str(installed))


def test_the_wheels_script_is_not_led_astray_by_what_pythonpath_names(installed: Path, project: Path) -> None:
    (project / "auditor").mkdir()
    (project / "auditor" / "__init__.py").write_text("raise SystemExit('the project's own was imported')\n")
    (project / "msgspec.py").write_text("raise SystemExit('the project's own was imported')\n")
    done = subprocess.run(
        [sys.executable, str(installed / "bin" / "auditor"), "check", *ONLY],
        cwd=project,
        env={**os.environ, "PYTHONPATH": f".{os.pathsep}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "src/train.py" in done.stdout


@pytest.mark.parametrize("start", [["-m", "auditor"], [str(ROOT / "bin" / "auditor")]])
def test_processes_that_help_do_not_begin_an_audit_of_their_own(start: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, *start, "check", "checks", "auditor"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_hooks_are_for_every_kind_of_file_that_is_read() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert [hook["id"] for hook in hooks] == ["auditor-check", "auditor-check-fix"]
    names = ("a.py", "b.ipynb", "requirements-dev.txt", "dev_requirements.in", "pyproject.toml", "environment.yml")
    names += ("conda.yaml", "Dockerfile", "Dockerfile.gpu", "gpu.dockerfile", "constraints.txt", "Containerfile")
    for name in names:
        assert is_read(name)
        assert all(re.search(hook["files"], f"src/{name}") for hook in hooks), name
