"""An image held against a lock: its interpreter is described in a container, and nothing is left behind."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from auditor import fingerprint
from auditor.cli import main
from auditor.errors import UsageError
from auditor.fingerprint import image as images
from auditor.lock import distributions, environment
from auditor.records.fingerprint import Known
from auditor.records.lock import LeftOut

pytestmark = pytest.mark.docker

PREFIX = "auditor-test"

Build = Callable[[str, str], str]


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """The engine."""
    import docker

    engine = docker.from_env()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def python_image(client: Any) -> str:
    """The smallest local image that has a python3: no test may ask a registry."""
    from docker.errors import DockerException

    for image in sorted(client.images.list(), key=lambda one: int(one.attrs["Size"])):
        for tag in image.tags:
            try:
                client.containers.run(
                    tag, ["-c", "import json"], entrypoint="python3", remove=True, network_mode="none"
                )
            except DockerException:
                continue  # whatever is wrong with that image, it is not the one we need
            return str(tag)
    pytest.skip("the engine holds no image with a python3")


@pytest.fixture
def build(client: Any, python_image: str) -> Iterator[Build]:
    """Build an image on that one from the lines of a Dockerfile; it is removed afterwards."""
    built = []

    def make(name: str, lines: str) -> str:
        context = io.BytesIO()
        text = f"FROM {python_image}\nUSER root\n{lines}".encode()
        with tarfile.open(fileobj=context, mode="w") as archive:
            entry = tarfile.TarInfo("Dockerfile")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
        context.seek(0)
        tag = f"{PREFIX}/{name}:local"
        image, _ = client.images.build(fileobj=context, custom_context=True, tag=tag, network_mode="none", rm=True)
        built.append(image.id)
        return tag

    yield make
    for identity in built:
        client.images.remove(identity, force=True)


@pytest.fixture(autouse=True)
def _nothing_left(client: Any) -> Iterator[None]:
    yield
    assert client.containers.list(all=True, filters={"label": images.LABEL}) == []


def lock_of(name: str) -> None:
    """Lock an image here, as if no index had what is installed in it."""
    described = fingerprint.describe_image(name, None)
    libraries = described.layers["libraries"]
    left_out = [
        LeftOut(name, str(fact.value), "no index has it")
        for name, fact in libraries.items()
        if ":" not in name and isinstance(fact, Known)
    ]
    Path("lockfiles").mkdir()
    Path("lockfiles/pylock.toml").write_text(distributions.write((), "3.8"), encoding="utf-8")
    text = environment.write(described, left_out, lambda *_: "It matters.")
    Path("lockfiles/environment.toml").write_text(text, encoding="utf-8")


def test_an_image_is_held_as_it_would_run_here(
    build: Build, python_image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lock_of(python_image)
    assert main(["verify", "--image", python_image, "--format", "json"]) == 0
    drift = json.loads(capsys.readouterr().out)
    assert drift["target"] == {"kind": "image", "name": python_image}
    assert {layer["name"] for layer in drift["layers"]} >= {"interpreter", "hardware", "os"}
    other = build(
        "drifted",
        "RUN mkdir -p /opt/theirs/theirs-9.0.dist-info\nENV PYTHONPATH=/opt/theirs MKL_CBWR=COMPATIBLE\n"
        'WORKDIR /opt/theirs\nENTRYPOINT ["echo", "entry"]\n',
    )
    assert main(["verify", "--image", other, "--format", "json"]) == 1
    drift = json.loads(capsys.readouterr().out)
    assert [(one["kind"], one["name"], one["found"]) for one in drift["deviations"]] == [
        ("drift", "variable:MKL_CBWR", "COMPATIBLE"),
        ("extra", "theirs", "9.0"),
    ]


def test_the_release_and_the_image_are_told(python_image: str) -> None:
    layer = fingerprint.describe_image(python_image, "python3").layers["os"]
    for name in ("release", "image:id", "container", "libc"):
        fact = layer[name]
        assert isinstance(fact, Known) and fact.value, name
    assert layer["container"] == Known("docker", "the run's image")


@pytest.mark.parametrize(
    ("lines", "slug"),
    [
        ("RUN printf '#!/bin/sh\\nexit 3\\n' > /odd && chmod +x /odd\n", "interpreter-failed"),
        ("RUN printf '#!/bin/sh\\necho hello\\n' > /odd && chmod +x /odd\n", "interpreter-failed"),
        ("RUN printf '#!/bin/sh\\necho auditor-describes:{}\\n' > /odd && chmod +x /odd\n", "interpreter-failed"),
        ("", "interpreter-not-found"),
    ],
)
def test_what_is_no_interpreter(lines: str, slug: str, build: Build, python_image: str) -> None:
    name = build("odd", lines) if lines else python_image
    with pytest.raises(UsageError) as raised:
        fingerprint.describe_image(name, "/odd")
    assert raised.value.slug == slug


def test_what_never_answers(build: Build) -> None:
    endless = build("waiting", "RUN printf '#!/bin/sh\\nexec tail -f /dev/null\\n' > /odd && chmod +x /odd\n")
    with pytest.raises(UsageError) as raised:
        images.describe(endless, "/odd", timeout=1)
    assert raised.value.slug == "interpreter-failed" and "did not answer" in raised.value.what


def test_no_such_image(capsys: pytest.CaptureFixture[str], python_image: str) -> None:
    lock_of(python_image)
    assert main(["verify", "--image", f"{PREFIX}/none:local"]) == 2
    assert "image-not-found" in capsys.readouterr().err
