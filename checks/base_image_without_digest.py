"""A base image that is named by a tag, which can be moved."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Document
from auditor.source.dockerfile import images

RULE = Rule(
    id="base-image-without-digest",
    title="A base image is named by a tag only, which can be moved to another image",
    topic="environment",
    level="seed-stable",
    severity="note",
    confidence="high",
    since="0.1.0",
    why=(
        "A tag is a name that its owner moves: python:3.12-slim is another image after each security update, with "
        "other system libraries. A digest names the image's contents."
    ),
    remedy="Add the digest to the tag: FROM python:3.12.8-slim@sha256:….",
    bad=(Example("FROM python:3.12.8-slim\nCMD python train.py\n", kind="dockerfile"),),
    good=(
        Example(f"FROM python:3.12.8-slim@sha256:{'0' * 64}\nCMD python train.py\n", kind="dockerfile"),
        Example(f"ARG BASE=python@sha256:{'0' * 64}\nFROM ${{BASE}} AS base\nFROM base\n", kind="dockerfile"),
    ),
    sources=("https://docs.docker.com/build/building/best-practices/#pin-base-image-versions",),
)


def see_document(document: Document) -> Iterator[Sighting]:
    """Stages that start from a tag; ``latest`` is another rule's."""
    if document.kind != "dockerfile":
        return
    for image in images(document.text):
        if not image.digest and image.tag and not image.tag.startswith("latest"):
            said = image.written if image.written == image.name else f"{image.written} ({image.name})"
            yield Sighting(
                image.line,
                f"{said} is a tag, which can be moved to another image",
                confidence=None if image.kept else "possible",
            )
