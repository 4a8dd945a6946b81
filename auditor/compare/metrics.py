"""Metrics: the numbers that runs report, found in result files or declared by the user."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from auditor.compare import names
from auditor.compare.results import (
    Number,
    Results,
    key,
    largest_difference,
    lines_of,
    parse_number,
    parse_spelled,
    same,
)
from auditor.records.comparison import Metric
from auditor.records.config import MetricRule, Settings

DEFAULT_TOLERANCE = 0.01
IGNORED = "ignored by the user"
_LISTED = 500  # identical numbers of one file that are listed one by one
_KEPT = 1000  # values of a found series that are listed
_TEXT_SHOWN = 40  # characters


@dataclass(frozen=True)
class ResultFile:
    """One result file of every run: the name it goes by, whether its pairing is guesswork, and each run's numbers.

    ``results`` and ``paths`` have one entry per run, None where that run has no such file.
    """

    path: str
    results: tuple[Results | None, ...]
    paths: tuple[str | None, ...]
    guess: bool = False


@dataclass(frozen=True)
class Metrics:
    """The metrics of all runs; how many of them are evidence; what could not be compared; notes."""

    metrics: tuple[Metric, ...]
    evidence: int
    gaps: tuple[str, ...]
    notes: tuple[str, ...]


def tolerance_of(name: str, leaf: str, settings: Settings) -> float:
    """Return the absolute tolerance of a metric: by its name, its leaf, a pattern, ``*``, or the default."""
    exact = settings.tolerances.get(name, settings.tolerances.get(leaf))
    if exact is not None:
        return exact
    for pattern, value in settings.tolerances.items():
        if pattern != "*" and (fnmatchcase(name, pattern) or fnmatchcase(leaf, pattern)):
            return value
    return settings.tolerances.get("*", DEFAULT_TOLERANCE)


def shown(value: Number) -> float | str:
    """Return a number as the records hold it: NaN, infinities and what a double cannot hold exactly as text."""
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    try:
        if float(value) == value:
            return float(value)
        return str(value)
    except (OverflowError, ValueError):
        return "inf" if value > 0 else "-inf"


def _runs(numbers: Iterable[int]) -> str:
    listed = [str(number) for number in numbers]
    return f"run {listed[0]}" if len(listed) == 1 else f"runs {', '.join(listed)}"


def spelled(files: Sequence[ResultFile], settings: Settings) -> tuple[ResultFile, ...]:
    """Return the result files with their texts that spell numbers taken for numbers, where they matter.

    They do where the runs' texts differ or a metric is declared there: JSON holds a number as text where its writer
    did not know the type (``"0.7543"``, ``"tensor(0.75)"``). Equal texts stay texts, which are no evidence.
    """
    rules = [rule for rule in settings.metrics if rule.source != "output"]
    changed = []
    for file in files:
        present = [one for one in file.results if one is not None]
        wanted: set[str] = set()
        for leaf in dict.fromkeys(leaf for one in present for leaf in one.words):
            texts = [one.words.get(leaf, []) for one in present]
            differ = any(one != texts[0] for one in texts[1:])
            asked = any(file_rule(rule.pattern, file.path, leaf) for rule in rules)
            if (differ or asked) and any(parse_spelled(text) is not None for one in texts for text in one):
                wanted.add(leaf)
        results = tuple(None if one is None else _with_spelled(one, wanted) for one in file.results)
        changed.append(ResultFile(file.path, results, file.paths, file.guess))
    return tuple(changed)


def _with_spelled(results: Results, leaves: set[str]) -> Results:
    numbers = dict(results.numbers)
    for leaf in leaves:
        found = [parse_spelled(text) for text in results.words.get(leaf, [])]
        values = [value for value in found if value is not None]
        if values:
            numbers[leaf] = [*numbers.get(leaf, []), *values]
    return Results(numbers, results.words, results.places, results.problem)


def found(
    files: Sequence[ResultFile], runs: Sequence[int], settings: Settings, declared: set[tuple[str, str]]
) -> Metrics:
    """Return the numeric leaves of the result files of all runs, compared.

    A number whose name says that it measures time or the machine decides nothing, but only if it differs. Those in
    ``declared`` (file, leaf) are left to the metrics declared by the user.
    """
    metrics: list[Metric] = []
    gaps: list[str] = []
    notes: list[str] = []
    evidence = 0
    for file in files:
        present = [one for one in file.results if one is not None]
        echo = names.echoes_input(file.path)
        identical = 0
        for leaf in dict.fromkeys(leaf for one in present for leaf in one.numbers):
            if (file.path, leaf) in declared:
                continue
            metric = _found_leaf(file, leaf, runs, settings)
            if metric.problem and not metric.volatile:
                gaps.append(f"{metric.name}: {metric.problem}")
            elif not metric.volatile and not echo:
                evidence += 1
            if metric.identical and not metric.volatile:
                identical += 1
                if identical > _LISTED:
                    continue
            metrics.append(metric)
        if identical > _LISTED:
            notes.append(f"{file.path}: {identical - _LISTED} more identical numbers are not listed")
        metrics.extend(_decided_words(file, settings))
        undecided = [] if echo else _undecided_words(file, settings, declared)
        metrics.extend(undecided)
        gaps.extend(f"{metric.name}: {metric.problem}" for metric in undecided)
    return Metrics(tuple(metrics), evidence, tuple(gaps), tuple(notes))


def _found_leaf(file: ResultFile, leaf: str, runs: Sequence[int], settings: Settings) -> Metric:
    name = f"{file.path}:{leaf}"
    series = [[] if one is None else one.numbers.get(leaf, []) for one in file.results]
    problem = ""
    lacking = [runs[index] for index, one in enumerate(series) if not one]
    if lacking:
        problem = f"it is not in {_runs(lacking)}"
    elif len({len(one) for one in series}) > 1:
        problem = "it has " + ", ".join(f"{len(one)} values in run {runs[i]}" for i, one in enumerate(series))
    elif len({tuple(one.places.get(leaf, ())) for one in file.results if one is not None}) > 1:
        problem = "its values stand at other rows or steps in each run"
    identical = not problem and all(same(series[0], one) for one in series[1:])
    volatile = ""
    decided = names.matches(settings.decide, name, leaf, file.path)
    if not decided:
        if names.matches(settings.ignore, name, leaf, file.path):
            volatile = IGNORED
        elif not identical:
            volatile = names.volatile_reason(leaf)
    if file.guess and not identical and not volatile and not problem:
        problem = "it differs, but its file may not be the same in both runs: the file's name varies"
    return Metric(
        name=name,
        source=file.path,
        declared=False,
        values=tuple(tuple(shown(value) for value in one[-_KEPT:]) for one in series),
        identical=identical,
        max_abs_difference=None if problem else largest_difference(series),
        tolerance=tolerance_of(name, leaf, settings),
        volatile=volatile,
        problem=problem,
    )


def _decided_words(file: ResultFile, settings: Settings) -> list[Metric]:
    """Return the texts that differ and that the user said decide."""
    metrics = []
    present = [one for one in file.results if one is not None]
    for leaf in dict.fromkeys(leaf for one in present for leaf in one.words):
        name = f"{file.path}:{leaf}"
        if not settings.decide or not names.matches(settings.decide, name, leaf):
            continue
        series: list[tuple[float | str, ...]] = [
            () if one is None else tuple(one.words.get(leaf, ())) for one in file.results
        ]
        if len(set(series)) > 1:
            metrics.append(
                Metric(name, file.path, False, tuple(series), False, None, tolerance_of(name, leaf, settings))
            )
    return metrics


def _undecided_words(file: ResultFile, settings: Settings, declared: set[tuple[str, str]]) -> list[Metric]:
    """Return the texts that differ where nothing says that they are none of the results: a label, a choice, a sample.

    Dates, random tokens and temporary directories vary in texts too, and so does what a volatile name calls.
    """
    metrics = []
    present = [one for one in file.results if one is not None]
    for leaf in dict.fromkeys(leaf for one in present for leaf in one.words):
        series = [[] if one is None else one.words.get(leaf, []) for one in file.results]
        if all(one == series[0] for one in series[1:]):
            continue
        name = f"{file.path}:{leaf}"
        if (file.path, leaf) in declared or names.volatile_reason(leaf):
            continue
        if names.matches((*settings.decide, *settings.ignore), name, leaf, file.path):
            continue
        if len({leaf in one.numbers for one in present}) > 1:
            continue  # a number that is not in every run: that is told of it
        # Those that spell numbers are compared as such.
        series = [[text for text in one if parse_spelled(text) is None] for one in series]
        at = _differing_text(leaf, series)
        if at is not None:
            values = tuple(tuple(_cut(text) for text in one[at : at + 1]) for one in series)
            problem = f"its texts differ (first {_first(values)}), and whether they are results cannot be told: "
            problem += "--decide or --ignore it"
            metrics.append(
                Metric(name, file.path, False, values, False, None, tolerance_of(name, leaf, settings), problem=problem)
            )
    return metrics


def _differing_text(leaf: str, series: Sequence[Sequence[str]]) -> int | None:
    """The place of the first text that is another one in some run than in the first, whatever in it may vary."""
    first = series[0]
    found = []
    for other in series[1:]:
        pairs = enumerate(zip(first, other, strict=False))
        at = next((i for i, (a, b) in pairs if a != b and not names.text_varies(leaf, a, b)), None)
        if at is None and len(first) != len(other):
            at = min(len(first), len(other))
        found += [] if at is None else [at]
    return min(found, default=None)


def _first(values: Sequence[Sequence[str]]) -> str:
    return " and ".join(dict.fromkeys(repr(one[0]) if one else "none" for one in values))


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_SHOWN else text[:_TEXT_SHOWN] + "…"


def file_rule(pattern: str, path: str, leaf: str) -> bool:
    """Whether a declared ``GLOB:dotted.path`` or ``dotted.path`` means this leaf of this file."""
    if pattern == leaf or fnmatchcase(leaf, pattern):
        return True
    for position, character in enumerate(pattern):
        if character == ":":
            glob, dotted = pattern[:position], pattern[position + 1 :]
            if (dotted == leaf or fnmatchcase(leaf, dotted)) and names.path_matches(path, glob):
                return True
    return False


def in_files(rule: MetricRule, files: Sequence[ResultFile], run: int) -> tuple[list[Number], set[tuple[str, str]]]:
    """Return what a declared metric is in the result files of a run (by its place), and which leaves it covers."""
    values: list[Number] = []
    covered: set[tuple[str, str]] = set()
    for file in files:
        one, path = file.results[run], file.paths[run]
        if one is None or path is None:
            continue
        for leaf, series in one.numbers.items():
            if file_rule(rule.pattern, path, leaf) or file_rule(rule.pattern, file.path, leaf):
                values.extend(series)
                covered.add((file.path, leaf))
    return values, covered


def in_output(pattern: re.Pattern[str], outputs: Sequence[Path]) -> tuple[list[Number], str]:
    """Return what the first group of each match spells, in order, and the first text that is no number."""
    values: list[Number] = []
    bad = ""
    for path in outputs:
        try:
            for line in lines_of(path):
                for match in pattern.finditer(line):
                    text = match.group(1) if pattern.groups else match.group(0)
                    number = None if text is None else parse_number(text)
                    if number is not None:
                        values.append(number)
                    elif not bad:
                        bad = repr(text)
        except OSError as error:
            bad = bad or f"the output cannot be read ({error.strerror})"
    return values, bad


def declared(
    files: Sequence[ResultFile],
    outputs: Sequence[Sequence[Path]],
    runs: Sequence[int],
    settings: Settings,
    interleaved: bool,
    together: bool = False,
) -> tuple[Metrics, set[tuple[str, str]]]:
    """Return the metrics that the user declared, compared, and which leaves (file, leaf) they cover.

    ``outputs`` are each run's files of output; where several processes write to them (``interleaved``), the order of
    what is found in them is no evidence. Where those train ``together``, no order is needed either: who prints first is
    chance, and what was trained is compared elsewhere. Declared metrics are never volatile. One that matches nothing,
    or not as often in every run, is a gap.
    """
    metrics: list[Metric] = []
    gaps: list[str] = []
    covered: set[tuple[str, str]] = set()
    evidence = 0
    for rule in settings.metrics:
        series: list[list[Number]] = []
        problem = ""
        for index in range(len(runs)):
            if rule.source == "output":
                values, bad = in_output(re.compile(rule.pattern), outputs[index])
                if bad and not problem:
                    problem = f"what its pattern finds in run {runs[index]} is no number: {bad}"
                series.append(values)
            else:
                values, leaves = in_files(rule, files, index)
                covered |= leaves
                series.append(values)
        if not problem and not any(series):
            problem = _nothing(rule, files)
        elif not problem and len({len(one) for one in series}) > 1:
            problem = "it is found " + ", ".join(f"{len(one)} times in run {runs[i]}" for i, one in enumerate(series))
        compared = series
        if interleaved and rule.source == "output":
            compared = [
                sorted(one, key=lambda value: (key(value)[0], value if value == value else 0.0)) for one in series
            ]
            agree = not problem and all(same(compared[0], one) for one in compared[1:])
            if agree and not together and not all(same(series[0], one) for one in series[1:]):
                problem = "its values are the same in another order, and which process printed them is not known"
        metric = Metric(
            name=rule.name,
            source=rule.pattern,
            declared=True,
            values=tuple(tuple(shown(value) for value in one) for one in series),
            identical=not problem and all(same(compared[0], one) for one in compared[1:]),
            max_abs_difference=None if problem else largest_difference(compared),
            tolerance=tolerance_of(rule.name, rule.name, settings),
            problem=problem,
        )
        metrics.append(metric)
        if problem:
            gaps.append(f"metric {rule.name}: {problem}")
        else:
            evidence += 1
    return Metrics(tuple(metrics), evidence, tuple(gaps), ()), covered


def _nothing(rule: MetricRule, files: Sequence[ResultFile]) -> str:
    if rule.source == "output":
        return f"its pattern /{rule.pattern}/ matches nothing in the output of any run"
    known = [f"{file.path}:{leaf}" for file in files for one in file.results if one is not None for leaf in one.numbers]
    known = list(dict.fromkeys(known))
    if not known:
        return f"{rule.pattern} matches nothing: no run wrote a result file with numbers (JSON, CSV, TensorBoard)"
    wanted = rule.pattern.rpartition(":")[2]
    near = difflib.get_close_matches(wanted, [name.rpartition(":")[2] for name in known[:2000]], n=3, cutoff=0.4)
    chosen = [name for name in known if name.rpartition(":")[2] in near][:5] or known[:5]
    more = f" and {len(known) - len(chosen)} more" if len(known) > len(chosen) else ""
    return f"{rule.pattern} matches nothing; the runs wrote {', '.join(chosen)}{more}"
