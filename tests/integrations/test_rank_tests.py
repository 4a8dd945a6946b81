"""Our rank tests and powers beside those of other packages, on random data sets."""

from __future__ import annotations

import numpy as np
import pytest

from auditor.statistics import order, ranks
from auditor.statistics.order import Seeds

pytestmark = pytest.mark.integrations


def tables(count: int) -> list[np.ndarray]:
    """Random tables (blocks, methods); every second one has ties."""
    rng = np.random.default_rng(20)
    made = []
    for number in range(count):
        shape = rng.integers(3, 14), rng.integers(3, 10)
        values = rng.integers(0, 6, shape) if number % 2 else rng.normal(size=shape)
        made.append(values + np.arange(shape[1]) * 0.3 * (number % 3))
    return made


def test_nemenyi_is_that_of_scikit_posthocs() -> None:
    import scikit_posthocs as posthocs

    for table in tables(20):
        expected = posthocs.posthoc_nemenyi_friedman(table).to_numpy()
        for first, second in ((0, 1), (0, table.shape[1] - 1), (2, 1)):
            assert ranks.nemenyi(table.tolist(), first, second) == pytest.approx(expected[first, second], abs=1e-9)


def test_wilcoxon_with_holm_is_that_of_scikit_posthocs() -> None:
    import scikit_posthocs as posthocs

    compared = 0
    for table in tables(60)[::2]:
        blocks = len(table)
        found = ranks.wilcoxon_holm(table.tolist())
        # Where values tie beyond 13 pairs the reference falls back to an approximation; ours stays exact.
        if any(0 in np.abs(table[:, i] - table[:, j]) for i, j in found) or blocks > 13:
            continue
        expected = posthocs.posthoc_wilcoxon(table.T, p_adjust="holm").to_numpy()
        for (first, second), p in found.items():
            assert p == pytest.approx(expected[first, second], abs=1e-9)
        compared += 1
    assert compared > 20


def test_the_critical_difference_is_that_of_autorank() -> None:
    import autorank
    import pandas

    rng = np.random.default_rng(3)
    table = rng.exponential(size=(12, 5)) + np.arange(5)
    result = autorank.autorank(pandas.DataFrame(table), alpha=0.05, verbose=False, approach="frequentist",
                               force_mode="nonparametric", order="ascending")  # fmt: skip
    found = ranks.friedman(table.tolist())
    assert result.pvalue == pytest.approx(found.p, rel=1e-9)
    assert result.cd == pytest.approx(ranks.critical_difference(12, 5), rel=1e-3)  # its q has three decimals
    assert sorted(result.rankdf["meanrank"]) == pytest.approx(sorted(found.mean_ranks))


def test_power_and_seeds_are_those_of_statsmodels() -> None:
    from statsmodels.stats import power

    solver = power.TTestIndPower()
    for effect in (0.3, 0.8, 1.5, 3.0):
        for n in (3, 5, 20):
            seeds = Seeds(n, 0.0, 1.0)
            # Ours counts a difference in its own direction only.
            expected = solver.power(effect, n, 0.025, alternative="larger")
            assert order.power(effect, seeds, seeds) == pytest.approx(expected, abs=1e-8)
        needed = order.seeds_needed(effect, Seeds(5, 0.0, 1.0), Seeds(5, 0.0, 1.0))
        assert needed == int(np.ceil(solver.solve_power(effect, alpha=0.05, power=0.8)))
