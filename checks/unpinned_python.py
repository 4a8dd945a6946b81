"""A Python whose minor version is left open."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Document
from auditor.source.conda import Package, package_of, packages
from auditor.source.dockerfile import commands, conda_installs, images

RULE = Rule(
    id="unpinned-python",
    title="The minor version of Python is left open",
    topic="environment",
    level="seed-stable",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "python=3, or python without a version, is the newest minor version that there is. It decides which releases "
        "of every library can be installed, and Python's own random module, hashing and sums change between them."
    ),
    remedy="Name the minor version at least: python=3.12 or FROM python:3.12.8-slim.",
    bad=(
        Example("dependencies:\n  - python\n  - numpy==1.26.4\n", kind="environment"),
        Example("dependencies:\n  - python>=3.8\n", kind="environment"),
        Example("FROM python:3-slim\nCMD python train.py\n", kind="dockerfile"),
    ),
    good=(
        Example("dependencies:\n  - python=3.12\n  - numpy==1.26.4\n", kind="environment"),
        Example("dependencies:\n  - python 3.12.*\n  - numpy==1.26.4\n", kind="environment"),
        Example("FROM python:3.12-slim\nCMD python train.py\n", kind="dockerfile"),
        Example("FROM python:latest\n", kind="dockerfile"),  # another rule's: the whole image is whatever is newest
    ),
    sources=(
        "https://docs.conda.io/projects/conda/en/stable/user-guide/tasks/manage-python.html",
        "https://docs.docker.com/build/building/best-practices/#pin-base-image-versions",
    ),
)

_MINOR = re.compile(r"\s*(?:={1,3}|~=)?\s*\d+\.\d+")


def see_document(document: Document) -> Iterator[Sighting]:
    """Conda's package ``python`` and the image ``python`` without a minor version."""
    if document.kind == "environment":
        found = [one for one in packages(document.text) if isinstance(one, Package)]
    elif document.kind == "dockerfile":
        named = (word for command in commands(document.text) for word in conda_installs(command))
        found = [one for word in named if (one := package_of(word.text, word.line)) is not None]
        for image in images(document.text):
            repository = (image.name or "").partition("@")[0].rpartition("/")[2].partition(":")[0]
            if (
                repository == "python"
                and not image.digest
                and image.tag
                and not re.search(r"\d+\.\d+|latest", image.tag)
            ):
                yield Sighting(image.line, f"{image.written} is the newest minor version of Python on the day")
    else:
        return
    for one in found:
        if one.name == "python" and not _MINOR.match(one.specifier):
            said = f"python{one.specifier.strip()}" if one.specifier.strip() else "python, any version"
            yield Sighting(one.line, f"{said}: conda takes the newest minor version that it can")
