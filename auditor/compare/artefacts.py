"""The files that runs wrote: aligned, told apart by kind, compared by what they hold."""

from __future__ import annotations

import lzma
import re
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from auditor.compare import checkpoints, events, names, results
from auditor.compare.results import Results
from auditor.compare.tensors import Unreadable
from auditor.records.comparison import ArtefactDifference
from auditor.records.config import Settings
from auditor.records.evidence import RunEvidence
from auditor.records.run import Artefact

_OPAQUE_SUFFIXES = frozenset(
    {
        ".onnx", ".ubj", ".h5", ".hdf5", ".keras", ".cbm", ".pb", ".tflite", ".gguf", ".ggml", ".msgpack", ".distcp",
        ".mlmodel", ".engine", ".plan", ".trt", ".pte", ".orbax", ".feather", ".parquet", ".arrow",
        ".mat", ".zarr", ".nc", ".skops", ".vec", ".dill", ".pdparams", ".params",
    }
)  # fmt: skip
# A text or nameless file that is called so is a model (LightGBM's model.txt), not a log.
_MODEL_WORDS = frozenset(
    {"model", "models", "weights", "checkpoint", "ckpt", "booster", "embeddings", "predictions", "preds"}
)
# What a file is called that tells how well a model does.
_RESULT_WORDS = frozenset(
    {"result", "results", "metric", "metrics", "score", "scores", "eval", "evaluation", "predictions", "preds"}
)
_RESULT_SUFFIXES = frozenset(
    {
        ".txt", ".yaml", ".yml", ".toml", ".xml", ".md", ".rst", ".tex", ".html", ".dat", ".db", ".sqlite", ".sqlite3",
        ".xlsx", ".ods", ".zip", ".tar", "",
    }
)  # fmt: skip
_PACKINGS = frozenset({".gz", ".bz2", ".xz"})
_SEALED = frozenset({".zst", ".lz4", ".br", ".7z", ".lzma"})  # packed so that the standard library cannot open it
_LOG_SUFFIXES = frozenset({".log", ".out", ".err", ".txt", ".md", ".html"})
_UNPACKED = 1 << 30
_COLUMN_SUFFIXES = frozenset({".txt", ".dat", ".out", ""})
_SNIFFED = 1 << 25
IGNORED = "ignored by the user"


@dataclass(frozen=True)
class Pair:
    """The same file of two runs; None where it is in one of them only.

    ``guess`` is set where only guesswork says that the two are the same: a difference between them proves nothing.
    """

    first: Artefact | None
    second: Artefact | None
    guess: bool = False

    @property
    def path(self) -> str:
        """The name under which the pair is spoken of: the path, what varies in it replaced by ``*``."""
        one, two = self.first, self.second
        if one is None or two is None:
            return (one or two).path if one or two else ""  # type: ignore[union-attr]  # one of the two is there
        return one.path if one.path == two.path else names.normalised(one.path)


def align(first: Sequence[Artefact], second: Sequence[Artefact]) -> tuple[Pair, ...]:
    """Pair the files of two runs: by path, by path without dates, without random identifiers too, then by guess.

    Where several have the same name after that, they are paired in the order of their full paths.
    """
    ours = {artefact.path: artefact for artefact in first}
    theirs = {artefact.path: artefact for artefact in second}
    pairs = [Pair(ours[path], theirs[path]) for path in ours if path in theirs]
    left = sorted((a for a in first if a.path not in theirs), key=lambda artefact: artefact.path)
    right = sorted((b for b in second if b.path not in ours), key=lambda artefact: artefact.path)
    for rule in (names.dated, names.normalised, names.guessed):
        groups: dict[str, tuple[list[Artefact], list[Artefact]]] = defaultdict(lambda: ([], []))
        for artefact in left:
            groups[rule(artefact.path)][0].append(artefact)
        for artefact in right:
            groups[rule(artefact.path)][1].append(artefact)
        left, right = [], []
        for name, (one, two) in groups.items():
            if "*" not in name or not one or not two or (rule is names.guessed and len(one) != len(two)):
                left.extend(one)
                right.extend(two)
                continue
            count = min(len(one), len(two))
            # Several dates come in their order, several random names in none.
            unsure = rule is names.guessed or (rule is names.normalised and max(len(one), len(two)) > 1)
            unsure = unsure or len(one) != len(two)
            pairs.extend(Pair(a, b, unsure) for a, b in zip(one[:count], two[:count], strict=True))
            left.extend(one[count:])
            right.extend(two[count:])
    pairs.extend(Pair(artefact, None) for artefact in left)
    pairs.extend(Pair(None, artefact) for artefact in right)
    return tuple(sorted(pairs, key=lambda pair: (pair.first or pair.second).path))  # type: ignore[union-attr]  # one is there


def _packing(path: str) -> tuple[PurePosixPath, str]:
    """Return a file's name as it is when unpacked, and the suffix that says how it is packed, or an empty string."""
    name = PurePosixPath(path)
    suffix = name.suffix.lower()
    return (name.with_suffix(""), suffix) if suffix in _PACKINGS | _SEALED else (name, "")


def _reader(path: str, file: Path) -> Callable[[Path], Results] | None:
    """Return how a file's numbers are read; None for a file that is not made of numbers."""
    if events.is_events(path):
        return events.read_events
    name, packing = _packing(path)
    suffix = name.suffix.lower()
    if packing in _SEALED:
        return None
    if suffix in (".jsonl", ".ndjson"):
        return lambda one: results.parse_json_lines(results.read_text(one, packing))
    if suffix == ".json":
        return lambda one: results.parse_json(results.read_text(one, packing))
    if suffix in results.TABLE_SUFFIXES:
        return lambda one: results.parse_table(results.read_text(one, packing), "\t" if suffix == ".tsv" else None)
    if suffix in _COLUMN_SUFFIXES and _is_columns(file, packing):
        return lambda one: results.parse_columns(results.read_text(one, packing))
    return None


def _is_columns(file: Path, packing: str) -> bool:
    try:
        with results.open_packed(file, packing) as stream:
            head = stream.read(256)
            if not head or any(byte < 9 for byte in head) or not any(48 <= byte <= 57 for byte in head):
                return False
        return file.stat().st_size <= _SNIFFED and results.is_columns(results.read_text(file, packing))
    except (OSError, EOFError, lzma.LZMAError, zlib.error, Unreadable):
        return False


def kind_of(path: str, file: Path) -> str:
    """Return ``tensors``, ``numbers``, ``opaque`` (a model that cannot be read) or ``log`` (everything else)."""
    name, packing = _packing(path)
    suffix = name.suffix.lower()
    if _reader(path, file) is not None:
        return "numbers"
    if suffix in checkpoints.TENSOR_SUFFIXES or checkpoints.is_checkpoint(file):
        return "tensors"
    if suffix in _OPAQUE_SUFFIXES:
        return "opaque"
    if suffix in (".txt", ".dat", ".raw", "") and _MODEL_WORDS & set(names.words(name.stem)):
        return "opaque"
    # Nobody packs what does not matter, except logs.
    return "opaque" if packing and suffix not in _LOG_SUFFIXES else "log"


@dataclass(frozen=True)
class FileComparison:
    """One file of two runs: the outcome and what its numbers are in each run (result files only).

    ``quantity`` names the first tensor that differs. ``gap`` says what is missing or undecided, or is empty;
    ``metric_gap`` whether it is numbers that are.
    """

    artefact: ArtefactDifference
    numbers: tuple[Results, Results] | None = None
    quantity: str = ""
    gap: str = ""
    metric_gap: bool = False


def _file(evidence: RunEvidence, artefact: Artefact) -> Path:
    """Return where the file lies. Raises Unreadable where it is gone, damaged or outside the evidence."""
    relative = PurePosixPath(artefact.path)
    if relative.is_absolute() or ".." in relative.parts:
        raise Unreadable("its path leads out of the evidence directory")
    path = evidence.artefacts_root / relative
    try:
        if path.is_symlink() or not path.is_file():
            raise Unreadable("it is missing from the evidence directory")
        if path.stat().st_size != artefact.size:
            raise Unreadable("its size is not the one recorded: the evidence directory is damaged")
    except OSError as error:
        raise Unreadable(f"it cannot be opened ({error.strerror})") from error
    return path


def _hashed_only(evidence: RunEvidence, artefact: Artefact) -> bool:
    return any(entry.startswith(f"{artefact.path}: ") for entry in evidence.run.unsaved)


def compare_file(first: RunEvidence, other: RunEvidence, pair: Pair, settings: Settings) -> FileComparison:
    """Compare one file of two runs by what it holds."""
    runs = (first.run.number, other.run.number)
    decided = names.matches(settings.decide, pair.path)
    ignored = names.matches(settings.ignore, pair.path) and not decided
    if pair.first is None or pair.second is None:
        return _alone(first, other, pair, ignored, decided)
    equal = (pair.first.sha256, pair.first.size) == (pair.second.sha256, pair.second.size)
    if _hashed_only(first, pair.first) or _hashed_only(other, pair.second):
        if equal or ignored:
            outcome = "identical" if equal else "volatile"
            return FileComparison(ArtefactDifference(pair.path, "opaque", outcome, "only its hash was kept"))
        return _undecided(pair, "opaque", "its hash differs, and nothing but the hash was kept", metric=True)
    try:
        one, two = _file(first, pair.first), _file(other, pair.second)
    except Unreadable as error:
        artefact = ArtefactDifference(pair.path, "log", "undecided", f"{error}")
        return FileComparison(artefact, gap=f"{pair.path}: {error}", metric_gap=True)
    kind = kind_of(pair.path, one)
    if ignored:
        artefact = ArtefactDifference(pair.path, kind, "identical" if equal else "volatile", IGNORED)
        if kind != "numbers":
            return FileComparison(artefact)
        # A metric may be declared in it all the same.
        return FileComparison(artefact, _numbers(pair, one, two, equal, runs, False).numbers)
    match kind:
        case "numbers":
            return _numbers(pair, one, two, equal, runs, decided)
        case "tensors":
            return _tensors(pair, one, two, equal, settings, decided)
    if equal:
        return FileComparison(
            ArtefactDifference(pair.path, "opaque" if decided else kind, "identical", "", int(decided))
        )
    if decided:
        detail = "its bytes differ, and the user said that they decide"
        return FileComparison(ArtefactDifference(pair.path, "opaque", "differs", detail, 1), quantity="its bytes")
    if kind == "opaque":
        if _same_unpacked(pair.path, one, two):
            return FileComparison(ArtefactDifference(pair.path, kind, "identical", "the same, packed otherwise"))
        return _undecided(pair, kind, "its bytes differ, and its format cannot be read")
    if _tells_results(pair.path) and not _same_but_for_time(one, two):
        why = "it differs, is named like results, and its format is not read (JSON and CSV are)"
        return _undecided(pair, kind, why, metric=True)
    return FileComparison(ArtefactDifference(pair.path, kind, "volatile", "a log, or of no format that holds results"))


def _same_unpacked(path: str, one: Path, two: Path) -> bool:
    """Whether two packed files hold the same: gzip writes the time into what it packs."""
    _, packing = _packing(path)
    if packing not in _PACKINGS:
        return False
    read = 0
    try:
        with results.open_packed(one, packing) as left, results.open_packed(two, packing) as right:
            while read < _UNPACKED:
                a, b = left.read(1 << 20), right.read(1 << 20)
                if a != b:
                    return False
                if not a:
                    return True
                read += len(a)
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        return False
    return False


def _tells_results(path: str) -> bool:
    name, _ = _packing(path)
    return name.suffix.lower() in _RESULT_SUFFIXES and bool(_RESULT_WORDS & set(names.words(name.stem)))


def _same_but_for_time(one: Path, two: Path) -> bool:
    """Whether two texts differ in nothing but dates, clock times and what a line calls by a volatile name."""
    try:
        ours, theirs = results.read_text(one).splitlines(), results.read_text(two).splitlines()
    except Unreadable:
        return False
    if len(ours) != len(theirs):
        return False
    for a, b in zip(ours, theirs, strict=True):
        if a == b or names.CLOCK.sub("*", names.dated(a)) == names.CLOCK.sub("*", names.dated(b)):
            continue
        key = re.split(r"[:=]", a, maxsplit=1)[0].strip()
        if key != re.split(r"[:=]", b, maxsplit=1)[0].strip() or not names.volatile_reason(key):
            return False
    return True


def _undecided(pair: Pair, kind: str, why: str, metric: bool = False) -> FileComparison:
    return FileComparison(
        ArtefactDifference(pair.path, kind, "undecided", why), gap=f"{pair.path}: {why}", metric_gap=metric
    )


def _alone(first: RunEvidence, other: RunEvidence, pair: Pair, ignored: bool, decided: bool) -> FileComparison:
    evidence = first if pair.first is not None else other
    present = pair.first or pair.second
    assert present is not None
    detail = f"in run {evidence.run.number} only"
    try:
        kind = kind_of(present.path, _file(evidence, present))
    except Unreadable:
        kind = "log"
    artefact = ArtefactDifference(present.path, kind, "missing", detail + (f", {IGNORED}" if ignored else ""))
    if ignored or (kind == "log" and not decided):
        return FileComparison(artefact)
    return FileComparison(artefact, gap=f"{present.path}: {detail}", metric_gap=kind == "numbers")


def read_results(evidence: RunEvidence, artefact: Artefact) -> Results | None:
    """The numbers of a file that a run wrote; None where it is not made of numbers. Raises Unreadable."""
    if _hashed_only(evidence, artefact):
        raise Unreadable("only its hash was kept")
    path = _file(evidence, artefact)
    reader = _reader(artefact.path, path)
    return reader(path) if reader is not None else None


def _numbers(pair: Pair, one: Path, two: Path, equal: bool, runs: tuple[int, int], decided: bool) -> FileComparison:
    """Read the numbers of both; whether they differ is for the metrics to say."""
    read = []
    problem = ""
    for number, path, artefact in ((runs[0], one, pair.first), (runs[1], two, pair.second)):
        reader = _reader(artefact.path if artefact else pair.path, path)
        try:
            found = reader(path) if reader else Results(problem="it is not made of numbers as in the other run")
        except (Unreadable, ValueError) as error:
            found = Results(problem=str(error))
        if found.problem and not problem:
            problem = f"it cannot be read in run {number}: {found.problem}"
        read.append(found)
    if problem:
        if equal:
            return FileComparison(ArtefactDifference(pair.path, "numbers", "identical", problem))
        if decided:
            artefact_ = ArtefactDifference(pair.path, "numbers", "differs", problem)
            return FileComparison(artefact_, quantity="its bytes")
        return _undecided(pair, "numbers", problem, metric=True)
    return FileComparison(
        ArtefactDifference(pair.path, "numbers", "identical" if equal else "differs", ""), (read[0], read[1])
    )


def _tensors(pair: Pair, one: Path, two: Path, equal: bool, settings: Settings, decided: bool) -> FileComparison:
    def volatile(name: str) -> str:
        full = f"{pair.path}:{name}"
        if names.matches(settings.decide, full, name):
            return ""
        if names.matches(settings.ignore, full, name):
            return IGNORED
        return names.volatile_reason(name)

    if equal:
        try:
            count = sum(checkpoints.is_result(name) for name in checkpoints.read(one).tensors)
        except Unreadable as error:
            return FileComparison(ArtefactDifference(pair.path, "tensors", "identical", f"not opened: {error}"))
        return FileComparison(ArtefactDifference(pair.path, "tensors", "identical", _counted(count), count))
    try:
        found = checkpoints.compare(
            one, two, volatile, lambda name: names.matches(settings.ignore, f"{pair.path}:{name}", name)
        )
    except Unreadable as error:
        if decided:
            artefact = ArtefactDifference(pair.path, "tensors", "differs", f"its bytes differ; not opened: {error}")
            return FileComparison(artefact, quantity="its bytes")
        if _same_unpacked(pair.path, one, two):
            return FileComparison(ArtefactDifference(pair.path, "tensors", "identical", "the same, packed otherwise"))
        return _undecided(pair, "tensors", f"its bytes differ, and it cannot be read: {error}")
    said = [_counted(found.tensors)]
    if found.volatile:
        said.append("volatile: " + ", ".join(found.volatile[:20]) + (" …" if len(found.volatile) > 20 else ""))
    if found.words:
        said.append(f"{found.words} text{' differs' if found.words == 1 else 's differ'}")
    if found.first:
        said.insert(
            0,
            f"{found.differing} value{' differs' if found.differing == 1 else 's differ'}, the first {found.first}"
            + (f" ({found.reason})" if found.reason else ""),
        )
        if pair.guess:
            return _undecided(pair, "tensors", "it may not be the same file in both runs: its name varies; " + said[0])
    elif found.opaque:
        return _undecided(pair, "tensors", f"{found.opaque[0]} in it differs, and what it means cannot be read")
    outcome = "differs" if found.first else "volatile" if found.volatile or found.words else "identical"
    artefact = ArtefactDifference(
        pair.path, "tensors", outcome, "; ".join(said), found.tensors, found.max_abs_difference if found.first else None
    )
    return FileComparison(artefact, quantity=found.first)


def _counted(count: int) -> str:
    return f"{count} tensor{'' if count == 1 else 's'}" if count else "no tensor in it: no evidence"
