"""An image that brings all its system packages up to date while it is built."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Document
from auditor.source.dockerfile import commands

RULE = Rule(
    id="apt-upgrade",
    title="All system packages are upgraded while the image is built",
    topic="environment",
    level="seed-stable",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "apt-get upgrade replaces the packages of the base image with whatever is newest on the day of the build. "
        "A digest of the base image pins nothing then: two builds hold different system libraries."
    ),
    remedy="Leave the upgrade out and take a newer base image, by its digest.",
    bad=(
        Example("FROM ubuntu:24.04\nRUN apt-get update && apt-get -y upgrade\n", kind="dockerfile"),
        Example("FROM rockylinux:9\nRUN dnf upgrade -y\n", kind="dockerfile"),
    ),
    good=(
        Example("FROM ubuntu:24.04\nRUN apt-get update && apt-get install -y git=1:2.43.0-1\n", kind="dockerfile"),
        Example("FROM ubuntu:24.04\nRUN apt-get install --only-upgrade libssl3=3.0.13-0\n", kind="dockerfile"),
    ),
    sources=("https://docs.docker.com/build/building/best-practices/#apt-get",),
)

_VERBS = {
    "apt-get": ("upgrade", "dist-upgrade", "full-upgrade"),
    "apt": ("upgrade", "dist-upgrade", "full-upgrade"),
    "yum": ("update", "upgrade"),
    "dnf": ("update", "upgrade"),
    "microdnf": ("update", "upgrade"),
    "apk": ("upgrade",),
}


def see_document(document: Document) -> Iterator[Sighting]:
    """Upgrades of everything; those of packages that are named are not meant."""
    if document.kind != "dockerfile":
        return
    for command in commands(document.text):
        verbs = _VERBS.get(command.program, ())
        plain = [word for word in command.words[1:] if not word.text.startswith("-")]
        if plain and plain[0].text in verbs and len(plain) == 1:
            yield Sighting(command.line, f"{command.program} {plain[0].text} takes whatever is newest on the day")
