"""Evidence of several runs in, differences out: what agreed, what differs first, what could not be compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from auditor.compare import metrics as metric_values
from auditor.compare.artefacts import IGNORED, FileComparison, Pair, align, compare_file
from auditor.compare.metrics import ResultFile
from auditor.compare.results import Results
from auditor.compare.traces import (
    StreamDifference,
    compare_traces,
    fold,
    is_worker,
    order,
    steps_agree,
    trains,
)
from auditor.records.comparison import ArtefactDifference, Compared, Comparison, Divergence, Metric
from auditor.records.config import Settings
from auditor.records.evidence import RunEvidence

__all__ = ["replicates", "steps_agree"]

# The graver outcome of a file stands for it where several runs are compared with the first.
_GRAVITY = ("identical", "volatile", "missing", "undecided", "differs")
_OUTPUT_NOTED = 1 << 30  # bytes of output that are looked through for a note


def replicates(runs: Sequence[RunEvidence], settings: Settings) -> Comparison:
    """Compare every run with the first one.

    Returns what was compared (in every pair), the first divergence of each run that differs, metrics, artefacts, and
    what is missing. With fewer than two runs there is nothing to compare, which is a gap.
    """
    if len(runs) < 2:
        lack = f"{len(runs)} of {settings.replicates} runs is there" if runs else "there is no run"
        return Comparison(Compared(), (), (), (), (lack,), (), bool(runs and runs[0].processes), None, unsound=(lack,))
    first, others = runs[0], runs[1:]
    traces = [compare_traces(first, other) for other in others]
    files = [_files(first, other, settings) for other in others]
    result_files = metric_values.spelled(_result_files(files, len(runs)), settings)
    numbers = [run.run.number for run in runs]
    interleaved = any(sum(not is_worker(trace) for trace in run.processes) > 1 for run in runs)
    together = all(sum(trains(trace) and not is_worker(trace) for trace in run.processes) > 1 for run in runs)
    outputs = [(run.stdout, run.stderr) for run in runs]
    declared, covered = metric_values.declared(result_files, outputs, numbers, settings, interleaved, together)
    found = metric_values.found(result_files, numbers, settings, covered)
    metrics = (*declared.metrics, *found.metrics)
    artefacts = _artefacts(files, metrics, covered, numbers)
    compared = msgspec.structs.replace(
        fold([trace.compared for trace in traces]),
        metrics=declared.evidence + found.evidence,
        checkpoint_tensors=sum(artefact.tensors for artefact in artefacts if artefact.kind in ("tensors", "opaque")),
    )
    gaps = [gap for trace in traces for gap in trace.gaps]
    unsound = [gap for trace in traces for gap in trace.unsound]
    notes = [note for trace in traces for note in trace.notes]
    unseen = [one for trace in traces for one in trace.unseen]
    (notes if _checkpoints_agree(artefacts) else gaps).extend(unseen)
    for comparisons in files:
        for _, one in comparisons:
            if one.gap:
                gaps.append(one.gap)
                if one.metric_gap:
                    unsound.append(one.gap)
    gaps.extend((*declared.gaps, *found.gaps))
    unsound.extend((*declared.gaps, *found.gaps))
    notes.extend((*declared.notes, *found.notes))
    if len(runs) < settings.replicates:
        gaps.append(f"{len(runs)} of {settings.replicates} runs are there")
        unsound.append(gaps[-1])

    divergences = []
    for index, other in enumerate(others, 1):
        pair = (first.run.number, other.run.number)
        trace = traces[index - 1]
        until = trace.identical_until
        candidates = [
            trace.divergence,
            _checkpoint(files[index - 1], pair, until),
            _metric(metrics, index, pair, until),
        ]
        real = [candidate for candidate in candidates if candidate is not None]
        if trace.streams and not compared.parameter_digests:
            if not real and not compared.metrics and not compared.checkpoint_tensors:
                real.append(_stream(trace.streams[0], pair, until))
            elif not real:
                gaps.append(_said(trace.streams, pair) + ", though all results that were compared agree")
        elif trace.streams and not real:
            notes.append(_said(trace.streams, pair) + ", though nothing that was compared shows it")
        if real:
            divergences.append(min(real, key=order))
        elif (note := _output(first, other)) and not interleaved:
            notes.append(note)
    agreed = [trace.identical_until for trace in traces if trace.identical_until is not None]
    return Comparison(
        compared=compared,
        divergences=tuple(sorted(divergences, key=order)),
        metrics=metrics,
        artefacts=artefacts,
        gaps=_once(gaps),
        notes=_once(notes),
        handshake=all(run.processes for run in runs),
        identical_until=min(agreed, default=None),
        unsound=_once(unsound),
    )


def _checkpoints_agree(artefacts: Sequence[ArtefactDifference]) -> bool:
    """Whether the program wrote checkpoints, all of which could be compared and agree."""
    models = [artefact for artefact in artefacts if artefact.kind in ("tensors", "opaque")]
    return sum(one.tensors for one in models) > 0 and all(one.outcome in ("identical", "volatile") for one in models)


def _once(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))


def _files(first: RunEvidence, other: RunEvidence, settings: Settings) -> list[tuple[Pair, FileComparison]]:
    """Compare the files of two runs, each under a name of its own."""
    seen: dict[str, int] = {}
    compared = []
    for pair in align(first.run.artefacts, other.run.artefacts):
        one = compare_file(first, other, pair, settings)
        name = one.artefact.path
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            one = FileComparison(
                msgspec.structs.replace(one.artefact, path=f"{name}#{seen[name]}"),
                one.numbers,
                one.quantity,
                one.gap,
                one.metric_gap,
            )
        compared.append((pair, one))
    return compared


def _result_files(files: Sequence[Sequence[tuple[Pair, FileComparison]]], runs: int) -> tuple[ResultFile, ...]:
    """Gather each result file's numbers over all runs, by its path in the first one."""
    results: dict[str, list[Results | None]] = {}
    paths: dict[str, list[str | None]] = {}
    shown: dict[str, str] = {}
    guesses: set[str] = set()
    for index, comparisons in enumerate(files, 1):
        for pair, one in comparisons:
            if one.numbers is None or pair.first is None or pair.second is None:
                continue
            path = pair.first.path
            if path not in results:
                results[path] = [None] * runs
                paths[path] = [None] * runs
            # What varies in a name is replaced as soon as it varies between any two runs.
            if shown.get(path, path) == path:
                shown[path] = one.artefact.path
            results[path][0], results[path][index] = one.numbers
            paths[path][0], paths[path][index] = pair.first.path, pair.second.path
            if pair.guess:
                guesses.add(path)
    return tuple(
        ResultFile(shown[path], tuple(results[path]), tuple(paths[path]), path in guesses) for path in sorted(results)
    )


def _artefacts(
    files: Sequence[Sequence[tuple[Pair, FileComparison]]],
    metrics: Sequence[Metric],
    covered: set[tuple[str, str]],
    numbers: Sequence[int],
) -> tuple[ArtefactDifference, ...]:
    """Fold each file's comparisons into one: the gravest outcome, the least that was compared."""
    by_file: dict[str, list[Metric]] = {}
    for metric in metrics:
        if not metric.declared:
            by_file.setdefault(metric.source, []).append(metric)
    folded: dict[str, ArtefactDifference] = {}
    for index, comparisons in enumerate(files, 1):
        for _, one in comparisons:
            artefact = one.artefact
            if one.numbers is not None and artefact.detail != IGNORED:
                artefact = _judged(artefact, one.numbers, by_file.get(artefact.path, []), covered)
            if len(files) > 1 and artefact.outcome != "identical" and artefact.detail:
                artefact = msgspec.structs.replace(artefact, detail=f"run {numbers[index]}: {artefact.detail}")
            known = folded.get(artefact.path)
            if known is None:
                folded[artefact.path] = artefact
                continue
            worse = max((known, artefact), key=lambda item: _GRAVITY.index(item.outcome))
            deltas = [item.max_abs_difference for item in (known, artefact) if item.max_abs_difference is not None]
            folded[artefact.path] = msgspec.structs.replace(
                worse, tensors=min(known.tensors, artefact.tensors), max_abs_difference=max(deltas, default=None)
            )
    return tuple(folded[path] for path in sorted(folded))


def _judged(
    artefact: ArtefactDifference,
    numbers: tuple[Results, Results],
    metrics: Sequence[Metric],
    covered: set[tuple[str, str]],
) -> ArtefactDifference:
    """Return a result file's comparison, its outcome taken from its numbers rather than its bytes."""
    count = len(numbers[0].numbers)
    said = [f"{count} number{'' if count == 1 else 's'} or series"]
    if artefact.outcome == "identical":
        return msgspec.structs.replace(artefact, detail=said[0], tensors=count)
    problems = [metric for metric in metrics if metric.problem and not metric.volatile]
    differing = [metric for metric in metrics if not metric.identical and not metric.volatile and not metric.problem]
    volatile = [metric for metric in metrics if metric.volatile and not metric.identical]
    declared = [
        leaf
        for path, leaf in covered
        if path == artefact.path and numbers[0].numbers.get(leaf) != numbers[1].numbers.get(leaf)
    ]
    words = sum(
        numbers[0].words.get(leaf) != numbers[1].words.get(leaf) for leaf in numbers[0].words | numbers[1].words
    )
    if problems:
        said.append(f"{len(problems)} could not be compared, the first {problems[0].name} ({problems[0].problem})")
    if differing or declared:
        said.append(
            f"{len(differing) + len(declared)} differ, the first {differing[0].name if differing else min(declared)}"
        )
    if volatile:
        said.append("volatile: " + ", ".join(f"{m.name} ({m.volatile})" for m in volatile[:10]))
        if len(volatile) > 10:
            said.append(f"{len(volatile) - 10} more volatile ones")
    if words:
        said.append(f"{words} text{' differs' if words == 1 else 's differ'}")
    outcome = (
        "differs"
        if differing or declared
        else "undecided"
        if problems
        else "volatile"
        if volatile or words
        else "identical"
    )
    if outcome == "identical":
        said.append("the same numbers, written otherwise")
    deltas = [metric.max_abs_difference for metric in differing if metric.max_abs_difference is not None]
    return msgspec.structs.replace(
        artefact, outcome=outcome, detail="; ".join(said), tensors=count, max_abs_difference=max(deltas, default=None)
    )


def _checkpoint(
    comparisons: Sequence[tuple[Pair, FileComparison]], runs: tuple[int, int], until: int | None
) -> Divergence | None:
    for _, one in comparisons:
        if one.artefact.outcome == "differs" and one.numbers is None:
            return Divergence(
                step=None,
                link="checkpoint",
                process="",
                quantity=f"{one.artefact.path}:{one.quantity}",
                max_abs_difference=one.artefact.max_abs_difference,
                last_identical_step=until,
                reason=one.artefact.detail,
                runs=runs,
            )
    return None


def _metric(metrics: Sequence[Metric], index: int, runs: tuple[int, int], until: int | None) -> Divergence | None:
    """Return the first metric whose value in run ``index`` (from 0) is not that of the first."""
    for metric in metrics:
        if metric.identical or metric.volatile or metric.problem:
            continue
        if len(metric.values) > 2 and metric.max_abs_difference and metric.values[index] == metric.values[0]:
            continue
        pairs = list(zip(metric.values[0], metric.values[index], strict=False))
        shown = next((f"{a} in run {runs[0]}, {b} in run {runs[1]}" for a, b in pairs if repr(a) != repr(b)), "")
        return Divergence(
            step=None,
            link="metric",
            process="",
            quantity=metric.name,
            max_abs_difference=metric.max_abs_difference,
            last_identical_step=until,
            reason=shown,
            runs=runs,
        )
    return None


def _stream(difference: StreamDifference, runs: tuple[int, int], until: int | None) -> Divergence:
    return Divergence(
        step=None,
        link="streams",
        process=difference.process,
        quantity=difference.stream,
        max_abs_difference=None,
        last_identical_step=until,
        reason="it was drawn from and ended in another state; nothing else was there to compare",
        runs=runs,
    )


def _said(streams: Sequence[StreamDifference], runs: tuple[int, int]) -> str:
    listed = ", ".join(f"{one.stream} of {one.process}" for one in streams[:4])
    return f"runs {runs[0]} and {runs[1]}: random streams were drawn from and ended in other states ({listed})"


def _output(first: RunEvidence, other: RunEvidence) -> str:
    """Say where two runs' standard output differs, which decides nothing; empty where it does not."""
    for name, one, two in (("standard output", first.stdout, other.stdout),):
        line = _first_difference(one, two)
        if line:
            return (
                f"the {name} of runs {first.run.number} and {other.run.number} differs, first in line {line}, "
                "which decides nothing (declare a metric to have a number in it compared)"
            )
    return ""


def _first_difference(one: Path, two: Path) -> int:
    try:
        if not (one.is_file() and two.is_file()):
            return 0
        if max(one.stat().st_size, two.stat().st_size) > _OUTPUT_NOTED:
            return 0
        with one.open("rb") as left, two.open("rb") as right:
            number = 0
            for a, b in zip(left, right, strict=False):
                number += 1
                if a != b:
                    return number
            return number + 1 if left.read(1) or right.read(1) or one.stat().st_size != two.stat().st_size else 0
    except OSError:
        return 0
