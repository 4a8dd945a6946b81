"""The table of risks: complete, strict, and no harder than what was measured."""

from __future__ import annotations

import json
import re
import sys
from importlib import resources
from pathlib import Path

import msgspec
import pytest

from auditor.compare import risks
from auditor.fingerprint import describe
from auditor.records.fingerprint import Fact, Fingerprint, Known, Unknown

CAPTURES = sorted(Path(__file__).parent.joinpath("captures").glob("*.json"))
TEXT = resources.files("auditor.compare").joinpath(risks.FILE).read_text(encoding="utf-8")
MINIMAL = """
schema = "auditor.risks/1"
nothing = []
[conditions]
[[rule]]
id = "a"
layer = "os"
names = ["libc"]
risk = "at-risk"
reason = "It may."
"""
EVERY_USE = {"torch in use": True, "CUDA in use": True, "CUDA random numbers in use": True}
ON_PROCESSORS = {"torch in use": True, "CUDA in use": False, "CUDA random numbers in use": False}
NO_USE = dict.fromkeys(EVERY_USE, False)
NOTHING_KNOWN = dict.fromkeys(EVERY_USE)

# One of each kind of name that a fingerprint may hold.
NAMES = {
    "interpreter": (
        "implementation version build compiler hash-seed flag:optimize flag:hash_randomization flag:dev_mode "
        "variable:OMP_NUM_THREADS variable:CUBLAS_WORKSPACE_CONFIG variable:LANG variable:XLA_FLAGS variables"
    ),
    "libraries": (
        "numpy torch pip some-package distributions origin:torch torch:version torch:git torch:debug "
        "torch:mkl torch:mkldnn torch:openmp switch:cudnn_benchmark switch:default_dtype "
        "switch:deterministic_algorithms loaded:blas loaded:lapack loaded:onednn loaded:openmp loaded:torch "
        "object:libgomp.so.1 object:libssl.so.3"
    ),
    "cuda": ("cuda hip cudnn driver installed:cublas loaded:cudnn loaded-version:cudnn loaded-version:cublas"),
    "hardware": (
        "cpu microcode vector-extensions cores dispatch threads threads:interop gpu gpu:architecture "
        "gpu:memory gpu:multiprocessors dispatch:numpy dispatch:openblas dispatch:onednn dispatch:mkl "
        "threads:openmp threads:mkl threads:openblas gpu:ecc gpu:mig gpu:power-limit gpu:clock-limit "
        "gpu:links"
    ),
    "os": (
        "libc loaded:libc loaded:libm release kernel machine container limit:cpus limit:memory locale "
        "libc:build-id libm:build-id image:id image:digests"
    ),
    "run": (
        "git:commit git:dirty data data:files data:how code uses:torch uses:cuda uses:cuda-random "
        "uses:torch-random uses:numpy-random uses:workers"
    ),
}


def known(value: str | int | float | bool | tuple[str, ...]) -> Known:
    return Known(value, "a test")


def classify(layer: str, name: str, *facts: Fact | None, uses: risks.Uses | None = None) -> str | None:
    found = risks.classify(layer, name, facts, EVERY_USE if uses is None else uses)
    return found.risk if found is not None else None


@pytest.mark.parametrize(("layer", "name"), [(layer, name) for layer, names in NAMES.items() for name in names.split()])
def test_every_kind_of_fact_has_a_rule(layer: str, name: str) -> None:
    assert risks.rule_of(layer, name) is not None


@pytest.mark.parametrize("path", CAPTURES, ids=lambda path: path.stem)
def test_every_fact_of_real_fingerprints_has_a_rule(path: Path) -> None:
    found = msgspec.json.decode(path.read_bytes(), type=Fingerprint)
    assert [(x, name) for x, facts in found.layers.items() for name in facts if risks.rule_of(x, name) is None] == []


def test_every_fact_of_this_interpreter_has_a_rule() -> None:
    found = describe(sys.executable)
    assert sum(map(len, found.layers.values())) > 30
    assert [(x, name) for x, facts in found.layers.items() for name in facts if risks.rule_of(x, name) is None] == []


def test_a_fact_that_the_table_does_not_know_is_at_risk() -> None:
    found = risks.classify("hardware", "tachyons", [known("2"), known("3")], NO_USE)
    assert found is not None
    assert (found.risk, found.rule, found.reason) == ("at-risk", "", risks.UNLISTED)
    assert classify("planets", "mars", known(1), known(2)) == "at-risk"


def test_what_agrees_is_no_difference() -> None:
    assert classify("os", "libc", known("glibc 2.36"), Known("glibc 2.36", "elsewhere")) is None
    assert classify("hardware", "gpu", Unknown("the process used no CUDA device"), Unknown("no torch was seen")) is None
    assert classify("libraries", "numpy", None, None) is None
    assert classify("libraries", "switch:x", known(True), known(1)) is None
    assert classify("libraries", "switch:x", known(True), known(0)) == "at-risk"


@pytest.mark.parametrize(
    ("uses", "risk", "said"),
    [
        (EVERY_USE, "rules-out", "Kernels are chosen"),
        (NO_USE, "irrelevant", "It would matter where CUDA is used, which is not so here."),
        (NOTHING_KNOWN, "at-risk", "Rules bit-exact out where CUDA is used, which is not known."),
    ],
)
def test_a_rule_holds_where_its_conditions_do(uses: risks.Uses, risk: str, said: str) -> None:
    facts = [known(("sm_80",)), known(("sm_90",))]
    found = risks.classify("hardware", "gpu:architecture", facts, uses)
    assert found is not None
    assert (found.risk, found.said) == (risk, "sm_80 against sm_90")
    assert found.reason.startswith(said)
    assert found.sources


def test_multiprocessors_matter_most_where_random_numbers_are_drawn_on_the_device() -> None:
    facts = (known(("108",)), known(("132",)))
    without = {**EVERY_USE, "CUDA random numbers in use": False}
    assert classify("hardware", "gpu:multiprocessors", *facts) == "rules-out"
    assert classify("hardware", "gpu:multiprocessors", *facts, uses=without) == "at-risk"
    assert classify("hardware", "gpu:multiprocessors", *facts, uses=NO_USE) == "irrelevant"
    found = risks.classify("hardware", "gpu:multiprocessors", facts, {**EVERY_USE, "CUDA random numbers in use": None})
    assert found is not None
    assert found.risk == "at-risk"
    assert found.reason.startswith("Rules bit-exact out where CUDA random numbers are drawn, which is not known.")
    assert found.level == "seed-stable"


def test_devices_that_are_partly_the_same_rule_nothing_out() -> None:
    assert classify("hardware", "gpu:architecture", known(("sm_90",)), known(("sm_90", "sm_90"))) == "at-risk"
    assert classify("hardware", "gpu:architecture", known(("sm_90",)), known(("sm_80", "sm_86"))) == "rules-out"
    assert classify(
        "hardware", "gpu:architecture", known(("sm_90",)), Unknown("no NVIDIA driver is on this machine")
    ) == ("rules-out")


def test_what_is_not_known_rules_nothing_out() -> None:
    found = risks.classify("hardware", "dispatch", [known("AVX2"), Unknown("the probe did not report it")], EVERY_USE)
    assert found is not None
    assert (found.risk, found.values) == ("at-risk", ("AVX2", "not known: the probe did not report it"))


def test_versions_within_a_range_have_another_risk() -> None:
    assert classify("libraries", "torch:version", known("2.13.0"), known("1.13.1")) == "rules-out"
    assert classify("libraries", "torch:version", known("2.13.0+cpu"), known("2.13.1+cu130")) == "at-risk"
    assert classify("libraries", "torch:version", known("2.13.0"), known("no version")) == "rules-out"
    assert classify("cuda", "cudnn", known("8.9.2"), known("9.1.0")) == "rules-out"
    assert classify("cuda", "cudnn", known("9.10.2"), known("9.1.0")) == "at-risk"


@pytest.mark.parametrize(
    ("versions", "risk", "level"),
    [
        (("1.13.0", "1.13.1"), "at-risk", "bit-exact"),
        (("1.13.0", "2.0.1"), "rules-out", "seed-stable"),
        (("2.0.1", "2.6.0"), "at-risk", "bit-exact"),
        (("2.6.0", "2.7.1"), "at-risk", "seed-stable"),
        (("2.7.1", "2.14.1"), "at-risk", "bit-exact"),
        (("2.14.1", "2.15.0a0"), "at-risk", "bit-exact"),
    ],
)
def test_releases_of_torch_are_ruled_out_on_processors_only_where_they_were_measured_to_differ(
    versions: tuple[str, str], risk: str, level: str
) -> None:
    for pair in (versions, versions[::-1]):
        found = risks.classify("libraries", "torch:version", [known(version) for version in pair], ON_PROCESSORS)
        assert found is not None and (found.risk, found.level) == (risk, level)
    unknown = {**ON_PROCESSORS, "CUDA in use": None}
    assert classify("libraries", "torch:version", known("2.13.0"), known("2.14.1")) == "rules-out"
    assert classify("libraries", "torch:version", known("2.13.0"), known("2.14.1"), uses=unknown) == "at-risk"
    assert classify("libraries", "torch:version", known("1.13.0"), known("2.14.1"), uses=unknown) == "rules-out"


@pytest.mark.parametrize(
    ("layer", "name", "values", "identical"),
    [
        # The example (one epoch, one thread) was trained in both, and its checkpoints compared bit by bit.
        ("interpreter", "variable:OMP_NUM_THREADS", ("1", "2"), True),
        ("hardware", "threads", (1, 2), True),
        ("interpreter", "variable:ATEN_CPU_CAPABILITY", (None, "avx2"), True),
        ("interpreter", "variable:GLIBC_TUNABLES", (None, "glibc.cpu.hwcaps=-AVX2,-FMA"), True),
        ("interpreter", "variable:NPY_DISABLE_CPU_FEATURES", (None, "AVX2 FMA3"), True),
        ("interpreter", "variable:OPENBLAS_CORETYPE", (None, "Sandybridge"), True),
        ("interpreter", "hash-seed", ("1", "7"), True),
        ("hardware", "dispatch", ("AVX2", "DEFAULT"), False),
        ("libraries", "torch:version", ("2.13.0+cpu", "2.13.0+cu130"), True),
        ("libraries", "torch:version", ("2.13.0+cpu", "2.14.1+cu130"), True),
        ("libraries", "torch:version", ("2.2.0+cu121", "2.4.1+cu121"), True),
        ("libraries", "torch:version", ("1.13.0+cu117", "2.2.0+cu121"), False),
        ("libraries", "torch:version", ("2.4.1+cu121", "2.13.0+cpu"), False),
        ("libraries", "numpy", ("2.2.6", "2.4.6"), True),
        ("interpreter", "version", ("3.8.18", "3.10.13"), True),
        ("interpreter", "version", ("3.11.7", "3.13.0"), True),
        ("interpreter", "variable:MKL_CBWR", (None, "COMPATIBLE"), False),
        ("interpreter", "variable:ONEDNN_MAX_CPU_ISA", (None, "SSE41"), False),
    ],
)
def test_the_table_is_at_one_with_what_was_measured(
    layer: str, name: str, values: tuple[str | int | None, ...], identical: bool
) -> None:
    facts = [None if value is None else known(value) for value in values]
    risk = classify(layer, name, *facts, uses=ON_PROCESSORS)
    assert risk in (("at-risk", "irrelevant") if identical else ("at-risk", "rules-out"))


def test_uses_are_told_by_the_layer_of_the_run() -> None:
    def fingerprint(**layers: dict[str, Fact]) -> Fingerprint:
        return Fingerprint("auditor.fingerprint/1", layers)

    cuda = fingerprint(run={"uses:cuda": known(True)})
    plain = fingerprint(run={"uses:cuda": known(False)})
    silent = fingerprint()
    no_device: dict[str, Fact] = {"gpu:architecture": Unknown("no NVIDIA driver is on this machine")}
    bare = fingerprint(hardware=no_device, cuda={"hip": known("none")})
    rocm = fingerprint(hardware=no_device, cuda={"hip": known("6.2")})
    name = "CUDA in use"
    assert risks.uses([cuda, silent])[name] is True
    assert risks.uses([plain, plain])[name] is False
    assert risks.uses([plain, silent])[name] is None
    assert risks.uses([])[name] is None
    assert risks.uses([bare, bare])[name] is False
    assert risks.uses([bare, rocm])[name] is None
    assert risks.uses([bare, silent])[name] is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ('schema = "auditor.risks/2"', "schema"),
        (MINIMAL.replace("at-risk", "harmless"), "harmless"),
        (MINIMAL.replace("at-risk", "rules-out"), "needs a source"),
        (MINIMAL + 'when = ["the moon is full"]', "no condition"),
        (MINIMAL + 'otherwise = "b"', "no rule"),
        (MINIMAL + 'told_by = "moon/phase"', "told_by"),
        (MINIMAL.replace('"os"', '"moon"'), "no layer"),
        (MINIMAL + 'sources = ["ftp://a"]', "no address"),
        (MINIMAL + "typo = 1", "typo"),
        (MINIMAL + MINIMAL[MINIMAL.index("[[rule]]") :], "two rules"),
        (MINIMAL + '[[rule.within]]\nversions = ["about 2"]\nrisk = "at-risk"\nreason = "x"', "about 2"),
        (MINIMAL + 'absent = "none"', "a witness"),
        (MINIMAL.replace('["libc"]', '["libc*"]') + "expected = true", "named"),
        (MINIMAL.replace('"It may."', '" "'), "reason"),
    ],
)
def test_a_table_that_is_wrong_is_refused(change: str, said: str) -> None:
    text = change if change.count("\n") else MINIMAL.replace('schema = "auditor.risks/1"', change)
    with pytest.raises(ValueError, match=re.escape(said)):
        risks.parse_table(text)


def test_the_shipped_table_is_in_order() -> None:
    table = risks.parse_table(TEXT)
    reasons = [rule.reason for rule in table.rule]
    assert all(reason.endswith(".") for reason in reasons)
    literal = [(rule.layer, name) for rule in table.rule if not rule.when for name in rule.names]
    assert len(literal) == len(set(literal))
    for rule in table.rule:
        if rule.witness:
            layer, name = rule.witness.split("/")
            assert risks.rule_of(layer, name) is not None
    assert json.loads(msgspec.json.encode(table))["schema"] == risks.SCHEMA
