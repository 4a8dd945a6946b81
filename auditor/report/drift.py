"""An environment held against a lock, as text: the answer first, then what drifted, and what is not pinned."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence

import msgspec
from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from auditor.records.lock import Deviation, Drift, Target, Unpinned
from auditor.report.wording import plain

NARROWEST = 30
SHOWN = 20
LONGEST_VALUE = 160
KINDS = ("drift", "unknown", "harmless", "extra")
HARMLESS = "Otherwise, and no drift by itself"

_MARKS = {"none": "✓", "drift": "✗", "cannot-be-told": "?"}
_COLOURS = {"none": "green", "drift": "red", "cannot-be-told": "yellow"}
_ASCII = str.maketrans({"✓": "+", "✗": "x", "·": "-", "→": ">", "…": "..."})
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def render_json(drift: Drift) -> str:
    """The record as indented JSON, ending with a line break; valid by ``schema/drift-1.json``."""
    encoded = msgspec.json.encode(drift, order="deterministic")
    return msgspec.json.format(encoded, indent=2).decode("utf-8") + "\n"


def render(drift: Drift, *, width: int = 80, colour: bool = False, ascii_only: bool = False) -> str:
    """The report for a terminal of ``width`` columns (at least 30), ending with a line break."""
    console = Console(
        file=io.StringIO(),
        width=max(width, NARROWEST),
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        legacy_windows=False,
        emoji=False,
        markup=False,
        highlight=False,
        _environ={},
    )
    with console.capture() as captured:
        for part in _parts(drift):
            console.print(part)
    text = "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
    if not ascii_only:
        return text
    return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")


def render_markdown(drift: Drift) -> str:
    """The report as Markdown, ending with a line break; nothing of the environment's own is left unescaped."""
    lines = ["## Environment against its lock", "", f"**{_escaped(headline(drift))}** {_escaped(counted(drift))}."]
    if drift.layers:
        lines += ["", "| layer | locked | as wanted | drifted | not told |", "|---|---:|---:|---:|---:|"]
        lines += [
            f"| {one.name} | {one.locked} | {one.as_wanted} | {one.drifted} | {one.unknown} |" for one in drift.layers
        ]
    for title, kind in (("Drift", "drift"), ("Cannot be told", "unknown"), (HARMLESS, "harmless")):
        found = [one for one in drift.deviations if one.kind == kind]
        if not found:
            continue
        lines += ["", f"### {title}", "", "| fact | wanted | found | bit-exact | why |", "|---|---|---|---|---|"]
        for one in found:
            cells = (f"{one.layer}: {one.name}", _brief(one.wanted), _brief(one.found), effect(one), one.reason)
            lines.append(f"| {' | '.join(_escaped(plain(cell)) for cell in cells)} |")
    extra = [f"{plain(one.name)} {plain(_brief(one.found))}" for one in drift.deviations if one.kind == "extra"]
    if extra:
        more = f" and {len(extra) - SHOWN} more" if len(extra) > SHOWN else ""
        lines += ["", "### Not in the lock", "", f"{_escaped(', '.join(extra[:SHOWN]))}{more}"]
    if drift.unpinned:
        lines += ["", "### Not pinned", ""]
        lines += [f"- {_escaped(unpinned_line(one))}" for one in drift.unpinned]
    return "\n".join(lines) + "\n"


def headline(drift: Drift) -> str:
    """The answer in a sentence."""
    who = _who(drift.target)
    drifted = [one for one in drift.deviations if one.kind == "drift"]
    unknown = [one for one in drift.deviations if one.kind == "unknown"]
    harmless = sum(1 for one in drift.deviations if one.kind == "harmless")
    if drift.verdict == "none":
        aside = f", {'a tool' if harmless == 1 else f'{harmless} tools'} aside" if harmless else ""
        return f"No drift: {who} is as the lock has it{aside}."
    if drift.verdict == "cannot-be-told" and not unknown:
        return f"It cannot be told whether {who} is as it should be: nothing that was held is locked."
    if drift.verdict == "cannot-be-told":
        return f"It cannot be told whether {who} is as the lock has it: {_facts(len(unknown))} not told."
    if not drifted:
        return (
            f"No drift, but not strictly so: {who} has other tools or more than the lock, or something is not pinned."
        )
    if drift.rules_out:
        effect_of_all = f"rules out {' and '.join(drift.rules_out)}"
    elif any(one.risk == "at-risk" for one in drifted):
        effect_of_all = "puts bit-exact at risk"
    else:
        effect_of_all = "rules out no level"
    noun = "1 fact" if len(drifted) == 1 else f"{len(drifted)} facts"
    return f"Drift: {who} differs from the lock in {noun}, which {effect_of_all}."


def counted(drift: Drift) -> str:
    """How much was held against the lock."""
    locked = sum(layer.locked for layer in drift.layers)
    as_wanted = sum(layer.as_wanted for layer in drift.layers)
    skipped = f"; not held: {', '.join(drift.skipped)}" if drift.skipped else ""
    harmless = sum(layer.harmless for layer in drift.layers)
    otherwise = f", {harmless} harmlessly not" if harmless else ""
    return f"{as_wanted} of {locked} locked facts are as wanted{otherwise}{skipped}"


def effect(one: Deviation) -> str:
    """What a deviation does to bit-exactness, in a word or two."""
    if one.kind == "extra":
        return "not locked"
    if one.kind == "unknown":
        return "not told"
    return {"rules-out": "ruled out", "at-risk": "at risk", "irrelevant": "no matter"}[one.risk]


def unpinned_line(one: Unpinned) -> str:
    """Where, what stands there, and what would pin it."""
    said = f"{plain(one.text)}: " if one.text else ""
    return f"{plain(one.file)}:{one.line}  {said}{plain(one.advice)}"


def _parts(drift: Drift) -> Iterable[RenderableType]:
    colour = _COLOURS[drift.verdict]
    yield Text(f"{_MARKS[drift.verdict]} {plain(headline(drift))}", style=f"bold {colour}")
    yield Text(counted(drift), style="dim")
    yield from _layers(drift)
    of_kind = {kind: [one for one in drift.deviations if one.kind == kind] for kind in KINDS}
    yield from _deviations("Drift", of_kind["drift"])
    yield from _not_told(of_kind["unknown"])
    yield from _deviations(HARMLESS, of_kind["harmless"])
    extra = [f"{plain(one.name)} {plain(_brief(one.found))}" for one in of_kind["extra"]]
    yield from _joined("Not in the lock", extra)
    yield from _unpinned(drift.unpinned)


def _layers(drift: Drift) -> Iterable[RenderableType]:
    if not drift.layers:
        return
    table = _grid()
    table.add_column(no_wrap=True)
    for _ in range(4):
        table.add_column(no_wrap=True, justify="right")
    table.add_row(*(Text(head, style="dim") for head in ("", "locked", "as wanted", "drifted", "not told")))
    for one in drift.layers:
        table.add_row(
            Text(one.name, style="bold"),
            Text(str(one.locked)),
            Text(str(one.as_wanted), style="green" if one.as_wanted == one.locked else ""),
            Text(str(one.drifted), style="red" if one.drifted else "dim"),
            Text(str(one.unknown), style="yellow" if one.unknown else "dim"),
        )
    yield Text()
    yield _indented(table)


def _deviations(title: str, found: Sequence[Deviation]) -> Iterable[RenderableType]:
    """What drifted, each group of one reason together."""
    if not found:
        return
    yield Text()
    yield Text(title, style="bold")
    shown: dict[tuple[str, str], list[Deviation]] = {}
    for one in found[:SHOWN]:
        shown.setdefault((effect(one), one.reason), []).append(one)
    for (said, reason), group in shown.items():
        style = {"rules-out": "red", "at-risk": "yellow"}.get(group[0].risk, "dim")
        yield _item(Text.assemble((f"bit-exact {said}: ", style), plain(reason)))
        table = _grid()
        table.add_column(overflow="fold", style="bold")
        for column in ("wanted", "found"):
            table.add_column(Text(column, style="dim"), overflow="fold")
        table.add_row("", Text("wanted", style="dim"), Text("found", style="dim"))
        for one in group:
            table.add_row(Text(plain(one.name)), Text(plain(_brief(one.wanted))), Text(plain(_brief(one.found))))
        yield Padding(table, (0, 0, 0, 4))
    if len(found) > SHOWN:
        yield _indented(Text(f"and {len(found) - SHOWN} more: --format json lists them all", style="dim"))


def _not_told(found: Sequence[Deviation]) -> Iterable[RenderableType]:
    """What could not be read, by the reason."""
    if not found:
        return
    reasons: dict[str, list[str]] = {}
    for one in found:
        reasons.setdefault(plain(_brief(one.found)), []).append(f"{one.layer}: {plain(one.name)}")
    yield Text()
    yield Text("Cannot be told (each rules out a pass)", style="bold")
    for reason, names in list(reasons.items())[:SHOWN]:
        shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        yield _item(Text(f"{shown} ({reason})", style="yellow"))


def _joined(title: str, words: Sequence[str]) -> Iterable[RenderableType]:
    if not words:
        return
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    yield Text()
    yield Text(title, style="bold")
    yield _item(Text(", ".join(words[:SHOWN]) + more, style="dim"))


def _unpinned(found: Sequence[Unpinned]) -> Iterable[RenderableType]:
    if not found:
        return
    yield Text()
    yield Text("Not pinned in the project's own files", style="bold")
    for one in found[:SHOWN]:
        yield _item(Text(f"{plain(one.file)}:{one.line}  {plain(one.text)}".rstrip()))
        yield Padding(Text(plain(one.advice), style="yellow"), (0, 0, 0, 4))
    if len(found) > SHOWN:
        yield _indented(Text(f"and {len(found) - SHOWN} more: --format json lists them all", style="dim"))


def _who(target: Target) -> str:
    match target.kind:
        case "interpreter":
            return f"the environment of {target.name}" if target.name else "this environment"
        case "image":
            return f"the image {target.name}"
        case _:
            return "what standard input gives" if target.name == "-" else target.name


def _facts(count: int) -> str:
    return "1 locked fact is" if count == 1 else f"{count} locked facts are"


def _brief(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _item(text: Text) -> RenderableType:
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row(Text("·", style="dim"), text)
    return _indented(table)


def _grid() -> Table:
    return Table.grid(padding=(0, 2, 0, 0))


def _indented(part: RenderableType) -> RenderableType:
    return Padding(part, (0, 0, 0, 2))


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)
