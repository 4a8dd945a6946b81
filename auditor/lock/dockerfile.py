"""Dockerfiles: base images that can move, and what is installed into the image without a version."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from auditor.lock import conda, requirements
from auditor.records.lock import Unpinned

# Source of the syntax: https://docs.docker.com/reference/dockerfile/
_DIRECTIVE = re.compile(r"#\s*escape\s*=\s*([\\`])\s*\Z", re.IGNORECASE)
_HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_][A-Za-z0-9_]*)\1")
_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::?([-+])([^}]*))?\})")
_DIGEST = re.compile(r"@sha256:[0-9a-fA-F]{64}\Z")
_STARTERS = frozenset({"sudo", "env", "exec", "time", "then", "do"})
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_REDIRECT = re.compile(r"[<>]+[&|]?\Z")
_SEPARATORS = frozenset({"&&", "||", ";", "|", "&", "(", ")", ";;", "|&"})

# The options that take a word after them: pip(1) install, apt-get(8), conda-install(1).
# fmt: off
_PIP_WITH_VALUE = frozenset({
    "-r", "--requirement", "-t", "--target", "-i", "--index-url", "--extra-index-url", "-f", "--find-links",
    "--platform", "--python-version", "--implementation", "--abi", "--root", "--prefix", "--src", "--progress-bar",
    "--upgrade-strategy", "--config-settings", "-C", "--global-option", "--no-binary", "--only-binary", "--report",
    "--trusted-host", "--cert", "--client-cert", "--cache-dir", "--proxy", "--retries", "--timeout", "--log",
    "--exists-action", "-p", "--python", "--index", "--default-index", "--torch-backend", "--index-strategy",
})
# fmt: on
_APT_WITH_VALUE = frozenset({"-o", "--option", "-t", "--target-release", "--default-release", "-c", "--config-file"})
_CONDA_WITH_VALUE = frozenset(
    {"-c", "--channel", "-n", "--name", "-p", "--prefix", "-f", "--file", "--solver", "--override-frozen"}
)
_PYTHON = re.compile(r"(?:.*/)?python[0-9.]*\Z")
_PIP = re.compile(r"(?:.*/)?pip[0-9.]*\Z")


class Instruction(NamedTuple):
    """One instruction: the line it begins on, its name in capitals, its text, and the bodies of its here-documents."""

    line: int
    name: str
    text: str
    bodies: tuple[str, ...]


def parse(text: str) -> tuple[Instruction, ...]:
    """The instructions in order; continued lines are joined by a space, comments and empty lines left out."""
    lines = text.splitlines()
    escape = "\\"
    for line in lines:
        directive = _DIRECTIVE.match(line.strip())
        if directive is not None:
            escape = directive[1]
        if not line.strip().startswith("#"):
            break
    found = []
    at = 0
    while at < len(lines):
        first = at
        parts: list[str] = []
        while at < len(lines):
            line = lines[at].rstrip()
            at += 1
            if line.lstrip().startswith("#") or (parts and not line.strip()):
                continue  # also between continued lines
            parts.append(line.removesuffix(escape))
            if not line.endswith(escape):
                break
        whole = " ".join(part.strip() for part in parts).strip()
        if not whole:
            continue
        bodies = []
        for _, word in _HEREDOC.findall(whole):
            body = []
            while at < len(lines) and lines[at].strip() != word:
                body.append(lines[at])
                at += 1
            at += 1
            bodies.append("\n".join(body))
        name, _, rest = whole.partition(" ")
        while not lines[first].strip() or lines[first].lstrip().startswith("#"):
            first += 1
        found.append(Instruction(first + 1, name.upper(), rest.strip(), tuple(bodies)))
    return tuple(found)


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
    for instruction in parse(text):
        match instruction.name:
            case "ARG" if not seen_from:
                for word in requirements.words_of(instruction.text):
                    name, equals, value = word.partition("=")
                    if equals:
                        arguments[name] = substituted(value, arguments) or ""
            case "FROM":
                seen_from = True
                words = [word for word in instruction.text.split() if not word.startswith("--")]
                if words:
                    image = substituted(words[0], arguments)
                    advice = judge_image(image, stages)
                    if advice is not None:
                        shown = words[0] if image is None or image == words[0] else f"{words[0]} ({image})"
                        found.append(_unpinned(file, instruction, "image", shown, advice))
                if len(words) >= 3 and words[1].lower() == "as":
                    stages.add(words[2].lower())
            case "COPY" | "ADD":
                source = re.search(r"(?:^|\s)--from=(\S+)", instruction.text)
                if source is not None and not source[1].isdigit() and "$" not in source[1]:
                    advice = judge_image(source[1], stages)
                    if advice is not None:
                        found.append(_unpinned(file, instruction, "image", source[1], advice))
            case "RUN":
                found += _run(file, instruction, installed)
    return tuple(dict.fromkeys(found))


def substituted(text: str, arguments: Mapping[str, str]) -> str | None:
    """The text with the build arguments' defaults in it; None where one of them has none."""
    missing = False

    def value(found: re.Match[str]) -> str:
        nonlocal missing
        name, sign, other = found[1] or found[2], found[3], found[4] or ""
        known = arguments.get(name, "")
        if sign == "+":
            return other if known else ""
        if not known and sign == "-":
            return other
        missing = missing or not known
        return known

    whole = _VARIABLE.sub(value, text)
    return None if missing or "$" in whole else whole


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


def commands(instruction: Instruction) -> Iterator[tuple[str, ...]]:
    """The simple commands of a RUN instruction, as words; what a shell alone could expand stays as it stands."""
    text = re.sub(r"\A(?:--(?:mount|network|security)=\S+\s+)+", "", instruction.text)
    if text.startswith("["):
        try:
            words = json.loads(text)
        except (ValueError, RecursionError):
            words = None
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            if len(words) == 3 and words[1] in ("-c", "-ec", "-lc", "-exc"):
                yield from _simple(words[2])
            else:
                yield tuple(words)
            return
    for script in (text, *instruction.bodies):
        for _, line in requirements.logical_lines(script):
            yield from _simple(line)


def _simple(text: str) -> Iterator[tuple[str, ...]]:
    lexer = shlex.shlex(text, posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    words: list[str] = []
    try:
        for word in lexer:
            if word in _SEPARATORS:
                yield tuple(words)
                words = []
            else:
                words.append(word)
    except ValueError:
        return  # a quote that does not close: no shell would run it
    yield tuple(words)


def _run(file: str, instruction: Instruction, installed: Mapping[str, str]) -> Iterator[Unpinned]:
    for command in commands(instruction):
        words = _without_prefix(command)
        apt = _after(words, ("apt-get", "apt"), ("install",), _APT_WITH_VALUE) or ()
        loose = [one for one in apt if not set(one) & set("=/$`*")]
        if loose:
            advice = "name versions (package=version), or take them from a snapshot of the distribution"
            yield _unpinned(file, instruction, "system-package", f"apt-get install {' '.join(loose)}", advice)
        for one in _pip(words) or ():
            judged = requirements.judge(one, installed) if not set(one) & set("$`") else None
            if judged is not None:
                yield _unpinned(file, instruction, judged.kind, f"pip install {one}", judged.advice)
        for one in _after(words, ("conda", "mamba", "micromamba"), ("install", "create"), _CONDA_WITH_VALUE) or ():
            pin = conda.judge(one, installed) if not set(one) & set("$`") else None
            if pin is not None:
                yield _unpinned(file, instruction, "distribution", f"conda install {one}", pin)


def _pip(words: Sequence[str]) -> list[str] | None:
    """What a command has pip (or uv's pip) install; None where it is no such command."""
    if words and _PYTHON.match(words[0]):
        at = next((at for at, word in enumerate(words) if word in ("-m", "-mpip")), 0)
        words = ["pip", *words[at + 1 :]] if words[at] == "-mpip" else words[at + 1 :]
    if len(words) > 1 and words[0].rpartition("/")[2] == "uv" and words[1] == "pip":
        words = words[1:]
    if not words or not _PIP.match(words[0]):
        return None
    if any(word in ("-c", "--constraint") or word.startswith("--constraint=") for word in words):
        return None  # a constraints file may pin them
    return _after(words, (words[0],), ("install",), _PIP_WITH_VALUE)


def _after(
    words: Sequence[str], programs: Sequence[str], verbs: Sequence[str], with_value: frozenset[str]
) -> list[str] | None:
    """The words after ``<program> <verb>`` that are no options and no options' values; None for another command."""
    if not words or (words[0] not in programs and words[0].rpartition("/")[2] not in programs):
        return None
    plain: list[str] = []
    skip = False
    for at, word in enumerate(words[1:], 1):
        redirects = at + 1 < len(words) and _REDIRECT.match(words[at + 1])
        if skip:
            skip = False
        elif _REDIRECT.match(word):
            skip = True  # where the output goes
        elif redirects and word.isdigit():
            continue
        elif word.startswith("-"):
            skip = word in with_value and at + 1 < len(words)
        else:
            plain.append(word)
    return plain[1:] if plain and plain[0] in verbs else None


def _without_prefix(words: Sequence[str]) -> Sequence[str]:
    """The command without variables set for it and without what only starts another."""
    at = 0
    while at < len(words) and (
        _ASSIGNMENT.match(words[at]) or words[at] in ("sudo", "env", "exec", "time", "then", "do")
    ):
        at += 1
    return words[at:]


def _unpinned(file: str, instruction: Instruction, kind: str, text: str, advice: str) -> Unpinned:
    return Unpinned(file, instruction.line, kind, requirements.shown(text), advice)  # type: ignore[arg-type]
