"""Errors that teach: a slug, what happened, what to do, and the exit code."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes, each with one meaning."""

    OK = 0
    NOT_REACHED = 1
    USAGE = 2
    INCONCLUSIVE = 3
    PROGRAM_FAILED = 4
    INTERNAL = 70


class AuditorError(Exception):
    """A problem that the user can do something about.

    ``slug`` names the page in ``docs/errors/``, ``what`` says what is wrong and where, ``remedy`` what to do.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, slug: str, what: str, remedy: str) -> None:
        super().__init__(f"{what} [{slug}]")
        self.slug = slug
        self.what = what
        self.remedy = remedy


class UsageError(AuditorError):
    """The command line, the configuration or a file given by the user cannot be used."""


class EvidenceError(AuditorError):
    """An evidence directory is missing, damaged or of another version."""


class ProgramFailed(AuditorError):
    """The audited program itself failed."""

    exit_code = ExitCode.PROGRAM_FAILED


class Inconclusive(AuditorError):
    """What was asked cannot be answered from the evidence."""

    exit_code = ExitCode.INCONCLUSIVE
