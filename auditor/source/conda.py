"""Environment files of conda: their packages, those for pip among them, each with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

from auditor.source.requirements import Requirement, requirement_of

_EXACT = re.compile(r"[A-Za-z0-9_.!+-]+\Z")
_SPEC = re.compile(r"([A-Za-z0-9_.-]+)([=<>!~]*)(.*)")
_BRACKET = re.compile(r"\[.*\]")
_EXACT_IN_BRACKET = re.compile(r"version\s*=\s*[\"']?(==)?[0-9][A-Za-z0-9_.!+-]*[\"']?\s*[,\]]")


class Package(NamedTuple):
    """One package as conda names it (``channel::name=version=build``); ``specifier`` is what follows the name."""

    line: int
    name: str
    specifier: str

    @property
    def pinned(self) -> bool:
        """Whether it names one version.

        That is ``==`` and a version, a version with a build, or one ``=`` with three numbers: ``=1.2`` is any 1.2.x to
        conda. Source: https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-search.html
        """
        bracket = _BRACKET.search(self.specifier)
        if bracket is not None:
            return bool(_EXACT_IN_BRACKET.search(bracket[0]))
        # A version after a space, as conda lists them, is exact.
        if self.specifier[:1] == " " and _EXACT.match(self.specifier.strip().split(" ")[0]):
            return True
        parts = _SPEC.match(f"x{''.join(self.specifier.split())}")
        sign, rest = ("", "") if parts is None else (parts[2], parts[3])
        version, equals, build = rest.partition("=")
        if sign == "==":
            return bool(_EXACT.match(rest))
        if sign != "=" or not _EXACT.match(version):
            return False
        return "*" not in build if equals else version.count(".") >= 2

    @property
    def minor(self) -> bool:
        """Whether it names at least a minor version (``=3.11``), as far as a release series of Python is one."""
        return self.pinned or bool(re.match(r"\s*={1,2}\s*\d+\.\d+", self.specifier))


def package_of(text: str, line: int) -> Package | None:
    """Parse one package; None for an address, a file or what holds a variable."""
    spec = text.strip().rpartition("::")[2]
    found = re.match(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", spec)
    if found is None or "/" in spec or "$" in spec or "{" in spec or spec.endswith((".conda", ".tar.bz2")):
        return None
    return Package(line, found[0], spec[found.end() :])


def packages(text: str) -> Iterator[Package | Requirement]:
    """The entries of ``dependencies``, in order: conda's packages, and the requirements below ``pip``.

    Empty where the text is no YAML or has no such list: then it is no environment file of conda.
    """
    try:
        # Composed, not constructed: nodes know their line, and no alias is ever expanded.
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return
    for entry in _items(_value(root, "dependencies")):
        if isinstance(entry, yaml.ScalarNode):
            package = package_of(entry.value, entry.start_mark.line + 1)
            if package is not None:
                yield package
        for inner in _items(_value(entry, "pip")):
            if isinstance(inner, yaml.ScalarNode):
                requirement = requirement_of(inner.value, inner.start_mark.line + 1)
                if requirement is not None:
                    yield requirement


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value == key:
                return value
    return None


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []
