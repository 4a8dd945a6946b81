"""The role of each process: the same in every run, whatever its pid and name of trace."""

from __future__ import annotations

import random

import pytest

from auditor.records.trace import Hello, Role
from auditor.store import Process, assign_roles, role_order


def process(
    file: str,
    ns: int,
    *,
    pid: int = 0,
    ppid: int = 1,
    label: str = "train.py",
    parent: str | None = None,
    child: int | None = None,
    rank: str | None = None,
    role: Role | None = None,
) -> Process:
    """A process as its handshake and its role line give it; a fork where ``parent`` is named."""
    hello = Hello(
        protocol=1,
        kind="exec" if parent is None else "fork",
        pid=pid,
        ppid=ppid,
        label=label,
        python="3.11.7",
        implementation="cpython",
        hash_seed=None,
        rank=rank,
        local_rank=rank,
        parent=parent,
        child=child,
        ns=ns,
    )
    return Process(file, hello, role)


CASES = {
    "one program": ([process("a", 1)], {"a": "main"}),
    "one program twice": ([process("a", 1), process("b", 2)], {"a": "main", "b": "main#2"}),
    "two programs in a script": (
        [process("a", 1), process("b", 2, label="evaluate.py"), process("c", 3)],
        {"a": "train.py", "b": "evaluate.py", "c": "train.py#2"},
    ),
    "a program that starts another": (
        [process("a", 1, pid=10), process("b", 2, pid=11, ppid=10, label="evaluate.py")],
        {"a": "main", "b": "evaluate.py"},
    ),
    "a program that starts itself": (
        [process("a", 1, pid=10), process("b", 2, pid=11, ppid=10)],
        {"a": "main", "b": "train.py"},
    ),
    "a launcher with ranks": (
        [
            process("l", 1, pid=10, label="torchrun"),
            process("b", 2, pid=12, ppid=10, rank="1"),
            process("a", 3, pid=11, ppid=10, rank="0"),
        ],
        {"l": "main", "a": "rank 0", "b": "rank 1"},
    ),
    "torch's rank before the environment's": (
        [process("a", 1, rank="7", role=Role(rank=0, world=2))],
        {"a": "rank 0"},
    ),
    "spawned ranks": (
        [
            process("m", 1, pid=10),
            process("a", 2, ppid=10, label="-c", role=Role(rank=0, world=2, process="SpawnProcess-1")),
            process("b", 3, ppid=10, label="-c", role=Role(rank=1, world=2, process="SpawnProcess-2")),
        ],
        {"m": "main", "a": "rank 0", "b": "rank 1"},
    ),
    "a rank's child that inherits its rank": (
        [
            process("a", 1, pid=10, rank="0", role=Role(rank=0, world=2)),
            process("b", 2, parent="a", child=1, rank="0", role=Role(rank=0, world=2, process="Process-1")),
            process("c", 3, ppid=10, rank="0", label="evaluate.py"),
        ],
        {"a": "rank 0", "b": "rank 0/Process-1", "c": "rank 0/evaluate.py"},
    ),
    "loader workers, anew in a second epoch": (
        [
            process("a", 1),
            process("w0", 2, parent="a", child=1, role=Role(worker=0, loader=0)),
            process("w1", 3, parent="a", child=2, role=Role(worker=1, loader=0)),
            process("x0", 4, parent="a", child=3, role=Role(worker=0, loader=0)),
            process("v0", 5, parent="a", child=4, role=Role(worker=0, loader=1)),
        ],
        {
            "a": "main",
            "w0": "main/worker 0.0",
            "w1": "main/worker 0.1",
            "x0": "main/worker 0.0#2",
            "v0": "main/worker 1.0",
        },
    ),
    "spawned loader workers of a rank": (
        [
            process("a", 1, pid=10, rank="1"),
            process("w", 2, ppid=10, label="-c", rank="1", role=Role(worker=0, loader=0, process="SpawnProcess-1")),
        ],
        {"a": "rank 1", "w": "rank 1/worker 0.0"},
    ),
    "multiprocessing": (
        [process("a", 1), process("p", 2, parent="a", child=1, role=Role(process="ForkPoolWorker-1"))],
        {"a": "main", "p": "main/ForkPoolWorker-1"},
    ),
    "bare forks": (
        [process("a", 1), process("p", 2, parent="a", child=1), process("q", 3, parent="p", child=1)],
        {"a": "main", "p": "main/child 1", "q": "main/child 1/child 1"},
    ),
    "a fork whose parent's trace is lost": ([process("p", 2, parent="gone", child=2)], {"p": "child 2"}),
    "a pid that was used twice": (
        [
            process("a", 1, pid=10),
            process("b", 2, pid=20, ppid=10, label="b.py"),
            process("c", 3, pid=20, ppid=10, label="c.py"),
            process("d", 4, pid=30, ppid=20, label="d.py"),
        ],
        {"a": "main", "b": "b.py", "c": "c.py", "d": "c.py/d.py"},
    ),
    "a rank that is no number": ([process("a", 1, rank="none")], {"a": "main"}),
}


@pytest.mark.parametrize("name", CASES)
def test_roles(name: str) -> None:
    processes, expected = CASES[name]
    assert assign_roles(processes) == expected
    shuffled = list(processes)
    random.Random(1).shuffle(shuffled)
    assert assign_roles(shuffled) == expected


@pytest.mark.parametrize("name", CASES)
def test_roles_are_unique(name: str) -> None:
    roles = assign_roles(CASES[name][0])
    assert len(set(roles.values())) == len(roles)


def test_a_process_that_names_itself_as_its_parent_has_a_role() -> None:
    assert assign_roles([process("a", 1, parent="a", child=1)]) == {"a": "child 1"}


def test_parents_in_a_circle_have_roles() -> None:
    circle = [process("a", 1, parent="b", child=1), process("b", 2, parent="a", child=1)]
    assert sorted(assign_roles(circle)) == ["a", "b"]


def test_a_label_that_looks_like_a_repeat_stays_unique() -> None:
    odd = [process("a", 1, label="x#2"), process("b", 2, label="x"), process("c", 3, label="x")]
    roles = assign_roles(odd)
    assert len(set(roles.values())) == 3


def test_without_main_a_role_stays_as_further_programs_start() -> None:
    first = [process("a", 1, pid=10), process("b", 2, ppid=10, label="b.py")]
    later = [*first, process("c", 3, label="c.py")]
    before, after = assign_roles(first, call_main=False), assign_roles(later, call_main=False)
    assert before == {"a": "train.py", "b": "b.py"}
    assert {k: after[k] for k in before} == before


def test_main_comes_first_and_numbers_in_order_of_size() -> None:
    roles = ["rank 10", "rank 9", "evaluate.py", "main", "rank 9/worker 0.1"]
    assert sorted(roles, key=role_order) == ["main", "evaluate.py", "rank 9", "rank 9/worker 0.1", "rank 10"]
