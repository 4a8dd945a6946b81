"""The only place where evidence becomes judgement."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from auditor.errors import ExitCode
from auditor.records.audit import LEVELS, Audit, Detection, LevelName, LevelVerdict
from auditor.records.comparison import Compared, Comparison, Divergence, Metric
from auditor.records.config import Settings
from auditor.records.environments import Difference, Expectation, Prediction
from auditor.records.run import RunRecord
from auditor.statistics.detection import excludes_rate_above

CONFIDENCE = 0.95
_LONGEST = 200  # characters of a name in a reason
_LEVELS: tuple[LevelName, ...] = ("bit-exact", "seed-stable", "distribution-stable")


class Judgement(msgspec.Struct, frozen=True):
    """What the evidence amounts to: the highest level reached, each level's verdict, the power to detect."""

    level: LevelName | None
    levels: dict[LevelName, LevelVerdict]
    detection: Detection


def judge(comparison: Comparison, runs: Sequence[RunRecord], settings: Settings) -> Judgement:
    """Return the verdict on each level.

    A level is reached only where something was compared, everything compared agreed and nothing is missing. A
    difference that was shown is not undone by what is missing elsewhere. A program that failed was not examined:
    nothing is concluded.
    """
    bit_exact = _bit_exact(comparison, runs, settings)
    levels: dict[LevelName, LevelVerdict] = {
        "bit-exact": bit_exact,
        "seed-stable": _seed_stable(comparison, runs, settings, bit_exact),
        "distribution-stable": LevelVerdict(
            "not-tested", "It needs runs with fresh seeds; those of this audit repeat one."
        ),
    }
    level = next((name for name in LEVELS if levels[name].verdict == "reached"), None)  # type: ignore[index]  # by name
    count = len(runs)
    excluded = excludes_rate_above(count, CONFIDENCE) if bit_exact.verdict == "reached" else 1.0
    return Judgement(level, levels, Detection(count, CONFIDENCE, excluded))  # type: ignore[arg-type]  # one of LEVELS


def judge_together(
    comparison: Comparison,
    runs: Sequence[RunRecord],
    settings: Settings,
    obstacles: Sequence[str],
    unsteady: Sequence[str],
) -> Judgement:
    """Return the verdict on what the runs of two audits reached together.

    ``obstacles`` say why the two cannot be compared at all: then nothing is concluded, whatever differs or agrees.
    ``unsteady`` names the audits whose own runs differ: together they cannot be bit-exact, and no machine is to blame.
    """
    if obstacles:
        more = f" (and {len(obstacles) - 1} more)" if len(obstacles) > 1 else ""
        reason = f"The two audits cannot be compared: {obstacles[0]}{more}."
        levels: dict[LevelName, LevelVerdict] = {name: LevelVerdict("inconclusive", reason) for name in _LEVELS}
        return Judgement(None, levels, Detection(len(runs), CONFIDENCE, 1.0))
    judgement = judge(comparison, runs, settings)
    bit_exact = judgement.levels["bit-exact"]
    if unsteady and bit_exact.verdict == "not-reached":
        who = " and of ".join(unsteady)
        reason = f"The runs of {who} differ among themselves, so no machine is to blame. {bit_exact.reason}"
        bit_exact = LevelVerdict("not-reached", reason, bit_exact.measured)
    fresh = LevelVerdict("not-tested", "It needs runs with fresh seeds; those of these audits repeat one.")
    return Judgement(
        judgement.level,
        {**judgement.levels, "bit-exact": bit_exact, "distribution-stable": fresh},
        judgement.detection,
    )


def foresee(differences: Sequence[Difference], unknown: Sequence[Difference], count: int = 2) -> Prediction:
    """Return what environments allow, from how they differ (ranked) and from what matters and is not known of them.

    Nothing is promised that rests on what is not known. No difference rules ``seed-stable`` out: what becomes of a
    metric is not to be seen in an environment; it is at risk where the training takes another course altogether.
    """
    ruling = [one for one in differences if one.risk == "rules-out"]
    risky = [one for one in differences if one.risk == "at-risk"]
    apart = any(one.layer in ("hardware", "os") for one in differences)
    noun = "machines" if apart or count > 2 else "environments"
    who = f"These {'two' if count == 2 else format(count, ',')} {noun}"
    if ruling:
        bit_exact = Expectation("ruled-out", f"Ruled out by {_listed(ruling)}.")
        answer = f"{who} can reach seed-stable at best: {_listed(ruling)}."
    elif risky:
        bit_exact = Expectation("at-risk", f"At risk by {_listed(risky)}.")
        answer = f"{who} may reach bit-exact, but it is at risk: {_listed(risky)}."
    elif unknown:
        lacks = f"{_names(unknown)} not known of {'both' if count == 2 else 'all of them'}"
        bit_exact = Expectation("unknown", f"It cannot be told: {lacks}.")
        answer = f"Whether these {who.removeprefix('These ')} can reach bit-exact cannot be told: {lacks}."
    else:
        bit_exact = Expectation("possible", "Nothing that is known to matter differs.")
        answer = f"{who} can reach bit-exact: nothing that is known to matter differs."
    seed_stable = _seed_stable_expected([*ruling, *risky], unknown, bit_exact)
    if ruling and seed_stable.prospect != "possible":
        answer += f" Even that is at risk: {_listed([one for one in differences if _strays(one)])}."
    return Prediction(
        answer=answer,
        at_best="seed-stable" if ruling else "bit-exact",
        levels={"bit-exact": bit_exact, "seed-stable": seed_stable},
        differences=tuple(differences),
        unknown=tuple(unknown),
    )


def _strays(difference: Difference) -> bool:
    """Whether metrics, too, may end elsewhere."""
    return difference.risk != "irrelevant" and difference.level == "seed-stable"


def _seed_stable_expected(
    differences: Sequence[Difference], unknown: Sequence[Difference], bit_exact: Expectation
) -> Expectation:
    if bit_exact.prospect == "possible":
        return Expectation("possible", "Bit-exact runs are seed-stable.")
    straying = [one for one in differences if _strays(one)]
    if straying:
        return Expectation("at-risk", f"Metrics may end elsewhere too: {_listed(straying)}.")
    lacking = [one for one in unknown if _strays(one)]
    if lacking:
        return Expectation("unknown", f"It cannot be told: {_names(lacking)} not known.")
    return Expectation("possible", "Nothing rules it out; whether metrics stay within tolerance, two audits tell.")


def _listed(differences: Sequence[Difference]) -> str:
    """Name the gravest differences, and how many more there are."""
    said = list(dict.fromkeys(one.said for one in differences))
    return _and(said[:2], len(said) - 2)


def _names(unknown: Sequence[Difference]) -> str:
    names = list(dict.fromkeys(one.name for one in unknown))
    verb = " is" if len(names) == 1 else " are"
    return _and(names[:3], len(names) - 3) + verb


def _and(words: Sequence[str], more: int) -> str:
    if more > 0:
        return f"{', '.join(words)} and {more} more"
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def exit_code(audit: Audit) -> ExitCode:
    """Return the exit code an audit ends with.

    Where no level is required everything that could be examined is fine; but where nothing could be compared, or a
    metric that the user declared could not be, the question asked is not answered, and that is inconclusive.
    """
    if audit.state == "failed":
        return ExitCode.PROGRAM_FAILED
    required = audit.settings.require
    if required is not None:
        verdict = {str(name): level.verdict for name, level in audit.levels.items()}.get(required)
        if verdict == "reached":
            return ExitCode.OK
        return ExitCode.NOT_REACHED if verdict == "not-reached" else ExitCode.INCONCLUSIVE
    if audit.state == "interrupted":
        return ExitCode.INCONCLUSIVE
    unanswered = any(metric.declared and metric.problem for metric in audit.metrics.values())
    if unanswered or not (audit.divergence is not None or _decides(audit.compared)):
        return ExitCode.INCONCLUSIVE
    return ExitCode.OK


def _decides(compared: Compared) -> bool:
    """Whether anything was compared that can carry a verdict: inputs and random streams alone cannot."""
    return bool(
        compared.parameter_digests
        or compared.gradient_digests
        or compared.losses
        or compared.checkpoint_tensors
        or compared.metrics
    )


def _obstacle(runs: Sequence[RunRecord]) -> str:
    """Say why the runs as such do not allow any conclusion, or return an empty string."""
    for run in runs:
        if run.ending.status == "failed":
            code = run.ending.exit_code
            if run.ending.message:
                how = run.ending.message
            elif code is not None and code < 0:
                how = f"it was killed by signal {-code}"
            else:
                how = f"it ended with exit code {code}"
            return f"The program failed in run {run.number} ({how}), so there is nothing to conclude."
        if run.ending.status == "timeout":
            return f"Run {run.number} did not end within its time limit, so there is nothing to conclude."
    if len(runs) < 2:
        return "Run 2 is missing: one run alone shows nothing." if runs else "There is no run."
    if len({run.seed for run in runs}) > 1:
        return "The runs were not given the same seed, so they are no replicates of one another."
    return ""


def _counted(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun if count == 1 else plural or noun + 's'}"


def _evidence(compared: Compared) -> str:
    """Say what was compared, in words."""
    parts = []
    if compared.steps:
        links = [
            name
            for name, count in (
                ("batches", compared.batches),
                ("losses", compared.losses),
                ("gradients", compared.gradient_digests),
                ("parameters", compared.parameter_digests),
            )
            if count
        ]
        steps = _counted(compared.steps, "step")
        if compared.steps_taken > compared.steps:
            steps = f"{compared.steps} digested steps of {compared.steps_taken}"
        parts.append(steps + (f" ({', '.join(links)})" if links else ""))
    elif compared.parameter_digests:
        parts.append(_counted(compared.parameter_digests, "parameter digest"))
    if compared.checkpoint_tensors:
        parts.append(_counted(compared.checkpoint_tensors, "checkpoint tensor"))
    if compared.metrics:
        parts.append(_counted(compared.metrics, "metric"))
    return ", ".join(parts)


def _where(divergence: Divergence) -> str:
    one, two = divergence.runs
    if len(divergence.quantity) > _LONGEST:
        # Keys nested in a checkpoint make up names without end.
        shortened = f"{divergence.quantity[: _LONGEST // 2]} … {divergence.quantity[-_LONGEST // 2 :]}"
        divergence = msgspec.structs.replace(divergence, quantity=shortened)
    process = f" in {divergence.process}" if divergence.process not in ("", "main") else ""
    match divergence.link:
        case "init":
            what = f"the initial parameters differ, first {divergence.quantity}"
        case "steps" if divergence.quantity == "number of steps":
            what = f"the number of steps differs ({divergence.reason})"
        case "final":
            what = f"the parameters at the end differ, first {divergence.quantity}"
        case "checkpoint":
            what = f"a file that they wrote differs: {divergence.quantity}"
        case "metric":
            what = f"the metric {divergence.quantity} differs"
        case "streams":
            what = (
                f"the random stream {divergence.quantity} ends in another state, and there was nothing else to compare"
            )
        case link if divergence.quantity in (link, ""):
            what = f"the {link} differs" if link in ("loss", "batch") else f"the {link} differ"
        case link:
            what = f"the {link} differs, first {divergence.quantity}"
            if link in ("gradients", "parameters"):
                what = f"the {link} differ, first {divergence.quantity}"
    step = ""
    if divergence.step is not None and divergence.link != "init":
        step = f" at step {divergence.step}"
    delta = ""
    if divergence.max_abs_difference is not None and divergence.quantity != "number of steps":
        # The first tensor's name and the largest difference of all of them must not be read as one tensor's.
        over = "; |Δ| over all of them" if ", first " in what else ", |Δ|"
        delta = f"{over} up to {divergence.max_abs_difference:.3g}"
    elif divergence.reason and divergence.link not in ("steps", "streams"):
        delta = f" ({divergence.reason})"
    return f"Runs {one} and {two} differ{step}{process}: {what}{delta}."


def _bit_exact(comparison: Comparison, runs: Sequence[RunRecord], settings: Settings) -> LevelVerdict:
    compared = comparison.compared
    measured = {
        "steps": float(compared.steps),
        "steps_taken": float(compared.steps_taken),
        "parameter_digests": float(compared.parameter_digests),
        "checkpoint_tensors": float(compared.checkpoint_tensors),
        "metrics": float(compared.metrics),
    }
    if obstacle := _obstacle(runs):
        return LevelVerdict("inconclusive", obstacle, measured)
    if comparison.divergences:
        first = comparison.divergences[0]
        measured["runs_that_differ"] = float(len(comparison.divergences))
        if first.step is not None:
            measured["step"] = float(first.step)
        if first.max_abs_difference is not None:
            measured["max_abs_difference"] = first.max_abs_difference
        return LevelVerdict("not-reached", _where(first), measured)
    differing = _differing(comparison)
    if differing:
        return LevelVerdict("not-reached", f"The runs differ in {differing}.", measured)
    if comparison.gaps:
        return LevelVerdict("inconclusive", _gap(comparison.gaps) + _stopped(comparison, settings), measured)
    if not comparison.handshake and not (compared.checkpoint_tensors and compared.metrics):
        lacking = "a checkpoint with tensors in it" if not compared.checkpoint_tensors else "a metric"
        if not compared.checkpoint_tensors and not compared.metrics:
            lacking = "what could be compared instead (a checkpoint with tensors in it, a metric)"
        what = f"The probe did not enter the program (it runs isolated, or is no Python), and {lacking} is missing."
        return LevelVerdict("inconclusive", what, measured)
    if not _decides(compared):
        if compared.drawn_streams:
            what = "Nothing but random streams could be compared, and those agree; that says nothing about the results."
        else:
            what = "Nothing that decides could be compared: no parameters, no checkpoint with tensors in it, no metric."
        return LevelVerdict("inconclusive", what, measured)
    measured["max_abs_difference"] = 0.0
    extent = (
        f" up to step {settings.steps}, where the runs were stopped on purpose" if settings.steps is not None else ""
    )
    how = "" if comparison.handshake else " The probe did not enter the program: this rests on what it wrote alone."
    who = "Both" if len(runs) == 2 else f"All {len(runs)}"
    reason = f"{who} runs agree in every bit of {_evidence(compared)}{extent}.{how}"
    return LevelVerdict("reached", reason, measured)


def _differing(comparison: Comparison) -> str:
    """Name what differs and decides although no divergence says so: nothing of that kind may ever pass."""
    for metric in comparison.metrics:
        if not (metric.identical or metric.volatile or metric.problem):
            return f"the metric {metric.name}"
    for artefact in comparison.artefacts:
        if artefact.outcome == "differs":
            return f"the file {artefact.path}"
    return ""


def _gap(gaps: Sequence[str], lead: str = "Nothing that was compared differs, but") -> str:
    more = f" (and {len(gaps) - 1} more)" if len(gaps) > 1 else ""
    return f"{lead} evidence is missing: {gaps[0]}{more}."


def _stopped(comparison: Comparison, settings: Settings) -> str:
    """Say that --steps ended the runs, where a declared metric is missing: it may never have come to be written."""
    if settings.steps is None or not any(metric.declared and metric.problem for metric in comparison.metrics):
        return ""
    steps = _counted(settings.steps, "step")
    return f" The runs were stopped on purpose after {steps} (--steps), perhaps before the metric was written."


def _excess(metric: Metric) -> float:
    """Return by how much a metric exceeds its tolerance; infinite where its difference is no number."""
    if metric.identical:
        return -metric.tolerance
    if metric.max_abs_difference is None:
        return float("inf")
    return metric.max_abs_difference - metric.tolerance


def _seed_stable(
    comparison: Comparison, runs: Sequence[RunRecord], settings: Settings, bit_exact: LevelVerdict
) -> LevelVerdict:
    if obstacle := _obstacle(runs):
        return LevelVerdict("inconclusive", obstacle)
    judged = [metric for metric in comparison.metrics if not metric.volatile and not metric.problem]
    measured: dict[str, float] = {}
    # What a run that was ended has written so far is not its result.
    ended_early = [run.number for run in runs if run.ending.status == "stopped"]
    if settings.fail_fast and ended_early:
        which = f"run {ended_early[0]}" if len(ended_early) == 1 else f"runs {', '.join(map(str, ended_early))}"
        what = f"--fail-fast ended {which} at the first divergence, before the results were there to compare."
        return LevelVerdict("inconclusive", what, {"metrics": float(len(judged))})
    worst = max(judged, key=_excess, default=None)
    if worst is not None:
        measured = {"metrics": float(len(judged)), "tolerance": worst.tolerance}
        if worst.max_abs_difference is not None:
            measured["max_abs_difference"] = worst.max_abs_difference
        if _excess(worst) > 0:
            over = sum(_excess(metric) > 0 for metric in judged)
            what = (
                f"|Δ| = {worst.max_abs_difference:.3g}, beyond its tolerance of {worst.tolerance:g}"
                if worst.max_abs_difference is not None
                else "not by a finite number (NaN, infinite or no number in one run)"
            )
            more = f"; {over} of {len(judged)} metrics are beyond theirs" if over > 1 else ""
            return LevelVerdict("not-reached", f"The metric {worst.name} differs: {what}{more}.", measured)
    if comparison.unsound:
        lead = "No metric that could be compared is beyond its tolerance, but" if judged else "No metric was compared:"
        reason = _gap(comparison.unsound, lead) + _stopped(comparison, settings)
        return LevelVerdict("inconclusive", reason, {"metrics": float(len(judged))})
    if worst is not None:
        if bit_exact.verdict != "reached" and not comparison.compared.metrics:
            what = "The only numbers that could be compared repeat the program's configuration, not its results."
            return LevelVerdict("inconclusive", what, measured)
        within = "is" if len(judged) == 1 else "are all"
        said = f"{_counted(len(judged), 'metric')} {within} within tolerance"
        if all(metric.identical or metric.max_abs_difference == 0 for metric in judged):
            said += "; all differences are 0" if len(judged) > 1 else "; its difference is 0"
        elif worst.max_abs_difference is not None:
            said += "" if len(judged) == 1 else f"; the closest to it is {worst.name}"
            said += f" (|Δ| = {worst.max_abs_difference:.3g}, tolerance {worst.tolerance:g})"
        return LevelVerdict("reached", f"{said}.", measured)
    if bit_exact.verdict == "reached":
        return LevelVerdict("reached", "No metric was found, but the runs are bit-exact, which implies it.")
    return LevelVerdict(
        "inconclusive",
        "No metric was found; declare one with --metric, or have the program write its results to a file.",
    )
