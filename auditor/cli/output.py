"""Where reports go: the screen, or files that are known to be writable before anything is run."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from auditor.errors import UsageError

if TYPE_CHECKING:
    from auditor.records.audit import Audit
    from auditor.records.check import CheckReport
    from auditor.records.claims import ClaimsReport
    from auditor.records.environments import EnvironmentComparison
    from auditor.records.study import Study
    from auditor.rule import Rule

FORMATS = ("terminal", "json", "junit", "markdown", "sarif", "fix-plan")


def parse_format(text: str) -> str:
    """The format's name; raises UsageError ``unknown-format``."""
    if text not in FORMATS:
        raise UsageError("unknown-format", f"there is no format {text!r}", f"choose one of: {', '.join(FORMATS)}")
    return text


def renderer(name: str) -> Callable[[Audit], str]:
    """The ``render`` of a format, imported only now."""
    match name:
        case "json":
            from auditor.report import json

            return json.render
        case "junit":
            from auditor.report import junit

            return junit.render
        case "markdown":
            from auditor.report import markdown

            return markdown.render
        case "sarif":
            from auditor.report import sarif

            return lambda audit: sarif.render(audit, _rules())
        case "fix-plan":
            from auditor.report import fix_plan

            return fix_plan.render
        case _:
            from auditor.report import terminal

            return terminal.render


def show(audit: Audit, evidence: str) -> None:
    """Print the terminal report on stdout: its width, colours and signs are those that the stream can take."""
    from auditor.report import terminal

    stream = screen()
    text = terminal.render(
        audit, width=stream.width, colour=stream.colour, ascii_only=stream.ascii_only, evidence=evidence
    )
    write(text)


class Screen(NamedTuple):
    """What stdout can show: columns, colours, and whether nothing but ASCII."""

    width: int
    colour: bool
    ascii_only: bool


def screen() -> Screen:
    """What stdout can show."""
    stream = sys.stdout
    is_terminal = stream.isatty()
    return Screen(
        width=_columns() if is_terminal else terminal_width_of_a_file(),
        colour=is_terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb",
        ascii_only=not _can_show("✓→Δ…", stream.encoding),
    )


def environments_renderer(name: str) -> Callable[[EnvironmentComparison, bool], str]:
    """The rendering of a comparison of environments in a format; with True, of what does not matter too."""
    match name:
        case "json":
            from auditor.report import environments

            return lambda comparison, _: environments.render_json(comparison)
        case "markdown":
            from auditor.report import environments_markdown

            return environments_markdown.render
        case _:
            from auditor.report import environments_terminal

            return environments_terminal.render


def show_environments(comparison: EnvironmentComparison, everything: bool) -> None:
    """Print a comparison of environments on stdout, as ``show`` does an audit."""
    from auditor.report import environments_terminal

    stream = screen()
    text = environments_terminal.render(
        comparison, everything, width=stream.width, colour=stream.colour, ascii_only=stream.ascii_only
    )
    write(text)


def claims_renderer(name: str) -> Callable[[ClaimsReport], str]:
    """The rendering of a report of claims in a format."""
    match name:
        case "json":
            from auditor.report import claims

            return claims.render_json
        case "markdown":
            from auditor.report import claims_markdown

            return claims_markdown.render
        case "latex":
            from auditor.report import claims_latex

            return claims_latex.render
        case _:
            from auditor.report import claims_terminal

            return claims_terminal.render


def show_claims(report: ClaimsReport) -> None:
    """Print a report of claims on stdout, as ``show`` does an audit."""
    from auditor.report import claims_terminal

    stream = screen()
    write(claims_terminal.render(report, width=stream.width, colour=stream.colour, ascii_only=stream.ascii_only))


def check_renderer(name: str) -> Callable[[CheckReport], str]:
    """The rendering of a check in a format."""
    match name:
        case "json":
            from auditor.report import check

            return check.render_json
        case "sarif":
            from auditor.report import sarif

            return lambda report: sarif.render_check(report, _rules())
        case "github":
            from auditor.report import check_github

            return check_github.render
        case _:
            from auditor.report import check_terminal

            return check_terminal.render


def drawn_check(report: CheckReport) -> str:
    """A check as stdout can show it, as ``show`` does an audit."""
    from auditor.report import check_terminal

    stream = screen()
    return check_terminal.render(report, width=stream.width, colour=stream.colour, ascii_only=stream.ascii_only)


def _rules() -> dict[str, Rule]:
    from auditor.rulebook import rulebook

    return {name: check.rule for name, check in rulebook().items()}


def check_plots(directory: Path) -> None:
    """Make sure that plots can be drawn and written there.

    Raises UsageError ``no-matplotlib`` or ``cannot-write``.
    """
    import importlib.util

    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("no-matplotlib", "--plots needs matplotlib, which is not installed", "install auditor[plots]")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            "cannot-write",
            f"--plots {directory} cannot be made ({error.strerror})",
            "name a directory that you may write to",
        ) from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise UsageError("cannot-write", f"--plots {directory} cannot be written", "name one that you may write to")


def save_plots(directory: Path, drawn: ClaimsReport | Study) -> int:
    """Draw the plots of claims or of a study into a directory; how many files. Raises UsageError ``cannot-write``."""
    from auditor.records import study

    if isinstance(drawn, study.Study):
        from auditor.report import study_plots

        files = study_plots.render(drawn)
    else:
        from auditor.report import claims_plots

        files = claims_plots.render(drawn)
    for name, data in files.items():
        try:
            (directory / name).write_bytes(data)
        except OSError as error:
            raise UsageError(
                "cannot-write",
                f"--plots {directory / name} cannot be written ({error.strerror})",
                "name a directory that you may write to",
            ) from error
    return len(files)


def write(text: str) -> None:
    """Print text on stdout; what its encoding cannot show is written as an escape.

    Where the reader has gone (``| head``) nothing is printed, and the exit code is what it would have been.
    """
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes stdout once more at exit, which would fail again and say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def terminal_width_of_a_file() -> int:
    """The width where no terminal tells one."""
    return 80


def check_writable(path: Path, option: str) -> None:
    """Make sure that a report can be written there, before an hour of training; raises UsageError ``cannot-write``."""
    directory = path.parent
    # Path.is_dir raises in a directory that may not be searched.
    if os.path.isdir(path):
        raise UsageError("cannot-write", f"{option} {path} is a directory", "name a file")
    if not os.path.isdir(directory):
        raise UsageError("cannot-write", f"{option} {path}: there is no directory {directory}", "make it first")
    if not os.access(path if os.path.exists(path) else directory, os.W_OK):
        raise UsageError("cannot-write", f"{option} {path} cannot be written", "choose a place that you may write to")


def save(path: Path, text: str, option: str) -> None:
    """Write a report to a file as UTF-8; raises UsageError ``cannot-write``."""
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(
            "cannot-write",
            f"{option} {path} cannot be written ({error.strerror})",
            "choose a place that you may write to; auditor report DIR makes every report again from the evidence",
        ) from error


def _columns() -> int:
    import shutil

    return min(shutil.get_terminal_size().columns, 100)


def _can_show(signs: str, encoding: str | None) -> bool:
    try:
        signs.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
