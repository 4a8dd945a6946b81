from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.lock import environment, toml
from auditor.lock.environment import LOCKED
from auditor.records.fingerprint import LAYERS, Fact, Fingerprint, Known, Unknown
from auditor.records.lock import LOCKED_LAYERS, Exactly, LeftOut, Within


def fingerprint(**layers: dict[str, Fact]) -> Fingerprint:
    return Fingerprint("auditor.fingerprint/1", {layer: layers.get(layer, {}) for layer in LAYERS})


def why(layer: str, name: str) -> str | None:
    return None if name == "cores" else f"Why {layer} {name.partition(':')[0]} is locked."


def test_what_is_known_is_locked_with_its_reason_and_the_rest_is_left_out_with_one() -> None:
    described = fingerprint(
        interpreter={
            "version": Known("3.11.7", "sys.version"),
            "build": Known("main, today", "sys.version"),
            "variable:OMP_NUM_THREADS": Known("2", "environment"),
            "variable:LANG": Known("C", "environment"),
        },
        cuda={"driver": Unknown("no NVIDIA driver is on this machine"), "cuda": Known("none", "torch")},
        hardware={
            "cores": Known(2, "affinity"),
            "threads": Known(2, "torch"),
            "gpu:mig": Known(False, "NVML"),
            "vector-extensions": Known(("avx", "avx2"), "/proc/cpuinfo"),
        },
        os={"libc": Known("glibc 2.36", "confstr"), "kernel": Known("6.1", "uname")},
        run={"data": Known("abc", "probe")},
    )
    left_out = (LeftOut("ours", "1.0", "no index has it"), LeftOut("odd", "", "no index has it"))
    text = environment.write(described, left_out, why, ("LANG",))
    assert environment.read(text) == {
        "interpreter": {"version": Exactly("3.11.7"), "variable:OMP_NUM_THREADS": Exactly("2")},
        "libraries": {"ours": Exactly("1.0")},
        "cuda": {"cuda": Exactly("none")},
        "hardware": {
            "threads": Exactly(2),
            "gpu:mig": Exactly(False),
            "vector-extensions": Exactly(("avx", "avx2")),
        },
        "os": {"libc": Exactly("glibc 2.36")},
    }
    assert "# Why cuda cuda is locked.\ncuda =" in text
    assert "# Left out, not known: driver (no NVIDIA driver is on this machine)." in text
    assert "# odd is left out: it names no version." in text
    assert "cores" not in text and "LANG" not in text
    assert text == environment.write(described, left_out, why, ("LANG",))


def test_a_commit_is_locked_where_no_other_file_has_it() -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    described = fingerprint(
        libraries={
            "origin:ours": Known(f"editable git:{commit}", "direct_url.json"),
            "origin:theirs": Known(f"git https://example.org/x@{commit}", "direct_url.json"),
        }
    )
    left_out = (LeftOut("ours", "1.0", "elsewhere"), LeftOut("theirs", "2.0", "its commit is there", placed=True))
    assert environment.read(environment.write(described, left_out, why)) == {
        "libraries": {
            "ours": Exactly("1.0"),
            "origin:ours": Exactly(f"editable git:{commit}"),
            "theirs": Exactly("2.0"),
        }
    }


# A TOML text holds any character but unpaired surrogates.
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
values = st.one_of(
    texts,
    st.integers(min_value=-(2**63), max_value=2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.lists(texts, max_size=3).map(tuple),
)


@settings(deadline=None, derandomize=True, database=None)
@given(st.dictionaries(texts, values, max_size=4), texts)
def test_any_value_of_a_fact_is_read_back_as_it_was(facts: dict[str, object], reason: str) -> None:
    named = {f"variable:{name}": Known(value, "environment") for name, value in facts.items()}  # type: ignore[arg-type]
    unknown = {f"variable:{name}?": Unknown(reason) for name in facts if f"variable:{name}?" not in named}
    text = environment.write(fingerprint(interpreter={**named, **unknown}), (), lambda *_: reason)
    assert environment.read(text).get("interpreter", {}) == {name: Exactly(fact.value) for name, fact in named.items()}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('"3.11.7"', Exactly("3.11.7")),
        ('">=3.11,<3.13"', Within("<3.13,>=3.11")),
        ('"==3.11.*"', Within("==3.11.*")),
        ('"~=2.0"', Within("~=2.0")),
        ('{exactly = ">=3"}', Exactly(">=3")),
        ("2", Exactly(2)),
        ("2.5", Exactly(2.5)),
        ("true", Exactly(True)),
        ('["a", "b"]', Exactly(("a", "b"))),
        ("[]", Exactly(())),
    ],
)
def test_what_a_person_writes(text: str, wanted: Exactly | Within) -> None:
    read = environment.read(f'schema = "auditor.lock/1"\n[hardware]\nthreads = {text}\n')
    assert read == {"hardware": {"threads": wanted}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no lock of the auditor"),
        ("schema = 1", "no lock of the auditor"),
        ('schema = "auditor.lock/2"', "this version of the auditor knows 'auditor.lock/1'"),
        ('schema = "auditor.audit/1"', "no lock of the auditor"),
        ('schema = "auditor.lock/1"\n[weather]\n', "no layer 'weather'"),
        ('schema = "auditor.lock/1"\nos = 1\n', "no layer 'os'"),
        ('schema = "auditor.lock/1"\n[os]\nlibc = ">= nonsense"\n', "no range of versions"),
        ('schema = "auditor.lock/1"\n[os]\nlibc = {a = 1}\n', "os.libc is no text"),
        ('schema = "auditor.lock/1"\n[os]\nlibc = {exactly = 1}\n', "os.libc is no text"),
        ('schema = "auditor.lock/1"\n[os]\nlibc = [1]\n', "os.libc is no text"),
        ('schema = "auditor.lock/1"\n[os]\nlibc = 2026-01-01\n', "os.libc is no text"),
        ('schema = "auditor.lock/1"\n[os', "it is no TOML"),
        ('schema = "auditor.lock/1"\na = ' + "[" * 50000, "nested too deeply"),
        ('schema = "auditor.lock/1"\na = ' + "9" * 10000, "it is no TOML"),
        ("\0", "it is no TOML"),
    ],
)
def test_what_cannot_be_used_is_refused(text: str, words: str) -> None:
    with pytest.raises(toml.Damaged) as raised:
        environment.read(text)
    assert words in raised.value.why


@settings(deadline=None, derandomize=True, database=None)
@given(texts)
def test_any_text_is_read_or_refused(text: str) -> None:
    for whole in (text, f'schema = "auditor.lock/1"\n[os]\n{text}'):
        try:
            environment.read(whole)
        except toml.Damaged as error:
            assert error.why


def test_patterns_are_of_layers_that_can_be_locked() -> None:
    assert set(LOCKED) == set(LOCKED_LAYERS) <= set(LAYERS)
