"""The statistics of fresh seeds against scipy.stats and statsmodels: the same numbers where the method is the same."""

import math

import numpy as np
import pytest
from scipy import integrate, stats

from auditor.statistics import equivalence, rule, spread
from auditor.statistics.curves import max_t
from auditor.statistics.resampling import arrangements, permuted_mean_p, permuted_spread_p
from auditor.statistics.summaries import published, sample, summarise

pytestmark = pytest.mark.integrations
weightstats = pytest.importorskip("statsmodels.stats.weightstats")

NEAR = {"rel": 1e-9, "abs": 1e-12}
# Shapes of values, and their sizes on both sides; each with a generator of its own.
DRAWS = (
    lambda generator, n: generator.standard_normal(n),
    lambda generator, n: generator.standard_exponential(n) * 3 + 100,
    lambda generator, n: generator.standard_t(3, n) * 1e-3,
    lambda generator, n: generator.integers(0, 2, n) * 4.0 + generator.standard_normal(n),
    lambda generator, n: np.round(generator.standard_normal(n) * 2) + 7,
)
SIZES = ((3, 3), (5, 5), (10, 10), (30, 30), (3, 12), (12, 3), (4, 50), (7, 6))


def pairs(count: int):
    """Pairs of samples, with a difference or without: ``count`` for each shape and each pair of sizes."""
    for shape, draw in enumerate(DRAWS):
        for n, m in SIZES:
            for repeat in range(count):
                generator = np.random.default_rng((shape, n, m, repeat))
                new, old = draw(generator, n), draw(generator, m)
                if new.std() > 0 and old.std() > 0:
                    yield new + repeat * 0.2 * old.std(), old


def test_hundreds_of_data_sets_are_compared() -> None:
    assert sum(1 for _ in pairs(10)) > 390


def test_summaries_are_those_of_scipy() -> None:
    for new, _ in pairs(10):
        ours = summarise(new.tolist())
        described = stats.describe(new)
        low, high = stats.t.interval(0.95, len(new) - 1, new.mean(), stats.sem(new))
        assert (ours.mean, ours.std, ours.sem) == pytest.approx(
            (described.mean, math.sqrt(described.variance), stats.sem(new)), **NEAR
        )
        assert (ours.low, ours.high) == pytest.approx((low, high), **NEAR)


def test_a_difference_of_means_is_the_larger_of_welch_s_and_student_s_p_value() -> None:
    for new, old in pairs(10):
        first, second = sample(new), sample(old)
        welch, student = stats.ttest_ind(new, old, equal_var=False), stats.ttest_ind(new, old)
        difference, error, degrees = equivalence.welch(first, second)
        assert float(difference / error) == pytest.approx(welch.statistic, **NEAR)
        assert float(degrees) == pytest.approx(welch.df, **NEAR)
        pooled, freedom = equivalence.pooled_error(first, second)
        assert float(difference / pooled) == pytest.approx(student.statistic, **NEAR) and freedom == student.df
        assert float(equivalence.difference_p(first, second)) == pytest.approx(
            max(welch.pvalue, student.pvalue), **NEAR
        )
        summary = published(second.mean, np.sqrt(second.variance), second.n)
        assert float(equivalence.difference_p(first, summary)) == pytest.approx(
            max(
                stats.ttest_ind_from_stats(
                    new.mean(), new.std(ddof=1), len(new), old.mean(), old.std(ddof=1), len(old), equal_var=equal
                ).pvalue
                for equal in (True, False)
            ),
            **NEAR,
        )


@pytest.mark.parametrize("share", [0.3, 1.0, 3.0])
def test_equivalence_within_a_number_is_statsmodels_ttost_ind(share: float) -> None:
    """The same where Welch's error is the larger one, as with equal sizes; else ours is the more careful."""
    same = 0
    for new, old in pairs(10):
        first, second = sample(new), sample(old)
        margin = share * float(old.std(ddof=1))
        ours = float(equivalence.equivalence_p(first, second, np.asarray(margin), None))
        theirs, below, above = weightstats.ttost_ind(new, old, -margin, margin, usevar="unequal")
        assert theirs == max(below[1], above[1])
        if equivalence.welch(first, second)[1] >= equivalence.pooled_error(first, second)[0] * (1 - 1e-12):
            assert ours == pytest.approx(theirs, **NEAR)
            same += 1
        elif abs(new.mean() - old.mean()) < margin:
            assert ours >= theirs
    assert same > 200


def test_the_prediction_interval_of_one_seed_is_student_s() -> None:
    for _, old in pairs(3):
        n, new = len(old), old.mean() + 1.7 * old.std(ddof=1)
        ours = equivalence.difference_p(sample([new]), published(old.mean(), old.std(ddof=1), n))
        bound = (new - old.mean()) / (old.std(ddof=1) * math.sqrt(1 + 1 / n))
        assert float(ours) == pytest.approx(2 * stats.t.sf(bound, n - 1), **NEAR)


def test_spreads_are_compared_as_brown_and_forsythe_do() -> None:
    for new, old in pairs(10):
        first, second = sample(new), sample(old)
        statistic, degrees = spread.ratio_statistic(first, second, np.asarray(1.0))
        deviations = [np.abs(one - np.median(one)) * len(one) / (len(one) - 1) for one in (new, old)]
        if min(one.std() for one in deviations) < 1e-12:
            continue
        theirs = stats.ttest_ind(*deviations, equal_var=False)
        assert float(statistic) == pytest.approx(theirs.statistic, **NEAR)
        assert float(degrees) == pytest.approx(theirs.df, **NEAR)
        assert float(spread.difference_p(first, second)) == pytest.approx(theirs.pvalue, **NEAR)
        if len(new) == len(old):
            assert float(statistic) ** 2 == pytest.approx(stats.levene(new, old, center="median").statistic, **NEAR)


@pytest.mark.parametrize("margin", [1.5, 2.0, 4.0])
def test_equivalence_of_spreads_is_that_of_deviations_one_of_them_scaled(margin: float) -> None:
    for new, old in pairs(10):
        first, second = (np.abs(one - np.median(one)) * len(one) / (len(one) - 1) for one in (new, old))
        if min(first.std(), second.std()) < 1e-12:
            continue
        ours = float(spread.equivalence_p(sample(new), sample(old), margin))
        below = stats.ttest_ind(first, second * margin, equal_var=False, alternative="less").pvalue
        above = stats.ttest_ind(first, second / margin, equal_var=False, alternative="greater").pvalue
        assert ours == pytest.approx(max(below, above), **NEAR)


def test_the_ends_of_the_interval_of_a_ratio_are_just_refuted() -> None:
    for new, old in pairs(2):
        first, second = sample(new), sample(old)
        low, high = spread.interval(first, second, 0.05)
        if high < math.inf:
            assert float(spread.below_p(first, second, np.asarray(high))) == pytest.approx(0.05, rel=1e-6)
        if low > 0:
            assert float(spread.above_p(first, second, np.asarray(low))) == pytest.approx(0.05, rel=1e-6)


def welch(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    error = first.var(axis=axis, ddof=1) / first.shape[axis] + second.var(axis=axis, ddof=1) / second.shape[axis]
    return (first.mean(axis=axis) - second.mean(axis=axis)) ** 2 / error


def log_ratio(first: np.ndarray, second: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.abs(np.log(first.var(axis=axis, ddof=1) / second.var(axis=axis, ddof=1)))


def test_permutation_tests_are_those_of_scipy() -> None:
    compared = 0
    for shape, draw in enumerate(DRAWS[:4]):  # without ties: scipy leaves 0/0 as it is
        for n, m in ((3, 3), (5, 5), (3, 8), (7, 4)):
            for repeat in range(7):
                generator = np.random.default_rng((shape, n, m, repeat))
                new, old = draw(generator, n), draw(generator, m) * (1 + 0.3 * repeat)
                among = arrangements(n, m, generator)
                ours = float(permuted_mean_p(new, old, among)), float(permuted_spread_p(new, old, among))
                of_mean, raw, centred = (
                    stats.permutation_test(
                        data, statistic, alternative="greater", n_resamples=np.inf, vectorized=True
                    ).pvalue
                    for data, statistic in (
                        ((new, old), welch),
                        ((new, old), log_ratio),
                        ((new - new.mean(), old - old.mean()), log_ratio),
                    )
                )
                assert ours == pytest.approx((of_mean, max(raw, centred)), **NEAR)
                compared += 1
    assert compared > 100


def test_the_largest_difference_of_curves_is_scipy_s_too() -> None:
    for repeat in range(20):
        generator = np.random.default_rng(repeat)
        new, old = generator.standard_normal((5, 12)) + 0.1 * repeat, generator.standard_normal((4, 12))
        adjusted, _ = max_t(new, old, arrangements(5, 4, generator), 0.05)
        pooled = np.concatenate([new, old])

        def largest(first: np.ndarray, second: np.ndarray, pooled: np.ndarray = pooled) -> float:
            """Of whole curves, which scipy is given by their places."""
            return float(welch(pooled[first], pooled[second], axis=0).max())

        result = stats.permutation_test(
            (np.arange(5), np.arange(5, 9)), largest, alternative="greater", n_resamples=np.inf, vectorized=False
        )
        assert float(adjusted.min()) == pytest.approx(result.pvalue, **NEAR)


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (5, 5), (10, 10), (50, 50), (3, 30), (30, 3), (100, 5)])
def test_the_chances_of_the_published_rule_are_those_of_scipy_s_distributions(n: int, m: int) -> None:
    of_mean, of_std, of_both = rule.chances(n, m)
    bound = 2 / math.sqrt(m) / math.sqrt(1 / n + 1 / m)
    assert of_mean == pytest.approx(stats.t.cdf(bound, m - 1) - stats.t.cdf(-bound, m - 1), **NEAR)
    assert of_std == pytest.approx(stats.f.cdf(1.44, n - 1, m - 1) - stats.f.cdf(0.64, n - 1, m - 1), **NEAR)

    def passes(quantile: float) -> float:
        variance = stats.chi2.ppf(quantile, m - 1) / (m - 1)
        near = stats.norm.cdf(bound * math.sqrt(variance)) - stats.norm.cdf(-bound * math.sqrt(variance))
        scaled = variance * (n - 1)
        return float(near * (stats.chi2.cdf(1.44 * scaled, n - 1) - stats.chi2.cdf(0.64 * scaled, n - 1)))

    whole = sum(integrate.quad(passes, low, high, epsabs=1e-12, limit=200)[0] for low, high in ((0, 0.5), (0.5, 1)))
    assert of_both == pytest.approx(whole, abs=1e-9)
