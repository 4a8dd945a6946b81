"""Dockerfiles: their instructions, the images they start from, and the commands of a shell in them, line by line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

# Source of the syntax: https://docs.docker.com/reference/dockerfile/
_DIRECTIVE = re.compile(r"#\s*escape\s*=\s*([\\`])\s*\Z", re.IGNORECASE)
_HEREDOC = re.compile(r"<<-?\s*([\"']?)([A-Za-z_][A-Za-z0-9_]*)\1")
_VARIABLE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::?([-+])([^}]*))?\})")
# What only starts a command: flags of the instruction, variables set for it, words of the shell.
_BEFORE = re.compile(
    r"--(?:mount|network|security|device)=|[A-Za-z_][A-Za-z0-9_]*=|"
    r"(?:sudo|env|exec|time|nice|then|do|else|if|while|!|\{)\Z"
)
_SHELLS = frozenset({"sh", "bash", "dash", "zsh"})

# The options that take a word after them: apt-get(8), conda-install(1), and of pip(1) install those of one letter. Of
# pip's and uv's others those that take none are named: what follows one that is not known must not pass for a package.
# fmt: off
_PIP_SHORT = frozenset({"-r", "-c", "-e", "-t", "-i", "-f", "-C", "-p", "-P", "-b"})
_PIP_NO_WITH_VALUE = frozenset({
    "--no-binary", "--no-binary-package", "--no-build-isolation-package", "--no-build-package", "--no-extra",
    "--no-sources-package",
})
_PIP_FLAGS = frozenset({
    "--all-extras", "--break-system-packages", "--check-build-dependencies", "--compile", "--compile-bytecode",
    "--debug", "--disable-pip-version-check", "--dry-run", "--exact", "--force", "--force-reinstall",
    "--ignore-installed", "--ignore-requires-python", "--isolated", "--managed-python", "--native-tls", "--offline",
    "--pre", "--prefer-binary", "--preview", "--quiet", "--refresh", "--reinstall", "--require-hashes",
    "--require-virtualenv", "--strict", "--system", "--upgrade", "--use-pep517", "--user", "--verbose",
    "--verify-hashes",
})
# fmt: on
_APT_WITH_VALUE = frozenset({"-o", "--option", "-t", "--target-release", "--default-release", "-c", "--config-file"})
_CONDA_WITH_VALUE = frozenset({"-c", "--channel", "-n", "--name", "-p", "--prefix", "-f", "--file", "--solver"})


def _takes_value(option: str) -> bool:
    """Whether an option of pip or uv takes the word after it."""
    if option.startswith("--no-") and option not in _PIP_NO_WITH_VALUE:
        return False
    if option.startswith("--"):
        return "=" not in option and option not in _PIP_FLAGS
    return option in _PIP_SHORT


class Instruction(NamedTuple):
    """One instruction: its first line, its keyword in capitals, the rest with continued lines joined, and its lines.

    ``lines`` are the pieces of the rest with the number of each; ``bodies`` are the lines of its here-documents.
    """

    line: int
    keyword: str
    value: str
    lines: tuple[tuple[int, str], ...] = ()
    bodies: tuple[tuple[int, str], ...] = ()


class Image(NamedTuple):
    """An image that a stage starts from: its line, what is written there, and its name with arguments put in.

    ``name`` is None where an argument without a default names it. ``kept`` says whether the last stage is built on it:
    of others no more than what is copied from them comes into the image.
    """

    line: int
    written: str
    name: str | None
    kept: bool

    @property
    def digest(self) -> bool:
        """Whether it names its contents."""
        return self.name is None or "@sha256:" in self.name

    @property
    def tag(self) -> str:
        """Its tag; empty where it has none."""
        return "" if self.name is None else self.name.partition("@")[0].rpartition("/")[2].partition(":")[2]


class Word(NamedTuple):
    """One word of a command, quotes removed, and its line."""

    line: int
    text: str


class Command(NamedTuple):
    """One simple command of a shell; ``piped`` says whether the next one reads its output."""

    words: tuple[Word, ...]
    piped: bool

    @property
    def program(self) -> str:
        """The program's name without its directory."""
        return self.words[0].text.rpartition("/")[2] if self.words else ""

    @property
    def line(self) -> int:
        """The line of its first word."""
        return self.words[0].line if self.words else 0


def instructions(text: str) -> Iterator[Instruction]:
    """The instructions of a Dockerfile, in order; comments, also between continued lines, are left out."""
    lines = text.splitlines()
    escape = _escape(lines)
    at = 0
    while at < len(lines):
        parts: list[tuple[int, str]] = []
        while at < len(lines):
            line = lines[at].rstrip()
            at += 1
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            parts.append((at, line.removesuffix(escape)))
            if not line.endswith(escape):
                break
        if not parts:
            return
        keyword = next(iter(parts[0][1].split(None, 1)), "")
        first = parts[0][1].lstrip().removeprefix(keyword)
        pieces = ((parts[0][0], first), *parts[1:])
        value = " ".join(piece for _, piece in pieces).strip()
        bodies: list[tuple[int, str]] = []
        if keyword.upper() in ("RUN", "COPY", "ADD"):
            for _, end in _HEREDOC.findall(value):
                while at < len(lines) and lines[at].strip() != end:
                    bodies.append((at + 1, lines[at]))
                    at += 1
                at += 1
        yield Instruction(parts[0][0], keyword.upper(), value, pieces, tuple(bodies))


def _escape(lines: Sequence[str]) -> str:
    """The character that continues a line, which a comment at the top may choose."""
    for line in lines:
        directive = _DIRECTIVE.match(line.strip())
        if directive is not None:
            return directive[1]
        if not line.strip().startswith("#"):
            break
    return "\\"


def arguments_of(instruction: Instruction, known: Mapping[str, str]) -> dict[str, str]:
    """The build arguments that an ``ARG`` gives defaults, with those that are ``known`` by then put in."""
    found: dict[str, str] = {}
    for word in instruction.value.split():
        name, equals, value = word.partition("=")
        if equals:
            found[name] = substituted(value.strip("\"'"), {**known, **found}) or ""
    return found


def images(text: str) -> Iterator[Image]:
    """The images that the stages start from, earlier stages and ``scratch`` left out."""
    arguments: dict[str, str] = {}
    stages: dict[str, int] = {}  # by name, the number of the stage
    begun: list[tuple[int, str, str | None, int | None]] = []  # line, what is written, image, the stage it is
    for one in instructions(text):
        if one.keyword == "ARG" and not begun:
            arguments |= arguments_of(one, arguments)
        elif one.keyword == "FROM":
            words = [word for word in one.value.split() if not word.startswith("--")]
            if not words:
                continue
            image = substituted(words[0], arguments)
            begun.append((one.line, words[0], image, stages.get((image or "").lower())))
            if len(words) >= 3 and words[1].lower() == "as":
                stages[words[2].lower()] = len(begun) - 1
    kept: set[int] = set()
    at = len(begun) - 1 if begun else None
    while at is not None:  # a stage is built on an earlier one
        kept.add(at)
        at = begun[at][3]
    for number, (line, written, image, stage) in enumerate(begun):
        if stage is None and image != "scratch":
            yield Image(line, written, image, number in kept)


def substituted(text: str, arguments: Mapping[str, str]) -> str | None:
    """The text with build arguments' defaults put in; None where one of them has none."""
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


def commands(text: str) -> Iterator[Command]:
    """The simple commands of all ``RUN`` instructions, in order."""
    for one in instructions(text):
        if one.keyword == "RUN":
            yield from commands_of(one)


def commands_of(run: Instruction) -> Iterator[Command]:
    """The simple commands of one ``RUN`` instruction, without what only starts them (``sudo``, ``A=b``)."""
    value = re.sub(r"\A(?:--(?:mount|network|security|device)=\S+\s+)+", "", run.value)
    if value.startswith("["):
        try:
            words = json.loads(value)
        except (ValueError, RecursionError):
            words = None
        if isinstance(words, list) and all(isinstance(word, str) for word in words):
            yield from _unwrapped([Word(run.line, word) for word in words], False)
            return
    # A line break within a command is a space to the shell; within a here-document it ends the command.
    found = list(_simple([(number, character) for number, piece in run.lines for character in f"{piece} "]))
    yield from found
    if all(one.program in _SHELLS for one in found):  # else it is the text of a file, or another language's
        yield from _simple([(number, character) for number, line in run.bodies for character in f"{line}\n"])


def _simple(text: Sequence[tuple[int, str]]) -> Iterator[Command]:
    """Split a script into simple commands: a small part of the shell's grammar, wrong quotes taken as they come."""
    words: list[Word] = []
    word: list[str] = []
    started, redirect, quote, depth, at = 0, False, "", 0, 0

    def ended() -> None:
        nonlocal word, started, redirect
        if started:
            if not redirect:
                words.append(Word(started, "".join(word)))
            redirect = False
        word, started = [], 0

    while at < len(text):
        line, character = text[at]
        following = text[at + 1][1] if at + 1 < len(text) else ""
        at += 1
        if quote:
            if character == quote:
                quote = ""
            elif character == "\\" and quote == '"' and following in '"\\$`':
                word.append(following)
                at += 1
            else:
                word.append(character)
        elif depth:
            depth += (character == "(") - (character == ")")
            word.append(character)
        elif character in "'\"":
            quote, started = character, started or line
        elif character == "\\":
            if following == "\n":
                at += 1
            elif following:
                started = started or line
                word.append(following)
                at += 1
        elif character == "$" and following == "(":
            depth, started = 1, started or line
            word.append("$(")
            at += 1
        elif character == "#" and not started:
            while at < len(text) and text[at][1] != "\n":
                at += 1
        elif character in "<>":
            if "".join(word).isdigit():
                word, started = [], 0
            ended()
            while at < len(text) and text[at][1] in "<>&|":
                at += 1
            redirect = True
        elif character in ";|&()\n":
            ended()
            doubled = following == character and character in "|&;"
            at += doubled
            yield from _unwrapped(words, character == "|" and not doubled)
            words = []
        elif character.isspace():
            ended()
        else:
            started = started or line
            word.append(character)
    ended()
    yield from _unwrapped(words, False)


def _unwrapped(words: Sequence[Word], piped: bool) -> Iterator[Command]:
    at = 0
    while at < len(words) and _BEFORE.match(words[at].text):
        at += 1
    rest = words[at:]
    if len(rest) >= 3 and rest[0].text.rpartition("/")[2] in _SHELLS:
        script = next((index for index, word in enumerate(rest[1:-1], 1) if re.fullmatch(r"-\w*c", word.text)), None)
        if script is not None:
            inner = rest[script + 1]
            yield from _simple([(inner.line, character) for character in inner.text])
            return
    if rest:
        yield Command(tuple(rest), piped)


def pip_installs(command: Command) -> tuple[tuple[Word, ...], tuple[Word, ...]] | None:
    """What a command has pip (or uv's pip) install, and its options; None where it installs nothing with pip."""
    words = command.words
    for at, word in enumerate(words[:8]):
        if word.text == "-mpip" and at:
            return _after(words[at:], ("install",), _takes_value)
        if not re.fullmatch(r"pip[0-9.]*", word.text.rpartition("/")[2]):
            continue
        before = [one.text.rpartition("/")[2] for one in words[:at]]
        alone = not before or before[-1] in ("-m", "uv") or before[0] in ("conda", "mamba", "micromamba", "poetry")
        return _after(words[at:], ("install",), _takes_value) if alone else None
    return None


def apt_installs(command: Command) -> tuple[Word, ...]:
    """The packages that a command has apt install."""
    found = (
        _after(command.words, ("install",), _APT_WITH_VALUE.__contains__)
        if command.program in ("apt-get", "apt")
        else None
    )
    return () if found is None else found[0]


def conda_installs(command: Command) -> tuple[Word, ...]:
    """The packages that a command has conda install."""
    if command.program not in ("conda", "mamba", "micromamba"):
        return ()
    found = _after(command.words, ("install", "create"), _CONDA_WITH_VALUE.__contains__)
    return () if found is None else found[0]


def _after(
    words: Sequence[Word], verbs: Sequence[str], takes_value: Callable[[str], bool]
) -> tuple[tuple[Word, ...], tuple[Word, ...]] | None:
    """The words after ``<program> <verb>`` that are no options, and the options with their values."""
    plain: list[Word] = []
    options: list[Word] = []
    value = False
    for word in words[1:]:
        if value:
            options.append(word)
            value = False
        elif word.text.startswith("-"):
            options.append(word)
            value = takes_value(word.text)
        else:
            plain.append(word)
    return (tuple(plain[1:]), tuple(options)) if plain and plain[0].text in verbs else None
