"""Orders of two methods: shown, not shown by these seeds, contradicted, or not to be told."""

from __future__ import annotations

import pytest
from scipy import stats

from tests.claims.conftest import HEAD

ORDER = """
[[claim]]
kind   = "order"
of     = { dataset = "FD002", metric = "rmse" }
better = "GRACE"
than   = "GABA"
"""
PUBLISHED = """
[[claim]]
kind = "value"
of   = { dataset = "FD002", method = "GRACE", metric = "rmse" }
mean = 7.72
std  = 0.66
n    = 5

[[claim]]
kind = "value"
of   = { dataset = "FD002", method = "GABA", metric = "rmse" }
mean = 7.53
sem  = 0.29
n    = 5
"""


def test_the_published_example_is_not_supported(study, sample):
    # 7.72 ± 0.66 (n = 5) against 7.53 with SEM 0.29.
    study.write("FD002", "GRACE", sample(7.72, 0.66, 5))
    study.write("FD002", "GABA", sample(7.53, 0.29 * 5**0.5, 5))
    values, gaba, judged = study.examine(PUBLISHED + ORDER).claims
    assert (values.status, gaba.status, judged.status) == ("supported", "supported", "not-supported")
    measured = judged.measured
    assert measured["difference"] == pytest.approx(0.19)
    assert measured["standard_error"] == pytest.approx(0.4138, abs=1e-4)
    assert measured["p"] == pytest.approx(
        stats.ttest_ind_from_stats(7.72, 0.66, 5, 7.53, 0.29 * 5**0.5, 5, equal_var=False).pvalue
    )
    assert measured["seeds_needed"] == 188
    assert "the difference 0.19 is 0.46 times its standard error 0.414" in judged.reason
    assert "points the other way" in judged.reason
    assert "about 188 seeds of each" in judged.reason


def test_the_published_example_from_its_figures_alone(study):
    *_, judged = study.examine(PUBLISHED + ORDER, head='lower_is_better = ["rmse"]').claims
    assert judged.status == "not-supported"
    assert judged.reason.startswith("by the printed figures: GRACE 7.72 against GABA 7.53")


def test_figures_alone_never_carry_a_claim(study):
    figures = PUBLISHED.replace("7.72", "5.72")
    *_, judged = study.examine(figures + ORDER, head='lower_is_better = ["rmse"]').claims
    assert judged.status == "cannot-be-checked"
    assert "which no file bears out" in judged.reason


def test_missing_files_are_not_replaced_by_printed_figures(study):
    *_, judged = study.examine(PUBLISHED + ORDER).claims
    assert judged.status == "cannot-be-checked"
    assert "no file matches phase1" in judged.reason


def test_a_clear_difference(study, sample):
    study.write("FD002", "GRACE", sample(7.0, 0.3, 5))
    study.write("FD002", "GABA", sample(8.0, 0.3, 5))
    assert study.judge(ORDER).status == "supported"
    higher = HEAD.replace("lower_is_better", "higher_is_better")
    judged = study.judge(ORDER, higher)
    assert judged.status == "contradicted"
    assert "the contrary is shown" in judged.reason


def test_the_level_is_the_ledgers_or_the_claims_own(study, sample):
    study.write("FD002", "GRACE", sample(7.0, 0.3, 5))
    study.write("FD002", "GABA", sample(7.5, 0.3, 5))
    assert study.judge(ORDER).status == "supported"
    assert study.judge(ORDER + "alpha = 0.001").status == "not-supported"
    assert study.judge(ORDER, "alpha = 0.001\n" + HEAD).status == "not-supported"


def test_over_data_sets_it_must_hold_in_each(study, sample):
    claim = ORDER.replace('dataset = "FD002"', 'dataset = ["FD002", "FD004"]')
    study.write("FD002", "GRACE", sample(7.0, 0.3, 5))
    study.write("FD002", "GABA", sample(8.0, 0.3, 5))
    study.write("FD004", "GRACE", sample(9.0, 0.3, 5))
    study.write("FD004", "GABA", sample(9.1, 0.3, 5))
    judged = study.judge(claim)
    assert judged.status == "not-supported"
    assert "FD002: GRACE" in judged.reason and "FD004: GRACE" in judged.reason
    assert judged.measured["FD004.difference"] == pytest.approx(-0.1)
    study.write("FD004", "GABA", sample(10.0, 0.3, 5))
    assert study.judge(claim).status == "supported"


@pytest.mark.parametrize("missing", ["GRACE", "GABA"])
def test_a_missing_seed_turns_a_pass_into_a_question(study, sample, missing):
    study.write("FD002", "GRACE", sample(7.0, 0.3, 5))
    study.write("FD002", "GABA", sample(8.0, 0.3, 5))
    (study.root / f"phase1/FD002/{missing}/seed_4/results.json").unlink()
    judged = study.judge(ORDER)
    assert judged.status == "cannot-be-checked"
    assert f"{missing}: no result for seed 4" in judged.reason
    planned = study.judge(ORDER, "seeds = [1, 2, 3, 5]\n" + HEAD)
    assert planned.status == "supported"
    assert "seed 4 not planned, and left aside" in planned.reason


def test_disjoint_seeds_are_no_gap(study, sample):
    study.write("FD002", "GRACE", dict(zip(range(1, 6), sample(7.0, 0.3, 5), strict=True)))
    study.write("FD002", "GABA", dict(zip(range(11, 16), sample(8.0, 0.3, 5), strict=True)))
    assert study.judge(ORDER).status == "supported"


def test_a_planned_seed_that_neither_has(study, sample):
    study.write("FD002", "GRACE", sample(7.0, 0.3, 4))
    study.write("FD002", "GABA", sample(8.0, 0.3, 4))
    judged = study.judge(ORDER, "seeds = [1, 2, 3, 4, 5]\n" + HEAD)
    assert judged.status == "cannot-be-checked"
    assert "no result for the planned seed 5" in judged.reason


def test_a_nan_cannot_be_passed_over(study, sample):
    study.write("FD002", "GRACE", sample(7.0, 0.3, 5))
    study.write("FD002", "GABA", {**dict(enumerate(sample(8.0, 0.3, 4), 1)), 5: float("nan")})
    judged = study.judge(ORDER)
    assert judged.status == "cannot-be-checked"
    assert "GABA: seed 5: test.rmse is NaN" in judged.reason


def test_a_single_seed_says_nothing(study, sample):
    study.write("FD002", "GRACE", [7.0])
    study.write("FD002", "GABA", sample(8.0, 0.3, 5))
    judged = study.judge(ORDER)
    assert judged.status == "cannot-be-checked"
    assert "GRACE: a single seed, whose noise cannot be known" in judged.reason


def test_seeds_that_change_nothing_have_no_noise_to_judge_by(study, sample):
    study.write("FD002", "GRACE", [7.123456] * 5)
    study.write("FD002", "GABA", sample(8.0, 0.3, 5))
    judged = study.judge(ORDER)
    assert judged.status == "cannot-be-checked"
    assert "all 5 seeds have the same value" in judged.reason
    assert "a copied result, or a seed that goes nowhere" in judged.reason
    declared = study.judge(ORDER, 'deterministic = ["GRACE"]\n' + HEAD)
    assert declared.status == "supported"


def test_a_deterministic_method_needs_one_result(study, sample):
    study.write("FD002", "GRACE", {0: 7.0})
    study.write("FD002", "GABA", sample(8.0, 0.3, 5))
    assert study.judge(ORDER, 'deterministic = ["GRACE"]\n' + HEAD).status == "supported"


def test_two_deterministic_methods_are_compared_as_they_stand(study):
    study.write("FD002", "GRACE", [7.0])
    study.write("FD002", "GABA", [8.0])
    judged = study.judge(ORDER, 'deterministic = ["GRACE", "GABA"]\n' + HEAD)
    assert judged.status == "supported"
    assert "neither of which varies" in judged.reason


def test_equal_results_differ_by_nothing(study):
    study.write("FD002", "GRACE", [7.0, 8.0])
    study.write("FD002", "GABA", [7.0, 8.0])
    judged = study.judge(ORDER)
    assert judged.status == "not-supported"
    assert "there is no difference" in judged.reason


def test_three_seeds_against_many_are_judged_by_the_more_careful_test(study):
    # By chance the three lie close together: Welch believes their variance, Student pools it.
    study.write("FD002", "GRACE", [7.00, 7.01, 7.02])
    study.write("FD002", "GABA", [7.0, 7.2, 7.4, 7.6, 7.8, 8.0, 7.1, 7.3, 8.6, 8.9])
    (judged,) = study.examine(ORDER.replace('metric = "rmse" }', 'metric = "rmse" }\nalpha = 0.04')).claims
    assert judged.measured["p"] < 0.04 < judged.measured["p_student"]
    assert "Student, which counts with sizes so unequal" in judged.reason
    assert judged.status != "supported"


def test_two_seeds_of_each_show_no_order_in_either_direction(study):
    # Two modes far apart: the permutation test could not tell (p = 1/3), Welch's test says p = 0.006.
    study.write("FD002", "GRACE", [7.00, 7.01])
    study.write("FD002", "GABA", [8.00, 8.02])
    for head in (HEAD, HEAD.replace("lower_is_better", "higher_is_better")):
        judged = study.judge(ORDER, head)
        assert judged.measured["p"] < 0.01
        assert judged.status == "not-supported"
        assert "an order takes at least 3 seeds of each" in judged.reason
        assert judged.measured["seeds_needed"] == 3
    assert not any(cell.best for cell in study.examine(ORDER).results)
    # Nor two against many.
    for path in study.root.glob("phase1/FD002/GABA/*/results.json"):
        path.unlink()
    study.write("FD002", "GABA", dict(enumerate([8.0, 8.1, 8.2, 8.05, 8.15], 11)))
    assert study.judge(ORDER).status == "not-supported"
    # A method that depends on no seed needs no more than one.
    (study.root / "phase1/FD002/GRACE/seed_2/results.json").unlink()
    assert study.judge(ORDER, 'deterministic = ["GRACE"]\n' + HEAD).status == "supported"
    study.write("FD002", "GRACE", [7.00, 7.01, 7.02])
    assert study.judge(ORDER).status == "supported"


def test_permutation_is_told_beside_welch(study):
    study.write("FD002", "GRACE", [7.0, 7.1, 7.2])
    study.write("FD002", "GABA", [8.0, 8.1, 8.2])
    (judged,) = study.examine(ORDER).claims
    assert judged.status == "supported"
    assert judged.measured["p_permutation"] == pytest.approx(0.1)  # the least there is among 20 rearrangements
    assert "; permutation, p = 0.1)" in judged.reason
    assert "p_student" not in judged.measured


def test_how_much_may_be_chance_is_said_of_several_tests(study):
    study.write("FD002", "GRACE", [7.0, 7.1, 7.2])
    study.write("FD002", "GABA", [8.0, 8.1, 8.2])
    assert not any("corrected" in note for note in study.examine(ORDER).notes)
    (note,) = study.examine(ORDER + ORDER.replace('than   = "GABA"', 'than   = "GABA"\nalpha  = 0.01')).notes
    assert note.startswith("2 claims are tests, each at its own level; nothing is corrected over them")
    assert note.endswith("would be up to 6%")
