"""The sentences and figures of comparisons across machines that several formats share, and their JSON."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from auditor.records.environments import (
    Difference,
    EnvironmentComparison,
    Group,
    Many,
    Pair,
    Prospect,
    Risk,
    Separation,
    Together,
)
from auditor.report.wording import counted, plain

PROSPECTS: dict[Prospect, str] = {
    "possible": "can be reached",
    "at-risk": "at risk",
    "ruled-out": "ruled out",
    "unknown": "cannot be told",
}
RISKS: dict[Risk, str] = {
    "rules-out": "Rules bit-exact out",
    "at-risk": "Puts bit-exact at risk",
    "irrelevant": "Differs and does not matter",
}
UNKNOWN = "Matters and is not known"
_LONGEST = 60
_REASON = 300  # characters of a reason that a fingerprint gives
_NOT_KNOWN = "not known: "


class Entry(msgspec.Struct, frozen=True):
    """What one rule says of some facts: each with its values, then the reason and the sources of all of them."""

    rows: tuple[tuple[str, str], ...]
    reason: str
    sources: tuple[str, ...]


def render_json(comparison: EnvironmentComparison) -> str:
    """The comparison as indented JSON, ending with a line break; valid by ``schema/comparison-1.json``."""
    encoded = msgspec.json.encode(comparison, order="deterministic")
    return msgspec.json.format(encoded, indent=2).decode("utf-8") + "\n"


def title(comparison: EnvironmentComparison) -> str:
    """What was compared."""
    if isinstance(comparison, Many):
        return f"{counted(comparison.count, 'environment')}"
    return " against ".join(plain(subject.name) for subject in comparison.subjects)


def entries(differences: Sequence[Difference], risk: Risk) -> tuple[Entry, ...]:
    """The differences of one risk, in their order; a reason that several have is said once, under the first of them."""
    groups: dict[tuple[str, str], list[Difference]] = {}
    for one in differences:
        if one.risk == risk:
            groups.setdefault((one.rule, one.reason), []).append(one)
    return tuple(
        Entry(tuple((plain(one.name), values(one.values)) for one in group), plain(group[0].reason), group[0].sources)
        for group in groups.values()
    )


def separated(separations: Sequence[Separation], risk: Risk) -> tuple[Entry, ...]:
    """What separates groups, as ``entries`` has the differences of two."""
    groups: dict[tuple[str, str], list[Separation]] = {}
    for one in separations:
        if one.risk == risk:
            groups.setdefault((one.rule, one.reason), []).append(one)
    return tuple(
        Entry(tuple((plain(one.name), spread(one)) for one in group), plain(group[0].reason), group[0].sources)
        for group in groups.values()
    )


def unknown_lines(pair: Pair) -> tuple[str, ...]:
    """The facts that matter and are not known of both, by the reason."""
    by_reason: dict[str, list[str]] = {}
    for one in pair.prediction.unknown:
        reasons = [value.removeprefix(_NOT_KNOWN) if value.startswith(_NOT_KNOWN) else "" for value in one.values]
        distinct = "; ".join(dict.fromkeys(plain(reason[:_REASON]) for reason in reasons if reason))
        of = [plain(subject.name) for subject, reason in zip(pair.subjects, reasons, strict=True) if reason]
        who = f" of {of[0]}" if len(of) == 1 else ""
        by_reason.setdefault(f"not known{who} ({distinct})", []).append(plain(one.name))
    return tuple(f"{_few(names)}: {reason}" for reason, names in by_reason.items())


def unknown_of_many(many: Many) -> tuple[str, ...]:
    """The facts that matter and are not known of all, by how many of them lack them."""
    by_count: dict[int, list[str]] = {}
    for one in many.unknown:
        lacking = sum(value.count for value in one.values if value.value.startswith(_NOT_KNOWN))
        by_count.setdefault(lacking, []).append(plain(one.name))
    return tuple(
        f"{_few(names)}: not known of {'any' if lacking == many.count else format(lacking, ',')}"
        for lacking, names in sorted(by_count.items(), reverse=True)
    )


def _few(names: Sequence[str], shown: int = 8) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def values(pair: Sequence[str]) -> str:
    """Two values, the one and the other; of two long lists what only the one and only the other has."""
    lists = [value.split(", ") for value in pair]
    if len(pair) == 2 and all(len(one) > 3 for one in lists) and set(lists[0]) & set(lists[1]):
        ours, theirs = ([part for part in one if part not in set(other)] for one, other in (lists, reversed(lists)))
        return f"only {short(', '.join(ours) or 'none')} → only {short(', '.join(theirs) or 'none')}"
    return " → ".join(short(value) for value in pair)


def spread(one: Separation, shown: int = 4) -> str:
    """The values of a fact with how many environments have each."""
    parts = [f"{short(value.value)} ({value.count:,})" for value in one.values[:shown]]
    if one.distinct > shown:
        parts.append(counted(one.distinct - shown, "more value"))
    return ", ".join(parts)


def short(value: str) -> str:
    """A value on one line that is not too long; without the reason for which it is not known."""
    if value.startswith(_NOT_KNOWN):
        return "not known"
    if value.startswith("none ("):
        return "none"
    # A value may be of any length, and only its beginning is shown.
    text = plain(value[: 2 * _LONGEST])
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def digested(together: Together) -> str:
    """How many steps both audits digested, and how many each."""
    steps = together.digested
    if steps.first == steps.second == steps.both:
        return f"{counted(steps.both, 'step')} in both" if steps.both else "no steps"
    return f"{counted(steps.both, 'step')} in both, of {steps.first:,} in the first and {steps.second:,} in the second"


def run_names(together: Together) -> str:
    """Which run of the comparison is whose."""
    said = []
    for name in dict.fromkeys(together.runs):
        numbers = [str(number) for number, of in enumerate(together.runs, 1) if of == name]
        listed = (
            f"run {numbers[0]} is" if len(numbers) == 1 else f"runs {', '.join(numbers[:-1])} and {numbers[-1]} are"
        )
        said.append(f"{listed} of {plain(name)}")
    return "; ".join(said)


def group_names(group: Group, shown: int = 2) -> str:
    """The names of the first few of a group."""
    names = ", ".join(plain(name) for name in group.members[:shown])
    return names if len(group.members) <= shown else f"{names}, …"


def group_outlook(group: Group) -> str:
    """What a group allows together with the first one."""
    return "" if group.number == 1 else PROSPECTS[group.levels["bit-exact"].prospect]


def odd_sentence(many: Many, shown: int = 6) -> str:
    """Who stands alone beside a large group; empty where nobody does."""
    if not many.odd:
        return ""
    names = [plain(many.groups[number - 1].members[0]) for number in many.odd]
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return f"Alone beside a group of {len(many.groups[0].members):,}: {', '.join(names[:shown])}{more}."


def is_settled(comparison: EnvironmentComparison) -> bool:
    """Whether audits reached bit-exact together, so that what put it at risk did nothing."""
    levels = comparison.together
    if isinstance(levels, Together):
        levels = levels.levels
    return levels is not None and levels["bit-exact"].verdict == "reached"


def settled_sentence(entries: Sequence[Entry]) -> str:
    """How many facts put a level at risk that was reached all the same."""
    count = sum(len(entry.rows) for entry in entries)
    verb = "puts bit-exact at risk, and changed" if count == 1 else "put bit-exact at risk, and changed"
    return f"{counted(count, 'fact')} that {verb} nothing here (--all shows {'it' if count == 1 else 'them'})."


def hidden_sentence(count: int) -> str:
    """How many differences are not shown."""
    verb = "differs and does not matter" if count == 1 else "differ and do not matter"
    return f"{counted(count, 'fact')} more {verb} (--all shows them)."
