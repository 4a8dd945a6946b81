"""The probe tells which of the user's lines draw from which random stream."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.records.trace import Draw, Fault, Unseen
from tests.probe.conftest import Watched

Watch = Callable[..., Watched]


def drawn(seen: Watched) -> list[set[tuple[str, int, bool]]]:
    """(stream, line, seeded) by trace; every place is in the program's own file."""
    assert seen.returncode == 0, seen.stderr
    assert not [line for trace in seen.traces for line in trace if isinstance(line, Fault)]
    found = []
    for number in range(len(seen.traces)):
        lines = seen.of(Draw, number)
        assert all(isinstance(d, Draw) and d.place.file == "program.py" for d in lines)
        found.append({(d.stream, d.place.line, d.seeded) for d in lines if isinstance(d, Draw)})
    return found


def test_each_stream_is_told_with_the_line_that_draws(watch: Watch) -> None:
    source = """import random
a = random.random()
random.seed(3)
b = random.gauss(0, 1)
import numpy as np
c = np.random.rand(3)
np.random.seed(1); d = 1
np.random.shuffle([1, 2, 3])
import torch
e = torch.rand(3)
torch.manual_seed(1)
torch.nn.functional.dropout(e)
rng = np.random.default_rng()
f = rng.random(2)
other = np.random.default_rng(5)
g = other.integers(7)
def user():
    return torch.randn(2)
h = user()
state = torch.get_rng_state()
torch.set_rng_state(state)
random.setstate(random.getstate())
"""
    assert drawn(watch(source, draws=True)) == [
        {
            ("python", 2, False),
            ("python", 4, True),
            ("numpy", 6, False),
            ("numpy", 8, True),
            ("torch", 10, False),
            ("torch", 12, True),
            ("numpy-generator", 14, False),
            ("numpy-generator", 16, True),
            ("torch", 18, True),
        }
    ]
    assert drawn(watch(source, run=2)) == [set()]


def test_a_seed_from_entropy_seeds_nothing(watch: Watch) -> None:
    source = "import random, torch\nrandom.seed()\nrandom.random()\ntorch.seed()\ntorch.rand(1)\n"
    assert drawn(watch(source, draws=True)) == [{("python", 3, False), ("torch", 5, False)}]


def test_following_changes_no_result(watch: Watch) -> None:
    source = """
import random, threading, numpy as np, torch
torch.manual_seed(1)
def work(out):
    for _ in range(50):
        out.append(random.random() + np.random.rand())
out = []
thread = threading.Thread(target=work, args=(out,))
random.seed(1); np.random.seed(1)
thread.start(); thread.join()
print(sum(out).hex(), torch.randn(5).sum().item().hex(), [random.gauss(0, 1) for _ in range(3)])
"""
    assert watch(source, probed=False).stdout == watch(source, draws=True).stdout


@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_workers_and_threads_tell_their_own(watch: Watch, start: str) -> None:
    source = f"""import random, threading
import numpy as np, torch
class Data(torch.utils.data.Dataset):
    def __len__(self): return 4
    def __getitem__(self, index):
        noise = np.random.rand()
        return torch.tensor(noise + random.random())
def work():
    random.randint(1, 5)
if __name__ == "__main__":
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    for batch in torch.utils.data.DataLoader(Data(), num_workers=2, multiprocessing_context="{start}"):
        pass
"""
    main, *workers = drawn(watch(source, draws=True))
    # A loader draws its workers' base seed.
    assert main == {("python", 9, False), ("torch", 14, False)}
    told = [lines for lines in workers if lines]
    assert len(told) == 2
    for lines in told:
        assert {(stream, line) for stream, line, _seeded in lines} == {("numpy", 6), ("python", 7)}
        assert ("python", 7, True) in lines


def test_a_tool_that_traces_is_given_way(watch: Watch) -> None:
    source = """import sys
seen = []
def tracer(frame, event, arg):
    seen.append(event)
    return tracer
sys.settrace(tracer)
import random
def f():
    return random.random()
f()
sys.settrace(None)
print("line" in seen and "return" in seen, sys.gettrace() is None)
"""
    seen = watch(source, draws=True)
    assert seen.stdout.split() == ["True", "True"]
    assert not seen.of(Fault) and not seen.of(Unseen)


def test_what_is_drawn_while_a_module_is_imported_is_not_the_imports(watch: Watch) -> None:
    (drawing,) = drawn(watch("import random\nimport numpy.random, colorsys, uuid\nrandom.random()\n", draws=True))
    assert drawing == {("python", 3, False)}


def test_nothing_is_followed_once_enough_is_known(watch: Watch) -> None:
    lines = "\n".join("random.random()" for _ in range(12))
    source = f"import sys, random\n{lines}\nprint(sys.gettrace())\n"
    seen = watch(source, draws=True)
    assert drawn(seen) == [{("python", n, False) for n in range(2, 10)}]
    assert seen.stdout.strip() == "None"


def test_following_rests_while_a_library_is_imported(watch: Watch, tmp_path: Path) -> None:
    """What a library does then is none of the user's lines, and costs most of the time that following costs."""
    library = tmp_path / "site-packages"
    library.mkdir()
    (library / "library.py").write_text("import sys, inner\ntraced = sys.gettrace() is not None\n")
    (library / "inner.py").write_text("import sys\ntraced = sys.gettrace() is not None\n")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "own.py").write_text("import sys, library\ntraced = sys.gettrace() is not None\n")
    source = """import random, own, library, inner
try:
    import missing
except ImportError:
    random.random()
print(own.traced, library.traced, inner.traced)
"""
    seen = watch(source, draws=True, env={"PYTHONPATH": str(library)})
    assert seen.stdout == "True False False\n"
    assert drawn(seen) == [{("python", 5, False)}]
