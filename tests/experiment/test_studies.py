"""Studies: many seeds of small real programs, and what is left where something goes wrong in the midst of them."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from auditor import pipeline
from auditor.config import Resources, make_request
from auditor.errors import AuditorError, EvidenceError, ExitCode, UsageError
from auditor.experiment.study import LOSSES, number_of
from auditor.records.config import Settings
from auditor.records.progress import RunEnded, RunStarted
from auditor.report import json as as_json
from auditor.report import junit, markdown, terminal, wording
from auditor.report.schema import shipped
from auditor.store import Store

ROOT = Path(__file__).parents[2]

# Writes a result of its seed's; what it has done is told outside of the project, where its isolation does not reach.
PROGRAM = """
import json, os, random, sys
seed, told = int(sys.argv[1]), sys.argv[2]
random.seed(seed)
value = random.gauss(7.5, 0.6)
with open(f"{told}/started", "a") as file:
    file.write(f"{seed}\\n")
tries = open(f"{told}/started").read().split().count(str(seed))
{extra}
os.makedirs(f"seed_{seed}")
with open(f"seed_{seed}/results.json", "w") as file:
    json.dump({"seed": seed, "test": {"rmse": value}, "epochs": 3}, file)
"""


class Lab:
    """A project with one program, and studies of it."""

    def __init__(self, project: Path, told: Path) -> None:
        self.project, self.told = project, told
        self.events: list[object] = []

    def program(self, extra: str = "") -> None:
        """Write the program, with something more that it does."""
        (self.project / "train.py").write_text(PROGRAM.replace("{extra}", extra))

    def command(self) -> list[str]:
        """The program in an interpreter that the probe does not enter, which is quicker."""
        return [sys.executable, "-I", "train.py", "{seed}", str(self.told)]

    def study(self, seeds: str, out: str = "study", **options):
        """Audit it with these seeds; the evidence lies beside the project."""
        self.events = []
        resources = options.pop("resources", Resources(jobs=2))
        request = make_request(
            self.command(), str(self.project), seeds=seeds, out=str(self.evidence(out)), resources=resources, **options
        )
        return pipeline.audit(request, self.events.append)

    def evidence(self, out: str = "study") -> Path:
        """Where a study's evidence lies."""
        return self.project.parent / out

    def resume(self, out: str = "study"):
        """Go on with a study."""
        self.events = []
        return pipeline.audit(pipeline.request_to_resume(self.evidence(out)), self.events.append)

    def started(self) -> list[int]:
        """The seeds that the program was started with, ascending, each as often as it was."""
        path = self.told / "started"
        return sorted(map(int, path.read_text().split())) if path.exists() else []


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A project of its own, with a program that gives a number for every seed."""
    for name in ("project", "told", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    made = Lab(tmp_path / "project", tmp_path / "told")
    made.program()
    return made


def rmse(audit):
    """The one metric of the program."""
    (metric,) = audit.study.metrics.values()
    return metric


def test_runs_are_numbered_by_what_was_asked_for_alone():
    settings = Settings(seeds=(5, 6, 7), replicates=2, retries=2)
    numbers = [
        number_of(settings, position, replicate, attempt)
        for attempt in (1, 2, 3)
        for position in range(3)
        for replicate in (1, 2)
    ]
    assert numbers == list(range(1, 19))


def test_a_study_tells_every_seed_and_its_spread(lab):
    audit = lab.study("3,1,2,40")
    assert lab.started() == [1, 2, 3, 40]
    assert [(run.number, run.seed, run.replicate, run.attempt) for run in audit.runs] == [
        (1, 3, 1, 1), (2, 1, 1, 1), (3, 2, 1, 1), (4, 40, 1, 1),
    ]  # fmt: skip
    assert audit.state == "complete"
    assert list(rmse(audit).values) == [3, 1, 2, 40]
    assert rmse(audit).summary.n == 4
    assert audit.study.constant == ("seed_{seed}/results.json:epochs",)
    assert {name: level.verdict for name, level in audit.levels.items()} == dict.fromkeys(audit.levels, "not-tested")
    assert "±" in audit.levels["distribution-stable"].reason
    assert pipeline.exit_code(audit) == ExitCode.OK
    # Two at a time share the cores, and that is recorded.
    assert {run.imposed["OMP_NUM_THREADS"] for run in audit.runs} == {str(max(1, len(os.sched_getaffinity(0)) // 2))}
    assert any("OMP_NUM_THREADS" in note for note in audit.notes)
    # Nobody is served whose scratch directories stay behind.
    assert list((lab.project.parent / "temporary").iterdir()) == []


def test_the_number_of_jobs_changes_no_evidence(lab):
    one = lab.study("1-3", "one", resources=Resources(jobs=1))
    assert [run.imposed for run in one.runs] == [{}, {}, {}]
    many = lab.study("1-3", "many", resources=Resources(jobs=3))
    assert rmse(one).values == rmse(many).values
    for ours, theirs in zip(one.runs, many.runs, strict=True):
        assert ours.artefacts == theirs.artefacts
        assert ours.varied["PYTHONHASHSEED"] == theirs.varied["PYTHONHASHSEED"]


def test_fresh_seeds_are_held_to_an_earlier_study_and_the_verdict_is_recomputed(lab):
    lab.study("4", "first")
    with pytest.raises(UsageError) as raised:
        taken = pipeline.seeds_of_reference([str(lab.evidence("first"))])
        make_request(lab.command(), str(lab.project), seeds="4,5", taken=taken)
    assert raised.value.slug == "seeds-not-fresh"
    audit = lab.study("5-8", "second", reference=[str(lab.evidence("first"))], require="distribution-stable")
    held = rmse(audit).held
    assert held is not None
    assert len(held.reference.values) == 4
    verdict = audit.levels["distribution-stable"].verdict
    codes = {"reached": ExitCode.OK, "not-reached": ExitCode.NOT_REACHED, "inconclusive": ExitCode.INCONCLUSIVE}
    assert pipeline.exit_code(audit) == codes[verdict]
    # The reference is in the evidence: what it was taken from may go.
    os.rename(lab.evidence("first"), lab.evidence("moved"))
    again = pipeline.recompute(lab.evidence("second"))
    assert pipeline.differences(lab.evidence("second"), again) == ()
    assert again.study == audit.study


def test_a_whole_curve_is_held_to_that_of_an_earlier_study_and_decides_nothing(lab):
    curve = "print(*(f'loss {5 / epoch + value / 10 + LATE * (epoch == 2):.6f}' for epoch in (1, 2, 3)), sep='\\n')"
    metrics = {"metrics": ["loss=/loss ([0-9.]+)/"]}
    lab.program(curve.replace("LATE", "0"))
    lab.study("6", "first", **metrics)
    lab.program(curve.replace("LATE", "9"))
    audit = lab.study("11-16", "second", reference=[str(lab.evidence("first"))], **metrics)
    loss = audit.study.metrics["loss"]
    assert loss.curve is not None
    assert (loss.curve.verdict, loss.curve.first_different, len(loss.curve.points)) == ("not-reached", 2.0, 3)
    assert audit.levels["distribution-stable"].verdict != "not-reached"
    again = pipeline.recompute(lab.evidence("second"))
    assert pipeline.differences(lab.evidence("second"), again) == () and again.study == audit.study
    for report in (" ".join(terminal.render(audit).split()), markdown.render(audit)):
        assert "whole curve (not reached, decides nothing): The curves are shown to differ, first at 2" in report
    written = json.loads(as_json.render(audit))["study"]["metrics"]["loss"]["curve"]
    assert [point["at"] for point in written["points"]] == [1, 2, 3]


def test_a_difference_is_shown_and_equivalence_too(lab):
    # The seed's noise is small beside what is asked.
    lab.program("value = 10 + random.gauss(0, 0.01)")
    far = lab.study("6", "far", reference=["rmse=7.5±0.6,n=10"], require="distribution-stable")
    assert far.levels["distribution-stable"].verdict == "not-reached"
    assert pipeline.exit_code(far) == ExitCode.NOT_REACHED
    lab.program("value = [7.5, 7.1, 7.9, 7.3, 7.7, 7.45, 7.55, 7.2, 7.8, 7.4, 7.6, 7.5][seed % 12] + seed / 1e6")
    lab.study("40", "base")
    near = lab.study("101-140", "near", reference=[str(lab.evidence("base"))], require="distribution-stable")
    assert near.levels["distribution-stable"].verdict == "reached", near.levels["distribution-stable"].reason
    assert near.level == "distribution-stable"
    assert pipeline.exit_code(near) == ExitCode.OK


def test_a_seed_that_fails_is_tried_again_and_reported(lab):
    lab.program("if seed == 2: sys.exit(f'no luck with {seed}')")
    audit = lab.study("4", retries=2, reference=["rmse=7.5±0.6,n=10"], require="distribution-stable")
    assert lab.started() == [1, 2, 2, 2, 3, 4]
    assert [(run.number, run.attempt) for run in audit.runs if run.seed == 2] == [(2, 1), (6, 2), (10, 3)]
    assert all(run.ending.status == "failed" for run in audit.runs if run.seed == 2)
    assert audit.state == "failed"
    assert audit.problem == "seed 2 failed (exit code 1)"
    assert sorted(rmse(audit).values) == [1, 3, 4]
    assert audit.levels["distribution-stable"].verdict != "reached"
    assert "seed 2" in audit.study.missing[0]
    assert rmse(audit).held.published.verdict == "inconclusive"
    assert "no value for seed 2" in rmse(audit).held.published.reason
    (row,) = wording.seed_rows(audit.study)
    assert (row.seeds, row.published) == ("3 of 4", "inconclusive")
    assert pipeline.exit_code(audit) == ExitCode.PROGRAM_FAILED
    problem = pipeline.problem(audit, lab.evidence())
    assert problem is not None
    assert "no luck with 2" in problem.what
    assert "run 10" in problem.what
    assert [event.again for event in lab.events if isinstance(event, RunEnded) and event.ending.status == "failed"] == [
        True,
        True,
        False,
    ]
    with pytest.raises(EvidenceError) as raised:
        lab.resume()
    assert raised.value.slug == "nothing-to-resume"


def test_a_seed_that_ends_well_in_the_end_counts_once(lab):
    lab.program("if seed == 3 and tries == 1: sys.exit(1)")
    audit = lab.study("3")
    assert lab.started() == [1, 2, 3, 3]
    assert audit.state == "complete"
    assert sorted(rmse(audit).values) == [1, 2, 3]
    assert any("seed 3 ended well in attempt 2 only" in note for note in audit.notes)
    assert pipeline.exit_code(audit) == ExitCode.OK


def test_no_retries_where_none_are_wanted(lab):
    lab.program("if seed == 1: sys.exit(1)")
    audit = lab.study("3", retries=0)
    assert lab.started() == [1, 2, 3]
    assert audit.study.missing == ("seed 1 failed (exit code 1) in its only attempt",)


def test_a_run_past_its_time_limit_is_a_failed_one(lab):
    lab.program("import signal\nif seed == 2: signal.pause()")
    audit = lab.study("3", retries=0, timeout=3.0)
    assert audit.state == "failed"
    assert audit.study.lost[0].why == "ran past its time limit"
    assert list(rmse(audit).values) == [1, 3]


@pytest.mark.parametrize("value", ["float('nan')", "float('inf')"])
def test_a_metric_that_is_no_number_is_not_dropped(lab, value):
    lab.program(f"if seed == 2: value = {value}")
    audit = lab.study("4", reference=["rmse=7.5±0.6,n=10"], require="distribution-stable")
    metric = rmse(audit)
    assert isinstance(metric.values[2], str)
    assert metric.held.calibrated.unusable == (2,)
    assert metric.held.published.verdict == "inconclusive"
    assert "not finite for seed 2" in metric.held.published.reason
    (row,) = wording.seed_rows(audit.study)
    assert (row.seeds, row.published) == ("3 of 4", "inconclusive")
    assert audit.levels["distribution-stable"].verdict != "reached"
    assert pipeline.exit_code(audit) != ExitCode.OK
    stored = msgspec.json.decode((lab.evidence() / "audit.json").read_bytes())
    assert stored["study"]["metrics"][metric.name]["values"]["2"] in ("nan", "inf")


def test_a_metric_that_one_seed_does_not_report(lab):
    lab.program("if seed == 2: sys.exit(0)")
    audit = lab.study("3", reference=["rmse=7.5±0.6,n=10"])
    assert audit.study.missing == ("seed_{seed}/results.json:test.rmse: no value for seed 2",)
    assert audit.levels["distribution-stable"].verdict == "inconclusive"
    assert pipeline.exit_code(audit) == ExitCode.INCONCLUSIVE


def test_replicates_of_a_seed_are_compared_bit_by_bit_and_seeds_are_not(lab):
    clean = lab.study("2", "clean", replicates=2, require="bit-exact")
    assert [(run.seed, run.replicate) for run in clean.runs] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    # The probe does not enter, and so there is no checkpoint: as for any audit that is not enough for bit-exact.
    assert clean.levels["bit-exact"].verdict == "inconclusive"
    assert clean.levels["seed-stable"].verdict == "reached"
    assert list(rmse(clean).values) == [1, 2]
    lab.program("if seed == 2: value = random.SystemRandom().random()")
    unsteady = lab.study("2", "unsteady", replicates=2, require="bit-exact")
    assert unsteady.levels["bit-exact"].verdict == "not-reached"
    assert unsteady.levels["bit-exact"].reason.startswith("Of seed 2:")
    assert unsteady.divergence.runs == (3, 4)
    assert pipeline.exit_code(unsteady) == ExitCode.NOT_REACHED
    # Replicates see the same paths wherever they run.
    assert {run.varied["directory-order"] for run in unsteady.runs if run.replicate == 1} == {
        "as the file system gives it"
    }


def test_replicates_of_a_copy_see_the_same_paths(lab):
    lab.program("value = float(len(os.getcwd())) + seed / 10; print(os.getcwd())")
    audit = lab.study("2", replicates=2, isolation="copy")
    seen = [lab.evidence().joinpath("runs", str(run.number), "stdout").read_text() for run in audit.runs]
    assert seen[0] == seen[1] != seen[2] == seen[3]


KILLED = """
import sys
from auditor import pipeline
from auditor.config import Resources, make_request
evidence, project, told, *command = sys.argv[1:]
if evidence.startswith("resume:"):
    request = pipeline.request_to_resume(evidence.removeprefix("resume:"))
else:
    request = make_request(command, project, seeds="6", out=evidence, resources=Resources(jobs=2))
audit = pipeline.audit(request, lambda event: print(type(event).__name__, event.number, flush=True))
print(audit.state, flush=True)
"""


def auditing(lab: Lab, evidence: str) -> subprocess.Popen[str]:
    """The auditor in a process of its own."""
    words = [evidence, str(lab.project), str(lab.told), *lab.command()]
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def until(process: subprocess.Popen[str], event: str) -> None:
    """Wait until something has happened."""
    assert process.stdout is not None
    assert any(line.strip() == event for line in process.stdout), "it ended too early"


def test_killed_twice_in_the_midst_of_it_a_study_runs_only_what_is_missing(lab):
    # Two seeds hang until they may go on, so that it is never done by itself.
    lab.program("import signal\nif seed in (4, 6) and not os.path.exists(f'{told}/go'): signal.pause()")
    evidence = lab.evidence()
    process = auditing(lab, str(evidence))
    until(process, "RunEnded 3")
    process.kill()
    process.communicate()
    sealed = {number: (evidence / f"runs/{number}/run.json").read_bytes() for number in Store.open(evidence).runs()}
    assert 3 in sealed
    assert 4 not in sealed
    process = auditing(lab, f"resume:{evidence}")
    until(process, "RunStarted 6")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert 4 not in Store.open(evidence).runs()
    (lab.told / "go").touch()
    audit = lab.resume()
    assert audit.state == "complete"
    assert [run.seed for run in audit.runs] == [1, 2, 3, 4, 5, 6]
    assert sorted(rmse(audit).values) == [1, 2, 3, 4, 5, 6]
    # What had ended is as it was, and was not run again.
    assert all((evidence / f"runs/{number}/run.json").read_bytes() == text for number, text in sealed.items())
    assert all(lab.started().count(audit.runs[number - 1].seed) == 1 for number in sealed)
    # The last auditor reclaimed every scratch directory of those that were killed, and left none of its own.
    assert list((lab.project.parent / "temporary").iterdir()) == []


def test_interrupted_a_study_says_what_is_missing(lab):
    lab.program("import signal\nif seed == 3 and not os.path.exists(f'{told}/go'): signal.pause()")

    def interrupt(event):
        lab.events.append(event)
        if [one.number for one in lab.events if isinstance(one, RunEnded)] == [1, 2]:
            os.kill(os.getpid(), signal.SIGINT)

    request = make_request(
        lab.command(), str(lab.project), seeds="3", out=str(lab.evidence()), resources=Resources(jobs=1)
    )
    audit = pipeline.audit(request, interrupt)
    assert (audit.state, audit.problem) == ("interrupted", "2 of 3 seeds are done")
    assert audit.study.waiting == (3,)
    assert pipeline.exit_code(audit) == ExitCode.INCONCLUSIVE
    (lab.told / "go").touch()
    assert lab.resume().state == "complete"
    assert [event.number for event in lab.events if isinstance(event, RunStarted)] == [3]
    assert lab.started().count(1) == 1


def test_a_run_whose_worker_is_killed_is_run_again_under_its_number(lab):
    # The parent of the program is what executes it.
    lab.program("import signal\nif seed == 2 and tries == 1: os.kill(os.getppid(), signal.SIGKILL); signal.pause()")
    audit = lab.study("3")
    assert lab.started() == [1, 2, 2, 3]
    assert [(run.number, run.attempt, run.lost) for run in audit.runs] == [(1, 1, 0), (2, 1, 1), (3, 1, 0)]
    assert audit.state == "complete"
    assert any("was lost once" in note for note in audit.notes)
    assert sorted(rmse(audit).values) == [1, 2, 3]


def test_a_worker_that_is_lost_again_and_again_ends_the_study(lab):
    lab.program("import signal\nif seed == 2: os.kill(os.getppid(), signal.SIGKILL); signal.pause()")
    with pytest.raises(AuditorError) as raised:
        lab.study("3", resources=Resources(jobs=1))
    assert raised.value.slug == "worker-lost"
    assert lab.started().count(2) == LOSSES + 1
    assert Store.open(lab.evidence()).runs() == (1,)
    lab.program()
    assert lab.resume().state == "complete"


def test_a_full_disk_stops_a_study_and_it_goes_on_when_there_is_room(lab, tmp_path):
    if os.getuid() != 0:
        pytest.skip("mounting a small file system needs root")
    small = tmp_path / "study"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("a small file system cannot be mounted")
    try:
        lab.program("open('model', 'wb').write(bytes([seed]) * (400 << 10))")
        with pytest.raises(AuditorError) as raised:
            lab.study("4")
        assert raised.value.slug == "disk-full"
        before = Store.open(small).runs()
        assert 1 <= len(before) < 4
        subprocess.run(["mount", "-o", "remount,size=16m", str(small)], check=True)
        audit = lab.resume()
        assert audit.state == "complete"
        assert sorted(rmse(audit).values) == [1, 2, 3, 4]
        assert [lab.started().count(audit.runs[number - 1].seed) for number in before] == [1] * len(before)
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)


def test_a_command_that_cannot_be_started_is_refused_before_anything_runs(lab):
    with pytest.raises(UsageError) as raised:
        request = make_request(["./nowhere", "{seed}"], str(lab.project), seeds="3", out=str(lab.evidence()))
        pipeline.audit(request, lab.events.append)
    assert raised.value.slug == "command-not-found"
    assert not lab.evidence().exists()


@pytest.mark.parametrize("reference", [["nowhere"], ["rmse=1±1,n=3", "rmse=2±1,n=3"], ["rmse=1±1,n=3", "elsewhere"]])
def test_references_that_cannot_be_used(lab, reference):
    with pytest.raises(UsageError) as raised:
        lab.study("3", reference=reference)
    assert raised.value.slug == "bad-reference"


def test_an_audit_of_one_seed_is_no_reference(lab):
    request = make_request(lab.command(), str(lab.project), seed=1, out=str(lab.evidence("plain")))
    pipeline.audit(request, lab.events.append)
    with pytest.raises(UsageError) as raised:
        pipeline.seeds_of_reference([str(lab.evidence("plain"))])
    assert raised.value.slug == "bad-reference"


class TestSweep:
    """Results that exist already."""

    @pytest.fixture
    def results(self, tmp_path):
        """The layout that papers publish."""
        for seed, value in {1: 7.1, 2: 7.9, 10: 7.4}.items():
            place = tmp_path / "published" / "FD001" / "ours" / f"seed_{seed}"
            place.mkdir(parents=True)
            (place / "results.json").write_text(json.dumps({"test": {"rmse": value}}))
        return tmp_path / "published"

    def sweep(self, lab, results, pattern="FD001/*/seed_{seed}/results.json", seeds=None, **options):
        found = pipeline.seeds_found(str(results), pattern)
        request = make_request(
            [pattern],
            str(lab.project),
            seeds=seeds,
            found=found,
            sweep_from=str(results),
            out=str(lab.evidence("sweep")),
            **options,
        )
        return pipeline.audit(request, lab.events.append)

    def test_they_are_taken_and_nothing_is_run(self, lab, results):
        audit = self.sweep(lab, results, reference=["rmse=7.5±0.4,n=5"])
        assert lab.started() == []
        assert audit.settings.seeds == (1, 2, 10)
        assert rmse(audit).values == {1: 7.1, 2: 7.9, 10: 7.4}
        assert rmse(audit).held is not None
        assert {run.executor for run in audit.runs} == {"sweep"}
        # Nothing is said of this machine, which did not make them.
        assert "cpu" not in {
            name
            for layer in audit.fingerprint.layers.values()
            for name, fact in layer.items()
            if hasattr(fact, "value")
        }
        (results / "FD001/ours/seed_1/results.json").unlink()
        again = pipeline.recompute(lab.evidence("sweep"))
        assert pipeline.differences(lab.evidence("sweep"), again) == ()

    def test_they_can_be_a_reference(self, lab, results):
        self.sweep(lab, results)
        taken = pipeline.seeds_of_reference([str(lab.evidence("sweep"))])
        assert taken == (1, 2, 10)
        audit = lab.study("3", taken=taken, reference=[str(lab.evidence("sweep"))])
        assert audit.settings.seeds == (3, 4, 5)
        assert rmse(audit).held.reference.values == (7.1, 7.9, 7.4)

    def test_a_seed_that_there_is_no_file_of_is_missing(self, lab, results):
        audit = self.sweep(lab, results, seeds="1,2,3,10", reference=["rmse=7.5±0.4,n=5"])
        assert audit.study.missing == ("seed 3: there are no results",)
        assert audit.state == "complete"
        assert audit.levels["distribution-stable"].verdict == "inconclusive"
        assert pipeline.exit_code(audit) == ExitCode.INCONCLUSIVE

    def test_a_file_that_cannot_be_read_hides_no_reference(self, lab, results):
        place = results / "FD001/ours/seed_10/results.json"
        for text, said in (
            ('{"test": ', "no value for seed 10"),
            ('{"test": {"rmse": NaN}}', "not finite for seed 10"),
        ):
            place.write_text(text)
            shutil.rmtree(lab.evidence("sweep"), ignore_errors=True)
            audit = self.sweep(lab, results, reference=["rmse=7.5±0.6,n=5"])
            (row,) = wording.seed_rows(audit.study)
            assert (row.seeds, row.reference, row.published) == ("2 of 3", "7.5 ± 0.6 (n = 5)", "inconclusive")
            assert said in rmse(audit).held.published.reason
            assert audit.levels["distribution-stable"].verdict == "inconclusive"
            assert pipeline.exit_code(audit) == ExitCode.INCONCLUSIVE

    def test_what_is_whole_ends_with_0_whatever_it_shows(self, lab, results):
        audit = self.sweep(lab, results, reference=["rmse=7.5±0.6,n=5"])
        assert audit.levels["distribution-stable"].verdict == "inconclusive"
        assert pipeline.exit_code(audit) == ExitCode.OK

    def test_seeds_that_change_nothing_are_told(self, lab, results):
        for seed in (1, 2, 10):
            (results / f"FD001/ours/seed_{seed}/results.json").write_text('{"test": {"rmse": 10.0}}')
        audit = self.sweep(lab, results, reference=["rmse=10±0,n=5"])
        said = " ".join(wording.seed_lines(audit.study, audit.levels["distribution-stable"]))
        assert "all 3 seeds have the same value: the seed has no effect on this metric" in said
        assert "the reference's std is 0" in said

    def test_nan_is_told_without_a_reference_too(self, lab, results):
        (results / "FD001/ours/seed_10/results.json").write_text('{"test": {"rmse": NaN}}')
        audit = self.sweep(lab, results)
        assert audit.levels["distribution-stable"].verdict == "inconclusive"
        assert "nan for seed 10" in " ".join(wording.seed_lines(audit.study, audit.levels["distribution-stable"]))
        assert pipeline.exit_code(audit) == ExitCode.INCONCLUSIVE

    def test_two_files_of_one_seed_are_refused(self, results):
        (results / "FD001/ours/seed_02").mkdir()
        (results / "FD001/ours/seed_02/results.json").write_text("{}")
        with pytest.raises(UsageError) as raised:
            pipeline.seeds_found(str(results), "FD001/ours/seed_{seed}/results.json")
        assert raised.value.slug == "duplicate-seed"

    @pytest.mark.parametrize(
        "pattern", ["FD001/ours/seed_1/results.json", "FD009/seed_{seed}.json", "/x/{seed}", "../{seed}/x.json"]
    )
    def test_patterns_that_fit_nothing(self, results, pattern):
        with pytest.raises(UsageError) as raised:
            pipeline.seeds_found(str(results), pattern)
        assert raised.value.slug == "bad-sweep"

    def test_a_seed_that_stands_twice_in_a_path_is_the_same(self, tmp_path):
        for name in ("1/r-1.json", "2/r-2.json", "3/r-4.json"):
            (tmp_path / name).parent.mkdir()
            (tmp_path / name).write_text('{"x": 1.5}')
        assert pipeline.seeds_found(str(tmp_path), "{seed}/r-{seed}.json") == (1, 2)


def test_every_report_tells_of_the_seeds(lab):
    jsonschema = pytest.importorskip("jsonschema")
    lab.program("if seed == 2: value = float('nan')")
    audit = lab.study("4", reference=["rmse=7.5±0.6,n=10"], require="distribution-stable")
    text = as_json.render(audit)
    jsonschema.validate(json.loads(text), json.loads(shipped()))
    assert msgspec.json.decode(text, type=type(audit)) == audit
    for rendered in (terminal.render(audit, width=100), terminal.render(audit, width=40), markdown.render(audit)):
        flat = " ".join(rendered.split()).replace("\\", "")
        assert "4 seeds (1–4)" in flat
        assert "7.5 ± 0.6 (n = 10)" in flat
        assert "published rule" in flat
    assert terminal.render(audit, ascii_only=True).isascii()
    assert 'tests="3"' in junit.render(audit)
    assert "rmse" in junit.render(audit)


@pytest.mark.slow
def test_a_thousand_seeds_of_a_trivial_program(lab):
    lab.program()
    audit = lab.study("1000")
    assert lab.started() == list(range(1, 1001))
    assert rmse(audit).summary.n == 1000
    assert math.isclose(rmse(audit).summary.mean, 7.5, abs_tol=0.1)
