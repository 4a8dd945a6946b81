"""What the environment was: facts by layer, each with its source and a value or the reason for its absence."""

from __future__ import annotations

import msgspec

LAYERS = ("interpreter", "libraries", "cuda", "hardware", "os", "run")


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is", tag="known"):
    """A fact that was read: its value and where it came from (``sys.version_info``, ``/proc/cpuinfo`` …)."""

    value: str | int | float | bool | tuple[str, ...]
    source: str


class Unknown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is", tag="unknown"):
    """A fact that could not be read, and why."""

    reason: str


Fact = Known | Unknown


class Fingerprint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``fingerprint.json``: ``schema`` is ``auditor.fingerprint/1``; each layer maps a fact's name to the fact."""

    schema: str
    layers: dict[str, dict[str, Fact]]
