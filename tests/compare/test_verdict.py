"""Judgement: what is reached, what is not, and what cannot be said."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import ExitCode
from auditor.records.audit import SCHEMA, Audit
from auditor.records.comparison import ArtefactDifference, Compared, Comparison, Divergence, Metric
from auditor.records.config import Settings
from auditor.records.fingerprint import Fingerprint
from auditor.records.run import Ending, RunRecord
from auditor.verdict import exit_code, judge

Make = SimpleNamespace
STEPS = Compared(steps=5, parameter_digests=6, gradient_digests=5, losses=5, batches=5)
DIVERGENCE = Divergence(3, "gradients", "main", "encoder.weight", 0.5, 2)


def comparison(**changed: Any) -> Comparison:
    fields: dict[str, Any] = {
        "compared": STEPS,
        "divergences": (),
        "metrics": (),
        "artefacts": (),
        "gaps": (),
        "notes": (),
        "handshake": True,
        "identical_until": 5,
    }
    return Comparison(**fields | changed)


def metric(delta: float | None, tolerance: float = 0.01, **changed: Any) -> Metric:
    values = ((1.0,), (1.0 + (delta or 0.0),))
    fields: dict[str, Any] = {
        "name": "rmse", "source": "r.json", "declared": True, "values": values, "identical": delta == 0.0,
        "max_abs_difference": delta, "tolerance": tolerance,
    }  # fmt: skip
    return Metric(**fields | changed)


def verdicts(make: Make, found: Comparison, runs: list[RunRecord] | None = None, **settings: Any) -> dict[str, str]:
    judged = judge(found, runs or [make.record(1), make.record(2)], Settings(**settings))
    for level in judged.levels.values():
        assert level.reason.endswith(".")
        assert level.reason[0].isupper() or level.reason[0] in "1234567890"
    return {str(name): level.verdict for name, level in judged.levels.items()}


def test_all_equal_and_something_compared_is_reached(make: Make) -> None:
    judged = judge(comparison(), [make.record(1), make.record(2)], Settings())
    assert judged.level == "bit-exact"
    assert judged.levels["bit-exact"].verdict == "reached"
    assert judged.levels["bit-exact"].measured["steps"] == 5
    assert judged.levels["seed-stable"].verdict == "reached"
    assert judged.levels["distribution-stable"].verdict == "not-tested"
    assert judged.detection.excludes_rate_above == pytest.approx(0.95)


@pytest.mark.parametrize(
    "compared",
    [
        Compared(),
        Compared(steps=5),
        Compared(steps=5, batches=5),
        Compared(drawn_streams=3),
    ],
)
def test_nothing_that_decides_compared_is_inconclusive(make: Make, compared: Compared) -> None:
    found = verdicts(make, comparison(compared=compared))
    assert found["bit-exact"] == "inconclusive"
    assert found["seed-stable"] == "inconclusive"


@pytest.mark.parametrize(
    "compared",
    [
        Compared(metrics=1),
        Compared(checkpoint_tensors=1),
        Compared(steps=1, parameter_digests=1),
        Compared(steps=1, losses=1),
    ],
)
def test_any_of_what_decides_is_enough(make: Make, compared: Compared) -> None:
    assert verdicts(make, comparison(compared=compared))["bit-exact"] == "reached"


def test_a_gap_is_never_a_pass_and_a_difference_is_not_undone_by_one(make: Make) -> None:
    assert verdicts(make, comparison(gaps=("x",)))["bit-exact"] == "inconclusive"
    assert verdicts(make, comparison(gaps=("x",), divergences=(DIVERGENCE,)))["bit-exact"] == "not-reached"


def test_the_reason_names_step_link_and_quantity(make: Make) -> None:
    judged = judge(comparison(divergences=(DIVERGENCE,)), [make.record(1), make.record(2)], Settings())
    reason = judged.levels["bit-exact"].reason
    assert "step 3" in reason
    assert "gradients" in reason
    assert "encoder.weight" in reason
    assert "0.5" in reason
    assert judged.levels["bit-exact"].measured["step"] == 3
    assert judged.detection.excludes_rate_above == 1.0


def test_a_name_without_end_is_shortened_in_the_reason(make: Make) -> None:
    nested = Divergence(None, "checkpoint", "", "m.pkl:" + "a." * 5000 + "end", None)
    judged = judge(comparison(divergences=(nested,)), [make.record(1), make.record(2)], Settings())
    reason = judged.levels["bit-exact"].reason
    assert len(reason) < 400
    assert "m.pkl:a." in reason
    assert "a.end" in reason


@pytest.mark.parametrize(
    ("tensors", "metrics", "verdict"),
    [(3, 2, "reached"), (3, 0, "inconclusive"), (0, 2, "inconclusive"), (0, 0, "inconclusive")],
)
def test_without_the_probe_files_must_carry_it(make: Make, tensors: int, metrics: int, verdict: str) -> None:
    found = comparison(handshake=False, compared=Compared(checkpoint_tensors=tensors, metrics=metrics))
    judged = judge(found, [make.record(1), make.record(2)], Settings())
    assert judged.levels["bit-exact"].verdict == verdict
    assert "probe" in judged.levels["bit-exact"].reason


@pytest.mark.parametrize("status", ["failed", "timeout"])
def test_a_program_that_failed_was_not_examined(make: Make, status: str) -> None:
    runs = [make.record(1), make.record(2, ending=Ending(status, 1))]
    for found in (comparison(), comparison(divergences=(DIVERGENCE,)), comparison(metrics=(metric(5.0),))):
        assert set(verdicts(make, found, runs).values()) == {"inconclusive", "not-tested"}


def test_a_metric_that_steps_or_fail_fast_kept_from_being_written_is_told_so(make: Make) -> None:
    missing = Metric("rmse", "r.json:rmse", True, ((), ()), False, None, 0.01, problem="matches nothing")
    gap = "metric rmse: matches nothing"
    found = comparison(metrics=(missing,), gaps=(gap,), unsound=(gap,))
    judged = judge(found, [make.record(1), make.record(2)], Settings(steps=20))
    for name in ("bit-exact", "seed-stable"):
        assert "stopped on purpose after 20 steps" in judged.levels[name].reason  # type: ignore[index]  # by name
    runs = [make.record(1), make.record(2, ending=Ending("stopped", None))]
    judged = judge(found, runs, Settings(fail_fast=True))
    assert "--fail-fast ended run 2" in judged.levels["seed-stable"].reason


def test_one_run_or_other_seeds_prove_nothing(make: Make) -> None:
    assert verdicts(make, comparison(), [make.record(1)])["bit-exact"] == "inconclusive"
    other = [make.record(1, seed=1), make.record(2, seed=2)]
    assert verdicts(make, comparison(), other)["bit-exact"] == "inconclusive"
    judged = judge(comparison(), [], Settings())
    assert judged.level is None
    assert judged.detection.excludes_rate_above == 1.0


@pytest.mark.parametrize(
    ("delta", "tolerance", "verdict"),
    [
        (0.0, 0.0, "reached"),
        (0.01, 0.01, "reached"),
        (0.02, 0.01, "not-reached"),
        (None, 0.01, "not-reached"),
        (0.02, 0.5, "reached"),
    ],
)
def test_seed_stable_is_about_tolerance(make: Make, delta: float | None, tolerance: float, verdict: str) -> None:
    exact = delta == 0.0
    divergences = () if exact else (Divergence(None, "metric", "", "rmse", delta),)
    compared = Compared(steps=5, parameter_digests=5, metrics=1)
    found = comparison(metrics=(metric(delta, tolerance),), divergences=divergences, compared=compared)
    judged = verdicts(make, found)
    assert judged["seed-stable"] == verdict
    assert judged["bit-exact"] == ("reached" if exact else "not-reached")


def test_the_metric_closest_to_its_tolerance_is_told(make: Make) -> None:
    same, near = metric(0.0, name="seed"), metric(0.03, 0.05)
    compared = Compared(steps=5, metrics=2)
    found = comparison(metrics=(same, near), divergences=(DIVERGENCE,), compared=compared)
    reason = judge(found, [make.record(1), make.record(2)], Settings()).levels["seed-stable"].reason
    assert "the closest to it is rmse (|Δ| = 0.03, tolerance 0.05)" in reason


def test_volatile_metrics_decide_nothing(make: Make) -> None:
    found = comparison(metrics=(metric(99.0, volatile="its name says time"),))
    assert verdicts(make, found) == {
        "bit-exact": "reached",
        "seed-stable": "reached",
        "distribution-stable": "not-tested",
    }


def test_gaps_of_the_trace_leave_seed_stable_but_unsound_ones_do_not(make: Make) -> None:
    compared = Compared(steps=5, parameter_digests=5, metrics=1)
    found = comparison(metrics=(metric(0.001),), gaps=("a probe fault",), compared=compared, divergences=(DIVERGENCE,))
    assert verdicts(make, found)["seed-stable"] == "reached"
    unsound = comparison(metrics=(metric(0.001),), gaps=("stale",), unsound=("stale",), compared=compared)
    assert verdicts(make, unsound)["seed-stable"] == "inconclusive"
    beyond = comparison(metrics=(metric(5.0),), gaps=("stale",), unsound=("stale",), compared=compared)
    assert verdicts(make, beyond)["seed-stable"] == "not-reached"


def test_a_configuration_within_tolerance_proves_nothing(make: Make) -> None:
    found = comparison(metrics=(metric(0.0),), compared=Compared(drawn_streams=1))
    assert verdicts(make, found)["seed-stable"] == "inconclusive"


def test_what_differs_without_a_divergence_can_never_pass(make: Make) -> None:
    assert verdicts(make, comparison(metrics=(metric(5.0),)))["bit-exact"] == "not-reached"
    file = ArtefactDifference("w.pt", "tensors", "differs", "", 3, 0.5)
    assert verdicts(make, comparison(artefacts=(file,)))["bit-exact"] == "not-reached"


def test_steps_that_were_asked_for_are_told(make: Make) -> None:
    judged = judge(comparison(), [make.record(1), make.record(2)], Settings(steps=5))
    assert "up to step 5" in judged.levels["bit-exact"].reason


def audit(make: Make, found: Comparison, state: Any = "complete", **settings: Any) -> Audit:
    runs = (make.record(1), make.record(2))
    judged = judge(found, runs, Settings(**settings))
    return Audit(
        schema=SCHEMA, id="x", state=state, level=judged.level, levels=judged.levels, command=("x",),
        settings=Settings(**settings), runs=runs, metrics={m.name: m for m in found.metrics}, artefacts=found.artefacts,
        compared=found.compared, divergence=found.divergences[0] if found.divergences else None, causes=(), findings=(),
        gaps=found.gaps, notes=found.notes, detection=judged.detection,
        fingerprint=Fingerprint("auditor.fingerprint/1", {}), times={},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "state", "require", "code"),
    [
        ({}, "complete", None, ExitCode.OK),
        ({}, "complete", "bit-exact", ExitCode.OK),
        ({"divergences": (DIVERGENCE,)}, "complete", None, ExitCode.OK),
        ({"divergences": (DIVERGENCE,)}, "complete", "bit-exact", ExitCode.NOT_REACHED),
        ({"gaps": ("x",)}, "complete", "bit-exact", ExitCode.INCONCLUSIVE),
        ({"gaps": ("x",)}, "complete", None, ExitCode.INCONCLUSIVE),
        ({"gaps": ("x",), "divergences": (DIVERGENCE,)}, "complete", None, ExitCode.OK),
        ({"gaps": ("a file",), "metrics": (metric(0.001),)}, "complete", None, ExitCode.OK),
        ({"compared": Compared()}, "complete", None, ExitCode.INCONCLUSIVE),
        ({"metrics": (metric(None, problem="not found"),)}, "complete", None, ExitCode.INCONCLUSIVE),
        ({}, "complete", "distribution-stable", ExitCode.INCONCLUSIVE),
        ({}, "failed", None, ExitCode.PROGRAM_FAILED),
        ({}, "failed", "bit-exact", ExitCode.PROGRAM_FAILED),
        ({"gaps": ("x",)}, "interrupted", None, ExitCode.INCONCLUSIVE),
    ],
)
def test_exit_codes(make: Make, changed: dict[str, Any], state: str, require: str | None, code: ExitCode) -> None:
    assert exit_code(audit(make, comparison(**changed), state, require=require)) == code


counts = st.integers(0, 2)


@given(
    compared=st.builds(
        Compared, steps=counts, parameter_digests=counts, gradient_digests=counts, losses=counts, batches=counts,
        checkpoint_tensors=counts, metrics=counts, drawn_streams=counts,
    ),
    diverged=st.booleans(),
    gap=st.booleans(),
    handshake=st.booleans(),
    status=st.sampled_from(["ok", "failed", "timeout", "interrupted", "stopped"]),
)  # fmt: skip
def test_bit_exact_is_never_reached_without_evidence(
    make: Make, compared: Compared, diverged: bool, gap: bool, handshake: bool, status: str
) -> None:
    found = comparison(
        compared=compared,
        divergences=(DIVERGENCE,) if diverged else (),
        gaps=("x",) if gap else (),
        handshake=handshake,
    )
    runs = [make.record(1), make.record(2, ending=Ending(status, 0))]
    verdict = verdicts(make, found, runs)["bit-exact"]
    if status in ("failed", "timeout"):
        assert verdict == "inconclusive"
    elif diverged:
        assert verdict == "not-reached"
    elif gap:
        assert verdict == "inconclusive"
    if verdict == "reached":
        carried = (
            compared.parameter_digests + compared.gradient_digests + compared.losses
            + compared.checkpoint_tensors + compared.metrics
        )  # fmt: skip
        assert carried > 0
        assert handshake or (compared.checkpoint_tensors and compared.metrics)
