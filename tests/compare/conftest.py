"""Evidence made by hand: traces, runs, files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings

from auditor.records.evidence import RunEvidence
from auditor.records.run import Artefact, Ending, Isolation, RunRecord
from auditor.records.trace import Batch, End, Final, Hello, Init, Loss, Optimizer, ProcessTrace, Step, Streams

# The same examples in every run, and no opinion about how long one takes.
settings.register_profile("auditor", deadline=None, derandomize=True, database=None)
settings.load_profile("auditor")


def digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def hello(label: str = "train.py", kind: str = "exec", pid: int = 7) -> Hello:
    return Hello(
        protocol=1, kind=kind, pid=pid, ppid=1, label=label, python="3.11.7", implementation="cpython", hash_seed="1",
        rank=None, local_rank=None, parent=None, child=None, ns=1,
    )  # fmt: skip


def optimizer(index: int = 0, names: tuple[str, ...] = ("weight", "bias"), groups: int = 1) -> Optimizer:
    return Optimizer(
        index=index, kind="SGD", names=list(names), shapes=[[2]] * len(names), dtypes=["float32"] * len(names),
        groups=groups, width=4,
    )  # fmt: skip


def loss(value: float = 0.5, count: int = 1) -> Loss:
    return Loss(count=count, digest=digest("loss", value.hex(), count), values=[value.hex()] * count)


def batch(value: object = 0, sources: tuple[str, ...] = ("loader 0",), parts: str | None = None) -> Batch:
    joined = parts if parts is not None else "".join(digest("input", value, i)[:4] for i in range(len(sources)))
    return Batch(count=len(sources), digest=digest("batch", value, joined), sources=list(sources), parts=joined)


def step(n: int, **changed: Any) -> Step:
    fields: dict[str, Any] = {
        "n": n,
        "optimizer": 0,
        "batch": batch(n),
        "loss": loss(1.0 / n),
        "gradients": digest("g", n),
        "gradients_parts": "aaaabbbb",
        "parameters": digest("p", n),
        "parameters_parts": "ccccdddd",
        "streams": {"torch": digest("s", n)},
        "ns": n,
    }
    return Step(**fields | changed)


def process(steps: tuple[Step, ...] | int = 3, role: str = "main", **changed: Any) -> ProcessTrace:
    lines = tuple(step(n) for n in range(1, steps + 1)) if isinstance(steps, int) else steps
    last = lines[-1].n if lines else 0
    fields: dict[str, Any] = {
        "file": f"{role}.jsonl",
        "role": role,
        "hello": hello(),
        "environment": None,
        "torch": (),
        "gpus": (),
        "seeds": (),
        "generators": (),
        "loaders": (),
        "entropy": (),
        "stale_reads": (),
        "unwatched": (),
        "unseen": (),
        "unordered": False,
        "optimizers": (optimizer(),) if lines else (),
        "inits": (Init(optimizer=0, digest=digest("init"), parts="eeeeffff"),) if lines else (),
        "steps": lines,
        "finals": (Final(optimizer=0, at="exit", digest=digest("final"), parts="gggghhhh"),) if lines else (),
        "streams": Streams(states={"torch": digest("end")}, drawn={"torch": True}),
        "workers": (),
        "libraries": (),
        "perturbed": (),
        "faults": (),
        "end": End(why="exit", steps=last, backwards=last, digested=len(lines), probe_ns=1, ns=1),
    }
    return ProcessTrace(**fields | changed)


def record(number: int = 1, status: str = "ok", **changed: Any) -> RunRecord:
    fields: dict[str, Any] = {
        "number": number,
        "seed": 1,
        "command": ("python", "train.py"),
        "executor": "local",
        "isolation": Isolation("copy"),
        "image": None,
        "varied": {},
        "started": "2024-01-01T00:00:00Z",
        "seconds": 1.0,
        "ending": Ending(status, 0 if status == "ok" else 1 if status == "failed" else None),
        "artefacts": (),
    }
    return RunRecord(**fields | changed)


class Runs:
    """Runs in a directory of their own, with whatever files and traces the test gives them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __call__(
        self,
        number: int = 1,
        *processes: ProcessTrace,
        files: dict[str, bytes | str] | None = None,
        stdout: str = "",
        stderr: str = "",
        tensors: dict[str, bytes] | None = None,
        missing: tuple[str, ...] = (),
        **changed: Any,
    ) -> RunEvidence:
        home = self.root / str(number)
        artefacts = []
        for name, content in sorted((files or {}).items()):
            data = content.encode() if isinstance(content, str) else content
            path = home / "artefacts" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            artefacts.append(Artefact(name, len(data), hashlib.sha256(data).hexdigest()))
        (home / "tensors").mkdir(parents=True, exist_ok=True)
        for name, data in (tensors or {}).items():
            (home / "tensors" / name).write_bytes(data)
        (home / "stdout").write_text(stdout)
        (home / "stderr").write_text(stderr)
        return RunEvidence(
            run=record(number, artefacts=tuple(artefacts), **changed),
            processes=processes,
            artefacts_root=home / "artefacts",
            tensors_root=home / "tensors",
            stdout=home / "stdout",
            stderr=home / "stderr",
            missing=missing,
        )


@pytest.fixture(scope="session")
def make() -> SimpleNamespace:
    """The makers of records, by the names of what they make."""
    return SimpleNamespace(
        digest=digest,
        hello=hello,
        optimizer=optimizer,
        loss=loss,
        batch=batch,
        step=step,
        process=process,
        record=record,
    )


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    return Runs(tmp_path)
