"""Whether predictions hold: programs are trained in pairs of environments, and held against what was expected of each.

For each pair: what ``auditor compare`` expects from the two fingerprints, and what was observed, by ``auditor compare``
from the two audits and, beside it, by this script from the bits of the final parameters and results. A prediction holds
where the pair trained to the same bits and had not been ruled out, or where it did not and a difference rules bit-exact
out or puts it at risk; and where metrics left their tolerance, seed-stable had to be at risk.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from measure import ROOT, machine

from auditor import verdict
from auditor.compare import environments
from auditor.records.environments import Prediction
from auditor.records.fingerprint import Fingerprint

# The interpreters of this machine are found as the tests find them.
sys.path.insert(0, str(ROOT / "tests" / "interpreters"))
import environments as interpreters

AUDITOR = Path(sys.executable).parent / "auditor"
HOME = ROOT / ".venv-predictions"
IMAGE = "auditor:0.1.0"
PROGRAMS = {
    "turbofan": (ROOT / "examples/turbofan/train.py", ("--epochs", "1")),
    "turbofan without dropout": (ROOT / "examples/turbofan/train.py", ("--epochs", "1", "--dropout", "0")),
    "images": (ROOT / "benchmarks/programs/images.py", ()),
    "dense": (ROOT / "benchmarks/programs/dense.py", ()),
    "arrays": (ROOT / "benchmarks/programs/arrays.py", ()),
}
COLUMNS = (
    "program", "environments", "differ foremost in", "bit-exact expected", "bit-exact observed", "seed-stable expected",
    "seed-stable observed", "largest difference of a metric", "holds",
)  # fmt: skip
LIMIT = 1800


class Unavailable(Exception):
    """An environment cannot be had on this machine, and why."""


@dataclass(frozen=True)
class Environment:
    """A Python and the packages in an environment of it, what is set for a run, and what else is done to it.

    ``layout``: ``virtual`` environment, ``conda`` (an interpreter in a prefix with libraries of its own, as conda lays
    them out, made without conda) or ``image`` (a container, which has packages of its own). ``openmp``: the variable
    through which the loader finds a second libgomp.
    """

    python: str
    packages: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    layout: str = "virtual"
    openmp: str = ""

    @property
    def directory(self) -> str:
        return "-".join((self.layout, self.python, *self.packages)).replace("==", "-")


def _torch(version: str, numpy: str) -> tuple[str, ...]:
    return (f"torch=={version}", f"numpy=={numpy}")


CPU = _torch("2.13.0+cpu", "2.4.6")
NUMPY = ("numpy==2.2.6",)
WITHOUT_AVX2 = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA"}
ENVIRONMENTS = {
    "python-3.8-torch-1.13.0": Environment("3.8", _torch("1.13.0", "1.24.4")),
    "python-3.10-torch-1.13.0": Environment("3.10", _torch("1.13.0", "1.24.4")),
    "python-3.12-torch-2.2.0": Environment("3.12", _torch("2.2.0", "1.26.4")),
    "python-3.8-torch-2.4.1": Environment("3.8", _torch("2.4.1", "1.24.4")),
    "python-3.9-torch-2.4.1": Environment("3.9", _torch("2.4.1", "1.24.4")),
    "python-3.11-torch-2.13.0-cuda": Environment("3.11", _torch("2.13.0", "2.4.6")),
    "python-3.12-torch-2.14.0": Environment("3.12", _torch("2.14.0", "2.2.6")),
    "python-3.10-torch-2.14.1": Environment("3.10", _torch("2.14.1", "2.2.6")),
    "python-3.12-torch-2.14.1": Environment("3.12", _torch("2.14.1", "2.2.6")),
    "python-3.13-torch-2.14.1": Environment("3.13", _torch("2.14.1", "2.2.6")),
    "torch-2.13.0": Environment("3.11", CPU),
    "torch-2.13.0-again": Environment("3.11", CPU),
    "numpy-2.2.6": Environment("3.11", _torch("2.13.0+cpu", "2.2.6")),
    "locale-and-time-zone": Environment("3.11", CPU, {"LC_ALL": "C", "TZ": "Asia/Tokyo"}),
    "threads-2": Environment("3.11", CPU, {"OMP_NUM_THREADS": "2"}),
    "aten-default": Environment("3.11", CPU, {"ATEN_CPU_CAPABILITY": "default"}),
    "aten-avx2": Environment("3.11", CPU, {"ATEN_CPU_CAPABILITY": "avx2"}),
    "mkl-compatible": Environment("3.11", CPU, {"MKL_CBWR": "COMPATIBLE"}),
    "onednn-sse41": Environment("3.11", CPU, {"ONEDNN_MAX_CPU_ISA": "SSE41"}),
    "glibc-without-avx2": Environment("3.11", CPU, WITHOUT_AVX2),
    "openmp-shadowed": Environment("3.11", CPU, openmp="LD_LIBRARY_PATH"),
    "openmp-twice": Environment("3.10", _torch("1.13.0", "1.24.4"), openmp="LD_PRELOAD"),
    "conda-layout": Environment("3.11", CPU, layout="conda"),
    "container": Environment("3.11", (), layout="image"),
    "python-3.8-numpy-1.24.4": Environment("3.8", ("numpy==1.24.4",)),
    "python-3.9-numpy-1.24.4": Environment("3.9", ("numpy==1.24.4",)),
    "python-3.13-numpy-2.2.6": Environment("3.13", NUMPY),
    "python-3.13-numpy-2.5.5": Environment("3.13", ("numpy==2.5.5",)),
    "openblas-sandybridge": Environment("3.13", NUMPY, {"OPENBLAS_CORETYPE": "Sandybridge"}),
    "numpy-without-avx2": Environment("3.13", NUMPY, {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"}),
    "glibc-without-avx2-numpy": Environment("3.13", NUMPY, WITHOUT_AVX2),
}
PAIRS = (
    ("turbofan", "torch-2.13.0", "torch-2.13.0-again"),
    # The same packages under another interpreter, elsewhere, or with what should not matter.
    ("turbofan", "python-3.8-torch-1.13.0", "python-3.10-torch-1.13.0"),
    ("turbofan", "python-3.8-torch-2.4.1", "python-3.9-torch-2.4.1"),
    ("turbofan", "python-3.10-torch-2.14.1", "python-3.12-torch-2.14.1"),
    ("turbofan", "python-3.12-torch-2.14.1", "python-3.13-torch-2.14.1"),
    ("turbofan", "torch-2.13.0", "locale-and-time-zone"),
    ("turbofan", "torch-2.13.0", "container"),
    ("turbofan", "torch-2.13.0", "conda-layout"),
    ("turbofan", "torch-2.13.0", "openmp-shadowed"),
    ("turbofan", "python-3.10-torch-1.13.0", "openmp-twice"),
    ("turbofan", "torch-2.13.0", "numpy-2.2.6"),
    ("turbofan", "torch-2.13.0", "threads-2"),
    # Other kernels.
    ("turbofan", "torch-2.13.0", "aten-avx2"),
    ("turbofan", "torch-2.13.0", "aten-default"),
    # Other releases of torch, and builds of one.
    ("turbofan", "torch-2.13.0", "python-3.11-torch-2.13.0-cuda"),
    ("turbofan", "python-3.12-torch-2.14.0", "python-3.12-torch-2.14.1"),
    ("turbofan", "torch-2.13.0", "python-3.12-torch-2.14.0"),
    ("turbofan", "python-3.12-torch-2.2.0", "python-3.8-torch-2.4.1"),
    ("turbofan", "python-3.8-torch-2.4.1", "torch-2.13.0"),
    ("turbofan", "python-3.8-torch-1.13.0", "python-3.12-torch-2.2.0"),
    ("turbofan", "python-3.8-torch-1.13.0", "python-3.12-torch-2.14.1"),
    ("turbofan without dropout", "python-3.8-torch-2.4.1", "torch-2.13.0"),
    ("dense", "python-3.8-torch-2.4.1", "python-3.12-torch-2.14.1"),
    ("dense", "python-3.8-torch-1.13.0", "python-3.8-torch-2.4.1"),
    # The same of another program, whose products are larger and whose threads share them.
    ("images", "torch-2.13.0", "threads-2"),
    ("images", "torch-2.13.0", "aten-default"),
    ("images", "torch-2.13.0", "onednn-sse41"),
    ("images", "torch-2.13.0", "mkl-compatible"),
    ("images", "torch-2.13.0", "glibc-without-avx2"),
    ("images", "torch-2.13.0", "python-3.12-torch-2.14.1"),
    ("images", "python-3.8-torch-2.4.1", "torch-2.13.0"),
    # Without torch.
    ("arrays", "python-3.8-numpy-1.24.4", "python-3.9-numpy-1.24.4"),
    ("arrays", "python-3.8-numpy-1.24.4", "python-3.13-numpy-2.2.6"),
    ("arrays", "python-3.13-numpy-2.2.6", "python-3.13-numpy-2.5.5"),
    ("arrays", "python-3.13-numpy-2.2.6", "openblas-sandybridge"),
    ("arrays", "python-3.13-numpy-2.2.6", "numpy-without-avx2"),
    ("arrays", "python-3.13-numpy-2.2.6", "glibc-without-avx2-numpy"),
)


class Observed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of training one program in two environments.

    ``identical``: whether all final parameters and results agree in every bit, in all runs of both; ``parameters`` is
    the largest difference between final parameters. The others are of ``auditor compare``: the verdicts, the first
    divergence, and the largest difference of a metric.
    """

    program: str
    environments: tuple[str, str]
    identical: bool
    parameters: float
    bit_exact: str
    seed_stable: str
    step: int | None
    link: str | None
    metrics: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description="Train in pairs of environments and hold the predictions against it.")
    parser.add_argument("--home", type=Path, default=HOME, help="where environments are made and kept")
    parser.add_argument("--evidence", type=Path, help="where audits are kept; those that are there are not repeated")
    parser.add_argument("--image", default=IMAGE, help="the image of the container; by default that of `make image`")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="pairs with it alone (repeatable)")
    parser.add_argument("--capture", type=Path, metavar="DIR", help="write fingerprints and what was observed there")
    parser.add_argument("--table", type=Path, metavar="DIR", help="train nothing: the table of what was captured there")
    arguments = parser.parse_args()
    if arguments.table:
        print(table(*read_captures(arguments.table)))
        return

    with tempfile.TemporaryDirectory(prefix="predictions-") as scratch:
        evidence = (arguments.evidence or Path(scratch)).resolve()
        bench = Bench(arguments.home.resolve(), evidence, arguments.image)
        observed = []
        for pair in PAIRS:
            if arguments.only and not set(arguments.only) & set(pair):
                continue
            try:
                observed.append(bench.observe(*pair))
            except Unavailable as why:
                print(f"left out: {' / '.join(pair)}: {why}", file=sys.stderr)
        fingerprints = {
            (one.program, name): bench.fingerprint(one.program, name) for one in observed for name in one.environments
        }
        if arguments.capture:
            write_captures(arguments.capture, observed, fingerprints, (str(bench.home), str(evidence)))
        print(f"{machine()}\n\n{table(observed, fingerprints)}")


Fingerprints = Mapping[tuple[str, str], Fingerprint]


def table(observed: Sequence[Observed], fingerprints: Fingerprints) -> str:
    """The pairs, what was expected of them and what came of it, in Markdown, and how often the two agree."""
    lines = [
        f"| {' | '.join(COLUMNS)} |",
        "|---|---|---|---|---|---|---|--:|---|",
    ]
    held = []
    for one in observed:
        prediction = predict([fingerprints[one.program, name] for name in one.environments])
        held.append(holds(prediction, one))
        cells = (
            one.program,
            " / ".join(one.environments),
            foremost(prediction),
            prediction.levels["bit-exact"].prospect.replace("-", " "),
            outcome(one),
            prediction.levels["seed-stable"].prospect.replace("-", " "),
            one.seed_stable.replace("-", " "),
            "" if one.metrics is None else f"{one.metrics:.3g}",
            "yes" if held[-1] else "**no**",
        )
        lines.append(f"| {' | '.join(cells)} |")
    identical = sum(one.identical for one in observed)
    lines += [
        "",
        f"{len(observed)} pairs: {identical} trained to the same bits, {len(observed) - identical} did not; "
        f"{sum(held)} of {len(held)} predictions hold.",
    ]
    return "\n".join(lines)


def predict(fingerprints: Sequence[Fingerprint]) -> Prediction:
    """What is to be expected of environments, as ``auditor compare`` says it."""
    found = environments.differences(fingerprints)
    return verdict.foresee(found.differences, found.unknown, len(fingerprints))


def holds(prediction: Prediction, observed: Observed) -> bool:
    """Whether nothing that was reached had been ruled out, and whatever was not reached had been at risk at least."""
    if observed.seed_stable == "not-reached" and prediction.levels["seed-stable"].prospect == "possible":
        return False
    if observed.identical:
        return prediction.levels["bit-exact"].prospect != "ruled-out"
    return any(one.risk != "irrelevant" for one in prediction.differences)


def foremost(prediction: Prediction) -> str:
    """The first differences, by what they put at risk, and how many more do."""
    telling = [one for one in prediction.differences if one.risk != "irrelevant"]
    if not telling:
        return "nothing that is known to matter"
    said = list(dict.fromkeys(one.said for one in telling if one.risk == telling[0].risk))
    more = len(telling) - len(said[:2])
    return f"{'; '.join(said[:2])}{f'; {more} more' if more else ''}".replace("|", "\\|")


def outcome(observed: Observed) -> str:
    """What was observed, in a few words."""
    if observed.identical:
        return "bit-exact" if observed.bit_exact == "reached" else f"same final bits ({observed.bit_exact})"
    if observed.link is None:
        return f"differs ({observed.bit_exact})"
    where = f"step {observed.step}, {observed.link}" if observed.step is not None else observed.link
    return f"differs: {where}"


@dataclass(frozen=True)
class Bench:
    """Where environments and audits are kept, and the container's image."""

    home: Path
    evidence: Path
    image: str

    def observe(self, program: str, first: str, second: str) -> Observed:
        """Train ``program`` in both environments, unless that was done, and compare; raises Unavailable."""
        audits = [self.audit(program, name) for name in (first, second)]
        done = _do([str(AUDITOR), "compare", "--format", "json", *map(str, audits)], ROOT, os.environ, (0, 1))
        together = json.loads(done)["together"]
        if together["obstacles"] or together["unsteady"]:
            raise RuntimeError(f"{program}, {first} and {second} cannot be compared: {together}")
        identical, parameters = compared(audits)
        differences = [metric["max_abs_difference"] for metric in together["metrics"].values()]
        divergence = together["divergence"]
        return Observed(
            program=program,
            environments=(first, second),
            identical=identical,
            parameters=parameters,
            bit_exact=together["levels"]["bit-exact"]["verdict"],
            seed_stable=together["levels"]["seed-stable"]["verdict"],
            step=divergence["step"] if divergence else None,
            link=divergence["link"] if divergence else None,
            metrics=max((one for one in differences if one is not None), default=None),
        )

    def fingerprint(self, program: str, name: str) -> Fingerprint:
        """The fingerprint that an audit left."""
        return msgspec.json.decode((self.audit(program, name) / "fingerprint.json").read_bytes(), type=Fingerprint)

    def audit(self, program: str, name: str) -> Path:
        """The evidence of auditing a program in an environment, made unless it is there; raises Unavailable."""
        directory = self.evidence / program.replace(" ", "-") / name
        if (directory / "audit.json").exists():
            return directory
        environment = ENVIRONMENTS[name]
        variables = {
            **{key: os.environ[key] for key in ("HOME", "TMPDIR", "DOCKER_HOST") if key in os.environ},
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            **environment.variables,
        }
        options: list[str] = []
        if environment.layout == "image":
            known = subprocess.run(["docker", "image", "inspect", self.image], capture_output=True, check=False)
            if known.returncode:
                raise Unavailable(f"there is no image {self.image}")
            options = ["--image", self.image]
            variables["PATH"] = os.environ["PATH"]
        else:
            python = self.make(environment)
            variables["PATH"] = f"{python.parent}:{os.environ['PATH']}"
        if environment.openmp:
            second = self.second_openmp()
            variables[environment.openmp] = str(second if environment.openmp == "LD_PRELOAD" else second.parent)
        source, arguments = PROGRAMS[program]
        print(f"{program} in {name} …", file=sys.stderr, flush=True)
        shutil.rmtree(directory, ignore_errors=True)
        directory.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="project-") as project:
            shutil.copy2(source, Path(project) / "train.py")
            command = [str(AUDITOR), "run", "--quiet", *options, "--out", str(directory), "--"]
            command += ["python", "train.py", "--seed", "{seed}", *arguments]
            _do(command, Path(project), variables, (0,))
        return directory

    def make(self, environment: Environment) -> Path:
        """The environment's interpreter; raises Unavailable."""
        base = interpreters.interpreters().get(environment.python)
        if base is None:
            raise Unavailable(f"no Python {environment.python} is on this machine")
        directory = self.home / environment.directory
        python = directory / "bin" / "python"
        if (directory / "complete").exists():
            return python
        shutil.rmtree(directory, ignore_errors=True)
        try:
            uv = interpreters.uv(self.home)
        except interpreters.Unavailable as why:
            raise Unavailable(str(why)) from why
        if environment.layout == "conda":
            prefix = Path(_do([str(base), "-c", "import sys; print(sys.base_prefix)"], ROOT, os.environ, (0,)).strip())
            shutil.copytree(prefix, directory, symlinks=True, ignore=_packages)
        else:
            _do([uv, "venv", "--quiet", "--no-project", "--python", str(base), str(directory)], ROOT, os.environ, (0,))
        # CPU builds lie in directories that PIP_FIND_LINKS names; a version without a label would take them too.
        places = os.environ.get("PIP_FIND_LINKS", "").split() if any("+" in one for one in environment.packages) else []
        wheels = [word for place in places for word in ("--find-links", place)]
        install = [uv, "pip", "install", "--quiet", "--break-system-packages", "--python", str(python), *wheels]
        try:
            _do([*install, *environment.packages], ROOT, os.environ, (0,))
        except RuntimeError as error:
            raise Unavailable(str(error)) from error
        if environment.layout == "conda":
            self._lay_out(directory, environment)
        (directory / "complete").touch()
        return python

    def _lay_out(self, prefix: Path, environment: Environment) -> None:
        """Give a prefix its own libgomp and libstdc++, which torch then uses, and conda's records of what is in it."""
        for name in ("libgomp.so.1", "libstdc++.so.6"):
            shutil.copy2(system_library(name), prefix / "lib" / name)
            beside = prefix / f"lib/python{environment.python}/site-packages/torch/lib" / name
            beside.unlink(missing_ok=True)
            beside.symlink_to(Path("../../../..") / name)
        (prefix / "conda-meta").mkdir()
        (prefix / "conda-meta" / "history").write_text("")

    def second_openmp(self) -> Path:
        """A second libgomp in a directory of its own; raises Unavailable."""
        second = self.home / "second-openmp" / "libgomp.so.1"
        second.parent.mkdir(parents=True, exist_ok=True)
        if not second.exists():
            shutil.copy2(system_library("libgomp.so.1"), second)
        return second


def _packages(directory: str, names: list[str]) -> list[str]:
    return names if Path(directory).name == "site-packages" else []


def system_library(name: str) -> Path:
    """The system's copy of a shared library; raises Unavailable."""
    listed = _do(["/sbin/ldconfig", "-p"], ROOT, os.environ, (0,))
    found = re.search(rf"\b{re.escape(name)} \(libc6,x86-64\) => (\S+)", listed)
    if found is None:
        raise Unavailable(f"the system has no {name}")
    return Path(found[1]).resolve()


def compared(audits: Sequence[Path]) -> tuple[bool, float]:
    """Whether all runs of two audits ended in the same bits, and the largest difference between final parameters."""
    ends = [end_of(run) for audit in audits for run in sorted((audit / "runs").iterdir())]
    identical = all(end == ends[0] for end in ends)
    largest = 0.0
    (ours, _), (theirs, _) = ends[0], ends[-1]
    for name in ours.keys() | theirs.keys():
        one, two = (np.frombuffer(end[name][2], end[name][0]).astype(float) for end in (ours, theirs))
        largest = max(largest, float(np.max(np.abs(one - two), initial=0.0)))
    return identical, largest


End = tuple[dict[str, tuple[str, tuple[int, ...], bytes]], dict[str, Any]]


def end_of(run: Path) -> End:
    """The final parameters of a run (type, shape and bytes by name) and its results."""
    files = run / "artefacts"
    (results,) = sorted(files.rglob("results.json"))
    arrays = dict(_arrays(files))
    if not arrays:
        raise RuntimeError(f"{run} left no parameters")
    return {n: (a.dtype.str, a.shape, a.tobytes()) for n, a in arrays.items()}, json.loads(results.read_text())


def _arrays(files: Path) -> Iterator[tuple[str, np.ndarray]]:
    for path in sorted(files.rglob("*.npz")):
        with np.load(path, allow_pickle=False) as loaded:
            yield from loaded.items()
    for path in sorted(files.rglob("*.pt")):
        import torch

        for name, tensor in torch.load(path, weights_only=True)["model"].items():
            yield name, tensor.numpy()


def read_captures(directory: Path) -> tuple[list[Observed], Fingerprints]:
    """What ``write_captures`` wrote."""
    observed = msgspec.json.decode((directory / "observed.json").read_bytes(), type=list[Observed])
    names = {(one.program, name) for one in observed for name in one.environments}
    files = {key: directory / capture(*key) for key in names}
    return observed, {key: msgspec.json.decode(path.read_bytes(), type=Fingerprint) for key, path in files.items()}


def capture(program: str, name: str) -> str:
    """The file of a capture."""
    return f"{program.replace(' ', '-')}.{name}.json"


def write_captures(
    directory: Path, observed: Sequence[Observed], fingerprints: Fingerprints, private: Sequence[str]
) -> None:
    """Write fingerprints, one a file, and ``observed.json``; raises RuntimeError where one tells where it was made."""
    directory.mkdir(parents=True, exist_ok=True)
    for old in directory.glob("*.json"):
        old.unlink()
    words = [*private, str(ROOT), str(Path.home()), tempfile.gettempdir()]
    for key, fingerprint in sorted(fingerprints.items()):
        text = msgspec.json.encode(fingerprint).decode()
        told = [word for word in words if word in text] + re.findall(rf"\b{re.escape(socket.gethostname())}\b", text)
        if told:
            raise RuntimeError(f"the fingerprint of {key} tells {told}")
        (directory / capture(*key)).write_text(text + "\n", encoding="utf-8")
    lines = ",\n".join(msgspec.json.encode(one).decode() for one in observed)
    (directory / "observed.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _do(command: list[str], directory: Path, variables: Mapping[str, str], expected: Sequence[int]) -> str:
    done = subprocess.run(
        command, cwd=directory, env=dict(variables), capture_output=True, text=True, timeout=LIMIT, check=False
    )
    if done.returncode not in expected:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {(done.stderr or done.stdout)[-1500:]}")
    return done.stdout


if __name__ == "__main__":
    main()
