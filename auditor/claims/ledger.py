"""The ledger: TOML in, typed claims out, or an error that says what is wrong with it."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from auditor.claims import patterns
from auditor.errors import UsageError
from auditor.records.claims import AgreementClaim, FriedmanClaim, Ledger, OrderClaim, PostHocClaim, Source, ValueClaim

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_MAX_BYTES = 4 << 20
_NUMBERS = frozenset(
    {"mean", "std", "sem", "two_sem", "scale", "alpha", "mean_rank", "p_below", "p", "statistic", "w", "w_above", "cd"}
)
_PROBABILITIES = frozenset({"alpha", "p_below", "p", "w", "w_above"})
_REMEDY = "mend the ledger; auditor explain bad-ledger shows one that works"


def bad(what: str) -> UsageError:
    """The error of a ledger that cannot be used."""
    return UsageError("bad-ledger", what, _REMEDY)


def parse_ledger(text: str) -> Ledger:
    """The ledger in a TOML text; numbers keep the digits that were written. Raises UsageError ``bad-ledger``."""
    try:
        document = tomllib.loads(text, parse_float=_decimal)
        ledger = msgspec.convert(document, Ledger)
    except RecursionError:
        raise bad("the ledger is nested too deeply") from None
    except msgspec.ValidationError as error:
        raise bad(f"the ledger: {_said(error)}") from None
    except ValueError as error:
        # What the parser says, and numbers beyond any size.
        why = str(error).splitlines()[0][:200] if str(error) else "unreadable"
        raise bad(f"the ledger is no TOML that can be read ({why})") from None
    _check_numbers(document)
    _check(ledger)
    return ledger


def read_ledger(path: Path) -> Ledger:
    """The ledger in a file; raises UsageError ``ledger-not-found`` or ``bad-ledger``."""
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "is not there" if not path.exists() else "is no regular file"
        raise UsageError("ledger-not-found", f"the ledger {path} {what}", "name the TOML file that holds the claims")
    try:
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(
            "ledger-not-found", f"the ledger {path} cannot be read ({error.strerror})", "name a file that you may read"
        ) from error
    if len(data) > _MAX_BYTES:
        raise bad(f"the ledger is larger than {_MAX_BYTES >> 20} MiB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise bad("the ledger is not UTF-8 text") from None
    return parse_ledger(text.replace("\r\n", "\n"))


def _decimal(text: str) -> Decimal:
    plain = text.replace("_", "")
    if len(plain) > 40:
        raise ValueError(f"a number of {len(plain)} characters")
    number = Decimal(plain)
    if not number.is_finite():
        raise ValueError(f"{text} is no number that a claim could make")
    # Far beyond what a double holds, and powers of ten that would take minutes.
    if number and not -300 < number.adjusted() < 300:
        raise ValueError(f"the number {text[:40]} is out of range")
    return number


def _said(error: Exception) -> str:
    """What msgspec says, in the words of the file: the first claim is 1."""
    what, _, where = str(error).partition(" - at `$")
    where = where.rstrip("`").lstrip(".")
    head, bracket, rest = where.partition("[")
    number, closing, more = rest.partition("]")
    if bracket and closing and number.isdigit() and head in ("claim", "results"):
        where = f"[[{head}]] number {int(number) + 1}{' at ' + more.lstrip('.') if more else ''}"
    said = what[:1].lower() + what[1:]
    return f"{where}: {said}" if where else said


def _check_numbers(document: dict[str, Any]) -> None:
    """Refuse numbers written as text, and probabilities that are none."""
    claims: list[dict[str, Any]] = document.get("claim", [])
    for place, raw in [("the ledger", document), *((f"[[claim]] number {i}", one) for i, one in enumerate(claims, 1))]:
        for name in sorted(_NUMBERS & raw.keys()):
            value = raw[name]
            if isinstance(value, str):
                raise bad(f"{place}: {name} is the text {value[:40]!r}, not a number")
            if name in _PROBABILITIES and not 0 <= value <= 1:
                raise bad(f"{place}: {name} = {value} does not lie between 0 and 1")
            if isinstance(value, int) and abs(value) > 10**15:
                raise bad(f"{place}: {name} is out of range")
        for name in ("alpha", "p_below"):
            if name in raw and not 0 < raw[name] < 1:
                raise bad(f"{place}: {name} = {raw[name]} must lie between 0 and 1")


def _check(ledger: Ledger) -> None:
    if not ledger.claim:
        raise bad("the ledger has no [[claim]]")
    both = sorted(set(ledger.lower_is_better) & set(ledger.higher_is_better))
    if both:
        raise bad(f"{both[0]!r} is said to be better both lower and higher")
    for place, source in enumerate(ledger.results, 1):
        _check_source(source, f"[[results]] number {place}")
    for place, claim in enumerate(ledger.claim, 1):
        where = f"[[claim]] number {place}"
        if not isinstance(claim.of.get("metric"), str):
            raise bad(f'{where}: of must name one metric, as in of = {{ metric = "rmse" }}')
        for name, value in claim.of.items():
            if isinstance(value, tuple) and not value:
                raise bad(f"{where}: of.{name} is an empty list")
        if isinstance(claim, ValueClaim):
            if all(one is None for one in (claim.mean, claim.std, claim.sem, claim.two_sem)):
                raise bad(f"{where}: a value claim needs a mean, std, sem or two_sem")
            if not isinstance(claim.of.get("method"), str):
                raise bad(f"{where}: of must name one method")
            if claim.n is not None and claim.n < 1:
                raise bad(f"{where}: n = {claim.n} is no number of seeds")
            if claim.n == 1 and any(one is not None for one in (claim.std, claim.sem, claim.two_sem)):
                raise bad(f"{where}: a single seed (n = 1) has no standard deviation, and one is given")
            if claim.scale <= 0:
                raise bad(f"{where}: scale must be above 0")
            for name in ("std", "sem", "two_sem"):
                value = getattr(claim, name)
                if value is not None and value < 0:
                    raise bad(f"{where}: {name} is negative")
        elif any(getattr(claim, name, None) is not None for name in ("better", "best")):
            _needs_direction(ledger, str(claim.of["metric"]), where)
        if isinstance(claim, OrderClaim | PostHocClaim) and claim.better == claim.than:
            raise bad(f"{where}: {claim.better!r} is compared with itself")
        if isinstance(claim, OrderClaim) and "method" in claim.of:
            raise bad(f"{where}: an order claim names its methods in better and than, not in of")
        if isinstance(claim, FriedmanClaim) and all(
            one is None for one in (claim.p_below, claim.p, claim.statistic, claim.best)
        ):
            raise bad(f"{where}: a friedman claim needs p_below, p, statistic or best")
        if isinstance(claim, AgreementClaim) and claim.w is None and claim.w_above is None:
            raise bad(f"{where}: a kendall-w claim needs w or w_above")


def _needs_direction(ledger: Ledger, metric: str, where: str) -> None:
    """Raise where the ledger does not say whether lower or higher values of a metric are better."""
    if metric in ledger.lower_is_better or metric in ledger.higher_is_better:
        return
    if ledger.higher_is_better or not ledger.lower_is_better:
        raise bad(f"{where}: say whether {metric} is better lower or higher, in lower_is_better or higher_is_better")


def _check_source(source: Source, where: str) -> None:
    if (source.files is None) == (source.table is None):
        raise bad(f"{where}: give either files or table")
    if source.files is not None:
        pattern = patterns.parse_pattern(source.files, where)
        if not source.metrics:
            raise bad(f'{where}: metrics is missing, as in metrics = {{ rmse = "test.rmse" }}')
        if source.seed is not None and "seed" in pattern.labels:
            raise bad(f"{where}: the seed is both in the pattern and a path inside the file")
        twice = sorted(set(source.set) & pattern.labels)
        if twice:
            raise bad(f"{where}: {twice[0]!r} is both in the pattern and in set")
    else:
        patterns.check_path(source.table or "", where)
        if source.seed is not None or source.row is not None:
            raise bad(f"{where}: seed and row belong to files; a table has a column seed (columns renames it)")
    for name in (*source.set, *source.columns):
        if name == "metric":
            raise bad(f"{where}: metric is no label: metrics names them")
