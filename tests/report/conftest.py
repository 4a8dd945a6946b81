"""Audits made by hand, to be rendered."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest

from auditor.records.audit import SCHEMA, Audit, Detection, Finding, LevelVerdict
from auditor.records.comparison import ArtefactDifference, Compared, Divergence, Metric
from auditor.records.config import Settings
from auditor.records.fingerprint import Fingerprint, Known, Unknown
from auditor.records.run import Ending, Isolation, RunRecord
from auditor.records.trace import Place


def run_record(number: int, *, status: str = "ok", exit_code: int | None = 0) -> RunRecord:
    return RunRecord(
        number=number,
        seed=1,
        command=("python", "train.py", "--seed", "1"),
        executor="local",
        isolation=Isolation("overlay"),
        image=None,
        varied={"PYTHONHASHSEED": str(number)},
        started="2030-01-01T00:00:00Z",
        seconds=12.5 * number,
        ending=Ending(status, exit_code),
        artefacts=(),
    )


DIVERGED = Audit(
    schema=SCHEMA,
    id="20300101T000000Z-0a1b2c3d",
    state="complete",
    level="seed-stable",
    levels={
        "bit-exact": LevelVerdict("not-reached", "the gradients differ from step 3 on", {"step": 3.0}),
        "seed-stable": LevelVerdict("reached", "2 metrics agree within their tolerances"),
        "distribution-stable": LevelVerdict("not-tested", "no fresh seeds were run"),
    },
    command=("python", "train.py", "--seed", "{seed}", "--name", "a b"),
    settings=Settings(require="bit-exact"),
    runs=(run_record(1), run_record(2)),
    metrics={
        metric.name: metric
        for metric in (
            Metric("rmse", "output", True, ((14.2,), (14.2031,)), False, 0.0031, 0.01),
            Metric("results.json:score", "results.json", False, ((312.5,), (312.5,)), True, 0.0, 0.01),
            Metric("loss", "log.csv", True, ((3.0, 2.0), (3.0, "nan")), False, None, 0.01, problem="nan against 2.0"),
            Metric("seconds", "results.json", False, ((1.0,), (2.0,)), False, 1.0, 0.01, volatile="a duration"),
        )
    },
    artefacts=(
        ArtefactDifference("seed_1/model.pt", "tensors", "differs", "first encoder.weight", 14, 1e-7),
        ArtefactDifference("seed_1/train.log", "log", "volatile", "a log"),
    ),
    compared=Compared(steps=120, batches=120, losses=120, gradient_digests=120, parameter_digests=120, metrics=2),
    divergence=Divergence(3, "gradients", "main", "encoder.weight", 1.19e-7, 2),
    causes=(),
    findings=(
        Finding("time-seed", "a seed was taken from the clock", "warning", Place("train.py", 4)),
        Finding("unseeded-numpy-generator", "a Generator drew its seed from the system", "error", Place("data.py", 31)),
    ),
    gaps=("run 2: the trace of worker 0.1 is cut off",),
    notes=("directory order was varied in run 2",),
    detection=Detection(2, 0.95, 1.0),
    fingerprint=Fingerprint(
        "auditor.fingerprint/1",
        {
            "interpreter": {"version": Known("3.11.4", "sys.version_info")},
            "libraries": {"torch": Known("2.13.0+cpu", "torch.__version__")},
            "cuda": {"cuda": Known("none", "torch"), "cudnn": Unknown("torch was built without it")},
        },
    ),
    times={"started": "2030-01-01T00:00:00Z", "runs_seconds": 37.5},
)


@pytest.fixture
def diverged() -> Audit:
    """Not bit-exact, though required; seed-stable."""
    return DIVERGED


@pytest.fixture
def reached() -> Audit:
    """Bit-exact, and nothing to complain about."""
    return msgspec.structs.replace(
        DIVERGED,
        level="bit-exact",
        levels=DIVERGED.levels | {"bit-exact": LevelVerdict("reached", "everything compared agrees")},
        metrics={name: metric for name, metric in DIVERGED.metrics.items() if metric.identical},
        artefacts=(),
        divergence=None,
        findings=(),
        gaps=(),
        notes=(),
        detection=Detection(3, 0.95, 1 - 0.05**0.5),
    )


@pytest.fixture
def failed() -> Audit:
    """The program failed in run one."""
    return msgspec.structs.replace(
        DIVERGED,
        state="failed",
        level=None,
        problem="run 1 ended with exit code 1",
        levels={name: LevelVerdict("inconclusive", "the program failed") for name in DIVERGED.levels},
        settings=Settings(),
        runs=(run_record(1, status="failed", exit_code=1),),
        metrics={},
        artefacts=(),
        compared=Compared(),
        divergence=None,
        findings=(),
        gaps=(),
        notes=(),
    )


@pytest.fixture
def renderers() -> dict[str, Callable[[Audit], str]]:
    """Every format's render."""
    from auditor.report import json, junit, markdown, terminal

    return {"terminal": terminal.render, "json": json.render, "junit": junit.render, "markdown": markdown.render}
