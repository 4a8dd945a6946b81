"""The only place where evidence becomes judgement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from auditor.errors import ExitCode
from auditor.records.audit import LEVELS, Audit, Detection, LevelName, LevelVerdict
from auditor.records.comparison import Compared, Comparison, Divergence, Metric
from auditor.records.config import Settings
from auditor.records.distribution import MetricSeeds
from auditor.records.environments import Difference, EnvironmentComparison, Expectation, Many, Prediction, Reached
from auditor.records.run import RunRecord
from auditor.records.study import SeedMetric, Study
from auditor.statistics.detection import excludes_rate_above

CONFIDENCE = 0.95
_LONGEST = 200  # characters of a name in a reason
_OF_ONE_SEED: tuple[LevelName, ...] = ("bit-exact", "seed-stable")
_FRESH_SEEDS = LevelVerdict("not-tested", "It needs runs with fresh seeds; those of these audits repeat one.")
# Where these differ there are two machines, and not just two environments on one.
_OF_A_MACHINE = ("cpu", "microcode", "kernel", "machine", "gpu", "gpu:architecture", "gpu:multiprocessors", "driver")


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


def judge_study(
    study: Study, replicated: Mapping[int, tuple[Comparison, Sequence[RunRecord]]], settings: Settings
) -> Judgement:
    """Return the verdict on each level for many seeds.

    ``replicated`` has, by seed, what comparing its replicates found, and their records; it is empty where each seed was
    run once. The levels of one seed are reached where every seed reached them, and not where one did not.
    """
    levels: dict[LevelName, LevelVerdict] = {}
    each = {seed: _of_replicates(comparison, runs, settings) for seed, (comparison, runs) in replicated.items()}
    for name in _OF_ONE_SEED:
        levels[name] = _by_seed({seed: verdicts[name] for seed, verdicts in each.items()}, study, settings)
    levels["distribution-stable"] = _distribution(study)
    level = next((name for name in LEVELS if levels[name].verdict == "reached"), None)  # type: ignore[index]  # by name
    excluded = excludes_rate_above(settings.replicates, CONFIDENCE) if levels["bit-exact"].verdict == "reached" else 1.0
    return Judgement(level, levels, Detection(settings.replicates, CONFIDENCE, excluded))  # type: ignore[arg-type]  # one of LEVELS


def _of_replicates(
    comparison: Comparison, runs: Sequence[RunRecord], settings: Settings
) -> dict[LevelName, LevelVerdict]:
    bit_exact = _bit_exact(comparison, runs, settings)
    return {"bit-exact": bit_exact, "seed-stable": _seed_stable(comparison, runs, settings, bit_exact)}


def _by_seed(verdicts: Mapping[int, LevelVerdict], study: Study, settings: Settings) -> LevelVerdict:
    if settings.replicates < 2:
        return LevelVerdict("not-tested", "It needs each seed to be run more than once (--replicates 2).")
    seeds = len(study.seeds)
    measured = {
        "seeds": float(seeds),
        "replicates": float(settings.replicates),
        "seeds_that_reached_it": float(sum(one.verdict == "reached" for one in verdicts.values())),
    }
    for outcome in ("not-reached", "inconclusive"):
        found = [(seed, one) for seed, one in verdicts.items() if one.verdict == outcome]
        if found:
            seed, first = found[0]
            more = f" ({len(found)} of {seeds} seeds)" if len(found) > 1 else ""
            return LevelVerdict(found[0][1].verdict, f"Of seed {seed}{more}: {_lowered(first.reason)}", measured)
    if len(verdicts) < seeds:
        lack = f" The first that is missing: {study.missing[0]}." if study.missing else ""
        return LevelVerdict(
            "inconclusive", f"Only {len(verdicts)} of {seeds} seeds have all of their replicates.{lack}", measured
        )
    first_reason = next(iter(verdicts.values())).reason
    return LevelVerdict(
        "reached", f"The replicates of all {seeds} seeds reached it. Of the first: {_lowered(first_reason)}", measured
    )


def _distribution(study: Study) -> LevelVerdict:
    if study.references is not None:
        held = [metric.held for metric in study.metrics.values() if metric.held is not None]
        judged = judge_distribution(held, sorted({*study.waiting, *(one.seed for one in study.lost)}))
        if judged.verdict == "not-reached" or not study.missing:
            return judged
        more = f" (and {len(study.missing) - 1} more)" if len(study.missing) > 1 else ""
        return LevelVerdict("inconclusive", f"Evidence is missing: {study.missing[0]}{more}.", judged.measured)
    told = [
        f"{metric.name} = {metric.summary.mean:.4g} ± {metric.summary.std:.2g}"
        for metric in study.metrics.values()
        if metric.summary.mean is not None and metric.summary.std is not None
    ]
    odd = [f"{one.name} is not finite for {_counted(one.summary.nonfinite, 'seed')}" for one in _not_finite(study)]
    measured = {"seeds": float(len(study.seeds) - len(study.lost) - len(study.waiting))}
    said = f"There is nothing to hold {_counted(len(study.seeds), 'seed')} to: name a --reference."
    if told:
        said += f" Their spread (mean ± std): {_and(told[:3], len(told) - 3)}."
    if study.missing:
        said += f" Besides, evidence is missing: {study.missing[0]}."
    elif odd:
        said += f" Besides, {_and(odd[:3], len(odd) - 3)}."
    return LevelVerdict("inconclusive" if study.missing or odd else "not-tested", said, measured)


def _not_finite(study: Study) -> list[SeedMetric]:
    """The metrics that are NaN or infinite for some seed."""
    return [one for one in study.metrics.values() if one.summary.nonfinite]


def incomparable(obstacles: Sequence[str], runs: int) -> Judgement:
    """Return the verdict on two audits that cannot be compared: nothing is concluded, whatever differs or agrees."""
    more = f" (and {len(obstacles) - 1} more)" if len(obstacles) > 1 else ""
    reason = f"The audits cannot be compared: {obstacles[0]}{more}."
    levels: dict[LevelName, LevelVerdict] = {name: LevelVerdict("inconclusive", reason) for name in _OF_ONE_SEED}
    return Judgement(None, {**levels, "distribution-stable": _FRESH_SEEDS}, Detection(runs, CONFIDENCE, 1.0))


def judge_together(
    comparison: Comparison, runs: Sequence[RunRecord], settings: Settings, unsteady: Sequence[str]
) -> Judgement:
    """Return the verdict on what the runs of two audits, numbered through, reached together.

    ``unsteady`` names the audits whose own runs differ: together they cannot be bit-exact, and no machine is to blame.
    """
    judgement = judge(comparison, runs, settings)
    bit_exact = judgement.levels["bit-exact"]
    if unsteady and bit_exact.verdict == "not-reached":
        who = " and of ".join(unsteady)
        reason = f"The runs of {who} differ among themselves, so no machine is to blame. {bit_exact.reason}"
        bit_exact = LevelVerdict("not-reached", reason, bit_exact.measured)
    levels = {**judgement.levels, "bit-exact": bit_exact, "distribution-stable": _FRESH_SEEDS}
    return Judgement(judgement.level, levels, judgement.detection)


def judge_distribution(metrics: Sequence[MetricSeeds], missing: Sequence[int | str]) -> LevelVerdict:
    """Return the verdict on ``distribution-stable`` from each metric's fresh seeds, and from what is ``missing``.

    What is missing are seeds whose run or metric there is not, or a sentence on it.

    It is reached where every metric that varies is shown to be within its margins and no seed is missing. A difference
    must hold among all metrics looked at (Bonferroni), and is not undone by what is missing. A metric that has one and
    the same value for all seeds, here and in the reference, repeats the configuration and decides nothing.
    """
    deciding = [one for one in metrics if not _constant(one)]
    if not deciding:
        what = "Every metric has the same value for all seeds: they tell nothing of how it varies." if metrics else ""
        what = what or "No metric of fresh seeds could be held against a reference."
        return LevelVerdict("inconclusive", what + _missing(missing))
    count = len(deciding)
    measured = {
        "metrics": float(count),
        "reached": float(sum(one.calibrated.verdict == "reached" for one in deciding)),
        "seeds": float(max(len(one.values_by_seed) for one in deciding)),
        "missing": float(len(missing)),
        "published_rule_passed": float(sum(one.published.verdict == "reached" for one in deciding)),
    }
    differing = [one for one in deciding if _differs(one, count)]
    if differing:
        worst = min(differing, key=lambda one: (one.calibrated.p_different or 0.0, one.name))
        more = f" {len(differing)} of {count:,} metrics differ." if len(differing) > 1 else ""
        return LevelVerdict(
            "not-reached", f"The metric {worst.name} differs. {worst.calibrated.reason}{more}", measured
        )
    if missing:
        return LevelVerdict("inconclusive", _missing(missing).lstrip(), measured)
    unusable = next((one for one in deciding if one.calibrated.unusable), None)
    if unusable is not None:
        seeds = unusable.calibrated.unusable
        listed = _and([str(seed) for seed in seeds[:5]], len(seeds) - 5)
        reason = f"The metric {unusable.name} is not finite for seed{'' if len(seeds) == 1 else 's'} {listed}."
        return LevelVerdict("inconclusive", reason, measured)
    unsettled = [one for one in deciding if one.calibrated.verdict != "reached"]
    if not unsettled:
        lead = f"The metric {deciding[0].name} is" if count == 1 else f"All {count:,} metrics are"
        example = deciding[0].calibrated.reason if count == 1 else ""
        return LevelVerdict("reached", f"{lead} shown to be within the margins. {example}".rstrip(), measured)
    first = unsettled[0]
    if first.calibrated.verdict == "not-reached":
        p = first.calibrated.p_different
        reason = f"By itself {first.name} differs (p = {p:.2g}), but not among {count:,} metrics looked at."
        return LevelVerdict("inconclusive", reason, measured)
    more = f" So it is with {_others(len(unsettled) - 1, count - 1)}." if len(unsettled) > 1 else ""
    return LevelVerdict("inconclusive", f"Of {first.name}: {_lowered(first.calibrated.reason)}{more}", measured)


def _others(some: int, others: int) -> str:
    """``the other metric``, ``all 3 other metrics`` or ``1 of the 3 other metrics``."""
    if others == 1:
        return "the other metric"
    return f"all {others:,} other metrics" if some == others else f"{some:,} of the {others:,} other metrics"


def _missing(missing: Sequence[int | str]) -> str:
    if not missing:
        return ""
    listed = _and([f"seed {one}" if isinstance(one, int) else one for one in missing[:3]], len(missing) - 3)
    return f" Evidence is missing, which no pass can rest on: {listed}."


def _constant(metric: MetricSeeds) -> bool:
    """Whether all seeds, new ones and the reference's, gave one and the same value."""
    new, reference = metric.new, metric.reference
    same = new.std == 0.0 and reference.std == 0.0 and new.mean == reference.mean
    return same and reference.n > 1 and not new.nonfinite


def _differs(metric: MetricSeeds, count: int) -> bool:
    """Whether a metric's difference holds among ``count`` metrics that were looked at."""
    calibrated = metric.calibrated
    p = calibrated.p_different
    return calibrated.verdict == "not-reached" and p is not None and p * count <= calibrated.error_rate


def foresee(differences: Sequence[Difference], unknown: Sequence[Difference], count: int = 2) -> Prediction:
    """Return what environments allow, from how they differ (ranked) and from what matters and is not known of them.

    Nothing is promised that rests on what is not known. No difference rules ``seed-stable`` out: what becomes of a
    metric is not to be seen in an environment; it is at risk where the training takes another course altogether.
    """
    ruling = [one for one in differences if one.risk == "rules-out"]
    risky = [one for one in differences if one.risk == "at-risk"]
    noun = "machines" if any(one.name in _OF_A_MACHINE for one in differences) else "environments"
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
    if seed_stable.prospect == "at-risk":
        lead = "Even that is at risk" if ruling else "So is seed-stable"
        answer += f" {lead}: {_listed([one for one in differences if _strays(one)])}."
    if unknown and (ruling or risky):
        answer += f" Besides, {_names(unknown)} not known of {'both' if count == 2 else 'all of them'}."
    return Prediction(
        answer=answer,
        at_best="seed-stable" if ruling else "bit-exact",
        levels={"bit-exact": bit_exact, "seed-stable": seed_stable},
        differences=tuple(differences),
        unknown=tuple(unknown),
    )


def answer_many(groups: int, prediction: Prediction) -> str:
    """Return in a few sentences how environments fall apart, and what they allow together."""
    if groups == 1:
        return f"They are identical in all that is known to matter. {prediction.answer}"
    return f"They fall into {groups:,} groups. {prediction.answer}"


def answer_reached(first: str, reached: Sequence[Reached]) -> str:
    """Return in a sentence what many audits reached, of which each other one was held against the ``first``."""
    by_outcome: dict[str, list[str]] = {}
    for one in reached:
        outcome = _outcome(one)
        if outcome:
            by_outcome.setdefault(outcome, []).append(one.name)
    exact = 1 + sum(one.levels["bit-exact"].verdict == "reached" for one in reached)
    if exact == 1 + len(reached):
        return f"All {exact:,} audits are bit-exact with one another."
    said = [f"{exact:,} of {1 + len(reached):,} audits are bit-exact with one another"]
    if exact == 1:
        said = [f"none of the {len(reached):,} others is bit-exact with {first}, as far as can be told"]
        if all(one.levels["bit-exact"].verdict == "not-reached" for one in reached):
            said = [f"none of the {len(reached):,} others is bit-exact with {first}"]
    said += [f"{_and(names[:3], len(names) - 3)} {outcome}" for outcome, names in by_outcome.items()]
    sentence = "; ".join(said)
    return f"{sentence[:1].upper()}{sentence[1:]}."


def _outcome(one: Reached) -> str:
    """What follows the names of audits that are not bit-exact with the one that they were held against."""
    bit_exact, seed_stable = (one.levels[name].verdict for name in _OF_ONE_SEED)
    if bit_exact == "reached":
        return ""
    if seed_stable == "reached":
        more = "" if bit_exact == "not-reached" else ", and whether bit-exact cannot be told"
        return "reached seed-stable" + (more or " only")
    if seed_stable == "not-reached":
        return "did not reach seed-stable"
    if bit_exact == "not-reached":
        return "did not reach bit-exact, and whether seed-stable cannot be told"
    return f"cannot be told: {_lowered(one.levels['bit-exact'].reason).rstrip('.')}"


def reached_by_all(first: str, reached: Sequence[Reached]) -> dict[LevelName, LevelVerdict]:
    """Return the verdict on what all of many audits reached, of which each other one was held against the ``first``."""
    levels: dict[LevelName, LevelVerdict] = {}
    for name in _OF_ONE_SEED:
        verdicts = [(one.name, one.levels[name]) for one in reached]
        count = 1 + sum(level.verdict == "reached" for _, level in verdicts)
        measured = {"audits": float(1 + len(reached)), "reached": float(count)}
        failing = [(who, level) for who, level in verdicts if level.verdict == "not-reached"]
        open_ones = [(who, level) for who, level in verdicts if level.verdict != "reached"]
        if not open_ones:
            levels[name] = LevelVerdict("reached", f"All {count:,} audits reached it together.", measured)
            continue
        who, level = (failing or open_ones)[0]
        names = _and([one for one, _ in (failing or open_ones)][:3], len(failing or open_ones) - 3)
        verb = "did not" if failing else "cannot be told to"
        reason = f"{names} {verb} reach it together with {first}. Of {who}: {_lowered(level.reason)}"
        levels[name] = LevelVerdict("not-reached" if failing else "inconclusive", reason, measured)
    return {**levels, "distribution-stable": _FRESH_SEEDS}


def answer_together(names: Sequence[str], judgement: Judgement, prediction: Prediction | None = None) -> str:
    """Return in a sentence what two audits reached together, and that they were of other data or code if they were."""
    who = " and ".join(names)
    trained = _trained(prediction)
    if trained:
        who += f", which had {_and([one.said for one in trained], 0)},"
    if judgement.level is not None:
        above = judgement.levels["bit-exact"]
        said = "" if judgement.level == "bit-exact" else f" They are not bit-exact: {_lowered(above.reason)}"
        if above.verdict == "inconclusive":
            said = f" Whether they are bit-exact cannot be told: {_lowered(above.reason)}"
        return f"Together {who} reached {judgement.level}.{said}"
    for name in ("seed-stable", "bit-exact"):
        if judgement.levels[name].verdict == "not-reached":
            return f"Together {who} did not reach {name}: {_lowered(judgement.levels[name].reason)}"
    return f"What {who} reached together cannot be told. {judgement.levels['bit-exact'].reason}"


def explain_together(judgement: Judgement, unsteady: Sequence[str], prediction: Prediction) -> str:
    """Return what may explain the outcome for two audits, by how their environments differ; empty without one."""
    bit_exact = judgement.levels["bit-exact"].verdict
    differing = [one for one in prediction.differences if one.risk != "irrelevant"]
    ruling = [one for one in differing if one.risk == "rules-out"]
    if bit_exact == "reached":
        if ruling:
            return f"This was not expected: {_listed(ruling)} should have ruled it out."
        return "What differs between the environments changed nothing." if differing else ""
    if bit_exact != "not-reached":
        return ""
    if unsteady:
        return f"The runs of {' and of '.join(unsteady)} differ among themselves: no machine is to blame for that."
    trained = _trained(prediction)
    if trained:
        return f"The audits had {_listed(trained)}: that may explain it as well as the machines."
    if differing:
        return f"What may explain it: {_listed(differing)}."
    if prediction.unknown:
        return f"Nothing that is known explains it; {_names(prediction.unknown)} not known of both."
    return "Nothing that is known to matter differs between the environments."


def _trained(prediction: Prediction | None) -> list[Difference]:
    """Other data and other code, which explain an outcome as well as machines do."""
    differences = prediction.differences if prediction is not None else ()
    return [one for one in differences if one.layer == "run" and one.name in ("code", "data")]


def exit_code_of_environments(comparison: EnvironmentComparison, required: str | None) -> ExitCode:
    """Return the exit code that a comparison of environments ends with.

    Where audits were compared, what they reached decides, else what is to be expected. Without a required level only
    audits of which nothing can be told are inconclusive.
    """
    if isinstance(comparison, Many):
        reached = [one.levels for one in comparison.reached] if comparison.reached is not None else None
    else:
        reached = [comparison.together.levels] if comparison.together is not None else None
    if reached is not None:
        verdicts = [{str(name): level.verdict for name, level in levels.items()} for levels in reached]
        if required is None:
            told = all({"reached", "not-reached"} & set(one.values()) for one in verdicts)
            return ExitCode.OK if told else ExitCode.INCONCLUSIVE
        if any(one.get(required) == "not-reached" for one in verdicts):
            return ExitCode.NOT_REACHED
        return ExitCode.OK if all(one.get(required) == "reached" for one in verdicts) else ExitCode.INCONCLUSIVE
    if required is None:
        return ExitCode.OK
    levels = comparison.levels if isinstance(comparison, Many) else comparison.prediction.levels
    prospects = {str(name): level.prospect for name, level in levels.items()}
    match prospects.get(required):
        case "possible":
            return ExitCode.OK
        case "ruled-out":
            return ExitCode.NOT_REACHED
        case _:
            return ExitCode.INCONCLUSIVE


def _lowered(reason: str) -> str:
    """A sentence that goes on after a colon."""
    return reason[:1].lower() + reason[1:]


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
    # A switch is set by the program, which is the same one: a machine does not decide it.
    lacking = [one for one in unknown if _strays(one) and not one.name.startswith("switch:")]
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

    Where no level is required everything that could be examined is fine; but where no level can be told, a metric that
    the user declared could not be compared, or a seed gave no finite value of a metric, the question asked is not
    answered, and that is inconclusive.
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
    if audit.study is not None:
        told = bool(audit.study.metrics) or audit.divergence is not None or _decides(audit.compared)
        whole = not (audit.study.missing or _not_finite(audit.study))
        return ExitCode.OK if told and whole else ExitCode.INCONCLUSIVE
    unanswered = any(metric.declared and metric.problem for metric in audit.metrics.values())
    decided = any(level.verdict in ("reached", "not-reached") for level in audit.levels.values())
    return ExitCode.OK if decided and not unanswered else ExitCode.INCONCLUSIVE


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


def _share(metric: Metric) -> float:
    """Return how much of its tolerance the difference of a metric within it takes."""
    return (metric.max_abs_difference or 0.0) / metric.tolerance if metric.tolerance else 0.0


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
    if worst is not None and _excess(worst) <= 0:
        worst = max(judged, key=_share)
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
