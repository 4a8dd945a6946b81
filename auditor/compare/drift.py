"""A fingerprint held against a lock: which facts are as they should be, which drifted, and what that rules out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec
from packaging.markers import Marker
from packaging.specifiers import SpecifierSet

from auditor.compare import environments, risks
from auditor.errors import EvidenceError
from auditor.records.audit import LEVELS
from auditor.records.environments import RISKS
from auditor.records.fingerprint import LAYERS, Fact, Fingerprint, Known, Unknown
from auditor.records.lock import (
    DRIFT_SCHEMA,
    PYLOCK,
    Deviation,
    Drift,
    Exactly,
    Layer,
    Lock,
    Pinned,
    Target,
    Unpinned,
    Within,
    unidentified,
)

SOURCE = "lock"

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")
_VARIABLE = "variable:"
_ORIGIN = "origin:"
_NOT_RECORDED = "where it came from is not recorded"


class Held(NamedTuple):
    """A fingerprint held against a lock: the count of each layer, and what is not as wanted, the gravest first."""

    layers: tuple[Layer, ...]
    deviations: tuple[Deviation, ...]


def hold(lock: Lock, found: Fingerprint, skip: Collection[str] = (), of_a_process: Collection[str] = ()) -> Held:
    """Hold a fingerprint against a lock, layer by layer, except for the layers in ``skip``.

    A fact that the fingerprint does not know is ``unknown``, never as wanted. Distributions that the lock does not have
    are ``extra``; a variable that is set and is not in the lock is drift where it may change a result, except for those
    of ``of_a_process``, which a lock never holds. Another release of a tool is ``harmless``, and so is what follows
    from another fact that drifted. Raises EvidenceError ``damaged-lock`` where the environment is one in which the lock
    wants a distribution twice.
    """
    used = _used(lock, found)
    by_layer: dict[str, tuple[list[Deviation | None], list[Deviation]]] = {}
    for layer in LAYERS:
        if layer in skip:
            continue
        checked = [_check(layer, name, wanted, found, used) for name, wanted in lock.facts.get(layer, {}).items()]
        if layer == "libraries":
            checked += [_check_distribution(pinned, lock, found, used) for pinned in _wanted_here(lock, found)]
        strays = list(_strays(layer, lock, found, used, of_a_process))
        if checked or strays:
            by_layer[layer] = checked, strays
    drifted = {
        f"{one.layer}/{one.name}" for checked, _ in by_layer.values() for one in checked if one and one.kind == "drift"
    }
    counts: list[Layer] = []
    deviations: list[Deviation] = []
    for layer, (checked, strays) in by_layer.items():
        settled = [one and _settled(one, drifted) for one in checked]
        kinds = Counter(one.kind for one in settled if one is not None)
        as_wanted = len(checked) - kinds.total()
        counts.append(Layer(layer, len(checked), as_wanted, kinds["drift"], kinds["unknown"], kinds["harmless"]))
        deviations += [one for one in (*settled, *strays) if one is not None]
    return Held(tuple(counts), tuple(sorted(deviations, key=_rank)))


def _settled(one: Deviation, drifted: Collection[str]) -> Deviation:
    """A drift that is none by itself as ``harmless``: of a tool, or of what follows from a fact that drifted."""
    rule = risks.rule_of(one.layer, one.name)
    if one.kind != "drift" or rule is None:
        return one
    # The distribution is what is locked, and its version is also told by torch itself.
    others = {rule.told_by, rule.told_by.removesuffix(":version")} - {""}
    if others & set(drifted):
        other = rule.told_by.partition("/")[2]
        reason = f"It follows from {other}, which differs and is compared by itself."
        return msgspec.structs.replace(one, kind="harmless", risk="irrelevant", reason=reason, rules_out=(), sources=())
    is_tool = one.layer == "libraries" and ":" not in one.name and rule.risk == "irrelevant"
    return msgspec.structs.replace(one, kind="harmless") if is_tool else one


def conclude(held: Held, target: Target, skipped: Sequence[str], unpinned: Sequence[Unpinned], strict: bool) -> Drift:
    """What it amounts to: drift where anything drifted, else undecided where anything locked could not be read.

    Where nothing is locked there is nothing to conclude from. With ``strict`` what is harmless, what the lock does not
    have and what is not pinned is drift as well.
    """
    kinds = {one.kind for one in held.deviations}
    verdict: Literal["none", "drift", "cannot-be-told"] = "none"
    if "drift" in kinds or (strict and (kinds & {"extra", "harmless"} or unpinned)):
        verdict = "drift"
    elif "unknown" in kinds or not any(layer.locked for layer in held.layers):
        verdict = "cannot-be-told"
    ruled_out = {level for one in held.deviations for level in one.rules_out}
    return Drift(
        schema=DRIFT_SCHEMA,
        target=target,
        verdict=verdict,
        rules_out=tuple(level for level in LEVELS if level in ruled_out),
        layers=held.layers,
        skipped=tuple(skipped),
        deviations=held.deviations,
        unpinned=tuple(unpinned),
        strict=strict,
    )


def agrees(wanted: Exactly | Within, value: object) -> bool:
    """Whether a fact's value is what the lock wants."""
    if isinstance(wanted, Within):
        version = risks.read_version(str(value).split()[-1] if str(value).split() else "")
        return version is not None and SpecifierSet(wanted.specifier).contains(version, prereleases=True)
    # True and 1 are the same to Python.
    return isinstance(value, bool) == isinstance(wanted.value, bool) and value == wanted.value


def same_version(one: str, other: str) -> bool:
    """Whether two versions are one: ``1.0`` is ``1.0.0``; what is no version is compared as text."""
    first, second = risks.read_version(one), risks.read_version(other)
    return one == other if first is None or second is None else first == second


def _check(layer: str, name: str, wanted: Exactly | Within, found: Fingerprint, used: risks.Uses) -> Deviation | None:
    fact = environments.fact_of(found, layer, name)
    if fact is None and name.startswith("torch:"):
        # Where no torch is installed its facts are absent, and one of them says why.
        fact = found.layers.get(layer, {}).get("torch:version")
        fact = None if isinstance(fact, Known) else fact
    if fact is None and name.startswith(_ORIGIN):
        fact = Unknown(_NOT_RECORDED)
    if isinstance(fact, Known) and name.startswith(_ORIGIN) and isinstance(wanted, Exactly):
        fact = _same_origin(str(wanted.value), fact)
        if fact is None:
            return None
    elif isinstance(fact, Known):
        if layer == "libraries" and ":" not in name and isinstance(wanted, Exactly):
            agreed = same_version(str(wanted.value), str(fact.value))
        else:
            agreed = agrees(wanted, fact.value)
        if agreed:
            return None
    return _deviation(layer, name, _known(wanted), fact, used)


def _same_origin(wanted: str, fact: Known) -> Known | Unknown | None:
    """None where a distribution came from where it should; else the fact, not known where the two cannot be compared.

    That they read the same is not enough where they do not tell which code it is.
    """
    told = str(fact.value)
    if told == wanted:
        why = unidentified(told)
        return Unknown(f"{told}: {why}") if why else None
    if "editable" in (told, wanted) and told.startswith("editable") and wanted.startswith("editable"):
        return Unknown(f"{told}: {unidentified('editable')} in the lock or here")
    # An address whose digest was kept on one side only.
    same_address = _DIGEST.sub("", told).strip() == _DIGEST.sub("", wanted).strip()
    if _is_file(told) and same_address and len(_DIGEST.findall(told)) != len(_DIGEST.findall(wanted)):
        return Unknown(f"{told}, and its digest is recorded on one side only")
    return fact


def _check_distribution(pinned: Pinned, lock: Lock, found: Fingerprint, used: risks.Uses) -> Deviation | None:
    fact = environments.fact_of(found, "libraries", pinned.name)
    if not isinstance(fact, Known):
        return _deviation("libraries", pinned.name, Known(pinned.version or "installed", SOURCE), fact, used)
    if pinned.version is not None and not same_version(pinned.version, str(fact.value)):
        return _deviation("libraries", pinned.name, Known(pinned.version, SOURCE), fact, used)
    if pinned.version is None:
        others = lock.facts.get("libraries", {})
        nothing = pinned.kind == "index" and pinned.name not in others
        # No fact names the directory that something was installed from: without more there is nothing to compare.
        if pinned.kind == "directory":
            nothing = pinned.name not in others and _ORIGIN + pinned.name not in others
        if nothing:
            untold = Unknown(f"{fact.value}, and the lock tells neither its version nor its commit")
            return _deviation("libraries", pinned.name, Known("installed", SOURCE), untold, used)
    return _check_origin(pinned, found, used)


def _check_origin(pinned: Pinned, found: Fingerprint, used: risks.Uses) -> Deviation | None:
    """Whether a distribution of the right version came from where the lock has it from, as far as that is known."""
    name = _ORIGIN + pinned.name
    fact = found.layers.get("libraries", {}).get(name)
    told = str(fact.value) if isinstance(fact, Known) else ""
    digests = set(_DIGEST.findall(told))
    if pinned.kind == "directory":
        return None
    if pinned.kind == "vcs":
        wanted = f"commit {pinned.commit}"
        agreed = bool(pinned.commit) and (told.endswith(f"@{pinned.commit}") or told == f"editable git:{pinned.commit}")
    else:
        # Only what an index did not give has an origin on record.
        if fact is None and pinned.kind == "index":
            return None
        wanted = "from an index" if pinned.kind == "index" else " ".join(f"sha256:{one}" for one in pinned.sha256)
        agreed = bool(digests) and digests <= set(pinned.sha256)
    if agreed:
        return None
    if fact is None:
        fact = Unknown(_NOT_RECORDED)
    elif pinned.kind == "vcs" and (not pinned.commit or told.endswith("@?") or told == "editable"):
        fact = Unknown(f"{told}, of which no commit is recorded")
    elif isinstance(fact, Known) and pinned.kind != "vcs" and digests and not pinned.sha256:
        fact = Unknown(f"{told}, and the lock has no SHA-256")
    elif isinstance(fact, Known) and pinned.kind != "vcs" and not digests and _is_file(told):
        fact = Unknown(f"{told}, of which no digest is recorded")
    return _deviation("libraries", name, Known(wanted, SOURCE), fact, used)


def _is_file(told: str) -> bool:
    """Whether an origin is a file that was downloaded or given: it could be the one that is locked."""
    return told.startswith(("file ", "http://", "https://")) and not told.startswith("file (")


def _wanted_here(lock: Lock, found: Fingerprint) -> list[Pinned]:
    """The distributions whose marker holds in the environment; raises EvidenceError where one is wanted twice."""
    here = _markers(found)
    wanted: dict[str, Pinned] = {}
    for pinned in lock.distributions:
        if pinned.marker and not _holds(pinned, here):
            continue
        if pinned.name in wanted:
            raise _damaged(f"it has {pinned.name} twice, and the markers of both hold in this environment")
        wanted[pinned.name] = pinned
    return list(wanted.values())


def _holds(pinned: Pinned, here: dict[str, Any]) -> bool:
    try:
        return Marker(pinned.marker).evaluate(here, context="lock_file")
    except (ValueError, RecursionError):
        # A version without end, in the marker or in the fingerprint, or a comparison that the format does not know.
        raise _damaged(f"the marker of {pinned.name[:60]} cannot be decided for this environment") from None


def _damaged(why: str) -> EvidenceError:
    return EvidenceError("damaged-lock", f"{PYLOCK}: {why}", "write it anew with auditor lock, or restore it")


def _markers(found: Fingerprint) -> dict[str, Any]:
    """What PEP 508 markers speak of, as far as the fingerprint tells; all else is that of Linux here."""

    def value(layer: str, name: str) -> str:
        fact = found.layers.get(layer, {}).get(name)
        return str(fact.value) if isinstance(fact, Known) else ""

    here: dict[str, Any] = {"extras": frozenset(), "dependency_groups": frozenset()}
    version = value("interpreter", "version")
    if version:
        here |= {"python_full_version": version, "python_version": ".".join(version.split(".")[:2])}
        here |= {"implementation_version": version}
    if value("interpreter", "implementation"):
        here["implementation_name"] = value("interpreter", "implementation")
    if value("os", "machine"):
        here["platform_machine"] = value("os", "machine")
    return here


def _strays(
    layer: str, lock: Lock, found: Fingerprint, used: risks.Uses, of_a_process: Collection[str]
) -> Iterator[Deviation]:
    """What is there and not in the lock: distributions, and variables that may change a result."""
    facts = found.layers.get(layer, {})
    if layer == "libraries":
        locked = {pinned.name for pinned in lock.distributions} | set(lock.facts.get(layer, {}))
        for name, fact in sorted(facts.items()):
            if ":" not in name and name not in locked and isinstance(fact, Known):
                yield _deviation(layer, name, None, fact, used, extra=True)
    elif layer == "interpreter" and layer in lock.facts:
        for name, fact in sorted(facts.items()):
            if not name.startswith(_VARIABLE) or name in lock.facts[layer] or not isinstance(fact, Known):
                continue
            if name.removeprefix(_VARIABLE) not in of_a_process:
                stray = _deviation(layer, name, None, fact, used)
                if stray.risk != "irrelevant":
                    yield stray


def _deviation(
    layer: str, name: str, wanted: Fact | None, found: Fact | None, used: risks.Uses, *, extra: bool = False
) -> Deviation:
    judged = risks.judge(layer, name, (wanted, found), used)
    unknown = risks.key(layer, name, found)[0] == "unknown"
    drifted = not unknown and not extra
    return Deviation(
        layer=layer,
        name=name,
        kind="extra" if extra else "unknown" if unknown else "drift",
        wanted="not locked" if extra else risks.text(layer, name, wanted),
        found=risks.text(layer, name, found).removeprefix("not known: "),
        risk=judged.risk,
        reason=judged.reason,
        rules_out=("bit-exact",) if drifted and judged.risk == "rules-out" else (),
        sources=judged.sources,
    )


def _known(wanted: Exactly | Within) -> Known:
    return Known(wanted.specifier if isinstance(wanted, Within) else wanted.value, SOURCE)


def _used(lock: Lock, found: Fingerprint) -> risks.Uses:
    """What training in the environment uses: where no run tells, what is locked is meant for use."""
    cuda = lock.facts.get("cuda", {}).get("cuda")
    with_cuda = None if cuda is None else cuda != Exactly("none")
    locked = {pinned.name for pinned in lock.distributions} | set(lock.facts.get("libraries", {}))
    assumed = {"uses:torch": "torch" in locked or None, "uses:cuda": with_cuda, "uses:cuda-random": with_cuda}
    run = found.layers.get("run", {})
    used: risks.Uses = {}
    for name, condition in sorted(risks.table().conditions.items()):
        fact = run.get(condition.fact)
        told = fact.value if isinstance(fact, Known) and isinstance(fact.value, bool) else None
        used[name] = assumed.get(condition.fact) if told is None else told
    return used


def _rank(one: Deviation) -> tuple[int, int, int, str, str]:
    return (
        _KINDS.index(one.kind),
        RISKS.index(one.risk),
        risks.weight(one.layer, one.name),
        one.layer,
        one.name,
    )


_KINDS = ("drift", "unknown", "harmless", "extra")
