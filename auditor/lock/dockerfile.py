"""Dockerfiles: base images that can move, and what is installed into the image without a version."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from auditor.lock import conda, requirements
from auditor.records.lock import Unpinned
from auditor.source.dockerfile import (
    Command,
    Instruction,
    apt_installs,
    arguments_of,
    commands_of,
    conda_installs,
    instructions,
    pip_installs,
    substituted,
)

_DIGEST = re.compile(r"@sha256:[0-9a-fA-F]{64}\Z")


def unpinned_in_dockerfile(
    text: str,
    file: str = "Dockerfile",
    installed: Mapping[str, str] = {},
) -> tuple[Unpinned, ...]:
    """Base images without a digest, and packages that apt-get, pip or conda install without a version."""
    found: list[Unpinned] = []
    arguments: dict[str, str] = {}
    stages: set[str] = set()
    seen_from = False
    for instruction in instructions(text):
        match instruction.keyword:
            case "ARG" if not seen_from:
                arguments |= arguments_of(instruction, arguments)
            case "FROM":
                seen_from = True
                words = [word for word in instruction.value.split() if not word.startswith("--")]
                if words:
                    image = substituted(words[0], arguments)
                    advice = judge_image(image, stages)
                    if advice is not None:
                        shown = words[0] if image is None or image == words[0] else f"{words[0]} ({image})"
                        found.append(_unpinned(file, instruction, "image", shown, advice))
                if len(words) >= 3 and words[1].lower() == "as":
                    stages.add(words[2].lower())
            case "COPY" | "ADD":
                source = re.search(r"(?:^|\s)--from=(\S+)", instruction.value)
                if source is not None and not source[1].isdigit() and "$" not in source[1]:
                    advice = judge_image(source[1], stages)
                    if advice is not None:
                        found.append(_unpinned(file, instruction, "image", source[1], advice))
            case "RUN":
                found += _run(file, instruction, installed)
    return tuple(dict.fromkeys(found))


def judge_image(image: str | None, stages: set[str]) -> str | None:
    """What would pin an image (None: an argument without a default names it), or None where it is pinned.

    Pinned are ``scratch``, an earlier stage, and a digest; every tag can be moved to another image.
    """
    if image is None:
        return "it is chosen when the image is built: give its ARG a default with a digest"
    if image == "scratch" or image.lower() in stages or _DIGEST.search(image):
        return None
    tag = image.rpartition("/")[2].partition(":")[2]
    if not tag or tag == "latest":
        return "it is whatever is newest: name a version and its digest (@sha256:…)"
    return "a tag can be moved to another image: add its digest (@sha256:…)"


def _run(file: str, instruction: Instruction, installed: Mapping[str, str]) -> Iterator[Unpinned]:
    for command in commands_of(instruction):
        loose = [one.text for one in apt_installs(command) if not set(one.text) & set("=/$`*")]
        if loose:
            advice = "name versions (package=version), or take them from a snapshot of the distribution"
            yield _unpinned(file, instruction, "system-package", f"apt-get install {' '.join(loose)}", advice)
        for one in _installed_by_pip(command):
            judged = requirements.judge(one, installed) if not set(one) & set("$`") else None
            if judged is not None:
                yield _unpinned(file, instruction, judged.kind, f"pip install {one}", judged.advice)
        for package in conda_installs(command):
            pin = conda.judge(package.text, installed) if not set(package.text) & set("$`") else None
            if pin is not None:
                yield _unpinned(file, instruction, "distribution", f"conda install {package.text}", pin)


def _installed_by_pip(command: Command) -> list[str]:
    """What a command has pip install; nothing where a constraints file may pin it."""
    words, options = ([word.text for word in part] for part in pip_installs(command) or ((), ()))
    if any(word in ("-c", "--constraint") or word.startswith("--constraint=") for word in options):
        return []
    editable = [value for option, value in pairwise(options) if option in ("-e", "--editable")]
    return [*words, *editable]


def _unpinned(file: str, instruction: Instruction, kind: str, text: str, advice: str) -> Unpinned:
    return Unpinned(file, instruction.line, kind, requirements.shown(text), advice)  # type: ignore[arg-type]
