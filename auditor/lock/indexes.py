"""Where pip would look for files: its configuration, carried over to a tool that does not read it."""

from __future__ import annotations

import ast
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec

TIMEOUT = 60.0
NO_PIP = "the interpreter has no pip: of its configuration only the PIP_ variables were read"

# pip's own order: what a command's section says goes over the global one, and the environment over both.
# Source: https://pip.pypa.io/en/stable/topics/configuration/
_SECTIONS = ("global", "install", ":env:")


class Indexes(msgspec.Struct, frozen=True):
    """pip's configuration of where files are: addresses may hold credentials, and never leave this process's memory.

    ``index`` is None for pip's own default; ``no_index`` says that only ``find_links`` count.
    """

    index: str | None = None
    extra: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False
    trusted_hosts: tuple[str, ...] = ()
    certificates: str | None = None


def parse_pip_config(text: str) -> Indexes:
    """What ``pip config list`` prints: lines of ``section.option='value'``, the value as Python writes a string."""
    options: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        section, _, option = name.rpartition(".")
        if equals and section in options:
            try:
                options[section][option] = str(ast.literal_eval(value))
            except (ValueError, SyntaxError, MemoryError, RecursionError):
                continue
    merged: dict[str, str] = {}
    for section in _SECTIONS:
        merged.update(options[section])
    return _indexes(merged)


def parse_variables(variables: Mapping[str, str]) -> Indexes:
    """The same of the ``PIP_*`` variables alone, as pip reads them where it has no configuration file."""
    return _indexes(
        {
            name.removeprefix("PIP_").lower().replace("_", "-"): value
            for name, value in variables.items()
            if name.startswith("PIP_")
        }
    )


def read(executable: str, directory: Path) -> tuple[Indexes, str]:
    """The configuration of the interpreter's pip, and what to tell of how it was read (empty where there is nothing).

    ``directory`` is an empty one to ask in: a file ``pip.py`` in the working directory would be started instead. Where
    the interpreter has no pip, the ``PIP_*`` variables alone are what is known.
    """
    command = [executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    try:
        done = subprocess.run(
            command, cwd=directory, stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        done = None
    if done is not None and done.returncode == 0:
        return parse_pip_config(done.stdout.decode("utf-8", "replace")), ""
    return parse_variables(os.environ), NO_PIP


def _indexes(options: Mapping[str, str]) -> Indexes:
    return Indexes(
        index=options.get("index-url", "").strip() or None,
        extra=tuple(options.get("extra-index-url", "").split()),
        find_links=tuple(options.get("find-links", "").split()),
        no_index=options.get("no-index", "").strip().lower() in ("1", "true", "yes", "on", "y", "t"),
        trusted_hosts=tuple(options.get("trusted-host", "").split()),
        certificates=options.get("cert", "").strip() or None,
    )
