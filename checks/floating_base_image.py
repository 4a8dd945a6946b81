"""A base image that is whatever is newest."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Document
from auditor.source.dockerfile import images

RULE = Rule(
    id="floating-base-image",
    title="A base image is whatever is newest when the image is built",
    topic="environment",
    level="seed-stable",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "Without a tag, or with the tag latest, a build takes the newest image that there is. Its Python, CUDA and "
        "system libraries change with each release, and so do the numbers that a program computes with them."
    ),
    remedy="Name a version and the image's digest: FROM python:3.12.8-slim@sha256:….",
    bad=(
        Example("FROM pytorch/pytorch\nCMD python train.py\n", kind="dockerfile"),
        Example("FROM pytorch/pytorch:latest AS train\n", kind="dockerfile"),
        Example("ARG BASE=ubuntu:latest\nFROM --platform=linux/amd64 ${BASE}\n", kind="dockerfile"),
    ),
    good=(
        Example(f"FROM python:3.12.8-slim@sha256:{'0' * 64}\nCMD python train.py\n", kind="dockerfile"),
        Example("FROM python:3.12.8-slim AS base\nFROM base\nRUN true\nFROM scratch\n", kind="dockerfile"),
        Example("ARG BASE\nFROM $BASE\n", kind="dockerfile"),  # whoever builds it says which
        Example("FROM registry.example.org:5000/train:1.4\n", kind="dockerfile"),
    ),
    sources=(
        "https://docs.docker.com/build/building/best-practices/#pin-base-image-versions",
        "https://docs.docker.com/reference/dockerfile/#from",
    ),
)


def see_document(document: Document) -> Iterator[Sighting]:
    """Stages that start from an image without a tag, or with ``latest``, and without a digest."""
    if document.kind != "dockerfile":
        return
    for image in images(document.text):
        if not image.digest and (not image.tag or image.tag == "latest" or image.tag.startswith("latest-")):
            said = image.written if image.written == image.name else f"{image.written} ({image.name})"
            yield Sighting(
                image.line,
                f"{said} is whatever is newest when the image is built",
                confidence=None if image.kept else "possible",
            )
