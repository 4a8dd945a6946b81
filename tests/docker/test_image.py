"""The image and its Compose file, built and run for real."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker

ROOT = Path(__file__).parents[2]
# Says what the process may do, as results that an audit captures.
FACTS = """
import json, os, sys

def writable(path):
    try:
        open(path, "w").close()
        os.unlink(path)
    except OSError:
        return False
    return True

status = dict(line.split(":", 1) for line in open("/proc/self/status").read().splitlines() if ":" in line)
facts = {
    "uid": os.getuid(),
    "gid": os.getgid(),
    "groups": os.getgroups(),
    "capabilities": [int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")],
    "no_new_privileges": int(status["NoNewPrivs"]),
    "interfaces": os.listdir("/sys/class/net"),
    "writable": [place for place in ("/", "/opt", "/usr/local/bin", "/etc", "/tmp", "/var/tmp", "/dev/shm", ".")
                 if writable(os.path.join(place, "probe-of-write"))],
    "home": os.path.expanduser("~"),
    "seed": int(sys.argv[1]),
}
json.dump(facts, open("facts.json", "w"))
"""


def project_of(directory: Path, owner: tuple[int, int], **files: str) -> Path:
    """A project directory that belongs to ``owner`` with all its files."""
    project = directory / "project"
    project.mkdir()
    for name, text in files.items():
        (project / f"{name}.py").write_text(text)
    for path in (project, *project.iterdir()):
        os.chown(path, *owner)
    return project


def owners(directory: Path) -> set[tuple[int, int]]:
    """Who owns the directory and what is in it."""
    return {(path.lstat().st_uid, path.lstat().st_gid) for path in (directory, *directory.rglob("*"))}


def only_audit(project: Path) -> Path:
    """The evidence directory of the only audit."""
    (evidence,) = (path for path in (project / ".auditor").iterdir() if (path / "audit.json").is_file())
    return evidence


def me_or(other: tuple[int, int]) -> tuple[int, int]:
    """``other`` where this process may give files away, else its own user and group."""
    return other if os.geteuid() == 0 else (os.getuid(), os.getgid())


def test_compose_audits_the_example_by_default(compose, tmp_path):
    owner = me_or((4321, 4322))
    project = project_of(tmp_path, owner)
    done = compose.run(project)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"bit-exact +✓? ?reached", done.stdout), done.stdout
    evidence = only_audit(project)
    assert evidence.name.startswith("turbofan-")
    audit = json.loads((evidence / "audit.json").read_text())
    assert audit["levels"]["bit-exact"]["verdict"] == "reached"
    assert "test_rmse" in json.dumps(audit["metrics"])
    assert owners(project) == {owner}


@pytest.mark.parametrize("owner", [(4321, 4322), (0, 0)], ids=["of-another-user", "of-root"])
def test_the_audited_program_is_shut_in_and_owns_nothing_but_its_project(compose, tmp_path, owner):
    owner = me_or(owner)
    project = project_of(tmp_path, owner, facts=FACTS)
    done = compose.run(project, "run", "--seed", "7", "--", "python", "facts.py", "{seed}")
    assert done.returncode == 0, done.stdout + done.stderr
    evidence = only_audit(project)
    assert owners(project) == {owner}
    facts = json.loads((evidence / "runs" / "1" / "artefacts" / "facts.json").read_text())
    assert (facts["uid"], facts["gid"]) == owner
    assert set(facts["groups"]) <= {owner[1]}
    assert facts["capabilities"] == [0, 0, 0, 0, 0]
    assert facts["no_new_privileges"] == 1
    assert facts["interfaces"] == ["lo"]
    assert facts["writable"] == ["/tmp", "/var/tmp", "/dev/shm", "."]
    assert facts["home"] == "/tmp"
    assert facts["seed"] == 7


def test_compose_hands_on_the_exit_code(compose, tmp_path):
    project = project_of(
        tmp_path,
        me_or((4321, 4322)),
        differs="import json, random\njson.dump({'x': random.random()}, open('results.json', 'w'))\n",
    )
    done = compose.run(project, "run", "--require", "bit-exact", "--", "python", "differs.py")
    assert done.returncode == 1, done.stdout + done.stderr
    assert compose.run(project, "no-such-verb").returncode == 2


def test_reports_are_made_again_from_the_mounted_evidence(compose, tmp_path):
    owner = me_or((4321, 4322))
    project = project_of(tmp_path, owner, facts=FACTS)
    assert compose.run(project, "run", "--", "python", "facts.py", "{seed}").returncode == 0
    evidence = only_audit(project)
    done = compose.run(project, "report", f".auditor/{evidence.name}", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((evidence / "audit.json").read_text())


def test_a_users_own_lock_takes_the_place_of_the_examples_packages(build, compose_with, context, tmp_path):
    """The lock here has one small package, as it stands in the lock of the tests."""
    entry = re.search(r"^iniconfig==.*?(?=^\w)", (ROOT / "lockfiles" / "dev.txt").read_text(), re.M | re.S)
    assert entry is not None
    (context / "lockfiles" / "user.txt").write_text(entry.group())
    image = build("auditor-test/user-lock:local", USER_LOCK="user.txt")
    program = (
        "import importlib.util, json, iniconfig\n"
        "found = {name: importlib.util.find_spec(name) is not None for name in ('torch', 'typer', 'msgspec')}\n"
        "json.dump({'packages': sum(found.values())}, open('results.json', 'w'))\n"
    )
    project = project_of(tmp_path, me_or((4321, 4322)), uses=program)
    done = compose_with(image).run(project, "run", "--", "python", "uses.py")
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((only_audit(project) / "runs" / "1" / "artefacts" / "results.json").read_text())
    assert results == {"packages": 0}


def test_the_image_alone_is_not_root_either(image):
    command = ["docker", "run", "--rm", "--network", "none", "--read-only", "--tmpfs", "/tmp"]
    done = subprocess.run([*command, "--entrypoint", "id", image, "-u"], capture_output=True, text=True)
    assert done.stdout.strip() == "1000"
    done = subprocess.run([*command, image, "run", "--help"], capture_output=True, text=True)
    assert done.returncode == 0 and "--require" in done.stdout


def test_the_auditor_and_the_program_have_environments_of_their_own(image):
    command = ["docker", "run", "--rm", "--network", "none", "--entrypoint", "sh", image, "-c"]
    where = "command -v python; command -v auditor"
    script = f"{where}; python -c 'import torch, numpy' && ! /opt/auditor/bin/python -c 'import torch'"
    done = subprocess.run([*command, script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["/opt/program/bin/python", "/opt/auditor/bin/auditor"]


def test_a_base_without_a_lock_of_system_packages_is_refused(base_image, tmp_path):
    if base_image is None:
        pytest.skip("no local base image; this test asks no registry")
    (tmp_path / "os-release").write_text("ID=plan9\nVERSION_ID=4\n")
    script = ROOT / "container" / "install-system-packages"
    command = ["docker", "run", "--rm", "--network", "none", "-v", f"{script}:/install:ro"]
    command += ["-v", f"{tmp_path / 'os-release'}:/etc/os-release:ro", "-v", f"{ROOT / 'lockfiles'}:/lockfiles:ro"]
    done = subprocess.run([*command, base_image, "/install", "/lockfiles"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "no lock of system packages for plan9 4" in done.stderr
    assert "lockfiles/apt-plan9-4.txt" in done.stderr


def test_compose_files_are_understood(compose):
    plain = compose.config()
    assert "network_mode: none" in plain and "read_only: true" in plain
    with_gpu = compose.config(ROOT / "docker-compose.gpu.yml")
    assert "driver: nvidia" in with_gpu and "- gpu" in with_gpu


def test_the_dockerfile_pins_its_base_by_digest():
    assert re.search(r"^ARG BASE_IMAGE=nvidia/cuda:\S+@sha256:[0-9a-f]{64}$", (ROOT / "Dockerfile").read_text(), re.M)
