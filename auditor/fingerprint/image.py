"""Describes an interpreter inside an image: the script runs in a container without network that can write nothing."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import Any, NamedTuple

from docker.errors import APIError
from docker.types import LogConfig, Mount
from requests.exceptions import ConnectionError as NotReached
from requests.exceptions import ReadTimeout

from auditor import engine
from auditor.errors import AuditorError, UsageError
from auditor.fingerprint import container, description
from auditor.fingerprint.inside import Inside
from auditor.records.run import ImageFacts

INSIDE = "/auditor"
LABEL = "auditor.describes"
TIMEOUT = 120.0

_PACKAGE = Path(__file__).parents[1]
_LARGEST_OUTPUT = 16 << 20
_LARGEST_RELEASE = 64 << 10
_RELEASES = ("/etc/os-release", "/usr/lib/os-release")
_MEMORY = 1 << 30
_PROCESSES = 64


class Described(NamedTuple):
    """An interpreter of an image from inside, the system that it is in, and which image that is."""

    inside: Inside
    system: container.System
    facts: ImageFacts


def describe(name: str, python: str | None, timeout: float = TIMEOUT) -> Described:
    """The interpreter ``python`` of an image (a path in it or a name on its PATH; None: ``python``, else ``python3``).

    Raises UsageError ``docker-engine-unreachable``, ``image-not-found``, ``interpreter-not-found``,
    ``interpreter-too-old`` and ``interpreter-failed``.
    """
    client = engine.connect()
    try:
        image = engine.find_image(client, name)
        facts = ImageFacts(name, str(image.id), tuple(sorted(image.attrs.get("RepoDigests") or ())))
        with engine.refusals():
            for executable in (python,) if python is not None else ("python", "python3"):
                described = _in_container(client, facts, executable, timeout)
                if described is not None:
                    return described
    finally:
        client.close()
    wanted = f"no interpreter {python!r}" if python is not None else "neither python nor python3"
    raise UsageError(
        "interpreter-not-found",
        f"the image {name!r} has {wanted}",
        "name one of the image's with --python, by its path",
    )


def _in_container(client: Any, facts: ImageFacts, executable: str, timeout: float) -> Described | None:
    """What the interpreter says of itself in a container of its own; None where the image has no such command."""
    created = client.containers.create(
        image=facts.id,
        command=description.command(executable, Path(INSIDE))[1:],
        entrypoint=[executable],
        mounts=[Mount(INSIDE, str(_PACKAGE), type="bind", read_only=True)],
        labels={LABEL: facts.name},
        network_mode="none",
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        mem_limit=_MEMORY,
        pids_limit=_PROCESSES,
        log_config=LogConfig(type=LogConfig.types.JSON, config={"max-size": "32m", "max-file": "1"}),
    )
    try:
        try:
            created.start()
        except APIError as error:
            if _is_missing(str(error.explanation or error)):
                return None
            raise
        try:
            code = int(created.wait(timeout=timeout)["StatusCode"])
        except (ReadTimeout, NotReached) as error:
            raise UsageError(
                "interpreter-failed",
                f"{executable} in the image {facts.name!r} did not answer within {timeout:g} seconds",
                "check that it is a Python interpreter that starts: docker run --rm IMAGE python --version",
            ) from error
        shown = f"{executable} in the image {facts.name!r}"
        raw = description.parse_output(shown, _output(created, stdout=True)) if code == 0 else None
        if raw is None:
            raise description.silent(shown, code, _output(created, stdout=False))
        system = container.System(_release(created), "docker", container.Limits(None, None))
        return Described(description.parse_raw(raw), system, facts)
    finally:
        engine.remove(created)


def _output(created: Any, *, stdout: bool) -> bytes:
    """What the container printed on one of its streams, up to a size beyond any description."""
    data = bytearray()
    for part in created.logs(stdout=stdout, stderr=not stdout, stream=True, follow=False):
        data += part
        if len(data) > _LARGEST_OUTPUT:
            raise AuditorError("docker-engine-error", "the image printed more than a description", "check the image")
    return bytes(data)


def _is_missing(said: str) -> bool:
    return "executable file not found" in said or "no such file or directory" in said.lower()


def _release(created: Any) -> str:
    """The distribution that the image says it is; empty where it has no such file."""
    for path in _RELEASES:
        try:
            stream, _ = created.get_archive(path)
        except APIError:
            continue
        data = bytearray()
        for part in stream:
            data += part
            if len(data) > _LARGEST_RELEASE:
                break
        text = _first_file(bytes(data))
        if text:
            return container.parse_os_release(text)
    return ""


def _first_file(archive: bytes) -> str:
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar:
                file = tar.extractfile(member) if member.isfile() else None
                if file is not None:
                    return file.read(_LARGEST_RELEASE).decode("utf-8", "replace")
    except tarfile.TarError:
        return ""
    return ""
