"""Every example that can be run is run: audited where its rule watches runs, and once by itself where it does not."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from auditor import pipeline
from auditor.config import make_request
from auditor.rule import Check, Example
from auditor.rulebook import rulebook

pytestmark = pytest.mark.programs

LIMIT = 120


def _cases(which: str, *, watched: bool) -> list[object]:
    return [
        pytest.param(check, example, id=f"{check.rule.id}-{number}")
        for check in rulebook().values()
        if (check.run is not None) == watched
        for number, example in enumerate(getattr(check.rule, which), 1)
        if example.kind == "python" and example.runs
    ]


def _lay_out(example: Example, directory: Path) -> list[str]:
    """Writes an example's files, skips where it needs what is not here, and returns its command."""
    for name in example.needs:
        try:
            version(name)
        except PackageNotFoundError:
            pytest.skip(f"{name} is not installed")
    script = example.name or "train.py"
    for name, text in {**example.beside, script: example.code}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return ["python", script, *example.arguments]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("HOME", str(tmp_path))
    directory = tmp_path / "project"
    directory.mkdir()
    return directory


def _observed(example: Example, project: Path) -> tuple[set[str], str]:
    """The rules that saw something in two runs of an example, and what all of them said."""
    command = _lay_out(example, project)
    out = project.parent / "evidence"
    request = make_request(command, str(project), out=str(out), timeout=LIMIT, diagnose=False)
    audit = pipeline.audit(request, lambda event: None)
    errors = (out / "runs" / "1" / "stderr").read_text(encoding="utf-8", errors="replace")
    assert audit.state == "complete", f"{audit.problem}\n{errors[-2000:]}"
    seen = [finding for finding in audit.findings if "run" in finding.senses]
    return {finding.rule for finding in seen}, "\n".join(f"{one.rule}: {one.message}" for one in seen)


def _needs_a_device(check: Check, example: Example) -> bool:
    """Whether an example may show its flaw on a GPU only, and there is none here."""
    if check.rule.topic != "kernels" and "cuda" not in example.code:
        return False
    import torch

    return not torch.cuda.is_available()


@pytest.mark.parametrize(("check", "example"), _cases("bad", watched=True))
def test_a_bad_example_is_observed(check: Check, example: Example, project: Path) -> None:
    """The first at least, which is on the rule's page; others may show what the source alone tells."""
    observed, told = _observed(example, project)
    if check.rule.id not in observed and _needs_a_device(check, example):
        pytest.skip("it runs; its flaw would show on a GPU")
    if check.source is None or example is check.rule.bad[0]:
        assert check.rule.id in observed, told


@pytest.mark.parametrize(("check", "example"), _cases("good", watched=True))
def test_a_good_example_is_not_observed(check: Check, example: Example, project: Path) -> None:
    observed, told = _observed(example, project)
    assert check.rule.id not in observed, told


@pytest.mark.parametrize(("check", "example"), _cases("bad", watched=False) + _cases("good", watched=False))
def test_an_example_of_the_source_alone_runs(check: Check, example: Example, project: Path) -> None:
    done = subprocess.run(
        _lay_out(example, project), cwd=project, capture_output=True, text=True, timeout=LIMIT, stdin=subprocess.DEVNULL
    )
    assert done.returncode == 0, f"{done.stdout[-500:]}\n{done.stderr[-2000:]}"
