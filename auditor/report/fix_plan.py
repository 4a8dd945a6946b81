"""The remedies of an audit as one file: what to do in words, and a unified diff of what is mechanical."""

from __future__ import annotations

from auditor.records.audit import Audit
from auditor.report.wording import cause_title, plain

_SEVERAL = (
    "# Each diff is against the files as they are: patch -p1 takes one after the other, or apply one and audit again.\n"
)


def render(audit: Audit) -> str:
    """Text that ``git apply`` and ``patch -p1`` take: they pass over the lines before each diff.

    A file that two remedies change has two diffs; each is against the file as it was.
    """
    if not audit.causes:
        why = "no cause was found" if audit.diagnosis is not None else "the runs do not differ, or it was not asked why"
        return f"There is no remedy: {why}.\n"
    parts = []
    for cause in audit.causes:
        lines = [f"# {cause_title(cause)}"]
        if cause.remedy:
            lines.append(f"# {plain(cause.remedy)}")
        parts.append("\n".join(lines) + "\n" + cause.diff)
    several = sum(bool(cause.diff) for cause in audit.causes) > 1
    return (_SEVERAL if several else "") + "\n".join(parts)
