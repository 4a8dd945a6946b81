"""A requirement that leaves open which version is installed."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Document
from auditor.source.documents import requirements

RULE = Rule(
    id="unpinned-requirement",
    title="A requirement leaves open which version is installed",
    topic="environment",
    level="seed-stable",
    severity="note",
    confidence="high",
    since="0.1.0",
    why=(
        "A range, or a bare name, is another version next month. Libraries change defaults, random streams and the "
        "order of floating-point operations between releases, so the same seed gives other numbers."
    ),
    remedy="Pin each requirement with ==, or lock them all with auditor lock, and install from the lock.",
    bad=(Example("numpy>=1.26\ntorch==2.13.0\n", kind="requirements", name="requirements.txt"),),
    good=(Example("numpy==2.4.6\ntorch==2.13.0\n", kind="requirements", name="requirements.txt"),),
    sources=("https://pip.pypa.io/en/stable/topics/repeatable-installs/",),
)


def see_document(document: Document) -> Iterator[Sighting]:
    """Lines of a requirements file without ``==``, a file's hash or a commit."""
    if document.kind != "requirements":
        return
    for one in requirements(document.text):
        if not one.pinned:
            said = f"{one.name}{one.specifier}" if one.specifier else f"{one.name}, any version"
            yield Sighting(one.line, f"{said}: which version is installed depends on the day")
