"""Programs of other projects, what is true of each, and their bare runs and audits, begun together and awaited."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
SEED = "3"
# Only a hang ends by it: nothing here depends on how fast the machine is.
LIMIT = 600

# What a program saved: element type, shape and bytes of each array, by name.
Bits = dict[str, tuple[str, tuple[int, ...], bytes]]


@dataclasses.dataclass(frozen=True)
class Program:
    """A script in ``programs/``; ``results`` is the file with its metrics, ``read`` its library's way to load weights.

    ``steps`` is how many optimizer steps one process takes (0: the library has none that a probe could see), and
    ``launcher`` what stands between the interpreter and the script.
    """

    name: str
    script: str
    results: str
    read: Callable[[Path], Bits]
    steps: int
    launcher: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Case:
    """A program with arguments, and whether two runs of it are the same.

    ``links``: where they may differ first. ``cause``: the rule that a diagnosis is to prove, and a piece of the one
    line of the script that it is to name.
    """

    program: Program
    variant: str
    arguments: tuple[str, ...]
    reproducible: bool
    links: tuple[str, ...] = ()
    cause: tuple[str, str] = ("", "")

    @property
    def id(self) -> str:
        return f"{self.program.name}-{self.variant}"

    def command(self, seed: str) -> list[str]:
        """The command line, with ``seed`` for ``{seed}``."""
        words = (*self.program.launcher, str(PROGRAMS / self.program.script), *self.arguments)
        return [sys.executable, *(word.replace("{seed}", seed) for word in words)]


def _bits(arrays: Mapping[str, Any]) -> Bits:
    import numpy

    found = {name: numpy.ascontiguousarray(array) for name, array in arrays.items()}
    return {name: (str(array.dtype), array.shape, array.tobytes()) for name, array in found.items()}


def _stable_baselines3(directory: Path) -> Bits:
    from stable_baselines3 import PPO

    return _bits(PPO.load(directory / "ppo_cartpole.zip", device="cpu").policy.state_dict())


def _lightning(directory: Path) -> Bits:
    import torch

    return _bits(torch.load(directory / "final.ckpt", weights_only=True)["state_dict"])


def _huggingface(directory: Path) -> Bits:
    from transformers import GPT2LMHeadModel

    return _bits(GPT2LMHeadModel.from_pretrained(directory / "model").state_dict())


def _geometric(directory: Path) -> Bits:
    import torch

    return _bits(torch.load(directory / "gcn.pt", weights_only=True))


def _xgboost(directory: Path) -> Bits:
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(directory / "model.ubj")
    return {"trees": ("ubj", (), bytes(booster.save_raw("ubj")))}


def _sklearn(directory: Path) -> Bits:
    import joblib

    scaler, perceptron = joblib.load(directory / "pipeline.joblib")
    layers = {f"coefficients {index}": array for index, array in enumerate(perceptron.coefs_)}
    intercepts = {f"intercepts {index}": array for index, array in enumerate(perceptron.intercepts_)}
    return _bits({"mean": scaler.mean_, "scale": scaler.scale_, **layers, **intercepts})


PPO = Program("stable-baselines3", "ppo_cartpole.py", "results.json", _stable_baselines3, 320)
LIGHTNING = Program("lightning", "lightning_digits.py", "logs/lightning_logs/version_0/metrics.csv", _lightning, 46)
HUGGINGFACE = Program("huggingface", "huggingface_gpt2.py", "output/all_results.json", _huggingface, 30)
TORCHRUN = dataclasses.replace(
    HUGGINGFACE,
    name="huggingface-torchrun",
    launcher=("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
)
GEOMETRIC = Program("geometric", "geometric_karate.py", "results.json", _geometric, 200)
XGBOOST = Program("xgboost", "xgboost_cancer.py", "results.json", _xgboost, 0)
SKLEARN = Program("sklearn", "sklearn_digits.py", "results.json", _sklearn, 0)

SEEDED = ("--seed", "{seed}")
CASES = (
    *(
        Case(program, "seeded", SEEDED, reproducible=True)
        for program in (PPO, LIGHTNING, HUGGINGFACE, TORCHRUN, GEOMETRIC, XGBOOST, SKLEARN)
    ),
    *(
        Case(program, "unseeded", (), reproducible=False, links=("init",), cause=cause)
        for program, cause in (
            (PPO, ("unseeded-torch", "model = PPO(")),
            (LIGHTNING, ("unseeded-torch", "random_split(")),
            # Hugging Face's Trainer seeds itself with 42, but only after the model was made.
            (HUGGINGFACE, ("late-seed", "model = GPT2LMHeadModel(")),
            (GEOMETRIC, ("unseeded-torch", "self.first = GCNConv(")),
        )
    ),
    *(
        Case(
            program,
            "unseeded",
            (),
            reproducible=False,
            links=("metric", "checkpoint"),
            cause=("unseeded-numpy-global", "train_test_split(features"),
        )
        for program in (XGBOOST, SKLEARN)
    ),
    # XGBoost draws rows and columns from a seed of 0 where none is given: without a seed, and the same each time.
    Case(XGBOOST, "fixed-split", ("--split-seed", "0"), reproducible=True),
)


@dataclasses.dataclass(frozen=True)
class Audited:
    """One audit through the command line."""

    code: int
    output: str
    evidence: Path

    @property
    def audit(self) -> dict[str, Any]:
        path = self.evidence / "audit.json"
        assert path.exists(), f"no audit.json, exit code {self.code}\n{self.output}"
        audit: dict[str, Any] = json.loads(path.read_text())
        return audit

    def artefacts(self, run: int) -> Path:
        """What the run wrote, laid out as in the project."""
        return self.evidence / "runs" / str(run) / "artefacts"


def environment() -> dict[str, str]:
    """A practitioner's shell: one thread, no model hub, nothing of the test run's own variables."""
    dropped = ("PYTEST", "PYTHON", "COV_", "_AUDITOR")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return kept | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def auditor() -> list[str]:
    """The installed command, or what it does, where the checkout is not installed."""
    installed = Path(sys.executable).with_name("auditor")
    if installed.exists():
        return [str(installed)]
    return [
        sys.executable,
        "-c",
        f"import sys; sys.path[0] = {str(ROOT)!r}; from auditor.cli import main; sys.exit(main())",
    ]


def _call(command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=directory,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=LIMIT,
        check=False,
    )


def run_bare(case: Case, project: Path) -> Path:
    """Run the program without the auditor in an empty directory; returns it, with what the program wrote."""
    project.mkdir(parents=True)
    done = _call(case.command(SEED), project)
    assert done.returncode == 0, f"the program failed without the auditor:\n{done.stdout}"
    return project


def run_audit(case: Case, place: Path) -> Audited:
    """Audit the program in an empty directory; the evidence lies outside it."""
    project, evidence = place / "project", place / "evidence"
    project.mkdir(parents=True)
    # A budget that a busy machine keeps, too: what is tested is what is found, not how fast.
    options = ["run", "--quiet", "--require", "bit-exact", "--diagnose-budget", "3600", "--out", str(evidence)]
    if "{seed}" in case.arguments:
        options += ["--seed", SEED]
    done = _call([*auditor(), *options, "--", *case.command("{seed}")], project)
    return Audited(done.returncode, done.stdout, evidence)


@dataclasses.dataclass(frozen=True)
class Begun:
    """A case's runs: two without the auditor, and one audit."""

    bare: tuple[Future[Path], Future[Path]]
    audit: Future[Audited]


@pytest.fixture(scope="session")
def begun(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Begun]]:
    """The runs of every case that the session asks for, as many at a time as there are processors."""
    wanted = {
        item.callspec.params["case"].id: item.callspec.params["case"]
        for item in request.session.items
        if "begun" in getattr(item, "fixturenames", ())
    }
    place = tmp_path_factory.mktemp("integrations")
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        yield {
            name: Begun(
                (
                    pool.submit(run_bare, case, place / name / "bare-1"),
                    pool.submit(run_bare, case, place / name / "bare-2"),
                ),
                pool.submit(run_audit, case, place / name),
            )
            for name, case in wanted.items()
        }
        pool.shutdown(cancel_futures=True)


@pytest.fixture
def bare(case: Case, begun: Mapping[str, Begun]) -> tuple[Path, Path]:
    """The directories of the case's two runs without the auditor."""
    first, second = begun[case.id].bare
    return first.result(), second.result()


@pytest.fixture
def audited(case: Case, begun: Mapping[str, Begun]) -> Audited:
    """The case's audit."""
    return begun[case.id].audit.result()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each case."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids=[case.id for case in CASES])


@pytest.fixture
def metrics(case: Case) -> Callable[[Path], list[str]]:
    """Reads the numbers that the program reports, in their order, without the durations among them."""

    def read(directory: Path) -> list[str]:
        path = directory / case.program.results
        if path.suffix == ".csv":
            return path.read_text().splitlines()
        return list(_numbers(json.loads(path.read_text())))

    return read


def _numbers(value: object) -> Iterator[str]:
    match value:
        case dict():
            for name, item in value.items():
                if not name.endswith(("_runtime", "_per_second")):
                    yield from _numbers(item)
        case list():
            for item in value:
                yield from _numbers(item)
        case _:
            yield repr(value)
