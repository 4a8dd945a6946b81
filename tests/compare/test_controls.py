"""The controls: what the levels demand to be held fixed, and what traces show of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from auditor.records.audit import Finding
from auditor.records.control import Control
from auditor.records.fingerprint import Fingerprint, Known
from auditor.records.run import ImageFacts
from auditor.records.trace import (
    Entropy,
    Environment,
    Generator,
    Gpu,
    Loader,
    Place,
    Seed,
    Streams,
    Torch,
    Worker,
)
from auditor.rulebook.controls import controls

Make = SimpleNamespace
PLACE = Place("train.py", 12)
ON = {
    "deterministic_algorithms": True,
    "deterministic_warn_only": False,
    "cudnn_enabled": True,
    "cudnn_benchmark": False,
    "cudnn_deterministic": True,
    "cudnn_allow_tf32": False,
    "matmul_allow_tf32": False,
    "float32_matmul_precision": "highest",
}


def fingerprint(**facts: Any) -> Fingerprint:
    """One with some facts of the hardware; ``cuda`` says whether a device was used."""
    cuda = Known(facts.pop("cuda", False), "the probe")
    hardware = {name.replace("_", ":", 1): Known(value, "") for name, value in facts.items()}
    return Fingerprint("auditor.fingerprint/1", {"hardware": hardware, "run": {"uses:cuda": cuda}})


def torch(version: str = "2.9.0", facts: dict[str, Any] | None = None, **switches: Any) -> Torch:
    return Torch("step", version, {"cudnn": 90100, "cublas_workspace": ":4096:8"} | (facts or {}), ON | switches)


def environment(**variables: str) -> Environment:
    return Environment("python", "3.11", "cpython", "", variables, {}, {}, "", 1)


def held(
    control: str,
    *evidence: Any,
    environment: Fingerprint | None = None,
    findings: tuple[Finding, ...] = (),
    agreed: bool = True,
) -> Control:
    found = controls(evidence, environment or fingerprint(), findings, agreed)
    return next(one for one in found if one.name == control)


def seeded(*values: str | None, drawn: bool | None = False, stream: str = "torch") -> tuple[Seed, ...]:
    return tuple(Seed(stream, value, PLACE, None, 0, drawn if n == 0 else None) for n, value in enumerate(values))


@pytest.mark.parametrize(
    ("seeds", "verdict", "observed"),
    [
        (seeded("7"), "controlled", "seeded with 7 (train.py:12)"),
        ((), "not-controlled", "drawn from in main and never seeded"),
        (seeded(None), "not-controlled", "seeded from the system's entropy (train.py:12)"),
        (seeded("7", drawn=True), "not-controlled", "drawn from before it is first seeded (train.py:12)"),
        (seeded("7", stream="numpy"), "not-controlled", "drawn from in main and never seeded"),
        (seeded("9" * 40), "controlled", f"seeded with {'9' * 23}… (train.py:12)"),
    ],
)
def test_a_stream(seeds: Any, verdict: str, observed: str, make: Make, runs: Any) -> None:
    control = held("torch-stream", runs(1, make.process(1, seeds=seeds)), runs(2, make.process(1, seeds=seeds)))
    assert (control.verdict, control.observed) == (verdict, observed)
    assert set(control.demanded_by) == {"bit-exact", "seed-stable", "distribution-stable"}


def test_a_stream_that_another_run_seeds_otherwise(make: Make, runs: Any) -> None:
    both = [runs(n, make.process(1, seeds=seeded(str(n)))) for n in (1, 2)]
    assert held("torch-stream", *both).verdict == "not-controlled"


def test_a_stream_that_nobody_draws_from(make: Make, runs: Any) -> None:
    quiet = runs(1, make.process(1, streams=Streams({"torch": "0"}, {"torch": False})))
    assert held("torch-stream", quiet).verdict == "not-applicable"
    cut_short = runs(1, make.process(1, streams=None, end=None))
    assert held("torch-stream", cut_short).verdict == "unknown"


def test_the_streams_of_forks_are_their_parents(make: Make, runs: Any) -> None:
    parent = make.process(1, seeds=seeded("7"))
    child = make.process(1, role="main/child 1", hello=make.hello(kind="fork"))
    assert held("torch-stream", runs(1, parent, child)).verdict == "controlled"


def test_pythons_stream_is_another_one_in_each_fork(make: Make, runs: Any) -> None:
    drew = Streams({"python": "0"}, {"python": True})
    parent = make.process(1, streams=drew, seeds=seeded("7", stream="python"))
    child = make.process(1, role="main/child 1", streams=drew, hello=make.hello(kind="fork"))
    assert held("python-stream", runs(1, parent)).verdict == "controlled"
    assert held("python-stream", runs(1, parent, child)).verdict == "not-controlled"


@pytest.mark.parametrize("control", ["torch-stream", "numpy-stream", "numpy-generators", "entropy"])
def test_nothing_is_held_by_what_a_process_did_not_tell(control: str, make: Make, runs: Any) -> None:
    parent = make.process(1, seeds=seeded("7"))
    killed = make.process(1, role="evaluate.py", streams=None, end=None)
    assert held(control, runs(1, parent)).verdict in ("controlled", "not-applicable")
    assert held(control, runs(1, parent, killed)).verdict == "unknown"
    # What speaks against it does so all the same.
    assert held("torch-stream", runs(1, make.process(1), killed)).verdict == "not-controlled"


def test_generators(make: Make, runs: Any) -> None:
    def made(seeded: bool, value: str | None = None) -> Any:
        return make.process(1, generators=(Generator(0, "PCG64", seeded, "seed", PLACE, 0, value),))

    assert held("numpy-generators", runs(1, make.process(1))).verdict == "not-applicable"
    assert held("numpy-generators", runs(1, made(True, "3")), runs(2, made(True, "3"))).verdict == "controlled"
    assert held("numpy-generators", runs(1, made(True, "3")), runs(2, made(True, "4"))).verdict == "not-controlled"
    unseeded = held("numpy-generators", runs(1, made(False)))
    assert (unseeded.verdict, unseeded.observed) == ("not-controlled", "made without a seed (train.py:12)")


def worker(make: Make, number: int, start: str, end: str | None) -> Any:
    lines = [Worker("start", 0, number, 2, {"numpy": "0" * 16}, {"rng": start * 16})]
    lines += [] if end is None else [Worker("end", 0, number, 2, {"numpy": "0" * 16}, {"rng": end * 16})]
    return make.process(0, role=f"main/worker 0.{number}", workers=tuple(lines), streams=None)


@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [
        (("ab", "cd"), ("ab", "cd"), "controlled"),
        (("ab", "cd"), ("ab", "ed"), "not-controlled"),  # another state in another run
        (("ab", "ab"), ("ab", "ab"), "not-controlled"),  # both workers alike
        (("aa", "bb"), ("cc", "dd"), "controlled"),  # none of them draws
    ],
)
def test_workers(first: Any, second: Any, verdict: str, make: Make, runs: Any) -> None:
    loader = Loader(0, 2, 4, "RandomSampler", True, True, False, PLACE)
    both = [
        runs(n, make.process(1, loaders=(loader,)), *(worker(make, i, *states) for i, states in enumerate(run)))
        for n, run in ((1, first), (2, second))
    ]
    assert held("dataloader-workers", *both).verdict == verdict


def test_workers_that_there_are_none_of_or_that_left_no_trace(make: Make, runs: Any) -> None:
    assert held("dataloader-workers", runs(1, make.process(1))).verdict == "not-applicable"
    loader = Loader(0, 2, 4, "RandomSampler", True, True, False, PLACE)
    assert held("dataloader-workers", runs(1, make.process(1, loaders=(loader,)))).verdict == "unknown"


def test_what_differs_in_every_run_is_settled_by_runs_that_agree(make: Make, runs: Any) -> None:
    reads = (Entropy("uuid", PLACE, 0), Entropy("clock", PLACE, 0))
    both = [runs(n, make.process(1, entropy=reads), varied={"PYTHONHASHSEED": str(1000 + n)}) for n in (1, 2)]
    assert held("entropy", *both, agreed=True).verdict == "not-applicable"
    control = held("entropy", *both, agreed=False)
    assert (control.verdict, control.observed) == ("not-controlled", "a random UUID is read (train.py:12)")
    control = held("entropy", runs(1, make.process(1, entropy=reads[1:])))
    assert (control.verdict, control.observed) == ("controlled", "no line of the program reads any but the clock")


def test_entropy_that_only_the_source_shows(make: Make, runs: Any) -> None:
    finding = Finding("unseeded-python-generator", "", "warning", PLACE, ("source",))
    control = held("entropy", runs(1, make.process(1)), findings=(finding,), agreed=False)
    assert control.verdict == "not-controlled" and "train.py:12" in control.observed
    assert held("entropy", runs(1, make.process(1)), findings=(finding,)).verdict == "not-applicable"


def test_the_hash_seed(make: Make, runs: Any) -> None:
    def run(number: int, seed: str, varied: str) -> Any:
        hello = msgspec.structs.replace(make.hello(), hash_seed=seed)
        return runs(number, make.process(1, hello=hello), varied={"PYTHONHASHSEED": varied})

    fixed = [run(n, "0", "0 (set by the user, kept)") for n in (1, 2)]
    assert held("hash-seed", *fixed).observed == "PYTHONHASHSEED=0"
    varied = [run(n, str(n), str(n)) for n in (1, 2)]
    assert held("hash-seed", *varied, agreed=True).verdict == "not-applicable"
    assert held("hash-seed", *varied, agreed=False).verdict == "not-controlled"
    kept = [run(n, "1", "1 (kept)") for n in (1, 2)]
    assert held("hash-seed", *kept).verdict == "not-controlled"


GPU = Gpu(0, "H100", "sm_90", 132, 80 << 30)
OLD = Gpu(0, "V100", "sm_70", 80, 16 << 30)


@pytest.mark.parametrize(
    ("control", "said", "gpu", "verdict"),
    [
        ("deterministic-algorithms", torch(), GPU, "controlled"),
        ("deterministic-algorithms", torch(deterministic_algorithms=False), GPU, "not-controlled"),
        ("deterministic-algorithms", torch(deterministic_warn_only=True), GPU, "not-controlled"),
        ("cudnn-benchmark", torch(), GPU, "controlled"),
        ("cudnn-benchmark", torch(cudnn_benchmark=True), GPU, "not-controlled"),
        ("cudnn-benchmark", torch(facts={"cudnn": None}), GPU, "not-applicable"),
        ("cudnn-benchmark", torch(cudnn_enabled=False), GPU, "not-applicable"),
        ("cudnn-deterministic", torch(cudnn_deterministic=False), GPU, "controlled"),
        (
            "cudnn-deterministic",
            torch(cudnn_deterministic=False, deterministic_algorithms=False),
            GPU,
            "not-controlled",
        ),
        ("cublas-workspace", torch(), GPU, "controlled"),
        ("cublas-workspace", torch(facts={"cublas_workspace": None}), GPU, "not-controlled"),
        ("cublas-workspace", torch(facts={"cublas_workspace": ":0:0"}), GPU, "not-controlled"),
        ("cublas-workspace", torch("2.10.0+cu130", {"cublas_workspace": None}), GPU, "not-applicable"),
        ("cublas-workspace", torch(facts={"hip": "6.2"}), GPU, "not-applicable"),
        ("tf32", torch(), GPU, "controlled"),
        ("tf32", torch(cudnn_allow_tf32=True), GPU, "not-controlled"),
        ("tf32", torch(matmul_allow_tf32=True), GPU, "not-controlled"),
        ("tf32", torch(matmul_allow_tf32="unreadable: it", float32_matmul_precision="high"), GPU, "not-controlled"),
        ("tf32", torch(cudnn_allow_tf32="unreadable: it"), GPU, "unknown"),
        ("tf32", torch(cudnn_allow_tf32=True), OLD, "not-applicable"),
    ],
)
def test_kernels(control: str, said: Torch, gpu: Gpu, verdict: str, make: Make, runs: Any) -> None:
    run = runs(1, make.process(1, torch=(said,), gpus=(gpu,)))
    assert held(control, run, environment=fingerprint(cuda=True)).verdict == verdict
    assert held(control, run, environment=fingerprint(cuda=False)).observed == "no CUDA device was used"
    unknown = Fingerprint("auditor.fingerprint/1", {})
    assert held(control, run, environment=unknown).verdict == "unknown"
    assert held(control, runs(2, make.process(1))).observed == "torch was not used"


def test_a_workspace_of_which_an_older_trace_does_not_tell(make: Make, runs: Any) -> None:
    said = Torch("step", "2.4.0", {}, ON)
    process = make.process(1, torch=(said,), environment=environment())
    assert held("cublas-workspace", runs(1, process), environment=fingerprint(cuda=True)).verdict == "unknown"
    process = make.process(1, torch=(said,), environment=environment(CUBLAS_WORKSPACE_CONFIG=":16:8"))
    assert held("cublas-workspace", runs(2, process), environment=fingerprint(cuda=True)).verdict == "controlled"


@pytest.mark.parametrize(
    ("facts", "variables", "verdict", "observed"),
    [
        ({}, {}, "not-applicable", "no library with threads of its own was seen"),
        ({"threads": 4, "cores": 4}, {}, "not-controlled", "4, as the machine gives (4 cores)"),
        ({"threads": 4, "cores": 4}, {"OMP_NUM_THREADS": "4"}, "controlled", "4 (OMP_NUM_THREADS=4)"),
        ({"threads": 1, "cores": 4}, {}, "controlled", "1"),
        ({"threads_openblas": 2, "cores": 4}, {}, "not-controlled", "2, as the machine gives (4 cores)"),
        ({"threads": 1, "cores": 2}, {}, "controlled", "1"),
        ({"threads": 1, "cores": 1}, {}, "not-controlled", "1, as the machine gives (1 core)"),
        ({"threads": 3, "cores": 4}, {}, "unknown", "3 on 4 cores; whether the program fixes it is not recorded"),
    ],
)
def test_threads(facts: Any, variables: Any, verdict: str, observed: str, make: Make, runs: Any) -> None:
    run = runs(1, make.process(1, environment=environment(**variables)))
    control = held("threads", run, environment=fingerprint(**facts))
    assert (control.verdict, control.observed) == (verdict, observed)
    assert set(control.demanded_by) == {"seed-stable"}


def test_threads_that_the_audit_shared_out(make: Make, runs: Any) -> None:
    run = runs(1, make.process(1, environment=environment(OMP_NUM_THREADS="2")), imposed={"OMP_NUM_THREADS": "2"})
    assert held("threads", run, environment=fingerprint(threads=2, cores=4)).verdict == "unknown"


def test_vector_dispatch(make: Make, runs: Any) -> None:
    facts = fingerprint(dispatch="AVX2", dispatch_onednn="avx512_core")
    free = runs(1, make.process(1, torch=(torch(),), environment=environment()))
    control = held("vector-dispatch", free, environment=facts)
    assert control.verdict == "not-controlled"
    assert control.observed == "as the processor allows: torch AVX2, oneDNN avx512_core"
    held_fast = environment(ATEN_CPU_CAPABILITY="avx2", ONEDNN_MAX_CPU_ISA="AVX2")
    fixed = runs(2, make.process(1, torch=(torch(),), environment=held_fast))
    assert held("vector-dispatch", fixed, environment=facts).verdict == "controlled"
    assert held("vector-dispatch", runs(3, make.process(1))).verdict == "not-applicable"


def test_library_versions(make: Make, runs: Any) -> None:
    assert held("library-versions", runs(1, make.process(1))).verdict == "unknown"
    image = ImageFacts("training:latest", "sha256:abc", ("training@sha256:def",))
    control = held("library-versions", runs(2, make.process(1), image=image))
    assert (control.verdict, control.observed) == ("controlled", "image training@sha256:def")


def test_nothing_is_said_where_nothing_was_seen(runs: Any) -> None:
    assert controls([], fingerprint(), (), True) == ()
    assert controls([runs(1)], fingerprint(), (), True) == ()
