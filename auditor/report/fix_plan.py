"""The remedies of an audit as one file: what to do in words, and a unified diff of what is mechanical."""

from __future__ import annotations

from auditor.records.audit import Audit
from auditor.report.wording import cause_title, plain


def render(audit: Audit) -> str:
    """Text that ``git apply`` and ``patch -p1`` take: they pass over the lines before each diff.

    A file that two remedies change has two diffs; each is against the file as it was.
    """
    if not audit.causes:
        return "There is nothing to mend: no cause was found.\n"
    parts = []
    for cause in audit.causes:
        lines = [f"# {cause_title(cause)}"]
        if cause.remedy:
            lines.append(f"# {plain(cause.remedy)}")
        parts.append("\n".join(lines) + "\n" + cause.diff)
    return "\n".join(parts)
