"""Python processes that the probe could not enter are seen from outside."""

from __future__ import annotations

import sys

import pytest

from auditor.experiment.interpreters import Interpreters, label, serves

# It lives until it has been noticed, however slow the machine.
WAIT = """
import os, time
while not os.path.exists(os.environ["NOTICED"]):
    time.sleep(0.01)
"""


@pytest.fixture(autouse=True)
def release(monkeypatch, tmp_path):
    """Lets ``train.py`` end as soon as it was noticed, in each run anew."""
    noticed = tmp_path / "noticed"
    monkeypatch.setenv("NOTICED", str(noticed))
    look, begin = Interpreters.look, Interpreters.__init__

    def began(self, running):
        noticed.unlink(missing_ok=True)
        begin(self, running)

    def looked(self):
        look(self)
        if any(one.label.endswith(" train.py") for one in self._found.values()):
            noticed.touch()

    monkeypatch.setattr(Interpreters, "__init__", began)
    monkeypatch.setattr(Interpreters, "look", looked)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("/usr/bin/python3", "-u", "src/train.py", "--lr", "1"), "python3 train.py"),
        (("python", "-W", "ignore", "-Xdev", "train.py"), "python train.py"),
        (("python", "-um", "package.train", "x"), "python -m package.train"),
        (("python", "-mpackage", "x"), "python -m package"),
        (("python", "-c", "print()", "x.py"), "python -c"),
        (
            ("python", "-c", "from multiprocessing.spawn import spawn_main; spawn_main()", "--multiprocessing-fork"),
            "python -c (a child of multiprocessing)",
        ),
        (("python", "-"), "python -"),
        (("ray::worker",), "python3.11"),
        ((), "python3.11"),
    ],
)
def test_a_process_is_named_by_what_it_runs(arguments, said):
    assert label("python3.11", arguments) == said


LOADING = """
import sys
if sys.platform != "linux":
    import torch  # noqa: F401
from ctypes import cdll
cdll.LoadLibrary("/tmp/torchinductor_me/abc/libabc.so")
"""
OLDER_LOADING = 'import torch\nfrom ctypes import cdll\ncdll.LoadLibrary("/tmp/torchinductor_me/abc.so")\n'
WORKER = "/venv/lib/python3.11/site-packages/torch/_inductor/compile_worker/__main__.py"


@pytest.mark.parametrize(
    ("arguments", "helps"),
    [
        (("python", "-c", "from multiprocessing.resource_tracker import main;main(5)"), True),
        (("python", WORKER, "--kind=fork", "--workers=2"), True),
        (("python", "-c", LOADING), True),
        (("python", "-c", OLDER_LOADING), True),
        (("python", "-c", OLDER_LOADING + "train()\n"), False),
        (("python", "-c", "import train\n" + OLDER_LOADING), False),
        (("python", "train.py", WORKER.replace(".py", "")), False),
        (("python", "-c"), False),
    ],
)
def test_what_only_serves_others_is_no_part_of_the_program(arguments, helps):
    assert serves(arguments, ("python", "train.py")) is helps


def run(bench, *command):
    """Both runs' records; the runs end by themselves where the process is noticed."""
    bench.prepare(command, isolation="copy", timeout=120.0)
    records = bench.perform()
    assert [record.ending.status for record in records] == ["ok", "ok"]
    return records


def test_a_child_whose_environment_leads_past_the_probe_is_told(bench):
    bench.write("prepare.py", "open('stats.json', 'w').write('{}')")
    bench.write("train.py", WAIT)
    bench.write("run.sh", f"{sys.executable} prepare.py\nPYTHONPATH=. {sys.executable} -u train.py\n")
    for record in run(bench, "bash", "run.sh"):
        assert len(record.unwatched) == 1
        assert record.unwatched[0].endswith(" train.py")


def test_nothing_is_told_of_children_that_the_probe_entered(bench):
    bench.write("train.py", WAIT)
    bench.write("run.sh", f"{sys.executable} train.py\n")
    assert [record.unwatched for record in run(bench, "bash", "run.sh")] == [(), ()]


def test_a_run_without_any_trace_has_a_rule_of_its_own(bench):
    bench.write("train.py", WAIT)
    assert [record.unwatched for record in run(bench, sys.executable, "-I", "train.py")] == [(), ()]
