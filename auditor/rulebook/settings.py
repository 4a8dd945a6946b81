"""What ``[tool.auditor.check]`` says: which rules are asked, which files are left out, and what is allowed where."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from pathspec import GitIgnoreSpec

from auditor.errors import UsageError
from auditor.rulebook.allowances import near

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "pyproject.toml"
TABLE = "tool.auditor.check"


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table as it is written; ``select`` is None where it says nothing, and every rule is asked."""

    select: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    allow: dict[str, tuple[str, ...]] = {}


class Allowance(NamedTuple):
    """One entry of ``allow``: its pattern, the rules that it allows, and what they are allowed in."""

    pattern: str
    rules: tuple[str, ...]
    spec: GitIgnoreSpec


class Configuration(NamedTuple):
    """The settings of one ``pyproject.toml``; patterns are those of ``.gitignore``, taken from its directory."""

    root: Path
    settings: Settings
    excluded: GitIgnoreSpec
    allowances: tuple[Allowance, ...]

    def excludes(self, path: Path) -> bool:
        """Whether a file, or all of a directory, is left out."""
        return bool(self.settings.exclude) and self._fits(self.excluded, path)

    def allows(self, path: Path) -> tuple[Allowance, ...]:
        """The entries of ``allow`` whose pattern a file fits."""
        return tuple(one for one in self.allowances if self._fits(one.spec, path))

    def _fits(self, spec: GitIgnoreSpec, path: Path) -> bool:
        if self.root not in path.parents:
            return False
        return bool(spec.match_file(path.relative_to(self.root).as_posix()))


class Configurations:
    """Every ``pyproject.toml`` that is met, each read once: a file's is the nearest that speaks of the auditor."""

    def __init__(self, known: Collection[str]) -> None:
        self._known = known
        self._of: dict[Path, Configuration | None] = {}

    def of(self, directory: Path) -> Configuration | None:
        """The configuration of the files in a directory.

        Raises UsageError ``bad-configuration`` or ``unknown-rule``.
        """
        passed = []
        found = None
        for one in (directory, *directory.parents):
            if one in self._of:
                found = self._of[one]
                break
            passed.append(one)
            found = read(one, self._known)
            if found is not None:
                break
        for one in passed:
            self._of[one] = found
        return found

    def all(self) -> list[Configuration]:
        """Those that were met, by directory."""
        found = {one.root: one for one in self._of.values() if one is not None}
        return [found[root] for root in sorted(found)]


def read(directory: Path, known: Collection[str]) -> Configuration | None:
    """What the ``pyproject.toml`` in a directory says of the auditor; None where it says nothing, or is not there."""
    path = directory / FILE
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    if "auditor" not in text:
        return None
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        if f"[{TABLE}" not in text:
            return None  # somebody else's affair
        raise bad(path, f"it is no TOML ({str(error).splitlines()[0][:200] if str(error) else 'unreadable'})") from None
    table = _table(document, path)
    if table is None:
        return None
    try:
        settings = msgspec.convert(table, Settings)
    except msgspec.ValidationError as error:
        raise bad(path, _said(str(error), table)) from None
    check_rules((*(settings.select or ()), *settings.ignore), known, f"{path}: [{TABLE}]")
    for pattern, rules in settings.allow.items():
        check_rules(rules, known, f"{path}: [{TABLE}] allow {pattern!r}")
    allowances = tuple(
        Allowance(pattern, rules, _spec((pattern,), "allow", path)) for pattern, rules in settings.allow.items()
    )
    return Configuration(directory, settings, _spec(settings.exclude, "exclude", path), allowances)


def _table(document: Mapping[str, Any], path: Path) -> Any:
    tool = document.get("tool")
    own = tool.get("auditor") if isinstance(tool, dict) else None
    if own is None:
        return None
    if not isinstance(own, dict):
        raise bad(path, "tool.auditor is no table")
    for key in own:
        if key != "check":
            raise bad(path, f"[tool.auditor] has a key {key!r}, and knows none but check")
    return own.get("check", {})


def _said(error: str, table: Any) -> str:
    """What msgspec says, in the words of the file."""
    what, _, where = error.replace(" | null", "").replace("`object", "`table").partition(" - at `$")
    where = where.rstrip("`").lstrip(".")
    if "unknown field" in what and isinstance(table, dict):
        unknown = next(key for key in table if key not in Settings.__struct_fields__)
        return f"[{TABLE}] has a key {unknown!r}{near(unknown, Settings.__struct_fields__)}"
    return f"[{TABLE}] {where}: {what[:1].lower()}{what[1:]}" if where else f"[{TABLE}]: {what[:1].lower()}{what[1:]}"


def _spec(patterns: Iterable[str], key: str, path: Path) -> GitIgnoreSpec:
    try:
        return GitIgnoreSpec.from_lines(patterns)
    except ValueError as error:
        raise bad(path, f"[{TABLE}] {key}: {error}") from None


def bad(path: Path, what: str) -> UsageError:
    """The error of a configuration that cannot be used."""
    return UsageError("bad-configuration", f"{path}: {what}", "mend it; auditor explain bad-configuration shows one")


def check_rules(rules: Iterable[str], known: Collection[str], where: str) -> None:
    """Raises UsageError ``unknown-rule`` for what is the id of no rule."""
    for rule in rules:
        if rule not in known:
            raise UsageError(
                "unknown-rule", f"{where}: there is no rule {rule!r}", f"auditor explain lists them{near(rule, known)}"
            )
