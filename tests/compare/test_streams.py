"""What the rules of random streams and of loading see in traces."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from auditor.compare import replicates
from auditor.records.audit import Finding
from auditor.records.config import Settings
from auditor.records.trace import Draw, Generator, Loader, Place, Seed, Streams, Worker
from auditor.rulebook.watching import observe

Make = SimpleNamespace
PLACE, OTHER = Place("train.py", 12), Place("train.py", 30)
LIBRARY = Place("/usr/lib/python3.11/site-packages/transformers/trainer_utils.py", 9)


def seen(rule: str, *evidence: Any) -> list[Finding]:
    return [one for one in observe(evidence, replicates(evidence, Settings())) if one.rule == rule]


def seed(value: str | None, step: int = 0, place: Place = PLACE, stream: str = "torch", **told: Any) -> Seed:
    return Seed(stream, value, place, told.pop("caller", place), step, **told)


def worker_of(make: Make, state: str, seeds: tuple[Seed, ...] = ()) -> Any:
    line = Worker("start", 0, 0, 2, {"numpy": state * 16}, {})
    return make.process(0, role="main/worker 0.0", workers=(line,), seeds=seeds, streams=None)


def test_a_stream_that_was_drawn_from_is_told_with_its_line(make: Make, runs: Any) -> None:
    streams = Streams({"python": "0" * 16}, {"python": True})
    draws = (Draw("python", PLACE, False, 0),)
    (found,) = seen("unseeded-python-random", runs(1, make.process(3, streams=streams, draws=draws)))
    assert found.location == PLACE
    # In each fork the interpreter gives Python's stream a state from the system's entropy; the others are copied.
    fork = make.hello(kind="fork")
    assert seen("unseeded-python-random", runs(1, make.process(3, streams=streams, hello=fork)))
    again = make.process(3, streams=streams, hello=fork, seeds=(seed("1", stream="python"),))
    assert not seen("unseeded-python-random", runs(1, again))
    copied = Streams({"numpy": "0" * 16}, {"numpy": True})
    assert not seen("unseeded-numpy-global", runs(1, make.process(3, streams=copied, hello=fork)))


@pytest.mark.parametrize(
    ("stream", "rule"), [("numpy", "unseeded-numpy-global"), ("torch-cuda", "unseeded-torch-cuda")]
)
def test_each_stream_has_its_rule(make: Make, runs: Any, stream: str, rule: str) -> None:
    streams = Streams({stream: "0" * 16}, {stream: True})
    assert seen(rule, runs(1, make.process(3, streams=streams)))
    assert not seen(rule, runs(1, make.process(3, streams=streams, seeds=(seed("1", stream=stream),))))


def test_a_seed_that_comes_after_a_draw_weighs_more_where_the_runs_differ(make: Make, runs: Any) -> None:
    late = (seed("1", drawn=True), seed("1", drawn=True, stream="torch-cuda"))
    (found,) = seen("late-seed", *(runs(n, make.process(3, seeds=late)) for n in (1, 2)))
    assert (found.severity, found.location) == ("note", PLACE)
    (found,) = seen("late-seed", *(runs(n, make.process(n + 2, seeds=late)) for n in (1, 2)))
    assert found.severity == "warning"
    for fine in ((seed("1", drawn=False),), (seed("1"), seed("1", 2))):
        assert not seen("late-seed", runs(1, make.process(3, seeds=fine)))


def test_workers_and_forks_are_seeded_by_their_parents(make: Make, runs: Any) -> None:
    late = (seed("1", drawn=True),)
    assert not seen("late-seed", runs(1, make.process(3), worker_of(make, "a", late)))
    assert not seen("late-seed", runs(1, make.process(3, seeds=late, hello=make.hello(kind="fork"))))


def test_seeds_that_differ_between_runs_of_one_seed(make: Make, runs: Any) -> None:
    def process(value: str) -> Any:
        made = Generator(0, "PCG64", True, "seed", OTHER, 0, value)
        return make.process(3, seeds=(seed(value), seed(value, stream="torch-cuda")), generators=(made,))

    found = seen("unstable-seed", runs(1, process("1")), runs(2, process("2")))
    assert {one.location for one in found} == {PLACE, OTHER}
    assert len(found) == 2
    assert not seen("unstable-seed", runs(1, process("1")), runs(2, process("1")))
    # In a study each run is given another seed.
    assert not seen("unstable-seed", runs(1, process("1"), seed=1), runs(2, process("2"), seed=2))


def test_a_line_that_seeds_alike_while_one_optimizer_trains(make: Make, runs: Any) -> None:
    again = (seed("7"), seed("7", 2))
    assert len(seen("seed-in-loop", runs(1, make.process(4, seeds=again)))) == 1
    assert not seen("seed-in-loop", runs(1, make.process(4, seeds=(seed("7"), seed("8", 2)))))
    # Another optimizer: another training, which begins alike.
    steps = tuple(make.step(n, optimizer=(n - 1) // 2) for n in range(1, 5))
    assert not seen("seed-in-loop", runs(1, make.process(steps, seeds=again)))


def test_a_line_that_seeds_for_each_sample(make: Make, runs: Any) -> None:
    often = tuple(seed("7", step, stream="numpy") for step in (0, 1) for _ in range(4))
    assert len(seen("seed-in-getitem", runs(1, make.process(2, seeds=often)))) == 1
    assert len(seen("seed-in-getitem", runs(1, make.process(2), worker_of(make, "a", often[:4])))) == 1
    assert not seen("seed-in-getitem", runs(1, make.process(2, seeds=often[:4])))


def test_a_library_that_seeds_after_the_program(make: Make, runs: Any) -> None:
    ours, theirs = seed("7"), seed("42", place=OTHER, caller=LIBRARY)
    (found,) = seen("library-reseeds", runs(1, make.process(2, seeds=(ours, theirs))))
    assert found.location == OTHER
    assert found.message.startswith("transformers seeds torch's CPU stream anew with 42")
    same = msgspec.structs.replace(theirs, value="7")
    for fine in ((ours, same), (theirs,), (ours, seed("42", place=OTHER))):
        assert not seen("library-reseeds", runs(1, make.process(2, seeds=fine)))


def test_workers_that_begin_otherwise_in_each_run(make: Make, runs: Any) -> None:
    loader = Loader(0, 2, 4, "SequentialSampler", False, True, False, PLACE)

    def step(n: int, stream: str) -> Any:
        return make.step(n, streams={"torch": stream * 16})

    def evidence(number: int, state: str, stream: str = "s") -> Any:
        parent = make.process((step(1, stream),), loaders=(loader,))
        return runs(number, parent, worker_of(make, state))

    (found,) = seen("unseeded-worker", evidence(1, "a"), evidence(2, "b"))
    assert found.location == PLACE
    assert not seen("unseeded-worker", evidence(1, "a"), evidence(2, "a"))
    # The parent is not seeded: that is another rule's.
    assert not seen("unseeded-worker", evidence(1, "a", "s"), evidence(2, "b", "t"))
    none = worker_of(make, "a", (seed(None, place=OTHER),))
    (found,) = seen("unseeded-worker", runs(1, make.process(1), none))
    assert found.location == OTHER
    assert not seen("seed-from-entropy", runs(1, make.process(1), none))
