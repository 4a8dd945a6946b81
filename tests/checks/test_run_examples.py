"""Every example that can be run is run, and those on its rule's page are audited where the rule watches runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from auditor import pipeline
from auditor.config import make_request
from auditor.rule import Check, Example
from auditor.rulebook import rulebook

pytestmark = pytest.mark.programs

LIMIT = 120
# Runs one script after the other, each in a fork of a process that has brought in what most of them need: bringing in
# torch takes longer than all that an example does.
NURSERY = """
import json, os, runpy, signal, sys, traceback
import numpy, torch
for line in sys.stdin:
    order = json.loads(line)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            signal.alarm(order["limit"])
            os.chdir(order["directory"])
            told = os.open(order["told"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(told, 1)
            os.dup2(told, 2)
            sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")
            sys.argv = order["words"]
            sys.path[0] = order["directory"]
            runpy.run_path(sys.argv[0], run_name="__main__")
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def _cases(which: str, *, watched: bool) -> list[object]:
    """The examples of rules that watch runs: the first of each as it is, the others for ``make test-slow``; or all."""
    found = []
    for check in rulebook().values():
        for number, example in enumerate(getattr(check.rule, which), 1):
            if example.kind != "python" or not example.runs or (watched and check.run is None):
                continue
            marks = [pytest.mark.slow] if watched and number > 1 else []
            found.append(pytest.param(check, example, id=f"{check.rule.id}-{number}", marks=marks))
    return found


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


@pytest.fixture(scope="session")
def run() -> Iterator[Callable[[list[str], Path], tuple[int, str]]]:
    """Runs a script in a directory; its exit code, and what it printed."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "random"}
    words = [sys.executable, "-c", NURSERY]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as nursery:
        assert nursery.stdin is not None and nursery.stdout is not None
        orders, answers = nursery.stdin, nursery.stdout

        def run(script: list[str], directory: Path) -> tuple[int, str]:
            told = directory.parent / "told"
            order = {"words": script, "directory": str(directory), "told": str(told), "limit": LIMIT}
            orders.write(json.dumps(order) + "\n")
            orders.flush()
            answer = answers.readline()
            return int(answer), told.read_text(encoding="utf-8", errors="replace")

        yield run
        orders.close()


@pytest.mark.parametrize(("check", "example"), _cases("bad", watched=False) + _cases("good", watched=False))
def test_an_example_runs(
    check: Check, example: Example, project: Path, run: Callable[[list[str], Path], tuple[int, str]]
) -> None:
    code, told = run(_lay_out(example, project)[1:], project)
    assert code == 0, told[-2000:]
