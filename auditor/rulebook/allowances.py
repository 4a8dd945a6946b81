"""Comments that allow a rule on a line: ``# auditor: allow[rule-id] reason``."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Collection, Iterable, Iterator
from difflib import get_close_matches

from auditor.records.check import Remark

_COMMENT = re.compile(r"#\s*auditor:\s*allow\[([^\]]*)\]")


class Allowances:
    """The allowances of one file; one on a line of its own speaks for the next line of code."""

    def __init__(self, path: str, text: str, kind: str) -> None:
        self._path = path
        self._lines: dict[int, dict[str, bool]] = {}  # by line that is spoken for: rules, and whether one was met
        self._written: dict[tuple[int, str], int] = {}
        if "auditor:" not in text:
            return
        lines = text.split("\n")
        for number, comment in _comments(text, kind):
            found = _COMMENT.search(comment)
            if found is None:
                continue
            line = number
            if lines[number - 1].lstrip().startswith("#"):
                line = next((at for at in range(number + 1, len(lines) + 1) if _code(lines[at - 1])), number)
            for rule in found[1].split(","):
                self._lines.setdefault(line, {})[rule.strip()] = False
                self._written[line, rule.strip()] = number

    def allow(self, rule: str, first: int, last: int) -> bool:
        """Whether a rule is allowed on one of these lines; the allowance counts as used."""
        allowed = False
        for line in range(first, last + 1):
            if rule in self._lines.get(line, ()):
                self._lines[line][rule] = allowed = True
        return allowed

    def lines(self) -> tuple[tuple[str, int], ...]:
        """Which rule is allowed on which line of code."""
        return tuple((rule, line) for line, rules in self._lines.items() for rule in rules)

    def unused(self, known: Collection[str], seen: Collection[str]) -> Iterator[Remark]:
        """The allowances that nothing used, and those for rules that there are not.

        Whether one of a rule that is not in ``seen`` is used does not show in the source.
        """
        for line, rules in self._lines.items():
            for rule, used in rules.items():
                at = self._written[line, rule]
                if rule not in known:
                    yield Remark("unknown-rule", f"allow[{rule}] names no rule{near(rule, known)}", self._path, at)
                elif not used and rule in seen:
                    yield Remark("unused-allowance", f"allow[{rule}] allows nothing here", self._path, at)


def near(word: str, known: Iterable[str]) -> str:
    """``; did you mean …?``, or nothing where nothing is like it."""
    found = get_close_matches(word, known, n=1)
    return f"; did you mean {found[0]}?" if found else ""


def _code(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _comments(text: str, kind: str) -> Iterator[tuple[int, str]]:
    if kind != "python":
        for number, line in enumerate(text.split("\n"), 1):
            if "#" in line:
                yield number, line[line.index("#") :]
        return
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        return
