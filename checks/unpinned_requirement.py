"""A requirement that leaves open which version is installed."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Confidence, Example, Rule, Sighting
from auditor.source import Document
from auditor.source.packages import use_of
from auditor.source.requirements import constrained, requirements

RULE = Rule(
    id="unpinned-requirement",
    title="A requirement leaves open which version is installed",
    topic="environment",
    level="seed-stable",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "A range, or a bare name, is another version next month. Libraries change defaults, random streams and the "
        "order of floating-point operations between releases, so the same seed gives other numbers."
    ),
    remedy="Pin each requirement with ==, or lock them all with auditor lock, and install from the lock.",
    bad=(
        Example("numpy>=1.26\ntorch==2.13.0\n", kind="requirements", name="requirements.txt"),
        Example("torch==2.*\n", kind="requirements", name="requirements.txt"),
        Example(
            "torchvision[extra] \\\n    ; python_version >= '3.10'\n", kind="requirements", name="requirements.txt"
        ),
    ),
    good=(
        Example("numpy==2.4.6\ntorch==2.13.0\n", kind="requirements", name="requirements.txt"),
        Example(
            f"numpy==2.4.6 ; python_version >= '3.11' \\\n    --hash=sha256:{'0' * 64}\n-e .\n./vendored\n",
            kind="requirements",
            name="requirements.txt",
        ),
        Example("--constraint versions.txt\nnumpy\n", kind="requirements", name="requirements.txt"),
        # What the lock beside it was compiled from.
        Example("numpy\n", kind="requirements", name="requirements.in", beside={"requirements.txt": "numpy==2.4.6\n"}),
    ),
    sources=("https://pip.pypa.io/en/stable/topics/repeatable-installs/",),
)

_LOCKS = frozenset({"poetry.lock", "uv.lock", "pdm.lock", "pylock.toml", "Pipfile.lock", "conda-lock.yml"})


def see_document(document: Document) -> Iterator[Sighting]:
    """Lines of a requirements file without ``==``, a file's hash or a commit."""
    if document.kind != "requirements" or document.name.startswith("constraints") or constrained(document.text):
        return
    if document.name.endswith(".in") and f"{document.name[:-3]}.txt" in document.beside:
        return
    for one in requirements(document.text):
        if not one.pinned and not one.moving and use_of(one.name) != "tool":
            yield Sighting(
                one.line,
                f"{one.said}: which version is installed depends on the day",
                confidence=_confidence(document),
            )


def _confidence(document: Document) -> Confidence | None:
    """Less where it is not what trains: a library's own requirements, a lock beside it, tools of its developers."""
    package = document.beside & {"setup.py", "setup.cfg", "pyproject.toml"}
    return "possible" if document.aside or document.beside & _LOCKS or package else None
