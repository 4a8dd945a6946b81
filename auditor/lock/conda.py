"""The environment files of conda: which of their dependencies leave open what will be installed."""

from __future__ import annotations

import re
from collections.abc import Mapping

import yaml
from packaging.utils import canonicalize_name

from auditor.lock import requirements
from auditor.records.lock import Unpinned

_EXACT = re.compile(r"[A-Za-z0-9_.!+-]+\Z")
_SPEC = re.compile(r"([A-Za-z0-9_.-]+)([=<>!~]*)(.*)")
_BRACKET = re.compile(r"\[.*\]")
_EXACT_IN_BRACKET = re.compile(r"version\s*=\s*[\"']?(==)?[0-9][A-Za-z0-9_.!+-]*[\"']?\s*[,\]]")


def unpinned_in_environment(
    text: str,
    file: str = "environment.yml",
    installed: Mapping[str, str] = {},
) -> tuple[Unpinned, ...]:
    """The entries of ``dependencies`` that are not pinned, those for pip among them.

    What is no YAML is ``unreadable``. A file without a list of that name is none of conda's, and has nothing to say.
    """
    try:
        # Composed, not constructed: nodes know their line, and no alias is ever expanded.
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        return (Unpinned(file, line, "unreadable", "", f"it is no YAML ({error.problem or error.context})"),)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else "it is no YAML"
        return (Unpinned(file, 1, "unreadable", "", why),)
    found: list[Unpinned] = []
    for entry in _items(_value(root, "dependencies")):
        line = entry.start_mark.line + 1
        if isinstance(entry, yaml.ScalarNode):
            advice = judge(entry.value, installed)
            if advice is not None:
                found.append(Unpinned(file, line, "distribution", requirements.shown(entry.value), advice))
            continue
        for inner in _items(_value(entry, "pip")):
            if isinstance(inner, yaml.ScalarNode):
                for one in requirements.unpinned_in_requirements(inner.value, file, installed):
                    line = inner.start_mark.line + one.line
                    found.append(Unpinned(file, line, one.kind, one.text, one.advice))
    return tuple(found)


def judge(text: str, installed: Mapping[str, str] = {}) -> str | None:
    """What would pin a package as conda names it (``channel::name=version=build``), or None where it is pinned.

    Pinned are a version with a build, ``==`` and a version, and one ``=`` with three numbers or more: ``=1.2`` is any
    1.2.x to conda. Source: https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-search.html
    """
    spec = text.strip().rpartition("::")[2]
    name, _, after = spec.partition(" ")
    bracket = _BRACKET.search(spec)
    # An address or a file names one package; a version after a space, as conda lists them, is exact.
    if not spec or "/" in name or (bracket is None and _EXACT.match(after.split(" ")[0])):
        return None
    if bracket is not None and _EXACT_IN_BRACKET.search(bracket[0]):
        return None
    parts = _SPEC.match("".join(spec.split()))
    if parts is None:
        return None
    name, sign, rest = parts.groups()
    version, equals, build = rest.partition("=")
    if sign == "==" and _EXACT.match(rest):
        return None
    if sign == "=" and _EXACT.match(version):
        exact = "*" not in build if equals else len(version.split(".")) >= 3
        if exact:
            return None
    return f"pin: {name}=={installed.get(canonicalize_name(name)) or '<version>'}"


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if isinstance(name, yaml.ScalarNode) and name.value == key:
                return value
    return None


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return node.value if isinstance(node, yaml.SequenceNode) else []
