"""Capturing operations and lines changes no result, and what it records is in order and complete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.records.operations import Capture, Line, Operation, parse_capture
from auditor.records.trace import Fault, Unseen
from tests.probe.conftest import Watched

Watch = Callable[..., Watched]

pytestmark = pytest.mark.programs

WINDOW = {"first": 1, "last": None}

TRAINING = """
import sys, threading, torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from torch.utils._python_dispatch import TorchDispatchMode
torch.set_num_threads(1)

class Cube(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x ** 3
    @staticmethod
    def backward(ctx, g):
        x, = ctx.saved_tensors
        return g * 3 * x * x

class Counting(TorchDispatchMode):
    count = 0
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.encoder = nn.ModuleList([nn.Linear(64, 32), nn.Linear(32, 32)])
        self.rnn = nn.LSTM(32, 8, batch_first=True)
        self.head = nn.Linear(8, 2)
        self.register_buffer("seen", torch.zeros(4))
    def forward(self, x):
        x = torch.relu_(self.norm(self.conv(x)))
        self.seen.add_(x.detach().mean((0, 2, 3)))
        x = x.view(x.shape[0], 4, 64) * 1.5
        x[:, 0].mul_(0.5)
        x = nn.functional.dropout(x, 0.2)
        x = checkpoint(self.block, x, use_reentrant=False)
        x = checkpoint(self.block2, x, use_reentrant=True)
        x, _ = self.rnn(x)
        return Cube.apply(self.head(x[:, -1]))
    def block(self, x):
        return nn.functional.dropout(torch.tanh(self.encoder[0](x)), 0.1)
    def block2(self, x):
        return nn.functional.gelu(self.encoder[1](x))

def weights(model):
    return sum(p.detach().double().abs().sum() for p in model.state_dict().values()).item().hex()

torch.manual_seed(1)
model = Net()
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
counting = Counting()
for step in range(4):
    x, y = torch.randn(6, 1, 8, 8), torch.randint(0, 2, (6,))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=step % 2 == 1):
        loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    if step == 1:
        counting.__enter__()  # over the end of a step
    loss.backward()
    optimizer.step()
    if step == 2:
        counting.__exit__(None, None, None)
print(weights(model), counting.count)

out = []
def work(n):
    generator = torch.Generator().manual_seed(n)
    out.append(torch.randn(4, generator=generator).sum().item().hex())
threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
for thread in threads:
    thread.start()
    thread.join()
print(out, torch.func.vmap(torch.sin)(torch.arange(3.0)).sum().item().hex())
print(torch.func.grad(lambda t: (t ** 3).sum())(torch.arange(3.0)).tolist())
with torch.inference_mode():
    print(model.eval()(torch.ones(2, 1, 8, 8)).sum().item().hex())
frozen = torch.jit.trace(model.head, torch.ones(1, 8))
print(frozen(torch.ones(1, 8)).sum().item().hex(), sys.gettrace() is None)
"""

COMPILED = """
import torch
torch.set_num_threads(1)
torch.manual_seed(1)
model = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.GELU(), torch.nn.Linear(32, 32), torch.nn.LayerNorm(32))

@torch.compile(backend="aot_eager")
def objective(out):
    return (torch.sin(out) * 0.3 + out.pow(3)).mean()

compiled = torch.compile(model, backend="aot_eager")
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(3):
    loss = objective(compiled(torch.randn(16, 8)))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
from torch._dynamo.utils import counters
print(sum(p.detach().double().abs().sum() for p in model.parameters()).item().hex())
print(counters["stats"]["unique_graphs"], dict(counters["graph_break"]))
"""


def captures(tmp_path: Path, run: int) -> list[Capture]:
    found = []
    for path in sorted((tmp_path / f"evidence-{run}" / "trace").glob("*.ops")):
        capture = parse_capture(path.read_bytes())
        assert capture is not None
        found.append(capture)
    return found


def operations(capture: Capture) -> list[Operation]:
    return [entry for entry in capture.entries if isinstance(entry, Operation)]


def test_no_result_changes(watch: Watch, tmp_path: Path) -> None:
    bare = watch(TRAINING, probed=False)
    whole = watch(TRAINING, capture=WINDOW, draws=True)
    middle = watch(TRAINING, run=2, capture={"first": 3, "last": 3})
    assert bare.returncode == 0, bare.stderr
    # The program is followed while the whole of it is captured.
    assert whole.stdout == bare.stdout.replace("True", "False"), whole.stderr
    assert middle.stdout == bare.stdout
    assert not whole.of(Fault) and not middle.of(Fault)

    (capture,) = captures(tmp_path, 1)
    (part,) = captures(tmp_path, 2)
    assert capture.lost == part.lost == ()
    recorded = operations(capture)
    texts = capture.texts
    modules = {texts[entry.module] for entry in recorded}
    assert {"conv", "norm", "encoder.0", "encoder.1", "rnn", "head", "Net"} <= modules
    nodes = {texts[entry.node] for entry in recorded if entry.node >= 0}
    assert {"CubeBackward", "ConvolutionBackward0", "CheckpointFunctionBackward"} <= nodes
    assert {entry.phase for entry in recorded} == {0, 1, 2}
    # Autocast in the second and fourth step, and what was computed again in the backward pass.
    assert {entry.flags & 1 for entry in recorded} == {entry.flags & 2 for entry in recorded if entry.flags & 2} ^ {
        0,
        1,
        2,
    }
    assert all(len(digest) == 16 or digest in "?-" for entry in recorded for digest in (*entry.inputs, *entry.outputs))
    threads = {texts[entry.thread] for entry in recorded}
    assert len(threads) == 4 and "MainThread" in threads
    assert part.steps == 2 and len(operations(part)) < len(recorded) / 3


def test_compiled_regions_are_named_and_stay_as_they_are(watch: Watch, tmp_path: Path) -> None:
    bare = watch(COMPILED, probed=False)
    captured = watch(COMPILED, capture=WINDOW)
    assert bare.returncode == 0, bare.stderr
    assert captured.stdout == bare.stdout, captured.stderr
    assert not captured.of(Fault)
    (capture,) = captures(tmp_path, 1)
    names = [capture.texts[entry.name] for entry in operations(capture) if entry.flags & 4]
    assert names == ["compiled::Sequential", "compiled::objective"] * 3


def test_lines_tell_what_is_plain(watch: Watch, tmp_path: Path) -> None:
    source = """import array
class Thing:
    def __init__(self, value):
        self.value = value
    def __repr__(self):
        raise RuntimeError("never asked")
a = 1
b = {"x": 1.5, "y": [1, 2]}
b["x"] = 2.5
c = {"p", "q"}
d = Thing(3)
d.value = 4
e = object()
f, g = True, None
for h in (1, 2):
    b["y"].append(h)
i = [n * 2 for n in range(3)]
class Deep:
    inner = None
def function(first, *rest, key=None):
    return len(rest) + first
j = function(1, 2, 3, key="k")
def numbers():
    yield 5
k = list(numbers())
"""
    seen = watch(source, capture=WINDOW)
    assert seen.returncode == 0, seen.stderr
    assert not seen.of(Fault)
    (capture,) = captures(tmp_path, 1)
    lines: dict[int, list[dict[str, str]]] = {}
    for entry in capture.entries:
        if isinstance(entry, Line):
            watched = capture.watched[entry.watched]
            told = {name: value for name, value in zip(watched.names, entry.values, strict=True) if value}
            lines.setdefault(capture.spots[watched.spot].line, []).append(told)
    assert lines[7] == [{"a": "i1"}]
    assert lines[8][0]["b"] != lines[9][0]["b"]
    assert lines[12] == [{"d.value": "i4"}]
    assert lines[13] == [{}]
    assert lines[14] == [{"f": "b1", "g": "n"}]
    assert [told.get("h") for told in lines[15]] == ["i1", "i2", "i2"]
    assert lines[16][0]["b"] != lines[16][1]["b"]
    assert lines[20][-1] | {"rest": ""} == {"first": "i1", "rest": "", "key": lines[20][-1]["key"]}
    assert lines[21] == [{"return": "i3"}]
    assert lines[22] == [{"j": "i3"}]
    assert {"return": "i5"} in lines[24]


def test_the_order_of_a_set_shows_only_where_it_is_iterated(watch: Watch, tmp_path: Path) -> None:
    source = "import array\nwords = {f'word {n}' for n in range(20)}\nfirst = list(words)\n"
    for run in (1, 2):
        watch(source, run=run, capture=WINDOW, env={"PYTHONHASHSEED": str(run)})
    values = []
    for run in (1, 2):
        (capture,) = captures(tmp_path, run)
        values.append([entry.values[0] for entry in capture.entries if isinstance(entry, Line)])
    assert values[0][-2] == values[1][-2]
    assert values[0][-1] != values[1][-1]


def test_a_loop_is_bounded_and_still_told(watch: Watch, tmp_path: Path) -> None:
    source = "import array\ntotal = 0\nfor n in range(1000):\n    total += n\n"
    watch(source, capture=WINDOW)
    watch(source.replace("+= n", "+= n + (n == 900)"), run=2, capture=WINDOW)
    sizes = []
    rests = []
    for run in (1, 2):
        (capture,) = captures(tmp_path, run)
        sizes.append(len(capture.entries))
        rests.append([entry for entry in capture.entries if not isinstance(entry, Line)])
    assert sizes[0] == sizes[1] < 450
    assert len(rests[0]) == 2 and rests[0] != rests[1]


def test_a_tool_that_traces_already_is_given_way(watch: Watch, tmp_path: Path) -> None:
    source = """import sys
sys.settrace(None)
def tracer(frame, event, arg):
    return None
sys.settrace(tracer)
import torch
model = torch.nn.Linear(2, 1)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for _ in range(2):
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
print(sys.gettrace() is tracer)
"""
    seen = watch(source, capture={"first": 2, "last": 2})
    assert seen.stdout.strip() == "True", seen.stderr
    assert not seen.of(Fault) and not seen.of(Unseen)
    (capture,) = captures(tmp_path, 1)
    assert capture.lost == ("lines of Python: another tool traces the program",)
    assert operations(capture) and not [entry for entry in capture.entries if isinstance(entry, Line)]
