"""The pages of the rules, made from their files: ``auditor explain RULE`` prints one, ``docs/rules/`` holds all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import fill

from auditor.rule import Check, Example
from auditor.rulebook.checking import check_texts

_LANGUAGES = {
    "python": "python",
    "requirements": "text",
    "pyproject": "toml",
    "environment": "yaml",
    "dockerfile": "dockerfile",
}
_NAMES = {
    "python": "train.py",
    "requirements": "requirements.txt",
    "pyproject": "pyproject.toml",
    "environment": "environment.yml",
    "dockerfile": "Dockerfile",
}
_CONFIDENCE = {
    "high": "right in nine of ten sightings or more",
    "medium": "right more often than not",
    "possible": "shown on request only: it may well be no flaw",
}
_FIXES = {"safe": "by `--fix`", "unsafe": "by `--fix --unsafe`", "": "by hand"}


def page(check: Check) -> str:
    """The page of a rule as Markdown."""
    rule = check.rule
    parts = [
        f"# {rule.id}",
        f"{rule.title}.",
        "\n".join(
            (
                f"- endangers: {rule.level} ({rule.severity})",
                f"- confidence: {rule.confidence}, {_CONFIDENCE[rule.confidence]}",
                f"- seen in: {' and '.join(senses(check))}",
                f"- mended: {_FIXES[fixable(check)]}",
                f"- topic: {rule.topic}; since {rule.since}",
            )
        ),
        _wrapped(rule.why),
        _example("Bad", rule.bad[0]),
        _example("Good", rule.good[0]),
        f"**What to do.** {_wrapped(rule.remedy, first=16)}",
        _wrapped(
            f"Where it is meant: `# auditor: allow[{rule.id}] reason` at the end of the line or on a line of its own "
            "before it."
        ),
        "Sources:\n\n" + "\n".join(f"- <{source}>" for source in rule.sources),
    ]
    return "\n\n".join(parts) + "\n"


def index(checks: Iterable[Check], labelled: Mapping[str, Sequence[bool]]) -> str:
    """The list of all rules as Markdown, by topic; ``labelled`` says of each finding that was read if it was right."""
    rows = "\n".join(
        f"| [{check.rule.id}]({check.rule.id}.md) | {check.rule.title} | {check.rule.topic} | {check.rule.level} "
        f"| {check.rule.severity} | {check.rule.confidence} | {_right(labelled.get(check.rule.id, ()))} "
        f"| {', '.join(senses(check))} | {fixable(check) or '-'} |"
        for check in _by_topic(checks)
    )
    return (
        "# Rules\n\nGenerated from the files in `checks/`; `auditor explain RULE` prints a page. How the rulebook is\n"
        "used, and how to write a rule: [checks](../checks.md). *Right* are those of the findings that were read in\n"
        "others' code and are shown without being asked for ([how](../checking.md#how-often-it-is-right)).\n\n"
        f"| rule | what it is | topic | endangers | severity | confidence | right | seen in | fix |\n"
        f"|---|---|---|---|---|---|---|---|---|\n{rows}\n"
    )


def _right(labels: Sequence[bool]) -> str:
    return f"{sum(labels)} of {len(labels)}" if labels else "-"


def listing(checks: Iterable[Check]) -> str:
    """The rules' ids with their titles, by topic, for a screen."""
    lines = []
    topic = ""
    for check in _by_topic(checks):
        if check.rule.topic != topic:
            topic = check.rule.topic
            lines.append(f"  {topic}")
        lines.append(f"    {check.rule.id:<36} {check.rule.title}")
    return "\n".join(lines) + "\n"


def senses(check: Check) -> tuple[str, ...]:
    """What a rule is seen in: the source, files that pin the environment, the run."""
    told = (("source", check.source), ("environment files", check.document), ("run", check.run))
    return tuple(name for name, sense in told if sense is not None)


def fixable(check: Check) -> str:
    """How what a rule finds in its own bad examples is mended: ``safe``, ``unsafe``, or empty for by hand."""
    fixes = {
        flaw.fix
        for example in check.rule.bad
        for flaw in check_texts({**example.beside, _name(example): example.code}, possible=True).flaws
        if flaw.rule == check.rule.id
    }
    return "safe" if "safe" in fixes else "unsafe" if "unsafe" in fixes else ""


def _by_topic(checks: Iterable[Check]) -> list[Check]:
    return sorted(checks, key=lambda check: (check.rule.topic, check.rule.id))


def _name(example: Example) -> str:
    return example.name or _NAMES[example.kind]


def _example(title: str, example: Example) -> str:
    named = f" (`{example.name}`)" if example.name else ""
    return f"## {title}{named}\n\n```{_LANGUAGES[example.kind]}\n{example.code.rstrip()}\n```"


def _wrapped(text: str, first: int = 0) -> str:
    return fill(" " * first + text, width=80, break_long_words=False, break_on_hyphens=False).strip()
