"""System packages that are installed without a version."""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rule import Example, Rule, Sighting
from auditor.source import Document
from auditor.source.dockerfile import apt_installs, commands
from auditor.source.packages import system_computes

RULE = Rule(
    id="unversioned-apt",
    title="System packages are installed without a version",
    topic="environment",
    level="seed-stable",
    severity="note",
    confidence="medium",
    since="0.1.0",
    why=(
        "apt-get install without a version takes what the distribution's index holds on the day of the build. "
        "Libraries that compute (BLAS, codecs, the C library) change so, and with them the numbers."
    ),
    remedy="Name versions (package=version), or take packages from a dated snapshot of the distribution.",
    bad=(
        Example(
            "FROM ubuntu:24.04\nRUN apt-get update && \\\n    apt-get install -y libopenblas0\n", kind="dockerfile"
        ),
    ),
    good=(
        Example(
            "FROM ubuntu:24.04\nRUN apt-get update && \\\n    apt-get install -y libopenblas0=0.3.26+ds-1\n",
            kind="dockerfile",
        ),
        Example("FROM ubuntu:24.04\nRUN apt-get update && apt-get install -y ./cudnn.deb $EXTRA\n", kind="dockerfile"),
        Example("FROM ubuntu:24.04\nRUN apt-get update && apt-get install -y git curl\n", kind="dockerfile"),
        Example(
            "FROM debian:12\nCOPY snapshot.sources /etc/apt/sources.list.d/\n"
            "RUN apt-get update && apt-get install -y libopenblas0\n",
            kind="dockerfile",
        ),
    ),
    sources=("https://docs.docker.com/build/building/best-practices/#apt-get",),
)

_MOST_NAMED = 4
# They fetch, unpack and show, and no training program computes with them.
# fmt: off
_TOOLS = frozenset({
    "apt-transport-https", "apt-utils", "ca-certificates", "curl", "git", "git-lfs", "gnupg", "gnupg2", "gpg",
    "htop", "jq", "less", "locales", "lsb-release", "man-db", "nano", "net-tools", "openssh-client", "openssh-server",
    "procps", "rsync", "screen", "software-properties-common", "ssh", "sudo", "tmux", "tree", "tzdata", "unzip", "vim",
    "wget", "xz-utils", "zip", "zsh",
})
# fmt: on


def see_document(document: Document) -> Iterator[Sighting]:
    """One sighting for each command that installs something without a version."""
    if document.kind != "dockerfile" or "snapshot" in document.text:
        return
    for command in commands(document.text):
        open_ = [
            word for word in apt_installs(command) if not set(word.text) & set("=/$`*~") and word.text not in _TOOLS
        ]
        if open_:
            names = ", ".join(word.text for word in open_[:_MOST_NAMED])
            more = f" and {len(open_) - _MOST_NAMED} more" if len(open_) > _MOST_NAMED else ""
            yield Sighting(
                command.line,
                f"{names}{more}: apt installs the version that its index holds on the day",
                confidence=None if any(system_computes(word.text) for word in open_) else "possible",
            )
