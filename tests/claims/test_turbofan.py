"""The example's ledger, held to the results that are stored beside it."""

from __future__ import annotations

import json
from pathlib import Path

from auditor import pipeline

EXAMPLE = Path(__file__).parents[2] / "examples" / "turbofan"


def test_every_claim_of_the_example_is_supported():
    report = pipeline.claims(EXAMPLE / "claims.toml")
    assert len(report.claims) == 7
    assert [one.status for one in report.claims] == ["supported"] * 7, [one.reason for one in report.claims]
    assert pipeline.exit_code_of_claims(report) == 0


def test_what_the_example_does_not_claim_is_not_supported(tmp_path):
    text = (EXAMPLE / "claims.toml").read_text() + (
        '\n[[claim]]\nkind = "order"\nof = { dataset = "FD001", metric = "rmse" }\nbetter = "bilstm"\nthan = "cnn"\n'
    )
    (tmp_path / "claims.toml").write_text(text)
    for path in EXAMPLE.glob("results/*/*/*/results.json"):
        copy = tmp_path / path.relative_to(EXAMPLE)
        copy.parent.mkdir(parents=True)
        copy.write_bytes(path.read_bytes())
    judged = pipeline.claims(tmp_path / "claims.toml").claims[-1]
    assert judged.status == "not-supported"
    assert judged.measured["seeds_needed"] > 1000


def test_the_stored_results_are_of_the_real_data():
    results = [json.loads(path.read_text()) for path in EXAMPLE.glob("results/FD001/*/*/results.json")]
    assert len(results) == 30
    assert not any(one["simulated"] for one in results)
