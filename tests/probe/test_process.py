"""The probe enters, watches and leaves without the program noticing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.records.trace import (
    End,
    Entropy,
    Environment,
    Fault,
    Final,
    Generator,
    Hello,
    Init,
    Optimizer,
    Perturbed,
    Role,
    Seed,
    Step,
    Streams,
    Unseen,
    Unwatched,
    Worker,
)
from tests.probe.conftest import Watched

Watch = Callable[..., Watched]

TRAINING = """
import sys, torch
torch.manual_seed(1)
model = torch.nn.Sequential(torch.nn.Linear(8, 64, bias=False), torch.nn.Tanh(), torch.nn.Linear(64, 64, bias=False))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(6):
    loss = model(torch.randn(16, 8)).pow(2).mean()
    optimizer.zero_grad(); loss.backward(); optimizer.step()
print(float(sum(p.detach().abs().sum() for p in model.parameters())).hex())
"""


def test_an_interpreter_brings_in_nothing_that_a_program_might_name_a_file_like(watch: Watch) -> None:
    source = "import sys; before = sorted(sys.modules); import json; print(json.dumps([sys.path[1:], before]))\n"
    path, modules = json.loads(watch(source, probed=False).stdout)
    seen = watch(source)
    assert json.loads(seen.stdout)[0] == path
    more = {name for name in json.loads(seen.stdout)[1] if not name.startswith("_auditor_probe")} - set(modules)
    assert not {name.partition(".")[0] for name in more} & {
        "random",
        "hashlib",
        "ctypes",
        "threading",
        "struct",
        "logging",
    }
    (trace,) = seen.traces
    assert isinstance(trace[0], Hello) and isinstance(trace[-1], End)
    assert not seen.of(Fault)


def test_a_file_of_the_users_own_named_random_is_what_it_imports(watch: Watch, tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text("chosen = 4\n")
    seen = watch(f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import random; print(random.chosen)\n")
    assert seen.stdout.split() == ["4"]
    assert not seen.of(Fault)


@pytest.mark.parametrize(("more", "drawn"), [("", False), ("random.random()\n    ", True)])
def test_a_forked_child_has_not_drawn_from_the_stream_that_its_fork_gave_it(
    watch: Watch, more: str, drawn: bool
) -> None:
    source = "import os, random\nrandom.seed(1)\nrandom.random()\nif os.fork() == 0:\n    {}os._exit(0)\nos.wait()\n"
    seen = watch(source.format(more))
    child = next(trace for trace in seen.traces if isinstance(trace[0], Hello) and trace[0].kind == "fork")
    (streams,) = [line for line in child if isinstance(line, Streams)]
    assert streams.drawn["python"] is drawn


def test_the_chain_of_a_training_run_is_complete(watch: Watch) -> None:
    seen = watch(TRAINING)
    assert seen.returncode == 0, seen.stderr
    assert not seen.of(Fault)
    (optimizer,) = seen.of(Optimizer)
    assert optimizer.names == ["0.weight", "2.weight"]
    assert optimizer.kind == "SGD"
    assert len(seen.of(Init)) == 1
    steps = seen.of(Step)
    assert [s.n for s in steps] == [1, 2, 3, 4, 5, 6]
    for step in steps:
        assert step.batch is not None and step.batch.sources == ["Sequential"]
        assert step.loss is not None and step.loss.count == 1 and float.fromhex(step.loss.values[0]) > 0
        assert step.gradients is not None and step.parameters is not None
        assert set(step.streams) >= {"python", "torch"}
        assert step.kept is not None
    assert len({s.parameters for s in steps}) == 6
    (final,) = seen.of(Final)
    assert final.digest == steps[-1].parameters
    assert seen.of(Streams)[0].drawn["torch"] is True
    assert seen.of(End)[0].steps == 6


def test_two_runs_agree_and_the_probe_changes_nothing(watch: Watch) -> None:
    bare = watch(TRAINING, probed=False)
    first = watch(TRAINING)
    second = watch(TRAINING, run=2)
    assert bare.stdout == first.stdout == second.stdout
    links = [
        [(s.n, s.batch, s.loss, s.gradients, s.parameters, s.streams["torch"]) for s in r.of(Step)]
        for r in (first, second)
    ]
    assert links[0] == links[1]


def test_digests_that_arrive_later_are_the_same(watch: Watch) -> None:
    """The path that accelerators take, driven on the CPU: every digest is a tensor that is fetched afterwards."""
    at_once = watch(TRAINING)
    later = watch(
        TRAINING.replace(
            "torch.manual_seed(1)",
            "import _auditor_probe.tensors as t, _auditor_probe.digest as d\n"
            "t.Reader.digest = lambda self, x, direct=False: d.on_device(x.detach().contiguous(), torch)\n"
            "torch.manual_seed(1)",
        ),
        run=2,
    )
    assert not later.of(Fault)
    big = later.of(Step)
    assert [s.n for s in big] == [s.n for s in at_once.of(Step)]
    assert later.stdout == at_once.stdout
    # The second matrix is large enough for the same arithmetic on both paths: its part must agree.
    width = at_once.of(Optimizer)[0].width
    for one, two in zip(at_once.of(Step), big, strict=True):
        assert one.parameters_parts[width:] == two.parameters_parts[width:]
        assert two.parameters is not None


def test_a_plan_is_followed(watch: Watch, tmp_path: Path) -> None:
    import pathlib

    plan = pathlib.Path(str(tmp_path)) / "plan.json"
    plan.write_text(json.dumps({"labels": {"program.py": [2, 5]}}))
    seen = watch(TRAINING, plan=str(plan))
    assert [s.n for s in seen.of(Step)] == [2, 5]
    assert len(seen.of(Init)) == 1
    assert seen.of(End)[0].steps == 6


def test_a_run_can_be_stopped_after_a_number_of_steps(watch: Watch) -> None:
    seen = watch(TRAINING, steps=3)
    assert seen.returncode == 0
    assert seen.stdout == ""
    (end,) = seen.of(End)
    assert (end.why, end.steps) == ("steps", 3)
    assert len(seen.of(Final)) == 1


def test_the_users_sitecustomize_runs_and_its_error_is_its_own(watch: Watch, tmp_path: Path) -> None:
    import pathlib

    own = pathlib.Path(str(tmp_path)) / "own"
    own.mkdir()
    (own / "sitecustomize.py").write_text("import builtins\nbuiltins.MARK = 'theirs'\n")
    source = "import sys, sitecustomize\nprint(MARK, sitecustomize.__file__)\n"
    seen = watch(source, env={"PYTHONPATH": str(own)})
    assert seen.stdout.split() == ["theirs", str(own / "sitecustomize.py")]
    (own / "sitecustomize.py").write_text("raise ValueError('theirs')\n")
    broken = watch("print('on')\n", env={"PYTHONPATH": str(own)}, run=2)
    bare = watch("print('on')\n", env={"PYTHONPATH": str(own)}, probed=False)
    assert broken.stdout == bare.stdout == "on\n"
    assert broken.stderr == bare.stderr
    assert len(broken.traces) == 1


def test_stand_ins_are_called_like_the_functions_they_stand_for(watch: Watch) -> None:
    source = """
import copy, inspect, io, os, pickle, random, time, builtins
import numpy.random
class Holder:
    clock = time.time
    listing = os.listdir
    opener = open
holder = Holder()
assert isinstance(holder.clock(), float)
assert holder.listing('.') == os.listdir('.')
assert holder.opener('program.py').read(1)
assert pickle.loads(pickle.dumps(time.time)) is time.time
assert pickle.loads(pickle.dumps(os.urandom)) is os.urandom
assert pickle.loads(pickle.dumps(numpy.random.default_rng)) is numpy.random.default_rng
assert copy.deepcopy(os.listdir) is os.listdir
with os.scandir('.') as entries:
    assert [e.name for e in entries] == ['program.py']
assert list(os.walk('.'))
random.seed(5); first = random.random(); random.seed(5); assert random.random() == first
print(repr(time.time))
"""
    seen = watch(source)
    assert seen.returncode == 0, seen.stderr
    assert seen.stdout == "<built-in function time>\n"
    assert not seen.of(Fault)


def test_seeds_generators_and_entropy_are_recorded_with_their_lines(watch: Watch) -> None:
    source = """import os, random, time
import numpy as np
random.seed(3)
np.random.seed(4)
a = np.random.default_rng(5)
b = np.random.default_rng()
time.time()
os.urandom(4)
os.listdir('/')
np.random.rand()
"""
    seen = watch(source)
    assert seen.returncode == 0, seen.stderr
    assert [(s.stream, s.value, s.place.line) for s in seen.of(Seed)] == [("python", "3", 3), ("numpy", "4", 4)]
    assert [(g.seeded, g.source, g.place.line) for g in seen.of(Generator)] == [(True, "int", 5), (False, "entropy", 6)]
    kinds = {(e.kind, e.place.line) for e in seen.of(Entropy)}
    assert kinds == {("numpy-entropy", 6), ("clock", 7), ("urandom", 8), ("listing", 9)}
    drawn = seen.of(Streams)[0].drawn
    assert drawn["python"] is False and drawn["numpy"] is True


def test_watching_draws_nothing(watch: Watch) -> None:
    source = """
import random, numpy as np, torch
random.seed(1); np.random.seed(1); torch.manual_seed(1); rng = np.random.default_rng(1)
m = torch.nn.Linear(2, 2); o = torch.optim.Adam(m.parameters())
for _ in range(3):
    m(torch.randn(2, 2)).sum().backward(); o.step()
print(random.random(), np.random.rand(), float(torch.rand(())), rng.random())
"""
    assert watch(source).stdout == watch(source, probed=False).stdout != ""


def test_the_order_of_listings_is_varied_for_the_users_own_code_only(watch: Watch) -> None:
    source = """
import glob, json, os, pathlib
import numpy.random
for name in 'abcd':
    open('x' + name, 'w').close()
print(json.dumps([
    [n for n in os.listdir('.') if n[0] == 'x'], [e.name for e in os.scandir('.') if e.name[0] == 'x'],
    glob.glob('x*'), [p.name for p in pathlib.Path('.').iterdir() if p.name[0] == 'x'], sorted(os.listdir('.')),
]))
"""
    plain = json.loads(watch(source).stdout)
    varied_run = watch(source, run=2, directory_order=True)
    varied = json.loads(varied_run.stdout)
    for before, after in zip(plain[:4], varied[:4], strict=True):
        assert after == before[::-1]
    assert plain[4] == varied[4]
    assert [p.factor for p in varied_run.of(Perturbed)] == ["directory-order"]


@pytest.mark.parametrize("way", ["os._exit(3)", "sys.exit(3)", "os.closerange(3, 1500); sys.exit(3)"])
def test_the_trace_is_closed_however_the_program_ends(watch: Watch, way: str) -> None:
    seen = watch(f"import os, sys, torch\n{way}\n")
    assert seen.returncode == 3
    assert len(seen.of(End)) == 1


def test_descriptors_that_the_program_reuses_are_not_written_to(watch: Watch) -> None:
    source = """
import os, torch
os.closerange(3, 1500)
mine = os.open('mine', os.O_RDWR | os.O_CREAT)
for number in range(3, 760):
    if number != mine:
        os.dup2(mine, number)
m = torch.nn.Linear(2, 2); o = torch.optim.SGD(m.parameters(), lr=0.1)
m(torch.ones(2, 2)).sum().backward(); o.step()
assert os.path.getsize('mine') == 0
"""
    seen = watch(source)
    assert seen.returncode == 0, seen.stderr
    assert len(seen.of(Step)) == 1


def test_forked_children_leave_traces_of_their_own(watch: Watch) -> None:
    source = """
import os, torch
m = torch.nn.Linear(2, 2); o = torch.optim.SGD(m.parameters(), lr=0.1)
m(torch.ones(2, 2)).sum().backward(); o.step()
if os.fork() == 0:
    for _ in range(2):
        m(torch.ones(2, 2)).sum().backward(); o.step()
    os._exit(0)
os.wait()
"""
    seen = watch(source)
    assert len(seen.traces) == 2
    parent, child = (t[0] for t in seen.traces)
    assert isinstance(parent, Hello) and isinstance(child, Hello)
    assert (child.kind, child.child, child.ppid) == ("fork", 1, parent.pid)
    assert len(seen.of(Step, 0)) == 1 and len(seen.of(Step, 1)) == 2
    assert len(seen.of(End, 1)) == 1


def test_a_child_of_multiprocessing_that_is_killed_has_its_name_all_the_same(watch: Watch) -> None:
    source = """
import multiprocessing, os, signal
if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    child = context.Process(target=os.kill, args=(os.getpid(), 0), name="killed")
    child._bootstrap = lambda parent_sentinel: os.kill(os.getpid(), signal.SIGKILL)
    child.start()
    child.join()
"""
    seen = watch(source)
    (child,) = [trace for trace in seen.traces if isinstance(trace[0], Hello) and trace[0].kind == "fork"]
    assert [line.process for line in child if isinstance(line, Role)] == ["killed"]


def test_stale_files_are_noticed(watch: Watch, tmp_path: Path) -> None:
    import os
    import pathlib

    from auditor.records.trace import StaleRead

    for name, seconds in (("before", 50), ("between", 150), ("overwritten", 150), ("during", 250)):
        path = pathlib.Path(str(tmp_path)) / name
        path.write_text("x")
        os.utime(path, (seconds, seconds))
    source = f"import numpy\nfor n in ('before', 'between', 'during'):\n    open({str(tmp_path)!r} + '/' + n).read()\n"
    source += f"open({str(tmp_path / 'overwritten')!r}, 'w+').read()\n"
    seen = watch(source, audit_started_ns=100 * 10**9, run_started_ns=200 * 10**9)
    assert [pathlib.Path(s.path).name for s in seen.of(StaleRead)] == ["between"]


def test_an_unwritable_trace_never_stops_the_program(watch: Watch) -> None:
    seen = watch(TRAINING, trace="/nonexistent/directory")
    bare = watch(TRAINING, probed=False)
    assert seen.returncode == 0
    assert seen.stdout == bare.stdout
    assert seen.traces == ()


def test_only_one_threads_steps_are_followed(watch: Watch) -> None:
    source = """
import threading, torch
torch.manual_seed(0)
models = [torch.nn.Linear(2, 2) for _ in range(2)]
optimizers = [torch.optim.SGD(m.parameters(), lr=0.1) for m in models]
turn = threading.Barrier(2)
def train(which):
    for _ in range(4):
        turn.wait()
        models[which](torch.ones(2, 2)).sum().backward(); optimizers[which].step()
        turn.wait()
other = threading.Thread(target=train, args=(1,))
models[0](torch.ones(2, 2)).sum().backward(); optimizers[0].step()
other.start(); train(0); other.join()
"""
    seen = watch(source)
    assert seen.returncode == 0, seen.stderr
    steps = seen.of(Step)
    assert [s.n for s in steps] == [1, 2, 3, 4, 5]
    assert {s.optimizer for s in steps} == {0}
    assert all(s.loss is not None and s.loss.count == 1 for s in steps)
    assert sorted(f.optimizer for f in seen.of(Final)) == [0, 1]


def test_a_thread_that_fetches_ahead_adds_nothing_to_a_batch(watch: Watch) -> None:
    source = """
import queue, threading, torch
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
fetched = queue.Queue()
def fetch():
    for batch in DataLoader(TensorDataset(torch.randn(8, 2)), batch_size=2):
        fetched.put(batch)
threading.Thread(target=fetch).start()
m = torch.nn.Linear(2, 2); o = torch.optim.SGD(m.parameters(), lr=0.1)
for _ in range(4):
    m(fetched.get()[0]).sum().backward(); o.step()
"""
    seen = watch(source)
    assert [s.batch.sources for s in seen.of(Step)] == [["Linear"]] * 4


def test_children_that_the_probe_cannot_enter_are_told(watch: Watch) -> None:
    source = """
import os, subprocess, sys
subprocess.run([sys.executable, '-c', 'pass'], check=True)
subprocess.run([sys.executable, '-c', 'pass'], check=True, env=dict(os.environ, OTHER='1'))
subprocess.run(['true'], check=True, env={})
subprocess.run([sys.executable, '-I', '-c', 'pass'], check=True)
subprocess.run([sys.executable, '-W', 'ignore', '-c', 'pass'], check=True, env={'PATH': ''})
"""
    seen = watch(source, audit_started_ns=1, run_started_ns=2)
    assert seen.returncode == 0, seen.stderr
    assert [u.place.line for u in seen.of(Unwatched)] == [6, 7]
    assert len(seen.traces) == 3


def test_workers_tell_their_randomness_after_they_were_seeded(watch: Watch) -> None:
    source = """
import numpy as np, torch
from torch.utils.data import DataLoader, Dataset
class Data(Dataset):
    def __init__(self): self.rng = np.random.default_rng(0)
    def __len__(self): return 8
    def __getitem__(self, i): return torch.randn(2) + self.rng.normal() + np.random.rand()
def begin(worker): np.random.seed(100 + worker)
torch.manual_seed(0)
for batch in DataLoader(Data(), batch_size=2, num_workers=2, worker_init_fn=begin):
    print(batch.sum().item())
"""
    seen = watch(source)
    bare = watch(source, probed=False)
    assert seen.stdout == bare.stdout != ""
    workers = [[line for line in trace if isinstance(line, Worker)] for trace in seen.traces[1:]]
    assert [[w.at for w in told] for told in workers] == [["start", "end"]] * 2
    (one, one_after), (two, _two_after) = workers
    assert one.streams["numpy"] != two.streams["numpy"]
    assert one.streams["torch"] != two.streams["torch"]
    assert one.held == two.held != {}
    assert one_after.held != one.held
    # What torch seeds in every worker is no news; what the program seeds is.
    seeds = [[line for line in trace if isinstance(line, Seed)] for trace in seen.traces[1:]]
    assert [[(s.stream, s.value) for s in told] for told in seeds] == [[("numpy", "100")], [("numpy", "101")]]


def test_training_in_a_thread_of_its_own_is_seen_from_the_first_batch(watch: Watch) -> None:
    source = """
import threading, torch
torch.manual_seed(0)
def train():
    m = torch.nn.Linear(2, 2); o = torch.optim.SGD(m.parameters(), lr=0.1)
    for _ in range(3):
        m(torch.randn(2, 2)).sum().backward(); o.step()
torch.nn.Linear(2, 2)(torch.randn(2, 2))
trainer = threading.Thread(target=train)
trainer.start(); trainer.join()
"""
    seen = watch(source)
    assert [s.batch.sources for s in seen.of(Step)] == [["Linear"]] * 3


def test_the_end_is_told_whatever_became_of_the_optimizer(watch: Watch) -> None:
    source = """
import gc, torch
from torch.utils.data import DataLoader
class Trial:
    def __init__(self, seed):
        torch.manual_seed(seed)
        self.model = torch.nn.Linear(3, 1)
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, 1)
        self.me = self
    def fit(self):
        for _ in range(3):
            self.model(torch.randn(4, 3)).sum().backward(); self.optimizer.step(); self.scheduler.step()
Trial(0).fit()
Trial(1).fit()
gc.collect()
def fit(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.ones(4, 3)).sum().backward(); optimizer.step()
model = torch.nn.Linear(3, 1)
fit(model)
for epoch in range(3):
    optimizer = torch.optim.Adam(model.parameters())
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
    model(torch.ones(4, 3)).sum().backward(); optimizer.step()
with torch.no_grad():
    model.weight.fill_(%s)
"""
    one, two = watch(source % 1), watch(source % 2, run=2)
    assert one.returncode == 0, one.stderr
    assert not one.of(Fault) and not one.of(Unseen)
    finals = [[(f.optimizer, f.digest) for f in run.of(Final)] for run in (one, two)]
    assert [index for index, _ in finals[0]] == [0, 1, 5]
    assert finals[0][:2] == finals[1][:2]
    assert finals[0][2] != finals[1][2]


def test_the_end_is_told_where_the_model_is_gone_before_its_optimizer(watch: Watch) -> None:
    source = """
import torch
def train():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        model(torch.randn(4, 3)).sum().backward(); optimizer.step()
    print(model[1].running_mean.tolist())
train()
"""
    seen = watch(source)
    assert not seen.of(Fault) and not seen.of(Unseen)
    (final,) = seen.of(Final)
    assert (final.at, final.digest) == ("collected", seen.of(Step)[-1].parameters)
    assert seen.stdout == watch(source, probed=False).stdout


def test_a_buffer_that_was_replaced_is_not_told_as_it_was(watch: Watch) -> None:
    source = """
import torch
class Scaled(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        self.register_buffer("mean", torch.zeros(3))
    def forward(self, x): return self.layer(x - self.mean)
def train():
    torch.manual_seed(0)
    model = Scaled()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        model(torch.randn(4, 3)).sum().backward(); optimizer.step()
    model.mean = torch.full((3,), %s)
train()
"""
    one, two = (watch(source % mean, run=run) for run, mean in enumerate((1.0, 2.0), 1))
    assert not one.of(Fault) and not one.of(Unseen)
    assert one.of(Step)[-1].parameters == two.of(Step)[-1].parameters
    assert len({one.of(Final)[0].digest, two.of(Final)[0].digest, one.of(Step)[-1].parameters}) == 3


def test_steps_by_hand_that_make_new_tensors(watch: Watch) -> None:
    source = """
import torch
torch.manual_seed(0)
w = torch.randn(3, requires_grad=True)
for _ in range(4):
    g, = torch.autograd.grad((w ** 2).sum(), [w])
    w = (w - 0.1 * g).detach().requires_grad_()
def train():
    w = torch.randn(3, requires_grad=True)
    for _ in range(4):
        (w ** 2).sum().backward()
        w = (w - 0.1 * w.grad).detach().requires_grad_()
"""
    seen = watch(source + "train()\n")
    steps = seen.of(Step)
    assert [s.parameters is not None for s in steps] == [True] * 7 + [False]
    assert len(seen.of(Unseen)) == 1


def test_losses_that_no_optimizer_step_follows_are_told(watch: Watch) -> None:
    source = """
import torch
torch.manual_seed(0)
a = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(a.parameters(), lr=0.1)
a(torch.ones(1, 2)).sum().backward(); optimizer.step()
b = torch.nn.Linear(2, 1)
for _ in range(5):
    b(torch.ones(1, 2)).sum().backward()
"""
    last = watch(source).of(Step)[-1]
    assert (last.n, last.optimizer, last.loss.count, last.parameters) == (2, -1, 5, None)


def test_what_inspects_programs_finds_them_unchanged(watch: Watch) -> None:
    source = """
import torch, torch.fx
class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)
    def forward(self, x):
        return self.inner(x).relu()
model = torch.nn.Sequential(Block(), Block())
print([node.target for node in torch.fx.symbolic_trace(model).graph.nodes])
@torch.jit.script
def force(x: torch.Tensor) -> torch.Tensor:
    found = torch.autograd.grad([(x * x).sum()], [x])[0]
    assert found is not None
    return found
print(force(torch.ones(2, requires_grad=True)).tolist())
print(torch.export.export(model, (torch.ones(1, 2),)) is not None)
"""
    seen = watch(source)
    assert seen.stdout == watch(source, probed=False).stdout != ""
    assert seen.returncode == 0, seen.stderr
    assert not seen.of(Fault)


def test_a_program_that_restarts_itself_leaves_two_closed_traces(watch: Watch) -> None:
    source = """
import os, sys
if os.environ.get('AGAIN') is None:
    os.environ['AGAIN'] = '1'
    os.execv(sys.executable, [sys.executable] + sys.argv)
"""
    seen = watch(source, audit_started_ns=1, run_started_ns=2)
    assert [seen.of(End, trace)[0].why for trace in range(2)] == ["os.exec", "exit"]


def test_buffers_are_part_of_what_training_moves(watch: Watch) -> None:
    source = """
import torch
torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    model(torch.randn(8, 3)).pow(2).sum().backward(); optimizer.step()
model(torch.ones(8, 3) * %s)
"""
    one, two = watch(source % 1), watch(source % 2, run=2)
    (optimizer,) = one.of(Optimizer)
    assert optimizer.names == ["0.weight", "0.bias", "1.weight", "1.bias"] + [
        f"1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")
    ]
    assert [s.parameters for s in one.of(Step)] == [s.parameters for s in two.of(Step)]
    assert [s.gradients for s in one.of(Step)] == [s.gradients for s in two.of(Step)]
    (end,), (other_end,) = one.of(Final), two.of(Final)
    width = optimizer.width
    differ = [i for i in range(7) if end.parts[i * width :][:width] != other_end.parts[i * width :][:width]]
    assert differ == [4]  # of ones, the mean is new and the variance none


def test_odd_but_legal_programs_run_as_they_do_alone(watch: Watch) -> None:
    source = """
import os
real = os._exit
os._exit = lambda status: real(status)
import signal, sys, torch
from torch.utils.data import DataLoader, TensorDataset
class Loader(DataLoader):
    def __eq__(self, other): return self is other
class Optimizer(torch.optim.SGD):
    def __eq__(self, other): return self is other
class Late(Exception): pass
def late(*_): raise Late
signal.signal(signal.SIGUSR1, late)
model = torch.nn.Linear(64, 64); optimizer = Optimizer(model.parameters(), lr=0.1)
for batch, in Loader(TensorDataset(torch.randn(8, 64)), batch_size=4):
    model(batch).sum().backward(); optimizer.step()
digest = sys.modules.get("_auditor_probe.digest")
if digest:
    # A handler runs wherever the program happens to be: here, while the probe reads a tensor.
    real = digest.of_memory
    def of_memory(*args):
        digest.of_memory = real
        signal.raise_signal(signal.SIGUSR1)
    digest.of_memory = of_memory
try:
    model(batch).sum().backward(); optimizer.step()
    signal.raise_signal(signal.SIGUSR1)
except Late:
    print("late")
if digest:
    assert digest.of_memory is real
"""
    seen = watch(source)
    assert (seen.stdout, seen.returncode) == ("late\n", 0), seen.stderr
    assert not seen.of(Fault)


@pytest.mark.parametrize(("line", "drawn"), [("", False), ("random.random()", True)])
def test_draws_of_libraries_being_imported_are_not_the_programs(
    watch: Watch, tmp_path: Path, line: str, drawn: bool
) -> None:
    library = tmp_path / "site-packages" / "noisy"
    library.mkdir(parents=True)
    (library / "__init__.py").write_text("import random\nrandom.random()\nfrom . import more\n")
    (library / "more.py").write_text("from . import most\n")
    (library / "most.py").write_text("import random\nrandom.random()\nimport xml.dom\n")
    source = f"import random, numpy, sys\nsys.path.append({str(library.parent)!r})\nimport noisy\n{line}\nimport wave\n"
    seen = watch(source)
    assert seen.returncode == 0, seen.stderr
    assert not seen.of(Fault)
    assert seen.of(Streams)[0].drawn["python"] is drawn


def test_steps_by_hand_inside_a_function_are_told_to_their_end(watch: Watch) -> None:
    source = """
import torch
def train():
    torch.manual_seed(0)
    w = torch.randn(3, requires_grad=True)
    for _ in range(4):
        (w ** 2).sum().backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
            w.grad.zero_()
train()
"""
    seen = watch(source)
    steps = seen.of(Step)
    assert len({s.parameters for s in steps} - {None}) == 4
    (final,) = seen.of(Final)
    assert final.digest == steps[-1].parameters
    assert not seen.of(Unseen) and not seen.of(Fault)


def test_bytes_that_are_no_text_spoil_no_line(watch: Watch) -> None:
    program = "import random\nrandom.seed(1)\n" + TRAINING
    seen = watch(program, env={"OMP_SCHEDULE": "\udcff", "XLA_FLAGS": "--dump=gs://me:hidden@host/x"})
    (environment,) = seen.of(Environment)
    assert environment.variables["OMP_SCHEDULE"] == "\\udcff"
    assert environment.variables["XLA_FLAGS"] == "--dump=gs://host/x"
