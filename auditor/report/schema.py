"""The JSON Schema of ``audit.json``: made from the record, shipped as ``schema/audit-1.json``."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import msgspec

from auditor.records.audit import SCHEMA, Audit

FILE = "schema/audit-1.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def generate() -> str:
    """The schema as indented JSON text with sorted keys, ending with a line break."""
    schema: dict[str, Any] = msgspec.json.schema(Audit)
    schema["$schema"] = DIALECT
    schema["title"] = SCHEMA
    audit = schema["$defs"]["Audit"]
    audit["properties"]["schema"] = {"const": SCHEMA}
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def shipped() -> str:
    """The schema file's text as the package ships it."""
    return resources.files("auditor.report").joinpath(FILE).read_text(encoding="utf-8")
