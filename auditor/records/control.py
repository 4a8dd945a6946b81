"""Controls: what a level demands to be held fixed, and whether the runs of an audit show that it was."""

from __future__ import annotations

from typing import Literal

import msgspec

Held = Literal["controlled", "not-controlled", "not-applicable", "unknown"]


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that a level demands to be held fixed.

    ``demanded_by`` gives for each level that demands it the reason in a clause: ``bit-exact`` on one machine,
    ``seed-stable`` on another one, ``distribution-stable`` over seeds. ``observed`` is what the traces show, in words,
    or why they do not tell.
    """

    name: str
    demanded_by: dict[Literal["bit-exact", "seed-stable", "distribution-stable"], str]
    observed: str
    verdict: Held
