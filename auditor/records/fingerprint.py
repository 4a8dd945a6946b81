"""What the environment was: facts by layer, each with its source and a value or the reason for its absence."""

from __future__ import annotations

from typing import Annotated

import msgspec

SCHEMA = "auditor.fingerprint/1"

LAYERS = ("interpreter", "libraries", "cuda", "hardware", "os", "run")


Text = Annotated[str, msgspec.Meta(min_length=1)]
"""A text that says something: what is not known has a reason, and no fact is an empty string."""


class Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is", tag="known"):
    """A fact that was read: its value and where it came from (``sys.version_info``, ``/proc/cpuinfo`` …)."""

    value: Text | int | float | bool | tuple[str, ...]
    source: Text


class Unknown(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="is", tag="unknown"):
    """A fact that could not be read, and why."""

    reason: Text


Fact = Known | Unknown


class Fingerprint(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``fingerprint.json``: ``schema`` is ``auditor.fingerprint/1``; each layer maps a fact's name to the fact."""

    schema: str
    layers: dict[str, dict[str, Fact]]
