"""A conda package that leaves open which version is installed."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Confidence, Example, Rule, Sighting
from auditor.source import Document
from auditor.source.conda import Package, package_of, packages
from auditor.source.dockerfile import commands, conda_installs
from auditor.source.packages import use_of
from auditor.source.requirements import Requirement

_BAD = """name: train
channels:
  - conda-forge
dependencies:
  - python=3.12
  - numpy>=1.26
  - conda-forge::pytorch=2.5.1
  - pip:
      - transformers
"""

RULE = Rule(
    id="unpinned-conda",
    title="A conda environment leaves open which versions are installed",
    topic="environment",
    level="seed-stable",
    severity="note",
    confidence="high",
    since="0.1.0",
    why=(
        "A name, or a range, is another version next month; numpy=1.26 is any 1.26.x to conda. Libraries change "
        "defaults, random streams and the order of floating-point operations between releases."
    ),
    remedy="Name the version with two equal signs (numpy==1.26.4), or lock the environment with conda-lock.",
    bad=(
        Example(_BAD, kind="environment"),
        Example("FROM ubuntu:24.04\nRUN conda install -y -c conda-forge numpy\n", kind="dockerfile"),
    ),
    good=(
        Example(
            _BAD.replace("numpy>=1.26", "numpy==1.26.4").replace("- transformers", "- transformers==4.49.0"),
            kind="environment",
        ),
        Example(_BAD, kind="environment", beside={"conda-lock.yml": "version: 1\n"}),
        Example("services:\n  train:\n    dependencies: numpy\n", kind="environment", name="docker-env.yml"),
        Example("FROM ubuntu:24.04\nRUN conda install -y numpy==1.26.4 python=3.12\n", kind="dockerfile"),
    ),
    sources=(
        "https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-search.html",
        "https://conda.github.io/conda-lock/",
    ),
)

_LOCKS = frozenset({"conda-lock.yml", "pixi.lock"})
_LEFT_OUT = frozenset({"python", "nodefaults"})  # a rule of its own, and no package


def see_document(document: Document) -> Iterator[Sighting]:
    """Packages, and requirements for pip below them, that do not name one version."""
    if document.beside & _LOCKS:
        return
    for one in _installed(document):
        if one.pinned or one.name.lower() in _LEFT_OUT or use_of(one.name) == "tool":
            continue
        specifier = one.specifier.strip()
        said = f"{one.name}{specifier}" if specifier else f"{one.name}, any version"
        # To conda =1.26 is any 1.26.x; of some packages there is no more than one of these.
        unsure = document.aside or (isinstance(one, Package) and one.minor)
        confidence: Confidence | None = None if use_of(one.name) == "numerical" else "medium"
        yield Sighting(
            one.line,
            f"{said}: which version is installed depends on the day",
            confidence="possible" if unsure else confidence,
        )


def _installed(document: Document) -> Iterator[Package | Requirement]:
    if document.kind == "environment":
        for one in packages(document.text):
            if isinstance(one, Package) or not one.url:
                yield one
    elif document.kind == "dockerfile":
        for command in commands(document.text):
            for word in conda_installs(command):
                package = package_of(word.text, word.line)
                if package is not None:
                    yield package
