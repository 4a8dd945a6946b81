"""Findings: what the traces show to the rules, and of the evidence itself, whatever the verdict."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec

from auditor.compare import replicates
from auditor.diagnose.findings import remarks
from auditor.records.audit import Finding
from auditor.records.config import Settings
from auditor.records.trace import Entropy, Fault, Generator, Loader, Place, Seed, StaleRead, Streams, Unwatched, Worker
from auditor.rulebook.watching import finding_order, observe

Make = SimpleNamespace
PLACE = Place("train.py", 12)


def found_in(*evidence: Any) -> tuple[Finding, ...]:
    found = observe(evidence, replicates(evidence, Settings())) + remarks(evidence)
    return tuple(sorted(found, key=finding_order))


def by_rule(found: tuple[Finding, ...], rule: str) -> list[Finding]:
    return [one for one in found if one.rule == rule]


def worker(make: Make, number: int, start: str, end: str | None, field: str = "held") -> Any:
    def line(at: str, state: str) -> Worker:
        states = {"rng": state * 16}
        return Worker(at, 0, number, 2, *(({}, states) if field == "held" else (states, {})))

    lines = (line("start", start), *(() if end is None else (line("end", end),)))
    return make.process(0, role=f"main/worker 0.{number}", workers=lines, streams=None)


def loader() -> Loader:
    return Loader(0, 2, 16, "RandomSampler", False, False, False, PLACE)


def test_workers_that_begin_alike_and_draw_are_found_even_if_bit_exact(make: Make, runs: Any) -> None:
    def evidence(number: int) -> Any:
        main = make.process(3, loaders=(loader(),), seeds=(Seed("torch", "1", PLACE, None, 0),))
        return runs(number, main, worker(make, 0, "a", "b"), worker(make, 1, "a", "b"))

    one, two = evidence(1), evidence(2)
    assert replicates([one, two], Settings()).divergences == ()
    (finding,) = by_rule(found_in(one, two), "identical-worker-randomness")
    assert finding.location == PLACE
    assert finding.severity == "warning"
    assert "rng" in finding.message
    assert "0, 1" in finding.message


def test_workers_that_begin_apart_or_never_draw_are_not(make: Make, runs: Any) -> None:
    apart = [worker(make, 0, "a", "b"), worker(make, 1, "c", "d")]
    idle = [worker(make, 0, "a", "a"), worker(make, 1, "a", "a")]
    unseen = [worker(make, 0, "a", None), worker(make, 1, "a", None)]
    one_idle = [worker(make, 0, "a", "b"), worker(make, 1, "a", "a")]
    for workers in (apart, idle, unseen, one_idle):
        assert by_rule(found_in(runs(1, make.process(3), *workers)), "identical-worker-randomness") == []


def test_workers_with_unequal_shares_begin_alike_all_the_same(make: Make, runs: Any) -> None:
    for second in ("c", None):
        workers = [worker(make, 0, "a", "b"), worker(make, 1, "a", second)]
        assert by_rule(found_in(runs(1, make.process(3), *workers)), "identical-worker-randomness")


def test_workers_of_another_epoch_are_others(make: Make, runs: Any) -> None:
    """The parent drew between the epochs; the workers of neither epoch did."""
    later = [msgspec.structs.replace(worker(make, n, "b", "b"), role=f"main/worker 0.{n}#2") for n in range(2)]
    earlier = [worker(make, n, "a", "a") for n in range(2)]
    assert by_rule(found_in(runs(1, make.process(3), *earlier, *later)), "identical-worker-randomness") == []


def test_children_that_the_probe_could_not_enter(make: Make, runs: Any) -> None:
    process = make.process(3, unwatched=(Unwatched("python -I train.py", PLACE, 0),))
    evidence = runs(1, process), runs(2, process)
    assert len(by_rule(found_in(*evidence), "unwatched-child")) == 1
    assert any("python -I train.py" in gap for gap in replicates(evidence, Settings()).gaps)


def test_global_streams_of_workers_count_too(make: Make, runs: Any) -> None:
    workers = [worker(make, n, "a", "b", "streams") for n in range(2)]
    assert by_rule(found_in(runs(1, make.process(3), *workers)), "identical-worker-randomness")


def test_generators_without_a_seed(make: Make, runs: Any) -> None:
    made = (
        Generator(0, "PCG64", False, "entropy", PLACE, 0),
        Generator(1, "PCG64", True, "seed", Place("train.py", 20), 0),
    )
    found = by_rule(found_in(*(runs(n, make.process(3, generators=made)) for n in (1, 2))), "unseeded-numpy-generator")
    assert [one.location for one in found] == [PLACE]


def test_streams_drawn_without_a_seed(make: Make, runs: Any) -> None:
    streams = Streams(
        {"python": "0" * 16, "torch": "1" * 16, "numpy": "2" * 16}, {"python": True, "torch": True, "numpy": False}
    )
    process = make.process(3, streams=streams, seeds=(Seed("torch", "1", PLACE, None, 0),))
    found = by_rule(found_in(runs(1, process)), "unseeded-python-random")
    assert len(found) == 1
    assert "random.seed" in found[0].message


def test_seeds_from_entropy_and_seeds_too_late(make: Make, runs: Any) -> None:
    process = make.process(3, seeds=(Seed("torch", None, PLACE, None, 0), Seed("numpy", "1", PLACE, None, 2)))
    found = found_in(runs(1, process))
    assert len(by_rule(found, "seed-from-entropy")) == 1
    assert len(by_rule(found, "late-seed")) == 1


def test_reads_of_the_outside_world_weigh_more_where_runs_differ(make: Make, runs: Any) -> None:
    reads = tuple(Entropy(kind, PLACE, 0) for kind in ("clock", "urandom", "uuid"))
    same = found_in(runs(1, make.process(3, entropy=reads)), runs(2, make.process(3, entropy=reads)))
    assert {one.rule: one.severity for one in same if one.location == PLACE} == {
        "clock-read": "note",
        "entropy-read": "note",
        "uuid-made": "note",
    }
    differing = found_in(runs(1, make.process(3, entropy=reads)), runs(2, make.process(4, entropy=reads)))
    assert by_rule(differing, "entropy-read")[0].severity == "warning"
    assert not any("harmless" in one.message for one in differing)


def test_an_unseeded_generator_is_told_once_and_before_mere_reads(make: Make, runs: Any) -> None:
    reads = (Entropy("numpy-entropy", PLACE, 0), Entropy("urandom", PLACE, 0), Entropy("uuid", Place("a.py", 1), 0))
    made = (Generator(0, "PCG64", False, "entropy", PLACE, 0),)
    found = found_in(*(runs(n, make.process(2 + n, generators=made, entropy=reads)) for n in (1, 2)))
    assert [one.rule for one in found if one.location == PLACE] == ["unseeded-numpy-generator"]
    rules = [one.rule for one in found]
    assert rules.index("unseeded-numpy-generator") < rules.index("uuid-made")


def test_listings_in_another_order(make: Make, runs: Any) -> None:
    def process(order: str, names: str = "n", steps: int = 3) -> Any:
        return make.process(steps, entropy=(Entropy("listing", PLACE, 0, order * 16, names * 16),))

    def found(one: Any, two: Any) -> list[Finding]:
        return by_rule(found_in(runs(1, one), runs(2, two)), "unsorted-listing")

    assert len(found(process("a"), process("b", steps=4))) == 1
    assert found(process("a"), process("a", steps=4)) == []
    assert found(process("a", "x"), process("b", "y", steps=4)) == []
    # The runs agree: the program sorts what it lists.
    assert found(process("a"), process("b")) == []


def test_loaders_stale_reads_and_faults(make: Make, runs: Any) -> None:
    process = make.process(
        3,
        loaders=(loader(),),
        stale_reads=(StaleRead("/tmp/last.pt", PLACE, 0),),
        faults=(Fault("steps", "KeyError", 1),),
    )
    found = found_in(runs(1, process), runs(2, process))
    assert len(by_rule(found, "dataloader-workers")) == 1
    assert len(by_rule(found, "stale-file")) == 1
    assert len(by_rule(found, "probe-fault")) == 1


def test_each_finding_comes_once_in_a_stable_order_gravest_first(make: Make, runs: Any) -> None:
    reads = tuple(Entropy(kind, Place("b.py", line), 0) for kind in ("uuid", "clock") for line in (9, 3))
    process = make.process(3, entropy=reads, faults=(Fault("steps", "KeyError", 1),))
    one, two = found_in(runs(1, process), runs(2, process)), found_in(runs(2, process), runs(1, process))
    assert one == two
    assert len(one) == len(set(one))
    assert one[0].severity == "error"
    severities = [("error", "warning", "note").index(finding.severity) for finding in one]
    assert severities == sorted(severities)


def test_epochs_whose_workers_begin_alike_are_found(make: Make, runs: Any) -> None:
    def evidence(second: str, end: str) -> Any:
        first, again = worker(make, 0, "a", end), worker(make, 0, second, end)
        again = msgspec.structs.replace(again, role="main/worker 0.0#2", file="again.jsonl")
        return runs(1, make.process(3, loaders=(loader(),)), first, again)

    (finding,) = by_rule(found_in(evidence("a", "b")), "repeated-epoch-randomness")
    assert finding.location == PLACE
    assert "workers 0 of DataLoader 0" in finding.message
    for fine in (evidence("c", "b"), evidence("a", "a")):
        assert not by_rule(found_in(fine), "repeated-epoch-randomness")


def test_a_shuffled_loader_that_repeats_its_order_is_found(make: Make, runs: Any) -> None:
    def evidence(order: str, sampler: str = "RandomSampler") -> Any:
        made = msgspec.structs.replace(loader(), sampler=sampler)
        steps = tuple(make.step(n, batch=make.batch(value)) for n, value in enumerate(order, 1))
        return runs(1, make.process(steps, loaders=(made,)))

    (finding,) = by_rule(found_in(evidence("abcabcab")), "repeated-epoch-order")
    assert finding.location == PLACE
    assert "3 batches" in finding.message
    for order in ("abcbcaab", "abc", "aaaaaa", "abab"[:3], "abcdabce"):
        assert not by_rule(found_in(evidence(order)), "repeated-epoch-order"), order
    assert not by_rule(found_in(evidence("abcabcab", "SequentialSampler")), "repeated-epoch-order")
