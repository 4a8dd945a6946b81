from __future__ import annotations

import http.server
import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uv

from auditor.cli import main
from auditor.lock import distributions, indexes, read, sources, toml
from auditor.records.lock import Exactly
from tests.lock.conftest import Make, Wheel, install, sha256

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "a" * 64
SECRET = "correct-horse-battery-staple"
LOCKS = Path("lockfiles")


def locked(env: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Lock an environment from the command line; returns what it printed."""
    assert main(["lock", "--python", str(env), *arguments]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def package(name: str) -> dict[str, object]:
    packages = toml.parse((LOCKS / "pylock.toml").read_text(encoding="utf-8"))["packages"]
    (one,) = (one for one in packages if one["name"] == name)
    return dict(one)


def direct_url(env: Path, name: str, told: object) -> None:
    """Say of an installed distribution where it came from, as an installer would."""
    (metadata,) = env.glob(f"lib/python3*/site-packages/{name}-*.dist-info")
    (metadata / "direct_url.json").write_text(told if isinstance(told, str) else json.dumps(told), encoding="utf-8")


def test_what_is_installed_is_locked_with_the_digests_of_its_files(
    wheel: Wheel, environment: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    six, ours = wheel("six", "1.0"), wheel("Our-Package", "2.0.post1")
    wheel("six", "9.0"), wheel("not-installed", "1.0")
    env = environment("six==1.0", "our-package")
    printed = locked(env, capsys)
    assert "lockfiles/pylock.toml  2 distributions, with hashes" in printed
    text = (LOCKS / "pylock.toml").read_text(encoding="utf-8")
    assert package("six") == {
        "name": "six",
        "version": "1.0",
        "wheels": [{"path": six.name, "hashes": {"sha256": sha256(six)}}],
    }
    assert package("our-package")["version"] == "2.0.post1"
    assert [one.sha256 for one in distributions.read(text)] == [(sha256(ours),), (sha256(six),)]
    for name in ("pylock.toml", "environment.toml"):
        assert str(tmp_path) not in (LOCKS / name).read_text(encoding="utf-8")
    assert "put them beside it" in printed


def test_an_installer_takes_the_lock(wheel: Wheel, environment: Make, capsys: pytest.CaptureFixture[str]) -> None:
    six = wheel("six", "1.0")
    locked(environment("six"), capsys)
    (LOCKS / six.name).write_bytes(six.read_bytes())
    other = environment(name="other")
    command = [uv.find_uv_bin(), "pip", "sync", "--quiet", "--python", str(other / "bin" / "python")]
    command += ["--preview-features", "pylock", str(LOCKS / "pylock.toml")]
    subprocess.run(command, check=True)
    assert list(other.glob("lib/python3*/site-packages/six-1.0.dist-info"))


def test_wheels_in_the_project_are_locked_by_their_place(
    wheel: Wheel, environment: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    six = wheel("six", "1.0")
    env = environment("six")
    Path("vendor").mkdir()
    six.rename(Path("vendor") / six.name)
    # As pip takes it: relative to the working directory.
    monkeypatch.setenv("PIP_FIND_LINKS", "vendor")
    printed = locked(env, capsys)
    assert package("six")["wheels"] == [
        {"path": f"../vendor/{six.name}", "hashes": {"sha256": sha256(Path("vendor") / six.name)}}
    ]
    assert "put them beside it" not in printed


def test_what_no_index_has_is_told_and_locked_by_its_version(
    wheel: Wheel, environment: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b", "c", "d", "e"):
        wheel(name, "1.0")
    gone = [wheel("local-build", "1.0+ours"), wheel("private", "3.0")]
    env = environment("a", "b", "c", "d", "e", "local-build", "private")
    for path in gone:
        path.unlink()
    printed = locked(env, capsys)
    assert "lockfiles/pylock.toml  5 distributions" in printed
    assert "  local-build 1.0+ours: no index that pip is configured with has it\n" in printed
    assert "  private 3.0: no index that pip is configured with has it\n" in printed
    lock = read(LOCKS)
    assert [one.name for one in lock.distributions] == ["a", "b", "c", "d", "e"]
    assert lock.facts["libraries"] == {"local-build": Exactly("1.0+ours"), "private": Exactly("3.0")}


def test_a_source_distribution_is_locked_and_not_built(
    wheel: Wheel, environment: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    env = environment()
    built = wheel("six", "1.0")
    install(env, "six")
    built.unlink()
    archive = tmp_path / "wheels" / "six-1.0.tar.gz"
    files = {"six-1.0/PKG-INFO": "Metadata-Version: 1.0\nName: six\nVersion: 1.0\n"}
    files["six-1.0/setup.py"] = f"open({str(tmp_path / 'executed')!r}, 'w')\nraise SystemExit(1)\n"
    with tarfile.open(archive, "w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
    locked(env, capsys)
    assert package("six")["sdist"] == {"path": "six-1.0.tar.gz", "hashes": {"sha256": sha256(archive)}}
    assert not (tmp_path / "executed").exists()


def test_direct_urls_are_locked_where_the_format_can_say_them(
    wheel: Wheel, environment: Make, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    names = ["vcs", "archive", "inside", "outside", "unhashed", "damaged", "repository", "file"]
    for name in names:
        wheel(name, "1.0")
    env = environment(*names)
    project = Path.cwd()
    git = {"vcs": "git", "commit_id": COMMIT}
    archive = {"hashes": {"sha256": DIGEST}}
    direct_url(env, "vcs", {"url": f"https://user:{SECRET}@example.org/x", "vcs_info": git, "subdirectory": "sub"})
    direct_url(env, "archive", {"url": f"https://example.org/x.whl?sig={SECRET}#{SECRET}", "archive_info": archive})
    direct_url(env, "inside", {"url": (project / "packages").as_uri(), "dir_info": {"editable": True}})
    direct_url(env, "outside", {"url": (tmp_path / "elsewhere").as_uri(), "dir_info": {"editable": True}})
    direct_url(env, "unhashed", {"url": "https://example.org/y.whl", "archive_info": {}})
    direct_url(env, "damaged", "{")
    direct_url(env, "repository", {"url": (tmp_path / "repository").as_uri(), "vcs_info": git})
    direct_url(env, "file", {"url": (tmp_path / "f-1.0.whl").as_uri(), "archive_info": {"hash": f"sha256={DIGEST}"}})
    printed = locked(env, capsys)
    assert package("vcs") == {
        "name": "vcs",
        "vcs": {"type": "git", "url": "https://example.org/x", "commit-id": COMMIT, "subdirectory": "sub"},
    }
    assert package("archive") == {
        "name": "archive",
        "version": "1.0",
        "archive": {"url": "https://example.org/x.whl", "hashes": {"sha256": DIGEST}},
    }
    assert package("inside") == {"name": "inside", "directory": {"path": "../packages", "editable": True}}
    assert package("file")["archive"] == {"path": "f-1.0.whl", "hashes": {"sha256": DIGEST}}
    left_out = [line.strip() for line in printed.splitlines() if line.startswith("  ")]
    assert left_out == [
        "damaged 1.0: its direct_url.json is damaged",
        "inside 1.0: its directory is there",
        "outside 1.0: from a directory of this machine, outside of the project",
        f"repository 1.0: from commit {COMMIT} of a repository on this machine",
        "unhashed 1.0: from an archive of which no hash was kept",
        "vcs 1.0: its commit is there",
    ]
    facts = read(LOCKS).facts["libraries"]
    assert {name for name in facts if ":" not in name} == {
        "damaged",
        "inside",
        "outside",
        "repository",
        "unhashed",
        "vcs",
    }
    for name in ("pylock.toml", "environment.toml"):
        text = (LOCKS / name).read_text(encoding="utf-8")
        assert SECRET not in text and str(tmp_path) not in text and "file:" not in text


class _Index(http.server.BaseHTTPRequestHandler):
    """A package index that wants a password."""

    files: dict[str, bytes]

    def do_GET(self) -> None:
        data = self.files.get(self.path)
        if self.headers.get("Authorization") is None:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
        else:
            self.send_response(404 if data is None else 200)
            self.send_header("Content-Type", "text/html" if self.path.endswith("/") else "application/octet-stream")
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        self.wfile.write(data or b"")

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def index(wheel: Wheel) -> Iterator[str]:
    six = wheel("six", "1.0")
    page = f'<a href="/files/{six.name}#sha256={sha256(six)}">{six.name}</a>'.encode()
    _Index.files = {"/simple/six/": page, f"/files/{six.name}": six.read_bytes()}
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Index)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_index_with_a_password_is_asked_and_the_password_kept(
    index: str, environment: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    env = environment("six")
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "UV_OFFLINE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://someone:{SECRET}@{index}/simple")
    printed = locked(env, capsys)
    (file,) = package("six")["wheels"]  # type: ignore[misc]  # a list of one
    assert file["url"].startswith(f"http://{index}/files/six-1.0")
    assert SECRET not in printed + (LOCKS / "pylock.toml").read_text(encoding="utf-8")


def test_an_index_that_cannot_be_asked_is_no_index_without_the_package(
    wheel: Wheel, environment: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel("six", "1.0")
    env = environment("six")
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS", "UV_OFFLINE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    # Port 1 is reserved, and nothing listens there.
    monkeypatch.setenv("PIP_INDEX_URL", f"http://someone:{SECRET}@127.0.0.1:1/simple")
    assert main(["lock", "--python", str(env)]) == 2
    printed = capsys.readouterr()
    assert "index-unreachable" in printed.err and SECRET not in printed.err
    assert not LOCKS.exists()


def test_a_lock_of_ours_is_replaced(wheel: Wheel, environment: Make, capsys: pytest.CaptureFixture[str]) -> None:
    wheel("six", "1.0"), wheel("six", "2.0")
    env = environment("six==1.0")
    locked(env, capsys)
    install(env, "six==2.0")
    locked(env, capsys)
    assert package("six")["version"] == "2.0"
    assert sorted(path.name for path in LOCKS.iterdir()) == ["environment.toml", "pylock.toml"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pylock.toml", 'lock-version = "1.0"\ncreated-by = "uv"\npackages = []\n'),
        ("pylock.toml", "no toml"),
        ("environment.toml", 'schema = "someone.else/1"\n'),
        ("environment.toml", ""),
    ],
)
def test_what_is_not_ours_is_left_alone(
    name: str, text: str, wheel: Wheel, environment: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel("six", "1.0")
    env = environment("six")
    LOCKS.mkdir()
    (LOCKS / name).write_text(text, encoding="utf-8")
    assert main(["lock", "--python", str(env)]) == 2
    assert "not-a-lock" in capsys.readouterr().err
    assert [(path.name, path.read_text(encoding="utf-8")) for path in LOCKS.iterdir()] == [(name, text)]


UNREADABLE: dict[str, Callable[[Path], object]] = {
    "directory": Path.mkdir,
    "pipe": os.mkfifo,
    "link": lambda path: path.symlink_to("loop"),
    "no text": lambda path: path.write_bytes(b"\xff"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_cannot_be_read_is_left_alone(
    kind: str, wheel: Wheel, environment: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel("six", "1.0")
    env = environment("six")
    LOCKS.mkdir()
    UNREADABLE[kind](LOCKS / "pylock.toml")
    assert main(["lock", "--python", str(env)]) == 2
    printed = capsys.readouterr()
    assert "damaged-lock" in printed.err and "Traceback" not in printed.err


def test_a_lock_of_nothing_that_an_index_has(
    wheel: Wheel, environment: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    path = wheel("six", "1.0")
    env = environment("six")
    path.unlink()
    locked(env, capsys)
    lock = read(LOCKS)
    assert lock.distributions == () and lock.facts["libraries"] == {"six": Exactly("1.0")}


def test_an_environment_without_distributions(environment: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lock", "--python", str(environment())]) == 2
    assert "distributions-not-known" in capsys.readouterr().err


def test_a_place_that_cannot_be_written(wheel: Wheel, environment: Make, capsys: pytest.CaptureFixture[str]) -> None:
    wheel("six", "1.0")
    env = environment("six")
    Path("file").write_text("", encoding="utf-8")
    assert main(["lock", "--python", str(env), "--out", "file"]) == 2
    printed = capsys.readouterr()
    assert "unwritable-directory" in printed.err and "Traceback" not in printed.err


def test_the_lock_is_the_same_under_another_hash_seed_locale_and_directory(
    wheel: Wheel, environment: Make, tmp_path: Path
) -> None:
    for name in ("a", "b", "c"):
        wheel(name, "1.0")
    env = environment("a", "b", "c")
    texts = set()
    for number, variables in enumerate(
        ({"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "LC_ALL": "tr_TR.UTF-8", "TZ": "Asia/Tokyo"})
    ):
        directory = tmp_path / f"elsewhere-{number}"
        directory.mkdir()
        command = [sys.executable, "-m", "auditor", "lock", "--python", str(env)]
        subprocess.run(command, cwd=directory, env={**os.environ, **variables}, check=True, stdout=subprocess.DEVNULL)
        texts.add(tuple(path.read_text(encoding="utf-8") for path in sorted((directory / LOCKS).iterdir())))
    assert len(texts) == 1


def test_pip_says_where_it_looks(environment: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    text = (
        "global.index-url='https://example.org/simple'\n"
        "global.extra-index-url='https://a.example.org/simple\\nhttps://b.example.org/simple'\n"
        "global.timeout='60'\n"
        "install.find-links='/one /two'\n"
        "install.trusted-host='example.org'\n"
        "global.no-index='false'\n"
        ":env:.index-url='https://other.example.org/simple'\n"
        "download.index-url='https://not.this/simple'\n"
        "damaged.line\nglobal.cert=not python\n"
    )
    assert indexes.parse_pip_config(text) == indexes.Indexes(
        index="https://other.example.org/simple",
        extra=("https://a.example.org/simple", "https://b.example.org/simple"),
        find_links=("/one", "/two"),
        trusted_hosts=("example.org",),
    )
    assert indexes.parse_variables({"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/one", "HOME": "/x"}) == indexes.Indexes(
        find_links=("/one",), no_index=True
    )
    monkeypatch.setenv("PIP_FIND_LINKS", "/one /two")
    (tmp_path / "pip.py").write_text("raise SystemExit(3)", encoding="utf-8")
    if importlib.util.find_spec("pip") is not None:
        asked = indexes.read(sys.executable, tmp_path / "wheels")
        assert asked == (indexes.Indexes(find_links=("/one", "/two"), no_index=True), "")
    configured, note = indexes.read(str(environment() / "bin" / "python"), tmp_path / "wheels")
    assert configured.find_links == ("/one", "/two") and "no pip" in note


@pytest.mark.parametrize(
    ("url", "clean"),
    [
        ("https://user:secret@example.org/x.whl", "https://example.org/x.whl"),
        ("https://secret@example.org:8443/x.whl#sha256=abc", "https://example.org:8443/x.whl"),
        ("https://example.org/x?name=1", "https://example.org/x?name=1"),
        ("https://example.org/x?X-Amz-Signature=1&name=1", "https://example.org/x"),
        ("ssh://git@example.org/x.git", "ssh://git@example.org/x.git"),
    ],
)
def test_addresses_are_cleaned(url: str, clean: str) -> None:
    assert sources.without_credentials(url) == clean


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"url": 1}', '{"url": "x", "vcs_info": {}}', "[" * 100000, "\0"])
def test_a_damaged_direct_url(text: str) -> None:
    assert sources.parse(text) is None


def test_the_environment_is_described_beside(
    wheel: Wheel, environment: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    wheel("six", "1.0")
    locked(environment("six"), capsys, "--out", "elsewhere/locks")
    facts = read(Path("elsewhere/locks")).facts
    version = ".".join(str(number) for number in sys.version_info[:3])
    assert facts["interpreter"]["version"] == Exactly(version)
    assert facts["interpreter"]["implementation"] == Exactly(sys.implementation.name)
    assert facts["os"]["machine"] == Exactly(os.uname().machine)
    assert "cpu" in facts["hardware"] and "kernel" not in facts["os"]
