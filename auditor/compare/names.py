"""Names: which ones speak of time or identity rather than results, and which parts of a path vary from run to run."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

# What a quantity is called when it measures the machine or the moment rather than the model.
_VOLATILE = frozenset(
    {
        "time", "timestamp", "timestamps", "seconds", "secs", "sec", "ms", "millis", "milliseconds", "msec",
        "duration", "elapsed", "runtime", "walltime", "wallclock", "date", "datetime", "throughput", "fps",
        "eta", "pid", "ppid", "uuid", "guid", "host", "hostname", "port", "latency", "speed", "rss", "wall",
        "clock", "mtime", "ctime", "created", "modified", "took", "dur", "maxrss", "loadavg",
    }
)  # fmt: skip
# Endings that say how such a quantity was summed up or in what unit it is given.
_SUMMARIES = frozenset(
    {
        "mean", "avg", "average", "std", "min", "max", "median", "total", "sum", "last", "p50", "p90", "p95",
        "p99", "s", "ns", "us", "h", "hours", "minutes", "hour", "minute", "at",
    }
)  # fmt: skip
# Groups whose members all are of that kind, whatever their own names.
_VOLATILE_GROUPS = frozenset(
    {
        "timing", "timings", "timer", "timers", "elapsed", "duration", "durations", "runtime", "walltime",
        "profile", "profiler",
    }
)  # fmt: skip
# Times that a model may be about: a number named so is taken for a result.
_MODELLED = frozenset(
    {
        "survival", "lead", "failure", "event", "arrival", "travel", "death", "decay", "recovery", "retention",
        "reaction", "relaxation", "relapse", "hitting", "mixing", "dwell", "flight", "predicted", "life", "lifetime",
        "censoring",
    }
)  # fmt: skip
_TIMES = frozenset(
    {"time", "times", "seconds", "secs", "sec", "ms", "msec", "millis", "milliseconds", "minutes", "hours", "duration"}
)
_TAKEN = frozenset({"taken", "spent", "used", "needed"})
_ONES = (
    "it|its|iter|iters|iteration|batch|step|epoch|sample|img|image|token|frame|example|episode|update|item|call|query|"
    "request|fold|trial|run|forward|backward"
)
_TIME_PER = re.compile(rf"(?:^|[\W_])(?:ns|us|ms|msec|s|sec|secs|seconds?)(?:/|_?per_?)(?:{_ONES})$", re.IGNORECASE)
_PER_S = re.compile(r"(?:^|[\W_])(?:its?|iters?|steps|samples|imgs?|images|tokens|tok|examples|batches|frames)_s$")
# A moment is told by what was done then; words that a result could have as well (``stopped_at`` an epoch) are not here.
_DONE = frozenset(
    {
        "saved", "started", "finished", "completed", "generated", "exported", "launched", "written", "uploaded",
        "logged", "created", "modified",
    }
)  # fmt: skip
_EXECUTED = frozenset({"run", "job", "process", "session", "slurm"})
_RUNS = _EXECUTED | {"experiment", "wandb", "mlflow"}
_CALLED = frozenset({"name", "id", "key", "tag", "dir", "directory", "path", "url", "slug", "folder"})
# A text of such a name stands for contents: it looks random, and is another one where they are.
_DIGESTS = frozenset({"hash", "digest", "checksum", "sha", "md", "crc", "fingerprint"})
# A text of such a name is what came out, whatever it looks like: a date may be forecast, and a token be generated.
_OUTCOMES = frozenset(
    {"predicted", "prediction", "predictions", "pred", "preds", "forecast", "forecasts", "score", "scores", "answer"}
)
_MEMORY = frozenset({"memory", "mem", "rss", "maxrss", "vms", "vram", "ram"})
_MEMORY_UNITS = frozenset(
    {"b", "bytes", "kb", "mb", "gb", "kib", "mib", "gib", "used", "usage", "allocated", "reserved"}
)
_MACHINE = frozenset({"cpu", "gpu", "cuda", "ram", "vram", "disk", "memory", "mem"})
_LOADS = frozenset(
    {
        "percent", "pct", "util", "utilization", "utilisation", "usage", "load", "used", "free", "temp", "temperature",
        "power", "available",
    }
)  # fmt: skip
_PER_TIME = re.compile(r"(?:per[_\W]?|/)(?:s|sec|secs|second|seconds|min|minute|h|hour)$", re.IGNORECASE)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")

# Files that repeat what the program was given: equal numbers in them are no evidence about its results.
_ECHO_STEMS = frozenset(
    {
        "config", "configs", "configuration", "args", "arguments", "hparams", "hyperparameters", "params",
        "settings", "options", "manifest", "package", "metadata", "tokenizer", "vocab", "special",
    }
)  # fmt: skip

_DATE = r"(?:19|20)\d{2}[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"
_STAMP = rf"{_DATE}(?:[-_T@. ]*[0-2]\d[-_:.h]?[0-5]\d(?:[-_:.m]?[0-5]\d(?:[-_]\d{{6}}(?!\d))?)?)?(?:[.,]\d+)?Z?"
_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?"
    r"|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)"
)
_MONTH_STAMP = rf"{_MONTH}[-_ ]?\d{{1,2}}(?:[-_ ]\d{{2}}[-_:]\d{{2}}[-_:]\d{{2}})?(?:[-_ ]\d{{4}})?"
# An epoch, from 2014 to 2033, in seconds to nanoseconds. Other long numbers count something, and behind a decimal point
# are the digits of a number.
_EPOCH = r"(?<!\d)(?<!\d\.)1[4-9]\d{8}(?:\d{3}){0,3}(?:\.\d+)?(?!\d)"
_DATED = re.compile(rf"(?<=events\.out\.tfevents\.)\S+|(?<!\d){_STAMP}(?!\d)|{_MONTH_STAMP}|{_EPOCH}")
# Not "top5:75.2": a time of day or a duration stands by itself.
CLOCK = re.compile(r"(?<![\w.@])\d{1,2}:[0-5]\d(?::[0-5]\d(?:[.,]\d+)?)?(?!\d|\.\d)")
# Nor is the end of 1.2345678e-05 a token.
_RANDOM = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"
    r"|(?<![0-9a-zA-Z])(?!\d+e[-+]\d)(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{7,}(?![0-9a-zA-Z])"
)
_GUESSED = re.compile(
    r"(?<=tmp)[a-z0-9_]{8}"
    r"|(?<![0-9a-zA-Z])(?=[0-9a-z]*\d)(?=[0-9a-z]*[a-z])[0-9a-z]{8}(?![0-9a-zA-Z])"
    r"|(?<!\d)\d{2}[-_:h]\d{2}[-_:m]\d{2}(?!\d)"
    r"|(?<!\d)\d{4,}(?!\d)"
)
_PLACE = re.compile(r"(?:\w+:/)?/|~|[A-Za-z]:\\")
_COUNTED = re.compile(r"(?:checkpoint|ckpt|step|epoch|iter|iteration|round|trial|fold)s?[-_=]?\d+", re.IGNORECASE)


def words(name: str) -> list[str]:
    """Return the words of a name in lower case, split at punctuation and camelCase."""
    return [word.lower() for word in _WORDS.findall(name)]


def volatile_reason(leaf: str) -> str:
    """Say why a differing number of this name (dotted path) would be taken for volatile, or return an empty string.

    Judged by the name alone, so it must only ever be asked about numbers that differ, and its answer be shown.
    """
    if _PER_TIME.search(leaf):
        return f"its name ({leaf}) says that it is a rate over time"
    if _TIME_PER.search(leaf) or _PER_S.search(leaf):
        return f"its name ({leaf}) says that it is a time per unit, or a rate over time"
    parts = [part for part in re.split(r"[./]", leaf) if not part.isdigit()]
    if not parts:
        return ""
    if _tells_machine([word for word in words(parts[-1]) if not word.isdigit()]):
        return f"its name ({leaf}) says that it tells of the machine or the moment"
    if _MODELLED & set(words(leaf)):
        return ""
    for part in parts[:-1]:
        found = words(part)
        if found and found[-1] in _VOLATILE_GROUPS | {"time", "times", "timestamp", "timestamps"}:
            return f"its name ({leaf}) says that it measures time or the machine"
    tail = [word for word in words(parts[-1]) if not word.isdigit()]
    while len(tail) > 1 and tail[-1] in _SUMMARIES:
        tail.pop()
    if len(parts) > 1 and tail and tail[-1] in _SUMMARIES:
        tail = words(parts[-2])
    if tail and (tail[-1] in _VOLATILE or (tail[-1].endswith("s") and tail[-1][:-1] in _VOLATILE)):
        return f"its name ({leaf}) says that it measures time or the machine"
    return ""


def _tells_machine(found: Sequence[str]) -> bool:
    """Whether the words of a name, all together, say so; any other word at its end makes it a result again."""
    if not found:
        return False
    before, last = found[:-1], found[-1]
    if tuple(found) in (("ts",), ("started",), ("load", "avg"), ("load", "average")):
        return True
    if last == "at" and before and before[-1] in _DONE:
        return True
    if last == "id" and before and before[-1] in _EXECUTED:
        return True
    if last in _LOADS and before and before[0] in _MACHINE and set(before) <= _MACHINE | _SUMMARIES | {"peak"}:
        return True
    if last == "c" and len(before) > 1 and before[-1] in ("temp", "temperature") and before[0] in _MACHINE:
        return True
    for index, word in enumerate(found):
        rest = found[index + 1 :]
        if word in _TIMES and not _MODELLED & set(found):
            if len(rest) == 1 and rest[0] in _TAKEN:
                return True
            if len(rest) == 2 and rest[0] == "per" and rest[1] in _ONES.split("|"):
                return True
        if (
            word in _MEMORY
            and rest
            and set(rest) <= _MEMORY_UNITS | _SUMMARIES | {"peak"}
            and _MEMORY_UNITS & set(rest)
        ):
            return True
    return last in _MEMORY and bool({"peak", "cpu", "gpu", "cuda"} & set(before))


def matches(patterns: Sequence[str], *names: str) -> bool:
    """Whether any shell pattern fits any of the names."""
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)


def path_matches(path: str, pattern: str) -> bool:
    """Whether a shell pattern fits a path, whole or counted from its end (``results.json`` fits ``a/results.json``)."""
    return fnmatchcase(path, pattern) or PurePosixPath(path).match(pattern)


def dated(path: str) -> str:
    """Return the path with dates, epochs and what follows them in an event file's name replaced by ``*``."""
    return _DATED.sub("*", path)


def normalised(path: str) -> str:
    """Return the path with dates, epochs, UUIDs and hexadecimal tokens replaced by ``*``."""
    return dated(_RANDOM.sub("*", path))


def guessed(path: str) -> str:
    """Return the path with everything replaced by ``*`` that could be a process id, a clock time or a random token."""
    return _GUESSED.sub("*", normalised(path))


def text_varies(leaf: str, one: str, two: str) -> bool:
    """Whether two texts of this name (dotted path) differ in nothing but what varies from run to run.

    That is what the run itself is called or where it lies, and in any other text moments, random tokens and temporary
    places; a digest stands for what it was taken of, and neither it nor what came out ever varies by itself.
    """
    found = {word for word in words(leaf.rpartition(".")[2]) if not word.isdigit()}
    if found & _RUNS and found <= _RUNS | _CALLED:
        return True
    return not found & (_DIGESTS | _OUTCOMES) and _unvaried(one) == _unvaried(two)


def _unvaried(text: str) -> str:
    # A temporary place is told in full. What stands behind a slash elsewhere may be a count (8123/10000) or a choice.
    if not _PLACE.match(text) or re.search(r"\s", text):
        return CLOCK.sub("*", normalised(text))
    # Which of a run's checkpoints is meant is a choice too.
    return CLOCK.sub("*", guessed(text)) + " ".join(_COUNTED.findall(text))


def echoes_input(path: str) -> bool:
    """Whether a file by its name repeats the program's configuration rather than its results."""
    found = words(PurePosixPath(path).name.split(".")[0])
    return bool(found) and (found[-1] in _ECHO_STEMS or found[0] in _ECHO_STEMS)
