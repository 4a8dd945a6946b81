"""The rulebook: the files in ``checks/`` and what others add, found, loaded and held to the contract."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType

from auditor.errors import UsageError
from auditor.rule import Check, Rule

ENTRY_POINTS = "auditor.checks"  # each names a module that is a rule's file
_PREFIX = "auditor_checks"
_SENSES = ("source", "document", "run")


@cache
def rulebook() -> dict[str, Check]:
    """Every rule by its id, sorted.

    Raises UsageError ``bad-rule`` for a file that is no rule, is named otherwise than its rule, or has another's id.
    """
    found: dict[str, Check] = {}
    for check in (*own_rules(), *_of_others()):
        if check.rule.id in found:
            raise UsageError("bad-rule", f"two rules have the id {check.rule.id!r}", "remove or rename one of them")
        found[check.rule.id] = check
    return dict(sorted(found.items()))


def own_rules() -> tuple[Check, ...]:
    """The rules that come with auditor, by their files' names. Raises UsageError ``bad-rule``."""
    return tuple(_of_file(path) for path in _files())


def _files() -> list[Path]:
    """The rules' files: in a checkout ``checks/`` beside this package, where it is installed ``auditor_checks/``."""
    home = Path(__file__).parents[2]
    for name in (_PREFIX, "checks"):
        # A directory of the user's own that happens to be called checks has no marker.
        if (home / name / "RULEBOOK").is_file():
            return sorted(path for path in (home / name).glob("*.py") if not path.name.startswith("_"))
    raise UsageError("bad-rule", f"the rulebook is not installed beside {home / 'auditor'}", "install auditor again")


def _of_file(path: Path) -> Check:
    name = f"{_PREFIX}.{path.stem}"
    module = sys.modules.get(name)
    if module is None:
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise UsageError("bad-rule", f"{path} cannot be loaded", "make it a Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    check = _of_module(module, str(path))
    if check.rule.id != path.stem.replace("_", "-"):
        raise UsageError(
            "bad-rule",
            f"{path} holds the rule {check.rule.id!r}",
            f"call the file {check.rule.id.replace('-', '_')}.py",
        )
    return check


def _of_others() -> Iterable[Check]:
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda one: (one.name, one.value)):
        try:
            module = point.load()
        except Exception as error:
            raise UsageError(
                "bad-rule", f"the rule {point.name} ({point.value}) cannot be loaded: {error}", "mend or uninstall it"
            ) from error
        yield _of_module(module, point.value)


def _of_module(module: ModuleType, where: str) -> Check:
    rule = getattr(module, "RULE", None)
    if not isinstance(rule, Rule):
        raise UsageError("bad-rule", f"{where} has no RULE", "define RULE = Rule(…), see docs/checks.md")
    senses = {sense: getattr(module, f"see_{sense}", None) for sense in _SENSES}
    if not any(senses.values()):
        raise UsageError(
            "bad-rule", f"{where} has no sense", "define see_source, see_document or see_run, see docs/checks.md"
        )
    return Check(rule, **senses)
