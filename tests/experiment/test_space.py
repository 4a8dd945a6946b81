"""A full disk is said to be full, and the audit can be gone on with once there is room."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from auditor.errors import AuditorError
from auditor.store import Store


@pytest.fixture
def small(tmp_path):
    """A file system of one MiB."""
    if os.getuid() != 0:
        pytest.skip("mounting a small file system needs root")
    place = tmp_path / "small"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted: {done.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place):
    """Leave no room."""
    with open(place / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


def test_no_room_for_the_evidence_directory(small, bench):
    fill(small)
    with pytest.raises(AuditorError) as caught:
        Store.create(small / "audit", bench.project, ("a",))
    assert caught.value.slug == "disk-full"


def test_no_room_for_artefacts(small, bench, isolation):
    bench.write("train.py", "open('model', 'wb').write(b'1' * (2 << 20))")
    bench.prepare((sys.executable, "-I", "train.py"), out=str(small / "audit"), isolation=isolation)
    with pytest.raises(AuditorError) as caught:
        bench.perform()
    assert caught.value.slug == "disk-full"
    assert Store.open(bench.store.path).runs() == ()
    subprocess.run(["mount", "-o", "remount,size=16m", str(small)], check=True)
    assert [r.ending.status for r in bench.perform()] == ["ok", "ok"]


def test_the_full_disk_is_the_one_that_is_named(small, bench):
    bench.prepare((sys.executable, "-I", "train.py"), out=str(small / "audit"))
    fill(small)
    with pytest.raises(AuditorError) as caught:
        bench.perform()
    assert str(small) in caught.value.what


def test_no_room_for_output(small, bench):
    bench.write("train.py", "import os\nwhile True: os.write(1, b'x' * 4096)")
    bench.prepare((sys.executable, "-I", "train.py"), out=str(small / "audit"))
    with pytest.raises(AuditorError) as caught:
        bench.perform()
    assert caught.value.slug == "disk-full"


def test_no_room_where_the_program_writes(small, bench, isolation, monkeypatch):
    """A program that fails on a full disk did not fail by itself: no failed run is recorded."""
    monkeypatch.setattr("tempfile.tempdir", str(small))
    monkeypatch.setenv("TMPDIR", str(small))
    bench.write("train.py", "open('model', 'wb').write(b'1' * (2 << 20))")
    bench.prepare((sys.executable, "-I", "train.py"), isolation=isolation)
    with pytest.raises(AuditorError) as caught:
        bench.perform()
    assert caught.value.slug == "disk-full"
    assert bench.store.runs() == ()
    assert list(small.iterdir()) == []


def test_no_room_for_a_copy_of_the_project(small, bench, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(small))
    monkeypatch.setenv("TMPDIR", str(small))
    bench.write("data", "x" * (2 << 20))
    bench.prepare(("true",), isolation="copy")
    with pytest.raises(AuditorError) as caught:
        bench.perform()
    assert caught.value.slug == "disk-full"
    assert list(small.iterdir()) == []


def test_scratch_is_on_a_disk_outside_the_project(bench, monkeypatch):
    from auditor.experiment import scratch

    bench.prepare(("true",))
    inside = bench.project / "tmp"
    inside.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(inside))
    assert inside not in scratch.candidates(bench.store)


def test_a_stranger_cannot_prepare_our_scratch_directory(bench, tmp_path):
    from auditor.experiment import scratch

    bench.prepare(("true",))
    base = tmp_path / "temporary"
    ours = scratch.claim(base, bench.store)
    ours.rmdir()
    ours.symlink_to(tmp_path)
    other = scratch.claim(base, bench.store)
    assert other != ours
    assert not other.is_symlink()
    assert other.stat().st_mode & 0o077 == 0
