"""Something that an image downloads and uses without looking whether it is what it was."""

from __future__ import annotations

import re
from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Document
from auditor.source.dockerfile import Command, commands_of, instructions

_GET = "FROM ubuntu:24.04\nRUN curl -fsSLO https://example.org/cudnn-9.1.tar.gz && \\\n    tar xf cudnn-9.1.tar.gz\n"

RULE = Rule(
    id="download-without-checksum",
    title="An image downloads a file and does not check that it is the same one",
    topic="environment",
    level="seed-stable",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "What lies at an address can be replaced, and an installer that is piped into a shell is whatever its author "
        "published last. A checksum makes the build fail where it would otherwise silently be another one."
    ),
    remedy="Check it: echo '<sha256>  file' | sha256sum -c -, or ADD --checksum=sha256:… <address>.",
    bad=(
        Example(_GET, kind="dockerfile"),
        Example("FROM ubuntu:24.04\nRUN curl -LsSf https://example.org/install.sh | sh\n", kind="dockerfile"),
        Example("FROM ubuntu:24.04\nADD https://example.org/weights.bin /weights.bin\n", kind="dockerfile"),
    ),
    good=(
        Example(
            _GET.replace("tar xf", f"echo '{'0' * 64}  cudnn-9.1.tar.gz' | sha256sum -c - && tar xf"), kind="dockerfile"
        ),
        Example(
            f"FROM ubuntu:24.04\nADD --checksum=sha256:{'0' * 64} https://example.org/w.bin /w\n", kind="dockerfile"
        ),
        # Keys and indexes of packages are checked by what reads them.
        Example(
            "FROM ubuntu:24.04\nRUN curl -fsSL https://example.org/key.gpg | gpg --dearmor -o /usr/share/key.gpg\n"
            "HEALTHCHECK CMD curl -f http://localhost:8000/ || exit 1\n",
            kind="dockerfile",
        ),
    ),
    sources=(
        "https://docs.docker.com/reference/dockerfile/#add---checksum",
        "https://www.gnu.org/software/coreutils/manual/html_node/sha2-utilities.html",
    ),
)

_CHECKS = re.compile(
    r"sha\d*sum|shasum|md5sum|sha256|sha512|gpg\s+(--batch\s+)?--verify|cosign|b2sum|rhash|openssl dgst"
)
_ADDRESS = re.compile(r"(?:https?|ftp)://\S+")
_KEYS = re.compile(
    r"\.(gpg|asc|key|pub|list|repo|pem|crt|pin)\b|/key|keyring|apt-key|/gpg|localhost|127\.0\.0\.1", re.IGNORECASE
)
_READERS = frozenset({"gpg", "apt-key", "tee", "jq", "grep", "sed", "awk", "cut", "head", "python", "python3"})


def see_document(document: Document) -> Iterator[Sighting]:
    """``curl``, ``wget`` and ``ADD`` of an address, in instructions that check no checksum."""
    if document.kind != "dockerfile":
        return
    for instruction in instructions(document.text):
        whole = "\n".join((instruction.value, *(line for _, line in instruction.bodies)))
        if _CHECKS.search(whole) or "--checksum" in whole:
            continue
        if instruction.keyword == "ADD":
            address = _ADDRESS.search(instruction.value)
            # A repository is cloned, and an address with a commit names its contents.
            if address and not re.search(r"\.git\b|[0-9a-f]{40}", address[0]) and not _KEYS.search(address[0]):
                yield Sighting(instruction.line, f"{_shown(address[0])} is added without a checksum")
        elif instruction.keyword == "RUN":
            found = list(commands_of(instruction))
            for at, command in enumerate(found):
                told = _download(command, found[at + 1] if command.piped and at + 1 < len(found) else None)
                if told:
                    yield Sighting(command.line, told)


def _download(command: Command, reader: Command | None) -> str:
    if command.program not in ("curl", "wget"):
        return ""
    text = " ".join(word.text for word in command.words)
    address = _ADDRESS.search(text)
    if address is None or _KEYS.search(text) or re.search(r"[0-9a-f]{40}", text):
        return ""
    if reader is not None and reader.program in _READERS:
        return ""
    if any(word.text in ("-I", "--head", "--spider") or word.text == "-X" for word in command.words):
        return ""
    how = f"piped into {reader.program}" if reader is not None else "downloaded"
    return f"{_shown(address[0])} is {how} without a checksum"


def _shown(address: str) -> str:
    name = address.rstrip("/\"'").rpartition("/")[2]
    return name if len(name) <= 60 else f"{name[:59]}…"
