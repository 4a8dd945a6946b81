"""A download whose address says that it is whatever is newest."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Document
from auditor.source.dockerfile import instructions

RULE = Rule(
    id="download-of-latest",
    title="An image downloads whatever release is newest",
    topic="environment",
    level="seed-stable",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "An address such as Miniconda3-latest-Linux-x86_64.sh or releases/latest/download is another file after each "
        "release: two builds of the same Dockerfile start from another Python or another tool."
    ),
    remedy="Name the release in the address, and check its checksum.",
    bad=(
        Example(
            "FROM ubuntu:24.04\nRUN wget https://example.org/miniconda/Miniconda3-latest-Linux-x86_64.sh\n",
            kind="dockerfile",
        ),
    ),
    good=(
        Example(
            "FROM ubuntu:24.04\nRUN wget https://example.org/miniconda/Miniconda3-py312_24.7.1-0-Linux-x86_64.sh\n",
            kind="dockerfile",
        ),
        Example("FROM ubuntu:24.04\nRUN echo https://docs.example.org/en/latest/install.html\n", kind="dockerfile"),
    ),
    sources=("https://docs.docker.com/build/building/best-practices/#pin-base-image-versions",),
)

_FETCH = re.compile(r"\b(curl|wget)\b")
_LATEST = re.compile(r"https?://[^\s\"'|;&]*?(?:[-_/.]latest[-_/.][^\s\"'|;&]+|[-_/.]latest)(?=[\s\"'|;&)]|\Z)")


def see_document(document: Document) -> Iterator[Sighting]:
    """Addresses of curl, wget and ADD with ``latest`` in them."""
    if document.kind != "dockerfile":
        return
    for instruction in instructions(document.text):
        fetched = instruction.keyword == "RUN" and _FETCH.search(instruction.value)
        if not fetched and instruction.keyword != "ADD":
            continue
        for line, text in (*instruction.lines, *instruction.bodies):
            found = _LATEST.search(text)
            if found:
                name = found[0].rstrip("/").rpartition("/")[2]
                yield Sighting(line, f"{name} is whatever release is newest when the image is built")
