"""The numerical libraries: torch's build and switches, and the runtimes that were mapped into the process."""

from __future__ import annotations

import re
from collections.abc import Iterable

from auditor.fingerprint import packages
from auditor.fingerprint.fact import fact
from auditor.fingerprint.inside import Inside
from auditor.records.fingerprint import Fact, Known, Unknown

BUILD = ("debug", "git", "mkl", "mkldnn", "openmp")
# The lines of torch.__config__.show() that name the libraries inside a wheel, whose files tell no version.
VERSIONS = {
    "mkl-version": re.compile(r"^  - Intel\(R\) (?:oneAPI )?Math Kernel Library Version ([\d.]+)", re.MULTILINE),
    "mkldnn-version": re.compile(r"^  - Intel\(R\) MKL-DNN v([\d.]+)", re.MULTILINE),
}
SWITCHES = (
    "cudnn_allow_tf32",
    "cudnn_benchmark",
    "cudnn_deterministic",
    "cudnn_enabled",
    "default_dtype",
    "deterministic_algorithms",
    "deterministic_warn_only",
    "float32_matmul_precision",
    "matmul_allow_tf32",
)
NO_PROCESS = "seen in a training process only: an audit reports it"

# A wheel's own copy has a hash in its name: libgomp-a34b3233.so.1.0.0.
KINDS = {
    "blas": re.compile(r"lib(scipy_)?(openblas|mkl_|blas|cblas|blis|flexiblas|nvpl_blas|armpl)"),
    "lapack": re.compile(r"lib(lapacke?|nvpl_lapack)[-.]"),
    "onednn": re.compile(r"lib(dnnl|onednn|mkldnn)[-.]"),
    "openmp": re.compile(r"lib([gi]?omp5?|iomp5md)[-.]"),
    "torch": re.compile(r"libtorch(_cpu|_cuda|_hip)?\.so"),
}
_SYSTEM = ("/lib/", "/lib64/", "/lib32/", "/usr/")
_INSTALLED = re.compile(r".*/((?:site|dist)-packages/.*)")


def facts(inside: Inside) -> dict[str, Fact]:
    """``torch:<fact>``, ``switch:<name>`` and ``loaded:<kind>`` (every copy mapped, so two OpenMP runtimes show)."""
    found: dict[str, Fact] = {}
    torch = inside.torch
    if torch is None:
        installed = packages.version_of(inside, "torch")
        if inside.environment is None:
            reason = inside.absent
        elif installed is None:
            reason = "torch is not installed"
        else:
            reason = "the process did not import torch" if inside.process else inside.absent
        found["torch:version"] = Unknown(reason)
    else:
        source = "torch" if inside.process else "torch/version.py"
        found["torch:version"] = fact(torch.version, source, inside.absent)
        for name in BUILD:
            found[f"torch:{name}"] = fact(torch.facts.get(name), source, inside.absent)
        text = torch.facts.get("config")
        for name, version in parse_config(text if isinstance(text, str) else "").items():
            found[f"torch:{name}"] = Known(version, "torch.__config__.show")
        for name in SWITCHES:
            found[f"switch:{name}"] = fact(torch.switches.get(name), source, inside.absent)
    found.update(loaded(inside, KINDS))
    return found


def parse_config(text: str) -> dict[str, str]:
    """The versions of MKL and oneDNN in the text of ``torch.__config__.show``, of those that torch was built with."""
    found = {name: pattern.search(text) for name, pattern in VERSIONS.items()}
    return {name: match[1] for name, match in found.items() if match is not None}


def loaded(inside: Inside, kinds: dict[str, re.Pattern[str]]) -> dict[str, Fact]:
    """``loaded:<kind>`` for each kind: the mapped libraries whose file name the kind's pattern begins; may be none."""
    if inside.mapped is None:
        reason = inside.absent if inside.process else NO_PROCESS
        return {f"loaded:{kind}": Unknown(reason) for kind in kinds}
    executable = inside.environment.executable if inside.environment is not None else ""
    sorted_out = parse_mapped(inside.mapped, kinds, executable)
    return {f"loaded:{kind}": Known(paths, "/proc/self/maps") for kind, paths in sorted_out.items()}


def parse_mapped(
    paths: Iterable[str], kinds: dict[str, re.Pattern[str]], executable: str = ""
) -> dict[str, tuple[str, ...]]:
    """The mapped libraries of each kind, shortened (see ``shortened``) and sorted: one entry for each file."""
    every = sorted(set(paths))
    return {
        kind: tuple(sorted(shortened(path, executable) for path in every if pattern.match(path.rpartition("/")[2])))
        for kind, pattern in kinds.items()
    }


def shortened(path: str, executable: str = "") -> str:
    """A library's path without what names this machine or user.

    From ``site-packages`` on; ``{prefix}/...`` inside the interpreter's own prefix; whole in the system's directories;
    else ``.../`` and its file name.
    """
    installed = _INSTALLED.match(path)
    if installed is not None:
        return installed[1]
    if path.startswith(_SYSTEM):
        return path
    prefix = executable.rpartition("/bin/")[0]
    if prefix and path.startswith(prefix + "/"):
        return "{prefix}" + path[len(prefix) :]
    return ".../" + path.rpartition("/")[2]
