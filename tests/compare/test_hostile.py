"""Texts of files that others wrote, wherever numbers and versions are read from them: any text has an answer."""

from __future__ import annotations

import contextlib

from hypothesis import example, given, settings
from hypothesis import strategies as some

from auditor import verdict
from auditor.compare import drift, environments, risks
from auditor.fingerprint import container, dispatch
from auditor.fingerprint.findings import same_release
from auditor.lock import conda, distributions, environment, requirements, toml
from auditor.records.fingerprint import Fingerprint, Known
from auditor.records.lock import Exactly, Lock, Pinned, Within
from auditor.store import role_order

ENDLESS = "9" * 5000
DIGITS = some.text("0123456789", min_size=1, max_size=6000)
PIECES = some.sampled_from(
    [
        ENDLESS,
        "1.2.3",
        ".",
        "+",
        "!",
        "-",
        " ",
        ">=",
        "~=",
        "===",
        "==",
        "*",
        ".*",
        "٣",
        "²",
        "v",
        "rc1",
        "dev",
        "((",
        ",",
    ]
)
TEXTS = some.one_of(some.text(), DIGITS, some.lists(PIECES, max_size=8).map("".join))
FACTS = (
    ("interpreter", "version"),
    ("libraries", "torch"),
    ("libraries", "torch:version"),
    ("libraries", "numpy"),
    ("cuda", "cudnn"),
    ("cuda", "driver"),
    ("os", "libc"),
    ("os", "kernel"),
)


@settings(deadline=None)
@given(TEXTS)
@example(ENDLESS)
@example("glibc ٣.٤")
@example("1." + ENDLESS)
def test_a_version_is_read_or_is_none(text: str) -> None:
    version = risks.parse_version(text)
    assert version is None or len(str(version)) < 500
    drift.same_version(text, "1.0")
    drift.agrees(Within(">=1.0"), text)


def test_a_version_in_words_is_still_found() -> None:
    for text, version in (
        ("glibc 2.36", "2.36"),
        ("2.13.0+cpu", "2.13.0+cpu"),
        ("GCC 12.2.0", "12.2.0"),
        ("Linux-6.1-x", "6.1"),
        (f"9.1.{ENDLESS}", "None"),
        (ENDLESS, "None"),
        ("none", "None"),
    ):
        assert str(risks.parse_version(text)) == version


def of(text: str) -> Fingerprint:
    layers: dict[str, dict[str, Known]] = {}
    for layer, name in FACTS:
        layers.setdefault(layer, {})[name] = Known(text or "-", "hostile")
    return Fingerprint("auditor.fingerprint/1", dict(layers))


@settings(max_examples=50, deadline=None)
@given(TEXTS, TEXTS)
@example(ENDLESS, "1.0")
@example("glibc ٣", "glibc 2")
def test_environments_of_any_texts_are_compared(one: str, other: str) -> None:
    found = environments.differences([of(one), of(other)])
    verdict.foresee(found.differences, found.unknown)
    assert bool(found.differences) == ((one or "-") != (other or "-"))


@settings(max_examples=50, deadline=None)
@given(TEXTS, TEXTS)
@example(ENDLESS, "1.0")
@example("1.0", ENDLESS)
def test_any_texts_are_held_against_a_lock(locked: str, found: str) -> None:
    pinned = (Pinned("torch", locked, "index"), Pinned("numpy", "1.0", "index", marker="python_version >= '3.8'"))
    lock = Lock(pinned, {"os": {"libc": Within(">=2.0"), "kernel": Exactly(locked)}})
    with contextlib.suppress(drift.EvidenceError):
        held = drift.hold(lock, of(found))
        assert held.layers


@settings(max_examples=200, deadline=None)
@given(TEXTS)
@example(f">={ENDLESS}")
@example(f"~={ENDLESS}.1")
@example(f"==={ENDLESS}")
@example("((" * 20_000)
def test_locks_and_requirements_of_any_text(text: str) -> None:
    quoted = toml_string(text)
    for read, document in (
        (environment.read, f'schema = "auditor.lock/1"\n[os]\nlibc = {quoted}\n'),
        (distributions.read, lock_of(f"version = {quoted}")),
        (distributions.read, lock_of(f"version = '1'\nmarker = {quoted}")),
        (distributions.read, lock_of(f"wheels = [{{name = {quoted}, url = 'https://x', hashes = {{sha256 = 'a'}}}}]")),
    ):
        with contextlib.suppress(toml.Damaged):
            read(document)
    for requirement in (text, f"torch{text}", f"torch>={text}", f"torch; python_version < '{text}'", f"torch; {text}"):
        requirements.unpinned_in_requirements(requirement)
        conda.judge(requirement)


@settings(deadline=None)
@given(TEXTS)
@example(ENDLESS)
@example("²")
@example(f"omp_get_max_threads() : {ENDLESS}")
def test_numbers_of_machines_are_read_or_are_none(text: str) -> None:
    same_release(text, ENDLESS)
    dispatch.parse_threads(text)
    container.parse_cpu_max(f"{text} 100000")
    container.parse_cpu_max(f"100000 {text}")
    container.parse_memory(text)
    assert sorted([text, "main", "rank 2"], key=role_order)


def lock_of(fields: str) -> str:
    return f"lock-version = '1.0'\ncreated-by = 'auditor'\n[[packages]]\nname = 'torch'\n{fields}\n"


def toml_string(text: str) -> str:
    escaped = "".join(f"\\U{ord(one):08x}" for one in text if not 0xD800 <= ord(one) < 0xE000)
    return f'"{escaped}"'
