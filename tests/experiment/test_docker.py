"""Runs in fresh containers of the user's own image."""

from __future__ import annotations

import io
import os
import tarfile

import pytest

from auditor import pipeline
from auditor.config import make_request
from auditor.errors import AuditorError, UsageError
from auditor.experiment import preflight
from auditor.records.progress import Progress
from auditor.store import HOME

pytestmark = pytest.mark.docker

PREFIX = "auditor-test"


@pytest.fixture(scope="session")
def client():
    """The engine."""
    import docker
    from docker.errors import DockerException

    try:
        engine = docker.from_env()
        engine.ping()
    except DockerException as error:
        pytest.skip(f"no Docker engine can be reached: {error}")
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def python_image(client):
    """Some local image that has a python3: no test may ask a registry."""
    from docker.errors import DockerException

    for image in sorted(client.images.list(), key=lambda i: i.attrs["Size"]):
        for tag in image.tags:
            try:
                client.containers.run(
                    tag, ["-c", "import json"], entrypoint="python3", remove=True, network_mode="none"
                )
            except DockerException:
                continue  # whatever is wrong with that image, it is not the one we need
            return tag
    pytest.skip("the engine holds no image with a python3")


@pytest.fixture(scope="session")
def image(client, python_image):
    """The user's own image: an environment, an entry point and a working directory that must not matter."""
    name = f"{PREFIX}/own:local"
    context = io.BytesIO()
    text = (
        f"FROM {python_image}\nUSER root\n"
        "ENV PYTHONPATH=/opt/theirs OTHER=thing\n"
        "RUN mkdir -p /opt/theirs && echo 'print(\"theirs\")' > /opt/theirs/theirs.py\n"
        'WORKDIR /opt/theirs\nENTRYPOINT ["echo", "entry"]\n'
    ).encode()
    with tarfile.open(fileobj=context, mode="w") as archive:
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    context.seek(0)
    built, _ = client.images.build(fileobj=context, custom_context=True, tag=name, network_mode="none", rm=True)
    yield name
    client.images.remove(built.id, force=True)


def containers(client, bench):
    """What is left of the audit in the engine."""
    label = f"auditor.audit={bench.store.id} {bench.store.path}"
    return client.containers.list(all=True, filters={"label": label})


def test_each_run_has_a_fresh_container_of_the_image(client, image, bench, tmp_path):
    from auditor.store import Store

    Store.create(None, bench.project, ("earlier",))
    bench.write("data/old.txt", "old")
    bench.write(
        "train.py",
        """
import json, os, socket, theirs
print(os.getcwd(), sorted(os.listdir(".")), os.path.exists("/tmp/mark"), os.path.exists("checkpoint"))
print(os.environ["OTHER"], os.environ["PYTHONPATH"], os.getuid(), socket.gethostbyname(socket.gethostname()))
print(open("/proc/self/status").read().split("CapEff:")[1].split()[0], os.access(os.environ["HOME"], os.W_OK))
told = json.load(open(os.environ["_AUDITOR_PROBE"]))
print(told["project"], os.path.exists("/auditor/probe/sitecustomize.py"), os.listdir(os.environ["TMPDIR"]))
open("/tmp/mark", "w").close(); open("checkpoint", "w").write("weights")
open("data/old.txt", "a").write("er"); open(os.environ["TMPDIR"] + "/left", "w").close()
try:
    open("/auditor/probe/x", "w")
except OSError as error:
    print("read-only", error.errno)
""",
    )
    records = bench.run(("python3", "train.py"), image=image)
    assert [r.ending.status for r in records] == ["ok", "ok"], bench.out(1)
    lines = bench.out(1).splitlines()
    root = os.path.realpath(bench.project)
    assert lines[0] == "theirs"
    assert lines[1] == f"{root} ['data', 'train.py'] False False"
    assert lines[2] == f"thing /auditor/probe:/opt/theirs {os.getuid()} 127.0.0.1"
    assert lines[3].split()[0] == "0" * 16
    assert lines[4] == f"{root} True []"
    assert lines[5] == "read-only 30"
    assert bench.out(2) == bench.out(1)
    assert [a.path for a in records[1].artefacts] == ["checkpoint", "data/old.txt"]
    assert bench.artefact(2, "data/old.txt") == b"older"
    assert (records[0].executor, records[0].isolation.kind) == ("docker", "container")
    assert records[0].image is not None
    assert records[0].image.name == image
    assert records[0].image.id == client.images.get(image).id
    assert records[0].varied["PYTHONHASHSEED"] == "1001"
    assert [p.role for p in bench.store.evidence(1).processes] == ["main"]
    assert all(p.stat().st_uid == os.getuid() for p in bench.store.paths(1).root.rglob("*"))
    assert sorted(p.name for p in bench.project.iterdir()) == [HOME, "data", "train.py"]
    assert containers(client, bench) == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_there_is_no_network_unless_asked(image, bench):
    bench.run(("sh", "-c", "ls /sys/class/net"), image=image)
    assert bench.out(1).split() == ["lo"]
    bench.run(("sh", "-c", "ls /sys/class/net"), image=image, network=True)
    assert "eth0" in bench.out(1).split()


def test_output_is_kept_byte_for_byte(image, bench):
    bench.run(
        ("python3", "-c", r"import os; os.write(1, b'\xff\x00\n' + b'x' * 100000); os.write(2, b'\xfe')"), image=image
    )
    assert bench.store.paths(1).stdout.read_bytes() == b"\xff\x00\n" + b"x" * 100000
    assert bench.store.paths(1).stderr.read_bytes() == b"\xfe"


def test_a_failing_run_is_recorded(image, bench):
    records = bench.run(("sh", "-c", "echo why >&2; exit 3"), image=image)
    assert [(r.ending.status, r.ending.exit_code) for r in records] == [("failed", 3)]
    assert bench.out(1) == "why\n"


def test_a_program_that_closes_its_output_is_waited_for(image, bench):
    records = bench.run(("sh", "-c", "exec >&- 2>&-; sleep 1; echo 1 > late; exit 3"), image=image)
    assert records[0].ending.exit_code == 3
    assert [a.path for a in records[0].artefacts] == ["late"]


def test_a_signal_is_told_as_one(image, bench):
    records = bench.run(("sh", "-c", "kill -SEGV $$"), image=image)
    assert records[0].ending.exit_code == -11


def test_a_run_that_hangs_is_ended(client, image, bench):
    records = bench.run(("sleep", "600"), image=image, timeout=1.0)
    assert [(r.ending.status, r.ending.exit_code) for r in records] == [("timeout", None)]
    assert containers(client, bench) == []


@pytest.mark.parametrize(
    ("command", "slug"),
    [
        (("no-such-command",), "command-not-found"),
        (("./no-such-file",), "command-not-found"),
        (("./train.py",), "command-not-executable"),
    ],
)
def test_a_command_that_the_image_cannot_execute(client, image, bench, command, slug):
    bench.write("train.py", "pass")
    bench.prepare(command, image=image)
    with pytest.raises(UsageError) as caught:
        bench.perform()
    assert caught.value.slug == slug
    assert bench.store.runs() == ()
    assert containers(client, bench) == []


def test_an_image_that_is_not_there_is_refused_before_anything_is_written(client, bench):
    for name in (f"{PREFIX}/none:local", "Not A Name"):
        with pytest.raises(UsageError) as caught:
            preflight(make_request(("true",), str(bench.project), image=name))
        assert caught.value.slug == "image-not-found"
    assert list(bench.project.iterdir()) == []


def test_ctrl_c_removes_the_container_and_the_audit_can_be_gone_on_with(client, image, bench):
    bench.write("train.sh", "echo started; test $PYTHONHASHSEED = 1001 || test -e go || sleep 600")
    bench.prepare(("sh", "train.sh"), image=image)

    def interrupt(event):
        if isinstance(event, Progress) and event.number == 2 and bench.out(2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.perform(interrupt)
    assert containers(client, bench) == []
    assert bench.store.runs() == (1,)
    bench.write("go", "")
    assert [r.ending.status for r in bench.perform()] == ["ok", "ok"]


def test_what_a_killed_audit_left_in_the_engine_is_removed(client, image, bench):
    bench.prepare(("true",), image=image)
    label = {"auditor.audit": f"{bench.store.id} {bench.store.path}"}
    client.containers.run(image, ["600"], entrypoint="sleep", detach=True, labels=label, network_mode="none")
    bench.perform()
    assert containers(client, bench) == []


def test_a_study_has_a_container_for_each_seed_and_says_what_it_says_here(client, image, bench, tmp_path):
    """Two seeds, held to figures."""
    bench.write("train.sh", 'mkdir "seed_$1"; echo "{\\"rmse\\": $((7 + $1)).5}" > "seed_$1/results.json"')
    audits = {}
    for executor in ("docker", "local"):
        request = make_request(
            ("sh", "train.sh", "{seed}"), str(bench.project), seeds="3,4", reference=["rmse=10.5±0.7,n=5"],
            out=str(tmp_path / executor), **({"image": image} if executor == "docker" else {}),
        )  # fmt: skip
        audits[executor] = pipeline.audit(request, bench.events.append)
    there, here = audits["docker"], audits["local"]
    assert [(run.seed, run.executor, run.isolation.kind) for run in there.runs] == [
        (3, "docker", "container"), (4, "docker", "container")
    ]  # fmt: skip
    (metric,) = there.study.metrics.values()
    assert metric.values == {3: 10.5, 4: 11.5}
    assert (there.study, there.levels) == (here.study, here.levels)
    left = client.containers.list(all=True, filters={"label": f"auditor.audit={there.id} {tmp_path / 'docker'}"})
    assert left == []


def test_a_virtual_environment_is_mounted_not_copied(image, bench):
    bench.write(".venv/pyvenv.cfg", "home = /usr/bin\n")
    records = bench.run(("sh", "-c", "cat .venv/pyvenv.cfg; touch .venv/x || echo refused"), image=image)
    assert bench.out(1).splitlines()[0] == "home = /usr/bin"
    assert "refused" in bench.out(1)
    assert (records[0].artefacts, records[0].unsaved) == ((), ())


def test_an_image_without_python_is_run_all_the_same(client, image, bench):
    """Nothing of ours is started inside: the probe simply does not enter."""
    records = bench.run(("sh", "-c", "echo '{\"rmse\": 1.5}' > results.json"), image=image)
    assert [a.path for a in records[1].artefacts] == ["results.json"]
    assert bench.store.evidence(1).processes == ()


def test_the_callers_user_has_a_home_and_a_name(client, image, bench, monkeypatch):
    from auditor.experiment.executors.docker import DockerExecutor

    monkeypatch.setattr(DockerExecutor, "_user", lambda self: "12345:12345")
    bench.write("train.py", "import getpass, os; print(getpass.getuser(), os.path.expanduser('~'), os.getuid())")
    bench.run(("python3", "train.py"), image=image)
    assert bench.out(1) == "auditor /auditor/tmp-1 12345\n"


def test_output_that_cannot_be_kept_is_a_full_disk(image, bench, tmp_path):
    import subprocess

    if os.getuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)], check=True)
    try:
        bench.prepare(("sh", "-c", "head -c 4000000 /dev/zero"), image=image, out=str(small / "audit"))
        with pytest.raises(AuditorError) as caught:
            bench.perform()
        assert caught.value.slug == "disk-full"
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


@pytest.mark.parametrize("present", [True, False])
def test_graphics_cards_are_passed_where_there_are_any(image, bench, monkeypatch, tmp_path, present):
    """What the engine is asked for; whether it can give it is known only where there is a card."""
    from auditor.experiment.executors import Launch, docker

    (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(docker, "_GPU", (tmp_path / "nvidia0",) if present else (tmp_path / "none",))
    executor = docker.DockerExecutor(bench.prepare(("true",), image=image), bench.store)
    try:
        executor._engine = {"Runtimes": {"runc": {}, "nvidia": {}}, "SecurityOptions": ["name=rootless"]}
        launch = Launch(1, ("true",), {}, {}, None, bench.store.paths(1), None, ())
        options = executor._options(launch, {}, [])
    finally:
        executor.close()
    assert options["user"] == "0:0"
    if present:
        assert [(r["Count"], r["Capabilities"]) for r in options["device_requests"]] == [(-1, [["gpu"]])]
    else:
        assert "device_requests" not in options


class TestWithoutAnEngine:
    """What can be told of without one."""

    def test_an_engine_that_cannot_be_reached(self, bench, monkeypatch):
        monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
        with pytest.raises(UsageError) as caught:
            preflight(make_request(("true",), str(bench.project), image="some:image"))
        assert caught.value.slug == "docker-engine-unreachable"
        assert list(bench.project.iterdir()) == []
