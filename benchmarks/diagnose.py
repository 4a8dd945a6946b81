"""How well the planted causes are diagnosed: rank, line, proof, and what it costs beside the audit's own runs."""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from measure import ROOT, machine

HEADER = "| program | cause | rank | line | proven | runs | seconds | × audit |\n|---|---|---:|---|---|---:|---:|---:|"


@dataclass(frozen=True)
class Found:
    """What became of one expected cause; ``rank`` counts from 1, None where it was not found at all.

    ``among`` is how many causes were planted together: a rank up to that is right. ``line`` is whether the best found
    one of the right rule is at a right line.
    """

    rule: str
    rank: int | None
    among: int
    line: bool
    proven: bool
    provable: bool


@dataclass(frozen=True)
class Result:
    """One audit with its diagnosis.

    ``seconds`` and ``runs`` are those of the diagnosis, ``own`` the seconds of the audit's own runs, ``wall`` the whole
    command. ``accused`` are causes that were proven and are none. ``outcome`` is the verdict on bit-exactness.
    """

    name: str
    outcome: str
    found: tuple[Found, ...]
    accused: tuple[str, ...]
    runs: int
    seconds: float
    own: float
    wall: float
    problem: str = ""

    @property
    def ratio(self) -> float | None:
        """The diagnosis's seconds over those of the audit's own runs."""
        return self.seconds / self.own if self.own and self.runs else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these programs, by directory")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=1, help="audits at a time (default 1)")
    parser.add_argument("--clean", action="store_true", help="the clean twins too, of which nothing may be proven")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every figure there")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the evidence of each audit there")
    arguments = parser.parse_args()

    planted = _planted_programs()
    chosen, skipped = [], []
    for case in planted.CASES:
        diverging = case.expected.verdict in planted.DIVERGING
        clean = case.twin == "clean" and arguments.clean and case.other.verdict in planted.DIVERGING
        if not (diverging or clean) or (arguments.only and case.cause not in arguments.only):
            continue
        (chosen if all(planted._is_there(need) for need in case.needs) else skipped).append(case)
    if unknown := set(arguments.only) - {case.cause for case in planted.CASES}:
        parser.error(f"no such program: {', '.join(sorted(unknown))}")

    print(f"{machine()}; {len(chosen)} audits, {arguments.jobs} at a time\n\n{HEADER}", flush=True)
    results: list[Result] = []
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for result in pool.map(lambda case: measure(planted, case, arguments.keep), chosen):
            results.append(result)
            print("\n".join(rows(result)), flush=True)
            if arguments.json is not None:
                arguments.json.write_text(json.dumps([asdict(one) for one in results], indent=1))
    print("\n" + "\n".join(totals(results)))
    if skipped:
        print(f"- left out, for want of what they need: {', '.join(case.id for case in skipped)}")


def _planted_programs() -> Any:
    """The loader of the planted programs, which the tests share with it."""
    spec = importlib.util.spec_from_file_location("planted_programs", ROOT / "tests" / "planted" / "conftest.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def measure(planted: Any, case: Any, keep: Path | None) -> Result:
    """Audit one program with its diagnosis, and hold what was found against what was planted."""
    place = Path(tempfile.mkdtemp(prefix="diagnose-"))
    began = time.perf_counter()
    try:
        audited = planted.run_audit(case, place, diagnose=True)
        wall = time.perf_counter() - began
        if not (audited.evidence / "audit.json").exists():
            return Result(case.id, "failed", (), (), 0, 0.0, 0.0, wall, (audited.errors or audited.output)[-2000:])
        audit = audited.audit
        if keep is not None:
            shutil.copytree(audited.evidence, keep / case.id, dirs_exist_ok=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)
    diagnosis = audit["diagnosis"] or {"runs": 0, "seconds": 0.0}
    expected = case.expected.causes
    causes = audit["causes"]
    return Result(
        case.id,
        audit["levels"]["bit-exact"]["verdict"],
        tuple(_found(cause, causes, len(expected), case.directory) for cause in expected),
        tuple(
            f"{one['rule']} at {_place(one)}"
            for one in causes
            if one["confidence"] == "proven" and not any(_is(one, cause, case.directory) for cause in expected)
        ),
        diagnosis["runs"],
        diagnosis["seconds"],
        sum(run["seconds"] for run in audit["runs"]),
        wall,
    )


def _place(one: dict[str, Any]) -> tuple[str, int] | None:
    return None if one["location"] is None else (one["location"]["file"], one["location"]["line"])


def _is(one: dict[str, Any], cause: Any, directory: Path) -> bool:
    return one["rule"] in cause.rules and _place(one) in cause.lines(directory)


def _found(cause: Any, causes: Sequence[dict[str, Any]], among: int, directory: Path) -> Found:
    exact = [(rank, one) for rank, one in enumerate(causes, start=1) if _is(one, cause, directory)]
    alike = [(rank, one) for rank, one in enumerate(causes, start=1) if one["rule"] in cause.rules]
    rank, one = (exact or alike or [(None, None)])[0]
    proven = one is not None and one["confidence"] == "proven"
    return Found(cause.rules[0], rank, among, bool(exact), proven, cause.proven)


def rows(result: Result) -> list[str]:
    """The table's rows: one for each planted cause, the figures of the run on the first."""
    ratio = "–" if result.ratio is None else f"{result.ratio:.1f}"
    figures = f"{result.runs} | {result.seconds:.1f} | {ratio} |"
    if not result.found:
        told = "accused: " + "; ".join(result.accused) if result.accused else "nothing proven"
        what = result.problem.strip().splitlines()[-1] if result.problem.strip() else f"{result.outcome}, {told}"
        return [f"| {result.name} | {what} | – | – | – | {figures}"]
    if result.outcome != "not-reached":
        return [f"| {result.name} | ({result.outcome}: its runs agreed this time) | – | – | – | {figures}"]
    lines = []
    for index, one in enumerate(result.found):
        proof = "yes" if one.proven else "NO" if one.provable else "not provable"
        rank = "NOT FOUND" if one.rank is None else one.rank
        told = f"{one.rule} | {rank} | {'yes' if one.line else 'NO'} | {proof}"
        lines.append(f"| {result.name if not index else ''} | {told} | {figures if not index else '| | |'}")
    if result.accused:
        lines.append(f"| | ACCUSED: {'; '.join(result.accused)} | | | | | | |")
    return lines


def totals(results: Sequence[Result]) -> list[str]:
    """What the table comes to; programs whose runs agreed by luck are told and not counted."""
    counted = [one for one in results if one.found and one.outcome == "not-reached"]
    causes = [cause for one in counted for cause in one.found]
    first = sum(cause.rank is not None and cause.rank <= cause.among for cause in causes)
    lines = sum(cause.rank is not None and cause.rank <= cause.among and cause.line for cause in causes)
    provable = [cause for cause in causes if cause.provable]
    proven = sum(cause.proven and cause.line for cause in provable)
    ratios = sorted(one.ratio for one in counted if one.ratio is not None)
    clean = [one for one in results if not one.found]
    lucky = [one.name for one in results if one.found and one.outcome != "not-reached"]
    told = [
        f"- {len(causes)} causes in {len(counted)} programs",
        f"- right cause first: {_share(first, len(causes))}; and at the right line: {_share(lines, len(causes))}",
        f"- proven, of those that an intervention can settle: {_share(proven, len(provable))}; "
        f"of all: {_share(proven, len(causes))}",
        f"- proven though not planted: {sum(len(one.accused) for one in counted)}",
        f"- proven in programs without a cause to find: {sum(len(one.accused) for one in clean)} in {len(clean)}",
    ]
    if ratios:
        told.append(
            f"- seconds of the diagnosis over those of the audit's own runs: median {statistics.median(ratios):.2f}, "
            f"from {ratios[0]:.2f} to {ratios[-1]:.2f}"
        )
    if lucky:
        told.append(f"- not counted, since their runs agreed this time: {', '.join(lucky)}")
    return told


def _share(part: int, whole: int) -> str:
    return f"{part} of {whole} ({100 * part / whole:.0f} %)" if whole else "none"


if __name__ == "__main__":
    main()
