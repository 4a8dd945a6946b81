from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auditor.records.audit import LEVELS, Audit, Finding, LevelVerdict
from auditor.records.comparison import ArtefactDifference, Divergence, Metric
from auditor.records.config import Settings
from auditor.records.control import Control
from auditor.records.trace import Place
from auditor.report import markdown, terminal, wording


def test_says_verdicts_divergence_and_evidence(diverged: Audit) -> None:
    text = terminal.render(diverged, evidence=".auditor/20300101T000000Z-0a1b2c3d")
    assert text.splitlines()[0] == "python train.py --seed {seed} --name 'a b'"
    assert "bit-exact is required: not reached." in text
    assert "init ✓ → batch ✓ → loss ✓ → gradients ✗ → parameters ·" in text
    assert "First divergence: step 3, gradients of encoder.weight" in text
    assert "largest |Δ| 1.19e-07; identical up to step 2" in text
    assert re.search(r"rmse +14\.2 +14\.2031 +0\.0031 +0\.01", text)
    assert "the trace of worker 0.1 is cut off" in text
    assert "data.py:31" in text
    assert "seconds: a duration" in text
    assert "directory order was varied" in text
    assert "Python 3.11.4, torch 2.13.0+cpu" in text
    assert text.splitlines()[-1].endswith(".auditor/20300101T000000Z-0a1b2c3d")


def test_a_link_that_was_not_seen_is_not_called_identical(diverged: Audit) -> None:
    unseen = msgspec.structs.replace(diverged, compared=msgspec.structs.replace(diverged.compared, batches=0))
    assert "init ✓ → batch not seen → loss ✓ → gradients ✗" in terminal.render(unseen)


@pytest.mark.parametrize("link", ["metric", "checkpoint", "streams", "final", "steps"])
def test_a_divergence_outside_of_the_chain_shows_no_chain(diverged: Audit, link: str) -> None:
    other = msgspec.structs.replace(diverged, divergence=Divergence(None, link, "main", "results.json:rmse", 0.5))
    text = terminal.render(other)
    assert f"First divergence: {link} results.json:rmse" in text
    assert "init" not in text


def test_a_clean_audit_fits_one_small_screen(reached: Audit) -> None:
    text = terminal.render(reached, evidence=".auditor/x")
    assert len(text.splitlines()) <= 24
    assert "First divergence" not in text
    assert "3 identical replicates exclude, at 95 % confidence, that more than 77.6 % of runs differ." in " ".join(
        text.split()
    )


def test_the_fullest_report_fits_one_screen(diverged: Audit) -> None:
    metrics = {f"m{at}": Metric(f"m{at}", "r.json", False, ((1.0,), (2.0,)), False, 1.0, 0.01) for at in range(200)}
    many = msgspec.structs.replace(
        diverged,
        metrics=metrics,
        findings=diverged.findings * 50,
        gaps=diverged.gaps * 50,
        notes=diverged.notes * 50,
        artefacts=diverged.artefacts * 50,
    )
    text = terminal.render(many)
    assert len(text.splitlines()) <= 69
    assert "and 192 more in audit.json" in text


@pytest.mark.parametrize("width", [30, 40, 60, 63, 64, 80, 100, 200])
@pytest.mark.parametrize("ascii_only", [False, True])
def test_no_line_is_wider_than_the_screen(diverged: Audit, width: int, ascii_only: bool) -> None:
    text = terminal.render(diverged, width=width, evidence=".auditor/" + "x" * 300)
    assert max(map(len, text.splitlines())) <= width
    if ascii_only:
        assert terminal.render(diverged, width=width, ascii_only=True).isascii()


def test_colour_only_where_asked_for(diverged: Audit) -> None:
    plain = terminal.render(diverged)
    coloured = terminal.render(diverged, colour=True)
    assert "\x1b[" not in plain
    assert "\x1b[" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).split() == plain.split()


def test_a_failed_program_comes_first(failed: Audit) -> None:
    assert "The program failed: run 1 ended with exit code 1" in terminal.render(failed)


def test_all_levels_and_verdicts_have_words(diverged: Audit) -> None:
    for verdict in ("reached", "not-reached", "inconclusive", "not-tested"):
        said = LevelVerdict(verdict, "because")  # type: ignore[arg-type]  # each is one of the literals
        text = terminal.render(msgspec.structs.replace(diverged, levels={"bit-exact": said}))
        assert wording.VERDICTS[verdict] in text


@given(text=st.text(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_nothing_that_a_program_names_reaches_the_terminal_raw(diverged: Audit, text: str) -> None:
    hostile = msgspec.structs.replace(
        diverged,
        command=("python", text),
        gaps=(text,),
        notes=(text,),
        divergence=Divergence(3, "loss", text, text, None, reason=text),
        metrics={text: Metric(text, text, True, ((text,), (1.0,)), False, None, 0.01, problem=text)},
    )
    rendered = terminal.render(hostile, evidence=text)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]", rendered)


def test_headlines(diverged: Audit, reached: Audit) -> None:
    open_ended = msgspec.structs.replace(diverged, settings=Settings())
    unlevelled = msgspec.structs.replace(open_ended, level=None)
    assert wording.headline(open_ended) == "The highest level reached is seed-stable."
    assert wording.headline(unlevelled) == "The runs differ, and no level is reached."
    silent = {name: LevelVerdict("inconclusive", "nothing was compared") for name in diverged.levels}
    nothing = msgspec.structs.replace(unlevelled, divergence=None, levels=silent)
    assert wording.headline(nothing) == "No level can be called reached: the evidence is not enough."
    assert wording.headline(reached) == "bit-exact is required: reached."
    unfinished = msgspec.structs.replace(diverged, state="interrupted", problem="1 of 2 runs ended")
    assert wording.headline(unfinished) == "The audit is not finished: 1 of 2 runs ended"


def test_a_series_is_shown_where_its_runs_are_furthest_apart() -> None:
    series = Metric("loss", "log.csv", True, ((3.0, 2.0, 1.0), (3.0, 2.5, 1.1)), False, 0.5, 0.01)
    assert wording.metric_value(series, 0) == "2 (2 of 3)"
    assert wording.other_values(series) == "2.5"
    close = Metric("loss", "log.csv", True, ((1.0,), (1.0 + 2**-40,)), False, 2**-40, 0.01)
    assert wording.metric_value(close, 0) != wording.other_values(close)


def test_a_metric_that_no_run_has_is_none() -> None:
    missing = Metric("loss", "log.csv", True, ((), ()), False, None, 0.01, problem="nothing")
    shown = (wording.metric_value(missing, 0), wording.other_values(missing), wording.metric_difference(missing))
    assert shown == ("none", "none", "none")


def test_a_long_name_is_not_broken(diverged: Audit) -> None:
    name = "outputs/seed_1/results.json:validation.root_mean_squared_error"
    long = Metric(name, "results.json", False, ((123.4567, 1.0), (123.5567, 1.0)), False, 0.1, 0.01)
    assert name in terminal.render(msgspec.structs.replace(diverged, metrics={name: long}))


def test_a_volatile_number_is_told_once(diverged: Audit) -> None:
    said = "2 numbers or series; volatile: results.json:seconds (a duration)"
    for outcome, detail, kept in (
        ("volatile", said, None),
        ("volatile", f"{said}; 1 text differs", "results.json: 2 numbers or series; 1 text differs"),
        ("differs", said, "results.json (numbers) differs: 2 numbers or series"),
    ):
        artefact = ArtefactDifference("results.json", "numbers", outcome, detail)
        audit = msgspec.structs.replace(diverged, artefacts=(artefact,))
        lines = wording.volatile_lines(audit) + wording.artefact_lines(audit)
        assert lines == ("seconds: a duration", *([kept] if kept else []))


def control(name: str, verdict: str, *levels: str) -> Control:
    return Control(name, dict.fromkeys(levels, "why"), f"how {name} was", verdict)  # type: ignore[arg-type]


CONTROLS = (
    control("torch-stream", "controlled", *LEVELS),
    control("deterministic-algorithms", "not-controlled", "bit-exact"),
    control("hash-seed", "not-controlled", "bit-exact", "seed-stable"),
    control("threads", "not-controlled", "seed-stable"),
    control("tf32", "not-applicable", "seed-stable"),
    control("library-versions", "unknown", "seed-stable", "distribution-stable"),
)


@pytest.mark.parametrize("width", [40, 80])
def test_controls_are_shown_where_they_apply_and_the_rest_is_counted(reached: Audit, width: int) -> None:
    text = terminal.render(msgspec.structs.replace(reached, controls=CONTROLS), width=width)
    shown = text[text.index("Controls: ") :]
    assert shown.index("deterministic-algorithms") < shown.index("threads") < shown.index("torch-stream")
    assert "tf32" not in shown
    assert "1 more does not apply to these runs; not known: library-versions" in " ".join(shown.split())
    if width == 80:
        rows = {line.split()[1]: line for line in shown.splitlines() if line.strip().startswith(("✓", "✗"))}
        assert "all levels" in rows["torch-stream"]
        assert "bit, seed" in rows["hash-seed"]
        assert "seed-stable" in rows["threads"]
    assert "Controls" not in terminal.render(reached, width=width)


def test_a_pass_that_nothing_held_the_runs_to_says_so(reached: Audit, diverged: Audit) -> None:
    said = "nothing held them to it: deterministic-algorithms and hash-seed are not controlled"
    lucky = msgspec.structs.replace(reached, controls=CONTROLS)
    assert said in wording.luck(lucky)
    assert said in " ".join(terminal.render(lucky).split())
    assert said in markdown.render(lucky).replace("\\", "")
    assert wording.luck(msgspec.structs.replace(reached, controls=CONTROLS[:1])) == ""
    # What only another machine would tell apart is no luck on this one.
    assert wording.luck(msgspec.structs.replace(reached, controls=CONTROLS[3:])) == ""
    assert wording.luck(msgspec.structs.replace(diverged, controls=CONTROLS)) == ""


def test_what_both_senses_saw_says_so(diverged: Audit) -> None:
    both = msgspec.structs.replace(diverged.findings[0], senses=("source", "run"))
    assert wording.finding_line(both).endswith("(the source and the runs show it)")
    assert not wording.finding_line(diverged.findings[0]).endswith(")")


def test_controls_in_markdown_are_a_table(reached: Audit) -> None:
    text = markdown.render(msgspec.structs.replace(reached, controls=CONTROLS))
    assert "| torch-stream | all levels | how torch-stream was | ✅ controlled |" in text
    assert "| threads | seed-stable | how threads was | ❌ not controlled |" in text
    assert "1 more does not apply to these runs; not known: library-versions." in text


def test_what_the_controls_say_is_not_said_twice(reached: Audit) -> None:
    noted = Finding("thread-count", "as many threads as there are cores", "note", None)
    placed = msgspec.structs.replace(noted, location=Place("train.py", 3))
    audit = msgspec.structs.replace(reached, findings=(noted, placed))
    assert wording.ranked_findings(audit) == (noted, placed)
    assert wording.ranked_findings(msgspec.structs.replace(audit, controls=CONTROLS)) == (placed,)
