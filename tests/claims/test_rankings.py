"""Claims about many methods over many blocks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

METHODS = ("GRACE", "GABA", "Uniform", "DWA", "PCGrad", "CAGrad", "IMTL", "NashMTL", "RLW")
FRIEDMAN = """
[[claim]]
kind    = "friedman"
of      = { metric = "rmse" }
"""


def table(effect: float, seeds: int, datasets: int = 2, methods: int = 9, seed: int = 1) -> np.ndarray:
    """Values (datasets, seeds, methods), each method worse than the one before by ``effect`` standard deviations."""
    noise = np.random.default_rng(seed).normal(size=(datasets, seeds, methods))
    return 8 + np.arange(methods) * effect + noise


def fill(study, values: np.ndarray) -> np.ndarray:
    """Write the values as a study, and return them as blocks."""
    for dataset, name in enumerate(("FD002", "FD004", "FD001", "FD003")[: values.shape[0]]):
        for method in range(values.shape[2]):
            study.write(name, METHODS[method], [float(one) for one in values[dataset, :, method]])
    return values.reshape(-1, values.shape[2])


def test_nine_methods_over_ten_blocks(study):
    blocks = fill(study, table(0.4, 5))
    judged = study.judge(FRIEDMAN + 'p_below = 0.05\nbest = "GRACE"')
    expected = stats.friedmanchisquare(*blocks.T)
    assert judged.status == "supported"
    assert judged.measured["statistic"] == pytest.approx(expected.statistic, rel=1e-12)
    assert judged.measured["p"] == pytest.approx(expected.pvalue, rel=1e-12)
    assert (judged.measured["methods"], judged.measured["blocks"]) == (9, 10)
    ranks = dict(zip(METHODS, stats.rankdata(blocks, axis=1).mean(axis=0), strict=True))
    assert judged.measured["mean_ranks"] == pytest.approx(ranks)
    assert "GRACE has the best mean rank" in judged.reason


def test_higher_values_may_be_better(study):
    fill(study, table(0.4, 5))
    head = """
higher_is_better = ["rmse"]
[[results]]
files = "phase1/{dataset}/{method}/seed_{seed}/results.json"
metrics = { rmse = "test.rmse" }
"""
    judged = study.judge(FRIEDMAN + 'best = "GRACE"', head)
    assert judged.status == "contradicted"
    assert "has the best mean rank" in judged.reason
    assert study.judge(FRIEDMAN + 'best = "RLW"', head).status == "supported"


def test_what_is_not_below_says_how_many_seeds_are_needed(study):
    fill(study, table(0.12, 3, seed=3))
    judged = study.judge(FRIEDMAN + "p_below = 0.05")
    assert judged.status == "not-supported"
    assert judged.measured["p"] > 0.05
    assert judged.measured["blocks_needed"] > 6
    assert judged.measured["seeds_needed"] == -(-judged.measured["blocks_needed"] // 2)
    assert "seeds of each) are needed" in judged.reason


def test_with_one_seed_there_is_no_test(study):
    fill(study, table(3.0, 1))
    judged = study.judge(FRIEDMAN + "p_below = 0.05")
    assert judged.status == "cannot-be-checked"
    assert "a single seed: 2 blocks" in judged.reason


def test_an_unbalanced_block_is_named(study):
    fill(study, table(0.4, 5))
    (study.root / "phase1/FD004/DWA/seed_3/results.json").unlink()
    judged = study.judge(FRIEDMAN + "p_below = 0.05")
    assert judged.status == "cannot-be-checked"
    assert "unbalanced: no result of DWA on FD004 for seed 3" in judged.reason
    assert judged.measured["blocks"] == 9
    (study.root / "phase1/FD004/DWA").rename(study.root / "elsewhere")
    judged = study.judge(FRIEDMAN + "p_below = 0.05")
    assert "unbalanced: no result of DWA on FD004" in judged.reason
    chosen = FRIEDMAN.replace('metric = "rmse"', 'metric = "rmse", dataset = "FD002"')
    assert study.judge(chosen + "p_below = 0.05").status == "supported"


def test_a_nan_in_a_block_is_named(study):
    fill(study, table(0.4, 5))
    study.write("FD002", "IMTL", {2: float("nan")})
    judged = study.judge(FRIEDMAN + "p_below = 0.05")
    assert judged.status == "cannot-be-checked"
    assert "IMTL on FD002: seed 2: test.rmse is NaN" in judged.reason


def test_printed_figures_of_friedman(study):
    blocks = fill(study, table(0.4, 5))
    expected = stats.friedmanchisquare(*blocks.T)
    right = f"p = {expected.pvalue:.6f}\nstatistic = {expected.statistic:.2f}\nmethods = 9\nblocks = 10"
    assert study.judge(FRIEDMAN + right).status == "supported"
    wrong = study.judge(FRIEDMAN + "p = 0.03\nblocks = 9")
    assert wrong.status == "contradicted"
    assert "0.03 is printed for p" in wrong.reason and "9 blocks are printed and the files have 10" in wrong.reason
    f = 9 * expected.statistic / (10 * 8 - expected.statistic)
    named = study.judge(FRIEDMAN + f"statistic = {f:.3f}")
    assert "the F form (Iman and Davenport)" in named.reason


def test_fewer_blocks_than_are_printed_contradict_nothing(study):
    fill(study, table(0.4, 1))
    for figures in ("blocks = 10", "methods = 12\nblocks = 2", "p = 0.0000001\nblocks = 10"):
        judged = study.judge(FRIEDMAN + "p_below = 0.05\n" + figures)
        assert judged.status == "cannot-be-checked", judged.reason
        assert "are printed and the files have" in judged.reason
    fill(study, table(0.4, 3))
    judged = study.judge(FRIEDMAN + "p = 0.0000001\nblocks = 10")
    assert judged.status == "cannot-be-checked"
    assert "10 blocks are printed and the files have 6" in judged.reason


def test_mean_ranks_that_are_shared(study):
    values = np.array([[[1.0, 2.0, 3.0], [2.0, 1.0, 3.0], [1.0, 2.0, 3.0], [2.0, 1.0, 3.0]]])
    fill(study, values)
    judged = study.judge(FRIEDMAN + 'best = "GRACE"')
    assert judged.status == "not-supported"
    assert "GRACE shares the best mean rank (1.5) with GABA" in judged.reason


RANK = """
[[claim]]
kind = "rank"
of   = { dataset = ["FD002", "FD004"], metric = "rmse" }
best = "GRACE"
"""


def test_the_best_mean_rank_must_be_told_from_every_other(study):
    values = table(0.8, 5)
    # GABA is worse than GRACE in six blocks of ten, by as much as it is better in the others.
    values[:, :, 1] = values[:, :, 0] + np.where(np.arange(10) % 5 < 3, 0.2, -0.2).reshape(2, 5)
    fill(study, values)
    judged = study.judge(RANK)
    assert judged.status == "not-supported"
    assert "it is not told from" in judged.reason and "would tell it from" in judged.reason
    values[:, :, 0] -= 6
    fill(study, values)
    judged = study.judge(RANK)
    assert judged.status == "supported", judged.reason
    # Ten blocks of one sign: the least p there is, times the eight others.
    assert max(judged.measured["p"].values()) == pytest.approx(8 * 2 / 2**10)
    assert study.judge(RANK.replace("GRACE", "GABA")).status == "contradicted"
    assert study.judge(RANK + "mean_rank = 1.0").status == "supported"
    assert study.judge(RANK + "mean_rank = 1.4").status == "contradicted"


def pair(test: str, more: str = "", than: str = "RLW") -> str:
    return f"""
[[claim]]
kind   = "post-hoc"
of     = {{ metric = "rmse" }}
test   = "{test}"
better = "GRACE"
than   = "{than}"
{more}
"""


@pytest.mark.parametrize("test", ["nemenyi", "wilcoxon-holm"])
def test_pairs(study, test):
    fill(study, table(0.6, 10))
    judged = study.judge(pair(test))
    assert judged.status == "supported", judged.reason
    assert judged.measured["pairs"] == 36
    assert study.judge(pair(test, "different = false")).status == "contradicted"
    near = study.judge(pair(test, than="GABA", more="p_below = 0.00001"))
    assert near.status == "not-supported"
    reversed_ = pair(test).replace("GRACE", "?").replace("RLW", "GRACE").replace("?", "RLW")
    assert study.judge(reversed_).status == "contradicted"
    printed = study.judge(pair(test, "p = 0.9"))
    assert printed.status == "contradicted"


def test_what_so_few_blocks_can_never_show(study):
    fill(study, table(3.0, 4, datasets=1))
    judged = study.judge(pair("wilcoxon-holm"))
    assert judged.status == "not-supported"
    assert "4 blocks cannot give less than 1 whatever the values" in judged.reason


def test_agreement_and_critical_difference(study):
    blocks = fill(study, table(0.4, 5))
    w = stats.friedmanchisquare(*blocks.T).statistic / (10 * 8)
    claim = '[[claim]]\nkind = "kendall-w"\nof = { metric = "rmse" }\n'
    assert study.judge(claim + f"w = {w:.3f}").status == "supported"
    assert study.judge(claim + "w = 0.99").status == "contradicted"
    assert study.judge(claim + "w_above = 0.3").status == "supported"
    claim = '[[claim]]\nkind = "critical-difference"\nof = { metric = "rmse" }\n'
    # q of 9 methods at 0.05 is 3.102 (Demšar 2006, table 5): 3.102 · √(9·10 / 60) = 3.80.
    assert study.judge(claim + "cd = 3.80\nmethods = 9\nblocks = 10").status == "supported"
    # z at 0.05 / 16 is 2.734: 2.734 · √(90 / 60) = 3.35 against one control.
    judged = study.judge(claim + "cd = 3.35")
    assert judged.status == "contradicted"
    assert "Bonferroni and Dunn's, against one control" in judged.reason


def test_two_methods_are_too_few_for_friedman(study):
    fill(study, table(1.0, 5, methods=2))
    judged = study.judge(FRIEDMAN + "p_below = 0.05")
    assert judged.status == "cannot-be-checked"
    assert "3 methods are needed, and there are 2" in judged.reason.split(";")[0]
    assert "2 methods" not in judged.reason


def test_a_deterministic_method_stands_in_every_block(study):
    values = table(0.8, 5)
    fill(study, values)
    for seed in range(2, 6):
        for name in ("FD002", "FD004"):
            (study.root / f"phase1/{name}/RLW/seed_{seed}/results.json").unlink()
    head = study.ledger("").read_text()
    assert study.judge(FRIEDMAN + "p_below = 0.05").status == "cannot-be-checked"
    judged = study.judge(FRIEDMAN + "p_below = 0.05", 'deterministic = ["RLW"]\n' + head)
    assert judged.status == "supported", judged.reason
    assert judged.measured["blocks"] == 10
