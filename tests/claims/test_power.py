"""How many seeds the claims of a ledger need, and that every simulated number comes out again."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.claims import power
from auditor.report import claims_markdown, claims_terminal

CLAIM = '[[claim]]\nkind = "friedman"\nof = { metric = "rmse" }\np_below = 0.05'
ORDER = '\n[[claim]]\nkind = "order"\nof = { metric = "rmse" }\nbetter = "GRACE"\nthan = "GABA"'
METHODS = ("GRACE", "GABA", "Uniform", "DWA", "PCGrad", "CAGrad", "IMTL", "NashMTL", "RLW")


@pytest.fixture
def nine_by_ten(study, sample):
    """Nine methods on two data sets with five seeds, at about the effect where five seeds are the fewest that do."""
    order = np.random.default_rng(4).permuted(np.tile(np.arange(5), (18, 1)), axis=1)
    for dataset, base in enumerate((7.7, 9.1)):
        for place, method in enumerate(METHODS):
            values = np.array(sample(base + 0.175 * place, 0.66, 5))[order[9 * dataset + place]]
            study.write(("FD002", "FD004")[dataset], method, [float(one) for one in values])
    return study


def test_why_five_seeds(nine_by_ten):
    report = nine_by_ten.examine(CLAIM, with_power=True)
    assert report.power is not None
    (found,) = report.power.studies
    said = {point.seeds: point.says for point in found.points}
    assert (found.methods, found.groups) == (9, ("FD002", "FD004"))
    assert (said[1], said[3], said[5]) == ("none", "borderline", "enough"), found.says
    at_one = found.points[0]
    # Two blocks: even full agreement, χ² = 16 with 8 degrees of freedom, is p = 0.042.
    assert at_one.least_p == pytest.approx(0.04238, abs=1e-5)
    # Three seeds, six blocks: W must be 15.507 / 48.
    assert found.points[2].least_w == pytest.approx(15.507 / 48, abs=1e-4)
    assert "with 1 there is no test (2 blocks" in found.says


@pytest.mark.parametrize(("datasets", "status", "says"), [(5, "cannot-be-checked", "none"), (6, "supported", "enough")])
def test_one_seed_is_a_test_of_six_data_sets_wherever_it_is_said(study, datasets, status, says):
    rng = np.random.default_rng(1)
    for dataset in range(datasets):
        for place, method in enumerate(METHODS):
            study.write(f"FD{dataset}", method, (10 + 0.5 * place + rng.normal(0, 0.5, 2)).tolist())
    (found,) = study.examine(CLAIM, with_power=True).power.studies
    assert found.points[0].says == says
    if says == "none":
        assert "with 1 there is no test (5 blocks, where full agreement gives p = " in found.says
        assert "of fewer than 6 data sets the seeds' noise cannot be seen" in found.says
    else:
        assert "1 seed is the fewest" in found.says and "with 1 the 6 data sets are the blocks" in found.says
    for path in study.root.glob("phase1/*/*/seed_2/results.json"):
        path.unlink()
    report = study.examine(CLAIM + ORDER, with_power=True)
    assert report.claims[0].status == status
    # Of a single seed there is no curve; the report says why, under a heading of its own.
    assert report.power.studies == () and report.power.orders == ()
    assert (
        "CAGrad has fewer than two seeds on FD0, so that the noise of its seeds is not known" in report.power.notes[0]
    )
    assert "GRACE beats GABA in rmse: of these results the noise of the seeds is not known" in report.power.notes[1]
    assert "How many seeds: what cannot be told" in claims_terminal.render(report, width=100)
    assert "### How many seeds: what cannot be told" in claims_markdown.render(report)


def test_the_same_seed_gives_the_same_curve(nine_by_ten):
    once, again, other = (nine_by_ten.examine(CLAIM, with_power=True, seed=seed).power for seed in (7, 7, 8))
    assert once == again
    assert once.studies[0].points != other.studies[0].points
    for mine, theirs in zip(once.studies[0].points[1:], other.studies[0].points[1:], strict=True):
        noise = 4 * (mine.standard_error**2 + theirs.standard_error**2) ** 0.5
        assert abs(mine.power - theirs.power) <= noise + 1e-9


def test_no_global_state_is_drawn_from(nine_by_ten):
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    nine_by_ten.examine(CLAIM, with_power=True)
    assert (np.random.get_state()[1] == before).all()


def test_methods_that_do_not_differ_have_little_power(study, sample):
    rng = np.random.default_rng(1)
    for method in METHODS[:4]:
        study.write("FD002", method, rng.permutation(sample(8.0, 0.6, 5)).tolist())
    (found,) = study.examine(CLAIM, with_power=True).power.studies
    assert found.enough is None
    # The test is somewhat timid with few blocks, and never finds more than its level.
    assert all(point.power < 0.08 for point in found.points if point.power is not None)


def test_the_published_rule_fails_three_of_four_true_reproductions(nine_by_ten):
    curve = nine_by_ten.examine(CLAIM, with_power=True).power.rule
    place = curve.seeds.index(5)
    assert (curve.true_mean[place], curve.true_std[place], curve.true_both[place]) == pytest.approx(
        (0.77, 0.30, 0.24), abs=0.01
    )
    assert curve.passes[0] == pytest.approx(curve.true_both[place], abs=0.03)
    assert all(later <= earlier + 0.01 for earlier, later in zip(curve.passes, curve.passes[1:], strict=False))
    assert curve.passes[-1] < 0.01


def test_without_noise_there_is_no_curve(study):
    for method in METHODS[:3]:
        study.write("FD002", method, [8.0])
        study.write("FD004", method, [9.0])
    power = study.examine(CLAIM, with_power=True).power
    assert power.studies == ()
    assert "fewer than two seeds" in power.notes[0]


@pytest.mark.parametrize(
    ("numbers", "said"), [([4], "4"), ([2, 3], "2 and 3"), ([4, 5, 6], "4 to 6"), ([4, 6, 7], "4, 6 and 7")]
)
def test_numbers_of_seeds_are_said_together(numbers, said):
    assert power.listed(numbers) == said
