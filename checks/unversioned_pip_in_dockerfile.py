"""Python packages that an image installs without a version."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.rule import Confidence, Example, Rule, Sighting
from auditor.source import Document
from auditor.source.dockerfile import Instruction, commands_of, instructions, pip_installs
from auditor.source.packages import use_of
from auditor.source.requirements import Requirement, requirement_of

RULE = Rule(
    id="unversioned-pip-in-dockerfile",
    title="An image installs Python packages without a version",
    topic="environment",
    level="seed-stable",
    severity="note",
    confidence="high",
    since="0.1.0",
    why=(
        "pip install without == takes the newest release on the day of the build. Two builds of the same Dockerfile "
        "then compute with other libraries, which change defaults and random streams between releases."
    ),
    remedy="Pin each with ==, or install from a lock: pip install --require-hashes -r requirements.txt.",
    bad=(
        Example("FROM python:3.12.8\nRUN pip install --no-cache-dir torch==2.13.0 numpy\n", kind="dockerfile"),
        Example("FROM python:3.12.8\nRUN python -m pip install 'torch>=2.1'\n", kind="dockerfile"),
        Example('FROM python:3.12.8\nRUN ["uv", "pip", "install", "--system", "torch"]\n', kind="dockerfile"),
        Example("FROM python:3.12.8\nRUN <<EOF\nset -e\npip install \\\n  torch\nEOF\n", kind="dockerfile"),
    ),
    good=(
        Example("FROM python:3.12.8\nRUN pip install --no-cache-dir torch==2.13.0 numpy==2.4.6\n", kind="dockerfile"),
        Example(
            "FROM python:3.12.8\nRUN pip install -U pip && pip install -r requirements.txt -e .\n", kind="dockerfile"
        ),
        Example("FROM python:3.12.8\nRUN pip install -c versions.txt torch\n", kind="dockerfile"),
        Example(
            "FROM python:3.12.8\nRUN pip install --root-user-action ignore . && uv pip install -r a.txt --extra all\n",
            kind="dockerfile",
        ),
        Example("FROM python:3.12.8\nARG TORCH\nRUN pip install torch==${TORCH} /tmp/*.whl\n", kind="dockerfile"),
    ),
    sources=("https://pip.pypa.io/en/stable/topics/repeatable-installs/",),
)

_CONSTRAINED = ("-c", "--constraint", "--constraints")
_THEN, _FI = re.compile(r"\bthen\b"), re.compile(r"\bfi\b")
_MOST_NAMED = 4


def see_document(document: Document) -> Iterator[Sighting]:
    """One sighting for each command that installs something without a version."""
    if document.kind != "dockerfile" or "PIP_CONSTRAINT" in document.text:
        return
    runs = [one for one in instructions(document.text) if one.keyword == "RUN"]
    for run, command in ((one, command) for one in runs for command in commands_of(one)):
        named, options = pip_installs(command) or ((), ())
        if any(option.text.partition("=")[0] in _CONSTRAINED for option in options):
            continue
        open_ = []
        for word in named:
            one = None if set(word.text) & set("$`*") else requirement_of(word.text, word.line)
            if one is not None and not one.pinned and not one.url and use_of(one.name) != "tool":
                open_.append(one)
        if open_:
            names = ", ".join(f"{one.name}{one.specifier}" for one in open_[:_MOST_NAMED])
            more = f" and {len(open_) - _MOST_NAMED} more" if len(open_) > _MOST_NAMED else ""
            yield Sighting(
                open_[0].line,
                f"{names}{more}: pip installs the newest release on the day of the build",
                confidence=_confidence(run, open_),
            )


def _confidence(run: Instruction, named: list[Requirement]) -> Confidence | None:
    """Less under a condition, which whoever builds the image decides, and of what need not come into a result."""
    before = run.value.partition(named[0].name)[0]
    if len(_THEN.findall(before)) > len(_FI.findall(before)):
        return "possible"
    return None if any(use_of(one.name) == "numerical" for one in named) else "medium"
