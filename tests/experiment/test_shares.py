"""How a machine is divided among runs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.config import Resources
from auditor.errors import UsageError
from auditor.experiment.executors.shares import (
    DEVICES,
    THREADS,
    Machine,
    divide,
    imposed,
    parse_meminfo,
    parse_quota,
    read_machine,
)

GIB = 1 << 30
BARE = Machine(8, 32 * GIB, ())
GPUS = Machine(16, 64 * GIB, ("0", "1", "2", "3"))


def lanes(machine, asked, runs, **environment):
    return divide(machine, asked, runs, environment).variables


@pytest.mark.parametrize(
    ("asked", "runs", "jobs", "threads"),
    [
        (Resources(), 20, 8, "1"),
        (Resources(), 3, 3, "2"),
        (Resources(cpus=2), 20, 4, "2"),
        (Resources(cpus=8), 20, 1, "8"),
        (Resources(jobs=2), 20, 2, "4"),
        (Resources(jobs=20), 20, 20, "1"),
        (Resources(memory=10), 20, 3, "2"),
    ],
)
def test_cores_and_memory(asked, runs, jobs, threads):
    shares = lanes(BARE, asked, runs)
    assert len(shares) == jobs
    assert all(share == dict.fromkeys(THREADS, threads) for share in shares)


def test_one_at_a_time_is_given_everything_and_nothing_is_set():
    assert lanes(BARE, Resources(jobs=1), 20) == ({},)
    assert lanes(Machine(1, GIB, ()), Resources(), 20) == ({},)


def test_each_gpu_has_one_run():
    shares = lanes(GPUS, Resources(), 10)
    assert [share[DEVICES] for share in shares] == ["0", "1", "2", "3"]
    assert {share[THREADS[0]] for share in shares} == {"4"}
    assert [share[DEVICES] for share in lanes(GPUS, Resources(gpus=2), 10)] == ["0,1", "2,3"]
    assert len(lanes(GPUS, Resources(gpus=0), 20)) == 16
    assert all(DEVICES not in share for share in lanes(GPUS, Resources(gpus=0), 20))
    # Who says so shares them out.
    assert [share[DEVICES] for share in lanes(GPUS, Resources(jobs=6), 10)] == ["0", "1", "2", "3", "0", "1"]


@pytest.mark.parametrize("asked", [Resources(cpus=9), Resources(gpus=1), Resources(memory=33.0)])
def test_too_little_for_a_single_run(asked):
    with pytest.raises(UsageError) as raised:
        lanes(BARE, asked, 4)
    assert raised.value.slug == "too-few-resources"


def test_threads_that_the_user_set_stay_and_fewer_runs_go():
    assert len(lanes(BARE, Resources(), 20, OMP_NUM_THREADS="4")) == 2
    share = dict.fromkeys(THREADS, "1") | {DEVICES: "0"}
    assert imposed(share, {}) == share
    assert imposed(share, {"OMP_NUM_THREADS": "4"}) == {DEVICES: "0"}
    assert imposed(share, {"MKL_NUM_THREADS": "4", DEVICES: "0,1"}) == {
        name: value for name, value in share.items() if name != "MKL_NUM_THREADS"
    }


@given(
    st.integers(1, 256),
    st.integers(0, 8),
    st.integers(1, 2000),
    st.builds(Resources, cpus=st.none() | st.integers(1, 256), gpus=st.none() | st.integers(0, 8)),
)
def test_nothing_is_given_twice(cores, gpus, runs, asked):
    machine = Machine(cores, 8 * GIB, tuple(map(str, range(gpus))))
    try:
        shares = lanes(machine, asked, runs)
    except UsageError:
        assert (asked.cpus or 0) > cores or (asked.gpus or 0) > gpus
        return
    assert 1 <= len(shares) <= runs
    assert sum(int(share.get(THREADS[0], cores)) for share in shares) <= cores
    devices = [device for share in shares for device in share.get(DEVICES, "").split(",") if device]
    assert len(set(devices)) == len(devices)


def test_what_the_system_says_of_itself():
    assert parse_quota("max 100000\n") is None
    assert parse_quota("150000 100000\n") == 1.5
    assert parse_quota("") is None
    text = "MemTotal:       24687772 kB\nMemFree:         2000 kB\nMemAvailable:   22000000 kB\n"
    assert parse_meminfo(text, "MemTotal") == 24687772 << 10
    assert parse_meminfo(text, "MemAvailable") == 22000000 << 10
    assert parse_meminfo("", "MemTotal") == 0
    assert read_machine({DEVICES: "GPU-a, 1"}).gpus == ("GPU-a", "1")
    assert read_machine({DEVICES: ""}).gpus == ()
    assert read_machine({DEVICES: "-1"}).gpus == ()
    here = read_machine({})
    assert here.cores >= 1
    assert here.memory > 0
