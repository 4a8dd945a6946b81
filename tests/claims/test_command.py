"""``auditor claims`` as its users call it, its formats and its exit codes."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import jsonschema
import pytest

from auditor.cli import main
from auditor.report import schema

LEDGER = """
lower_is_better = ["rmse"]

[[results]]
files   = "phase1/{dataset}/{method}/seed_{seed}/results.json"   # or table = "all.csv" with columns of these names
metrics = { rmse = "test.rmse" }                                  # name = path inside the JSON

[[claim]]
kind = "value"
of   = { dataset = "FD002", method = "GRACE", metric = "rmse" }
mean = 7.72
std  = 0.66
n    = 5

[[claim]]
kind   = "order"
of     = { dataset = "FD002", metric = "rmse" }
better = "GRACE"
than   = "GABA"

[[claim]]
kind   = "friedman"
of     = { metric = "rmse" }      # methods against blocks of dataset x seed
p_below = 0.05
best   = "GRACE"                  # lowest mean rank
"""


@pytest.fixture
def complete(study, sample):
    """The ledger above and results that bear it out."""
    for dataset, base in (("FD002", 7.72), ("FD004", 9.1)):
        for place, method in enumerate(("GRACE", "GABA", "Uniform & co_1")):
            values = sample(base + 1.5 * place, 0.66, 5)
            study.write(dataset, method, values[place:] + values[:place])
    (study.root / "claims.toml").write_text(LEDGER)
    return study


def called(capsys, *words) -> tuple[int, str, str]:
    code = main(["claims", *map(str, words)])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_all_supported_is_0(complete, capsys):
    code, out, err = called(capsys, complete.root / "claims.toml")
    assert (code, err) == (0, "")
    assert out.startswith("All 3 claims are supported.\n")
    assert re.search(r"GRACE +7\.72 ± 0\.66  n=5 +6\.90 … 8\.54", out)


def test_json_has_the_claims_in_their_order(complete, capsys):
    code, out, _ = called(capsys, complete.root / "claims.toml", "--json", "--power")
    document = json.loads(out)
    assert code == 0
    assert [one["kind"] for one in document["claims"]] == ["value", "order", "friedman"]
    assert {"kind", "status", "reason", "measured"} <= document["claims"][0].keys()
    assert document["claims"][0]["measured"]["mean"] == pytest.approx(7.72)
    jsonschema.validate(document, json.loads(schema.shipped("schema/claims-1.json")))
    assert called(capsys, complete.root / "claims.toml", "-f", "json", "--power")[1] == out


def test_one_that_fails_is_1_even_beside_one_that_cannot_be_checked(complete, capsys):
    path = complete.root / "claims.toml"
    path.write_text(LEDGER.replace("7.72", "7.92") + LEDGER[LEDGER.index("[[claim]]") :].replace("FD002", "FD009"))
    code, out, _ = called(capsys, path, "--json")
    statuses = [one["status"] for one in json.loads(out)["claims"]]
    assert code == 1
    assert statuses == [
        "contradicted", "supported", "supported", "cannot-be-checked", "cannot-be-checked", "supported",
    ]  # fmt: skip


def test_one_that_cannot_be_checked_is_3(complete, capsys):
    (complete.root / "phase1/FD002/GRACE/seed_5/results.json").unlink()
    code, out, _ = called(capsys, complete.root / "claims.toml")
    assert code == 3
    assert "cannot be checked" in out


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("[[[[", "bad-ledger"),
        (LEDGER.replace("phase1", ".."), "bad-ledger"),
        (LEDGER + "colour = 1", "bad-ledger"),
        (None, "ledger-not-found"),
    ],
)
def test_a_bad_ledger_is_2_without_a_traceback(study, capsys, text, slug):
    path = study.root / "claims.toml"
    if text is not None:
        path.write_text(text)
    code, out, err = called(capsys, path)
    assert (code, out) == (2, "")
    assert f"({slug}; auditor explain {slug})" in err and "Traceback" not in err


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"\x00" * 10, b"#" * (5 << 20)])
def test_a_ledger_that_is_no_text_is_2(study, capsys, data):
    path = study.root / "claims.toml"
    path.write_bytes(data)
    code, _, err = called(capsys, path)
    assert code == 2 and "bad-ledger" in err


def test_a_directory_is_no_ledger(study, capsys):
    assert called(capsys, study.root)[0] == 2


def test_markdown_and_latex(complete, capsys):
    path = complete.root / "claims.toml"
    code, markdown, _ = called(capsys, path, "--format", "markdown")
    assert code == 0 and "| 2 | GRACE beats GABA in rmse on FD002 | ✅ supported |" in markdown
    code, latex, _ = called(capsys, path, "--format", "latex", "-o", complete.root / "table.tex")
    assert (code, latex) == (0, "")
    latex = (complete.root / "table.tex").read_text()
    assert r"GRACE & $\mathbf{7.72 \pm 0.66}$ & $\mathbf{9.10 \pm 0.66}$ \\" in latex
    assert r"Uniform \& co\_1 & $10.72 \pm 0.66$" in latex
    assert "$n = 5$ seeds each" in latex
    assert latex.count("{") == latex.count("}")


def test_nothing_is_bold_that_the_seeds_do_not_support(complete, sample, capsys):
    complete.write("FD002", "GABA", sample(7.9, 0.66, 5))
    _, latex, _ = called(capsys, complete.root / "claims.toml", "-f", "latex")
    assert r"$7.72 \pm 0.66$ & $\mathbf{9.10 \pm 0.66}$" in latex


@pytest.mark.parametrize("words", [("--format", "html"), ("--json", "--format", "latex"), ("-o", "/nowhere/x")])
def test_options_that_cannot_be(complete, capsys, words):
    assert called(capsys, complete.root / "claims.toml", *words)[0] == 2


def test_the_report_never_overwrites_the_ledger(complete, capsys):
    path = complete.root / "claims.toml"
    assert called(capsys, path, "-o", path)[0] == 2
    assert path.read_text() == LEDGER


def test_what_names_say_cannot_reach_the_terminal(study, capsys):
    study.write("FD002", "A\x1b[31m\u202e", [1.0, 2.0])
    (study.root / "claims.toml").write_text(LEDGER)
    _, out, _ = called(capsys, study.root / "claims.toml")
    assert "\x1b" not in out and "\u202e" not in out


def test_neither_numpy_nor_scipy_is_imported_for_a_ledger(complete):
    code = (
        "import sys; from auditor.cli import main; main(['claims', 'claims.toml']);"
        "sys.exit(bool({'numpy', 'scipy', 'matplotlib', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=complete.root, capture_output=True).returncode == 0


def test_plots_are_the_same_bytes_each_time(complete, capsys):
    pytest.importorskip("matplotlib")
    path, once, twice = (complete.root / name for name in ("claims.toml", "once", "twice"))
    for directory in (once, twice):
        assert called(capsys, path, "--power", "--plots", directory)[0] == 0
    names = sorted(one.name for one in once.iterdir())
    assert names == sorted(
        f"{stem}.{kind}"
        for stem in ("seeds-rmse", "ranks-rmse", "power-rmse", "power-orders", "published-rule")
        for kind in ("svg", "png")
    )
    for name in names:
        assert (once / name).read_bytes() == (twice / name).read_bytes()


def test_plots_have_to_go_somewhere(complete, capsys):
    pytest.importorskip("matplotlib")
    code, _, err = called(capsys, complete.root / "claims.toml", "--plots", complete.root / "claims.toml" / "x")
    assert code == 2 and "cannot-write" in err
