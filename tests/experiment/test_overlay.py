"""What an overlay left is read without one: captured mount tables and directories made by hand."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from auditor.experiment import overlay
from auditor.experiment.replica import escaping
from auditor.experiment.scratch import memory_backed

MOUNTINFO = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard
24 22 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
30 22 0:26 / /tmp rw,nosuid,nodev shared:15 - tmpfs tmpfs rw,size=8388608k
31 22 8:17 / /home/ada/project/data rw,relatime shared:20 - ext4 /dev/sdb1 rw
32 31 0:40 / /home/ada/project/data/big\\040set rw shared:21 - nfs4 nas:/set rw
33 22 0:41 / /home/ada/project rw shared:22 - btrfs /dev/sdc rw
34 22 0:42 / /home/ada/project-old rw shared:23 - ext4 /dev/sdd rw
"""


def test_nested_mounts_are_found_with_their_parents_first() -> None:
    assert overlay.nested_mounts(MOUNTINFO, "/home/ada/project") == (
        "/home/ada/project/data",
        "/home/ada/project/data/big set",
    )
    assert overlay.nested_mounts(MOUNTINFO, "/srv") == ()
    assert overlay.nested_mounts("", "/srv") == ()


def test_file_systems_in_memory_are_known_by_their_device() -> None:
    assert memory_backed(MOUNTINFO, 0, 26)
    assert not memory_backed(MOUNTINFO, 254, 0)
    assert not memory_backed("nonsense", 0, 0)


def test_deleted_files_are_no_changes(tmp_path: Path) -> None:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    upper.mkdir()
    lower.mkdir()
    (lower / "gone").write_text("1")
    try:
        os.mknod(upper / "gone", stat.S_IFCHR, os.makedev(0, 0))
    except PermissionError:
        pytest.skip("whiteouts cannot be made here")
    (upper / "new").write_text("1")
    layer = overlay.Layer(str(lower), str(upper), "")
    assert [c.name for c in overlay.changes([layer], lower)] == ["new"]


def test_an_overlaid_mount_is_named_by_its_place_in_the_project(tmp_path: Path) -> None:
    upper, data = tmp_path / "upper", tmp_path / "project" / "data"
    upper.mkdir()
    data.mkdir(parents=True)
    (upper / "x").write_text("1")
    layer = overlay.Layer(str(data), str(upper), "")
    assert [c.name for c in overlay.changes([layer], tmp_path / "project")] == ["data/x"]


def test_a_file_that_is_a_mount_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "base").mkdir()
    with pytest.raises(overlay.OverlayRefused, match="not a directory"):
        overlay.prepare(tmp_path, tmp_path / "base", (), [str(tmp_path / "file")])


@pytest.mark.parametrize(
    ("word", "leads_out"),
    [
        ("/p/train.py", True),
        ("--data=/p/d", True),
        ("/p", True),
        ("a:/p/x", True),
        ("/path/x", False),
        ("/a/p/x", False),
        ("p/x", False),
        ("/p-old/x", False),
    ],
)
def test_words_that_name_the_project(word: str, leads_out: bool) -> None:
    assert escaping([word], Path("/p")) == ((word,) if leads_out else ())
