"""The files that a run read are told, each once, and nothing that it wrote, imported or merely runs on."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from auditor.records.trace import Data, End, Fault, Sources, StaleRead
from tests.probe.conftest import PROBE, Watched

Watch = Callable[..., Watched]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The project that ``watch`` runs in, with a data file."""
    path = tmp_path / "project"
    (path / "data").mkdir(parents=True)
    (path / "data" / "x.csv").write_text("1,2\n")
    return path


def begun(*roots: Path) -> dict[str, int]:
    """The settings of an audit and a run that begin once everything under ``roots`` has been written."""
    newest = max(os.stat(path).st_ctime_ns for root in roots for path in (root, *root.rglob("*")))
    return {"audit_started_ns": newest + 1, "run_started_ns": newest + 1}


def names(seen: Watched, trace: int = 0) -> list[str]:
    assert seen.returncode == 0, seen.stderr
    assert not seen.of(Fault, trace)
    (line,) = seen.of(Data, trace)
    assert isinstance(line, Data)
    return [file.name for file in line.files]


def test_what_was_read_is_told_once_under_one_name(watch: Watch, project: Path, tmp_path: Path) -> None:
    outside = project.parent / "outside.bin"
    outside.write_bytes(b"12345")
    seen = watch(
        "import os\n"
        "for _ in range(1000): open('data/x.csv').close()\n"
        "open('./data/../data/x.csv', 'rb').read()\n"
        f"open({str(outside)!r}, 'rb').read()\n"
        "os.chdir('data'); os.close(os.open('x.csv', os.O_RDONLY)); open(b'x.csv').read()\n",
        **begun(tmp_path),
    )
    assert names(seen) == [str(outside), "data/x.csv"]
    (line,) = seen.of(Data)
    assert isinstance(line, Data)
    status = outside.stat()
    assert line.files[0].size == 5 and line.files[0].modified == status.st_mtime_ns
    assert line.more is False


def test_what_the_run_wrote_is_no_data_of_it(watch: Watch, project: Path, tmp_path: Path) -> None:
    seen = watch(
        "import os, shutil\n"
        "open('made.txt', 'w').write('x'); open('made.txt').read()\n"
        "shutil.copy2('data/x.csv', 'copy.csv'); open('copy.csv').read()\n"
        "open('log.txt', 'a+').read()\n"
        "open('made.txt', 'r+').read()\n",
        **begun(tmp_path),
    )
    assert names(seen) == ["data/x.csv"]


def test_what_was_read_and_then_written_is_data_as_it_was(watch: Watch, project: Path, tmp_path: Path) -> None:
    before = (project / "data" / "x.csv").stat()
    seen = watch(
        "open('data/x.csv').read(); open('data/x.csv', 'w').write('longer than before'); open('data/x.csv').read()\n",
        **begun(tmp_path),
    )
    (line,) = seen.of(Data)
    assert isinstance(line, Data)
    assert [(file.name, file.size, file.modified) for file in line.files] == [
        ("data/x.csv", before.st_size, before.st_mtime_ns)
    ]


def test_code_packages_the_system_and_secrets_are_no_data(watch: Watch, project: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name in (
        ".cache/huggingface/token",
        ".cache/huggingface/hub/model/weights.bin",
        ".cache/matplotlib/fonts.json",
        ".netrc",
        ".aws/credentials",
    ):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("x")
    (project / "helper.py").write_text("x = 1\n")
    (project / "lib.egg-info").mkdir()
    (project / "lib.egg-info" / "PKG-INFO").write_text("x")
    (project / ".git").mkdir()
    (project / ".git" / "HEAD").write_text("x")
    (project / ".env").write_text("SECRET=x")
    seen = watch(
        "import helper, json, email, os\n"
        "for path in ('helper.py', 'lib.egg-info/PKG-INFO', '.git/HEAD', '.env', '/etc/passwd', '/proc/self/stat'):\n"
        "    open(path).read(10)\n"
        "open(os.__file__).read()\n"
        "for path in ('token', 'hub/model/weights.bin'):\n"
        "    open(os.path.expanduser('~/.cache/huggingface/' + path)).read()\n"
        "for path in ('.cache/matplotlib/fonts.json', '.netrc', '.aws/credentials'):\n"
        "    open(os.path.join(os.path.expanduser('~'), path)).read()\n",
        env={"HOME": str(home)},
        **begun(tmp_path),
    )
    assert names(seen) == [str(home / ".cache/huggingface/hub/model/weights.bin")]
    (sources,) = seen.of(Sources)
    assert isinstance(sources, Sources)
    assert [file.name for file in sources.files] == ["helper.py", "program.py"]
    assert sources.left_out == 0


def test_code_that_never_had_a_file_is_no_source_that_could_not_be_read(
    watch: Watch, project: Path, tmp_path: Path
) -> None:
    (project / "gone.py").write_text("x = 1\n")
    seen = watch(
        "import gone, os, sys, types\n"
        "os.unlink('gone.py')\n"
        "made = types.ModuleType('made'); made.__file__ = '<made>.py'; sys.modules['made'] = made\n",
        **begun(tmp_path),
    )
    (sources,) = seen.of(Sources)
    assert isinstance(sources, Sources)
    assert ([file.name for file in sources.files], sources.left_out) == (["program.py"], 1)


def test_a_forked_child_tells_what_it_reads_itself(watch: Watch, project: Path, tmp_path: Path) -> None:
    (project / "data" / "y.csv").write_text("3\n")
    seen = watch(
        "import numpy, os\n"  # with NumPy, a child that ends by os._exit closes its trace
        "open('data/x.csv').read()\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    open('data/x.csv').read(); open('data/y.csv').read(); os._exit(0)\n"
        "os.waitpid(pid, 0)\n",
        **begun(tmp_path),
    )
    assert names(seen, 0) == ["data/x.csv"]
    assert names(seen, 1) == ["data/y.csv"]


def test_what_is_mapped_was_read(watch: Watch, project: Path, tmp_path: Path) -> None:
    (project / "data" / "weights.bin").write_bytes(b"0" * 8192)
    seen = watch(
        "import ctypes, os, mmap\n"
        "libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p\n"
        "fd = libc.open(b'data/weights.bin', os.O_RDONLY)\n"  # as a library in another language opens it
        "assert libc.mmap(None, ctypes.c_size_t(8192), 1, 2, fd, ctypes.c_long(0)) != ctypes.c_void_p(-1).value\n",
        **begun(tmp_path),
    )
    assert names(seen) == ["data/weights.bin"]


def test_a_path_that_leads_elsewhere_is_looked_at_anew(watch: Watch, project: Path, tmp_path: Path) -> None:
    (project / "other").mkdir()
    (project / "other" / "x.csv").write_text("5\n")
    (project / "b.csv").write_text("6\n")
    seen = watch(
        "import os\n"
        "os.chdir('data'); open('x.csv').read(); os.chdir('../other'); open('x.csv').read()\n"
        "os.chdir('..'); open('b.csv').read()\n",
        **begun(tmp_path),
    )
    assert names(seen) == ["b.csv", "data/x.csv", "other/x.csv"]


def test_a_stale_file_in_the_place_of_another_is_still_told(watch: Watch, project: Path, tmp_path: Path) -> None:
    fresh, stale = tmp_path / "fresh.bin", tmp_path / "stale.bin"
    fresh.write_text("x")
    stale.write_text("y")
    os.utime(fresh, ns=(1, 1))
    audit = begun(tmp_path)["audit_started_ns"]
    os.utime(stale, ns=(audit + 1, audit + 1))
    seen = watch(
        f"import os\nfresh, stale = {str(fresh)!r}, {str(stale)!r}\n"
        "open(fresh).read()\nos.replace(stale, fresh)\nopen(fresh).read()\n",
        audit_started_ns=audit,
        run_started_ns=audit + 60_000_000_000,
    )
    told = [line.path for line in seen.of(StaleRead) if isinstance(line, StaleRead)]
    assert told.count(str(fresh)) == 1


@pytest.mark.usefixtures("probe_importable")
def test_of_very_many_files_the_same_are_told_in_any_order(tmp_path: Path) -> None:
    from _auditor_probe import reads  # type: ignore[import-not-found]  # on the path in this test only

    status = os.stat(PROBE)
    told = []
    for order in (1, -1):
        collected = reads.Reads(str(tmp_path), time.time_ns() + 10**12)
        for number in range(6 * reads.KEPT)[::order]:
            collected.note(str(tmp_path / f"data/{number}.png"), status)
            collected.note(f"{tmp_path}/data/{number}.png", status)
        told.append(collected.told())
    assert told[0] == told[1]
    assert len(told[0]["files"]) == reads.KEPT
    assert told[0]["more"] is True


@pytest.mark.usefixtures("probe_importable")
def test_a_name_that_is_no_text_is_written_as_text(tmp_path: Path) -> None:
    from _auditor_probe import reads

    collected = reads.Reads(str(tmp_path), time.time_ns() + 10**12)
    collected.note(os.fsencode(tmp_path) + b"/\xff.bin", os.stat(PROBE))
    ((name, _, _),) = collected.told()["files"]
    assert name == "\\xff.bin"


def test_nothing_that_the_probe_reads_is_taken_for_the_programs(watch: Watch, project: Path, tmp_path: Path) -> None:
    seen = watch("import numpy\n", **begun(tmp_path))
    assert names(seen) == []
    assert isinstance(seen.traces[0][-1], End)


def test_a_programs_own_event_of_that_name_does_no_harm(watch: Watch, project: Path, tmp_path: Path) -> None:
    seen = watch(
        "import sys\n"
        "for args in ((), (1,), ('data/x.csv', 'r'), (None, None, None), ('a\\0b', None, 0), (3.5, None, 'x')):\n"
        "    sys.audit('open', *args)\n"
        "print('on')\n",
        **begun(tmp_path),
    )
    assert seen.stdout == "on\n" and names(seen) == []


def test_a_script_below_another_directory_and_in_python_m(watch: Watch, project: Path, tmp_path: Path) -> None:
    (project / "pkg").mkdir()
    (project / "pkg" / "__init__.py").write_text("")
    (project / "pkg" / "__main__.py").write_text("print('main')\n")
    seen = watch(
        "import subprocess, sys\nsubprocess.run([sys.executable, '-m', 'pkg'], check=True)\n", **begun(tmp_path)
    )
    lines = [line for trace in (0, 1) for line in seen.of(Sources, trace) if isinstance(line, Sources)]
    told = [[file.name for file in line.files] for line in lines]
    assert told == [["program.py"], ["pkg/__init__.py", "pkg/__main__.py"]]


def test_modules_that_import_when_they_are_looked_at_are_left_alone(
    watch: Watch, project: Path, tmp_path: Path
) -> None:
    (project / "lazy.py").write_text("raise SystemExit('loaded')\n")
    seen = watch(
        "import importlib.util, sys, types\n"
        "spec = importlib.util.find_spec('lazy')\n"
        "spec.loader = importlib.util.LazyLoader(spec.loader)\n"
        "module = importlib.util.module_from_spec(spec); sys.modules['lazy'] = module\n"
        "spec.loader.exec_module(module)\n"
        "class Odd:\n"
        "    def __getattr__(self, name): raise SystemExit(name)\n"
        "sys.modules['odd'] = Odd(); sys.modules['none'] = None\n",
        **begun(tmp_path),
    )
    assert seen.returncode == 0, seen.stderr
    assert not seen.of(Fault)
    assert len(seen.of(Sources)) == 1
