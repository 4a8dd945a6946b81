"""Printed figures against the files: right, wrongly rounded, of another divisor, or another figure altogether."""

from __future__ import annotations

from decimal import Decimal

import pytest

from auditor.claims import printed

OF = 'of = { dataset = "FD002", method = "GRACE", metric = "rmse" }'


def value(figures: str) -> str:
    return f'[[claim]]\nkind = "value"\n{OF}\n{figures}'


@pytest.fixture
def grace(study, sample):
    """Five seeds of GRACE on FD002: 7.72 ± 0.66."""
    study.write("FD002", "GRACE", sample(7.72, 0.66, 5))
    return study


def test_figures_that_fit_are_supported(grace):
    judged = grace.judge(value("mean = 7.72\nstd = 0.66\nn = 5"))
    assert judged.status == "supported"
    assert judged.measured["mean"] == pytest.approx(7.72)
    assert judged.measured["std"] == pytest.approx(0.66)
    assert judged.measured["sem"] == pytest.approx(0.29516, abs=1e-5)
    assert judged.measured["seeds"] == (1, 2, 3, 4, 5)
    assert judged.claim == "GRACE on FD002: rmse 7.72 ± 0.66 (n = 5)"


@pytest.mark.parametrize(
    ("figures", "status", "said"),
    [
        ("mean = 7.73", "contradicted", "files give 7.72"),
        ("mean = 7.8", "not-supported", "rounds to 7.7: 7.8 is rounded the wrong way"),
        ("mean = 7.72\nstd = 0.59", "not-supported", "ddof=0"),
        ("mean = 7.72\nstd = 0.590\nddof = 0", "supported", "ddof=0"),
        ("mean = 7.72\nstd = 0.66\nddof = 0", "not-supported", "ddof=1"),
        ("mean = 7.72\nstd = 0.30", "contradicted", "standard error (SEM), printed as std"),
        ("mean = 7.72\nstd = 0.59", "not-supported", "or 2·SEM"),  # the same number, with five seeds
        ("mean = 7.72\nstd = 0.82", "contradicted", "half-width of the 95 % interval"),
        ("mean = 7.72\nstd = 0.436", "contradicted", "variance"),
        ("mean = 7.72\nstd = 0.77", "contradicted", "0.77 is printed"),
        ("mean = 7.72\nsem = 0.295", "supported", "SEM"),
        ("mean = 7.72\nsem = 0.66", "contradicted", "0.66 is the std"),
        ("mean = 7.72\ntwo_sem = 0.59", "supported", "±2·SEM"),
        ("mean = 7.72\ntwo_sem = 0.30", "contradicted", "0.30 is one SEM"),
        ("mean = 772.0\nscale = 100", "supported", "772"),
        ("mean = 772.0", "contradicted", "scale = 100"),
        ("mean = 7.72\nn = 4", "not-supported", "n = 4 is printed and the files have 5 seeds"),
        ("mean = 7.72\nn = 6", "cannot-be-checked", "5 usable results"),
    ],
)
def test_what_is_wrong_is_named(grace, figures, status, said):
    judged = grace.judge(value(figures))
    assert judged.status == status, judged.reason
    assert said in judged.reason


def test_the_published_example_contradicts_itself(study):
    # 7.72 ± 0.66 over five seeds, with ±2·SEM printed as ±0.30: no file is needed to see it.
    judged = study.judge(value("mean = 7.72\nstd = 0.66\nn = 5\ntwo_sem = 0.30"), head='lower_is_better = ["rmse"]')
    assert judged.status == "contradicted"
    assert "SEM of 0.295" in judged.reason
    assert "±0.59 and not the ±0.30 that is printed (that is one SEM)" in judged.reason


def test_figures_that_agree_among_themselves_still_need_files(study):
    judged = study.judge(value("mean = 7.72\nstd = 0.66\nn = 5\ntwo_sem = 0.59"), head="")
    assert judged.status == "cannot-be-checked"
    assert "missing" in judged.reason


@pytest.mark.parametrize(
    ("figure", "computed", "fit"),
    [
        ("7.70", 7.7049, "fits"),
        ("7.70", 7.71, "differs"),
        ("7.7", 7.7499, "fits"),
        ("7.7", 7.7500001, "misrounded"),
        ("0.5", 0.45, "fits"),  # a half may go either way
        ("0.4", 0.45, "fits"),
        ("12", 11.6, "fits"),
        ("12", 12.6, "misrounded"),
        ("1.2e3", 1249.0, "fits"),
        ("-0.12", -0.1249, "fits"),
        ("-0.12", -0.129, "misrounded"),
    ],
)
def test_digits_count_as_they_are_printed(figure, computed, fit):
    assert printed.fit(Decimal(figure), computed) == fit


def test_a_trailing_zero_is_a_digit(grace):
    assert grace.judge(value("mean = 7.7")).status == "supported"
    assert grace.judge(value("mean = 7.70")).status == "contradicted"


def test_a_cut_off_mean_is_named(study, sample):
    study.write("FD002", "GRACE", sample(7.728, 0.66, 5))
    judged = study.judge(value("mean = 7.72"))
    assert judged.status == "not-supported"
    assert "rounds to 7.73: 7.72 is cut off instead of rounded" in judged.reason


def test_the_best_seed_and_the_mean_without_the_worst_are_named(study):
    study.write("FD002", "GRACE", [7.0, 7.2, 7.4, 7.6, 9.8])
    assert "7.0 is the lowest seed's value" in study.judge(value("mean = 7.0")).reason
    assert "7.30 is the mean without seed 5" in study.judge(value("mean = 7.30")).reason
    assert "7.40 is the median" in study.judge(value("mean = 7.40")).reason


def test_seeds_that_were_chosen_are_named(study):
    study.write("FD002", "GRACE", [7.01, 7.22, 7.43, 7.64, 7.35, 9.16, 9.77])
    judged = study.judge(value("mean = 7.33\nstd = 0.24\nn = 5"))
    assert judged.status == "contradicted"
    assert "the printed figures are those of seeds 1–5, without seeds 6 and 7" in judged.reason


def test_mixed_divisors_are_named_over_the_ledger(study, sample):
    study.write("FD002", "GRACE", sample(7.72, 0.66, 5))
    study.write("FD002", "GABA", sample(7.53, 0.65, 5))
    second = value("mean = 7.53\nstd = 0.58\nn = 5").replace("GRACE", "GABA")
    report = study.examine(value("mean = 7.72\nstd = 0.66") + "\n" + second)
    assert [one.status for one in report.claims] == ["supported", "not-supported"]
    (note,) = report.notes
    assert "mixed ddof: the std of claim 1 divides by n − 1 (ddof=1), that of claim 2 by n (ddof=0)" in note


# what is missing


def test_a_single_seed_cannot_be_checked(study):
    study.write("FD002", "GRACE", [7.72])
    judged = study.judge(value("mean = 7.72\nstd = 0.66\nn = 5"))
    assert judged.status == "cannot-be-checked"
    assert "single seed" in judged.reason
    assert study.judge(value("mean = 7.72\nn = 1")).status == "cannot-be-checked"
    assert study.judge(value("mean = 8.1\nn = 1")).status == "contradicted"


@pytest.mark.parametrize(
    "figures",
    ["mean = 7.72\nstd = 0.66\nn = 5", "mean = 7.72\nn = 5", "mean = 7.72\nstd = 0.66", "mean = 7.72\nsem = 0.3"],
)
def test_one_result_does_not_contradict_a_mean_of_several(study, figures):
    study.write("FD002", "GRACE", {11: 7.151})
    judged = study.judge(value(figures))
    assert judged.status == "cannot-be-checked", judged.reason
    assert "a single seed" in judged.reason
    # A figure that counts no seeds may be that one's.
    assert study.judge(value("mean = 7.72")).status == "contradicted"


def test_a_nan_is_named_and_never_dropped(study):
    study.write("FD002", "GRACE", {1: 7.0, 2: 7.2, 3: '{"test": {"rmse": NaN}}', 4: 7.4})
    judged = study.judge(value("mean = 7.20\nn = 4"))
    assert judged.status == "cannot-be-checked"
    assert "seed 3: test.rmse is NaN (phase1/FD002/GRACE/seed_3/results.json)" in judged.reason
    assert "the printed mean is that of the 3 usable results alone" in judged.reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"test": {"rmse": Infinity}}', "infinite"),
        ('{"test": {"rmse": null}}', "null"),
        ('{"test": {"rmse": "7.4"}}', "is the text '7.4'"),
        ('{"test": {"rmse": true}}', "truth value"),
        ('{"test": {"rmse": [1, 2]}}', "name one element, as in test.rmse.-1"),
        ('{"test": {"rmse": {"a": 1}}}', "holds a"),
        ('{"test": {"rmse": 1e200}}', "too large"),
        ('{"test": {}}', "there is no test.rmse"),
        ('{"test": ', "no JSON"),
        ("", "empty"),
        ("[" * 100_000, "nested too deeply"),
        ('{"test": {"rmse": ' + "9" * 5000 + "}}", "too long"),
        ('{"test": {"rmse": ' + "9" * 400 + "}}", "too large"),
        ('{"seed": 9, "test": {"rmse": 7.4}}', "its path says seed 3 and its content seed 9"),
    ],
)
def test_what_is_no_number_is_named(study, text, said):
    study.write("FD002", "GRACE", {1: 7.0, 2: 7.2, 3: text})
    judged = study.judge(value("mean = 7.2\nn = 3"))
    assert judged.status == "cannot-be-checked"
    assert said in judged.reason and "seed 3" in judged.reason


def test_a_method_that_is_not_there_is_named_with_what_is_near(study):
    study.write("FD002", "GRACES", [7.0, 7.2])
    judged = study.judge(value("mean = 7.1\nn = 2"))
    assert judged.status == "cannot-be-checked"
    assert "there is no result of method GRACE; did you mean GRACES?" in judged.reason


def test_several_groups_need_a_choice(study):
    study.write("FD002", "GRACE", [7.0, 7.2])
    study.write("FD004", "GRACE", [9.0, 9.2])
    judged = study.judge(value("mean = 7.1").replace('dataset = "FD002", ', ""))
    assert judged.status == "cannot-be-checked"
    assert "FD002, FD004" in judged.reason
