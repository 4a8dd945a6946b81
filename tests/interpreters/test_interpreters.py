"""The probe in other interpreters, with the oldest and the newest torch: complete, and without any effect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.records.trace import Environment as EnvironmentLine
from auditor.records.trace import ProcessTrace, Step
from auditor.store import assign_roles, build_trace, parse_trace, process_of

# The tests are collected without packages: what lies beside them is found by its path.
sys.path.insert(0, str(Path(__file__).parent))
import environments

pytestmark = pytest.mark.interpreters

PROGRAMS = Path(__file__).parent / "programs"
PROBE = environments.ROOT / "auditor" / "probe"
STEPS = 12
SITECUSTOMIZE = """
import os
with open(os.environ["SITECUSTOMIZE_RAN"], "a") as file:
    file.write("%d\\n" % os.getpid())
"""


@pytest.fixture(scope="session")
def home() -> Path:
    """Where the virtual environments are kept from one run of the tests to the next."""
    return Path(os.environ.get("AUDITOR_INTERPRETERS_HOME", environments.ROOT / ".venv-interpreters")).resolve()


def python_of(environment: environments.Environment, home: Path) -> Path:
    try:
        return environments.make(environment, home)
    except environments.Unavailable as why:
        pytest.skip(f"{environment.id}: {why}")


def run(
    python: Path, program: str, arguments: list[str], directory: Path, probed: bool, **variables: str
) -> tuple[ProcessTrace, ...]:
    """Run a program in ``directory``, bare or with the probe as an audit brings it in; the traces, the main one first.

    Every step is digested, as a plan from a first run would have it: how fast the machine is decides nothing here.
    """
    directory.mkdir(parents=True)
    paths = [variables.pop("PYTHONPATH", "")]
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "_AUDITOR", "VIRTUAL_ENV", "OMP_", "MKL_"))
    }
    variables = {**clean, **variables, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "3"}
    if probed:
        paths.insert(0, str(PROBE))
        for name in ("trace", "tensors"):
            (directory / name).mkdir()
        config, plan = directory / "probe.json", directory / "plan.json"
        plan.write_text(json.dumps({"labels": {program: list(range(1, STEPS + 1))}}), encoding="utf-8")
        settings = {
            "trace": str(directory / "trace"),
            "tensors": str(directory / "tensors"),
            "project": str(PROGRAMS),
            "run": 1,
            "plan": str(plan),
            "steps": None,
            "directory_order": False,
            "audit_started_ns": 0,
            "run_started_ns": 0,
        }
        config.write_text(json.dumps(settings), encoding="utf-8")
        variables["_AUDITOR_PROBE"] = str(config)
    if any(paths):
        variables["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    command = [str(python), str(PROGRAMS / program), *arguments]
    done = subprocess.run(
        command, cwd=PROGRAMS, env=variables, capture_output=True, text=True, timeout=environments.LIMIT, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "auditor" not in done.stderr
    return traces(directory / "trace") if probed else ()


def traces(directory: Path) -> tuple[ProcessTrace, ...]:
    """Every trace in the directory, decoded strictly, by role."""
    parsed = {path.name: parse_trace(path.read_bytes()) for path in sorted(directory.glob("*.jsonl"))}
    assert {name: problem for name, (_, problem) in parsed.items() if problem} == {}
    roles = assign_roles([process_of(name, lines) for name, (lines, _) in parsed.items()])
    found = [build_trace(name, roles[name], lines, None) for name, (lines, _) in parsed.items()]
    assert [fault for trace in found for fault in trace.faults] == []
    return tuple(sorted(found, key=lambda trace: (trace.role != "main", trace.role)))


def links(step: Step) -> tuple[object, ...]:
    return (step.batch, step.loss, step.gradients, step.parameters, step.streams)


@pytest.mark.parametrize("environment", environments.TORCH, ids=lambda environment: environment.id)
def test_torch(environment: environments.Environment, home: Path, tmp_path: Path) -> None:
    python = python_of(environment, home)
    weights = {name: tmp_path / f"{name}.txt" for name in ("bare", "first", "second")}
    run(python, "train.py", ["--weights", str(weights["bare"])], tmp_path / "bare", probed=False)
    first = run(python, "train.py", ["--weights", str(weights["first"])], tmp_path / "first", probed=True)
    second = run(python, "train.py", ["--weights", str(weights["second"])], tmp_path / "second", probed=True)

    assert weights["first"].read_bytes() == weights["bare"].read_bytes()
    assert weights["second"].read_bytes() == weights["bare"].read_bytes()

    main, *others = first
    check_environment(main.environment, environment)
    assert main.role == "main"
    assert {line.version.split("+")[0] for line in main.torch} == {environment.packages[0].partition("==")[2]}
    (optimizer,) = main.optimizers
    assert optimizer.kind == "Adam"
    assert optimizer.shapes == [[16, 2], [16], [2, 16], [2]]
    assert len(main.inits) == len(main.finals) == 1
    assert [step.n for step in main.steps] == list(range(1, STEPS + 1))
    for step in main.steps:
        assert step.batch is not None and step.batch.count >= 1
        assert step.loss is not None and step.loss.count == 1 and len(step.loss.values) == 1
        assert step.gradients is not None and step.parameters is not None
        assert {"python", "numpy", "torch"} <= set(step.streams)
    assert main.finals[0].digest == main.steps[-1].parameters
    assert main.streams is not None and main.streams.drawn["torch"]
    assert any("libtorch" in path for path in main.libraries)
    (loader,) = main.loaders
    assert (loader.workers, loader.batch_size) == (2, 16)
    assert main.end is not None and (main.end.why, main.end.steps) == ("exit", STEPS)

    # Two epochs of two workers each: every one of them leaves a trace that was closed, and says how it began.
    assert len(others) == 4
    assert sorted(line.worker for trace in others for line in trace.workers if line.at == "start") == [0, 0, 1, 1]
    assert all(trace.end is not None for trace in others)

    assert [links(step) for step in second[0].steps] == [links(step) for step in main.steps]
    assert [trace.role for trace in second] == [trace.role for trace in first]


@pytest.mark.parametrize("environment", environments.NUMPY, ids=lambda environment: environment.id)
def test_numpy(environment: environments.Environment, home: Path, tmp_path: Path) -> None:
    python = python_of(environment, home)
    run(python, "arrays.py", [str(tmp_path / "bare.txt")], tmp_path / "bare", probed=False)
    (main,) = run(python, "arrays.py", [str(tmp_path / "probed.txt")], tmp_path / "probed", probed=True)
    assert (tmp_path / "probed.txt").read_bytes() == (tmp_path / "bare.txt").read_bytes()
    check_environment(main.environment, environment)
    assert main.torch == ()
    assert [(seed.stream, seed.value) for seed in main.seeds if seed.stream == "numpy"] == [("numpy", "7")]
    assert [generator.seeded for generator in main.generators] == [True]
    assert main.streams is not None and main.streams.drawn["numpy"]
    assert main.end is not None and main.end.why == "exit"


@pytest.mark.parametrize("environment", environments.BARE, ids=lambda environment: environment.id)
def test_standard_library_alone(environment: environments.Environment, home: Path, tmp_path: Path) -> None:
    python = python_of(environment, home)
    run(python, "plain.py", [str(tmp_path / "bare.txt")], tmp_path / "bare", probed=False)
    (main,) = run(python, "plain.py", [str(tmp_path / "probed.txt")], tmp_path / "probed", probed=True)
    assert (tmp_path / "probed.txt").read_bytes() == (tmp_path / "bare.txt").read_bytes()
    check_environment(main.environment, environment)
    assert main.hello.label == "plain.py"
    assert main.torch == () and main.steps == ()
    assert main.end is not None and (main.end.why, main.end.steps) == ("exit", 0)


@pytest.mark.parametrize("environment", environments.BARE, ids=lambda environment: environment.id)
def test_the_users_own_sitecustomize_runs(environment: environments.Environment, home: Path, tmp_path: Path) -> None:
    python = python_of(environment, home)
    own = tmp_path / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text(SITECUSTOMIZE, encoding="utf-8")
    for name in ("bare", "probed"):
        run(
            python,
            "plain.py",
            [str(tmp_path / f"{name}.txt")],
            tmp_path / name,
            probed=name == "probed",
            PYTHONPATH=str(own),
            SITECUSTOMIZE_RAN=str(tmp_path / f"{name}-ran"),
        )
    ran = {name: (tmp_path / f"{name}-ran").read_text(encoding="utf-8").splitlines() for name in ("bare", "probed")}
    assert {name: len(pids) for name, pids in ran.items()} == {"bare": 1, "probed": 1}


def check_environment(line: EnvironmentLine | None, environment: environments.Environment) -> None:
    """The process says which interpreter it is, and the packages that were installed."""
    assert line is not None
    assert line.python.startswith(environment.python + ".")
    for package in environment.packages:
        name, _, version = package.partition("==")
        assert line.distributions[name].split("+")[0] == version
