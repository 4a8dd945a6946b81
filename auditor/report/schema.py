"""The JSON Schemas of what programs may rely on: made from the records, shipped in ``schema/``."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import msgspec

from auditor.records import audit, check, claims, environments, lock
from auditor.records.fingerprint import Fingerprint

FILE = "schema/audit-1.json"
DRIFT = "schema/drift-1.json"
DIALECT = "https://json-schema.org/draft/2020-12/schema"

# File: the type, the schema's name in its documents, and the records that bear it.
DOCUMENTS: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    FILE: (audit.Audit, audit.SCHEMA, ("Audit",)),
    DRIFT: (lock.Drift, lock.DRIFT_SCHEMA, ("Drift",)),
    "schema/check-1.json": (check.CheckReport, check.SCHEMA, ("CheckReport",)),
    "schema/claims-1.json": (claims.ClaimsReport, claims.SCHEMA, ("ClaimsReport",)),
    "schema/comparison-1.json": (environments.EnvironmentComparison, environments.SCHEMA, ("Pair", "Many")),
    "schema/fingerprint-1.json": (Fingerprint, "auditor.fingerprint/1", ("Fingerprint",)),
}


def generate(file: str = FILE) -> str:
    """The schema as indented JSON text with sorted keys, ending with a line break."""
    kind, name, bearers = DOCUMENTS[file]
    schema: dict[str, Any] = msgspec.json.schema(kind)
    schema["$schema"] = DIALECT
    schema["title"] = name
    for bearer in bearers:
        schema["$defs"][bearer]["properties"]["schema"] = {"const": name}
    return json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def shipped(file: str = FILE) -> str:
    """The schema file's text as the package ships it."""
    return resources.files("auditor.report").joinpath(file).read_text(encoding="utf-8")
