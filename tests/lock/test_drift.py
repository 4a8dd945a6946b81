from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditor.compare import drift
from auditor.records.fingerprint import LAYERS, Fact, Fingerprint, Known, Unknown
from auditor.records.lock import Deviation, Exactly, Lock, Pinned, Target, Within
from auditor.report import drift as report

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "a" * 64
TARGET = Target("interpreter", "")
TORCH = Pinned("torch", "2.13.0+cpu", "index", sha256=(DIGEST,))


def fingerprint(**layers: dict[str, object]) -> Fingerprint:
    """A fingerprint of these values (an Unknown stays one), whose interpreter is known."""
    interpreter: dict[str, object] = {"version": "3.11.7", "implementation": "cpython"}
    interpreter.update(layers.pop("interpreter", {}))
    layers["interpreter"] = interpreter
    return Fingerprint(
        "auditor.fingerprint/1",
        {layer: {name: fact(value) for name, value in layers.get(layer, {}).items()} for layer in LAYERS},
    )


def fact(value: object) -> Fact:
    return value if isinstance(value, Unknown) else Known(value, "test")  # type: ignore[arg-type]


def lock(*distributions: Pinned, **facts: dict[str, Exactly | Within]) -> Lock:
    return Lock(distributions, facts)


def deviations(locked: Lock, found: Fingerprint, **options: object) -> tuple[Deviation, ...]:
    return drift.hold(locked, found, **options).deviations  # type: ignore[arg-type]


def verdict(locked: Lock, found: Fingerprint, *, strict: bool = False) -> str:
    return drift.conclude(drift.hold(locked, found), TARGET, (), (), strict).verdict


def test_what_is_as_wanted_is_no_drift() -> None:
    locked = lock(
        TORCH,
        Pinned("numpy", "1.0", "index"),
        interpreter={"version": Exactly("3.11.7")},
        os={"libc": Within(">=2.31")},
        hardware={"cores": Exactly(2), "gpu": Exactly(("A", "B"))},
    )
    found = fingerprint(
        libraries={"torch": "2.13.0+cpu", "numpy": "1.0.0"},
        os={"libc": "glibc 2.36"},
        hardware={"cores": 2, "gpu": ("A", "B")},
    )
    held = drift.hold(locked, found)
    assert held.deviations == ()
    assert [(one.name, one.locked, one.as_wanted) for one in held.layers] == [
        ("interpreter", 1, 1),
        ("libraries", 2, 2),
        ("hardware", 2, 2),
        ("os", 1, 1),
    ]
    assert verdict(locked, found) == "none"


def test_another_release_of_torch_rules_bit_exact_out() -> None:
    found = fingerprint(libraries={"torch": "1.13.1+cpu"})
    (one,) = deviations(lock(TORCH), found)
    assert (one.kind, one.layer, one.name, one.wanted, one.found) == (
        "drift",
        "libraries",
        "torch",
        "2.13.0+cpu",
        "1.13.1+cpu",
    )
    assert one.risk == "rules-out" and one.rules_out == ("bit-exact",) and one.sources
    concluded = drift.conclude(drift.hold(lock(TORCH), found), TARGET, (), (), False)
    assert concluded.verdict == "drift" and concluded.rules_out == ("bit-exact",)


def test_what_is_locked_is_meant_for_use_unless_a_run_tells_otherwise() -> None:
    found = fingerprint(libraries={"torch": "2.11.0"}, run={"uses:torch": False})
    (one,) = deviations(lock(TORCH), found)
    assert one.kind == "drift" and one.risk == "irrelevant" and one.rules_out == ()
    assert verdict(lock(TORCH), found) == "drift"


def test_what_is_gone_is_drift() -> None:
    (one,) = deviations(lock(TORCH), fingerprint())
    assert (one.kind, one.found, one.rules_out) == ("drift", "not installed", ("bit-exact",))


def test_what_is_not_known_is_never_as_wanted() -> None:
    locked = lock(
        TORCH, os={"libc": Exactly("glibc 2.36")}, hardware={"threads": Exactly(2)}, cuda={"cudnn": Within(">=9")}
    )
    found = Fingerprint(
        "auditor.fingerprint/1",
        {"libraries": {"distributions": Unknown("the probe did not report it")}, "os": {"libc": Unknown("musl")}},
    )
    held = drift.hold(locked, found)
    assert {(one.kind, one.name) for one in held.deviations} == {
        ("unknown", "torch"),
        ("unknown", "libc"),
        ("unknown", "threads"),
        ("unknown", "cudnn"),
    }
    assert all(one.rules_out == () for one in held.deviations)
    assert sum(one.unknown for one in held.layers) == 4 and not any(one.as_wanted for one in held.layers)
    assert verdict(locked, found) == "cannot-be-told"


def test_drift_weighs_more_than_what_cannot_be_told() -> None:
    locked = lock(os={"libc": Exactly("glibc 2.36"), "machine": Exactly("x86_64")})
    found = fingerprint(os={"libc": Unknown("musl"), "machine": "aarch64"})
    assert verdict(locked, found) == "drift"
    assert [one.kind for one in deviations(locked, found)] == ["drift", "unknown"]


def test_a_device_that_is_known_to_be_absent_is_drift() -> None:
    locked = lock(hardware={"gpu": Exactly(("NVIDIA A100-SXM4-40GB",))}, cuda={"cuda": Exactly("12.8")})
    found = fingerprint(hardware={"gpu": Unknown("no NVIDIA driver is on this machine")}, cuda={"cuda": "12.8"})
    (one,) = deviations(locked, found)
    assert one.kind == "drift" and "no NVIDIA driver" in one.found


def test_facts_of_a_torch_that_is_gone_are_absent_not_unknown() -> None:
    locked = lock(TORCH, libraries={"torch:git": Exactly("abc")})
    found = fingerprint(libraries={"torch:version": Unknown("torch is not installed")})
    assert {(one.kind, one.name) for one in deviations(locked, found)} == {
        ("drift", "torch"), ("harmless", "torch:git")
    }  # fmt: skip


def test_extra_distributions_are_told_and_are_no_drift_unless_strict() -> None:
    locked = lock(TORCH, libraries={"ours": Exactly("1.0")})
    found = fingerprint(libraries={"torch": "2.13.0+cpu", "ours": "1.0", "extra": "1.0", "torch:git": "abc"})
    (one,) = deviations(locked, found)
    assert (one.kind, one.name, one.found, one.rules_out) == ("extra", "extra", "1.0", ())
    assert verdict(locked, found) == "none"
    assert verdict(locked, found, strict=True) == "drift"


def test_variables_that_are_set_and_not_locked_are_drift_where_they_may_matter() -> None:
    locked = lock(interpreter={"version": Exactly("3.11.7"), "variable:MKL_CBWR": Exactly("AVX2")})
    found = fingerprint(
        interpreter={
            "variable:MKL_CBWR": "AVX2",
            "variable:OMP_NUM_THREADS": "3",
            "variable:LANG": "C",
            "variable:CUDNN_LOGLEVEL_DBG": "1",
        }
    )
    (one,) = deviations(locked, found, of_a_process=("LANG",))
    assert (one.kind, one.name, one.wanted, one.found) == ("drift", "variable:OMP_NUM_THREADS", "not set", "3")
    (gone,) = deviations(locked, fingerprint())
    assert (gone.kind, gone.name, gone.wanted, gone.found) == ("drift", "variable:MKL_CBWR", "AVX2", "not set")


def test_layers_can_be_left_out() -> None:
    locked = lock(TORCH, os={"machine": Exactly("x86_64")})
    held = drift.hold(locked, fingerprint(os={"machine": "aarch64"}), skip=("libraries",))
    assert [one.name for one in held.layers] == ["os"]
    assert [one.name for one in held.deviations] == ["machine"]


@pytest.mark.parametrize(
    ("kind", "origin", "expected"),
    [
        ("index", None, None),
        ("index", f"file torch.whl sha256:{DIGEST}", None),
        ("index", f"https://example.org/.../torch.whl sha256:{DIGEST}", None),
        ("index", f"file torch.whl sha256:{'b' * 64}", "drift"),
        ("index", "file torch.whl", "unknown"),
        ("index", "file (a directory)", "drift"),
        ("index", f"editable git:{COMMIT}", "drift"),
        ("index", f"git https://example.org/x@{COMMIT}", "drift"),
        ("index", Unknown("damaged"), "unknown"),
        ("vcs", f"git https://example.org/x@{COMMIT}", None),
        ("vcs", f"git https://example.org/x@{'1' * 40}", "drift"),
        ("vcs", "file torch.whl", "drift"),
        ("vcs", None, "unknown"),
        ("archive", f"https://example.org/torch.whl sha256:{DIGEST}", None),
        ("archive", f"file torch.whl sha256:{'b' * 64}", "drift"),
        ("archive", "https://example.org/torch.whl", "unknown"),
        ("archive", None, "unknown"),
        ("vcs", f"editable git:{COMMIT}", None),
        ("vcs", f"editable git:{COMMIT} dirty", "drift"),
        ("vcs", "editable", "unknown"),
        ("vcs", "git https://example.org/x@?", "unknown"),
    ],
)
def test_where_a_distribution_came_from(kind: str, origin: object, expected: str | None) -> None:
    commit = COMMIT if kind == "vcs" else ""
    pinned = Pinned("torch", None if kind in ("vcs", "directory") else "2.0", kind, commit, (DIGEST,))  # type: ignore[arg-type]
    libraries: dict[str, object] = {"torch": "2.0"}
    if origin is not None:
        libraries["origin:torch"] = origin
    found = deviations(lock(pinned), fingerprint(libraries=libraries))
    assert [(one.kind, one.name) for one in found] == ([(expected, "origin:torch")] if expected else [])


@pytest.mark.parametrize(
    ("wanted", "value", "agrees"),
    [
        (Within(">=550,<600"), "570.124.06", True),
        (Within(">=550,<600"), "610.1", False),
        (Within(">=2.31"), "glibc 2.36", True),
        (Within(">=2.31"), "musl", False),
        (Within(">=2.31"), "", False),
        (Within(">=3"), "3.14.0rc1", True),
        (Within(">=1"), 2, True),
        (Exactly(True), 1, False),
        (Exactly(1), True, False),
        (Exactly(1), 1, True),
        (Exactly("1.0"), "1.0.0", False),
        (Exactly(("a", "b")), ("b", "a"), False),
    ],
)
def test_agreement(wanted: Exactly | Within, value: object, agrees: bool) -> None:
    assert drift.agrees(wanted, value) is agrees


def test_distributions_for_other_interpreters_are_not_wanted() -> None:
    locked = lock(
        Pinned("six", "1.0", "index", marker="python_version < '3.9'"),
        Pinned("six", "2.0", "index", marker="python_version >= '3.9'"),
        Pinned("pywin32", "1.0", "index", marker="sys_platform == 'win32'"),
        Pinned("arm", "1.0", "index", marker="platform_machine == 'aarch64'"),
        Pinned("pypy", "1.0", "index", marker="implementation_name == 'pypy'"),
        Pinned("plots", "1.0", "index", marker="'plots' in extras"),
    )
    found = fingerprint(libraries={"six": "2.0"}, os={"machine": "x86_64"})
    assert deviations(locked, found) == ()
    (one,) = deviations(locked, fingerprint(libraries={"six": "2.0", "arm": "2.0"}, os={"machine": "aarch64"}))
    assert (one.name, one.wanted, one.found) == ("arm", "1.0", "2.0")


names = st.sampled_from(["cpu", "cores", "threads", "dispatch", "gpu:architecture"])
facts = st.one_of(
    st.integers(0, 3), st.text(max_size=3), st.booleans(), st.lists(st.text(max_size=2), max_size=2).map(tuple)
)


@settings(deadline=None, derandomize=True, database=None)
@given(st.dictionaries(names, facts))
def test_an_environment_agrees_with_the_lock_of_itself(hardware: dict[str, object]) -> None:
    locked = lock(hardware={name: Exactly(value) for name, value in hardware.items()})  # type: ignore[arg-type]
    assert deviations(locked, fingerprint(hardware=hardware)) == ()


@settings(deadline=None, derandomize=True, database=None)
@given(st.dictionaries(names, facts, min_size=1), st.data())
def test_any_other_value_is_found(hardware: dict[str, object], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(hardware)))
    other = data.draw(facts.filter(lambda value: (type(value), value) != (type(hardware[name]), hardware[name])))
    locked = lock(hardware={name: Exactly(value) for name, value in hardware.items()})  # type: ignore[arg-type]
    found = deviations(locked, fingerprint(hardware={**hardware, name: other}))
    assert [(one.kind, one.name) for one in found] == [("drift", name)]


def test_another_release_of_a_tool_is_named_and_is_no_drift() -> None:
    locked = lock(Pinned("numpy", "2.4.6", "index"), Pinned("pip", "24.0", "index"), Pinned("ruff", "0.11.0", "index"))
    found = fingerprint(libraries={"numpy": "2.4.6", "pip": "25.1"})
    held = drift.hold(locked, found)
    assert [(one.name, one.kind, one.risk, one.found) for one in held.deviations] == [
        ("pip", "harmless", "irrelevant", "25.1"),
        ("ruff", "harmless", "irrelevant", "not installed"),
    ]
    (layer,) = held.layers
    assert (layer.locked, layer.as_wanted, layer.drifted, layer.harmless) == (3, 1, 0, 2)
    assert verdict(locked, found) == "none"
    assert verdict(locked, found, strict=True) == "drift"
    concluded = drift.conclude(held, TARGET, (), (), False)
    assert "2 tools aside" in report.render(concluded) and "1 of 3 locked facts" in report.render(concluded)
    assert "### Otherwise, and no drift by itself" in report.render_markdown(concluded)


def test_what_follows_from_another_drift_is_no_drift_of_its_own() -> None:
    locked = lock(Pinned("numpy", "2.4.6", "index"), hardware={"dispatch:numpy": Exactly(("AVX2", "FMA3"))})
    other = fingerprint(libraries={"numpy": "2.3.0"}, hardware={"dispatch:numpy": ("AVX2",)})
    found = {one.name: one for one in deviations(locked, other)}
    assert (found["numpy"].kind, found["dispatch:numpy"].kind) == ("drift", "harmless")
    assert "follows from numpy" in found["dispatch:numpy"].reason
    # Of the same NumPy it is the processor that differs.
    same = fingerprint(libraries={"numpy": "2.4.6"}, hardware={"dispatch:numpy": ("AVX2",)})
    assert [(one.name, one.kind) for one in deviations(locked, same)] == [("dispatch:numpy", "drift")]
    # What is not told is not taken to follow from anything.
    untold = {one.name: one.kind for one in deviations(locked, fingerprint(libraries={"numpy": "2.3.0"}))}
    assert untold == {"numpy": "drift", "dispatch:numpy": "unknown"}


def test_the_build_of_another_torch_follows_from_it() -> None:
    locked = lock(TORCH, libraries={"torch:git": Exactly("abc")})
    other = fingerprint(libraries={"torch": "2.12.0+cpu", "torch:version": "2.12.0+cpu", "torch:git": "def"})
    found = {one.name: one.kind for one in deviations(locked, other)}
    assert found == {"torch": "drift", "torch:git": "harmless"}
