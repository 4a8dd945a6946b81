"""The sentences of a check that several formats share, and its JSON."""

from __future__ import annotations

from collections import Counter

import msgspec

from auditor.records.check import CheckReport, Flaw, Remark
from auditor.report.wording import counted, plain

FIXES = {"safe": "--fix mends it", "unsafe": "--fix --unsafe mends it", None: ""}


def render_json(report: CheckReport) -> str:
    """The report as indented JSON, ending with a line break; valid by ``schema/check-1.json``."""
    encoded = msgspec.json.encode(report, order="deterministic")
    return msgspec.json.format(encoded, indent=2).decode("utf-8") + "\n"


def summary(report: CheckReport) -> str:
    """What was found, in one line: flaws, files, what is allowed and hidden, and what can be mended by itself."""
    if not report.files:
        return "There was no file to check."
    files = counted(report.files, "file")
    parts = [f"No flaw in {files}"]
    if report.flaws:
        bearing = len({flaw.spot.file for flaw in report.flaws})
        parts = [f"{counted(len(report.flaws), 'flaw')} in {bearing:,} of {files}"]
    if report.fixed:
        parts.append(f"{report.fixed:,} mended")
    if report.allowed:
        parts.append(f"{report.allowed:,} allowed")
    if report.possible:
        parts.append(f"{report.possible:,} only possible (--all shows {'it' if report.possible == 1 else 'them'})")
    fixes = Counter(flaw.fix for flaw in report.flaws)
    if fixes["safe"]:
        parts.append(f"--fix mends {fixes['safe']:,}")
    if fixes["unsafe"]:
        many = f"{fixes['unsafe']:,}"
        parts.append(f"--fix --unsafe {many} more" if fixes["safe"] else f"--fix --unsafe mends {many}")
    return f"{'; '.join(parts)}."


def where(flaw: Flaw) -> str:
    """Line and column, after the cell in a notebook."""
    spot = flaw.spot
    cell = f"cell {spot.cell}, " if spot.cell is not None else ""
    return f"{cell}{spot.line}:{spot.column}"


def remark_line(remark: Remark) -> str:
    """A remark with the place that it is about."""
    cell = f", cell {remark.cell}" if remark.cell is not None else ""
    line = f":{remark.line}" if remark.line is not None and not cell else ""
    line = f"{cell}, line {remark.line}" if cell and remark.line is not None else cell or line
    return f"{plain(remark.file)}{line}: {plain(remark.message)}"
