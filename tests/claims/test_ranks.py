"""Rank tests against scipy on hundreds of data sets, with ties and without."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from auditor.statistics import ranks


def tables(count: int, seed: int) -> list[np.ndarray]:
    """Random tables (blocks, methods); every second one has ties."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        shape = rng.integers(2, 14), rng.integers(3, 11)
        values = rng.integers(0, 5, shape) if number % 2 else rng.normal(size=shape)
        made.append(values.astype(float) + rng.integers(0, 2) * np.arange(shape[1]) * 0.4)
    return made


def test_friedman_is_scipys() -> None:
    seen = 0
    for table in tables(400, seed=1):
        if (table == table[:, :1]).all():
            continue
        found, expected = ranks.friedman(table.tolist()), stats.friedmanchisquare(*table.T)
        assert found.statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-9)
        assert found.mean_ranks == pytest.approx(stats.rankdata(table, axis=1).mean(axis=0), rel=1e-12)
        seen += 1
    assert seen > 390


def test_kendalls_w_is_one_where_all_blocks_agree() -> None:
    found = ranks.friedman([[1.0, 2.0, 3.0, 4.0]] * 5)
    assert found.kendall_w == pytest.approx(1)
    assert found.statistic == pytest.approx(ranks.largest_statistic(5, 4))
    assert found.p_iman_davenport == 0


def test_the_f_form() -> None:
    for table in tables(40, seed=2):
        found = ranks.friedman(table.tolist())
        blocks, methods = table.shape
        if found.kendall_w == 1:
            continue
        f = (blocks - 1) * found.statistic / (blocks * (methods - 1) - found.statistic)
        assert found.iman_davenport == pytest.approx(f, rel=1e-8)
        expected = stats.f.sf(f, methods - 1, (methods - 1) * (blocks - 1))
        assert found.p_iman_davenport == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("table", [[[1.0, 2.0, 3.0]], [[1.0, 2.0], [2.0, 1.0]], [[1.0, 1.0, 1.0]] * 3, []])
def test_friedman_refuses_what_has_no_ranks(table: list[list[float]]) -> None:
    with pytest.raises(ValueError, match=r"needed|tie"):
        ranks.friedman(table)


def test_friedman_refuses_nan() -> None:
    with pytest.raises(ValueError, match="finite"):
        ranks.friedman([[1.0, 2.0, float("nan")], [1.0, 2.0, 3.0]])


def test_wilcoxon_is_scipys() -> None:
    rng = np.random.default_rng(3)
    for number in range(300):
        n = int(rng.integers(2, 45))
        ties = number % 3 == 0
        differences = (rng.integers(-4, 5, n) if ties else rng.normal(0.2, 1, n)).astype(float)
        kept = differences[differences != 0]
        if not len(kept):
            continue
        asymptotic = stats.wilcoxon(kept, method="asymptotic")
        assert ranks.wilcoxon(differences.tolist(), "asymptotic").p == pytest.approx(asymptotic.pvalue, rel=1e-9)
        found = ranks.wilcoxon(differences.tolist())
        assert found.statistic == pytest.approx(asymptotic.statistic)
        assert found.pairs == len(kept) and found.exact
        if not ties:
            assert found.p == pytest.approx(stats.wilcoxon(kept, method="exact").pvalue, rel=1e-9)
        elif len(kept) <= 10:
            # All 2^n patterns of signs, given the ties.
            every = stats.wilcoxon(kept, method=stats.PermutationMethod(n_resamples=np.inf))
            assert found.p == pytest.approx(every.pvalue, rel=1e-9)


def test_wilcoxon_takes_the_normal_approximation_for_many_pairs() -> None:
    values = np.random.default_rng(4).normal(0.3, 1, 80)
    found = ranks.wilcoxon(values.tolist())
    assert not found.exact
    assert found.p == pytest.approx(stats.wilcoxon(values, method="asymptotic").pvalue, rel=1e-9)


def test_wilcoxon_without_differences_finds_none() -> None:
    assert ranks.wilcoxon([0.0, 0.0, -0.0]).p == 1


def test_holm_steps_down() -> None:
    assert ranks.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert ranks.holm([0.9, 0.8]) == (1.0, 1.0)
    assert ranks.holm([]) == ()


def test_the_critical_difference_of_demsars_example() -> None:
    # Demšar (JMLR 7, 2006), section 3.2.2: 4 classifiers, 14 data sets, 1.25 by Nemenyi and 1.16 by Bonferroni and Dunn
    # (2.394 · 0.488 at 0.05).
    assert ranks.critical_difference(14, 4) == pytest.approx(1.25, abs=0.005)
    assert ranks.bonferroni_dunn_difference(14, 4) == pytest.approx(2.394 * (4 * 5 / 84) ** 0.5, abs=5e-4)


def test_blocks_needed_grow_as_agreement_falls() -> None:
    needed = [ranks.blocks_needed(w, 10, 9) for w in (0.8, 0.4, 0.2)]
    assert needed == sorted(needed) and None not in needed
    assert ranks.blocks_needed(0.1, 10, 9) is None  # what chance gives
    assert ranks.blocks_needed(0.9, 1, 9) is None


def test_blocks_needed_keep_their_word() -> None:
    # In studies with about that agreement, the test rejects about as often as it was asked to.
    means, stds = np.tile(np.arange(5) * 0.25, (1, 1)), np.ones((1, 5))
    generator = np.random.default_rng(5)
    drawn = generator.standard_normal((4000, 5)) + means
    w = ranks.friedman(drawn.tolist()).kendall_w
    needed = ranks.blocks_needed(w, 4000, 5)
    assert needed is not None
    found = ranks.simulate_friedman(means, stds, needed, 4000, generator)
    power = float(np.mean(found > stats.chi2.isf(0.05, 4)))
    assert power == pytest.approx(0.8, abs=0.05)


def test_simulated_statistics_are_friedmans() -> None:
    means, stds = np.array([[0.0, 0.5, 1.0], [3.0, 3.1, 2.0]]), np.full((2, 3), 0.7)
    found = ranks.simulate_friedman(means, stds, 4, 3, np.random.default_rng(6))
    drawn = np.random.default_rng(6).standard_normal((3, 2, 4, 3))
    for number in range(3):
        table = (means[:, None, :] + stds[:, None, :] * drawn[number]).reshape(8, 3)
        assert found[number] == pytest.approx(stats.friedmanchisquare(*table.T).statistic)


def test_simulation_needs_two_blocks() -> None:
    with pytest.raises(ValueError, match="2 blocks"):
        ranks.simulate_friedman(np.zeros((1, 3)), np.ones((1, 3)), 1, 5, np.random.default_rng(1))
