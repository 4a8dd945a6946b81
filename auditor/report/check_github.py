"""A check as annotations of a change on GitHub: one workflow command for each flaw, as its runner reads them."""

from __future__ import annotations

from auditor.records.check import CheckReport, Flaw, Remark
from auditor.report import check
from auditor.report.wording import plain

# Of a file's name: line breaks have an escape of their own, the rest could act on a terminal.
_CONTROLS = {number: f"\\x{number:02x}" for number in range(32) if chr(number) not in "\r\n"}
_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def render(report: CheckReport) -> str:
    """One line for each flaw and each remark, then the summary.

    Source: GitHub's "Workflow commands for GitHub Actions", "Setting an error message".
    """
    lines = [_flaw(flaw) for flaw in report.flaws] + [_remark(remark) for remark in report.remarks]
    return "".join(f"{line}\n" for line in [*lines, check.summary(report)])


def _flaw(flaw: Flaw) -> str:
    spot = flaw.spot
    message = f"{plain(flaw.message)} (endangers {flaw.level})"
    properties = {"file": spot.file}
    if spot.cell is None:
        properties |= {"line": str(spot.line), "endLine": str(spot.end_line), "col": str(spot.column)}
        if spot.end_line == spot.line:
            properties["endColumn"] = str(spot.end_column)
    else:
        # A line of the notebook's file is none of its cell.
        message = f"{check.where(flaw)}: {message}"
    return _command(_COMMANDS[flaw.severity], {**properties, "title": flaw.rule}, message)


def _remark(remark: Remark) -> str:
    properties = {"file": remark.file}
    if remark.line is not None and remark.cell is None:
        properties["line"] = str(remark.line)
    said = plain(remark.message) if remark.cell is None else f"cell {remark.cell}: {plain(remark.message)}"
    return _command("error" if remark.kind == "fault" else "notice", {**properties, "title": remark.kind}, said)


def _command(name: str, properties: dict[str, str], message: str) -> str:
    given = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {given}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text.translate(_CONTROLS)).replace(":", "%3A").replace(",", "%2C")
