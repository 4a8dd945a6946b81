"""The Docker engine: reaching it, finding an image in it, and what it refuses in words that help."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound

from auditor.errors import AuditorError, UsageError


def connect() -> Any:
    """A client of the engine that the environment names; raises UsageError ``docker-engine-unreachable``."""
    try:
        client = docker.from_env()
        client.ping()
    except (DockerException, OSError) as error:
        raise _unreachable(error) from error
    return client


def find_image(client: Any, name: str | None, *, pull: bool = False) -> Any:
    """The image of that name, which is pulled only on request; raises UsageError ``image-not-found``."""
    if not name:
        raise UsageError("image-not-found", "no image is named", "name one with --image")
    try:
        return client.images.get(name)
    except ImageNotFound:
        if not pull:
            raise UsageError(
                "image-not-found",
                f"the engine has no image {name!r}",
                f"docker pull {name} first, build it, or allow the network with --network",
            ) from None
    except APIError as error:
        raise UsageError(
            "image-not-found", f"{name!r} cannot be an image: {error.explanation}", "name one with --image"
        ) from error
    try:
        return client.images.pull(*_repository(name))
    except (APIError, DockerException) as error:
        raise UsageError("image-not-found", f"{name!r} could not be pulled: {error}", "check its name") from error


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the engine refuses, or its absence, into an AuditorError."""
    try:
        yield
    except APIError as error:
        raise refused(str(error.explanation or error)) from error
    except (DockerException, ConnectionError) as error:
        raise _unreachable(error) from error


def refused(said: str) -> AuditorError:
    """The error for what the engine said."""
    if "bind source path does not exist" in said:
        return AuditorError(
            "docker-engine-elsewhere",
            "the Docker engine does not see this machine's files: it runs elsewhere",
            "call auditor on the machine where the engine runs",
        )
    return AuditorError("docker-engine-error", f"the Docker engine refused: {said}", "see the engine's log")


def remove(container: Any) -> None:
    """Remove a container with its volumes, whatever it is doing."""
    try:
        container.remove(force=True, v=True)
    except NotFound:
        return
    except APIError as error:
        if error.status_code != 409:  # its removal is already under way
            raise


def _unreachable(error: Exception) -> UsageError:
    return UsageError(
        "docker-engine-unreachable",
        f"no Docker engine can be reached: {error}",
        "start the engine, check that you may use its socket (DOCKER_HOST), or leave --image out",
    )


def _repository(name: str) -> tuple[str, str | None]:
    """The repository and the tag (``latest`` where none is given; None for a digest, which is part of the name)."""
    if "@" in name:
        return name, None
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "latest")
