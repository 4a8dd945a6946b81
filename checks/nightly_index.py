"""Packages that are taken from nightly builds or pre-releases."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Document
from auditor.source.dockerfile import commands, pip_installs
from auditor.source.requirements import options

RULE = Rule(
    id="nightly-index",
    title="Packages are taken from nightly builds or pre-releases",
    topic="environment",
    level="seed-stable",
    severity="warning",
    confidence="high",
    since="0.1.0",
    why=(
        "A nightly build is another one tomorrow, and most are deleted after some weeks: nobody can install them "
        "again. With --pre, pip takes release candidates of every package that it is asked for."
    ),
    remedy="Install released versions, pinned with ==; keep the wheel where a nightly build has to be used.",
    bad=(
        Example("--pre\n--extra-index-url https://example.org/whl/nightly/cu126\ntorch\n", kind="requirements"),
        Example(
            "FROM python:3.12.8\nRUN pip install --pre torch --index-url https://example.org/whl/nightly/cu126\n",
            kind="dockerfile",
        ),
    ),
    good=(
        Example("--extra-index-url https://example.org/whl/cu126\ntorch==2.13.0\n", kind="requirements"),
        Example("FROM python:3.12.8\nRUN pip install --no-cache-dir torch==2.13.0\n", kind="dockerfile"),
        # A pre-release that is named is one version.
        Example("FROM python:3.12.8\nRUN pip install --pre torch==2.14.0rc1\n", kind="dockerfile"),
    ),
    sources=("https://pip.pypa.io/en/stable/cli/pip_install/#pre-release-versions",),
)

_NIGHTLY = re.compile(r"https?://\S*\bnightly\b", re.IGNORECASE)


def see_document(document: Document) -> Iterator[Sighting]:
    """``--pre`` and the addresses of nightly builds, for pip."""
    if document.kind == "requirements":
        for line, text in options(document.text):
            if re.match(r"--pre\b", text):
                yield Sighting(line, "--pre has pip take pre-releases: which ones, depends on the day")
            elif _NIGHTLY.search(text):
                yield Sighting(line, "packages come from an index of nightly builds: another one tomorrow")
    elif document.kind == "dockerfile":
        for command in commands(document.text):
            found = pip_installs(command)
            if found is None:
                continue
            named, given = found
            if named and all("==" in word.text for word in named):
                continue
            nightly = next((word for word in given if _NIGHTLY.search(word.text)), None)
            pre = next((word for word in given if word.text == "--pre"), None)
            if nightly is not None:
                yield Sighting(nightly.line, "packages come from an index of nightly builds: another one tomorrow")
            elif pre is not None:
                yield Sighting(pre.line, "--pre has pip take pre-releases: which ones, depends on the day")
