"""Both senses of an audit: what the source shows and what the runs show become one finding, or say why they do not."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from auditor.records.audit import Finding
from auditor.records.sighted import Sighted, Unread
from auditor.records.trace import Place, Source, Sources
from auditor.rulebook import rulebook
from auditor.rulebook.agreement import Agreed, Circumstances, agree, notes, sight

Make = SimpleNamespace
RULE = "unseeded-numpy-generator"
UNSEEDED = "import numpy as np\n\nrng = np.random.default_rng()\n\n\ndef later():\n    return np.random.default_rng()\n"
TORCH = "import torch\nmodel = torch.nn.Linear(2, 1)\nmodel(torch.ones(2)).sum().backward()\nprint(model.weight.grad)\n"


def digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def evidence(make: Make, runs: Any, files: dict[str, str], number: int = 1, left_out: int = 0) -> Any:
    told = Sources([Source(name, digest(text)) for name, text in files.items()], left_out)
    return runs(number, make.process(1, sources=(told,)))


def sighted(make: Make, runs: Any, files: dict[str, str], now: dict[str, str] | None = None, **more: Any) -> Sighted:
    there = {name: text.encode() for name, text in (files if now is None else now).items()}
    return sight([evidence(make, runs, files, **more)], there.get)


def seen(
    line: int | None, message: str = "made without a seed", rule: str = RULE, severity: Any = "warning"
) -> Finding:
    return Finding(rule, message, severity, None if line is None else Place("train.py", line))


def told(agreed: Agreed) -> list[tuple[int | None, tuple[str, ...], str]]:
    found = agreed.findings
    return [(one.location and one.location.line, one.senses, one.severity) for one in found]


def test_one_finding_where_both_senses_saw_it(make: Make, runs: Any) -> None:
    agreed = agree([seen(3)], sighted(make, runs, {"train.py": UNSEEDED}))
    assert told(agreed) == [(3, ("source", "run"), "warning"), (7, ("source",), "warning")]
    both, source = agreed.findings
    assert both.message == "made without a seed"
    assert source.message.endswith("(seen in the source; these runs show it elsewhere)")


def test_what_the_runs_do_not_show_weighs_less(make: Make, runs: Any) -> None:
    agreed = agree([], sighted(make, runs, {"train.py": UNSEEDED}))
    assert told(agreed) == [(3, ("source",), "note"), (7, ("source",), "note")]
    assert all(one.message.endswith("(seen in the source, not in these runs)") for one in agreed.findings)


def test_what_the_source_does_not_show_says_so(make: Make, runs: Any) -> None:
    agreed = agree([seen(2)], sighted(make, runs, {"train.py": "import this\n"}))
    (finding,) = agreed.findings
    assert (finding.senses, finding.severity) == (("run",), "warning")
    assert finding.message.endswith("(seen in these runs; no line of the project's source shows it)")
    elsewhere = agree([seen(2)], sighted(make, runs, {"train.py": UNSEEDED}))
    assert "(seen in these runs; the source shows it elsewhere)" in elsewhere.findings[0].message


def test_without_the_whole_source_nothing_is_said_of_it(make: Make, runs: Any) -> None:
    files = {"train.py": "import this\n"}
    for incomplete in (sighted(make, runs, files, {}), sighted(make, runs, files, left_out=1), None):
        assert agree([seen(2)], incomplete).findings == (seen(2),)


def test_the_line_is_the_sources_where_the_runs_tell_none(make: Make, runs: Any) -> None:
    observed = seen(None, "never seeded", "unseeded-torch")
    (finding,) = agree([observed], sighted(make, runs, {"train.py": TORCH})).findings
    assert finding.senses == ("source", "run")
    assert finding.location is not None
    assert finding.location.file == "train.py"


def test_what_may_mend_a_flaw_may_be_in_a_file_that_was_not_read(make: Make, runs: Any) -> None:
    train = "import seeding\n" + TORCH
    unseeded = {"train.py": train, "seeding.py": "import torch\n"}
    assert _shown(sighted(make, runs, unseeded)) == ["unseeded-torch"]
    files = {"train.py": train, "seeding.py": "import torch\n\ntorch.manual_seed(1)\n"}
    assert _shown(sighted(make, runs, files)) == []
    assert _shown(sighted(make, runs, files, {"train.py": train})) == []


def _shown(read: Sighted) -> list[str]:
    return [flaw.rule for flaw in read.flaws if flaw.confidence != "possible"]


def test_a_comment_allows_what_the_runs_show(make: Make, runs: Any) -> None:
    text = UNSEEDED.replace("rng = np", "# auditor: allow[unseeded-numpy-generator] for names only\nrng = np")
    found = sighted(make, runs, {"train.py": text})
    agreed = agree([seen(4)], found)
    assert 4 not in [line for line, _, _ in told(agreed)]
    assert agreed.allowed == (seen(4),)
    assert notes(agreed, found) == ("unseeded-numpy-generator at train.py:4 is allowed in the project",)


def test_files_that_are_not_what_was_run_are_not_read(make: Make, runs: Any) -> None:
    files = {"train.py": UNSEEDED, "gone.py": "x = 1\n", "broken.py": "x = (\n", "lib.so": "\0", "latin.py": "x = 1\n"}
    there = {**files, "train.py": UNSEEDED + "\n"}
    del there["gone.py"]
    found = sighted(make, runs, files, there)
    assert found.files == 1
    assert [one.file for one in found.unread] == ["broken.py", "gone.py", "train.py"]
    assert found.unread[1:] == (
        Unread("gone.py", "it cannot be read any more"),
        Unread("train.py", "it has changed since the runs"),
    )
    assert not found.complete
    assert "train.py was not read for flaws: it has changed since the runs" in notes(Agreed((), ()), found)


def test_a_file_that_another_run_had_otherwise_is_not_read(make: Make, runs: Any) -> None:
    two = [evidence(make, runs, {"train.py": text}, number) for number, text in ((1, UNSEEDED), (2, TORCH))]
    assert sight(two, {"train.py": TORCH.encode()}.get).unread == (
        Unread("train.py", "it was not the same in all runs"),
    )


def test_a_file_in_another_encoding_is_read(make: Make, runs: Any) -> None:
    text = "# coding: latin-1\nimport numpy as np\nname = 'Zoë'\nrng = np.random.default_rng()\n"
    data = text.encode("latin-1")
    told_ = Sources([Source("train.py", hashlib.blake2b(data, digest_size=8).hexdigest())], 0)
    found = sight([runs(1, make.process(1, sources=(told_,)))], {"train.py": data}.get)
    assert [(flaw.rule, flaw.spot.line) for flaw in found.flaws] == [(RULE, 4)]


def test_more_source_than_is_read_in_the_time_is_left(make: Make, runs: Any) -> None:
    files = {"train.py": UNSEEDED, "pkg/large.py": "x = 1\n" * 200_000}
    found = sighted(make, runs, files)
    assert [one.file for one in found.unread] == ["pkg/large.py"]
    assert found.flaws


def test_what_is_possible_counts_only_where_the_runs_show_it(make: Make, runs: Any) -> None:
    found = sighted(make, runs, {"train.py": UNSEEDED})
    flaws = tuple(msgspec.structs.replace(flaw, confidence="possible") for flaw in found.flaws)
    found = msgspec.structs.replace(found, flaws=flaws)
    assert told(agree([], found)) == []
    assert told(agree([seen(3)], found)) == [(3, ("source", "run"), "warning")]


def test_what_was_sighted_comes_back_as_it_was_written(make: Make, runs: Any) -> None:
    found = sighted(make, runs, {"train.py": UNSEEDED})
    assert msgspec.json.decode(msgspec.json.encode(found), type=Sighted) == found


def test_every_rule_of_one_sense_says_which_it_was(make: Make, runs: Any) -> None:
    found = sighted(make, runs, {"train.py": UNSEEDED})
    one = next(check.rule.id for check in rulebook().values() if check.run is None and check.source is not None)
    flaw = msgspec.structs.replace(found.flaws[0], rule=one)
    (finding,) = agree([], msgspec.structs.replace(found, flaws=(flaw,))).findings
    assert finding.message.endswith("(seen in the source)")
    assert finding.severity == flaw.severity
    reading = msgspec.structs.replace(found, flaws=(flaw,))
    (finding,) = agree([], reading, Circumstances(bit_exact=True)).findings
    assert finding.message.endswith("(seen in the source; these runs agree all the same)")
    assert finding.severity == "note"
    loose = msgspec.structs.replace(found, flaws=(msgspec.structs.replace(flaw, level="seed-stable"),))
    assert agree([], loose, Circumstances(bit_exact=True)).findings[0].severity == flaw.severity


def test_kernels_for_cuda_weigh_less_where_none_was_used(make: Make, runs: Any) -> None:
    found = sighted(make, runs, {"train.py": "import torch\n\ntorch.backends.cudnn.benchmark = True\n"})
    (finding,) = (one for one in agree([], found, Circumstances(cuda=False)).findings if "cudnn" in one.rule)
    assert finding.message.endswith("(seen in the source; these runs used no CUDA device)")
    assert finding.severity == "note"


def test_settings_of_the_project_hold(make: Make, runs: Any, tmp_path: Path) -> None:
    files = {"train.py": UNSEEDED, "tests/test_train.py": UNSEEDED, "old/train.py": UNSEEDED}
    settings = f'[tool.auditor.check]\nexclude = ["old/"]\nallow = {{"tests/" = ["{RULE}"]}}\n'
    (tmp_path / "pyproject.toml").write_text(settings, encoding="utf-8")
    there = {name: text.encode() for name, text in files.items()}
    found = sight([evidence(make, runs, files)], there.get, tmp_path)
    assert {one.location.file for one in agree([], found).findings if one.location} == {"train.py"}
    in_tests = Finding(RULE, "made without a seed", "warning", Place("tests/test_train.py", 3))
    assert agree([in_tests], found).allowed == (in_tests,)
    in_old = Finding(RULE, "made without a seed", "warning", Place("old/train.py", 3))
    assert [one.senses for one in agree([in_old], found).findings if one.location == in_old.location] == [
        ("source", "run")
    ]
    (tmp_path / "pyproject.toml").write_text(settings + "selects = []\n", encoding="utf-8")
    broken = sight([evidence(make, runs, files)], there.get, tmp_path)
    assert not broken.complete
    assert any("selects" in note for note in notes(Agreed((), ()), broken))
