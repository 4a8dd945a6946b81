"""A project checked: its files found, read in as many processes as there are cores, mended where that is wanted."""

from __future__ import annotations

import difflib
import gc
import multiprocessing
import os
import re
import signal
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from auditor.records.check import CheckReport, Remark
from auditor.rulebook import checking, files, notebooks, rulebook
from auditor.rulebook.checking import Candidate, Reading
from auditor.rulebook.edits import apply
from auditor.rulebook.fixing import Editable, mend
from auditor.rulebook.settings import Configuration, Configurations, check_rules

# Fewer files are read sooner than another process has started.
_FEW = 64
_MOST_PROCESSES = 8
_LINE = re.compile(r"[^\n]*\n|[^\n]+")
_ALLOCATIONS = 100_000  # between two collections: trees are large, and hold no cycles


class Options(NamedTuple):
    """What is asked of a check.

    ``select`` and ``ignore`` name rules, over what the configuration says; ``fix`` is which flaws are mended, and
    ``write`` whether in the files or only to show how. ``processes`` is how many read, by default as many as pay.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    possible: bool = False
    fix: Literal["none", "safe", "unsafe"] = "none"
    write: bool = True
    processes: int | None = None


class Checked(NamedTuple):
    """What was found, and the unified diff of what was mended, or would be."""

    report: CheckReport
    diff: str


class Job(NamedTuple):
    """One file to read: where it is, its name in the report, and the rules that are asked (None: all)."""

    path: str
    name: str
    rules: frozenset[str] | None


def check(paths: Sequence[Path], here: Path, options: Options) -> Checked:
    """Check files and directories, their names taken relative to ``here``.

    Raises UsageError ``no-such-path``, ``unknown-rule``, ``bad-configuration`` and ``bad-rule``.
    """
    known = rulebook().keys()
    check_rules(options.select, known, "--select")
    check_rules(options.ignore, known, "--ignore")
    configurations = Configurations(known)

    def excluded(path: Path) -> bool:
        configuration = configurations.of(path.parent)
        return configuration is not None and configuration.excludes(path)

    found = files.find(paths, here, excluded)
    jobs = [Job(one.path, one.name, _asked(options, configurations.of(Path(one.path).parent))) for one in found]
    permits = _Permits(configurations, {job.name: job.path for job in jobs})
    facts: set[str] = set()
    readings = []
    for reading in _read_all(jobs, options.processes):
        facts |= reading.facts
        readings.append(permits.on(reading._replace(facts=frozenset())))
    diffs: list[str] = []
    fixed = 0
    if options.fix != "none":
        by_name = {job.name: job for job in jobs}
        for index, reading in enumerate(readings):
            fixable = reading._replace(candidates=tuple(one for one in reading.candidates if _wanted(one, options)))
            if any(checking.standing([fixable], facts)):
                mended = _mend(by_name[reading.path], facts, permits, options)
                diffs.append(mended.diff)
                if mended.reading is not None:
                    readings[index] = mended.reading
                    facts |= mended.reading.facts
                    fixed += mended.fixed
    everything = {Path(os.path.abspath(here / path)) for path in paths}
    unused = permits.unused(everything, here, [job.rules for job in jobs])
    report = checking.report(readings, possible=options.possible, fixed=fixed, facts=facts)
    return Checked(msgspec.structs.replace(report, remarks=report.remarks + unused), "".join(diffs))


def _asked(options: Options, configuration: Configuration | None) -> frozenset[str] | None:
    """The rules to ask of a file: what the command line selects, or else its configuration, less what is ignored."""
    selected: Iterable[str] | None = options.select or None
    ignored = set(options.ignore)
    if configuration is not None:
        selected = configuration.settings.select if selected is None else selected
        ignored |= set(configuration.settings.ignore)
    if selected is None and not ignored:
        return None
    return frozenset(rulebook() if selected is None else selected) - ignored


def read_file(job: Job) -> Reading:
    """Read one file of any kind; raises nothing for what it is or holds."""
    try:
        return read_text(job, files.load(job.path))
    except files.Refused as why:
        return _unread(job, str(why))


def read_text(job: Job, source: files.Source) -> Reading:
    """Read a file whose text is known."""
    if job.path.endswith(".ipynb"):
        try:
            cells = notebooks.read(source.plain)
        except notebooks.BadNotebook as why:
            return _unread(job, str(why))
        reading = checking.read(job.name, source.plain, cells, rules=job.rules)
        skipped = tuple(
            Remark("unread", "not read: what is in this cell cannot be parsed", job.name, cell=cell)
            for cell in cells.skipped
        )
        return reading._replace(remarks=reading.remarks + skipped)
    if files.is_read(os.path.basename(job.path)):
        beside = frozenset() if job.path.endswith(".py") else _listed(os.path.dirname(job.path))
    elif source.text.startswith("#!") and "python" in source.text.partition("\n")[0]:
        beside = frozenset()
    else:
        return _unread(job, "it is no Python, no notebook and no file that pins an environment")
    return checking.read(job.name, source.plain, None, beside, job.rules)


@lru_cache(maxsize=256)
def _listed(directory: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(directory))
    except OSError:
        return frozenset()


def _unread(job: Job, why: str) -> Reading:
    return Reading(job.name, (), frozenset(), (Remark("unread", f"not read: {why}", job.name),), 0)


# -- in processes ---------------------------------------------------------------------------------------------


def _read_all(jobs: Sequence[Job], processes: int | None) -> Iterator[Reading]:
    """The readings in the order of the jobs, the same for any number of processes."""
    count = _worthwhile(len(jobs)) if processes is None else processes
    if count <= 1:
        with _few_collections():
            yield from map(read_file, jobs)
        return
    done = 0
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _begin)
    try:
        # Small pieces, since files are of all sizes.
        for reading in pool.map(read_file, jobs, chunksize=max(1, min(16, len(jobs) // (4 * count)))):
            done += 1
            yield reading
    except BrokenProcessPool:
        # A process was ended from outside, most often for want of memory: one alone needs less.
        yield from map(read_file, jobs[done:])
    finally:
        pool.shutdown(cancel_futures=True)


def _worthwhile(count: int) -> int:
    return min(_cores(), _MOST_PROCESSES, count // _FEW + 1) if count > _FEW else 1


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _begin() -> None:
    """Begin a process that reads files: an interrupt is for the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    rulebook()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS, 20, 20)


@contextmanager
def _few_collections() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(_ALLOCATIONS, 20, 20)
    try:
        yield
    finally:
        gc.set_threshold(*before)


# -- what the configuration allows ------------------------------------------------------------------------------


class _Permits:
    """Which rules the configuration allows in which file, and which of its entries were used."""

    def __init__(self, configurations: Configurations, paths: dict[str, str]) -> None:
        self._configurations = configurations
        self._paths = paths
        self._used: set[tuple[Path, str, str]] = set()

    def on(self, reading: Reading) -> Reading:
        """The reading with what its file's configuration allows."""
        if not reading.candidates:
            return reading
        path = Path(self._paths[reading.path])
        configuration = self._configurations.of(path.parent)
        if configuration is None or not configuration.allowances:
            return reading
        allowances = configuration.allows(path)
        candidates = []
        for one in reading.candidates:
            patterns = [entry.pattern for entry in allowances if one.flaw.rule in entry.rules]
            self._used |= {(configuration.root, pattern, one.flaw.rule) for pattern in patterns}
            candidates.append(one._replace(allowed=True) if patterns else one)
        return reading._replace(candidates=tuple(candidates))

    def unused(self, checked: set[Path], here: Path, asked: Iterable[frozenset[str] | None]) -> tuple[Remark, ...]:
        """The entries that allow nothing, where all that they speak of was checked with all that they allow."""
        remarks = []
        rules = set(asked)
        for configuration in self._configurations.all():
            if not checked & {configuration.root, *configuration.root.parents}:
                continue
            for entry in configuration.allowances:
                for rule in entry.rules:
                    if (configuration.root, entry.pattern, rule) not in self._used and _read(rule, rules):
                        file = files.name_of(str(configuration.root / "pyproject.toml"), here)
                        what = f"allow {entry.pattern!r} = [{rule!r}] allows nothing"
                        remarks.append(Remark("unused-allowance", what, file))
        return tuple(remarks)


def _read(rule: str, asked: Iterable[frozenset[str] | None]) -> bool:
    """Whether a rule reads source, and was asked of every file."""
    check = rulebook()[rule]
    return (check.source or check.document) is not None and all(one is None or rule in one for one in asked)


# -- mending -----------------------------------------------------------------------------------------------------


class _Change(NamedTuple):
    """What mending a file came to: its new reading (None where nothing is written), flaws mended, and the diff."""

    reading: Reading | None
    fixed: int
    diff: str


def _wanted(candidate: Candidate, options: Options) -> bool:
    """Whether a flaw is to be mended: it is shown, and there is a fix of the kind that is asked for."""
    if candidate.allowed or candidate.flaw.fix is None:
        return False
    if candidate.flaw.confidence == "possible" and not options.possible:
        return False
    return candidate.flaw.fix == "safe" or options.fix == "unsafe"


def _mend(job: Job, facts: Collection[str], permits: _Permits, options: Options) -> _Change:
    try:
        source = files.load(job.path)
    except files.Refused as why:
        return _Change(_unread(job, str(why)), 0, "")
    reading = permits.on(read_text(job, source))
    mended = mend(source.text, reading, _editable(job, facts, permits), lambda one: _wanted(one, options))
    diff = _diff(job.name, source.text, mended.text)
    if not options.write:
        return _Change(None, 0, diff)
    problem = _write(job.path, source, mended.text) if mended.fixed else ""
    if problem:
        remark = Remark("unfixed", f"left as it was: {problem}", job.name)
        return _Change(reading._replace(remarks=(*reading.remarks, remark)), 0, "")
    remarks = mended.reading.remarks + mended.remarks
    return _Change(mended.reading._replace(remarks=remarks), mended.fixed, diff)


def _write(path: str, source: files.Source, text: str) -> str:
    """Write a mended text as the file was written; why not, or nothing."""
    try:
        if source.text.encode(source.encoding) != source.data:
            return f"its encoding ({source.encoding}) would write it in another way"
        files.replace(path, source.data, text.encode(source.encoding))
    except UnicodeEncodeError:
        return f"its encoding ({source.encoding}) cannot hold the fix"
    except files.Refused as why:
        return str(why)
    return ""


def _editable(job: Job, facts: Collection[str], permits: _Permits) -> Editable:
    def read(text: str) -> Reading:
        return permits.on(read_text(job, files.Source(b"", text, "utf-8")))

    def standing(reading: Reading) -> list[Candidate]:
        return list(checking.standing([reading], facts))

    if not job.path.endswith(".ipynb"):
        python = _nothing if files.is_document(job.path) else _itself
        return Editable(read, standing, python, apply)

    def cells(text: str) -> notebooks.Cells:
        return notebooks.read(files.Source(b"", text, "utf-8").plain)

    return Editable(
        read, standing, lambda text: cells(text).text, lambda text, edits: notebooks.edit(text, cells(text), edits)
    )


def _itself(text: str) -> str | None:
    return text


def _nothing(text: str) -> str | None:
    return None


def _diff(name: str, before: str, after: str) -> str:
    old, new = (_LINE.findall(text) for text in (before, after))
    lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
