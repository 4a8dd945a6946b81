"""The sentences and figures that several formats share, the same under any locale, time zone and hash seed."""

from __future__ import annotations

import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from auditor.records.audit import LEVELS, Audit, Cause, Finding, LevelVerdict
from auditor.records.comparison import ArtefactDifference, Compared, Divergence, Metric
from auditor.records.control import Control
from auditor.records.diagnosis import Diagnosis
from auditor.records.fingerprint import Fingerprint, Known
from auditor.records.run import RunRecord
from auditor.records.study import Study
from auditor.records.trace import Place

CHAIN = ("init", "batch", "loss", "gradients", "parameters")

VERDICTS = {
    "reached": "reached",
    "not-reached": "not reached",
    "inconclusive": "inconclusive",
    "not-tested": "not tested",
}

# Rules of which the controls tell the same: threads and vector-dispatch.
_HELD = frozenset({"thread-count", "vector-dispatch"})
# What the comparison of a result file says of its volatile numbers.
_VOLATILE_NUMBERS = re.compile(r"; volatile: .*?(?=; \d+ texts? differs?|\Z)")
_SAFE_WORD = re.compile(r"[A-Za-z0-9_@%+=:,./{}\-]+\Z")


class Link(msgspec.Struct, frozen=True):
    """One link of the chain at the diverging step: ``state`` is same, unseen, broken or after."""

    name: str
    state: str


def plain(text: str) -> str:
    """The text on one line, with every control, bidirectional or unpaired character written as an escape.

    What a program prints or names is not ours: an escape sequence in it must not reach a terminal or an XML file.
    """
    return "".join(
        character
        if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else {"\n": " ", "\t": " "}.get(character) or character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def command_line(command: Sequence[str]) -> str:
    """The command as a shell would take it; ``{seed}`` stays readable."""
    return plain(" ".join(word if _SAFE_WORD.match(word) else shlex.quote(word) for word in command))


def number(value: float | str) -> str:
    """A number with at most seven significant digits; what is not a number as it stands."""
    if isinstance(value, str):
        return plain(value)
    return f"{value:.7g}"


def difference(value: float | None) -> str:
    """An absolute difference, to three significant digits; ``?`` where it could not be computed."""
    return "?" if value is None else f"{value:.3g}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """``1 step``, ``2 steps``, ``3 batches`` (with ``plural`` where an s does not do)."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """Seconds as people say them: ``3.2 s``, ``4 min 05 s``, ``2 h 03 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def levels(audit: Audit) -> tuple[tuple[str, LevelVerdict], ...]:
    """The levels, strictest first, with their verdicts."""
    return tuple((name, audit.levels[name]) for name in LEVELS if name in audit.levels)


def headline(audit: Audit) -> str:
    """The outcome in one sentence."""
    if audit.state == "failed":
        return f"The program failed: {plain(audit.problem)}" if audit.problem else "The program failed."
    if audit.state == "interrupted":
        return f"The audit is not finished: {plain(audit.problem)}" if audit.problem else "The audit is not finished."
    required = audit.settings.require
    if required is not None:
        verdict = dict(levels(audit)).get(required)
        said = VERDICTS[verdict.verdict] if verdict is not None else "not tested"
        return f"{required} is required: {said}."
    if audit.level is not None:
        return f"The highest level reached is {audit.level}."
    if audit.study is not None:
        return _study_headline(audit)
    if audit.divergence is not None or any(verdict.verdict == "not-reached" for _, verdict in levels(audit)):
        return "The runs differ, and no level is reached."
    return "No level can be called reached: the evidence is not enough."


def _study_headline(audit: Audit) -> str:
    verdict = audit.levels["distribution-stable"].verdict
    if any(level.verdict == "not-reached" for level in audit.levels.values()):
        what = "The seeds differ from the reference" if verdict == "not-reached" else "Runs with the same seed differ"
        return f"{what}, and no level is reached."
    if verdict == "not-tested":
        return "No level was tested: there is nothing that the seeds were held to."
    return "No level can be called reached: the evidence is not enough."


class SeedRow(msgspec.Struct, frozen=True):
    """One metric of a study as a table shows it: how many seeds, mean ± std, those of the reference, the verdicts."""

    name: str
    seeds: str
    values: str
    reference: str
    published: str
    calibrated: str
    verdict: str


def seed_rows(study: Study) -> tuple[SeedRow, ...]:
    """A study's metrics: what went wrong first, then in the order of their names."""
    rank = {"not-reached": 0, "inconclusive": 1, "reached": 2}
    rows = []
    for metric in study.metrics.values():
        held = metric.held
        verdict = held.calibrated.verdict if held is not None else "inconclusive" if metric.problem else "not-tested"
        rows.append(
            SeedRow(
                name=plain(metric.name),
                seeds=_of_asked(metric.summary.n, len(study.seeds)),
                values=_plus_minus(metric.summary.mean, metric.summary.std),
                reference=f"{_plus_minus(held.reference.mean, held.reference.std)} (n = {held.reference.n})"
                if held is not None
                else "none",
                published=VERDICTS[held.published.verdict] if held is not None else "",
                calibrated=VERDICTS[verdict],
                verdict=verdict,
            )
        )
    return tuple(sorted(rows, key=lambda row: (rank.get(row.verdict, 3), row.name)))


def _of_asked(n: int, asked: int) -> str:
    """How many values a mean is over: ``5``, or ``4 of 5`` where seeds that were asked for gave none."""
    return str(n) if n == asked else f"{n} of {asked}"


def _plus_minus(mean: float | None, std: float | None) -> str:
    if mean is None:
        return "none"
    return f"{mean:.5g} ± {std:.2g}" if std is not None else f"{mean:.5g}"


def seed_lines(study: Study, verdict: LevelVerdict) -> tuple[str, ...]:
    """What the figures of a study's metrics mean, a line each: both rules' reasons, or what is missing.

    What the ``verdict`` on the level says of a metric is not said again.
    """
    lines = []
    for metric in study.metrics.values():
        name = plain(metric.name)
        if metric.problem:
            lines.append(f"{name}: {plain(metric.problem)}")
        odd = {seed: value for seed, value in metric.values.items() if isinstance(value, str)}
        if odd and metric.held is None:  # else the rules' reasons name them
            more = f" and {len(odd) - 5} more" if len(odd) > 5 else ""
            told = ", ".join(f"{value} for seed {seed}" for seed, value in list(odd.items())[:5])
            lines.append(f"{name}: {told}{more}, which the mean is not over")
        if (n := metric.summary.n) > 1 and metric.summary.std == 0:
            said = f"all {n} seeds have the same value" if n > 2 else "both seeds have the same value"
            lines.append(f"{name}: {said}: the seed has no effect on this metric, which tells nothing of how it varies")
        if metric.held is not None and metric.held.reference.n > 1 and metric.held.reference.std == 0:
            lines.append(
                f"{name}: the reference's std is 0, so that only seeds that do not vary pass the published rule"
            )
        if metric.held is not None:
            reason = metric.held.calibrated.reason
            if reason[1:] not in verdict.reason:  # which has its first letter in lower case
                lines.append(f"{name}, calibrated: {plain(reason)}")
            lines.append(f"{name}, published rule: {plain(metric.held.published.reason)}")
            if (curve := metric.curve) is not None:
                lines.append(f"{name}, whole curve ({VERDICTS[curve.verdict]}, decides nothing): {plain(curve.reason)}")
    return tuple(lines)


def study_line(study: Study) -> str:
    """What the seeds were held to, and how many numbers are the same for all of them."""
    parts = []
    if study.references is not None:
        seeds = f" with {counted(len(study.references.seeds), 'seed')}" if study.references.seeds else ""
        audit = f" ({study.references.audit})" if study.references.audit else ""
        parts.append(f"held to {plain(study.references.source)}{seeds}{audit}")
    if study.constant:
        parts.append(f"{counted(len(study.constant), 'number')} the same for every seed")
    return ", ".join(parts)


def _seeds(seeds: Sequence[int]) -> str:
    """Seeds as a person would write them: runs of them as ranges."""
    parts: list[str] = []
    start = 0
    for at in range(1, len(seeds) + 1):
        if at == len(seeds) or seeds[at] != seeds[at - 1] + 1:
            first, last = seeds[start], seeds[at - 1]
            parts.append(
                str(first) if at - start == 1 else f"{first}, {last}" if at - start == 2 else f"{first}–{last}"
            )
            start = at
    return ", ".join(parts[:8]) + (" …" if len(parts) > 8 else "")


def _study_runs(audit: Audit, study: Study) -> str:
    parts = [f"{counted(len(study.seeds), 'seed')} ({_seeds(study.seeds)})"]
    failed = sum(run.ending.status not in ("ok", "interrupted") for run in audit.runs)
    said = counted(len(audit.runs), "run") + (f", {failed} of which failed" if failed else "")
    parts.append(said)
    kinds = sorted({run.isolation.kind for run in audit.runs if run.isolation.kind != "none"})
    if kinds:
        parts.append(f"kept apart by {' and '.join(kinds)}")
    if kinds and audit.runs:
        parts.append(f"{duration(sum(run.seconds for run in audit.runs))} in all")
    return ", ".join(parts)


def runs_line(audit: Audit) -> str:
    """How many runs there were, with which seed, kept apart by what, and how long they took."""
    if audit.study is not None:
        return _study_runs(audit, audit.study)
    parts = [counted(len(audit.runs), "run")]
    seeds = sorted({run.seed for run in audit.runs if run.seed is not None})
    if seeds:
        parts.append(f"seed {', '.join(map(str, seeds))}")
    kinds = sorted({run.isolation.kind for run in audit.runs})
    if kinds:
        parts.append(f"kept apart by {' and '.join(kinds)}")
    if audit.runs:
        took = " + ".join(duration(run.seconds) for run in audit.runs[:4])
        parts.append(took + (" …" if len(audit.runs) > 4 else ""))
    return ", ".join(parts)


def ending(run: RunRecord) -> str:
    """How a run ended, in a few words."""
    end = run.ending
    message = plain(end.message)
    if message.startswith("exit code"):
        return f"ended with {message}"
    if message.startswith("out of memory"):
        return f"ran {message}"
    if message.startswith("ended "):
        return f"was {message}"
    if message:
        return f"did not end well: {message}"
    match end.status:
        case "ok":
            return "ended cleanly"
        case "timeout":
            return "ran past its time limit"
        case "stopped":
            return "was ended on purpose"
        case "interrupted":
            return "was interrupted"
        case _ if end.exit_code is not None and end.exit_code < 0:
            return f"was killed by signal {-end.exit_code}"
        case _:
            return f"ended with exit code {end.exit_code}"


def place(where: Place) -> str:
    """``file:line``."""
    return f"{plain(where.file)}:{where.line}"


def divergence_title(divergence: Divergence) -> str:
    """Where the runs part: step, link, quantity, process and the largest difference."""
    where = f"step {divergence.step}, " if divergence.step is not None else ""
    what = divergence.link
    if divergence.quantity and divergence.quantity != divergence.link:
        what += f" of {plain(divergence.quantity)}" if divergence.link in CHAIN else f" {plain(divergence.quantity)}"
    process = f" in {plain(divergence.process)}" if divergence.process and divergence.process != "main" else ""
    return f"{where}{what}{process}"


def divergence_details(divergence: Divergence, runs: int) -> tuple[str, ...]:
    """What else is known of the divergence, a phrase each; ``runs`` is how many there were."""
    said = [f"runs {divergence.runs[0]} and {divergence.runs[1]}"] if runs > 2 else []
    # The reason may already give the difference together with the tensor that it belongs to.
    if divergence.max_abs_difference is not None and "|Δ|" not in divergence.reason:
        said.append(f"largest |Δ| {difference(divergence.max_abs_difference)}")
    if divergence.last_identical_step:
        said.append(f"identical up to step {divergence.last_identical_step}")
    elif divergence.last_identical_step is not None and divergence.step not in (None, 1):
        said.append("no digested step before it agreed")
    if divergence.reason:
        said.append(plain(divergence.reason))
    if divergence.operation:
        said.append(f"operation {plain(divergence.operation)}")
    if divergence.location is not None:
        said.append(f"at {place(divergence.location)}")
    return tuple(said)


def chain(divergence: Divergence, compared: Compared) -> tuple[Link, ...]:
    """The chain from init to parameters with its first broken link; empty where none of it broke."""
    if divergence.link not in CHAIN:
        return ()
    broken = CHAIN.index(divergence.link)
    seen = {
        "init": True,
        "batch": compared.batches > 0,
        "loss": compared.losses > 0,
        "gradients": compared.gradient_digests > 0,
        "parameters": compared.parameter_digests > 0,
    }
    return tuple(
        Link(name, "broken" if at == broken else "after" if at > broken else "same" if seen[name] else "unseen")
        for at, name in enumerate(CHAIN)
    )


def steps_compared(compared: Compared) -> str:
    """How many steps were digested and compared, and of how many, where that is not all of them."""
    if compared.steps_taken > compared.steps:
        return f"{compared.steps} of {compared.steps_taken} steps digested"
    return counted(compared.steps, "step")


def compared_parts(compared: Compared) -> tuple[str, ...]:
    """How much was compared, a phrase per kind; empty where nothing was."""
    counts = (
        (compared.batches, "batch", "batches"),
        (compared.losses, "loss", "losses"),
        (compared.gradient_digests, "gradient digest", None),
        (compared.parameter_digests, "parameter digest", None),
        (compared.checkpoint_tensors, "checkpoint tensor", None),
        (compared.metrics, "metric", None),
        (compared.drawn_streams, "random stream", None),
    )
    steps = (steps_compared(compared),) if compared.steps else ()
    return steps + tuple(counted(count, noun, plural) for count, noun, plural in counts if count)


def compared_sentence(compared: Compared) -> str:
    """What was compared, as one phrase."""
    return ", ".join(compared_parts(compared)) or "nothing"


def detection_sentence(audit: Audit) -> str:
    """What the number of replicates proves."""
    detection = audit.detection
    if audit.study is not None and audit.settings.replicates < 2:
        return "No rate of divergence is excluded: each seed was run once."
    if detection.excludes_rate_above >= 1.0:
        if audit.state == "failed" or len(audit.runs) < 2:
            return "No rate of divergence is excluded: nothing was compared."
        why = "they differ" if audit.divergence is not None else "they were not found identical"
        return f"These replicates exclude no rate of divergence: {why}."
    return (
        f"{detection.replicates} identical replicates exclude, at {100 * detection.confidence:g} % confidence, "
        f"that more than {100 * detection.excludes_rate_above:.3g} % of runs differ."
    )


def deciding_metrics(audit: Audit) -> tuple[Metric, ...]:
    """The metrics of an audit that decide, as ``ranked_metrics`` has them."""
    return ranked_metrics(audit.metrics.values())


def ranked_metrics(metrics: Iterable[Metric]) -> tuple[Metric, ...]:
    """The metrics that decide: what went wrong first, then declared ones, then those that vary, then by name."""

    def urgency(metric: Metric) -> tuple[int, bool, bool, str]:
        rank = 0 if metric.problem else 2 if within(metric) else 1
        return (rank, not metric.declared, metric.identical, metric.name)

    return tuple(sorted((metric for metric in metrics if not metric.volatile), key=urgency))


def within(metric: Metric) -> bool:
    """Whether all runs agree on the metric to within its tolerance."""
    if metric.problem:
        return False
    return metric.identical or (metric.max_abs_difference is not None and metric.max_abs_difference <= metric.tolerance)


def metric_value(metric: Metric, run: int) -> str:
    """The value of a metric in a run (from 0), and which of a series it is: where the runs are furthest apart.

    It is the last one where they are not apart, or cannot be compared.
    """
    series = metric.values[run] if run < len(metric.values) else ()
    if not series:
        return "none"
    if len(series) == 1:
        return _value(metric, run, 0)
    at = _furthest(metric)
    if at is None:
        return f"{number(series[-1])} (last of {len(series)})"
    return f"{_value(metric, run, at)} ({at + 1} of {len(series)})"


def other_values(metric: Metric) -> str:
    """What the runs after the first say of a metric: ``same``, or the values that differ."""
    if metric.identical:
        return "same"
    at = _furthest(metric)
    if at is None:
        others = [metric_value(metric, run) for run in range(1, len(metric.values))]
    else:
        others = [_value(metric, run, at) for run in range(1, len(metric.values))]
    first = metric_value(metric, 0) if at is None else _value(metric, 0, at)
    if first != "none":
        others = [value for value in others if value != first]
    differing = list(dict.fromkeys(others))
    if not differing:
        return "same last value" if len(metric.values) > 1 else "none"
    return ", ".join(differing[:2]) + (" …" if len(differing) > 2 else "")


def metric_difference(metric: Metric) -> str:
    """The largest |Δ| of a metric over its series and all runs; ``none`` where no run has a value."""
    if metric.identical:
        return "0"
    return difference(metric.max_abs_difference) if any(metric.values) else "none"


def _value(metric: Metric, run: int, at: int) -> str:
    """A value with as many digits as it takes to tell it from those of the other runs."""
    value = metric.values[run][at]
    alike = [other[at] for other in metric.values if at < len(other) and number(other[at]) == number(value)]
    return number(value) if isinstance(value, str) or len(set(alike)) == 1 else repr(value)


def _furthest(metric: Metric) -> int | None:
    """The place in the series where the runs are furthest apart; None where there is none, or lengths differ."""
    if metric.identical or not metric.values or len({len(series) for series in metric.values}) != 1:
        return None
    furthest, largest = None, -1.0
    for at, values in enumerate(zip(*metric.values, strict=True)):
        if len(set(map(repr, values))) == 1:
            continue
        numbers = [value for value in values if not isinstance(value, str)]
        if len(numbers) < len(values):
            return at
        if max(numbers) - min(numbers) > largest:
            furthest, largest = at, max(numbers) - min(numbers)
    return furthest


def volatile_lines(audit: Audit) -> tuple[str, ...]:
    """What differs (or may) and decides nothing, with the reason: metrics first, then files."""
    metrics = tuple(
        f"{plain(metric.name)}: {plain(metric.volatile)}"
        for metric in sorted(audit.metrics.values(), key=lambda metric: metric.name)
        if metric.volatile
    )
    files = tuple(
        f"{plain(artefact.path)}: {detail}"
        for artefact in sorted(audit.artefacts, key=lambda artefact: artefact.path)
        if artefact.outcome == "volatile" and (detail := _detail(audit, artefact))
    )
    return metrics + files


def _detail(audit: Audit, artefact: ArtefactDifference) -> str:
    """A file's detail, without the numbers in it that are volatile: those have lines of their own."""
    if not any(
        metric.volatile and not metric.identical and metric.source == artefact.path for metric in audit.metrics.values()
    ):
        return plain(artefact.detail)
    detail = _VOLATILE_NUMBERS.sub("", artefact.detail)
    return "" if artefact.outcome == "volatile" and "; " not in detail else plain(detail)


def artefact_lines(audit: Audit) -> tuple[str, ...]:
    """The files that differ, are missing in a run or could not be read."""
    return tuple(
        f"{plain(artefact.path)} ({artefact.kind}) {artefact.outcome}"
        + (f": {detail}" if (detail := _detail(audit, artefact)) else "")
        + (f", largest |Δ| {difference(artefact.max_abs_difference)}" if artefact.max_abs_difference else "")
        for artefact in sorted(audit.artefacts, key=lambda artefact: artefact.path)
        if artefact.outcome not in ("identical", "volatile")
    )


def finding_line(finding: Finding) -> str:
    """A finding on one line: severity, rule, where and what, and that both senses saw it where they did."""
    where = f" {place(finding.location)}" if finding.location is not None else ""
    seen = " (the source and the runs show it)" if len(finding.senses) > 1 else ""
    return f"{finding.severity} {plain(finding.rule)}{where}: {plain(finding.message)}{seen}"


def ranked_findings(audit: Audit) -> tuple[Finding, ...]:
    """The findings, the gravest first, else in the audit's own order: what says what is wrong before mere reads.

    A note that the table of controls holds as well, and that has no line of its own, is not said twice; nor is what a
    proven cause says of its line, or of the runs where it is their only finding of its rule.
    """
    proven = {(cause.rule, cause.location) for cause in audit.causes if cause.confidence == "proven"}
    counts = Counter(finding.rule for finding in audit.findings)
    proven |= {(rule, None) for rule, _ in proven if counts[rule] == 1}
    rank = {"error": 0, "warning": 1, "note": 2}
    shown = [
        finding
        for finding in audit.findings
        if not (audit.controls and finding.severity == "note" and finding.location is None and finding.rule in _HELD)
        and (finding.rule, finding.location) not in proven
    ]
    return tuple(sorted(shown, key=lambda finding: rank[finding.severity]))


def controls_to_show(audit: Audit, *, brief: bool = False) -> tuple[Control, ...]:
    """The controls that these runs tell of, those that are missing first.

    With ``brief``, where the runs differ, those alone that they lack to agree on one machine: the others come after.
    Where it was proven why they differ, that is what they lack, and is told there.
    """
    shown = [control for control in audit.controls if control.verdict in ("controlled", "not-controlled")]
    level = audit.levels.get("bit-exact")
    if brief and level is not None and level.verdict == "not-reached":
        if audit.diagnosis is not None and audit.diagnosis.state == "proven":
            return ()
        shown = [one for one in shown if one.verdict == "not-controlled" and "bit-exact" in one.demanded_by]
    return tuple(sorted(shown, key=lambda control: control.verdict == "controlled"))


def demanded(control: Control) -> str:
    """Which levels demand a control, in a few words."""
    names = [name for name in LEVELS if name in control.demanded_by]
    if len(names) == len(LEVELS):
        return "all levels"
    return names[0] if len(names) == 1 else ", ".join(name.partition("-")[0] for name in names)


def controls_left_out(audit: Audit, *, brief: bool = False) -> str:
    """What is not shown of the controls, in a sentence; empty where all are."""
    kept = len(controls_to_show(audit)) - len(controls_to_show(audit, brief=brief))
    missing = [control for control in audit.controls if control.verdict == "not-applicable"]
    unknown = [control.name for control in audit.controls if control.verdict == "unknown"]
    parts = []
    if kept:
        parts.append(f"{kept} more {'is' if kept == 1 else 'are'} held, or matter across machines")
    if missing:
        parts.append(f"{len(missing)} more {'does' if len(missing) == 1 else 'do'} not apply to these runs")
    if unknown:
        parts.append(f"not known: {', '.join(unknown)}")
    return "; ".join(parts)


def luck(audit: Audit) -> str:
    """What a bit-exact audit owes to chance rather than to control, in a sentence; empty where that is nothing."""
    level = audit.levels.get("bit-exact")
    if level is None or level.verdict != "reached":
        return ""
    names = [
        control.name
        for control in audit.controls
        if control.verdict == "not-controlled" and "bit-exact" in control.demanded_by
    ]
    if not names:
        return ""
    listed = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return (
        f"These runs agree, but nothing held them to it: {listed} {'is' if len(names) == 1 else 'are'} not controlled, "
        "so that another run may differ."
    )


def environment_parts(fingerprint: Fingerprint) -> tuple[str, ...]:
    """The environment in a few phrases: what most often explains a difference between two machines."""
    wanted = (
        ("interpreter", ("version",), "Python "),
        ("libraries", ("torch:version", "torch"), "torch "),
        ("libraries", ("numpy",), "numpy "),
        ("cuda", ("cuda",), "CUDA "),
        ("cuda", ("cudnn",), "cuDNN "),
        ("hardware", ("gpu",), ""),
        ("hardware", ("cpu",), ""),
        ("hardware", ("dispatch",), ""),
        ("hardware", ("threads",), "threads "),
        ("os", ("libc",), ""),
    )
    parts: list[str] = []
    for layer, names, prefix in wanted:
        facts = fingerprint.layers.get(layer, {})
        fact = next((facts[name] for name in names if isinstance(facts.get(name), Known)), None)
        if isinstance(fact, Known) and fact.value not in ("none", "", ()):
            value = ", ".join(fact.value) if isinstance(fact.value, tuple) else str(fact.value)
            parts.append(prefix + plain(value))
    return tuple(parts)


def cause_title(cause: Cause) -> str:
    """The rule, how sure it is and where: one line."""
    where = f" at {place(cause.location)}" if cause.location is not None else ""
    return f"{plain(cause.rule)}: {cause.confidence}{where}"


def cause_proof(cause: Cause, found: Diagnosis | None) -> str:
    """What proved a cause, or what would settle it; empty where nothing is to be said."""
    if cause.confidence != "proven":
        return f"a trial with {cause.intervention} would tell" if cause.intervention else ""
    if found is None or not cause.share:
        agree = f"{found.replicates} runs agree" if found is not None else "the runs agree"
        if found is not None and found.repeats:
            others = found.replicates - 1
            agree = f"as in run 1, {'a further run agrees' if others == 1 else f'{others} further runs agree'} with it"
        return f"with {cause.intervention} {agree}"
    return (
        f"with {cause.intervention} and what else is named here the runs agree; without it they differ, {cause.share}"
    )


def price_said(cause: Cause) -> str:
    """The price in words; empty where it was not measured."""
    if cause.price is None:
        return ""
    if not cause.price:
        return "none"
    more_or_fewer = "fewer" if cause.price > 0 else "more"
    return f"{abs(cause.price):.0%} {more_or_fewer} steps per second"


def diagnosis_foot(found: Diagnosis) -> str:
    """How many runs a diagnosis took, and what it excluded."""
    runs = f"{found.runs} {'run' if found.runs == 1 else 'runs'} in {duration(found.seconds)}"
    excluded = f"; fixed, and the runs still differed: {', '.join(found.excluded)}" if found.excluded else ""
    return f"{runs}{excluded}"
