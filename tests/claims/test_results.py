"""Where results may lie: tables, lists of objects, CSV logs, seeds inside of files; and what is there twice."""

from __future__ import annotations

import pytest

VALUE = """
[[claim]]
kind = "value"
of   = { dataset = "FD002", method = "GRACE", metric = "rmse" }
mean = 7.2
std  = 0.2
n    = 3
"""
ROWS = "dataset,method,seed,rmse,note\nFD002,GRACE,1,7.0,a\nFD002,GRACE,2,7.2,b\nFD002,GRACE,3,7.4,c\n"
TABLE = '[[results]]\ntable = "all.csv"\n'


def judged(study, text: str, name: str = "all.csv", head: str = TABLE, claim: str = VALUE):
    (study.root / name).write_text(text)
    return study.judge(claim, head.replace("all.csv", name))


@pytest.mark.parametrize("name", ["all.csv", "all.tsv"])
def test_a_table_with_columns_of_these_names(study, name):
    text = ROWS.replace(",", "\t") if name.endswith("tsv") else ROWS
    assert judged(study, text, name).status == "supported"


def test_semicolons_blank_lines_and_a_byte_order_mark(study):
    assert judged(study, "\ufeff" + ROWS.replace(",", ";").replace("\n", "\r\n\r\n")).status == "supported"


@pytest.mark.parametrize("name", ["all.json", "all.jsonl"])
def test_a_list_of_objects(study, name):
    rows = [f'{{"dataset": "FD002", "method": "GRACE", "seed": {s}, "rmse": {7.0 + 0.2 * (s - 1)}}}' for s in (1, 2, 3)]
    text = "\n".join(rows) if name.endswith("l") else "[" + ",".join(rows) + "]"
    assert judged(study, text, name).status == "supported"


def test_columns_of_other_names(study):
    text = ROWS.replace("method", "model").replace("rmse", "test_rmse").replace("seed", "run")
    head = TABLE + 'columns = { method = "model", seed = "run" }\nmetrics = { rmse = "test_rmse" }'
    assert judged(study, text, head=head).status == "supported"


def test_labels_that_nothing_else_tells(study):
    text = ROWS.replace("dataset,", "").replace("FD002,", "")
    assert judged(study, text, head=TABLE + 'set = { dataset = "FD002" }').status == "supported"


def test_a_label_of_the_users_own(study):
    text = ROWS.replace("note", "fold") + "FD002,GRACE,1,9.0,z\n"
    claim = VALUE.replace('metric = "rmse"', 'metric = "rmse", fold = ["a", "b", "c"]')
    found = judged(study, text, claim=claim)
    assert found.status == "cannot-be-checked" and "fold=a" in found.reason
    one = VALUE.replace('metric = "rmse"', 'metric = "rmse", fold = "z"').replace("7.2", "9.0")
    assert "single seed" in judged(study, text, claim=one).reason


def test_the_same_row_twice_is_counted_once_and_named(study):
    found = judged(study, ROWS + "FD002,GRACE,2,7.2,b\n")
    assert found.status == "supported"
    assert found.measured["n"] == 3
    assert "duplicated: seed 2 is there 2 times (all.csv row 2, all.csv row 4), and counted once" in found.reason


def test_a_seed_with_two_values_cannot_be_checked(study):
    found = judged(study, ROWS + "FD002,GRACE,2,7.9,b\n")
    assert found.status == "cannot-be-checked"
    assert (
        "seed 2: it is there 2 times with different values (7.2 in all.csv row 2, 7.9 in all.csv row 4)" in found.reason
    )


def test_a_copied_result_is_named(study):
    found = judged(study, ROWS.replace("7.4", "7.2000001").replace("7.2,", "7.2000001,"))
    assert "seeds 2 and 3 have the same value to the last digit" in found.reason


def test_seeds_that_are_not_recorded(study):
    found = judged(study, ROWS.replace(",seed,", ",other,"))
    assert found.status == "cannot-be-checked"
    assert "the seeds of 3 results are not recorded" in found.reason
    assert found.measured["mean"] == pytest.approx(7.2)
    head, first = ROWS.replace(",seed,", ",other,").splitlines()[:2]
    assert "the seed of one result is not recorded" in judged(study, f"{head}\n{first}\n").reason


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ROWS.replace("7.4", "nan"), "rmse is NaN"),
        (ROWS.replace("7.4", ""), "rmse is empty"),
        (ROWS.replace("7.4", "diverged"), "rmse is the text 'diverged'"),
        (ROWS.replace("GRACE,3", "GRACE,best"), "the seed 'best' is no whole number"),
        (ROWS.replace(",c", ""), "line 4 has 4 cells, the header 5"),
        (ROWS.replace("note", "rmse"), "two columns are called 'rmse'"),
        (ROWS.replace("rmse", "mae"), "missing"),
        ("", "missing"),
        ("\x00", "missing"),
    ],
)
def test_what_is_wrong_with_a_table_is_named(study, text, said):
    found = judged(study, text)
    assert found.status == "cannot-be-checked"
    assert said in found.reason


def test_a_table_that_is_not_there(study):
    found = study.judge(VALUE, TABLE)
    assert found.status == "cannot-be-checked" and "No such file" in found.reason


FILES = '[[results]]\nfiles = "runs/{method}-{run}/log.csv"\nset = { dataset = "FD002" }\nmetrics = { rmse = "rmse" }\n'


def test_logs_with_a_row_for_each_epoch(study):
    for seed, value in ((1, 7.0), (2, 7.2), (3, 7.4)):
        path = study.root / "runs" / f"GRACE-{seed}" / "log.csv"
        path.parent.mkdir(parents=True)
        path.write_text(f"seed,rmse\n{seed},9.0\n{seed},{value}\n")
    head = FILES.replace("{run}", "{seed}")
    assert "the table has 2 rows" in study.judge(VALUE, head).reason
    assert study.judge(VALUE, head + 'row = "last"').status == "supported"
    assert study.judge(VALUE, head + 'row = "first"').status == "contradicted"
    inside = FILES.replace("{run}", "*")
    assert study.judge(VALUE, inside + 'row = "last"\nseed = "seed"').status == "supported"
    assert "not recorded" in study.judge(VALUE, inside + 'row = "last"').reason


def test_dotted_names_lists_and_keys_with_dots(study):
    for seed, text in ((1, '{"test.rmse": 7.0}'), (2, '{"test": {"rmse": 7.2}}'), (3, '{"test": {"rmse": 7.4}}')):
        study.write("FD002", "GRACE", {seed: text})
    assert study.judge(VALUE).status == "supported"
    for seed, value in ((1, 7.0), (2, 7.2), (3, 7.4)):
        study.write("FD002", "GRACE", {seed: f'{{"epochs": [{{"rmse": 9}}, {{"rmse": {value}}}]}}'})
    head = study.ledger("").read_text().replace("test.rmse", "epochs.-1.rmse")
    assert study.judge(VALUE, head).status == "supported"


def test_a_name_that_can_be_read_in_two_ways(study):
    for seed in (1, 2, 3):
        (study.root / f"FD002_my_GRACE_{seed}.json").write_text('{"rmse": 7.2}')
    head = '[[results]]\nfiles = "{dataset}_{method}_{seed}.json"\nmetrics = { rmse = "rmse" }'
    found = study.judge(VALUE.replace('"GRACE"', '"my_GRACE"'), head)
    assert found.status == "cannot-be-checked"
    assert "fits its pattern in more than one way" in found.reason


def test_a_source_that_is_lost_leaves_open_what_is_over_all_of_them(study):
    rows = [f"FD002,{m},{s},{7 + k + 0.1 * s}" for k, m in enumerate("ABCD") for s in range(1, 6)]
    (study.root / "all.csv").write_text("\n".join(["dataset,method,seed,rmse", *rows]))
    head = 'lower_is_better = ["rmse"]\n' + TABLE
    claim = '[[claim]]\nkind = "friedman"\nof = { metric = "rmse" }\np_below = 0.05'
    assert study.judge(claim, head).status == "supported"
    found = study.judge(claim, head + '[[results]]\ntable = "more.csv"')
    assert found.status == "cannot-be-checked"
    assert "more.csv cannot be read" in found.reason
    # Nor is anything contradicted by what is left.
    contrary = claim.replace("p_below = 0.05", 'best = "B"')
    assert study.judge(contrary, head).status == "contradicted"
    assert study.judge(contrary, head + '[[results]]\ntable = "more.csv"').status == "cannot-be-checked"
    pinned = claim.replace("{ ", '{ dataset = "FD002", ')
    assert study.judge(pinned, head + '[[results]]\ntable = "more.csv"').status == "supported"
