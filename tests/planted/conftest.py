"""The planted programs, what is expected of each, and how they are run: audited, and bare."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "programs"
TWINS = ("planted", "clean")
DIVERGING = ("not-reached", "as-printed")
# None of them imports torch, so that what their diagnosis takes is its own time.
QUICKLY_DIAGNOSED = frozenset({"digits-agree", "own-numpy", "random-state-split", "stdlib-only"})
SEED = "7"
# numpy.savez appends this ending to any other name; torch.save takes every name.
WEIGHTS = "final.npz"
# Only a hang ends by it: nothing here depends on how fast the machine is.
LIMIT = 300


@dataclasses.dataclass(frozen=True)
class Cause:
    """A cause that a diagnosis is to find, and where: ``rule`` and the line that holds ``text`` in ``file``.

    Several rules, files or texts are alternatives, where more than one would satisfy a practitioner. A text occurs in
    one line of one of the files, so that no line number can go stale. ``proven``: an intervention can settle it.
    """

    rule: str | tuple[str, ...]
    file: str | tuple[str, ...]
    text: str | tuple[str, ...]
    proven: bool = True

    @property
    def rules(self) -> tuple[str, ...]:
        return (self.rule,) if isinstance(self.rule, str) else self.rule

    def lines(self, directory: Path) -> frozenset[tuple[str, int]]:
        """The right lines, as file and number (from 1); a text that is not there just once is an error."""
        files = (self.file,) if isinstance(self.file, str) else self.file
        lines = [
            ((name, number), line)
            for name in files
            for number, line in enumerate((directory / name).read_text().splitlines(), start=1)
        ]
        found = set()
        for text in (self.text,) if isinstance(self.text, str) else self.text:
            held = [place for place, line in lines if text in line]
            assert len(held) == 1, f"{directory.name}: {text!r} is in {len(held)} lines of {', '.join(files)}"
            found.update(held)
        return frozenset(found)


@dataclasses.dataclass(frozen=True)
class Twin:
    """What is expected of one of the two programs; ``expect.toml`` writes ``-`` where a field has ``_``.

    ``verdict`` is bit-exact's, or ``as-printed``: reached exactly where all runs printed the same. ``links``,
    ``steps`` and ``processes`` are alternatives, of which the divergence must have one (empty: it is not looked at);
    ``quantity`` and ``reason`` must occur in the divergence's quantity and the verdict's reason. ``difference`` is the
    largest absolute difference. ``bare`` says what two runs without the auditor do to the final weights: ``agree``,
    ``differ``, ``either``, or ``skip`` (they cannot be awaited). ``same_artefacts`` are files that a probed run must
    write byte for byte as a bare one does. ``save`` is how the command is asked for its final weights.

    ``causes`` are what a diagnosis is to find, all of them; ``undiagnosed`` says why it can find none, where it cannot.
    """

    verdict: str
    exit: int | None = None
    command: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    processes: tuple[str, ...] = ()
    quantity: str = ""
    reason: str = ""
    difference: float | None = None
    findings: tuple[str, ...] = ()
    state: str = "complete"
    bare: str = "agree"
    same_artefacts: tuple[str, ...] = ()
    save: tuple[str, ...] = ("--save", "{save}")
    causes: tuple[Cause, ...] = ()
    undiagnosed: str = ""


@dataclasses.dataclass(frozen=True)
class Case:
    """One twin of one cause: ``cause`` is the directory below ``PROGRAMS``, ``other`` what the other twin should do."""

    cause: str
    twin: str
    needs: tuple[str, ...]
    slow: bool
    expected: Twin
    other: Twin

    @property
    def id(self) -> str:
        return f"{self.cause}-{self.twin}"

    @property
    def directory(self) -> Path:
        return PROGRAMS / self.cause

    def command(self, seed: str, outside: Path, save: Path | None = None) -> list[str]:
        """The command line; ``outside`` is a directory outside the project, ``save`` where the final weights go."""
        words = self.expected.command or ("{python}", f"{self.twin}.py", "--seed", "{seed}")
        if save is not None:
            words = (*words, *self.expected.save)
        places = {"{python}": "python", "{outside}": str(outside), "{save}": str(save)}
        return [_replace(word, places | {"{seed}": seed}) for word in words]


def _replace(word: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        word = word.replace(name, value)
    return word


def _fields(table: dict[str, object]) -> dict[str, object]:
    return {key.replace("-", "_"): tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def _twin(table: dict[str, object], bare: str) -> Twin:
    tables = table.pop("causes", [])
    tables = [table.pop("cause")] if "cause" in table else tables
    causes = tuple(Cause(**_fields(one)) for one in tables)  # type: ignore[attr-defined]
    # A wrong key or kind fails the collection.
    twin = Twin(**({"bare": bare, "causes": causes} | _fields(table)))  # type: ignore[arg-type]
    assert not (causes and twin.undiagnosed)
    assert (twin.verdict in DIVERGING) == bool(causes or twin.undiagnosed), f"no cause, or no divergence: {table}"
    return twin


def load(directory: Path) -> tuple[Case, Case]:
    """The planted and the clean case of one directory; a misspelt key is an error."""
    table = tomllib.loads((directory / "expect.toml").read_text())
    bare = table.pop("bare", "differ")
    planted, clean = _twin(table.pop("planted"), bare), _twin(table.pop("clean"), "agree")
    needs, slow = tuple(table.pop("needs")), bool(table.pop("slow", False))
    assert table.pop("cause")
    assert not table, f"unknown keys in {directory.name}/expect.toml: {sorted(table)}"
    name = directory.relative_to(PROGRAMS).as_posix()
    for cause in planted.causes:
        cause.lines(directory)
    return Case(name, "planted", needs, slow, planted, clean), Case(name, "clean", needs, slow, clean, planted)


CASES = tuple(case for path in sorted(PROGRAMS.rglob("expect.toml")) for case in load(path.parent))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case, or for each that the fixture's name speaks of."""
    for name, chosen in (
        ("case", CASES),
        ("planted_case", tuple(case for case in CASES if case.twin == "planted")),
        ("clean_case", tuple(case for case in CASES if case.twin == "clean")),
    ):
        if name in metafunc.fixturenames:
            # What shows the same mechanism once more is left to the slower group.
            marks = {True: [pytest.mark.slow], False: []}
            metafunc.parametrize(name, [pytest.param(case, id=case.id, marks=marks[case.slow]) for case in chosen])
    diagnosed = tuple(case for case in CASES if case.expected.verdict in DIVERGING)
    if "diagnosed_case" in metafunc.fixturenames:
        marks = {True: [], False: [pytest.mark.slow]}
        metafunc.parametrize(
            "diagnosed_case", [pytest.param(c, id=c.id, marks=marks[c.cause in QUICKLY_DIAGNOSED]) for c in diagnosed]
        )


def environment() -> dict[str, str]:
    """A practitioner's shell: this interpreter is ``python``, one thread, nothing of the test run's own variables."""
    dropped = ("PYTEST", "PYTHON", "COV_", "_AUDITOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return kept | {"OMP_NUM_THREADS": "1"}


def auditor() -> list[str]:
    """The installed command, or what it does, where the checkout is not installed.

    Not ``python -m auditor``: that would find a project's own package of that name, as Python promises.
    """
    installed = Path(sys.executable).with_name("auditor")
    if installed.exists():
        return [str(installed)]
    start = f"import sys; sys.path[0] = {str(ROOT)!r}; from auditor.cli import main; sys.exit(main())"
    return [sys.executable, "-c", start]


def copy_project(case: Case, target: Path) -> Path:
    """A fresh copy of the program's directory, without the expectations."""
    ignored = shutil.ignore_patterns("expect.toml", "__pycache__")
    return Path(shutil.copytree(case.directory, target, ignore=ignored))


@dataclasses.dataclass(frozen=True)
class Bare:
    """One run without the auditor: its exit code, output, project directory and where it saved its weights."""

    code: int
    output: str
    project: Path
    save: Path


def run_bare(case: Case, place: Path, outside: Path | None = None) -> Bare:
    """Run the program once as its author would; ``outside`` may hold what an earlier run left there."""
    project = copy_project(case, place / "project")
    if outside is None:
        outside = place / "outside"
        outside.mkdir()
    save = place / WEIGHTS
    command = case.command(SEED, outside, save)
    done = subprocess.run(
        command,
        cwd=project,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=LIMIT,
        check=False,
    )
    return Bare(done.returncode, done.stdout.decode(errors="replace"), project, save)


@dataclasses.dataclass(frozen=True)
class Audited:
    """One audit through the command line: exit code, what it printed, its evidence, its last run's final weights."""

    code: int
    output: str
    errors: str
    evidence: Path
    save: Path | None

    @property
    def audit(self) -> dict[str, object]:
        path = self.evidence / "audit.json"
        assert path.exists(), f"no audit.json\n{self.output}\n{self.errors}"
        return json.loads(path.read_text())


def run_audit(case: Case, place: Path, diagnose: bool = False) -> Audited:
    """Audit the program. A clean one also leaves its final weights, outside the project, where they decide nothing."""
    project = copy_project(case, place / "project")
    outside = place / "outside"
    outside.mkdir()
    evidence = place / "evidence"
    save = place / WEIGHTS if case.twin == "clean" else None
    command = [
        *auditor(),
        *("run", "--quiet", "--require", "bit-exact", "--seed", SEED, "--out", str(evidence)),
        "--diagnose" if diagnose else "--no-diagnose",
        *case.expected.options,
        *("--", *case.command("{seed}", outside, save)),
    ]
    done = subprocess.run(
        command,
        cwd=project,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=(4 if diagnose else 2) * LIMIT,
        check=False,
    )
    return Audited(done.returncode, done.stdout.decode(), done.stderr.decode(), evidence, save)


def bits(path: Path) -> dict[str, str]:
    """The exact content of saved weights: a digest of dtype, shape and bytes for each tensor, by its path."""
    data = path.read_bytes()
    found: dict[str, str] = {}
    if not zipfile.is_zipfile(path):
        found[""] = _digest("file", data)
    elif any(name.endswith(".npy") for name in zipfile.ZipFile(path).namelist()):
        import numpy

        with numpy.load(path, allow_pickle=False) as arrays:
            for name in arrays.files:
                array = arrays[name]
                found[name] = _digest(f"{array.dtype} {array.shape}", array.tobytes())
    else:
        import torch

        _collect(torch.load(path, weights_only=True), "", found)
    return found


def _collect(value: object, path: str, found: dict[str, str]) -> None:
    import torch

    if isinstance(value, torch.Tensor):
        plain = value.detach().contiguous()
        found[path] = _digest(
            f"{plain.dtype} {tuple(plain.shape)}", plain.reshape(-1).view(torch.uint8).numpy().tobytes()
        )
    elif isinstance(value, dict):
        for key in value:
            _collect(value[key], f"{path}.{key}", found)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            _collect(item, f"{path}.{index}", found)
    else:
        found[path] = repr(value)


def _digest(kind: str, content: bytes) -> str:
    return hashlib.sha256(kind.encode() + b"\0" + content).hexdigest()


@pytest.fixture(name="audit_of")
def _audit_of(tmp_path: Path) -> Callable[[Case], Audited]:
    """Audit a case; see ``run_audit``."""
    return lambda case: run_audit(case, tmp_path)


@pytest.fixture(name="diagnosis_of")
def _diagnosis_of(tmp_path: Path) -> Callable[[Case], Audited]:
    """Audit a case and ask why its runs differ; see ``run_audit``."""
    return lambda case: run_audit(case, tmp_path, diagnose=True)


@pytest.fixture(name="bare_run")
def _bare_run(tmp_path: Path) -> Callable[..., Bare]:
    """Run a case without the auditor, each time in a directory of its own; see ``run_bare``."""
    numbers = iter(range(1, 100))

    def run(case: Case, outside: Path | None = None) -> Bare:
        place = tmp_path / f"bare-{next(numbers)}"
        place.mkdir()
        return run_bare(case, place, outside)

    return run


@pytest.fixture(name="bits", scope="session")
def _bits() -> Callable[[Path], dict[str, str]]:
    """``bits``, for test modules, which cannot import a conftest."""
    return bits


def _is_there(need: str) -> bool:
    """Whether a module, or a command (``command:g++``), is there."""
    kind, _, name = need.rpartition(":")
    return shutil.which(name) is not None if kind == "command" else importlib.util.find_spec(name) is not None


@pytest.fixture(autouse=True)
def _installed(request: pytest.FixtureRequest) -> None:
    """Skip where what the program imports is not there."""
    for name in ("case", "planted_case", "clean_case", "diagnosed_case"):
        if name in request.fixturenames:
            needs = request.getfixturevalue(name).needs
            missing = [one for one in needs if not _is_there(one)]
            if missing:
                pytest.skip(f"the program needs {', '.join(missing)}")
