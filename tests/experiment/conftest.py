"""A small project to run, and what every test of the experiment needs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from auditor.config import Request, make_request
from auditor.experiment import perform
from auditor.experiment.executors.local import LocalExecutor
from auditor.records.progress import Event
from auditor.records.run import RunRecord
from auditor.records.trace import Step
from auditor.store import Store


class Bench:
    """A project and one audit of it."""

    def __init__(self, project: Path) -> None:
        self.project = project
        self.events: list[Event] = []
        self.request: Request | None = None
        self._store: Store | None = None

    def write(self, name: str, text: str) -> Path:
        """A file of the project."""
        path = self.project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @property
    def store(self) -> Store:
        """The evidence directory of the audit."""
        assert self._store is not None
        return self._store

    def prepare(self, command: Sequence[str], **options: Any) -> Request:
        """Make the request and its evidence directory."""
        self.request = make_request(tuple(command), str(self.project), **options)
        self._store = Store.create(self.request.out, self.project, self.request.command)
        return self.request

    def perform(
        self, on_event: Callable[[Event], None] | None = None, agree: Callable[[Step, Step], bool] | None = None
    ) -> tuple[RunRecord, ...]:
        """Execute what is still to be executed."""
        assert self.request is not None
        self.events = []
        return perform(self.request, self.store, on_event or self.events.append, agree or _same)

    def run(self, command: Sequence[str], **options: Any) -> tuple[RunRecord, ...]:
        """Prepare and perform."""
        self.prepare(command, **options)
        return self.perform()

    def python(self, source: str, **options: Any) -> tuple[RunRecord, ...]:
        """Run ``source`` as ``train.py`` in an interpreter that the probe does not enter."""
        self.write("train.py", source)
        return self.run((sys.executable, "-I", "train.py"), **options)

    def out(self, number: int) -> str:
        """What run ``number`` printed, or the reason it could not."""
        paths = self.store.paths(number)
        return paths.stdout.read_text() + paths.stderr.read_text()

    def artefact(self, number: int, name: str) -> bytes:
        """A file that run ``number`` wrote."""
        return (self.store.paths(number).artefacts / name).read_bytes()


def _same(one: Step, other: Step) -> bool:
    return msgspec.structs.replace(one, ns=0) == msgspec.structs.replace(other, ns=0)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A project of its own, and a place for temporary files outside it."""
    project, temporary = tmp_path / "project", tmp_path / "temporary"
    project.mkdir()
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    return Bench(project)


@pytest.fixture(scope="session")
def overlay_refusal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Why this machine refuses overlays; empty where it does not."""
    project = tmp_path_factory.mktemp("refusal")
    request = make_request(("true",), str(project))
    executor = LocalExecutor(request, Store.create(None, project, request.command), {"PATH": "/bin"})
    executor.close()
    return executor.isolation.reason if executor.isolation.kind == "copy" else ""


@pytest.fixture(params=["overlay", "copy"])
def isolation(request: pytest.FixtureRequest, overlay_refusal: str) -> str:
    """Each means of isolation in turn."""
    if request.param == "overlay" and overlay_refusal:
        pytest.skip(overlay_refusal)
    return str(request.param)


@pytest.fixture
def needs_overlay(overlay_refusal: str) -> None:
    """Skip, saying why, where overlays are refused."""
    if overlay_refusal:
        pytest.skip(overlay_refusal)
