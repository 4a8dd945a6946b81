"""``audit.json`` as text: the audit itself, its keys in a stable order."""

from __future__ import annotations

import msgspec

from auditor.records.audit import Audit


def render(audit: Audit) -> str:
    """The audit as indented JSON, ending with a line break; valid by ``schema/audit-1.json``."""
    # Seeds are numbers, which JSON has no keys of.
    encoded = msgspec.json.encode(msgspec.to_builtins(audit, str_keys=True, order="deterministic"))
    return msgspec.json.format(encoded, indent=2).decode("utf-8") + "\n"
