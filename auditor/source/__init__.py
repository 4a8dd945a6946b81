"""What the rules read: Python modules with their names resolved, and the files that pin an environment."""

from auditor.source.documents import Document, Kind
from auditor.source.module import ABSENT, HIDDEN, UNKNOWN, Call, Edit, Module

__all__ = ["ABSENT", "HIDDEN", "UNKNOWN", "Call", "Document", "Edit", "Kind", "Module"]
