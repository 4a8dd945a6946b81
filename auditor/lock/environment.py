"""The other layers of a lock: ``environment.toml``, a commented file of values and ranges of versions."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import tomlkit
from packaging.specifiers import SpecifierSet

from auditor.lock import toml
from auditor.records.fingerprint import LAYERS, Fact, Fingerprint, Known, Unknown
from auditor.records.lock import LOCK_SCHEMA, Exactly, LeftOut, Value, Within, unidentified

WIDTH = 100

LOCKED: Mapping[str, tuple[str, ...]] = {
    "interpreter": ("implementation", "version", "flag:optimize", "variable:*"),
    "libraries": ("torch:git", "torch:mkl", "torch:mkldnn", "torch:openmp", "switch:*", "loaded:*"),
    "cuda": ("cuda", "hip", "cudnn", "driver", "loaded-version:*"),
    "hardware": (
        "cpu",
        "vector-extensions",
        "cores",
        "dispatch",
        "dispatch:*",
        "threads",
        "threads:*",
        "gpu",
        "gpu:architecture",
        "gpu:multiprocessors",
        "gpu:ecc",
        "gpu:mig",
    ),
    "os": ("machine", "libc", "libc:build-id", "libm:build-id"),
}
"""What a lock may hold of each layer, by patterns: what every description of one environment agrees in.

Not the memory of a device, which the driver and CUDA count otherwise, nor what belongs to one process or to one run.
"""

_OPERATORS = ("<", ">", "=", "!", "~")
_HEADER = (
    "Written by `auditor lock`; `auditor verify` holds an environment against it.",
    "A text that begins with ==, !=, <, <=, >, >= or ~= is a range of versions (PEP 440): any value may be",
    "widened by hand, or its line removed. Every other value has to be found as it stands here.",
)
_VARIABLES = (
    "Variables by which libraries choose how to compute are locked as well: one that is set and not here is drift."
)


def write(
    described: Fingerprint,
    left_out: Sequence[LeftOut],
    why: Callable[[str, str], str | None],
    of_a_process: Iterable[str] = (),
) -> str:
    """The text of an ``environment.toml`` for what was described.

    ``why`` gives the reason for which a fact decides a level (layer, name), None where it decides none and need not be
    locked. ``left_out`` are the distributions whose versions are not in ``pylock.toml``: they are written here.
    ``of_a_process`` names variables that belong to one process, and are not locked. What is not known is left out, and
    the file says so.
    """
    document = tomlkit.document()
    for line in _HEADER:
        document.add(tomlkit.comment(line))
    document.add(tomlkit.nl())
    document.add("schema", tomlkit.item(LOCK_SCHEMA))
    private = {f"variable:{name}" for name in of_a_process}
    for layer in LAYERS:
        facts = {
            name: fact
            for name, fact in described.layers.get(layer, {}).items()
            if name not in private and any(fnmatchcase(name, pattern) for pattern in LOCKED.get(layer, ()))
        }
        reasons = {name: why(layer, name) for name in facts}
        table = tomlkit.table()
        _add_facts(table, facts, reasons)
        if layer == "interpreter" and facts:
            _comment(table, _VARIABLES)
        if layer == "libraries":
            _add_left_out(table, left_out, described.layers.get(layer, {}), why)
        if len(table.value.body):
            document.add(tomlkit.nl())
            document.add(layer, table)
    return tomlkit.dumps(document)


def read(text: str) -> dict[str, dict[str, Exactly | Within]]:
    """What each fact of each layer has to be; raises toml.Damaged where the text is no such file."""
    fields = toml.parse(text)
    schema = fields.pop("schema", None)
    if schema != LOCK_SCHEMA:
        if isinstance(schema, str) and schema.startswith("auditor.lock/"):
            raise toml.Damaged(f"its schema is {schema[:40]!r}, and this version of the auditor knows {LOCK_SCHEMA!r}")
        raise toml.Damaged(f"it is no lock of the auditor: it does not say schema = {LOCK_SCHEMA!r}")
    found: dict[str, dict[str, Exactly | Within]] = {}
    for layer, table in fields.items():
        if layer not in LAYERS or not isinstance(table, dict):
            raise toml.Damaged(f"there is no layer {layer[:40]!r}: there are {', '.join(LOCKED)}")
        found[layer] = {name: _wanted(f"{layer}.{name[:60]}", value) for name, value in table.items()}
    return found


def is_ours(text: str) -> bool:
    """Whether ``auditor lock`` wrote this ``environment.toml``, in this version or another."""
    try:
        return str(toml.parse(text).get("schema")).startswith("auditor.lock/")
    except toml.Damaged:
        return False


def _add_facts(table: Any, facts: Mapping[str, Fact], reasons: Mapping[str, str | None]) -> None:
    """The known facts, each group of one reason below it; then what is not known."""
    grouped: dict[str, list[str]] = {}
    for name in sorted(facts):
        reason = reasons[name]
        if reason is not None and isinstance(facts[name], Known):
            grouped.setdefault(reason, []).append(name)
    for reason, names in grouped.items():
        _comment(table, reason)
        for name in names:
            fact = facts[name]
            if isinstance(fact, Known):
                table.add(name, _item(fact.value))
    unknown: dict[str, list[str]] = {}
    for name in sorted(facts):
        fact = facts[name]
        if reasons[name] is not None and isinstance(fact, Unknown):
            unknown.setdefault(fact.reason, []).append(name)
    for reason, names in unknown.items():
        _comment(table, f"Left out, not known: {', '.join(names)} ({reason}).")


def _add_left_out(
    table: Any, left_out: Sequence[LeftOut], facts: Mapping[str, Fact], why: Callable[[str, str], str | None]
) -> None:
    """The versions of distributions that ``pylock.toml`` does not give, and their origins where those are known.

    An origin that decides no level is not locked, nor one that ``pylock.toml`` has.
    """
    grouped: dict[str, list[LeftOut]] = {}
    for one in left_out:
        grouped.setdefault(one.reason, []).append(one)
    for reason, distributions in grouped.items():
        _comment(table, f"Installed, and without a version in pylock.toml: {reason}.")
        for one in distributions:
            if one.version:
                table.add(one.name, _item(one.version))
            else:
                _comment(table, f"{one.name} is left out: it names no version.")
            name = f"origin:{one.name}"
            origin = facts.get(name)
            if isinstance(origin, Known) and not one.placed and why("libraries", name) is not None:
                if unidentified(str(origin.value)):
                    _comment(table, f"Which code it is cannot be told: {unidentified(str(origin.value))}.")
                table.add(name, _item(origin.value))


def _comment(table: Any, text: str) -> None:
    # What a fact says is not ours: a line break in it must not end the comment, and TOML forbids control characters.
    printable = "".join(character if character.isprintable() else " " for character in text)
    for line in textwrap.wrap(" ".join(printable.split()), WIDTH - 2):
        table.add(tomlkit.comment(line))


def _item(value: Value) -> Any:
    if isinstance(value, tuple):
        return tomlkit.item(list(value))
    if isinstance(value, str) and value.startswith(_OPERATORS):
        table = tomlkit.inline_table()
        table.add("exactly", value)
        return table
    return tomlkit.item(value)


def _wanted(where: str, value: Any) -> Exactly | Within:
    match value:
        case str() if value.startswith(_OPERATORS):
            try:
                specifier = SpecifierSet(value)
                # Its versions are read where they are compared only, and may have more digits than any number.
                specifier.contains("1")
            except ValueError:
                raise toml.Damaged(f"{where}: {value[:60]!r} is no range of versions (PEP 440)") from None
            return Within(str(specifier))
        case bool() | int() | float() | str():
            return Exactly(value)
        case list() if all(isinstance(one, str) for one in value):
            return Exactly(tuple(value))
        case {"exactly": str() as text} if len(value) == 1:
            return Exactly(text)
    raise toml.Damaged(f"{where} is no text, number, truth value or list of texts")
