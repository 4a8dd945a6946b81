"""Runs of many seeds: the numbers that each reported, by the same name in all, and what they are held to."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

import msgspec

from auditor.compare import metrics, names
from auditor.compare.artefacts import read_results
from auditor.compare.results import Number, Results, parse_spelled
from auditor.compare.tensors import Unreadable
from auditor.compare.traces import fold
from auditor.records.comparison import ArtefactDifference, Compared, Comparison, Metric
from auditor.records.config import MetricRule, Settings
from auditor.records.distribution import Curves, Margins, Reference
from auditor.records.evidence import RunEvidence
from auditor.records.run import RunRecord
from auditor.records.study import Lost, References, SeedMetric

DRAWS = 20_250_101
"""The seed of every random arrangement, so that a verdict can be computed again."""
MOST_FOUND = 40
"""How many numbers that nobody declared are judged; among more, something differs by chance, or is no result."""
MOST_POINTS = 200
"""At how many points, evenly spread, a longer series is compared."""

THREADS = "OMP_NUM_THREADS"
_LISTED = 5


class Reported(msgspec.Struct, frozen=True):
    """What one seed's run reported: result files by path, and by declared metric what its output holds.

    ``problems`` are files that could not be read, each as ``path: why``.
    """

    seed: int
    files: dict[str, Results]
    output: dict[str, tuple[tuple[Number, ...], str]]
    problems: tuple[str, ...]


class Values(msgspec.Struct, frozen=True):
    """One metric: its ``values`` by seed (of a series the last one), and its name's last part, the ``leaf``.

    ``curves`` are the whole series, none where every seed has one value. ``problem`` says what is missing: a value for
    every seed is what decides.
    """

    name: str
    source: str
    leaf: str
    declared: bool
    values: dict[int, float]
    curves: dict[int, tuple[float, ...]] = {}
    problem: str = ""

    @property
    def length(self) -> int:
        """The largest number of values that a seed has."""
        return max(map(len, self.curves.values()), default=min(1, len(self.values)))


class Gathered(msgspec.Struct, frozen=True):
    """The metrics that decide; names of those that are the same for every seed; what is missing; notes."""

    metrics: tuple[Values, ...]
    constant: tuple[Values, ...] = ()
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


NOTHING = Comparison(Compared(), (), (), (), (), (), False, None)
"""What comparing replicates finds where each seed was run once."""


def group(
    records: Sequence[RunRecord], settings: Settings
) -> tuple[dict[int, tuple[int, ...]], tuple[Lost, ...], tuple[int, ...]]:
    """Which runs stand for each seed, in the order of replicates: by seed the numbers of those that ended well.

    Also the seeds whose runs failed as often as they were tried, and those that are still waiting to be run. Neither
    is among the first, even where another replicate ended well: half a seed is none.
    """
    ended: dict[tuple[int | None, int], list[RunRecord]] = {}
    for record in sorted(records, key=lambda one: one.number):
        ended.setdefault((record.seed, record.replicate), []).append(record)
    groups: dict[int, tuple[int, ...]] = {}
    lost, waiting = [], []
    for seed in settings.seeds:
        numbers = []
        for replicate in range(1, settings.replicates + 1):
            tried = ended.get((seed, replicate), [])
            good = next((one for one in tried if one.ending.status == "ok"), None)
            if good is not None:
                numbers.append(good.number)
                continue
            if tried and tried[-1].attempt > settings.retries:
                lost.append(Lost(seed, replicate, len(tried), _why(tried[-1])))
            else:
                waiting.append(seed)
            break
        else:
            groups[seed] = tuple(numbers)
    return groups, tuple(lost), tuple(waiting)


def _why(record: RunRecord) -> str:
    end = record.ending
    if end.status == "timeout":
        return "ran past its time limit"
    return f"failed ({end.message})" if end.message else "failed"


def missing(lost: Sequence[Lost], waiting: Sequence[int], swept: bool) -> tuple[str, ...]:
    """What is missing of the seeds themselves, in words."""
    said = []
    for one in lost:
        times = f"in all of {one.attempts} attempts" if one.attempts > 1 else "in its only attempt"
        which = f" (replicate {one.replicate})" if one.replicate > 1 else ""
        said.append(f"seed {one.seed}{which} {one.why} {times}")
    noun = "there are no results" if swept else "it has not been run"
    return (*said, *(f"seed {seed}: {noun}" for seed in waiting))


def notes(records: Sequence[RunRecord]) -> tuple[str, ...]:
    """What is worth knowing of how the seeds were run: what took several attempts, and what was set for them."""
    said = []
    for record in records:
        if record.attempt > 1 and record.ending.status == "ok":
            said.append(f"seed {record.seed} ended well in attempt {record.attempt} only (run {record.number})")
        if record.lost:
            times = "once" if record.lost == 1 else f"{record.lost} times"
            said.append(
                f"the worker of run {record.number} (seed {record.seed}) was lost {times}, and the run repeated"
            )
    threads = sorted({record.imposed[THREADS] for record in records if THREADS in record.imposed})
    if threads:
        said.append(
            f"{THREADS} was set to {' or '.join(threads)} for the runs, several of which went at a time: that may "
            "change the last digits of results; set it yourself to have it left alone"
        )
    return tuple(said)


def together(replicated: Mapping[int, Comparison]) -> Comparison:
    """What comparing the replicates of each seed found, in one: the earliest seed's divergence first."""
    if not replicated:
        return NOTHING
    found: dict[str, Metric] = {}
    artefacts: dict[str, ArtefactDifference] = {}
    for comparison in replicated.values():
        for metric in comparison.metrics:
            known = found.get(metric.name)
            found[metric.name] = metric if known is None else _joined(known, metric)
        for artefact in comparison.artefacts:
            if artefact.outcome != "identical":
                artefacts.setdefault(artefact.path, artefact)
    several = replicated.items()
    return Comparison(
        compared=fold([one.compared for one in replicated.values()]),
        divergences=tuple(divergence for _, one in several for divergence in one.divergences),
        metrics=tuple(found.values()),
        artefacts=tuple(artefacts.values()),
        gaps=tuple(f"seed {seed}: {gap}" for seed, one in several for gap in one.gaps),
        notes=tuple(dict.fromkeys(f"seed {seed}: {note}" for seed, one in several for note in one.notes)),
        handshake=all(one.handshake for one in replicated.values()),
        identical_until=None,
    )


def _joined(one: Metric, other: Metric) -> Metric:
    differences = [one.max_abs_difference, other.max_abs_difference]
    known = [difference for difference in differences if difference is not None]
    return msgspec.structs.replace(
        one,
        values=one.values + other.values,
        identical=one.identical and other.identical,
        max_abs_difference=max(known) if len(known) == 2 else None,
        volatile=one.volatile and other.volatile,
        problem=one.problem or other.problem,
    )


def read(run: RunEvidence, settings: Settings) -> Reported:
    """Read the result files of a seed's run, and the declared metrics in its output."""
    files: dict[str, Results] = {}
    problems = []
    for artefact in run.run.artefacts:
        try:
            results = read_results(run, artefact)
        except (Unreadable, ValueError) as error:
            problems.append(f"{artefact.path}: {error}")
            continue
        if results is not None and results.problem:
            problems.append(f"{artefact.path}: {results.problem}")
        elif results is not None:
            files[artefact.path] = results
    output = {}
    for rule in settings.metrics:
        if rule.source == "output":
            found, bad = metrics.in_output(re.compile(rule.pattern), (run.stdout, run.stderr))
            output[rule.name] = (tuple(found), bad)
    return Reported(run.run.seed if run.run.seed is not None else 0, files, output, tuple(problems))


def without_seed(path: str, seed: int) -> str:
    """The path with the seed in it replaced by ``{seed}``, and dates by ``*``.

    The seed is replaced where it is called so, else wherever its number stands outside of a date.
    """
    named = names.dated(re.sub(rf"(?i)(?<=seed)([-_=. ]?)0*{seed}(?!\d)", r"\1{seed}", path))
    return named if "{seed}" in named else re.sub(rf"(?<![\d.])0*{seed}(?!\d)", "{seed}", named)


def gather(runs: Sequence[Reported], settings: Settings, wanted: Sequence[str] = ()) -> Gathered:
    """The metrics of all seeds.

    Those that the user declared decide; else those ``wanted`` by their names; else every number of a result file that
    is not the same for all seeds, nor says by its name that it measures time, nor is the seed itself.
    """
    files = _aligned(runs)
    missing = [f"seed {run.seed}: {problem}" for run in runs for problem in run.problems]
    if settings.metrics:
        return Gathered(tuple(_declared(rule, runs, files) for rule in settings.metrics))
    found, constant, aside = [], [], []
    for path in dict.fromkeys(path for one in files for path in one):
        if names.echoes_input(path):
            continue
        for leaf in dict.fromkeys(leaf for one in files if path in one for leaf in one[path].numbers):
            one = _found(path, leaf, runs, files)
            if any(_means(name, one) for name in wanted):
                found.append(one)
                continue
            if names.matches(settings.ignore, one.name, leaf, path):
                continue
            reason = "" if names.matches(settings.decide, one.name, leaf, path) else names.volatile_reason(leaf)
            if reason:
                aside.append(f"{one.name}: not held to anything, since {reason}")
            elif _same_for_all(one):
                constant.append(one)
            elif not all(value == seed for seed, value in one.values.items()):
                found.append(one)
    if wanted:
        found = [one for one in found if any(_means(name, one) for name in wanted)]
    elif len(found) > MOST_FOUND:
        missing.append(
            f"the runs report {len(found)} numbers, too many to be judged together: say which count, with --metric"
        )
        found = []
    return Gathered(tuple(found), tuple(constant), tuple(missing), tuple(aside[:_LISTED]))


def hold(
    gathered: Gathered, references: References | None, margins: Margins, asked: Sequence[int] = ()
) -> tuple[dict[str, SeedMetric], tuple[str, ...]]:
    """Hold each metric to its reference: by name, the metrics; and what is missing for a verdict, in words.

    A metric that lacks a value for any of the seeds ``asked`` for is held too, and passes by neither rule.
    """
    from auditor.statistics.reproduction import hold as held_to
    from auditor.statistics.summaries import summarise

    held: dict[str, SeedMetric] = {}
    missing = list(gathered.missing)
    gathered = _with_constants(gathered, references)
    chosen = _references(gathered, references)
    for one in gathered.metrics:
        problem = f"{one.name}: {one.problem}" if one.problem else ""
        reference, result, curve = chosen.get(one.name, ""), None, None
        if references is not None and not reference:
            problem = problem or f"{one.name}: the reference has no such metric"
        elif references is not None:
            absent = [seed for seed in asked if seed not in one.values]
            result = held_to(one.name, one.values, references.metrics[reference], margins, DRAWS, absent)
            curve = None if problem else _curve(one, references.curves.get(reference, ()), margins)
            if curve is not None and absent and curve.verdict == "reached":
                said = f"Of {len(one.values)} of {len(asked)} seeds alone: {curve.reason}"
                curve = msgspec.structs.replace(curve, verdict="inconclusive", reason=said)
        if problem:
            missing.append(problem)
        held[one.name] = SeedMetric(
            name=one.name,
            source=one.source,
            declared=one.declared,
            values={seed: _shown(value) for seed, value in one.values.items()},
            summary=summarise(tuple(one.values.values())),
            length=one.length,
            reference=reference,
            held=result,
            curve=curve,
            problem=one.problem,
        )
    if references is not None:
        missing.extend(f"the reference: {lack}" for lack in references.missing)
        known = [*gathered.metrics, *gathered.constant]
        for name in references.metrics:
            if name not in chosen.values() and not any(_means(name, one) for one in gathered.constant):
                near = difflib.get_close_matches(name, [one.name for one in known], n=3, cutoff=0.4)
                hint = f"; near it: {', '.join(near)}" if near else ""
                missing.append(f"the reference's {name}: the runs report no such metric{hint}")
    return held, tuple(missing)


def _curve(one: Values, theirs: Sequence[Sequence[float]], margins: Margins) -> Curves | None:
    """A whole series held to the reference's; None where either side has none."""
    if not one.curves or not theirs:
        return None
    from auditor.statistics.curves import hold_curves

    lengths = sorted(map(len, (*one.curves.values(), *theirs)))
    if lengths[0] != lengths[-1]:
        reason = (
            "Curves are compared point by point, and these have from "
            f"{lengths[0]:,} to {lengths[-1]:,} values (0: not finite throughout)."
        )
        return Curves("inconclusive", reason, None, None, 0.0, (), margins.error_rate, 0, False)
    count = min(lengths[0], MOST_POINTS)
    places = [place * (lengths[0] - 1) // (count - 1) for place in range(count)]
    return hold_curves(
        {seed: [curve[place] for place in places] for seed, curve in one.curves.items()},
        [[curve[place] for place in places] for curve in theirs],
        [place + 1 for place in places],
        margins,
        DRAWS,
    )


def curves_of(gathered: Gathered) -> dict[str, tuple[tuple[float, ...], ...]]:
    """The series of a study as a reference, by metric; one that is not finite throughout as an empty one."""
    return {
        one.name: tuple(curve if all(map(math.isfinite, curve)) else () for curve in one.curves.values())
        for one in (*gathered.metrics, *gathered.constant)
        if one.curves
    }


def references_of(gathered: Gathered) -> tuple[dict[str, Reference], tuple[str, ...]]:
    """What the seeds of a study are as a reference, by metric; and the metrics that cannot be one, each with why.

    A metric that is the same for every seed is one too: new seeds that have another value differ from it.
    """
    from auditor.statistics.summaries import reference_of

    references, missing = {}, list(gathered.missing)
    for one in (*gathered.metrics, *gathered.constant):
        values = tuple(one.values.values())
        odd = [str(seed) for seed, value in one.values.items() if not math.isfinite(value)]
        if one.problem:
            missing.append(f"{one.name}: {one.problem}")
        elif odd:
            missing.append(f"{one.name} is not finite for seed {', '.join(odd)}")
        else:
            references[one.name] = reference_of(values)
    return references, tuple(missing)


def _with_constants(gathered: Gathered, references: References | None) -> Gathered:
    """What is the same for every seed is held to a reference that it was not the same in, or another number."""
    if references is None:
        return gathered
    differing = []
    for one in gathered.constant:
        theirs = references.metrics.get(one.name)
        if theirs is not None and (theirs.std != 0 or theirs.mean != next(iter(one.values.values()))):
            differing.append(one)
    return msgspec.structs.replace(
        gathered,
        metrics=(*gathered.metrics, *differing),
        constant=tuple(one for one in gathered.constant if one not in differing),
    )


def _references(gathered: Gathered, references: References | None) -> dict[str, str]:
    """Which metric of the reference each metric is held to: the one of its name, or the only one of its last part."""
    if references is None:
        return {}
    chosen = {one.name: one.name for one in gathered.metrics if one.name in references.metrics}
    left = [name for name in references.metrics if name not in chosen.values()]
    for one in gathered.metrics:
        if one.name in chosen:
            continue
        theirs = [name for name in left if _means(name, one) or name.rpartition(":")[2] == one.leaf]
        ours = [other for other in gathered.metrics if other.leaf == one.leaf and other.name not in references.metrics]
        if len(theirs) == 1 and len(ours) == 1:
            chosen[one.name] = theirs[0]
    return chosen


def _means(name: str, one: Values) -> bool:
    """Whether a name that the user wrote, or a pattern, is that of a metric: its own, its path or the end of that."""
    if name in (one.name, one.leaf) or fnmatchcase(one.name, name) or fnmatchcase(one.leaf, name):
        return True
    return one.leaf.endswith(f".{name}")


def _aligned(runs: Sequence[Reported]) -> list[dict[str, Results]]:
    """Each seed's result files by a name that is the same for all of them.

    That is the path where every seed has it, else the path without the seed, else without dates and random parts too.
    """
    common = set(runs[0].files) if runs else set()
    for run in runs[1:]:
        common &= set(run.files)
    keyed = [{path: path if path in common else without_seed(path, run.seed) for path in run.files} for run in runs]
    counts = Counter(key for keys in keyed for key in set(keys.values()))
    aligned = []
    for run, keys in zip(runs, keyed, strict=True):
        shown = {path: key if counts[key] == len(runs) else names.normalised(key) for path, key in keys.items()}
        often = Counter(shown.values())
        # Two files of one run that cannot be told apart would be taken for one another.
        aligned.append({key if often[key] == 1 else path: run.files[path] for path, key in shown.items()})
    return aligned


def _found(path: str, leaf: str, runs: Sequence[Reported], files: Sequence[Mapping[str, Results]]) -> Values:
    series = {}
    for run, one in zip(runs, files, strict=True):
        series[run.seed] = _series(one[path], leaf) if path in one else []
    return _values(f"{path}:{leaf}", path, leaf, False, series, {})


def _series(results: Results, leaf: str) -> list[Number]:
    """A leaf's numbers; a text that spells one (a NaN in JSON) is the number that it spells."""
    spelled = [parse_spelled(text) for text in results.words.get(leaf, [])]
    return [*results.numbers.get(leaf, []), *(value for value in spelled if value is not None)]


def _declared(rule: MetricRule, runs: Sequence[Reported], files: Sequence[Mapping[str, Results]]) -> Values:
    series: dict[int, list[Number]] = {}
    problems: dict[int, str] = {}
    for run, one in zip(runs, files, strict=True):
        if rule.source == "output":
            found, bad = run.output[rule.name]
            series[run.seed] = list(found)
            if bad:
                problems[run.seed] = f"what its pattern finds is no number: {bad}"
            continue
        places = [
            (path, leaf)
            for path, results in one.items()
            for leaf in dict.fromkeys((*results.numbers, *results.words))
            if metrics.file_rule(rule.pattern, path, leaf) and _series(results, leaf)
        ]
        if len(places) > 1:
            problems[run.seed] = f"it is found in {len(places)} places ({', '.join(map(':'.join, places[:3]))})"
        series[run.seed] = _series(one[places[0][0]], places[0][1]) if places else []
    return _values(rule.name, rule.pattern, rule.name, True, series, problems)


def _values(
    name: str, source: str, leaf: str, declared: bool, series: Mapping[int, Sequence[Number]], problems: dict[int, str]
) -> Values:
    lacking = [seed for seed, one in series.items() if not one]
    problem = ""
    if problems:
        seed = next(iter(problems))
        more = f" (and of {len(problems) - 1} more seeds)" if len(problems) > 1 else ""
        problem = f"of seed {seed}{more} {problems[seed]}"
    elif lacking and len(lacking) == len(series):
        problem = "no seed has a value"
    elif lacking:
        said = ", ".join(map(str, lacking[:_LISTED])) + (" …" if len(lacking) > _LISTED else "")
        problem = f"no value for seed {said}"
    # What is found in several places, or beside what is no number, is no value: nobody knows which is meant.
    known = {seed: one for seed, one in series.items() if one and seed not in problems}
    values = {seed: _float(one[-1]) for seed, one in known.items()}
    curves = {}
    if any(len(one) > 1 for one in series.values()):
        curves = {seed: tuple(map(_float, one)) for seed, one in known.items()}
    return Values(name, source, leaf, declared, values, curves, problem)


def _float(value: Number) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _shown(value: float) -> float | str:
    return value if math.isfinite(value) else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def _same_for_all(one: Values) -> bool:
    values = set(one.values.values())
    return not one.problem and len(one.values) > 1 and len(values) == 1 and all(map(math.isfinite, values))
