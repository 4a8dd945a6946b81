"""A fingerprint as text: layer by layer, what is known first, and why the rest is not."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

import msgspec

from auditor.records.fingerprint import LAYERS, Fact, Fingerprint, Known, Unknown
from auditor.report.wording import plain

WIDTH = 100
_NARROWEST = 40
_OBJECT = "object:"


def render_json(fingerprint: Fingerprint) -> str:
    """``fingerprint.json``: indented, keys in the record's order, ending with a line break."""
    return msgspec.json.format(msgspec.json.encode(fingerprint), indent=2).decode() + "\n"


def render(fingerprint: Fingerprint, *, width: int = WIDTH) -> str:
    """The fingerprint for a screen of ``width`` columns (at least 40), the same under any locale and hash seed."""
    lines: list[str] = []
    columns = max(width, _NARROWEST)
    for layer in LAYERS:
        facts = fingerprint.layers.get(layer, {})
        known = {name: fact for name, fact in facts.items() if isinstance(fact, Known)}
        objects = [name for name in known if name.startswith(_OBJECT)]
        if objects:
            # A process has a hundred of them: their builds and digests are for comparing.
            known = {name: fact for name, fact in known.items() if not name.startswith(_OBJECT)}
            known["objects"] = Known(f"{len(objects)} shared objects, each in the JSON form", "")
        lines += ["", layer] if lines else [layer]
        longest = min(max((len(name) for name in known), default=0), columns // 2)
        for name, fact in known.items():
            lines += _wrapped(f"  {plain(name):{longest}}  ", shown(fact), columns)
        for reason, names in _unknown(facts).items():
            lines += _wrapped("  not known: ", f"{', '.join(names)} ({plain(reason)})", columns)
    return "\n".join(lines) + "\n"


def shown(fact: Known) -> str:
    """A known fact's value in words."""
    value = fact.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(plain(part) for part in value) or "none"
    return plain(str(value))


def _unknown(facts: dict[str, Fact]) -> dict[str, list[str]]:
    """The names of the facts that are not known, by the reason."""
    reasons: dict[str, list[str]] = {}
    for name, fact in facts.items():
        if isinstance(fact, Unknown):
            reasons.setdefault(fact.reason, []).append(plain(name))
    return reasons


def _wrapped(head: str, text: str, columns: int) -> Iterable[str]:
    return textwrap.wrap(
        text,
        columns,
        initial_indent=head,
        subsequent_indent=" " * min(len(head), columns // 2),
        break_on_hyphens=False,
        drop_whitespace=True,
    ) or [head.rstrip()]
