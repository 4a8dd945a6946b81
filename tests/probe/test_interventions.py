"""Each factor of a trial makes agree what it stands for and nothing else, and the program goes on as it is."""

from __future__ import annotations

import functools
import importlib.util
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.records.diagnosis import FACTORS
from auditor.records.trace import Entropy, Fault, Generator, Perturbed, Streams
from tests.probe.conftest import Watched

pytestmark = pytest.mark.programs

Watch = Callable[..., Watched]


def line_of(source: str, text: str) -> int:
    """The number of the line that holds a text."""
    (line,) = (number for number, line in enumerate(source.splitlines(), 1) if text in line)
    return line


PLAIN = """
import datetime, os, random, secrets, time, uuid
def say(name, *values): print(name, *values, flush=True)
say("stream", random.random())
say("instance", random.Random().random())
random.seed()
say("seeded-again", random.random())
say("urandom", os.urandom(70).hex())
say("secrets", secrets.token_hex(8))
say("uuid", uuid.uuid4(), uuid.uuid1())
say("system-random", random.SystemRandom().random())
say("clock", time.time())
say("counters", time.perf_counter_ns(), time.monotonic(), time.clock_gettime(time.CLOCK_REALTIME))
say("now", datetime.datetime.now(), datetime.datetime.now(datetime.timezone.utc))
say("today", datetime.datetime.today())
say("pid", os.getpid())
say("parent", os.getppid(), os.getpid())
if os.fork() == 0:
    say("fork", random.random())
    say("fork-pid", os.getpid())
    os._exit(0)
os.wait()
"""
PLAIN_FIXED = {
    "": set(),
    "seed-python": {"stream", "instance", "seeded-again", "fork"},
    "fix-entropy": {"urandom", "secrets", "uuid", "system-random"},
    "freeze-clock": {"clock", "counters", "now", "today"},
    "fix-pid": {"pid", "parent", "fork-pid"},
}

ARRAYS = """
import os, random, time
import numpy as np
def say(name, *values): print(name, *values, flush=True)
say("stream", np.random.rand())
np.random.seed()
say("seeded-again", np.random.rand())
say("generators", np.random.default_rng().random(), np.random.default_rng().random())
say("state", np.random.RandomState().rand())
np.random.seed(time.time_ns() % 2**32)
say("pinned-stream", np.random.rand())
say("pinned-generator", np.random.default_rng(time.time_ns()).random())
say("pinned-state", np.random.RandomState(time.time_ns() % 2**32).rand())
random.seed(os.urandom(4))
say("pinned-python", random.random())
"""
PINS = [
    ["numpy", "program.py", line_of(ARRAYS, "np.random.seed(time"), "12"],
    ["numpy-generator", "program.py", line_of(ARRAYS, "default_rng(time"), "99"],
    ["numpy-generator", "program.py", line_of(ARRAYS, "RandomState(time"), "77"],
    ["python", "program.py", line_of(ARRAYS, "random.seed(os"), "bytes"],
]
ARRAYS_FIXED = {
    "": set(),
    "seed-numpy": {"stream", "seeded-again"},
    "seed-generators": {"generators", "state"},
    "pin-seeds": {"pinned-stream", "pinned-generator", "pinned-state", "pinned-python"},
    "freeze-clock": {"pinned-stream", "pinned-generator", "pinned-state"},
    "fix-entropy": {"pinned-python"},
}

TRAINING = """
import random, time
import numpy, torch
from torch.utils.data import DataLoader, Dataset, get_worker_info
def say(name, *values): print(name, *values, flush=True)
class Held(Dataset):
    def __init__(self):
        self.rng, self.state, self.python = numpy.random.default_rng(), numpy.random.RandomState(), random.Random()
        self.torch = torch.Generator()
        self.torch.seed()
    def __len__(self):
        return 4
    def __getitem__(self, i):
        drawn = self.rng.random(), self.state.rand(), self.python.random(), torch.rand(1, generator=self.torch).item()
        return torch.tensor([i, *drawn], dtype=torch.float64)
class Streams(Held):
    def __getitem__(self, i):
        return torch.tensor([i, random.random(), numpy.random.rand(), torch.rand(1).item()], dtype=torch.float64)
class Info(Held):
    def __getitem__(self, i):
        return get_worker_info().seed if get_worker_info() else 0
def items(dataset, **more):
    return [batch.tolist() for batch in DataLoader(dataset, **more)]
workers = {"num_workers": 2, "prefetch_factor": 2, "persistent_workers": True, "timeout": 60}
workers["worker_init_fn"] = lambda number: None
say("stream", torch.rand(1).item())
torch.seed()
say("seeded-again", torch.rand(1).item())
own = torch.Generator()
own.seed()
say("generator", torch.rand(1, generator=own).item())
say("shuffled", items(range(100), shuffle=True))
say("held", items(Held(), shuffle=True, **workers))
say("drawn", items(Streams(), shuffle=True, **workers))
say("seeds", items(Info(), **dict(workers, num_workers=1)))
torch.manual_seed(time.time_ns())
say("pinned", torch.rand(1).item())
"""
TRAINING_FIXED = {
    "": set(),
    "seed-torch": {"stream", "seeded-again", "generator", "shuffled", "drawn", "seeds"},
    "seed-workers": {"held", "drawn", "seeds"},
    "load-in-process": {"seeds"},
    "pin-seeds": {"pinned"},
}


def twice(watch: Watch, source: str, *factors: str, **config: object) -> tuple[Watched, set[str], set[str]]:
    """The first of two runs with these factors, and the names of the lines that agree and that differ."""
    if factors:
        config["interventions"] = dict.fromkeys(factors, True)
    runs = [watch(source, run=number, **config) for number in (1, 2)]
    for seen in runs:
        assert seen.returncode == 0, seen.stderr
        assert not [line for trace in seen.traces for line in trace if isinstance(line, Fault)]
        assert told(seen) == set(factors)
    said = [dict(line.split(" ", 1) for line in seen.stdout.splitlines()) for seen in runs]
    assert said[0].keys() == said[1].keys()
    agree = {name for name in said[0] if said[0][name] == said[1][name]}
    return runs[0], agree, said[0].keys() - agree


def began(seen: Watched) -> dict[str, tuple[str, ...]]:
    """What a program's own process says that its streams began with."""
    (line,) = (line for line in seen.traces[0] if isinstance(line, Streams))
    return line.began


def told(seen: Watched, trace: int = 0) -> set[str]:
    return {line.factor for line in seen.traces[trace] if isinstance(line, Perturbed)}


@functools.cache
def interpreters() -> dict[str, Path]:
    """The interpreters of this machine, by version."""
    path = Path(__file__).parents[1] / "interpreters" / "environments.py"
    spec = importlib.util.spec_from_file_location("environments", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    found: dict[str, Path] = module.interpreters()
    return found


def other(version: str) -> dict[str, str]:
    """The argument of ``watch`` for another interpreter; nothing for this one."""
    if not version:
        return {}
    if version not in interpreters():
        pytest.skip(f"no Python {version} on this machine")
    return {"python": str(interpreters()[version])}


def on_others(test: Callable[..., None]) -> Callable[..., None]:
    """The test on this interpreter, and on the oldest and a newer one."""
    mark = pytest.mark.interpreters
    versions = [pytest.param("", id="here"), pytest.param("3.8", marks=mark), pytest.param("3.13", marks=mark)]
    decorated: Callable[..., None] = pytest.mark.parametrize("version", versions)(test)
    return decorated


@on_others
@pytest.mark.parametrize("factor", PLAIN_FIXED)
def test_factors_of_the_standard_library(watch: Watch, factor: str, version: str) -> None:
    _, agree, differ = twice(watch, PLAIN, *filter(None, [factor]), **other(version))
    assert agree == PLAIN_FIXED[factor]
    assert differ == set().union(*PLAIN_FIXED.values()) - agree


@pytest.mark.parametrize("factor", ARRAYS_FIXED)
def test_factors_of_numpy(watch: Watch, factor: str) -> None:
    _, agree, differ = twice(watch, ARRAYS, *filter(None, [factor]), pins=PINS)
    assert agree == ARRAYS_FIXED[factor]
    assert differ == set().union(*ARRAYS_FIXED.values()) - agree


@pytest.mark.parametrize("factors", [("seed-torch",), ("seed-workers",), ("load-in-process", "pin-seeds")])
def test_factors_of_torch(watch: Watch, factors: tuple[str, ...]) -> None:
    seen, agree, differ = twice(
        watch, TRAINING, *factors, pins=[["torch", "program.py", line_of(TRAINING, "manual_seed(time"), "5"]]
    )
    assert agree == set().union(*(TRAINING_FIXED[factor] for factor in factors))
    assert differ == set().union(*TRAINING_FIXED.values()) - agree
    if "seed-workers" in factors:
        assert len(seen.traces) == 6
        assert all(told(seen, trace) == {"seed-workers"} for trace in range(6))
        held = eval(next(line for line in seen.stdout.splitlines() if line.startswith("held")).split(" ", 1)[1])
        drawn = [value for batch in held for row in batch for value in row[1:]]
        assert len(set(drawn)) == len(drawn)  # no two workers draw the same
    if "load-in-process" in factors:
        assert len(seen.traces) == 1


@on_others
def test_the_standard_library_s_stream_begins_as_in_another_run(watch: Watch, version: str) -> None:
    source = "import random\nprint(random.random(), random.gauss(0, 1), random.sample(range(1000), 50))"
    repeated(watch, source, {"seed-python": "python"}, **other(version))


def test_streams_begin_as_in_another_run(watch: Watch) -> None:
    source = (
        "import random, numpy, torch\n"
        "from numpy.random import PCG64, Generator\n"
        "from torch.utils.data import DataLoader\n"
        "print(random.random(), numpy.random.rand(3), torch.rand(3), torch.initial_seed())\n"
        "made = [numpy.random.default_rng(), numpy.random.RandomState(), Generator(PCG64())]\n"
        "made.append(numpy.random.RandomState(3))\n"
        "made += map(numpy.random.default_rng, numpy.random.SeedSequence().spawn(2))\n"
        "print([(one.normal(), one.uniform()) for one in made])\n"
        "print(list(DataLoader(range(100), shuffle=True, batch_size=100)))\n"
    )
    factors = {"seed-python": "python", "seed-numpy": "numpy", "seed-torch": "torch"}
    repeated(watch, source, factors | {"seed-generators": "numpy-generator"})


def repeated(watch: Watch, source: str, factors: dict[str, str], **config: object) -> None:
    """Asserts that a run whose streams begin as another one's did says the same, and one with each on its own not."""
    first = watch(source, **config)
    assert began(first).keys() == set(factors.values()), first.stderr
    beginnings = [[stream, value] for stream, values in began(first).items() for value in values]
    again = watch(source, run=2, interventions=dict.fromkeys(factors, True), began=beginnings, **config)
    assert again.stdout == first.stdout
    assert told(again) == set(factors)
    assert not [line for trace in again.traces for line in trace if isinstance(line, Fault)]
    for number, left_out in enumerate(factors, 3):
        rest = dict.fromkeys(factors.keys() - {left_out}, True)
        assert watch(source, run=number, interventions=rest, began=beginnings, **config).stdout != first.stdout


def test_a_forked_child_does_not_begin_as_its_parent_did(watch: Watch) -> None:
    source = (
        "import os, random, numpy\n"
        "numpy.random.default_rng()\n"
        "if os.fork() == 0:\n"
        "    print(random.random(), numpy.random.default_rng().random(), flush=True)\n"
        "    os._exit(0)\n"
        "os.wait()\n"
        "print(random.random(), numpy.random.default_rng().random())\n"
    )
    first = watch(source)
    beginnings = [[stream, value] for stream, values in began(first).items() for value in values]
    factors = {"seed-python": True, "seed-generators": True}
    (child, parent), (other_child, other_parent) = (
        watch(source, run=number, interventions=factors, began=beginnings).stdout.splitlines() for number in (2, 3)
    )
    assert parent == other_parent == first.stdout.splitlines()[1]
    assert child == other_child
    assert not set(child.split()) & set(parent.split())


def test_streams_that_are_seeded_first_do_not_say_what_they_began_with(watch: Watch) -> None:
    source = (
        "import random, numpy, torch\n"
        "random.seed(1), numpy.random.seed(2), torch.manual_seed(3)\n"
        "print(random.random(), numpy.random.rand(), torch.rand(1), numpy.random.default_rng(4).random())\n"
    )
    assert began(watch(source)) == {}


SWITCHES = """
import torch
torch.set_num_threads(2)
torch.set_deterministic_debug_mode(0)
torch.backends.cudnn.benchmark = True
torch.backends.cuda.matmul.allow_tf32 = True
torch.set_float32_matmul_precision("high")
with torch.backends.cudnn.flags(benchmark=True, deterministic=False, allow_tf32=True):
    print(torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic, torch.backends.cudnn.allow_tf32)
print(torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.backends.cuda.matmul.allow_tf32)
print(torch.get_float32_matmul_precision())
torch.empty(3).put_(torch.tensor([0]), torch.ones(1))  # has no deterministic implementation
"""


def test_switches_of_torch_stay_as_the_trial_sets_them(watch: Watch) -> None:
    bare = watch(SWITCHES)
    assert bare.stdout.split() == ["True", "False", "True", "2", "False", "True", "high"]
    factors = ("one-thread", "deterministic-algorithms", "no-tf32")
    seen = watch(SWITCHES, run=2, interventions=dict.fromkeys(factors, True))
    assert seen.stdout.split() == ["False", "True", "False", "1", "True", "False", "highest"]
    assert told(seen) == set(factors)
    assert "deterministic" in seen.stderr and seen.returncode == 0


def test_variables_of_threads_are_there_again_when_libraries_read_them(watch: Watch) -> None:
    source = (
        "import os\nfor name in ('OMP_NUM_THREADS', 'MKL_NUM_THREADS'): os.environ[name] = '7'\n"
        "import numpy\nprint(os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])\n"
    )
    env = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    seen = watch(source, env=env, interventions={"one-thread": True})
    assert seen.stdout.split() == ["1", "1"]
    assert told(seen) == {"one-thread"}
    assert watch(source, run=2, env=env).stdout.split() == ["7", "7"]


LISTINGS = """
import glob, os, pathlib
import numpy
os.mkdir("d" + os.environ["RUN"]); os.chdir("d" + os.environ["RUN"])
for i in range(40): open("%02d" % (i * 7 % 40), "w").close()
print(os.listdir("."))
print([entry.name for entry in os.scandir(".")])
print(glob.glob("*"), [path.name for path in pathlib.Path(".").iterdir()], next(os.walk("."))[2])
with os.scandir(b".") as entries: print(len([entry.name for entry in entries]))
"""


@on_others
def test_listings_are_in_order_of_name(watch: Watch, version: str) -> None:
    source = LISTINGS.replace("import numpy\n", "") if version else LISTINGS
    # What is reversed in some runs on purpose stays in order where a trial asks for it.
    runs = [
        watch(source, run=n, env={"RUN": str(n)}, directory_order=n == 2, interventions=i, **other(version))
        for n, i in ((1, {}), (2, {"sort-listings": True}), (3, {"sort-listings": True}))
    ]
    names = str([f"{i:02}" for i in range(40)])
    assert [seen.stdout for seen in runs[1:]] == [f"{names}\n{names}\n{names} {names} {names}\n40\n"] * 2, runs[
        1
    ].stderr
    assert names not in runs[0].stdout
    assert [told(seen) for seen in runs] == [set(), {"sort-listings"}, {"sort-listings"}]


RACES = """
import queue, threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from multiprocessing import Pool
from multiprocessing.pool import ThreadPool
import os
def race(runner):
    # The first goes on only when the second has begun; or, where there is none, when it has turned long enough.
    order = []
    def first():
        for _ in range(int(os.environ["TURNS"])):
            if order: break
        order.append(0)
    runner([first, lambda: order.append(1)])
    return order
def threads(tasks):
    started = [threading.Thread(target=task) for task in tasks]
    for thread in started: thread.start()
    for thread in started: thread.join()
def pool(tasks):
    with ThreadPoolExecutor(2) as executor:
        for future in [executor.submit(task) for task in tasks]: future.result()
def old_pool(tasks):
    with ThreadPool(2) as executor: executor.map(lambda task: task(), tasks, 1)
def consumers(tasks):
    tasks_of = queue.Queue()
    def consume():
        for task in iter(tasks_of.get, None): task()
    started = [threading.Thread(target=consume, daemon=True) for _ in range(2)]
    for thread in started: thread.start()
    for task in [*tasks, None, None]: tasks_of.put(task)
    for thread in started: thread.join()
def completed(executor):
    return [future.result() for future in as_completed({executor.submit(int, i) for i in range(20)})]
print("race", race(threads), race(pool), race(old_pool), race(consumers))
with ThreadPoolExecutor(4) as executor: print("completed", completed(executor) == list(range(20)))
with ProcessPoolExecutor(4) as executor: print("workers", executor._max_workers, completed(executor) == list(range(20)))
with Pool(3) as executor: print("pool", executor._processes, list(executor.imap_unordered(abs, range(5))))
"""


@on_others
def test_threads_take_turns(watch: Watch, version: str) -> None:
    seen = watch(RACES, interventions={"serial-threads": True}, env={"TURNS": "300000"}, **other(version))
    assert told(seen) == {"serial-threads"} and not seen.of(Fault), seen.stderr
    assert seen.stdout.splitlines() == [
        "race [0, 1] [0, 1] [0, 1] [0, 1]",
        "completed True",
        "workers 1 True",
        "pool 1 [0, 1, 2, 3, 4]",
    ]
    # Each turn ends as soon as the other thread has had one.
    bare = watch(RACES, run=2, interventions={"seed-python": True}, env={"TURNS": "100000000"}, **other(version))
    lines = bare.stdout.splitlines()
    assert lines[0] == "race [1, 0] [1, 0] [1, 0] [1, 0]"
    assert [line.split()[1] for line in lines[2:]] == ["4", "3"]


TALKING = """
import queue, threading, time
from concurrent.futures import ThreadPoolExecutor
items, got = queue.Queue(), []
def consume():
    for item in iter(items.get, None): got.append(item)
consumer = threading.Thread(target=consume); consumer.start()
for i in range(5): items.put(i)
items.put(None); consumer.join(); print(got)
barrier = threading.Barrier(3)
threads = [threading.Thread(target=barrier.wait) for _ in range(3)]
for thread in threads: thread.start()
for thread in threads: thread.join()
with ThreadPoolExecutor(2) as pool:
    print(pool.submit(lambda: pool.submit(int, 7).result()).result())
with ThreadPoolExecutor(3) as pool:
    print(sorted(future.result() for future in [pool.submit(barrier.wait) for _ in range(3)]))
flag = []
threading.Timer(0.01, flag.append, [1]).start()
while not flag: pass
stop = threading.Event()
def poll():
    while not stop.is_set(): time.sleep(0.001)
poller = threading.Thread(target=poll, daemon=True); poller.start(); stop.set(); poller.join()
print("end")
"""


@on_others
def test_threads_that_need_one_another_go_on(watch: Watch, version: str) -> None:
    seen = watch(TALKING, interventions={"serial-threads": True}, **other(version))
    assert seen.stdout == "[0, 1, 2, 3, 4]\n7\n[0, 1, 2]\nend\n", seen.stderr


MACHINERY = """
import copy, datetime, multiprocessing, os, pickle, queue, random, signal, subprocess, sys, tempfile, threading, time
from datetime import date, datetime as Stamp
def child(connection): connection.send((random.random() < 1, multiprocessing.current_process().pid == os.getpid()))
def square(x): return x * x
if __name__ == "__main__":
    now = Stamp.now()
    assert type(now) is Stamp is datetime.datetime and isinstance(now, date) and issubclass(Stamp, date)
    assert now.year == date.today().year == time.localtime().tm_year == time.gmtime().tm_year == Stamp.utcnow().year
    assert time.strftime("%Y") == str(now.year) == time.ctime()[-4:] == time.asctime()[-4:]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps((now, Stamp, time.time, os.getpid), protocol))[0] == now
    assert copy.deepcopy(now) == now and (Stamp.now() - now) < datetime.timedelta(seconds=1)
    assert Stamp.now(datetime.timezone.utc).tzinfo is datetime.timezone.utc
    class Later(Stamp): pass
    assert type(Later.now()) is Later and type(now + datetime.timedelta(1)) is Stamp
    fired = []
    timer = threading.Timer(0.01, fired.append, [1]); timer.start(); timer.join(); assert fired
    for wait in (lambda: queue.Queue().get(timeout=0.01), lambda: multiprocessing.Queue().get(timeout=0.01)):
        try: wait()
        except queue.Empty: pass
        else: raise AssertionError
    assert not threading.Event().wait(0.01) and not threading.Condition(threading.RLock()).acquire(False) is None
    lock = threading.Lock(); lock.acquire(); assert not lock.acquire(timeout=0.01)
    end, looks = time.monotonic() + 0.5, 0
    while time.monotonic() < end: looks += 1
    end = time.time() + 1
    while time.time() < end: threading.Event().wait(0.001)
    began = time.perf_counter(); time.sleep(0.01); assert time.perf_counter() - began >= 0.01
    try: subprocess.run([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, timeout=0.05, input=None)
    except subprocess.TimeoutExpired: pass
    seen = []
    signal.signal(signal.SIGUSR1, lambda *a: seen.append(1)); os.kill(os.getpid(), signal.SIGUSR1); assert seen
    here, there = multiprocessing.Pipe()
    for method in ("fork", "spawn"):
        process = multiprocessing.get_context(method).Process(target=child, args=(there,))
        process.start(); assert here.recv() == (True, True); process.join(); assert process.exitcode == 0
    with multiprocessing.Pool(2) as pool: assert pool.map(square, range(4)) == [0, 1, 4, 9]
    with multiprocessing.Manager() as manager: assert manager.list([1])[0] == 1
    with tempfile.TemporaryDirectory() as place: assert os.listdir(place) == []
    first, second = tempfile.mkdtemp(), tempfile.mkdtemp()
    assert first != second; os.rmdir(first); os.rmdir(second)
    assert os.getpid() == os.getpid() != os.getppid() and os.urandom(0) == b"" and len(os.urandom(100)) == 100
    assert sorted(os.listdir(b".")) == os.listdir(b".") and random.Random(3).random() == random.Random(3).random()
    random.seed("text"); state = random.random(); random.seed("text"); assert random.random() == state
    assert pickle.loads(pickle.dumps(random.Random(3))).random() == random.Random(3).random()
    print("end")
"""


@on_others
def test_programs_go_on_under_all_factors_at_once(watch: Watch, version: str) -> None:
    factors = dict.fromkeys(FACTORS, True)
    seen = watch(MACHINERY, interventions=factors, pins=[], env={"PYTHONHASHSEED": "0"}, **other(version))
    assert seen.stdout == "end\n", seen.stderr
    assert not [line for trace in seen.traces for line in trace if isinstance(line, Fault)]
    expected = {
        "seed-python",
        "fix-entropy",
        "freeze-clock",
        "fix-pid",
        "fix-hash-seed",
        "serial-threads",
        "one-thread",
    }
    assert told(seen) - {"sort-listings", "fix-addresses"} == expected


def test_what_the_launcher_does_is_told(watch: Watch, tmp_path: Path) -> None:
    setarch = shutil.which("setarch")
    if setarch is None:
        pytest.skip("setarch is not installed")
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nexec {setarch} -R {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    factors = {"fix-hash-seed": True, "fix-addresses": True}
    source = "print('address', id(object()))\nprint('hash', hash('text'))"
    runs = [
        watch(source, run=n, env={"PYTHONHASHSEED": "0"}, python=str(wrapper), interventions=factors) for n in (1, 2)
    ]
    assert runs[0].stdout == runs[1].stdout
    assert told(runs[0]) == set(factors)
    bare = watch(source, run=3, env={"PYTHONHASHSEED": "0"}, interventions=factors)
    assert told(bare) == {"fix-hash-seed"}


def test_an_ordinary_run_has_nothing_of_it_and_tells_what_trials_need(watch: Watch) -> None:
    source = (
        "import os, sys\n"
        "import numpy\n"
        "numpy.random.default_rng(os.getpid())\n"
        "numpy.random.default_rng(numpy.int64(5))\n"
        "numpy.random.default_rng([1, 2])\n"
        "numpy.random.default_rng()\n"
        "names = ('interventions', 'seeding', 'training', 'turns', 'world')\n"
        "print([name for name in names if '_auditor_probe.' + name in sys.modules])\n"
    )
    seen = watch(source)
    assert seen.stdout == "[]\n", seen.stderr
    made = [line.value for line in seen.traces[0] if isinstance(line, Generator)]
    assert made[0] is not None and made[0].isdigit()
    assert made[1:] == ["5", None, None]
    (read,) = [line for line in seen.traces[0] if isinstance(line, Entropy) and line.kind == "pid"]
    assert read.place is not None and read.place.line == 3
