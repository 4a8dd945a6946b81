"""Each run starts from the same files, sees nothing of another, and leaves what it wrote as its artefacts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.errors import AuditorError
from auditor.experiment.executors.local import LocalExecutor
from auditor.store import HOME, Store


def names(bench, number=1):
    """The artefacts of a run, by name."""
    return [a.path for a in bench.store.record(number).artefacts]


def test_run_two_does_not_see_what_run_one_wrote(bench, isolation):
    """The classic false pass: a second run that resumes from the first one's checkpoint."""
    records = bench.python(
        """
import os
print("resumed" if os.path.exists("checkpoint") else "fresh", sorted(os.listdir(".")))
open("checkpoint", "w").write("weights")
with open("counter", "a") as file:
    file.write("run\\n")
""",
        isolation=isolation,
    )
    assert [r.ending.status for r in records] == ["ok", "ok"]
    assert bench.out(1) == bench.out(2)
    assert bench.out(1).startswith("fresh")
    assert bench.artefact(2, "counter") == b"run\n"
    assert sorted(p.name for p in bench.project.iterdir()) == [HOME, "train.py"]


def test_every_run_has_the_same_working_directory(bench, isolation):
    bench.python("import os; print(os.getcwd(), os.environ['PWD'])", isolation=isolation)
    assert bench.out(1) == bench.out(2)
    if isolation == "overlay":
        assert bench.out(1).split()[0] == os.path.realpath(bench.project)
    else:
        assert len(set(bench.out(1).split())) == 1


def test_earlier_evidence_cannot_be_seen(bench, isolation):
    Store.create(None, bench.project, ("earlier",))
    bench.python("import os; print(os.path.lexists('.auditor'), os.listdir('.'))", isolation=isolation)
    assert bench.out(1) == bench.out(2) == "False ['train.py']\n"


@pytest.mark.parametrize("out", ["evidence", "results/deep/evidence"])
def test_evidence_inside_the_project_cannot_be_seen_either(bench, isolation, out):
    bench.write("results/old.txt", "1")
    (bench.project / "results" / "old.txt").chmod(0o640)
    records = bench.run(("find", ".", "-not", "-name", "."), isolation=isolation, out=str(bench.project / out))
    assert [r.ending.status for r in records] == ["ok", "ok"]
    assert "evidence" not in bench.out(1) + bench.out(2)
    assert {"./results", "./results/old.txt"} <= set(bench.out(2).split())
    assert names(bench, 2) == []


def test_a_program_may_write_to_the_hidden_name(bench, isolation):
    bench.python("import os; os.mkdir('.auditor'); open('.auditor/x', 'w').write('1')", isolation=isolation)
    assert names(bench) == [".auditor/x"]


def test_artefacts_are_what_was_written_or_changed(bench, isolation):
    bench.write("data/old.txt", "old")
    bench.write("data/kept.txt", "kept")
    bench.write("data/opened.txt", "opened")
    bench.write("gone.txt", "gone")
    bench.write("whole/a.txt", "a")
    os.symlink("data", bench.project / "link")
    bench.python(
        """
import os, shutil
os.makedirs("out/deep")
open("out/deep/new.txt", "w").write("new")
open("data/old.txt", "a").write("er")
open("data/opened.txt", "r+").close()
open("link/through.txt", "w").write("through")
os.unlink("gone.txt")
shutil.rmtree("whole")
os.mkdir("whole")
open("whole/b.txt", "w").write("b")
os.makedirs(".git")
open(".git/index", "w").write("times and inodes")
os.makedirs("pkg/__pycache__")
open("pkg/__pycache__/m.pyc", "w").write("code")
open("empty", "w").close()
""",
        isolation=isolation,
    )
    assert names(bench) == ["data/old.txt", "data/through.txt", "empty", "out/deep/new.txt", "whole/b.txt"]
    assert names(bench, 2) == names(bench)
    assert bench.artefact(1, "data/old.txt") == b"older"
    assert (bench.project / "data" / "old.txt").read_text() == "old"
    assert (bench.project / "gone.txt").exists()
    assert bench.store.evidence(1).missing == ()


def test_contents_changed_at_the_same_size_and_time_are_noticed(bench, isolation):
    bench.write("state.bin", "aaaa")
    bench.python(
        """
import os
before = os.stat("state.bin")
with open("state.bin", "r+") as file:
    file.write("bbbb")
os.utime("state.bin", ns=(before.st_atime_ns, before.st_mtime_ns))
""",
        isolation=isolation,
    )
    assert names(bench) == ["state.bin"]


def test_a_renamed_directory_counts_as_written(bench, isolation):
    bench.write("before/a.txt", "a")
    bench.write("before/inner/b.txt", "b")
    bench.write("before/inner/c.txt", "c")
    bench.python(
        """
import os
os.rename("before", "after")
open("after/inner/c.txt", "w").write("changed")
os.unlink("after/a.txt")
os.rename("after/inner", "after/other")
open("train.py.bak", "w").close(); os.rename("train.py.bak", "moved")
""",
        isolation=isolation,
    )
    assert bench.store.record(1).ending.status == "ok", bench.out(1)
    assert names(bench) == ["after/other/b.txt", "after/other/c.txt", "moved"]
    assert bench.artefact(1, "after/other/c.txt") == b"changed"
    assert (bench.project / "before" / "inner" / "c.txt").read_text() == "c"


def test_what_is_no_file_is_named_and_not_followed(bench, isolation, tmp_path):
    (tmp_path / "secret").write_text("secret")
    bench.python(
        f"""
import os, socket
os.symlink({str(tmp_path / "secret")!r}, "latest")
os.mkfifo("pipe")
socket.socket(socket.AF_UNIX).bind("s")
open(b"bad\\xff", "w").write("1")
open("closed", "w").write("1"); os.chmod("closed", 0)
os.mkdir("shut"); open("shut/in", "w").write("1"); os.chmod("shut", 0)
""",
        isolation=isolation,
    )
    assert bench.store.record(1).ending.status == "ok", bench.out(1)
    record = bench.store.record(1)
    assert names(bench) == ["closed", "shut/in"]
    assert sorted(u.partition(": ")[0] for u in record.unsaved) == ["bad\\xff", "latest", "pipe", "s"]
    assert any("not followed" in u for u in record.unsaved)
    assert not os.path.lexists(bench.store.paths(1).artefacts / "latest")


def test_more_than_the_limit_is_hashed_only(bench, isolation, monkeypatch):
    monkeypatch.setattr("auditor.experiment.artefacts.LIMIT", 10)
    bench.python("open('a', 'w').write('1' * 8); open('b', 'w').write('2' * 8)", isolation=isolation)
    evidence = bench.store.evidence(1)
    assert [a.path for a in evidence.run.artefacts] == ["a", "b"]
    assert [u.partition(": ")[0] for u in evidence.run.unsaved] == ["b"]
    assert evidence.missing == ()
    assert not (evidence.artefacts_root / "b").exists()


def test_nothing_is_left_in_the_scratch_directory(bench, isolation, tmp_path):
    bench.python("import os; os.mkdir('d'); os.chmod('d', 0)", isolation=isolation)
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_project_path_with_odd_characters(bench, isolation, tmp_path):
    bench.project = tmp_path / "a b,c:d\\e=é"
    bench.project.mkdir()
    bench.python("open('x', 'w').write(open('train.py').read())", isolation=isolation)
    assert names(bench, 2) == ["x"]


def test_virtual_environments_are_not_copied(bench):
    bench.write(".venv/pyvenv.cfg", "home = /usr/bin\n")
    bench.write(".venv/big", "x")
    bench.python("import os; print(os.path.islink('.venv'), open('.venv/big').read())", isolation="copy")
    assert bench.out(1) == "True x\n"
    assert bench.store.record(1).unsaved == ()


def test_words_that_lead_out_of_a_copy_are_said(bench):
    script = bench.write("train.py", "pass")
    records = bench.run((sys.executable, "-I", str(script)), isolation="copy")
    assert str(script) in records[0].isolation.reason
    assert records[0].isolation.reason.startswith("asked for")


def test_pythonpath_follows_the_project_to_its_copy(bench, monkeypatch):
    bench.write("lib/helper.py", "import os; print(os.path.realpath(__file__)); open('lib/w', 'w').write('')")
    monkeypatch.setenv("PYTHONPATH", f"{bench.project}/lib")
    bench.write("train.py", "import helper")
    bench.run((sys.executable, "train.py"), isolation="copy")
    assert not bench.out(1).startswith(str(bench.project))
    assert names(bench) == ["lib/w"]


def test_file_systems_mounted_inside_the_project_are_isolated_too(bench, needs_overlay, tmp_path):
    if os.getuid() != 0:
        pytest.skip("mounting needs root")
    data = bench.project / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(data)], check=True)
    try:
        (data / "old.txt").write_text("old")
        bench.python(
            "import os; print(os.listdir('data')); open('data/new.txt', 'w').write(open('data/old.txt').read())",
            isolation="overlay",
        )
        assert bench.out(1) == bench.out(2) == "['old.txt']\n"
        assert names(bench, 2) == ["data/new.txt"]
        assert [p.name for p in data.iterdir()] == ["old.txt"]
    finally:
        subprocess.run(["umount", str(data)], check=True)


def test_a_refused_overlay_falls_back_to_a_copy_and_says_why(bench, monkeypatch):
    from auditor.experiment import overlay

    def refuse(*_args):
        raise overlay.OverlayRefused("overlay mount: Operation not permitted")

    monkeypatch.setattr(overlay, "prepare", refuse)
    records = bench.python("pass")
    assert records[0].isolation.kind == "copy"
    assert "Operation not permitted" in records[0].isolation.reason
    bench.prepare(("true",), isolation="overlay")
    with pytest.raises(AuditorError) as caught:
        bench.perform()
    assert caught.value.slug == "overlay-refused"


def test_a_kernel_without_overlays_is_found_out_by_trying(bench, monkeypatch):
    """The launcher's own report is what decides."""
    from auditor.experiment.executors import local

    monkeypatch.setattr(
        local,
        "_LAUNCHER",
        bench.write(
            "broken.py",
            "import os,sys; os.write(int(sys.argv[2]), b"
            '\'{"stage":"mount","errno":1,"message":"unshare: Operation not permitted"}\'); sys.exit(1)',
        ),
    )
    request = bench.prepare(("true",))
    executor = LocalExecutor(request, bench.store, os.environ)
    executor.close()
    assert executor.isolation.kind == "copy"
    assert "unshare: Operation not permitted" in executor.isolation.reason


AS_USER = """
import json, os, sys
from pathlib import Path
from auditor.config import make_request
from auditor.experiment import perform
from auditor.store import Store
project = Path(sys.argv[1])
request = make_request((sys.executable, "-I", "train.py"), str(project))
store = Store.create(None, project, request.command)
records = perform(request, store, lambda event: None, lambda a, b: True)
print(json.dumps({
    "uid": os.getuid(),
    "kinds": [(r.isolation.kind, r.isolation.reason) for r in records],
    "status": [r.ending.status for r in records],
    "artefacts": [a.path for r in records for a in r.artefacts],
    "out": [store.paths(r.number).stdout.read_text() for r in records],
}))
"""


def as_user(
    script: str, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a script without privileges: as uid 1000 of a user namespace where we are root, else as we are."""
    prefix = ["unshare", "--user", "--map-user=1000", "--map-group=1000"] if os.getuid() == 0 else []
    if prefix and subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("user namespaces are refused here")
    return subprocess.run(
        [*prefix, sys.executable, "-c", script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(environment or {}), "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def test_no_privileges_are_needed(bench):
    bench.write("sub/old.txt", "old")
    bench.write("gone.txt", "gone")
    bench.write(
        "train.py",
        """
import os
print(os.getuid(), sorted(os.listdir(".")))
print(open("/proc/self/status").read().split("CapEff:")[1].split()[0])
open("sub/old.txt", "a").write("er"); os.unlink("gone.txt"); os.mkdir("d"); open("d/x", "w").write("1")
""",
    )
    Store.create(None, bench.project, ("earlier",))
    done = as_user(AS_USER, str(bench.project))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["uid"] != 0
    assert told["status"] == ["ok", "ok"]
    assert told["artefacts"] == ["d/x", "sub/old.txt"] * 2
    assert told["out"][0] == told["out"][1]
    assert told["out"][0].splitlines()[1] == "0" * 16
    assert (bench.project / "gone.txt").exists()
    if told["kinds"][0][0] == "copy":
        pytest.skip(f"without privileges: {told['kinds'][0][1]}")


def test_an_unwritable_project_is_said_and_nothing_is_lost(bench):
    bench.write("train.py", "pass")
    bench.project.chmod(0o555)
    try:
        done = as_user(
            "import sys\nfrom auditor.store import Store\nfrom auditor.errors import AuditorError\n"
            "try:\n    Store.create(None, sys.argv[1], ('a',))\nexcept AuditorError as e:\n    print(e.slug)",
            str(bench.project),
        )
    finally:
        bench.project.chmod(0o755)
    assert done.stdout == "unwritable-directory\n", done.stderr


def test_a_socket_in_the_project_is_no_obstacle(bench, isolation):
    with socket.socket(socket.AF_UNIX) as listening:
        os.chdir(bench.project)
        try:
            listening.bind("s")
        finally:
            os.chdir("/")
        records = bench.python("print('fine')", isolation=isolation)
    assert [r.ending.status for r in records] == ["ok", "ok"]
    assert records[0].artefacts == ()
