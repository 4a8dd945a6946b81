"""Where distributions came from: told by their metadata, without what addresses may carry of secrets."""

from __future__ import annotations

import importlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor import fingerprint
from auditor.fingerprint import origins
from auditor.records.fingerprint import Known
from auditor.records.trace import Origin

PROBE = Path(__file__).parents[2] / "auditor" / "probe"
SECRET = "correct-horse-battery-staple"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def distributions(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(PROBE))
    return importlib.import_module("_auditor_probe.distributions")


def archive(url: str, **told: object) -> str:
    return json.dumps({"url": url, "archive_info": told})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (archive("https://host/x.whl", hashes={"sha256": "ab12"}), "https://host/x.whl sha256:ab12"),
        (archive("https://host/x.whl", hash="sha256=ab12"), "https://host/x.whl sha256:ab12"),
        (archive(f"https://user:{SECRET}@host:8443/a/{SECRET}/x.whl"), "https://host:8443/.../x.whl"),
        (archive(f"https://host/x.whl?token={SECRET}&a=b#sha256={SECRET}"), "https://host/x.whl"),
        (archive(f"https://{SECRET}@host/x.whl;{SECRET}"), "https://host/x.whl"),
        (archive("file:///home/user/wheels/x-1.whl", hash="sha256=ab12"), "file x-1.whl sha256:ab12"),
        (
            json.dumps({"url": "https://host/a/b.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}),
            f"git https://host/a/b.git@{COMMIT}",
        ),
        (
            json.dumps({"url": f"https://oauth2:{SECRET}@host/deep/a/b", "vcs_info": {"vcs": "hg", "commit_id": "ab"}}),
            "hg https://host/.../a/b@ab",
        ),
        (
            json.dumps({"url": f"ssh://git@host/{SECRET}@a/b", "vcs_info": {"vcs": "git"}}),
            "git ssh://host/a/b@?",
        ),
        (
            json.dumps({"url": f"{SECRET}@host:a/b.git", "vcs_info": {"vcs": "git", "commit_id": COMMIT}}),
            f"git host/a/b.git@{COMMIT}",
        ),
        (json.dumps({"url": "file:///home/user/project", "dir_info": {}}), "file (a directory)"),
        (json.dumps({"url": "file:///home/user/project", "dir_info": {"editable": True}}), "editable"),
    ],
)
def test_an_origin(text: str, expected: str, distributions: Any) -> None:
    told = distributions.parse_origin(text)
    assert SECRET not in repr(told)
    assert origins.shown(Origin(**told)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "null", '{"url": 3}', '{"url": "x"}', '{"url": "x", "dir_info": []}', "[" * 100_000, "\x00"],
)
def test_no_origin_in_what_tells_none(text: str, distributions: Any) -> None:
    assert distributions.parse_origin(text) is None


@given(st.text(), st.sampled_from(["archive_info", "dir_info", "vcs_info"]), st.dictionaries(st.text(), st.text()))
def test_any_text_is_an_address_or_none(url: str, kind: str, told: dict[str, str]) -> None:
    sys.path.insert(0, str(PROBE))
    try:
        distributions = importlib.import_module("_auditor_probe.distributions")
    finally:
        sys.path.remove(str(PROBE))
    found = distributions.parse_origin(json.dumps({"url": f"https://u:{SECRET}@h/{url}", kind: told}))
    assert found is None or SECRET not in repr(found)


def test_a_local_path_is_decoded(distributions: Any) -> None:
    assert distributions._local("file:///home/user/my%20project/%C3%A9") == "/home/user/my project/é"
    assert distributions._local("https://host/x") == ""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts the metadata of a distribution, with its direct_url.json, where every interpreter finds it."""
    site = tmp_path / "site"
    monkeypatch.setenv("PYTHONPATH", str(site))

    def put(name: str, text: str) -> None:
        directory = site / f"{name}-1.0.dist-info"
        directory.mkdir(parents=True)
        (directory / "direct_url.json").write_text(text, encoding="utf-8")

    return put


def test_a_description_tells_origins(install: Callable[[str, str], None]) -> None:
    install("planted", archive(f"https://user:{SECRET}@host/x/planted.whl?token={SECRET}", hashes={"sha256": "ab12"}))
    install("broken", "{")
    found = fingerprint.describe(sys.executable).layers["libraries"]
    assert found["origin:planted"] == Known("https://host/.../planted.whl sha256:ab12", "direct_url.json")
    assert found["broken"] == Known("1.0", "installed metadata")
    assert "origin:broken" not in found
    assert SECRET not in repr(found)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_an_editable_distribution_is_known_by_its_commit(
    install: Callable[[str, str], None], tmp_path: Path, git: Callable[..., str]
) -> None:
    top = tmp_path / "my project"
    top.mkdir()
    (top / "module.py").write_text("x = 1\n", encoding="utf-8")
    git(top, "init", "--quiet")
    git(top, "add", ".")
    git(top, "commit", "--quiet", "--message", "one")
    git(top, "remote", "add", "origin", f"https://user:{SECRET}@host/a.git")
    install("planted", json.dumps({"url": top.as_uri(), "dir_info": {"editable": True}}))
    commit = git(top, "rev-parse", "HEAD")
    value = Known(f"editable git:{commit}", "direct_url.json")
    assert fingerprint.describe(sys.executable).layers["libraries"]["origin:planted"] == value
    (top / "module.py").write_text("x = 2\n", encoding="utf-8")
    found = fingerprint.describe(sys.executable).layers["libraries"]
    assert found["origin:planted"] == Known(f"editable git:{commit} dirty", "direct_url.json")
    assert SECRET not in repr(found) and str(tmp_path) not in repr(found)
